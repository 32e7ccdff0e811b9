//! One measurement: its chunks in order, its time, its results.

use std::collections::{BTreeMap, VecDeque};

use cloverleaf_core::dfx::body::BadChunkAction;
use cloverleaf_core::dfx::{Id, Status};
use cloverleaf_core::time::{Duration, Instant};
use uuid::Uuid;

use super::analysis::{Analysed, Analysis};
use super::call::{Refusal, invalid};
use super::signal::{CHUNK_SECONDS, MAGIC, Signal};
use super::{ConnectionId, Output, Rules, code, failure};
use crate::services::dfx::events::{
    BadBody, ChunkAction, Create, Data, DataAck, Encoding, Failure, Outcome, Place, Summary,
};

/// How long a measurement may be, in seconds.
pub(super) const LONGEST: f64 = 120.0;

/// How many chunks one measurement can have: its time in chunks of a second.
pub const CHUNKS: usize = 120;

/// How many subscriptions one measurement can have.
pub const SUBSCRIBERS: usize = 64;

/// How much of the signal is analysed at once, in seconds.
const WINDOW: f64 = 30.0;

/// A chunk as it was sent, with the signal that was in its payload.
#[derive(Debug)]
pub struct Chunk {
    pub(super) data: Data,
    signal: Signal,
    seconds: f64,
    is_empty: bool,
}

impl Chunk {
    /// Reads the body of a request, and unpacks the payload where it lies.
    pub(super) fn read(encoding: Encoding, body: &[u8]) -> Result<Self, BadBody> {
        let (data, payload) = Data::decode_around(encoding, body)?;
        let said = data.duration.or_else(|| Some(data.end_time? - data.start_time.unwrap_or(0.0)));
        let said = said.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
        let signal = Signal::of_payload(&payload, said);
        let described = || if payload.starts_with(&MAGIC) { signal.seconds() } else { CHUNK_SECONDS };
        let seconds = said.unwrap_or_else(described);
        Ok(Self { data, signal, seconds, is_empty: payload.is_empty() })
    }
}

/// A result that was asked for.
#[derive(Debug)]
struct Expected {
    id: String,
    /// The [`Measurement::epoch`] of its chunk.
    epoch: u32,
    /// When it may be told of.
    earliest: Instant,
    /// What it is, once it has been found out.
    analysed: Option<Analysed>,
}

/// A result whose turn it is.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) epoch: u32,
    pub(super) earliest: Instant,
    pub(super) analysed: Analysed,
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
    closed: bool,
    /// How often it was begun anew: results of before are of no interest.
    pub(super) epoch: u32,
    pub(super) subscribers: Vec<(ConnectionId, Id)>,
    begun: Option<Instant>,
    /// Seconds of the first chunk, and of all.
    first_seconds: f64,
    seconds: f64,
    /// The last seconds of the signal.
    window: Signal,
    /// How many results were asked for in this epoch.
    wanted: usize,
    /// Those that are being worked on, in the order of their chunks, of whatever epoch.
    expected: VecDeque<Expected>,
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
            epoch: 0,
            subscribers: Vec::new(),
            begun: None,
            first_seconds: 0.0,
            seconds: 0.0,
            window: Signal::default(),
            wanted: 0,
            expected: VecDeque::new(),
            outcomes: BTreeMap::new(),
            held: Vec::new(),
        }
    }

    /// Adds a chunk. Gives the reply, and what is to be analysed if a result is wanted.
    pub(super) fn add(
        &mut self,
        now: Instant,
        rules: &Rules,
        chunk: Chunk,
    ) -> Result<(DataAck, Option<Analysis>), Refusal> {
        let Chunk { data, signal, seconds, is_empty } = chunk;
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
        if is_empty {
            return Err(bad(code::UNPACKER_RPC_ERROR, "the payload is empty"));
        }
        // Without a number, FIRST is taken for the client's habit rather than for a fresh start.
        let is_fresh = data.chunk_order.map_or(rules.first_resets, |order| order == 0);
        if action.place == Place::First && is_fresh {
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
        let id = format!("{}:{number}", self.id);
        let alone = action.process.then(|| signal.clone());
        self.append(signal);
        let earliest = now + Duration::from_millis(rules.latency);
        let analysis = alone.map(|chunk| self.analysis(&id, earliest, chunk, rules.note.clone()));
        if action.place == Place::Last {
            self.close();
        }
        Ok((DataAck { id, chunk_order: number }, analysis))
    }

    fn analysis(
        &mut self,
        data_id: &str,
        earliest: Instant,
        chunk: Signal,
        note: Option<String>,
    ) -> Analysis {
        let outcome = Outcome {
            measurement_id: self.id.clone(),
            data_id: data_id.to_owned(),
            result_id: Uuid::new_v4().to_string(),
            ..Outcome::default()
        };
        self.wanted += 1;
        let id = outcome.result_id.clone();
        self.expected.push_back(Expected { id, epoch: self.epoch, earliest, analysed: None });
        Analysis { window: self.window.clone(), chunk, note, outcome, withheld: Vec::new() }
    }

    /// A result has been found out. Gives those whose turn it is: none before those of earlier chunks.
    pub(super) fn analysed(&mut self, analysed: Analysed) -> Vec<Ready> {
        let id = &analysed.outcome.result_id;
        if let Some(expected) = self.expected.iter_mut().find(|expected| expected.id == *id) {
            expected.analysed = Some(analysed);
        }
        let mut ready = Vec::new();
        while let Some(Expected { epoch, earliest, analysed, .. }) = self.expected.front_mut()
            && let Some(analysed) = analysed.take()
        {
            ready.push(Ready { epoch: *epoch, earliest: *earliest, analysed });
            self.expected.pop_front();
        }
        ready
    }

    /// What waits for results whose turn it is not yet; the measurement is forgotten.
    pub(super) fn withheld(self) -> impl Iterator<Item = Output> {
        self.expected.into_iter().filter_map(|expected| expected.analysed).flat_map(|found| found.withheld)
    }

    fn restart(&mut self) {
        (self.next, self.seconds, self.begun, self.wanted) = (0, 0.0, None, 0);
        self.epoch = self.epoch.wrapping_add(1);
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

    /// Whether no more results will be ready than have been.
    pub(super) fn is_complete(&self) -> bool {
        self.closed && self.outcomes.len() + self.held.len() >= self.wanted
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
