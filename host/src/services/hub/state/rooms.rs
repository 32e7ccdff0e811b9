//! The topics that have members: who is subscribed, who is present, and how each is sent what happens. Pure but for the
//! queues ([`Outbox`]) that it fills.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use cloverleaf_core::phoenix::wire::{Body, EmitError, Message, Payload, Token, Version};

use super::presence::{Change, Presence, Waiting};
use super::seat::{Seat, frame};
use crate::services::hub::channel::Topic;
use crate::timeline::{Bus, Source, Value};
use crate::ws::{Flush, Frame, Outbox};

/// In topics with more members than this, presence changes wait for the next tick and are told in one diff: what
/// clients see after that is the same, in fewer frames.
pub(in crate::services::hub) const SETTLED_AT_ONCE: usize = 64;

/// The payload of `phx_error`.
pub(super) const CRASHED: Body<'_> = Body::Json(br#"{"reason":"channel_crash"}"#);

/// What handling input leaves to be done by the handlers.
#[derive(Debug, Default)]
pub(in crate::services::hub) struct Effects {
    /// Queues to be written.
    pub(in crate::services::hub) flush: Flush,
    /// Topics whose presence changes wait for the next tick.
    pub(in crate::services::hub) unsettled: Vec<Arc<Room>>,
}

/// What all connections of a hub share.
pub(in crate::services::hub) struct Shared {
    pub(in crate::services::hub) topics: Vec<(String, Arc<dyn Topic>)>,
    /// The most channels one connection may join.
    pub(in crate::services::hub) channels: usize,
    /// Phoenix 1.8.12 to the letter, where that is worse.
    pub(in crate::services::hub) strict: bool,
    pub(in crate::services::hub) timeline: Bus,
    rooms: Mutex<HashMap<Arc<str>, Arc<Room>>>,
    connections: Mutex<HashMap<u64, Connection>>,
    ids: AtomicU64,
    refs: AtomicU64,
    node: [u8; 4],
}

impl Shared {
    /// `seed` must differ from start to start (the time in nanoseconds does), so that no `phx_ref` comes twice.
    pub(in crate::services::hub) fn new(timeline: Bus, channels: usize, strict: bool, seed: u64) -> Self {
        Self {
            topics: Vec::new(),
            channels,
            strict,
            timeline,
            rooms: Mutex::default(),
            connections: Mutex::default(),
            ids: AtomicU64::new(1),
            refs: AtomicU64::new(seed),
            node: std::process::id().to_be_bytes(),
        }
    }

    /// The behaviour of a topic: the first pattern that is the topic, or its start up to `*`.
    pub(in crate::services::hub) fn topic(&self, topic: &str) -> Option<&Arc<dyn Topic>> {
        let matches = |pattern: &str| match pattern.strip_suffix('*') {
            Some(prefix) => topic.starts_with(prefix),
            None => topic == pattern,
        };
        self.topics.iter().find(|(pattern, _)| matches(pattern)).map(|(_, behaviour)| behaviour)
    }

    /// A number that no other channel or connection has; higher than those before.
    pub(in crate::services::hub) fn id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// An opaque text that no other meta has.
    pub(in crate::services::hub) fn phx_ref(&self) -> [u8; 16] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.refs.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        bytes[8..].copy_from_slice(&self.node);
        let mut text = [0; 16];
        // Twelve bytes are sixteen characters.
        let _ = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        text
    }

    /// Whether anybody reads the timeline.
    pub(in crate::services::hub) fn watched(&self) -> bool {
        self.timeline.is_watched()
    }

    /// Subscribes a channel to its topic.
    pub(in crate::services::hub) fn enter(&self, seat: &Arc<Seat>) -> Arc<Room> {
        let mut rooms = lock(&self.rooms);
        let room = rooms.entry(Arc::clone(&seat.topic)).or_insert_with(|| {
            Arc::new(Room {
                topic: Arc::clone(&seat.topic),
                strict: self.strict,
                timeline: self.timeline.clone(),
                inner: Mutex::default(),
            })
        });
        room.lock().members.insert(seat.id, Arc::clone(seat));
        Arc::clone(room)
    }

    /// Unsubscribes a channel; the last one takes the topic's room along.
    pub(in crate::services::hub) fn leave(&self, room: &Arc<Room>, id: u64) {
        let mut rooms = lock(&self.rooms);
        let mut inner = room.lock();
        inner.members.remove(&id);
        if inner.members.is_empty() && rooms.get(&room.topic).is_some_and(|found| Arc::ptr_eq(found, room)) {
            rooms.remove(&room.topic);
        }
    }

    /// All presence is lost, and with it all channels that were present: what Phoenix does when it cannot print a
    /// presence key.
    pub(in crate::services::hub) fn crash_presence(&self, flush: &mut Flush) {
        let rooms: Vec<_> = lock(&self.rooms).values().map(Arc::clone).collect();
        let mut present: Vec<_> =
            rooms.iter().flat_map(|room| room.forget().into_iter().map(move |seat| (room, seat))).collect();
        present.sort_by_key(|(_, seat)| seat.id);
        for (room, seat) in present {
            if !seat.end() {
                // A ref that cannot be written has been refused by the join.
                let _ = seat.control("phx_error", CRASHED, flush);
            }
            self.leave(room, seat.id);
        }
    }

    /// The room of a topic that has members.
    pub(in crate::services::hub) fn room(&self, topic: &str) -> Option<Arc<Room>> {
        lock(&self.rooms).get(topic).map(Arc::clone)
    }

    /// All topics that have members, with how many members, and who is present.
    pub(in crate::services::hub) fn census(&self) -> Vec<(String, usize, Vec<String>)> {
        let rooms: Vec<_> = lock(&self.rooms).values().map(Arc::clone).collect();
        let mut census: Vec<_> = rooms
            .into_iter()
            .map(|room| {
                let inner = room.lock();
                (room.topic.to_string(), inner.members.len(), inner.presence.keys())
            })
            .collect();
        census.sort();
        census
    }

    /// Carries out presence changes now, or keeps them for the next tick.
    pub(in crate::services::hub) fn change(
        &self,
        room: &Arc<Room>,
        changes: Vec<Change>,
        effects: &mut Effects,
    ) {
        if changes.is_empty() {
            return;
        }
        if self.watched() {
            for change in &changes {
                if let Some(came) = change.came() {
                    let topic = format!("{}/{}", room.topic, if came { "join" } else { "leave" });
                    self.timeline.publish(Source::Crew, topic, Value::Text(change.key().to_owned()));
                }
            }
        }
        let mut inner = room.lock();
        if inner.waiting.is_empty() && inner.members.len() <= SETTLED_AT_ONCE {
            for change in &changes {
                room.tell(&mut inner, std::slice::from_ref(change), &mut effects.flush);
            }
        } else {
            if inner.waiting.is_empty() {
                effects.unsettled.push(Arc::clone(room));
            }
            changes.into_iter().for_each(|change| inner.waiting.add(change));
        }
    }

    pub(in crate::services::hub) fn connected(&self, id: u64, name: Option<Arc<str>>, outbox: &Arc<Outbox>) {
        lock(&self.connections).insert(id, Connection { name, outbox: Arc::clone(outbox) });
    }

    pub(in crate::services::hub) fn disconnected(&self, id: u64) {
        lock(&self.connections).remove(&id);
    }

    /// Closes all connections of this name with 1001: they may come back.
    pub(in crate::services::hub) fn disconnect(&self, name: &str) {
        let outboxes: Vec<_> = lock(&self.connections)
            .values()
            .filter(|connection| connection.name.as_deref() == Some(name))
            .map(|connection| Arc::clone(&connection.outbox))
            .collect();
        for outbox in outboxes {
            outbox.close(1001);
        }
    }

    /// Closes all connections with 1012: the service restarts.
    pub(in crate::services::hub) fn drain(&self) {
        let outboxes: Vec<_> =
            lock(&self.connections).values().map(|connection| Arc::clone(&connection.outbox)).collect();
        for outbox in outboxes {
            outbox.close(1012);
        }
    }
}

/// A client that is connected.
struct Connection {
    /// What [`Shared::disconnect`] knows it by.
    name: Option<Arc<str>>,
    outbox: Arc<Outbox>,
}

/// A topic that has members.
#[derive(Debug)]
pub(in crate::services::hub) struct Room {
    topic: Arc<str>,
    strict: bool,
    timeline: Bus,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By the channel's id, that is by age.
    members: BTreeMap<u64, Arc<Seat>>,
    presence: Presence,
    /// Presence changes that have not been told yet.
    waiting: Waiting,
}

impl Room {
    pub(in crate::services::hub) fn topic(&self) -> &str {
        &self.topic
    }

    /// Sends an event to all members, or to all but one.
    ///
    /// # Errors
    /// When some of them cannot be sent it: the others are. Phoenix goes no further than the first that cannot.
    pub(in crate::services::hub) fn broadcast(
        &self,
        except: Option<u64>,
        event: &str,
        body: Body<'_>,
        flush: &mut Flush,
    ) -> Result<(), EmitError> {
        self.send(&self.lock(), except, event, body, flush)
    }

    pub(in crate::services::hub) fn presence_state(&self) -> Bytes {
        self.lock().presence.state()
    }

    /// Nobody is present any more. Answers whose presence is forgotten.
    fn forget(&self) -> Vec<Arc<Seat>> {
        let mut inner = self.lock();
        let mut present = std::mem::take(&mut inner.presence).members();
        present.extend(std::mem::take(&mut inner.waiting).members());
        present.iter().filter_map(|id| inner.members.get(id)).map(Arc::clone).collect()
    }

    /// The tick: tells all changes that waited.
    pub(in crate::services::hub) fn settle(&self, flush: &mut Flush) {
        let mut inner = self.lock();
        let changes: Vec<Change> = std::mem::take(&mut inner.waiting).into();
        self.tell(&mut inner, &changes, flush);
    }

    /// Tells changes to all members, and who is present now to the timeline.
    fn tell(&self, inner: &mut Inner, changes: &[Change], flush: &mut Flush) {
        if let Some(diff) = inner.presence.apply(changes) {
            // An object can be written to everybody.
            let _ = self.send(inner, None, "presence_diff", Body::Json(&diff), flush);
        }
        if self.timeline.is_watched() && changes.iter().any(|change| change.came().is_some()) {
            let members = Value::written(&inner.presence.census());
            self.timeline.publish(Source::Crew, format!("{}/members", self.topic), members);
        }
    }

    fn send(
        &self,
        inner: &Inner,
        except: Option<u64>,
        event: &str,
        body: Body<'_>,
        flush: &mut Flush,
    ) -> Result<(), EmitError> {
        let message = Message {
            join_ref: Token::NULL,
            reference: Token::NULL,
            topic: Token::text(&self.topic),
            event: Token::text(event),
            payload: Payload::Event(body),
        };
        // Encoded once for each version that somebody speaks.
        let [mut v1, mut v2]: [Option<Result<Frame, EmitError>>; 2] = [None, None];
        let mut result = Ok(());
        for (id, member) in &inner.members {
            if Some(*id) == except {
                continue;
            }
            let encoded = match member.version {
                Version::V1 => &mut v1,
                Version::V2 => &mut v2,
            };
            match encoded.get_or_insert_with(|| frame(member.version, &message)) {
                Ok(frame) => member.outbox.push(frame.clone(), flush),
                Err(error) if self.strict => return Err(*error),
                Err(error) => result = Err(*error),
            }
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code of users runs while a lock is held, and ours does not panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
