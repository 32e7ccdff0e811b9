//! One measurement: its chunks in order, its time, its results.

use std::collections::BTreeMap;

use cloverleaf_core::dfx::body::BadChunkAction;
use cloverleaf_core::dfx::{Id, Status};
use cloverleaf_core::time::{Duration, Instant};
use uuid::Uuid;

use super::call::{Refusal, invalid};
use super::pulse::{LEAST_SNR, Pulse};
use super::signal::{CHUNK_SECONDS, MAGIC, Signal};
use super::{ConnectionId, Rules, code, failure};
use crate::services::dfx::events::{
    Channel, ChunkAction, Create, Data, DataAck, Failure, Messages, Outcome, OutcomeError, Place, Summary,
};

/// How long a measurement may be, in seconds.
pub(super) const LONGEST: f64 = 120.0;

/// How many chunks one measurement can have: its time in chunks of a second.
pub const CHUNKS: usize = 120;

/// How much of the signal is analysed at once, in seconds.
const WINDOW: f64 = 30.0;

/// What values are multiplied by to be whole numbers.
const MULTIPLIER: u32 = 1000;

/// The SNR of a result without a pulse.
const NO_SNR: f64 = -100.0;

/// A chunk as it was sent, and the signal in it.
#[derive(Debug)]
pub struct Chunk {
    pub(super) data: Data,
    signal: Signal,
    seconds: f64,
}

impl Chunk {
    /// Unpacks the payload.
    pub(super) fn of(data: Data) -> Self {
        let said = data.duration.or_else(|| Some(data.end_time? - data.start_time.unwrap_or(0.0)));
        let said = said.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
        let signal = Signal::of_payload(&data.payload, said);
        let described = || if data.payload.starts_with(&MAGIC) { signal.seconds() } else { CHUNK_SECONDS };
        let seconds = said.unwrap_or_else(described);
        Self { data, signal, seconds }
    }
}

#[derive(Debug)]
pub(super) struct Measurement {
    pub(super) id: String,
    pub(super) create: Create,
    /// In seconds since 1970.
    created: u32,
    pub(super) updated: u32,
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
    /// How many results were asked for.
    wanted: usize,
    /// What is ready, with whether anyone has been told.
    outcomes: BTreeMap<u32, (Outcome, bool)>,
    /// What the rules hold back to let it go in reverse.
    pub(super) held: Vec<Outcome>,
}

impl Measurement {
    pub(super) fn new(create: Create, seconds: u32) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            create,
            created: seconds,
            updated: seconds,
            next: 0,
            closed: false,
            subscribers: Vec::new(),
            begun: None,
            first_seconds: 0.0,
            seconds: 0.0,
            window: Signal::default(),
            wanted: 0,
            outcomes: BTreeMap::new(),
            held: Vec::new(),
        }
    }

    /// Adds a chunk. Gives the reply, and the result if one is wanted.
    pub(super) fn add(
        &mut self,
        now: Instant,
        rules: &Rules,
        chunk: Chunk,
    ) -> Result<(DataAck, Option<Outcome>), Refusal> {
        let Chunk { data, signal, seconds } = chunk;
        // Short messages: the first clients take a reply of more than 60 bytes for a result.
        let bad = |code: &str, message: &str| (Status::BAD_REQUEST, failure(code, message));
        let action: ChunkAction = data.action.parse().map_err(|e: BadChunkAction| {
            invalid("The chunk's action is not valid", "Action", e.to_string())
        })?;
        if self.closed {
            return Err(bad(code::MEASUREMENT_CLOSED, "closed"));
        }
        if self.next as usize >= CHUNKS {
            self.close();
            return Err(bad(code::MEASUREMENT_CLOSED, "chunks used up"));
        }
        if data.payload.is_empty() {
            return Err(bad(code::UNPACKER_RPC_ERROR, "the payload is empty"));
        }
        // Without a number, FIRST is taken for the client's habit rather than for a fresh start.
        if action.place == Place::First && (rules.first_resets || data.chunk_order == Some(0)) {
            self.restart();
        }
        if let Some(order) = data.chunk_order
            && order != self.next
        {
            return Err(bad(code::MISALIGNED_CHUNK, &format!("expected chunk {}", self.next)));
        }
        if self.seconds + seconds > LONGEST + 0.5 {
            self.close();
            return Err(bad(code::MEASUREMENT_CLOSED, "120 s are over"));
        }
        self.in_time(now, rules, seconds)?;
        if self.begun.is_none() {
            self.begun = Some(now);
            self.first_seconds = seconds;
        }
        let number = self.next;
        self.next += 1;
        self.seconds += seconds;
        let alone = if action.process { signal.pulse() } else { None };
        self.append(signal);
        let id = format!("{}:{number}", self.id);
        let outcome = action.process.then(|| self.analyse(&id, alone, rules.note.as_deref()));
        self.wanted += usize::from(action.process);
        if action.place == Place::Last {
            self.close();
        }
        Ok((DataAck { id, chunk_order: number }, outcome))
    }

    fn restart(&mut self) {
        (self.next, self.seconds, self.begun, self.wanted) = (0, 0.0, None, 0);
        self.window = Signal::default();
        self.outcomes.clear();
        self.held.clear();
    }

    /// Nothing more is taken, so that the signal need not be kept.
    fn close(&mut self) {
        self.closed = true;
        self.window = Signal::default();
    }

    /// A chunk cannot be there before it has been measured; a tenth of grace for clocks.
    fn in_time(&self, now: Instant, rules: &Rules, seconds: f64) -> Result<(), Refusal> {
        let Some(begun) = self.begun.filter(|_| rules.real_time) else { return Ok(()) };
        let after_first = (self.seconds + seconds - self.first_seconds) * 0.9;
        let earliest = begun + Duration::from_millis((after_first * 1000.0) as u64);
        if now >= earliest {
            return Ok(());
        }
        let early = (earliest - now).as_millis();
        let failure = failure(code::RATE_LIMIT, format!("{early} ms early"));
        Err((Status::TOO_MANY_REQUESTS, Failure { retry_after_ms: Some(early), ..failure }))
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
        let clearest = self.window.pulse().into_iter().chain(alone).max_by(|a, b| a.snr.total_cmp(&b.snr));
        let (channels, error) = match clearest {
            Some(Pulse { bpm, snr }) if snr >= LEAST_SNR => {
                let ok = OutcomeError { code: code::OK.into(), ..OutcomeError::default() };
                ([channel("HR_BPM", bpm), channel("SNR", snr)].into(), ok)
            }
            _ => {
                let msgs = vec!["no pulse in the samples".to_owned()];
                let errors = [("HR_BPM".to_owned(), Messages { msgs })].into();
                ([channel("SNR", NO_SNR)].into(), OutcomeError { code: code::LIVENESS_ERROR.into(), errors })
            }
        };
        Outcome {
            measurement_id: self.id.clone(),
            data_id: data_id.to_owned(),
            result_id: Uuid::new_v4().to_string(),
            multiplier: MULTIPLIER,
            channels,
            error,
        }
    }

    /// A result may be asked for from now on; `told` says whether someone has got it.
    pub(super) fn finished(&mut self, outcome: Outcome, told: bool) {
        if let Some(chunk) = outcome.chunk() {
            self.outcomes.insert(chunk, (outcome, told));
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

    pub(super) fn outcome(&self, chunk: u32) -> Option<&Outcome> {
        self.outcomes.get(&chunk).map(|(outcome, _)| outcome)
    }

    pub(super) fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.values().map(|(outcome, _)| outcome)
    }

    pub(super) fn summary(&self) -> Summary {
        let status = match (self.closed, self.outcomes.len() < self.wanted) {
            (false, _) => "CAPTURING",
            (true, true) => "PROCESSING",
            (true, false) => "COMPLETE",
        };
        let create = self.create.clone();
        Summary {
            id: self.id.clone(),
            study_id: create.study_id,
            status_id: status.into(),
            user_profile_id: create.user_profile_id,
            partner_id: create.partner_id,
            device_version: create.device_version,
            mode: if create.mode.is_empty() { "DISCRETE".into() } else { create.mode },
            created: self.created,
            updated: self.updated,
            ..Summary::default()
        }
    }
}
