//! What the local server knows: tokens, measurements, who subscribed to what. Pure: time comes in, frames go out.
//!
//! **Bounds:** [`MEASUREMENTS`] measurements, of which the oldest makes room for a new one; 120 seconds and at most
//! [`CHUNKS`] chunks each; [`SUBSCRIPTIONS`] subscriptions a connection, then 400; [`ISSUED`] tokens, the oldest
//! forgotten; [`DELAYED`] results and replies that the rules delay, of more the next go out at once. Payloads are not kept, but for 30 seconds of samples.

mod access;
mod actions;
mod measurement;
mod pulse;
mod rules;

use std::collections::{BTreeMap, HashMap, VecDeque};

use cloverleaf_core::dfx::{Action, Id, ParseError, Request, Response, Status};
use cloverleaf_core::time::{Duration, Instant};

pub use access::{Access, ISSUED};
pub use measurement::CHUNKS;
pub use pulse::{MAGIC, Pulse, Signal};
pub use rules::{Effect, Fault, On, Rules};

use super::events::{Body, Encoding, Failure, Outcome, code};
use actions::Answer;
use measurement::Measurement;

/// How many measurements are kept.
pub const MEASUREMENTS: usize = 10_000;

/// How many subscriptions one connection may have.
pub const SUBSCRIPTIONS: usize = 4096;

/// How many results and replies may be on their way by the rules' delays.
pub const DELAYED: usize = 65_536;

/// A WebSocket connection, as the handlers number them.
pub type ConnectionId = u64;

/// What happens to the server.
#[derive(Debug)]
pub enum Input<'a> {
    /// A client connected.
    Opened {
        /// The connection.
        connection: ConnectionId,
        /// How its bodies are written.
        encoding: Encoding,
        /// The token of its `Authorization` header.
        token: Option<&'a str>,
    },
    /// A client sent a message, text or binary.
    Message {
        /// The connection.
        connection: ConnectionId,
        /// The message.
        bytes: &'a [u8],
    },
    /// A client is gone.
    Closed {
        /// The connection.
        connection: ConnectionId,
    },
    /// Time passed; see [`State::deadline`].
    Tick,
}

/// What the server does.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a binary message.
    Send {
        /// To whom.
        connection: ConnectionId,
        /// The frame.
        frame: Vec<u8>,
    },
    /// Send the frame as a text message: a fault.
    SendText {
        /// To whom.
        connection: ConnectionId,
        /// The frame.
        frame: Vec<u8>,
    },
    /// Close the connection.
    Close {
        /// Whose.
        connection: ConnectionId,
        /// The WebSocket close code.
        code: u16,
    },
    /// A chunk has been worked on: for the timeline.
    Measured(Outcome),
}

#[derive(Debug)]
struct Connection {
    encoding: Encoding,
    token: Option<String>,
    /// Which measurement pushes results under which id. The last subscription under an id wins.
    subscriptions: HashMap<Id, String>,
}

/// Something that will be sent later.
#[derive(Debug)]
enum Due {
    Outcome(Outcome),
    Frame { connection: ConnectionId, frame: Vec<u8> },
}

/// The state of the local server.
#[derive(Debug)]
pub struct State {
    rules: Rules,
    access: Access,
    measurements: HashMap<String, Measurement>,
    /// The ids of `measurements`, oldest first.
    ages: VecDeque<String>,
    connections: HashMap<ConnectionId, Connection>,
    due: BTreeMap<(Instant, u64), Due>,
    due_count: u64,
    /// Results held back to be let go in reverse.
    held: Vec<Outcome>,
    /// How often each fault has matched.
    matched: Vec<u32>,
    malformed: u64,
}

impl State {
    /// A server without measurements.
    pub fn new(rules: Rules, access: Access) -> Self {
        Self {
            matched: vec![0; rules.fault.len()],
            rules,
            access,
            measurements: HashMap::new(),
            ages: VecDeque::new(),
            connections: HashMap::new(),
            due: BTreeMap::new(),
            due_count: 0,
            held: Vec::new(),
            malformed: 0,
        }
    }

    /// Carries out one input and says what is to be done about it, in order.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Vec<Output> {
        let mut outputs = Vec::new();
        match input {
            Input::Opened { connection, encoding, token } => {
                let token = token.map(str::to_owned);
                self.connections
                    .insert(connection, Connection { encoding, token, subscriptions: HashMap::new() });
            }
            Input::Message { connection, bytes } => self.message(now, connection, bytes, &mut outputs),
            Input::Closed { connection } => {
                if let Some(gone) = self.connections.remove(&connection) {
                    for (id, measurement) in gone.subscriptions {
                        if let Some(measurement) = self.measurements.get_mut(&measurement) {
                            measurement.subscribers.retain(|subscriber| *subscriber != (connection, id));
                        }
                    }
                }
            }
            Input::Tick => {}
        }
        if self.rules.results_first && self.rules.latency == 0 {
            let replies = std::mem::take(&mut outputs);
            self.deliver_due(now, &mut outputs);
            outputs.extend(replies);
        } else {
            self.deliver_due(now, &mut outputs);
        }
        outputs
    }

    /// When [`Input::Tick`] is wanted next.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Messages that were no frames, and so had no id under which to complain.
    pub fn malformed_count(&self) -> u64 {
        self.malformed
    }

    /// One request of a client that has no WebSocket: the action of a route, the `{}` of its path, and the body.
    /// Gives the status, the JSON, and what else is to be done.
    pub fn rest(
        &mut self,
        now: Instant,
        token: Option<&str>,
        action: Action,
        argument: Option<&str>,
        body: &[u8],
    ) -> (Status, Vec<u8>, Vec<Output>) {
        let answer = match self.fault(On::Reply, Some(action), None) {
            Some(Fault { effect: Effect::Error, status, code, .. }) => Answer::fault(status, &code),
            _ => self.perform(
                now,
                actions::Call { action, argument, token, encoding: Encoding::Json, body, from: None },
            ),
        };
        let mut outputs = Vec::new();
        self.deliver_due(now, &mut outputs);
        (answer.status, answer.body(Encoding::Json), outputs)
    }

    /// The result of one chunk, if it is ready: what polling clients ask for.
    pub fn intermediate(
        &self,
        now: Instant,
        token: Option<&str>,
        measurement: &str,
        chunk: u32,
    ) -> (Status, Vec<u8>) {
        let answer = match self.access.check(now, token) {
            Err(failure) => Answer::failure(Status::UNAUTHORIZED, failure),
            Ok(()) => match self.measurements.get(measurement) {
                None => Answer::failure(Status::NOT_FOUND, actions::unknown_measurement(measurement)),
                Some(found) => found.outcome(chunk).map_or_else(Answer::empty, Answer::outcome),
            },
        };
        (answer.status, answer.body(Encoding::Json))
    }

    fn message(&mut self, now: Instant, connection: ConnectionId, bytes: &[u8], outputs: &mut Vec<Output>) {
        let Some(client) = self.connections.get(&connection) else { return };
        let encoding = client.encoding;
        let (id, answer, fault) = match Request::parse(bytes) {
            Ok(Request { action, id, body }) => {
                let chunk = self.chunk_of(action, encoding, body);
                let fault = self.fault(On::Reply, Some(action), chunk);
                let token = self.connections.get(&connection).and_then(|client| client.token.clone());
                let answer = match &fault {
                    Some(Fault { effect: Effect::Error, status, code, .. }) => Answer::fault(*status, code),
                    _ => {
                        let from = Some((connection, id));
                        let token = token.as_deref();
                        self.perform(
                            now,
                            actions::Call { action, argument: None, token, encoding, body, from },
                        )
                    }
                };
                (id, answer, fault)
            }
            // The id is there, only the action is not a number: that can be answered.
            Err(ParseError::BadAction(digits)) if bytes.len() >= Request::HEADER => {
                let Some(id) = bytes.get(4..).and_then(|rest| rest.first_chunk()) else { return };
                (Id::new(*id), actions::invalid_route(&digits.escape_ascii().to_string()), None)
            }
            Err(_) => {
                self.malformed += 1;
                return;
            }
        };
        let frame = frame(id, answer.status, &answer.body(encoding));
        self.send(now, connection, frame, fault.as_ref(), outputs);
        if answer.subscribed {
            self.deliver_missed(now, connection, outputs);
        }
    }

    /// Which chunk a request is about: what faults ask for.
    fn chunk_of(&self, action: Action, encoding: Encoding, body: &[u8]) -> Option<u32> {
        if action != Action::DATA || self.rules.fault.iter().all(|fault| fault.chunk.is_none()) {
            return None;
        }
        let data = super::events::Data::decode(encoding, body).ok()?;
        self.measurements.get(&data.params.id).map(|measurement| measurement.next)
    }

    /// The first fault that befalls this message. All that match count it.
    fn fault(&mut self, on: On, action: Option<Action>, chunk: Option<u32>) -> Option<Fault> {
        let action = action.map(|action| action.to_string());
        let mut befalls = None;
        for (fault, matched) in self.rules.fault.iter().zip(&mut self.matched) {
            let same_action = fault.action.is_none() || fault.action == action;
            let same_chunk = fault.chunk.is_none() || fault.chunk == chunk;
            if fault.on == on && same_action && same_chunk {
                *matched = matched.saturating_add(1);
                if *matched > fault.after && (fault.times == 0 || *matched - fault.after <= fault.times) {
                    befalls = befalls.or_else(|| Some(fault.clone()));
                }
            }
        }
        befalls
    }

    fn send(
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
                return self.later(at, Due::Frame { connection, frame });
            }
            Some(Effect::Close) => return outputs.push(Output::Close { connection, code: 1011 }),
            Some(Effect::Truncate) => frame.truncate(Response::HEADER - 1),
            Some(Effect::WrongId) => frame.splice(..Id::LEN, *b"nobodys-id").for_each(drop),
            Some(Effect::BadStatus) => frame.splice(Id::LEN..Response::HEADER, *b"2x0").for_each(drop),
            Some(Effect::Text) => return outputs.push(Output::SendText { connection, frame }),
        }
        outputs.push(Output::Send { connection, frame });
    }

    fn later(&mut self, at: Instant, due: Due) {
        self.due_count += 1;
        let at = if self.due.len() < DELAYED { at } else { Instant::ZERO };
        self.due.insert((at, self.due_count), due);
    }

    fn deliver_due(&mut self, now: Instant, outputs: &mut Vec<Output>) {
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > now {
                return;
            }
            match entry.remove() {
                Due::Frame { connection, frame } => outputs.push(Output::Send { connection, frame }),
                Due::Outcome(outcome) => self.ready(now, outcome, outputs),
            }
        }
    }

    /// A result is ready: hold it back if results are to be shuffled, else let it go.
    fn ready(&mut self, now: Instant, outcome: Outcome, outputs: &mut Vec<Output>) {
        outputs.push(Output::Measured(outcome.clone()));
        let closed = self.measurements.get(&outcome.measurement_id).is_none_or(|found| found.closed);
        self.held.push(outcome);
        if self.held.len() >= self.rules.shuffle.min(CHUNKS) || closed {
            for outcome in std::mem::take(&mut self.held).into_iter().rev() {
                self.push_outcome(now, &outcome, outputs);
            }
        }
    }

    fn push_outcome(&mut self, now: Instant, outcome: &Outcome, outputs: &mut Vec<Output>) {
        let Some(measurement) = self.measurements.get_mut(&outcome.measurement_id) else { return };
        let subscribers = measurement.subscribers.clone();
        measurement.finished(outcome, !subscribers.is_empty());
        for (connection, id) in subscribers {
            self.push_to(now, connection, id, outcome, outputs);
        }
    }

    fn push_to(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        id: Id,
        outcome: &Outcome,
        outputs: &mut Vec<Output>,
    ) {
        let Some(encoding) = self.connections.get(&connection).map(|client| client.encoding) else { return };
        let fault = self.fault(On::Result, None, outcome.chunk());
        let frame = match &fault {
            Some(Fault { effect: Effect::Error, status, code, .. }) => {
                let answer = Answer::fault(*status, code);
                frame(id, answer.status, &answer.body(encoding))
            }
            _ => frame(id, Status::OK, &outcome.encode(encoding)),
        };
        self.send(now, connection, frame, fault.as_ref(), outputs);
    }

    /// Results that were ready before anyone subscribed go to the first who does.
    fn deliver_missed(&mut self, now: Instant, connection: ConnectionId, outputs: &mut Vec<Output>) {
        let Some(client) = self.connections.get(&connection) else { return };
        let subscriptions: Vec<(Id, String)> =
            client.subscriptions.iter().map(|(id, measurement)| (*id, measurement.clone())).collect();
        for (id, measurement) in subscriptions {
            let Some(found) = self.measurements.get_mut(&measurement) else { continue };
            for outcome in found.take_missed() {
                self.push_to(now, connection, id, &outcome, outputs);
            }
        }
    }
}

fn frame(id: Id, status: Status, body: &[u8]) -> Vec<u8> {
    let header = Response { id, status, body }.header();
    [&header, body].concat()
}

fn failure(code: &str, message: impl Into<String>) -> Failure {
    Failure { code: code.to_owned(), message: message.into(), ..Failure::default() }
}
