//! Channels of one's own: what a program implements to give topics a behaviour.
//!
//! A [`Topic`] stands for all topics of one pattern and decides who may join; it makes a [`Member`] for every client
//! that does. A member is told what its client sends and answers; through [`Channel`] it pushes, broadcasts and
//! tracks presence. Calls to one member never overlap, and nothing is locked meanwhile: a slow member delays only
//! its own client. A panic is answered with `phx_error`, like any failure, and touches nobody else.

use std::borrow::Cow;
use std::sync::Arc;

use cloverleaf_core::phoenix::wire::{Body, Message, Payload as WirePayload, Token, Version};
use serde::Serialize;

use super::state::presence::Change;
use super::state::rooms::{Effects, Room, Shared, encode};
use crate::timeline::{Source, Value};
use crate::ws::{Flush, Outbox};

/// The topics of one pattern.
pub trait Topic: Send + Sync + 'static {
    /// A client wants to join `topic` and sent `params` with that.
    ///
    /// # Errors
    /// [`Refusal`] tells the client why it may not.
    fn join(&self, topic: &str, params: Body<'_>) -> Result<Join, Refusal>;
}

/// A client's membership of one topic, made by [`Topic::join`] and dropped when the client leaves.
pub trait Member: Send {
    /// The client has been told that it joined: the place for first pushes and for tracking presence.
    fn joined(&mut self, channel: &mut Channel<'_>) {
        let _ = channel;
    }

    /// The client sent an event. Presence changes made here reach the clients after the answer.
    fn handle<'a>(&mut self, channel: &mut Channel<'_>, event: &str, body: Body<'a>) -> Answer<'a>;
}

/// What a [`Topic`] answers to a join it allows.
pub struct Join {
    /// The behaviour of the new channel.
    pub member: Box<dyn Member>,
    /// The response, `{}` when there is nothing to say.
    pub response: Payload<'static>,
}

impl Join {
    /// Joins with an empty response.
    pub fn new(member: impl Member + 'static) -> Self {
        Self { member: Box::new(member), response: Payload::EMPTY }
    }
}

/// Why a client may not join.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// An error reply with this response.
    Reply(Payload<'static>),
    /// An error reply `{"reason":"join crashed"}`: what Phoenix says when the handler fails.
    Crashed,
}

impl Refusal {
    /// An error reply `{"reason": …}`.
    pub fn reason(reason: &str) -> Self {
        Self::Reply(Payload::of(&Reason { reason }))
    }
}

#[derive(Serialize)]
struct Reason<'a> {
    reason: &'a str,
}

/// What a message carries: JSON text or bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Valid JSON.
    Json(Cow<'a, [u8]>),
    /// Anything.
    Binary(Cow<'a, [u8]>),
}

impl Payload<'static> {
    /// `{}`
    pub const EMPTY: Self = Payload::Json(Cow::Borrowed(b"{}"));

    /// The JSON of a value; `null` if it has none (a map whose keys are not strings).
    pub fn of(value: &impl Serialize) -> Self {
        Payload::Json(Cow::Owned(serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec())))
    }
}

impl<'a> Payload<'a> {
    /// As the wire wants it.
    pub fn body(&self) -> Body<'_> {
        match self {
            Payload::Json(json) => Body::Json(json),
            Payload::Binary(bytes) => Body::Binary(bytes),
        }
    }
}

impl<'a> From<Body<'a>> for Payload<'a> {
    fn from(body: Body<'a>) -> Self {
        match body {
            Body::Json(json) => Payload::Json(Cow::Borrowed(json)),
            Body::Binary(bytes) => Payload::Binary(Cow::Borrowed(bytes)),
        }
    }
}

/// What a [`Member`] answers to an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<'a> {
    /// Nothing.
    Silence,
    /// A `phx_reply`.
    Reply {
        /// `ok`, `error`, or anything else by agreement.
        status: &'static str,
        /// The response.
        response: Payload<'a>,
    },
    /// The channel ends (`phx_close`), after a reply `ok` if there is a response.
    Stop(Option<Payload<'a>>),
    /// The channel fails (`phx_error`); clients rejoin after that. The reason is for the log.
    Fail(&'static str),
}

impl<'a> Answer<'a> {
    /// A reply `ok {}`.
    pub const OK: Self = Answer::Reply { status: "ok", response: Payload::EMPTY };

    /// A reply `ok`.
    pub fn ok(response: impl Into<Payload<'a>>) -> Self {
        Answer::Reply { status: "ok", response: response.into() }
    }

    /// A reply `error {"reason": …}`.
    pub fn error(reason: &str) -> Self {
        Answer::Reply { status: "error", response: Payload::of(&Reason { reason }) }
    }
}

/// The presence of this channel under this key is not tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this channel does not track that key")]
pub struct Untracked;

/// A broadcast that some of the receivers cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BroadcastError {
    /// Clients of version 1 receive no binary payloads; those of version 2 received it.
    #[error("a binary broadcast to clients of version 1")]
    BinaryInV1,
    /// Topic or event are too long for a binary frame, or not text.
    #[error("a broadcast that cannot be written")]
    Unwritable,
}

/// What one channel tracks: its own part of the topic's presence.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) key: Arc<str>,
    pub(super) meta: Arc<[u8]>,
    pub(super) phx_ref: [u8; 16],
}

/// A member's way to its client, its topic and the topic's presence.
pub struct Channel<'a> {
    pub(super) shared: &'a Shared,
    pub(super) room: &'a Arc<Room>,
    pub(super) id: u64,
    pub(super) version: Version,
    pub(super) outbox: &'a Arc<Outbox>,
    pub(super) push_ref: &'a [u8],
    pub(super) tracked: &'a mut Vec<Tracked>,
    pub(super) effects: &'a mut Effects,
    /// Presence changes, kept until the answer is out.
    pub(super) changes: Vec<Change>,
    /// The socket's id, for [`disconnect`](Self::disconnect).
    pub(super) socket_id: Option<&'a str>,
    pub(super) failed: bool,
}

impl Channel<'_> {
    /// The topic.
    pub fn topic(&self) -> &str {
        self.room.topic()
    }

    /// Sends an event to this client only. What cannot be written (binary to version 1) is not sent.
    pub fn push(&mut self, event: &str, payload: &Payload<'_>) {
        self.pusher().push_into(event, payload, &mut self.effects.flush);
    }

    /// A handle that pushes to this client later, from anywhere.
    pub fn pusher(&self) -> Pusher {
        Pusher {
            room: Arc::clone(self.room),
            version: self.version,
            outbox: Arc::clone(self.outbox),
            push_ref: self.push_ref.into(),
        }
    }

    /// Sends an event to all members of the topic, this one included, before the answer to this one.
    ///
    /// # Errors
    /// When not all of them could be sent it.
    pub fn broadcast(&mut self, event: &str, payload: &Payload<'_>) -> Result<(), BroadcastError> {
        self.room.broadcast(None, event, payload.body(), &mut self.effects.flush)
    }

    /// Sends an event to all other members of the topic.
    ///
    /// # Errors
    /// When not all of them could be sent it.
    pub fn broadcast_from(&mut self, event: &str, payload: &Payload<'_>) -> Result<(), BroadcastError> {
        self.room.broadcast(Some(self.id), event, payload.body(), &mut self.effects.flush)
    }

    /// Whether some member of the topic speaks version 2, which knows only objects as payloads.
    pub(super) fn has_v2(&self) -> bool {
        self.room.has(Version::V2)
    }

    /// Makes this client present under `key`. `meta` must be a JSON object; a `phx_ref` is added to it. Tracking a key
    /// again is an update.
    pub fn track(&mut self, key: &str, meta: &[u8]) {
        if self.update(key, meta).is_ok() {
            return;
        }
        let phx_ref = self.shared.phx_ref();
        let meta = with_refs(meta, phx_ref, None);
        let key: Arc<str> = key.into();
        self.changes.push(Change::join(Arc::clone(&key), self.id, Arc::clone(&meta)));
        self.tracked.push(Tracked { key, meta, phx_ref });
    }

    /// Replaces the meta of a tracked key: everybody sees the new one join and the old one leave, in one diff.
    ///
    /// # Errors
    /// When this channel does not track `key`.
    pub fn update(&mut self, key: &str, meta: &[u8]) -> Result<(), Untracked> {
        let tracked = self.tracked.iter_mut().find(|tracked| &*tracked.key == key).ok_or(Untracked)?;
        let phx_ref = self.shared.phx_ref();
        let meta = with_refs(meta, phx_ref, Some(tracked.phx_ref));
        let old = std::mem::replace(&mut tracked.meta, Arc::clone(&meta));
        tracked.phx_ref = phx_ref;
        self.changes.push(Change::update(Arc::clone(&tracked.key), self.id, meta, old));
        Ok(())
    }

    /// Sends this client the whole presence of the topic (`presence_state`).
    pub fn push_presence(&mut self) {
        let state = self.room.presence_state();
        let frame = encode::around(self.version, self.push_ref, self.topic(), "presence_state", state);
        self.outbox.push(frame, &mut self.effects.flush);
    }

    /// Publishes on the timeline, as `topic/path`.
    pub fn publish(&mut self, path: &str, value: Value) {
        let topic = format!("{}/{path}", self.topic());
        self.shared.timeline.publish(Source::Crew, topic, value);
    }

    /// Whether publishing is worth the work of making a value.
    pub(super) fn is_watched(&self) -> bool {
        self.shared.watched()
    }

    /// Ends the channel with `phx_error` once [`Member::joined`] returns. In answer to an event use [`Answer::Fail`].
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Ends all connections that gave the same id when they connected (close code 1001); if this one gave none, nothing.
    pub fn disconnect(&mut self) {
        if let Some(id) = self.socket_id {
            self.shared.disconnect(id);
        }
    }

    /// Ends this client's connection as a server does that shuts down (close code 1012).
    pub fn drain(&mut self) {
        self.effects.flush.run();
        self.outbox.close(1012);
    }
}

/// Pushes to one client of one channel from anywhere. Pushing to a client that has gone does nothing.
#[derive(Clone, Debug)]
pub struct Pusher {
    room: Arc<Room>,
    version: Version,
    outbox: Arc<Outbox>,
    push_ref: Box<[u8]>,
}

impl Pusher {
    /// Sends an event to the client. What cannot be written (binary to version 1) is not sent.
    pub fn push(&self, event: &str, payload: &Payload<'_>) {
        self.push_into(event, payload, &mut Flush::new());
    }

    fn push_into(&self, event: &str, payload: &Payload<'_>, flush: &mut Flush) {
        let message = Message {
            join_ref: Token::Json(&self.push_ref),
            reference: Token::NULL,
            topic: Token::text(self.room.topic()),
            event: Token::text(event),
            payload: WirePayload::Event(payload.body()),
        };
        match encode::frame(self.version, &message) {
            Ok(frame) => self.outbox.push(frame, flush),
            Err(error) => tracing::debug!(%error, event, "a push that cannot be written"),
        }
    }

    /// Whether the client's connection has ended.
    pub fn is_closed(&self) -> bool {
        self.outbox.is_closed()
    }
}

/// `meta` with its refs in front: `{"phx_ref":…,"phx_ref_prev":…,…}`.
fn with_refs(meta: &[u8], phx_ref: [u8; 16], previous: Option<[u8; 16]>) -> Arc<[u8]> {
    let inside = meta.strip_prefix(b"{").unwrap_or(b"}");
    let mut bytes = Vec::with_capacity(meta.len() + 64);
    bytes.extend_from_slice(b"{\"phx_ref\":\"");
    bytes.extend_from_slice(&phx_ref);
    if let Some(previous) = previous {
        bytes.extend_from_slice(b"\",\"phx_ref_prev\":\"");
        bytes.extend_from_slice(&previous);
    }
    bytes.push(b'"');
    if inside.trim_ascii_start() != b"}" {
        bytes.push(b',');
    }
    bytes.extend_from_slice(inside);
    bytes.into()
}
