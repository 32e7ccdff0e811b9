//! What goes out, when, and to whom: replies and results, as the rules want them.

use cloverleaf_core::dfx::{Id, Response};
use cloverleaf_core::time::{Duration, Instant};

use super::analysis::Analysed;
use super::call::Answer;
use super::measurement::Ready;
use super::{CHUNKS, ConnectionId, DELAYED, Due, Effect, Fault, On, Output, State, frame};
use crate::services::dfx::events::Outcome;

/// How long results are held back to be shuffled while no more come.
const LONGEST_HELD: Duration = Duration::from_secs(1);

impl State {
    pub(super) fn send(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        mut frame: Vec<u8>,
        fault: Option<&Fault>,
        outputs: &mut Vec<Output>,
    ) {
        match fault.map(|fault| fault.effect) {
            None | Some(Effect::Error) => {}
            Some(Effect::Drop) => return,
            Some(Effect::Duplicate) => outputs.push(Output::Send { connection, frame: frame.clone() }),
            Some(Effect::Delay) => {
                let at = now + Duration::from_millis(fault.map_or(0, |fault| fault.delay));
                return self.later(at, Due::Output(Output::Send { connection, frame }));
            }
            Some(Effect::Close) => return outputs.push(Output::Close { connection, code: 1011 }),
            Some(Effect::Truncate) => frame.truncate(Response::HEADER - 1),
            Some(Effect::WrongId) => frame.splice(..Id::LEN, *b"nobodys-id").for_each(drop),
            Some(Effect::BadStatus) => frame.splice(Id::LEN..Response::HEADER, *b"2x0").for_each(drop),
            Some(Effect::Text) => return outputs.push(Output::SendText { connection, frame }),
        }
        outputs.push(Output::Send { connection, frame });
    }

    pub(super) fn later(&mut self, at: Instant, due: Due) {
        self.due_count += 1;
        let at = if self.due.len() < DELAYED { at } else { Instant::ZERO };
        self.due.insert((at, self.due_count), due);
    }

    pub(super) fn deliver_due(&mut self, now: Instant, outputs: &mut Vec<Output>) {
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > now {
                return;
            }
            match entry.remove() {
                Due::Output(output) => outputs.push(output),
                Due::Outcome { epoch, outcome } => self.ready(now, epoch, outcome, outputs),
                Due::Held { measurement, first } => {
                    let held = self.measurements.get(&measurement).and_then(|found| found.held.first());
                    if held.is_some_and(|held| held.result_id == first) {
                        self.let_go(now, &measurement, outputs);
                    }
                }
            }
        }
    }

    /// A result has been found out. Its turn comes after those of earlier chunks; the reply that was withheld follows it,
    /// and also goes out when nobody wants the result any more.
    pub(super) fn analysed(&mut self, now: Instant, analysed: Analysed) {
        let Some(measurement) = self.measurements.get_mut(&analysed.outcome.measurement_id) else {
            return analysed.withheld.into_iter().for_each(|output| self.later(now, Due::Output(output)));
        };
        for Ready { epoch, earliest, analysed: Analysed { outcome, withheld } } in
            measurement.analysed(analysed)
        {
            self.later(earliest, Due::Outcome { epoch, outcome });
            withheld.into_iter().for_each(|output| self.later(earliest, Due::Output(output)));
        }
    }

    /// A result is ready: hold it back if results are to be shuffled, else let it go. Nobody is told of one whose
    /// measurement has been removed or begun anew.
    fn ready(&mut self, now: Instant, epoch: u32, outcome: Outcome, outputs: &mut Vec<Output>) {
        let id = outcome.measurement_id.clone();
        let measurement = self.measurements.get_mut(&id).filter(|found| found.epoch == epoch);
        let Some(measurement) = measurement else { return };
        outputs.push(Output::Measured(outcome.clone()));
        let first = outcome.result_id.clone();
        measurement.held.push(outcome);
        let held = measurement.held.len();
        if held >= self.rules.shuffle.min(CHUNKS) || measurement.is_complete() {
            self.let_go(now, &id, outputs);
        } else if held == 1 {
            self.later(now + LONGEST_HELD, Due::Held { measurement: id, first });
        }
    }

    /// What is held back goes out, in reverse.
    fn let_go(&mut self, now: Instant, measurement: &str, outputs: &mut Vec<Output>) {
        let Some(measurement) = self.measurements.get_mut(measurement) else { return };
        for outcome in std::mem::take(&mut measurement.held).into_iter().rev() {
            self.push_outcome(now, outcome, outputs);
        }
    }

    /// To all who have subscribed; else to the first who does.
    fn push_outcome(&mut self, now: Instant, outcome: Outcome, outputs: &mut Vec<Output>) {
        let Some(measurement) = self.measurements.get_mut(&outcome.measurement_id) else { return };
        let subscribers = measurement.subscribers.clone();
        for subscriber in &subscribers {
            self.push_to(now, *subscriber, &outcome, outputs);
        }
        if let Some(measurement) = self.measurements.get_mut(&outcome.measurement_id) {
            measurement.finished(outcome, !subscribers.is_empty());
        }
    }

    fn push_to(
        &mut self,
        now: Instant,
        (connection, id): (ConnectionId, Id),
        outcome: &Outcome,
        outputs: &mut Vec<Output>,
    ) {
        let Some(encoding) = self.connections.get(&connection).map(|client| client.encoding) else { return };
        let fault = self.fault(On::Result, None, outcome.chunk());
        let answer = match &fault {
            Some(Fault { effect: Effect::Error, status, code, .. }) => Answer::fault(encoding, *status, code),
            _ => Answer::new(encoding, outcome),
        };
        self.send(now, connection, frame(id, answer.status, &answer.body), fault.as_ref(), outputs);
    }

    /// Results that were ready before anyone subscribed go to the first who does.
    pub(super) fn deliver_missed(
        &mut self,
        now: Instant,
        subscriber: (ConnectionId, Id),
        measurement: &str,
        outputs: &mut Vec<Output>,
    ) {
        let Some(found) = self.measurements.get_mut(measurement) else { return };
        for outcome in found.take_missed() {
            self.push_to(now, subscriber, &outcome, outputs);
        }
    }
}
