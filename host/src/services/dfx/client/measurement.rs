//! A recording of any length: paced chunks, and a new measurement whenever one is full.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::SelectAll;
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

/// A recording in progress. When the server closes its measurement after two minutes, the next chunk begins another;
/// the results of all of them come from [`next`](Self::next).
#[derive(Debug)]
pub struct Measurement {
    client: DfxClient,
    create: Create,
    pace: Pace,
    id: String,
    results: SelectAll<Results>,
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
            results: SelectAll::new(),
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
        self.id = self.client.create_measurement(&self.create).await?;
        self.results.push(self.client.subscribe(&self.id).await?);
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
        self.results = SelectAll::new();
        self.results.push(self.client.subscribe(&self.id).await?);
        Ok(())
    }

    /// Adds a chunk that took `length` to measure; with [`Pace::RealTime`] not before it could have been measured. If
    /// the measurement is closed, the chunk begins a new one. Safe to drop while it waits for its time.
    ///
    /// # Errors
    /// [`CallError`]; on [`RateLimited`](CallError::RateLimited) wait and add the chunk again.
    pub async fn add(&mut self, payload: &[u8], length: Duration, last: bool) -> Result<DataAck, CallError> {
        if let Some(due) = self.due(length).filter(|_| self.pace == Pace::RealTime) {
            sleep_until(due).await;
        }
        let ack = match self.send(payload, last).await {
            // Not if it was not begun by us: then it would be closed again and again.
            Err(CallError::MeasurementClosed(_)) if !self.fresh => {
                self.begin().await?;
                self.send(payload, last).await?
            }
            sent => sent?,
        };
        self.earliest = Some(self.earliest.map_or_else(Instant::now, |earliest| earliest + length));
        self.fresh = false;
        self.added += 1;
        Ok(ack)
    }

    async fn send(&self, payload: &[u8], last: bool) -> Result<DataAck, CallError> {
        let place = match (last, self.fresh) {
            (true, _) => Place::Last,
            (false, true) => Place::First,
            (false, false) => Place::Chunk,
        };
        self.client.add_data(&self.id, ChunkAction { place, process: true }, payload.to_vec()).await
    }

    /// The next result of any chunk; `None` when all streams have ended. Safe to drop while it waits.
    ///
    /// # Errors
    /// [`ResultError`].
    pub async fn next(&mut self) -> Option<Result<Outcome, ResultError>> {
        self.results.next().await
    }

    /// How many chunks the server has taken.
    pub fn added_count(&self) -> usize {
        self.added
    }
}
