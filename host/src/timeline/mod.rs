//! The timeline: one bounded bus on which every service publishes what happens, when, and to whom.
//!
//! Publishing never waits and never fails. Each subscriber has room for [`CAPACITY`] entries; one that falls
//! further behind loses the oldest and is told how many ([`Missed`]). A bus [with the latest](Bus::with_latest) keeps
//! the newest entry of every topic for who comes late, [`TOPICS`] of each kind at most.

mod latest;
mod value;

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use latest::Latest;

pub use latest::TOPICS;
pub use value::{Value, Written};

/// How many entries a subscriber may lag behind before it loses the oldest.
pub const CAPACITY: usize = 4096;

/// Which conversation an entry belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// OBD-II values and adapter states.
    Car,
    /// OCTANE: signals, crossings, gates, beacons, V2X.
    Road,
    /// The relay: commands and monitors.
    Device,
    /// The hub: chat and presence.
    Crew,
    /// DFX: vital signs.
    Driver,
}

impl Source {
    /// The source of this name, as JSON has it: `car`, `road`, `device`, `crew` or `driver`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "car" => Some(Self::Car),
            "road" => Some(Self::Road),
            "device" => Some(Self::Device),
            "crew" => Some(Self::Crew),
            "driver" => Some(Self::Driver),
            _ => None,
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// When, by the clock of its origin where that is known.
    pub time: Timestamp,
    /// In which conversation.
    pub source: Source,
    /// What about, as a path within the source: `RPM`, `intersection/4`, `room:lobby/shout`.
    pub topic: String,
    /// What.
    pub value: Value,
}

/// The bus itself; clones share it.
#[derive(Clone, Debug)]
pub struct Bus {
    entries: broadcast::Sender<Arc<Entry>>,
    latest: Option<Arc<Mutex<Latest>>>,
}

impl Bus {
    /// A bus without subscribers, which remembers nothing.
    pub fn new() -> Self {
        Self { entries: broadcast::Sender::new(CAPACITY), latest: None }
    }

    /// A bus that remembers the newest entry of every topic.
    pub fn with_latest() -> Self {
        Self { latest: Some(Arc::default()), ..Self::new() }
    }

    /// Publishes a value that was observed now.
    pub fn publish(&self, source: Source, topic: impl Into<String>, value: Value) {
        self.publish_at(Timestamp::now(), source, topic, value);
    }

    /// Publishes a value that its origin dated.
    pub fn publish_at(&self, time: Timestamp, source: Source, topic: impl Into<String>, value: Value) {
        if !self.is_watched() {
            return;
        }
        let entry = Arc::new(Entry { time, source, topic: topic.into(), value });
        // Remembered and sent under one lock: who follows gets every entry once.
        let mut latest = self.latest.as_ref().map(|latest| lock(latest));
        if let Some(latest) = &mut latest {
            latest.remember(Arc::clone(&entry));
        }
        // The only error is that nobody listens any more, which is no error here.
        let _ = self.entries.send(entry);
    }

    /// Whether anybody reads what is published: if not, it need not be made.
    pub fn is_watched(&self) -> bool {
        self.latest.is_some() || self.entries.receiver_count() > 0
    }

    /// Everything published from now on.
    pub fn subscribe(&self) -> Subscriber {
        Subscriber { entries: self.entries.subscribe() }
    }

    /// What is remembered, oldest first, and everything published from now on.
    pub fn subscribe_with_latest(&self) -> (Vec<Arc<Entry>>, Subscriber) {
        let latest = self.latest.as_ref().map(|latest| lock(latest));
        let present = latest.as_deref().map(Latest::entries).unwrap_or_default();
        (present, self.subscribe())
    }
}

fn lock(latest: &Mutex<Latest>) -> std::sync::MutexGuard<'_, Latest> {
    // It is whole between any two statements that change it.
    latest.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Bus {
    fn default() -> Self {
        Self::new()
    }
}

/// One reader of the bus.
#[derive(Debug)]
pub struct Subscriber {
    entries: broadcast::Receiver<Arc<Entry>>,
}

/// The subscriber was too slow and lost this many of the oldest entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} timeline entries were missed by a slow reader")]
pub struct Missed(pub u64);

impl Subscriber {
    /// The next entry; `None` once every [`Bus`] is gone.
    ///
    /// # Errors
    /// [`Missed`] says how many were lost; the next call continues with the oldest that is left.
    pub async fn next(&mut self) -> Option<Result<Arc<Entry>, Missed>> {
        match self.entries.recv().await {
            Ok(entry) => Some(Ok(entry)),
            Err(RecvError::Lagged(count)) => Some(Err(Missed(count))),
            Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_subscriber_is_told_what_it_missed() {
        let bus = Bus::new();
        let mut subscriber = bus.subscribe();
        for count in 0..CAPACITY + 3 {
            bus.publish(Source::Car, count.to_string(), Value::Bool(true));
        }
        assert_eq!(subscriber.next().await, Some(Err(Missed(3))));
        assert_eq!(subscriber.next().await.unwrap().unwrap().topic, "3");
    }

    #[tokio::test]
    async fn who_follows_gets_the_present_and_then_the_future() {
        let bus = Bus::with_latest();
        bus.publish(Source::Car, "RPM", Value::Bool(false));
        bus.publish(Source::Road, "gate/1", Value::Bool(false));
        bus.publish(Source::Car, "RPM", Value::Bool(true));
        let (present, mut future) = bus.subscribe_with_latest();
        bus.publish(Source::Crew, "room:lobby/shout", Value::Bool(true));
        let topics: Vec<_> = present.iter().map(|entry| entry.topic.as_str()).collect();
        assert_eq!(topics, ["gate/1", "RPM"]);
        assert_eq!(present[1].value, Value::Bool(true));
        assert_eq!(future.next().await.unwrap().unwrap().topic, "room:lobby/shout");
    }

    #[test]
    fn without_memory_or_reader_nothing_is_made() {
        let bus = Bus::new();
        assert!(!bus.is_watched());
        assert!(Bus::with_latest().is_watched());
        let (present, reader) = bus.subscribe_with_latest();
        assert!(present.is_empty() && bus.is_watched());
        drop(reader);
        assert!(!bus.is_watched());
    }
}
