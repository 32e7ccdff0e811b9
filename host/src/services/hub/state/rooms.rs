//! The topics that have members: who is subscribed, who is present, and how each is sent what happens. Pure but for the
//! queues ([`Outbox`]) that it fills.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use cloverleaf_core::phoenix::wire::{Body, EmitError, Message, Payload, Token, Version};

use super::presence::{Change, Presence};
use crate::services::hub::channel::{BroadcastError, Topic};
use crate::timeline::{Bus, Source, Value};
use crate::ws::{Flush, Frame, Outbox};

/// In topics with more members than this, presence changes wait for the next tick and are told in one diff: what
/// clients see after that is the same, in fewer frames.
pub(in crate::services::hub) const SETTLED_AT_ONCE: usize = 64;

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
    pub(in crate::services::hub) fn enter(
        &self,
        topic: &str,
        id: u64,
        version: Version,
        outbox: &Arc<Outbox>,
    ) -> Arc<Room> {
        let mut rooms = lock(&self.rooms);
        let room = match rooms.get(topic) {
            Some(room) => Arc::clone(room),
            None => {
                let topic: Arc<str> = topic.into();
                let timeline = self.timeline.clone();
                let room = Arc::new(Room { topic: Arc::clone(&topic), timeline, inner: Mutex::default() });
                rooms.insert(topic, Arc::clone(&room));
                room
            }
        };
        room.lock().members.insert(id, Subscriber { version, outbox: Arc::clone(outbox) });
        room
    }

    /// Unsubscribes a channel; the last one takes the topic's room along.
    pub(in crate::services::hub) fn leave(&self, room: &Arc<Room>, id: u64) {
        let mut rooms = lock(&self.rooms);
        let mut inner = room.lock();
        inner.members.remove(&id);
        if inner.members.is_empty() {
            rooms.remove(&room.topic);
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
            inner.waiting.extend(changes);
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
    timeline: Bus,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By the channel's id, that is by age.
    members: BTreeMap<u64, Subscriber>,
    presence: Presence,
    /// Presence changes that have not been told yet. At most two per member and tick.
    waiting: Vec<Change>,
}

#[derive(Debug)]
struct Subscriber {
    version: Version,
    outbox: Arc<Outbox>,
}

impl Room {
    pub(in crate::services::hub) fn topic(&self) -> &str {
        &self.topic
    }

    /// Sends an event to all members, or to all but one.
    pub(in crate::services::hub) fn broadcast(
        &self,
        except: Option<u64>,
        event: &str,
        body: Body<'_>,
        flush: &mut Flush,
    ) -> Result<(), BroadcastError> {
        self.lock().broadcast(&self.topic, except, event, body, flush)
    }

    pub(in crate::services::hub) fn has(&self, version: Version) -> bool {
        self.lock().members.values().any(|member| member.version == version)
    }

    pub(in crate::services::hub) fn presence_state(&self) -> Bytes {
        self.lock().presence.state()
    }

    /// The tick: tells all changes that waited.
    pub(in crate::services::hub) fn settle(&self, flush: &mut Flush) {
        let mut inner = self.lock();
        let waiting = std::mem::take(&mut inner.waiting);
        self.tell(&mut inner, &waiting, flush);
    }

    /// Tells changes to all members, and who is present now to the timeline.
    fn tell(&self, inner: &mut Inner, changes: &[Change], flush: &mut Flush) {
        inner.tell(&self.topic, changes, flush);
        if self.timeline.is_watched() && changes.iter().any(|change| change.came().is_some()) {
            let members = Value::written(&inner.presence.members());
            self.timeline.publish(Source::Crew, format!("{}/members", self.topic), members);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

impl Inner {
    fn broadcast(
        &self,
        topic: &str,
        except: Option<u64>,
        event: &str,
        body: Body<'_>,
        flush: &mut Flush,
    ) -> Result<(), BroadcastError> {
        let message = Message {
            join_ref: Token::NULL,
            reference: Token::NULL,
            topic: Token::text(topic),
            event: Token::text(event),
            payload: Payload::Event(body),
        };
        // Encoded once for each version that somebody speaks.
        let [mut v1, mut v2]: [Option<Result<Frame, EmitError>>; 2] = [None, None];
        let mut result = Ok(());
        for (id, member) in &self.members {
            if Some(*id) == except {
                continue;
            }
            let frame = match member.version {
                Version::V1 => &mut v1,
                Version::V2 => &mut v2,
            };
            match frame.get_or_insert_with(|| encode::frame(member.version, &message)) {
                Ok(frame) => member.outbox.push(frame.clone(), flush),
                Err(EmitError::BinaryInV1) => result = Err(BroadcastError::BinaryInV1),
                Err(_) => result = Err(BroadcastError::Unwritable),
            }
        }
        result
    }

    fn tell(&mut self, topic: &str, changes: &[Change], flush: &mut Flush) {
        if let Some(diff) = self.presence.apply(changes) {
            // JSON can be written to everybody.
            let _ = self.broadcast(topic, None, "presence_diff", Body::Json(&diff), flush);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code of users runs while a lock is held, and ours does not panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Messages as frames.
pub(in crate::services::hub) mod encode {
    use super::{Bytes, EmitError, Frame, Message, Payload, Token, Version};
    use cloverleaf_core::phoenix::wire::{Body, Opcode};

    pub(in crate::services::hub) fn frame(
        version: Version,
        message: &Message<'_>,
    ) -> Result<Frame, EmitError> {
        let mut bytes = Vec::with_capacity(256);
        match message.emit_to_client(version, &mut |piece| bytes.extend_from_slice(piece))? {
            Opcode::Text => Ok(Frame::text(&bytes)),
            Opcode::Binary => Ok(Frame::binary(&bytes)),
        }
    }

    /// A push whose payload is shared with other frames.
    pub(in crate::services::hub) fn around(
        version: Version,
        join_ref: &[u8],
        topic: &str,
        event: &str,
        payload: Bytes,
    ) -> Frame {
        // Told from all other pieces by its address.
        static HOLE: [u8; 1] = *b"0";
        let message = Message {
            join_ref: Token::Json(join_ref),
            reference: Token::NULL,
            topic: Token::text(topic),
            event: Token::text(event),
            payload: Payload::Event(Body::Json(&HOLE)),
        };
        let mut parts = [Vec::new(), Vec::new()];
        let mut part = 0;
        // Text of strings can always be written; the payload is the only piece that is the hole itself.
        let _ = message.emit_to_client(version, &mut |piece| {
            if std::ptr::eq(piece, &HOLE[..]) {
                part = 1;
            } else {
                parts[part].extend_from_slice(piece);
            }
        });
        Frame::text_around(&parts[0], payload, &parts[1])
    }
}
