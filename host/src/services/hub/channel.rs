//! Channels of one's own: what a program implements to give topics a behaviour.
//!
//! A [`Topic`] stands for all topics of one pattern and decides who may join; it makes a [`Member`] for every client
//! that does. A member is told what its client sends and answers; through [`Channel`] it pushes, broadcasts and
//! tracks presence. Calls to one member never overlap, and nothing is locked meanwhile: a slow member delays only
//! its own client. What takes time is better done by a task, which answers through a [`Replier`]. A panic is answered
//! with `phx_error`, like any failure, and touches nobody else.

use std::borrow::Cow;
use std::sync::Arc;

use cloverleaf_core::phoenix::wire::{Body, EmitError, Token};
use serde::Serialize;

use super::state::Place;
use super::state::presence::Change;
use super::state::rooms::{Effects, Shared};
use super::state::seat::{Seat, owned};
use crate::timeline::{Source, Value};
use crate::ws::Flush;

/// Who connected, by what the request said.
#[derive(Default)]
pub struct Peer {
    /// The parameters of the URL, `vsn` and all.
    pub parameters: Vec<(String, String)>,
    /// The token that came as a subprotocol (Phoenix's `authToken`), if tokens are taken.
    pub token: Option<Vec<u8>>,
    /// The headers `user-agent` and `x-…`, in lower case.
    pub headers: Vec<(String, String)>,
}

impl Peer {
    /// The value of a parameter; of equal ones the last.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl std::fmt::Debug for Peer {
    /// Shows no secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").finish_non_exhaustive()
    }
}

/// The topics of one pattern.
pub trait Topic: Send + Sync + 'static {
    /// A client wants to join `topic` and sent `params` with that.
    ///
    /// # Errors
    /// [`Refusal`] tells the client why it may not.
    fn join(&self, topic: &str, params: Body<'_>, peer: &Peer) -> Result<Join, Refusal>;
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

    pub(super) fn response(&self) -> Payload<'_> {
        match self {
            Self::Reply(response) => response.body().into(),
            Self::Crashed => Payload::of(&Reason { reason: "join crashed" }),
        }
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

/// What one channel tracks: its own part of the topic's presence.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) key: Arc<str>,
    pub(super) meta: Arc<[u8]>,
    pub(super) phx_ref: [u8; 16],
}

/// A member's way to its client, its topic and the topic's presence.
pub struct Channel<'a> {
    shared: &'a Shared,
    place: &'a mut Place,
    peer: &'a Peer,
    /// The connection's id, for [`disconnect`](Self::disconnect).
    id: Option<&'a str>,
    /// The ref of the event that is being handled.
    request: Option<Token<'a>>,
    effects: &'a mut Effects,
    /// Presence changes, kept until the answer is out.
    pub(super) changes: Vec<Change>,
    pub(super) failed: bool,
}

impl<'a> Channel<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        place: &'a mut Place,
        peer: &'a Peer,
        id: Option<&'a str>,
        request: Option<Token<'a>>,
        effects: &'a mut Effects,
    ) -> Self {
        Self { shared, place, peer, id, request, effects, changes: Vec::new(), failed: false }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        self.place.room.topic()
    }

    /// Who the client is.
    pub fn peer(&self) -> &Peer {
        self.peer
    }

    /// Sends an event to this client only.
    ///
    /// # Errors
    /// When it cannot be written: binary to version 1; to version 2, JSON that is no object.
    pub fn push(&mut self, event: &str, payload: &Payload<'_>) -> Result<(), EmitError> {
        self.place.seat.push(event, payload.body(), &mut self.effects.flush)
    }

    /// A handle that pushes to this client later, from anywhere.
    pub fn pusher(&self) -> Pusher {
        Pusher { seat: Arc::clone(&self.place.seat) }
    }

    /// A handle that answers later, from anywhere, the event that is being handled; answer [`Answer::Silence`] to it now.
    /// `None` while joining, when there is no event, and for an event whose ref cannot be written.
    pub fn replier(&self) -> Option<Replier> {
        let reference = owned(self.request?).ok()?;
        Some(Replier { seat: Arc::clone(&self.place.seat), reference })
    }

    /// Sends an event to all members of the topic, this one included, before the answer to this one.
    ///
    /// # Errors
    /// When not all of them could be sent it; those who could were, unless the hub is strict.
    pub fn broadcast(&mut self, event: &str, payload: &Payload<'_>) -> Result<(), EmitError> {
        self.place.room.broadcast(None, event, payload.body(), &mut self.effects.flush)
    }

    /// Sends an event to all other members of the topic.
    ///
    /// # Errors
    /// As [`broadcast`](Self::broadcast).
    pub fn broadcast_from(&mut self, event: &str, payload: &Payload<'_>) -> Result<(), EmitError> {
        let own = Some(self.place.seat.id);
        self.place.room.broadcast(own, event, payload.body(), &mut self.effects.flush)
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
        self.changes.push(Change::join(Arc::clone(&key), self.place.seat.id, Arc::clone(&meta)));
        self.place.tracked.push(Tracked { key, meta, phx_ref });
    }

    /// Replaces the meta of a tracked key: everybody sees the new one join and the old one leave, in one diff.
    ///
    /// # Errors
    /// When this channel does not track `key`.
    pub fn update(&mut self, key: &str, meta: &[u8]) -> Result<(), Untracked> {
        let mut tracked = self.place.tracked.iter_mut();
        let tracked = tracked.find(|tracked| &*tracked.key == key).ok_or(Untracked)?;
        let phx_ref = self.shared.phx_ref();
        let meta = with_refs(meta, phx_ref, Some(tracked.phx_ref));
        let old = std::mem::replace(&mut tracked.meta, Arc::clone(&meta));
        tracked.phx_ref = phx_ref;
        self.changes.push(Change::update(Arc::clone(&tracked.key), self.place.seat.id, meta, old));
        Ok(())
    }

    /// Sends this client the whole presence of the topic (`presence_state`).
    pub fn push_presence(&mut self) {
        let state = self.place.room.presence_state();
        self.place.seat.push_shared("presence_state", state, &mut self.effects.flush);
    }

    /// Publishes on the timeline, as `topic/path`; the value is made only if somebody looks at it.
    pub fn publish(&mut self, path: &str, value: impl FnOnce() -> Value) {
        if self.shared.watched() {
            self.shared.timeline.publish(Source::Crew, format!("{}/{path}", self.topic()), value());
        }
    }

    /// Ends the channel with `phx_error` once [`Member::joined`] returns. In answer to an event use [`Answer::Fail`].
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Fails, and takes the presence of all topics along with every channel that is present: what Phoenix does when a
    /// presence key cannot be printed.
    pub(super) fn crash_presence(&mut self) {
        self.shared.crash_presence(&mut self.effects.flush);
        self.failed = true;
    }

    /// Ends all connections that gave the same id when they connected (close code 1001); if this one gave none, nothing.
    pub fn disconnect(&mut self) {
        if let Some(id) = self.id {
            self.shared.disconnect(id);
        }
    }

    /// Ends this client's connection as a server does that shuts down (close code 1012).
    pub fn drain(&mut self) {
        self.effects.flush.run();
        self.place.seat.outbox.close(1012);
    }
}

/// Pushes to one client of one channel from anywhere. Pushing to a channel that has ended does nothing.
#[derive(Clone, Debug)]
pub struct Pusher {
    seat: Arc<Seat>,
}

impl Pusher {
    /// Sends an event to the client.
    ///
    /// # Errors
    /// As of [`Channel::push`].
    pub fn push(&self, event: &str, payload: &Payload<'_>) -> Result<(), EmitError> {
        self.push_into(event, payload, &mut Flush::new())
    }

    pub(super) fn push_into(
        &self,
        event: &str,
        payload: &Payload<'_>,
        flush: &mut Flush,
    ) -> Result<(), EmitError> {
        self.seat.push(event, payload.body(), flush)
    }

    /// How many bytes may wait for the client.
    pub(super) fn limit(&self) -> usize {
        self.seat.outbox.limit()
    }

    /// Whether the channel or its connection has ended.
    pub fn is_closed(&self) -> bool {
        self.seat.has_ended() || self.seat.outbox.is_closed()
    }
}

/// Answers one event of one client, once, from anywhere. Dropped without that, the client waits in vain.
#[derive(Debug)]
#[must_use]
pub struct Replier {
    seat: Arc<Seat>,
    reference: Box<[u8]>,
}

impl Replier {
    /// Sends the `phx_reply`; nothing when the channel has ended.
    ///
    /// # Errors
    /// When it cannot be written (binary to version 1).
    pub fn reply(self, status: &str, response: &Payload<'_>) -> Result<(), EmitError> {
        let mut flush = Flush::new();
        self.seat.reply(Token::Json(&self.reference), status, response.body(), &mut flush)
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
