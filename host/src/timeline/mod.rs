//! The timeline: one bounded bus on which every service publishes what happens, when, and to whom.
//!
//! Publishing never waits and never fails. Each subscriber has room for [`CAPACITY`] entries; one that falls
//! further behind loses the oldest and is told how many ([`Missed`]). A bus that [remembers](Bus::remembering) keeps
//! the newest entry of every topic for who comes late, [`TOPICS`] of each kind at most.

mod latest;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use latest::Latest;

pub use latest::TOPICS;

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
    /// The same, as JSON that is written once.
    Written(Written),
}

impl Value {
    /// Something with a structure of its own.
    pub fn written(value: &impl Serialize) -> Self {
        value.write().into()
    }

    /// Something with a structure of its own that is written when somebody first reads it, which may be never: whoever
    /// publishes is not held up.
    pub fn later(value: impl Serialize + Send + Sync + 'static) -> Self {
        Self::Written(Written::later(value))
    }
}

impl From<Box<RawValue>> for Value {
    fn from(json: Box<RawValue>) -> Self {
        Arc::<RawValue>::from(json).into()
    }
}

impl From<Arc<RawValue>> for Value {
    fn from(json: Arc<RawValue>) -> Self {
        Self::Written(json.into())
    }
}

/// JSON that is written once, by whichever of its clones is read first, and passed on as it is.
#[derive(Clone)]
pub struct Written(Arc<Writing>);

struct Writing {
    json: OnceLock<Arc<RawValue>>,
    /// What it is made of, if it is not written from the beginning.
    value: Option<Box<dyn Write + Send + Sync>>,
}

impl From<Box<RawValue>> for Written {
    fn from(json: Box<RawValue>) -> Self {
        Arc::<RawValue>::from(json).into()
    }
}

impl From<Arc<RawValue>> for Written {
    fn from(json: Arc<RawValue>) -> Self {
        Self(Arc::new(Writing { json: json.into(), value: None }))
    }
}

/// What can be written as JSON.
trait Write {
    fn write(&self) -> Box<RawValue>;
}

impl<T: Serialize> Write for T {
    fn write(&self) -> Box<RawValue> {
        // What cannot be written has keys that are no text, which nothing that is published has.
        serde_json::value::to_raw_value(self).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }
}

impl Written {
    /// JSON that is written when somebody first reads it.
    pub fn later(value: impl Serialize + Send + Sync + 'static) -> Self {
        Self(Arc::new(Writing { json: OnceLock::new(), value: Some(Box::new(value)) }))
    }

    /// The JSON.
    pub fn json(&self) -> &Arc<RawValue> {
        let Writing { json, value } = &*self.0;
        let write = || value.as_ref().map_or_else(|| RawValue::NULL.to_owned(), |value| value.write());
        json.get_or_init(|| write().into())
    }
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Written").field(&self.json().get()).finish()
    }
}

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json().serialize(serializer)
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.json().get() == other.json().get()
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
    pub fn remembering() -> Self {
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
    pub fn follow(&self) -> (Vec<Arc<Entry>>, Subscriber) {
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
    use std::sync::atomic::{AtomicUsize, Ordering};

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
        let bus = Bus::remembering();
        bus.publish(Source::Car, "RPM", Value::Bool(false));
        bus.publish(Source::Road, "gate/1", Value::Bool(false));
        bus.publish(Source::Car, "RPM", Value::Bool(true));
        let (present, mut future) = bus.follow();
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
        assert!(Bus::remembering().is_watched());
        let (present, reader) = bus.follow();
        assert!(present.is_empty() && bus.is_watched());
        drop(reader);
        assert!(!bus.is_watched());
    }

    #[test]
    fn what_nobody_reads_is_not_written_and_what_many_read_is_written_once() {
        struct Counted(Arc<AtomicUsize>);
        impl Serialize for Counted {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u64(self.0.fetch_add(1, Ordering::Relaxed) as u64)
            }
        }
        let count = Arc::new(AtomicUsize::new(0));
        let written = Written::later(Counted(Arc::clone(&count)));
        let value = Value::Written(written.clone());
        assert_eq!(count.load(Ordering::Relaxed), 0);
        assert_eq!((serde_json::to_string(&value).unwrap().as_str(), written.json().get()), ("0", "0"));
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn values_are_clean_json() {
        let json = |value| serde_json::to_string(&value).unwrap();
        assert_eq!(json(Value::Quantity { value: 1500.0, unit: "rpm" }), r#"{"value":1500.0,"unit":"rpm"}"#);
        assert_eq!(json(Value::Text("P0133".into())), r#""P0133""#);
        assert_eq!(json(Value::written(&["P0133"])), r#"["P0133"]"#);
        assert_eq!(json(Value::later(["P0133"])), r#"["P0133"]"#);
    }
}
