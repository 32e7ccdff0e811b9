//! `timeline:SOURCE`: what happens in one of the five conversations (`timeline:driver`), or in `timeline:all`, as
//! events of a channel.
//!
//! ```text
//! join   {"topics": ["heart_rate", "intersection/*"], "key": "…"}     all of it optional; without topics, everything
//! reply  {"entries": [{"time": …, "source": "driver", "topic": "heart_rate", "value": {"value": 72.0, "unit": "bpm"}}, …]}
//! event  an entry as it happens
//! missed {"count": 3}      as many entries were dropped, because they came faster than they could be told
//! ```
//!
//! The reply has the newest entry of every topic; every later one comes as an event. Beyond this machine the
//! timeline is shown only to those who have the dashboard's key.
//!
//! **Bounds:** of a quantity or a state only the newest is told, every [`PACE`]; at most [`PENDING`] entries wait for
//! that, of more the oldest are dropped and counted. A client that does not read is closed by its queue, like any.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cloverleaf_core::phoenix::wire::Body;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::channel::{Answer, Channel, Join, Member, Payload, Peer, Pusher, Refusal, Topic};
use crate::auth::Guard;
use crate::timeline::{Bus, Entry, Missed, Source, Subscriber, Value};

/// How often one client is told.
pub const PACE: Duration = Duration::from_millis(50);

/// How many entries may wait until then.
pub const PENDING: usize = 1024;

/// How many topics one client may name.
pub const TOPICS: usize = 100;

/// The topics `timeline:*` over a timeline.
#[derive(Debug)]
pub struct Timeline {
    bus: Bus,
    guard: Guard,
}

impl Timeline {
    /// Topics that show what is on `bus` to those whom `guard` lets in.
    pub fn new(bus: Bus, guard: Guard) -> Self {
        Self { bus, guard }
    }
}

/// What a client may join with.
#[derive(Debug, Default, Deserialize)]
struct Wish {
    topics: Option<Vec<String>>,
    key: Option<String>,
}

impl Topic for Timeline {
    fn join(&self, topic: &str, params: Body<'_>, _: &Peer) -> Result<Join, Refusal> {
        let source = match topic.strip_prefix("timeline:").unwrap_or_default() {
            "all" => None,
            name => Some(Source::named(name).ok_or_else(|| {
                Refusal::reason("the timelines are timeline:car, road, device, crew, driver, and all")
            })?),
        };
        let wish = match params {
            Body::Json(json) => serde_json::from_slice::<Option<Wish>>(json).ok(),
            Body::Binary(_) => None,
        };
        let wish = wish
            .map(Option::unwrap_or_default)
            .filter(|wish| wish.topics.as_ref().is_none_or(|topics| topics.len() <= TOPICS));
        let Some(Wish { topics, key }) = wish else {
            return Err(Refusal::reason(
                "join with {\"topics\": [\"NAME\", \"PREFIX*\"], \"key\": \"KEY\"}; up to 100 topics, all of it optional",
            ));
        };
        if !self.guard.admits(key.as_deref()) {
            return Err(Refusal::reason(
                "the timeline needs the key of --dashboard-key: join with {\"key\": \"KEY\"}",
            ));
        }
        let filter = Filter { source, topics };
        let (present, future) = self.bus.subscribe_with_latest();
        let entries: Vec<&Entry> =
            present.iter().map(Arc::as_ref).filter(|entry| filter.lets(entry)).collect();
        let response = Payload::of(&json!({ "entries": entries }));
        let member = Follower { waiting: Some((filter, future)), task: None };
        Ok(Join { member: Box::new(member), response })
    }
}

/// What one client wants to see.
#[derive(Debug)]
struct Filter {
    source: Option<Source>,
    topics: Option<Vec<String>>,
}

impl Filter {
    fn lets(&self, entry: &Entry) -> bool {
        let named = |wanted: &String| match wanted.strip_suffix('*') {
            Some(prefix) => entry.topic.starts_with(prefix),
            None => entry.topic == *wanted,
        };
        self.source.is_none_or(|source| source == entry.source)
            && self.topics.as_ref().is_none_or(|topics| topics.iter().any(named))
    }
}

/// One client of one timeline.
struct Follower {
    /// What is told from the join on.
    waiting: Option<(Filter, Subscriber)>,
    task: Option<JoinHandle<()>>,
}

impl Member for Follower {
    fn joined(&mut self, channel: &mut Channel<'_>) {
        if let Some((filter, entries)) = self.waiting.take() {
            self.task = Some(tokio::spawn(tell(filter, entries, channel.pusher())));
        }
    }

    fn handle<'a>(&mut self, _: &mut Channel<'_>, _: &str, _: Body<'a>) -> Answer<'a> {
        Answer::error("a timeline only tells")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn tell(filter: Filter, mut entries: Subscriber, pusher: Pusher) {
    let mut pending = Pending::default();
    let mut next = Instant::now();
    while !pusher.is_closed() {
        tokio::select! {
            entry = entries.next() => match entry {
                Some(Ok(entry)) if filter.lets(&entry) => pending.add(entry),
                Some(Ok(_)) => {}
                Some(Err(Missed(count))) => pending.missed += count,
                None => return,
            },
            () = sleep_until(next), if !pending.is_empty() => {
                let missed = std::mem::take(&mut pending.missed);
                // Objects can always be written.
                if missed > 0 {
                    let _ = pusher.push("missed", &Payload::of(&json!({ "count": missed })));
                }
                for entry in pending.entries.drain(..) {
                    let _ = pusher.push("event", &Payload::of(&*entry));
                }
                next = Instant::now() + PACE;
            }
        }
    }
}

/// What one client has not been told yet.
#[derive(Debug, Default)]
struct Pending {
    entries: VecDeque<Arc<Entry>>,
    missed: u64,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.missed == 0
    }

    /// Of a quantity or a state only the newest matters; what was said matters each time.
    fn add(&mut self, entry: Arc<Entry>) {
        if matches!(entry.value, Value::Quantity { .. } | Value::Bool(_)) {
            let same = |older: &&mut Arc<Entry>| older.source == entry.source && older.topic == entry.topic;
            if let Some(older) = self.entries.iter_mut().find(same) {
                *older = entry;
                return;
            }
        }
        if self.entries.len() >= PENDING {
            self.entries.pop_front();
            self.missed += 1;
        }
        self.entries.push_back(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(topic: &str, value: Value) -> Arc<Entry> {
        let time = jiff::Timestamp::UNIX_EPOCH;
        Arc::new(Entry { time, source: Source::Car, topic: topic.into(), value })
    }

    #[test]
    fn quantities_conflate_and_words_do_not() {
        let mut pending = Pending::default();
        for value in 0..1000 {
            pending.add(entry("RPM", Value::Quantity { value: f64::from(value), unit: "rpm" }));
            pending.add(entry("SPEED", Value::Quantity { value: f64::from(value), unit: "km/h" }));
        }
        assert_eq!(pending.entries.len(), 2);
        assert_eq!(pending.entries[0].value, Value::Quantity { value: 999.0, unit: "rpm" });
        for count in 0..PENDING {
            pending.add(entry("state", Value::Text(count.to_string())));
        }
        assert_eq!((pending.entries.len(), pending.missed), (PENDING, 2));
        assert_eq!(pending.entries[PENDING - 1].value, Value::Text((PENDING - 1).to_string()));
    }

    #[test]
    fn a_filter_names_topics_or_their_beginnings() {
        let filter = |topics: &[&str]| Filter {
            source: Some(Source::Car),
            topics: Some(topics.iter().map(ToString::to_string).collect()),
        };
        let rpm = entry("RPM", Value::Bool(true));
        assert!(
            filter(&["RPM"]).lets(&rpm) && filter(&["SPEED", "R*"]).lets(&rpm) && filter(&["*"]).lets(&rpm)
        );
        assert!(!filter(&["RP"]).lets(&rpm) && !filter(&[]).lets(&rpm));
        assert!(Filter { source: None, topics: None }.lets(&rpm));
        assert!(!Filter { source: Some(Source::Road), topics: None }.lets(&rpm));
    }
}
