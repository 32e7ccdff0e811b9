//! The newest entry of every topic.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Entry, Source};

/// How many topics of one source are remembered. One more, and the one that was silent longest is forgotten: a source
/// that makes up topics (names of rooms, ids of monitors) crowds out only its own.
pub const TOPICS: usize = 512;

/// What a bus remembers.
#[derive(Debug, Default)]
pub(super) struct Latest {
    topics: HashMap<Source, HashMap<String, Arc<Entry>>>,
}

impl Latest {
    /// Keeps an entry in the place of its topic's last.
    pub(super) fn remember(&mut self, entry: Arc<Entry>) {
        let topics = self.topics.entry(entry.source).or_default();
        if let Some(newest) = topics.get_mut(&entry.topic) {
            *newest = entry;
            return;
        }
        if topics.len() >= TOPICS {
            let oldest = topics.values().min_by_key(|entry| entry.time).map(|entry| entry.topic.clone());
            topics.remove(&oldest.unwrap_or_default());
        }
        topics.insert(entry.topic.clone(), entry);
    }

    /// Everything that is remembered, oldest first.
    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        let mut entries: Vec<_> = self.topics.values().flat_map(HashMap::values).cloned().collect();
        entries.sort_by_key(|entry| entry.time);
        entries
    }
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, ToSpan};

    use super::super::Value;
    use super::*;

    #[test]
    fn each_source_forgets_its_own_oldest_topic() {
        let mut latest = Latest::default();
        let entry = |source, second: usize| {
            let time = Timestamp::UNIX_EPOCH + (second as i64).seconds();
            Arc::new(Entry { time, source, topic: second.to_string(), value: Value::Bool(true) })
        };
        latest.remember(entry(Source::Car, 0));
        for second in 0..TOPICS + 10 {
            latest.remember(entry(Source::Crew, second));
        }
        let entries = latest.entries();
        assert_eq!(entries.len(), 1 + TOPICS);
        assert_eq!((entries[0].source, entries[1].topic.as_str()), (Source::Car, "10"));
    }
}
