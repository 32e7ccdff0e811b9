//! The newest entry of every topic.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::HashMap;
use foldhash::fast::RandomState;

use super::{Entry, Source};

/// How many topics of one kind are remembered. One more, and the one that was silent longest is forgotten: topics that
/// somebody makes up (names of rooms, ids of monitors) crowd out only their own kind.
pub const TOPICS: usize = 512;

/// How many kinds there are of one source; all others are one together.
const KINDS: usize = 64;

/// What a bus remembers.
#[derive(Debug, Default)]
pub(super) struct Latest {
    /// By kind and topic.
    topics: HashMap<Kind, HashMap<String, Remembered>>,
    kinds: HashMap<Source, usize>,
    hasher: RandomState,
    /// Counts what comes: the clock of an origin does not decide what is old.
    arrived: u64,
}

#[derive(Debug)]
struct Remembered {
    arrived: u64,
    entry: Arc<Entry>,
}

/// The hash of what topics of one kind have in common. Kinds whose hashes are the same share their places.
type Kind = u64;

impl Latest {
    /// Keeps an entry in the place of its topic's last.
    pub(super) fn remember(&mut self, entry: Arc<Entry>) {
        self.arrived += 1;
        let arrived = self.arrived;
        let mut kind = self.kind(&entry);
        if !self.topics.contains_key(&kind) {
            let kinds = self.kinds.entry(entry.source).or_default();
            if *kinds < KINDS {
                *kinds += 1;
            } else {
                kind = self.hasher.hash_one(entry.source);
            }
        }
        let topics = self.topics.entry(kind).or_default();
        if let Some(newest) = topics.get_mut(&entry.topic) {
            *newest = Remembered { arrived, entry };
            return;
        }
        if topics.len() >= TOPICS {
            let oldest = topics.iter().min_by_key(|(_, topic)| topic.arrived).map(|(topic, _)| topic.clone());
            topics.remove(&oldest.unwrap_or_default());
        }
        topics.insert(entry.topic.clone(), Remembered { arrived, entry });
    }

    /// What a topic is about, without the name of the one thing: of `monitor/0123…` it is `monitor`, of
    /// `room:lobby/shout` `room` and `shout`.
    fn kind(&self, entry: &Entry) -> Kind {
        let words = match entry.topic.split_once(':') {
            Some((class, rest)) => (class, rest.rsplit('/').next()),
            None => (entry.topic.split('/').next().unwrap_or_default(), None),
        };
        self.hasher.hash_one((entry.source, words))
    }

    /// Everything that is remembered, in the order in which it came.
    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        let mut all: Vec<_> = self.topics.values().flat_map(HashMap::values).collect();
        all.sort_by_key(|topic| topic.arrived);
        all.into_iter().map(|topic| Arc::clone(&topic.entry)).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, ToSpan};

    use super::super::Value;
    use super::*;

    fn entry(source: Source, topic: String, second: usize) -> Arc<Entry> {
        let time = Timestamp::UNIX_EPOCH + (second as i64).seconds();
        Arc::new(Entry { time, source, topic, value: Value::Bool(true) })
    }

    #[test]
    fn each_kind_of_topic_forgets_its_own_oldest() {
        let mut latest = Latest::default();
        for number in 0..300 {
            latest.remember(entry(Source::Device, format!("monitor/{number}"), 0));
        }
        for number in 0..TOPICS + 10 {
            latest.remember(entry(Source::Device, format!("command/{number}"), number));
            latest.remember(entry(Source::Crew, format!("room:{number}/shout"), number));
            latest.remember(entry(Source::Crew, format!("room:{}/members", number % 9), number));
        }
        let topics: Vec<_> = latest.entries().iter().map(|entry| entry.topic.clone()).collect();
        let count = |kind: &str| topics.iter().filter(|topic| topic.contains(kind)).count();
        assert_eq!((count("monitor/"), count("command/"), count("/members")), (300, TOPICS, 9));
        assert_eq!(count("/shout"), TOPICS);
        assert!(!topics.contains(&"command/9".to_owned()) && topics.contains(&"command/10".to_owned()));
    }

    #[test]
    fn what_came_last_is_newest_whatever_its_clock_says() {
        let mut latest = Latest::default();
        for (topic, second) in [("a", 30), ("b", 10), ("c", 20), ("a", 0)] {
            latest.remember(entry(Source::Car, topic.to_owned(), second));
        }
        let order: Vec<_> = latest.entries().iter().map(|entry| entry.topic.clone()).collect();
        assert_eq!(order, ["b", "c", "a"]);
    }

    #[test]
    fn made_up_kinds_are_bounded_too() {
        let mut latest = Latest::default();
        for number in 0..10_000 {
            latest.remember(entry(Source::Crew, format!("kind{number}:x/y"), number));
        }
        assert_eq!(latest.entries().len(), KINDS + TOPICS);
    }
}
