//! The timeline: one bounded bus on which every service publishes what happens, when, and to whom.
//!
//! Publishing never waits and never fails. Each subscriber has room for [`CAPACITY`] entries; one that falls
//! further behind loses the oldest and is told how many ([`Missed`]).

mod latest;

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

pub use latest::{Latest, TOPICS};

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

/// A typed value with its unit in the usual symbols (`rpm`, `km/h`, `°C`, `kPa`, `%`, `V`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Something that is or is not.
    Bool(bool),
    /// A measured quantity.
    Quantity {
        /// The magnitude in `unit`.
        value: f64,
        /// The unit's symbol; empty for a plain number.
        unit: &'static str,
    },
    /// A name, a code, a sentence.
    Text(String),
    /// Anything with more structure.
    Json(serde_json::Value),
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
}

impl Bus {
    /// A bus without subscribers.
    pub fn new() -> Self {
        Self { entries: broadcast::Sender::new(CAPACITY) }
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
        // The only error is that nobody listens any more, which is no error here.
        let _ = self.entries.send(Arc::new(Entry { time, source, topic: topic.into(), value }));
    }

    /// Whether anybody reads what is published: if not, it need not be made.
    pub fn is_watched(&self) -> bool {
        self.entries.receiver_count() > 0
    }

    /// Everything published from now on.
    pub fn subscribe(&self) -> Subscriber {
        Subscriber { entries: self.entries.subscribe() }
    }
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

    #[test]
    fn values_are_clean_json() {
        let json = |value| serde_json::to_string(&value).unwrap();
        assert_eq!(json(Value::Quantity { value: 1500.0, unit: "rpm" }), r#"{"value":1500.0,"unit":"rpm"}"#);
        assert_eq!(json(Value::Text("P0133".into())), r#""P0133""#);
    }
}
