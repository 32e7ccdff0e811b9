//! The newest entry of every topic, so that who comes late sees the present at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Bus, Entry, Source, Subscriber};

/// How many topics are remembered; entries of further topics are still published but not remembered.
pub const TOPICS: usize = 2048;

type Topics = HashMap<Source, HashMap<String, Arc<Entry>>>;

/// Follows a bus in a task of its own; clones share what it remembers.
#[derive(Clone, Debug)]
pub struct Latest {
    topics: Arc<Mutex<Topics>>,
    bus: Bus,
}

impl Latest {
    /// Starts to follow `bus`; must be called within a tokio runtime.
    pub fn follow(bus: &Bus) -> Self {
        let latest = Self { topics: Arc::default(), bus: bus.clone() };
        let mut entries = bus.subscribe();
        let topics = Arc::downgrade(&latest.topics);
        tokio::spawn(async move {
            while let Some(entry) = entries.next().await {
                let Some(topics) = topics.upgrade() else { return };
                // A missed entry is only an older state of its topic.
                if let Ok(entry) = entry {
                    remember(&mut topics.lock().unwrap_or_else(PoisonError::into_inner), entry);
                }
            }
        });
        latest
    }

    /// The present, oldest entry first, and everything from now on. An entry may be in both.
    pub fn subscribe(&self) -> (Vec<Arc<Entry>>, Subscriber) {
        let future = self.bus.subscribe();
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let mut present: Vec<_> = topics.values().flat_map(HashMap::values).cloned().collect();
        present.sort_by_key(|entry| entry.time);
        (present, future)
    }
}

fn remember(topics: &mut Topics, entry: Arc<Entry>) {
    let known: usize = topics.values().map(HashMap::len).sum();
    let source = topics.entry(entry.source).or_default();
    if let Some(newest) = source.get_mut(&entry.topic) {
        *newest = entry;
    } else if known < TOPICS {
        source.insert(entry.topic.clone(), entry);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Value;
    use super::*;

    fn entry(topic: &str, value: bool) -> Arc<Entry> {
        let time = jiff::Timestamp::UNIX_EPOCH;
        Arc::new(Entry { time, source: Source::Road, topic: topic.into(), value: Value::Bool(value) })
    }

    #[test]
    fn the_newest_entry_of_a_topic_replaces_the_older() {
        let mut topics = Topics::new();
        remember(&mut topics, entry("gate/1", false));
        remember(&mut topics, entry("gate/1", true));
        assert_eq!(topics[&Source::Road]["gate/1"].value, Value::Bool(true));
    }

    #[test]
    fn topics_beyond_the_bound_are_not_remembered() {
        let mut topics = Topics::new();
        for count in 0..TOPICS + 10 {
            remember(&mut topics, entry(&count.to_string(), true));
        }
        assert_eq!(topics[&Source::Road].len(), TOPICS);
    }
}
