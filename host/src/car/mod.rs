//! The car: what it can be asked, what its answers mean, and the link over which it is asked.
//!
//! [`Car`] is a cheap handle on one task that owns the adapter (`link`). The task connects, connects again
//! after every fault, later and later, finds out what the car supports, answers [queries](Car::query), and in
//! between asks round after round for what is [watched](Car::watcher). Every value goes to the
//! [timeline](crate::timeline) and to everyone who [listens](Car::readings). On SAE J1939, where nobody answers, it listens
//! to the bus meanwhile ([`j1939`]).

mod adapter_connection;
pub mod decode;
pub mod descriptions;
mod item;
pub mod j1939;
mod link;
mod polling;
mod reading;
pub mod relay_commands;
pub mod signals;
pub mod value;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloverleaf_core::bus::Protocol;
use cloverleaf_core::elm327::session::{Failure, Filter, Link, Refused, Target};
use cloverleaf_core::elm327::wire::Status;
use cloverleaf_core::obd2::DecodeError;
use jiff::Timestamp;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use item::{Item, Supported, What, only_reads};
pub use reading::{Reading, Reply};

use crate::timeline::Bus;
use crate::transport::Adapter;
use descriptions::Descriptions;
use signals::{Sessions, Signals};

/// Queries that may wait for the link; another one fails with [`QueryError::Busy`].
const JOBS: usize = 64;
/// Readings that a listener may lag behind before it loses the oldest.
const READINGS: usize = 1024;
/// Frames that may wait for whoever monitors; later ones are lost, and counted as a gap.
const FRAMES: usize = 4096;

/// How long a question may wait for a car that is being looked for.
const SEARCHING: Duration = Duration::from_secs(2);

/// How to reach a car.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the adapter is.
    pub adapter: Adapter,
    /// The serial rate to change the adapter to once it is connected, in bits per second (`AT BRD`); it stays at its
    /// own when it cannot, and where there is no serial port.
    pub adapter_baud: Option<u32>,
    /// The bus, if it is known; else the adapter searches.
    pub protocol: Option<Protocol>,
    /// Commands beyond the standard's. They live as long as the program.
    pub signals: Option<&'static Signals>,
    /// The model year, to choose among signals of the same name.
    pub year: Option<u16>,
    /// Words for trouble codes, if there are others than those of their structure. They live as long as the program.
    pub descriptions: Option<&'static Descriptions>,
}

/// The connection as it is now.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// How far it reaches.
    pub link: Link,
    /// What the port is called; empty while there is none.
    pub port: String,
    /// The bus, once found.
    pub protocol: Option<Protocol>,
    /// What the adapter calls itself.
    pub banner: String,
    /// The voltage at the socket, in millivolts.
    pub millivolts: Option<u32>,
    /// What the car supports; none until it has been asked.
    pub supported: Option<Arc<Supported>>,
    /// Why the link does not reach further, for people.
    pub trouble: Option<String>,
    /// Whether the connection was closed on purpose.
    pub closed: bool,
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The link does not reach the car.
    #[error("not connected to a car{}", .0.as_ref().map(|trouble| format!(": {trouble}")).unwrap_or_default())]
    NotConnected(Option<String>),
    /// More queries are waiting than the link can take.
    #[error("too many queries are waiting ({JOBS})")]
    Busy,
    /// The link cannot send it.
    #[error("{0}")]
    Refused(Refused),
    /// There was no answer, or none that can be read.
    #[error("{0}")]
    Failed(Failure),
    /// The answer is not what was asked for, or a refusal of the control unit.
    #[error("{0}")]
    Decode(#[from] DecodeError),
}

impl QueryError {
    /// Whether there was just no answer on the bus.
    pub(crate) fn is_no_data(&self) -> bool {
        *self == Self::Failed(Failure::Adapter(Status::NoData))
    }
}

/// A handle on the link; clones share it. The link ends with its last handle.
#[derive(Clone, Debug)]
pub struct Car {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    adapter: String,
    jobs: mpsc::Sender<Job>,
    state: watch::Receiver<State>,
    readings: broadcast::Sender<Arc<Reading>>,
    watched: Arc<Watched>,
    open: watch::Sender<bool>,
    signals: Option<&'static Signals>,
    year: Option<u16>,
    descriptions: &'static Descriptions,
    timeline: Bus,
    _end: DropGuard,
}

/// What someone wants of the link.
#[derive(Debug)]
enum Job {
    /// A question to the car.
    Request {
        data: Vec<u8>,
        target: Target,
        sessions: Sessions,
        answer: oneshot::Sender<Result<Reply, QueryError>>,
    },
    /// A line to the adapter.
    Command { text: String, answer: oneshot::Sender<Result<Vec<String>, QueryError>> },
    /// Low power.
    Sleep { answer: oneshot::Sender<Result<(), QueryError>> },
    /// The traffic on the bus, for as long as someone takes it.
    Monitor { filter: Filter, frames: mpsc::Sender<Result<Frame, QueryError>> },
}

/// One frame heard while monitoring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When it was received.
    pub time: Timestamp,
    /// Identifier and data, as the adapter printed them, without blanks.
    pub hex: String,
    /// How many frames were lost before this one because nobody took them in time; the adapter's own losses
    /// count as one each.
    pub lost: u64,
}

impl Car {
    /// Starts the link; must be called within a runtime. It connects by itself.
    pub fn connect(options: Options, timeline: Bus) -> Self {
        let (jobs, queue) = mpsc::channel(JOBS);
        let (state, states) = watch::channel(State::default());
        let (open, opened) = watch::channel(true);
        let readings = broadcast::Sender::new(READINGS);
        let watched = Arc::<Watched>::default();
        let end = CancellationToken::new();
        let shared = Shared {
            adapter: options.adapter.to_string(),
            jobs,
            state: states,
            readings: readings.clone(),
            watched: watched.clone(),
            open,
            signals: options.signals,
            year: options.year,
            descriptions: options.descriptions.unwrap_or_else(Descriptions::composed),
            timeline: timeline.clone(),
            _end: end.clone().drop_guard(),
        };
        tokio::spawn(link::tell_adapter(shared.state.clone(), timeline.clone()));
        let publisher = link::Publisher { state, readings, timeline };
        let link = link::Task::new(options, publisher, queue, watched, opened);
        tokio::spawn(end.run_until_cancelled_owned(link.run()));
        Self { shared: Arc::new(shared) }
    }

    /// Where the adapter is, as it was given: `sim`, `auto`, a path, a URL.
    pub fn adapter(&self) -> &str {
        &self.shared.adapter
    }

    /// The connection as it is now.
    pub fn state(&self) -> State {
        self.shared.state.borrow().clone()
    }

    /// The connection as it changes.
    pub fn states(&self) -> watch::Receiver<State> {
        self.shared.state.clone()
    }

    /// Every reading from now on, whoever asked for it.
    pub fn readings(&self) -> broadcast::Receiver<Arc<Reading>> {
        self.shared.readings.subscribe()
    }

    /// What a name stands for: a command of the standard (`RPM`), or a signal or command of the loaded signal sets.
    pub fn find(&self, name: &str) -> Option<Item> {
        Item::find(name, self.shared.signals, self.shared.year, self.shared.descriptions)
    }

    /// Commands beyond the standard's.
    pub fn signals(&self) -> Option<&'static Signals> {
        self.shared.signals
    }

    /// The model year, if it is known.
    pub fn year(&self) -> Option<u16> {
        self.shared.year
    }

    /// The words for trouble codes.
    pub fn descriptions(&self) -> &'static Descriptions {
        self.shared.descriptions
    }

    /// Whether the car is known to answer this. Not known, while not connected, is no.
    pub fn supports(&self, item: &Item) -> bool {
        let state = self.shared.state.borrow();
        state.supported.as_ref().is_some_and(|supported| supported.contains(item))
    }

    /// Waits until a car is connected and what it supports is known. On SAE J1939, where nobody says so, until the bus is
    /// listened to.
    ///
    /// # Errors
    /// [`QueryError::NotConnected`] with the latest reason when that takes longer than `timeout`.
    pub async fn wait_connected(&self, timeout: Duration) -> Result<(), QueryError> {
        let mut states = self.states();
        let connected = |state: &State| state.supported.is_some();
        match tokio::time::timeout(timeout, states.wait_for(connected)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(QueryError::NotConnected(self.state().trouble)),
        }
    }

    /// Asks for one item, once.
    ///
    /// # Errors
    /// [`QueryError`]; a reading whose control units all refused is no error here but in [`Reading::value`].
    pub async fn query(&self, item: &Item) -> Result<Reading, QueryError> {
        let reply = match item.adapter_command() {
            Some(text) => self.command(text).await.map(Reply::text),
            None => self.ask(item.request(), item.target(), item.sessions()).await,
        };
        let reading = Reading::of(item.clone(), Timestamp::now(), reply);
        if let Err(error) = &reading.reply {
            return Err(error.clone());
        }
        reading.publish(&self.shared.timeline);
        // The only error is that nobody listens.
        let _ = self.shared.readings.send(Arc::new(reading.clone()));
        Ok(reading)
    }

    /// Asks the car anything; the answer is every message that came. While the adapter searches for the car, or learns what
    /// it supports, nobody waits for longer than two seconds.
    ///
    /// # Errors
    /// [`QueryError`]
    pub async fn request(&self, data: &[u8], target: Target) -> Result<Reply, QueryError> {
        self.ask(data.into(), target, Sessions::default()).await
    }

    async fn ask(&self, data: Vec<u8>, target: Target, sessions: Sessions) -> Result<Reply, QueryError> {
        let (answer, mut answered) = oneshot::channel();
        self.send(Job::Request { data, target, sessions, answer })?;
        let answer = match tokio::time::timeout(SEARCHING, &mut answered).await {
            Err(_) if self.state().supported.is_none() => {
                let trouble = self.state().trouble;
                let searching = || "the adapter searches for the car".to_owned();
                return Err(QueryError::NotConnected(Some(trouble.unwrap_or_else(searching))));
            }
            Err(_) => answered.await,
            Ok(answer) => answer,
        };
        answer.unwrap_or(Err(QueryError::NotConnected(None)))
    }

    /// Sends a line to the adapter as it is, and gives the lines it answers.
    ///
    /// # Errors
    /// [`QueryError`]
    pub async fn command(&self, text: &str) -> Result<Vec<String>, QueryError> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Command { text: text.into(), answer })?;
        answered.await.unwrap_or(Err(QueryError::NotConnected(None)))
    }

    /// Listens to the bus until the receiver is dropped. At most 4096 frames wait for it; then they are
    /// lost, and counted in the next [`Frame::lost`]. Queries wait meanwhile.
    ///
    /// # Errors
    /// [`QueryError::Busy`]; later errors come through the receiver and end it.
    pub fn monitor(&self, filter: Filter) -> Result<mpsc::Receiver<Result<Frame, QueryError>>, QueryError> {
        let (frames, received) = mpsc::channel(FRAMES);
        self.send(Job::Monitor { filter, frames })?;
        Ok(received)
    }

    /// Puts the adapter into low power and closes the connection; connecting again wakes it.
    ///
    /// # Errors
    /// [`QueryError`], also when the adapter has no low power; the connection stays open then.
    pub async fn sleep(&self) -> Result<(), QueryError> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Sleep { answer })?;
        answered.await.unwrap_or(Err(QueryError::NotConnected(None)))?;
        self.close();
        Ok(())
    }

    /// Closes the connection until [`open`](Self::open).
    pub fn close(&self) {
        self.shared.open.send_replace(false);
    }

    /// Opens a closed connection; an open one stays as it is.
    pub fn open(&self) {
        self.shared.open.send_replace(true);
    }

    /// Someone who watches; at first, nothing.
    pub fn watcher(&self) -> Watcher {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Watcher { watched: self.shared.watched.clone(), id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    fn send(&self, job: Job) -> Result<(), QueryError> {
        self.shared.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => QueryError::Busy,
            mpsc::error::TrySendError::Closed(_) => QueryError::NotConnected(None),
        })
    }
}

/// What everyone watches. The link asks for each item as often as the most eager watcher wants it.
#[derive(Debug, Default)]
struct Watched {
    watchers: Mutex<HashMap<u64, HashMap<Item, Duration>>>,
    version: AtomicU64,
    changed: Notify,
}

impl Watched {
    /// Changes whenever what is watched changes.
    fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<u64, HashMap<Item, Duration>>)) {
        change(&mut self.watchers.lock().unwrap_or_else(PoisonError::into_inner));
        self.version.fetch_add(1, Ordering::Release);
        self.changed.notify_one();
    }

    /// Every item with its shortest period.
    fn all(&self) -> HashMap<Item, Duration> {
        let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = HashMap::new();
        for (item, period) in watchers.values().flatten() {
            let shortest: &mut Duration = all.entry(item.clone()).or_insert(*period);
            *shortest = (*shortest).min(*period);
        }
        all
    }
}

/// Someone who watches, until dropped.
#[derive(Debug)]
pub struct Watcher {
    watched: Arc<Watched>,
    id: u64,
}

impl Watcher {
    /// Watches exactly these from now on, each at its period; a period of zero is as often as its signal set finds worth
    /// asking, else as often as the link can. Signals of one command are read from the same answer, so that the shortest
    /// of their periods is that of all. What does not [only read](Item::only_reads) is left out.
    pub fn watch(&self, items: impl IntoIterator<Item = (Item, Duration)>) {
        let own = |item: &Item, period: Duration| match item.every() {
            Some(every) if period.is_zero() => every,
            _ => period,
        };
        let items = items.into_iter().filter(|(item, _)| item.only_reads());
        let items = items.map(|(item, period)| (item.clone(), own(&item, period))).collect();
        self.watched.change(|watchers| {
            watchers.insert(self.id, items);
        });
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.watched.change(|watchers| {
            watchers.remove(&self.id);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_watched_as_often_as_its_set_says_unless_told_otherwise() {
        let set = include_str!("../../tests/signals/meadow.json");
        let signals = Box::leak(Box::new(Signals::from_text("meadow.json", set).expect("a signal set")));
        let item = |name| Item::find(name, Some(signals), None, Descriptions::composed()).expect(name);
        let watched = Arc::<Watched>::default();
        let watcher = Watcher { watched: watched.clone(), id: 0 };
        let second = Duration::from_secs(1);
        let zero = Duration::ZERO;
        watcher.watch([(item("MEADOW_ODO"), zero), (item("MEADOW_FUEL"), second), (item("RPM"), zero)]);
        let periods = watched.all();
        let period = |name| periods[&item(name)];
        assert_eq!(period("MEADOW_ODO"), Duration::from_millis(250));
        assert_eq!((period("MEADOW_FUEL"), period("RPM")), (second, zero));
    }
}
