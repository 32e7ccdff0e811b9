//! One measurement: its chunks in order, its time, its results.

use std::collections::BTreeMap;

use cloverleaf_core::dfx::{Id, Status};
use cloverleaf_core::time::{Duration, Instant};
use uuid::Uuid;

use super::pulse::{CHUNK_SECONDS, LEAST_SNR, Pulse, Signal};
use super::{ConnectionId, Rules, code, failure};
use crate::services::dfx::events::{
    Channel, ChunkAction, Create, Data, DataAck, Failure, Messages, Outcome, OutcomeError, Place,
};

/// How long a measurement may be, in seconds.
pub(super) const LONGEST: f64 = 120.0;

/// How many chunks one measurement can have: more than those of the shortest length in its time.
pub const CHUNKS: usize = 256;

/// How much of the signal is analysed at once, in seconds.
const WINDOW: f64 = 30.0;

/// What values are multiplied by to be whole numbers.
const MULTIPLIER: u32 = 1000;

/// The SNR of a result without a pulse.
const NO_SNR: f64 = -100.0;

#[derive(Debug)]
pub(super) struct Measurement {
    pub(super) id: String,
    pub(super) create: Create,
    /// The number of the next chunk.
    pub(super) next: u32,
    pub(super) closed: bool,
    pub(super) subscribers: Vec<(ConnectionId, Id)>,
    begun: Option<Instant>,
    /// Seconds of the first chunk, and of all.
    first_seconds: f64,
    seconds: f64,
    /// The last seconds of the signal.
    window: Signal,
    /// What is ready, with whether anyone has been told.
    outcomes: BTreeMap<u32, (Outcome, bool)>,
}

impl Measurement {
    pub(super) fn new(create: Create) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            create,
            next: 0,
            closed: false,
            subscribers: Vec::new(),
            begun: None,
            first_seconds: 0.0,
            seconds: 0.0,
            window: Signal::default(),
            outcomes: BTreeMap::new(),
        }
    }

    /// Adds a chunk. Gives the reply, and the result if one is wanted.
    pub(super) fn add(
        &mut self,
        now: Instant,
        rules: &Rules,
        data: &Data,
    ) -> Result<(DataAck, Option<Outcome>), (Status, Failure)> {
        let bad = |code: &str, message: String| (Status::BAD_REQUEST, failure(code, message));
        let action: ChunkAction =
            data.action.parse().map_err(|e: cloverleaf_core::dfx::body::BadChunkAction| {
                let mut failure = failure(code::VALIDATION_ERROR, "The chunk's action is not valid");
                failure.errors.insert("Action".into(), Messages { msgs: vec![e.to_string()] });
                (Status::BAD_REQUEST, failure)
            })?;
        if self.closed || self.next as usize >= CHUNKS {
            return Err(bad(code::MEASUREMENT_CLOSED, format!("Measurement {} is closed", self.id)));
        }
        if data.payload.is_empty() {
            return Err(bad(code::UNPACKER_RPC_ERROR, "The payload is empty".into()));
        }
        // Without a number, FIRST is taken for the client's habit rather than for a fresh start.
        if action.place == Place::First && (rules.first_resets || data.chunk_order == Some(0)) {
            self.restart();
        }
        if let Some(order) = data.chunk_order
            && order != self.next
        {
            let message = format!("Chunk {order} came when {} was expected", self.next);
            return Err(bad(code::MISALIGNED_CHUNK, message));
        }
        let said = data.duration.or_else(|| Some(data.end_time? - data.start_time.unwrap_or(0.0)));
        let said = said.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
        let signal = Signal::of_payload(&data.payload, said);
        let seconds = said.unwrap_or(if data.payload.starts_with(&super::MAGIC) {
            signal.seconds()
        } else {
            CHUNK_SECONDS
        });
        if self.seconds + seconds > LONGEST + 0.5 {
            self.closed = true;
            return Err(bad(
                code::MEASUREMENT_CLOSED,
                format!("Measurement {} has had its {LONGEST} s", self.id),
            ));
        }
        self.in_time(now, rules, seconds)?;
        if self.begun.is_none() {
            self.begun = Some(now);
            self.first_seconds = seconds;
        }
        let number = self.next;
        self.next += 1;
        self.seconds += seconds;
        self.closed = action.place == Place::Last;
        let alone = if action.process { signal.pulse() } else { None };
        self.append(signal);
        let id = format!("{}:{number}", self.id);
        let outcome = action.process.then(|| self.analyse(&id, alone, rules.note.as_deref()));
        Ok((DataAck { id, chunk_order: number }, outcome))
    }

    fn restart(&mut self) {
        (self.next, self.seconds, self.begun) = (0, 0.0, None);
        self.window = Signal::default();
        self.outcomes.clear();
    }

    /// A chunk cannot be there before it has been measured; a tenth of grace for clocks.
    fn in_time(&self, now: Instant, rules: &Rules, seconds: f64) -> Result<(), (Status, Failure)> {
        let Some(begun) = self.begun.filter(|_| rules.real_time) else { return Ok(()) };
        let after_first = (self.seconds + seconds - self.first_seconds) * 0.9;
        let earliest = begun + Duration::from_millis((after_first * 1000.0) as u64);
        if now >= earliest {
            return Ok(());
        }
        let message =
            format!("Chunks come faster than real time; retry in {} ms", (earliest - now).as_millis());
        Err((Status::TOO_MANY_REQUESTS, failure(code::RATE_LIMIT, message)))
    }

    fn append(&mut self, signal: Signal) {
        if (self.window.rate - signal.rate).abs() > 1e-6 * signal.rate {
            self.window = signal;
            return;
        }
        self.window.samples.extend(signal.samples);
        let keep = (WINDOW * self.window.rate) as usize;
        let surplus = self.window.samples.len().saturating_sub(keep);
        self.window.samples.drain(..surplus);
    }

    /// The longer the signal, the clearer its pulse; but a chunk that does not continue the one before, as those of
    /// simple clients, is clearer on its own.
    fn analyse(&self, data_id: &str, alone: Option<Pulse>, note: Option<&str>) -> Outcome {
        let scaled = |value: f64| (value * f64::from(MULTIPLIER)).round() as i32;
        let notes: Vec<String> = note.map(str::to_owned).into_iter().collect();
        let channel = |name: &str, value: f64| {
            let channel = Channel { data: vec![scaled(value)], channel: name.into(), notes: notes.clone() };
            (name.to_owned(), channel)
        };
        let (channels, error) =
            match self.window.pulse().into_iter().chain(alone).max_by(|a, b| a.snr.total_cmp(&b.snr)) {
                Some(Pulse { bpm, snr }) if snr >= LEAST_SNR => {
                    ([channel("HR_BPM", bpm), channel("SNR", snr)].into(), code::OK)
                }
                _ => ([channel("SNR", NO_SNR)].into(), code::LIVENESS_ERROR),
            };
        Outcome {
            measurement_id: self.id.clone(),
            data_id: data_id.to_owned(),
            result_id: Uuid::new_v4().to_string(),
            multiplier: MULTIPLIER,
            channels,
            error: OutcomeError { code: error.into(), ..OutcomeError::default() },
        }
    }

    /// A result may be asked for from now on; `told` says whether someone has got it.
    pub(super) fn finished(&mut self, outcome: &Outcome, told: bool) {
        if let Some(chunk) = outcome.chunk() {
            self.outcomes.insert(chunk, (outcome.clone(), told));
        }
    }

    /// The results that nobody has got.
    pub(super) fn take_missed(&mut self) -> Vec<Outcome> {
        let missed = self.outcomes.values_mut().filter(|(_, told)| !told);
        missed
            .map(|(outcome, told)| {
                *told = true;
                outcome.clone()
            })
            .collect()
    }

    pub(super) fn outcome(&self, chunk: u32) -> Option<Outcome> {
        self.outcomes.get(&chunk).map(|(outcome, _)| outcome.clone())
    }

    pub(super) fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.values().map(|(outcome, _)| outcome)
    }

    pub(super) fn status(&self) -> &'static str {
        match (self.closed, self.next) {
            (true, _) => "COMPLETE",
            (false, 0) => "CREATED",
            (false, _) => "PARTIAL",
        }
    }
}
