//! A recording of any length: paced chunks, and a new measurement whenever one is full.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::{Instant, sleep_until};

use super::{CallError, DfxClient, ResultError, Results};
use crate::services::dfx::events::{ChunkAction, Create, DataAck, Outcome, Place};

/// Whether chunks are sent as fast as they could have been measured, or as fast as the server takes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// Chunk after chunk in real time.
    #[default]
    RealTime,
    /// At once.
    AtOnce,
}

/// How many measurements may still owe results; of more, the oldest is no longer waited for.
const PARTS: usize = 4;

/// The results of one measurement.
#[derive(Debug)]
struct Part {
    results: Results,
    /// How many chunks were added, and how many results have come.
    added: u64,
    came: u64,
    /// Whether another measurement was begun since.
    full: bool,
}

impl Part {
    fn new(results: Results) -> Self {
        Self { results, added: 0, came: 0, full: false }
    }

    fn is_done(&self) -> bool {
        self.full && self.came >= self.added
    }
}

/// A recording in progress. When the server closes its measurement after two minutes, the next chunk begins another;
/// the results of all of them come from [`next`](Self::next).
#[derive(Debug)]
pub struct Measurement {
    client: DfxClient,
    create: Create,
    pace: Pace,
    id: String,
    /// The results of this measurement and of those before it that have not come yet.
    parts: Vec<Part>,
    /// When the next chunk may be sent.
    earliest: Option<Instant>,
    /// Whether the current measurement has no chunk yet.
    fresh: bool,
    added: usize,
    measurements: usize,
}

impl Measurement {
    /// Creates a measurement and subscribes to its results.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn start(client: DfxClient, create: Create, pace: Pace) -> Result<Self, CallError> {
        let mut measurement = Self {
            client,
            create,
            pace,
            id: String::new(),
            parts: Vec::new(),
            earliest: None,
            fresh: true,
            added: 0,
            measurements: 0,
        };
        measurement.begin().await?;
        Ok(measurement)
    }

    /// The measurement that the next chunk goes to.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How many measurements it took so far.
    pub fn measurement_count(&self) -> usize {
        self.measurements
    }

    /// When a chunk of this length can have been measured: what [`Pace::RealTime`] waits for. `None` for the first.
    pub fn due(&self, length: Duration) -> Option<Instant> {
        Some(self.earliest? + length)
    }

    async fn begin(&mut self) -> Result<(), CallError> {
        let id = self.client.create_measurement(&self.create).await?;
        let results = self.client.subscribe(&id).await?;
        self.id = id;
        if let Some(before) = self.parts.last_mut() {
            before.full = true;
        }
        self.parts.retain(|part| !part.is_done());
        if self.parts.len() >= PARTS {
            self.parts.remove(0);
        }
        self.parts.push(Part::new(results));
        self.earliest = None;
        self.fresh = true;
        self.measurements += 1;
        Ok(())
    }

    /// Goes on over another connection, after the one before was lost: subscribes again. Results of the current
    /// measurement that were ready meanwhile are pushed by servers that keep them.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn resume(&mut self, client: DfxClient) -> Result<(), CallError> {
        self.client = client;
        self.parts.clear();
        self.parts.push(Part::new(self.client.subscribe(&self.id).await?));
        Ok(())
    }

    /// Adds a chunk that took `length` to measure; with [`Pace::RealTime`] not before it could have been measured. If
    /// the measurement is closed, the chunk begins a new one. Safe to drop while it waits for its time.
    ///
    /// # Errors
    /// [`CallError`]; on [`RateLimited`](CallError::RateLimited) wait and add the chunk again.
    pub async fn add(
        &mut self,
        payload: impl Into<Bytes>,
        length: Duration,
        last: bool,
    ) -> Result<DataAck, CallError> {
        let payload = payload.into();
        if let Some(due) = self.due(length).filter(|_| self.pace == Pace::RealTime) {
            sleep_until(due).await;
        }
        let ack = match self.send(payload.clone(), last).await {
            // Not if it was not begun by us: then it would be closed again and again.
            Err(CallError::MeasurementClosed(_)) if !self.fresh => {
                self.begin().await?;
                self.send(payload, last).await?
            }
            sent => sent?,
        };
        // What a stall has held up is not sent in a burst: one chunk at most is made up for.
        let now = Instant::now();
        let next = self.earliest.map_or(now, |earliest| earliest + length);
        self.earliest = Some(now.checked_sub(length).map_or(next, |late| next.max(late)));
        self.fresh = false;
        if let Some(part) = self.parts.last_mut() {
            part.added += 1;
        }
        self.added += 1;
        Ok(ack)
    }

    async fn send(&self, payload: Bytes, last: bool) -> Result<DataAck, CallError> {
        let place = match (last, self.fresh) {
            (true, _) => Place::Last,
            (false, true) => Place::First,
            (false, false) => Place::Chunk,
        };
        self.client.add_data(&self.id, ChunkAction { place, process: true }, payload).await
    }

    /// The next result of any chunk; `None` when all streams have ended. Safe to drop while it waits.
    ///
    /// # Errors
    /// [`ResultError`].
    pub async fn next(&mut self) -> Option<Result<Outcome, ResultError>> {
        poll_fn(|cx| {
            let mut index = 0;
            while let Some(part) = self.parts.get_mut(index) {
                match part.results.poll_next_unpin(cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready(None) => drop(self.parts.remove(index)),
                    Poll::Ready(Some(result)) => {
                        part.came += match result {
                            Err(ResultError::Missed(count)) => count,
                            _ => 1,
                        };
                        if part.is_done() {
                            self.parts.remove(index);
                        }
                        return Poll::Ready(Some(result));
                    }
                }
            }
            if self.parts.is_empty() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    /// How many chunks the server has taken.
    pub fn added_count(&self) -> usize {
        self.added
    }
}
