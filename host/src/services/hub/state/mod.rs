//! One connection's channels: what each message of the client does. Pure: output goes to queues and [`Effects`].

mod canonical;
pub(super) mod presence;
pub(super) mod rooms;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cloverleaf_core::json;
use cloverleaf_core::phoenix::session::{Route, route};
use cloverleaf_core::phoenix::wire::{
    Body, EmitError, Message, ParseError, Payload as WirePayload, Token, Version, parse_binary_of_client,
    parse_text,
};

use self::canonical::canonical;
use self::presence::Change;
use self::rooms::{Effects, Room, Shared, encode};
use super::channel::{Answer, Channel, Join, Member, Payload, Refusal, Tracked};
use crate::ws::Outbox;

/// Why a connection cannot go on; Phoenix closes it with 1011.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fatal {
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A client's own bytes cannot be written back to it.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

/// A client's connection and its channels.
pub(super) struct Socket {
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
    version: Version,
    name: Option<Arc<str>>,
    /// At most [`Shared::channels`], few in practice.
    channels: Vec<Joined>,
    leaving: Option<Leaving>,
}

struct Joined {
    topic: Box<str>,
    id: u64,
    /// What messages must carry to be for this channel: the `join_ref` of its join, as JSON, maybe `null`.
    join_ref: Box<[u8]>,
    /// What pushes carry: the same, or the `ref` of the join in its stead.
    push_ref: Box<[u8]>,
    room: Arc<Room>,
    member: Box<dyn Member>,
    tracked: Vec<Tracked>,
}

/// A `phx_leave` that is carried out when the client says nothing else for a moment: a join of the same topic right
/// behind it takes over the channel, and Phoenix then answers only the join.
struct Leaving {
    topic: Box<str>,
    reference: Box<[u8]>,
}

/// How a channel ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Failed,
}

impl Socket {
    pub(super) fn new(
        shared: Arc<Shared>,
        outbox: Arc<Outbox>,
        version: Version,
        name: Option<Arc<str>>,
    ) -> Self {
        Self { shared, outbox, version, name, channels: Vec::new(), leaving: None }
    }

    /// Handles a text frame (for version 1: any frame).
    pub(super) fn text(&mut self, frame: &[u8], effects: &mut Effects) -> Result<(), Fatal> {
        if self.shared.strict {
            let frame = canonical(frame).map_err(ParseError::Json)?;
            return self.message(&parse_text(self.version, &frame)?, effects);
        }
        self.message(&parse_text(self.version, frame)?, effects)
    }

    /// Handles a binary frame.
    pub(super) fn binary(&mut self, frame: &[u8], effects: &mut Effects) -> Result<(), Fatal> {
        match self.version {
            Version::V1 => self.text(frame, effects),
            Version::V2 => self.message(&parse_binary_of_client(frame)?, effects),
        }
    }

    /// Whether a leave waits for [`settle`](Self::settle).
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Carries out the leave that waits.
    pub(super) fn settle(&mut self, effects: &mut Effects) -> Result<(), Fatal> {
        let Some(leaving) = self.leaving.take() else { return Ok(()) };
        let Some(index) = self.channels.iter().position(|joined| joined.topic == leaving.topic) else {
            return Ok(());
        };
        let joined = self.channels.swap_remove(index);
        self.reply(&joined.push_ref, &leaving.reference, &joined.topic, "ok", Body::EMPTY, effects)?;
        self.end(&joined, End::Closed, effects)
    }

    /// Ends all channels: the connection is gone.
    pub(super) fn close(&mut self, effects: &mut Effects) {
        for joined in std::mem::take(&mut self.channels) {
            self.depart(&joined, effects);
        }
    }

    fn message(&mut self, message: &Message<'_>, effects: &mut Effects) -> Result<(), Fatal> {
        let owned: String;
        let topic = match message.topic.as_str() {
            Some(topic) => topic,
            None => {
                owned = message.topic.characters().collect();
                owned.as_str()
            }
        };
        let is_text = !matches!(message.topic, Token::Json(value) if json::kind(value) != json::Kind::String);
        if let Some(leaving) = &self.leaving {
            if *leaving.topic == *topic && message.event.is("phx_join") {
                self.leaving = None;
            } else {
                self.settle(effects)?;
            }
        }
        let index = self.channels.iter().position(|joined| *joined.topic == *topic && is_text);
        let joined = index.and_then(|index| self.channels.get(index));
        match route(message, joined.map(|joined| Token::Json(&joined.join_ref))) {
            Route::Heartbeat => self.answer(message, Token::NULL, "ok", Body::EMPTY, effects),
            Route::LeaveNothing => self.answer(message, message.join_ref, "ok", Body::EMPTY, effects),
            Route::Stale => Ok(()),
            Route::Leave => {
                self.leaving =
                    Some(Leaving { topic: topic.into(), reference: owned_json(message.reference)? });
                Ok(())
            }
            Route::Join if is_text && self.shared.topic(topic).is_some() => {
                self.join(message, topic, index, effects)
            }
            Route::Deliver => match index {
                Some(index) => self.deliver(message, index, effects),
                None => Ok(()),
            },
            Route::Join | Route::Unmatched => {
                let response = Payload::of(&serde_json::json!({"reason": "unmatched topic"}));
                self.answer(message, Token::NULL, "error", response.body(), effects)
            }
        }
    }

    fn join(
        &mut self,
        message: &Message<'_>,
        topic: &str,
        existing: Option<usize>,
        effects: &mut Effects,
    ) -> Result<(), Fatal> {
        if existing.is_none() && self.channels.len() >= self.shared.channels {
            let response = Payload::of(&serde_json::json!({"reason": "too many channels joined"}));
            return self.answer(message, message.join_ref, "error", response.body(), effects);
        }
        // The old channel ends whatever becomes of the new one; others see it leave first.
        let old = existing.map(|index| self.channels.swap_remove(index));
        if let Some(old) = &old {
            self.depart(old, effects);
        }
        let Some(behaviour) = self.shared.topic(topic).map(Arc::clone) else { return Ok(()) };
        let body = message.body();
        let result =
            catch_unwind(AssertUnwindSafe(|| behaviour.join(topic, body))).unwrap_or(Err(Refusal::Crashed));
        let (join, response, status) = match result {
            Ok(Join { member, response }) => (Some(member), response, "ok"),
            Err(Refusal::Reply(response)) => (None, response, "error"),
            Err(Refusal::Crashed) => {
                (None, Payload::of(&serde_json::json!({"reason": "join crashed"})), "error")
            }
        };
        let joined = match join {
            Some(member) => {
                let id = self.shared.id();
                let join_ref = owned_json(message.join_ref)?;
                let push_ref = if message.join_ref.is_null() {
                    owned_json(message.reference)?
                } else {
                    join_ref.clone()
                };
                let room = self.shared.enter(topic, id, self.version, &self.outbox);
                Some(Joined {
                    topic: topic.into(),
                    id,
                    join_ref,
                    push_ref,
                    room,
                    member,
                    tracked: Vec::new(),
                })
            }
            None => None,
        };
        let answered = self.answer(message, message.join_ref, status, response.body(), effects);
        if let Some(old) = &old {
            self.control(old, "phx_close", Body::EMPTY, effects)?;
        }
        let Some(mut joined) = joined else { return answered };
        let told = self.with_channel(&mut joined, effects, |member, channel| {
            member.joined(channel);
            channel.failed
        });
        if told == Ok(false) {
            self.channels.push(joined);
            answered
        } else {
            answered.and(self.end(&joined, End::Failed, effects))
        }
    }

    fn deliver(&mut self, message: &Message<'_>, index: usize, effects: &mut Effects) -> Result<(), Fatal> {
        let mut joined = self.channels.swap_remove(index);
        let owned: String;
        let event = match (message.event, message.event.as_str()) {
            (_, Some(event)) => event,
            (Token::Json([b'"', ..]), None) => {
                owned = message.event.characters().collect();
                &owned
            }
            // An event that is no string has no handler.
            _ => return self.end(&joined, End::Failed, effects),
        };
        let body = message.body();
        let mut changes = Vec::new();
        let answer = self
            .with_channel(&mut joined, effects, |member, channel| {
                let answer = member.handle(channel, event, body);
                // Others hear of them after the answer.
                changes = std::mem::take(&mut channel.changes);
                answer
            })
            .unwrap_or(Answer::Fail("the handler panicked"));
        let end = match answer {
            Answer::Silence => None,
            Answer::Reply { status, response } => {
                self.reply_to(&joined, message, status, response.body(), effects)?;
                None
            }
            Answer::Stop(response) => {
                if let Some(response) = response {
                    self.reply_to(&joined, message, "ok", response.body(), effects)?;
                }
                Some(End::Closed)
            }
            Answer::Fail(reason) => {
                tracing::debug!(topic = %joined.topic, event, reason, "a channel failed");
                Some(End::Failed)
            }
        };
        self.shared.change(&joined.room, changes, effects);
        match end {
            Some(end) => self.end(&joined, end, effects),
            None => {
                self.channels.push(joined);
                Ok(())
            }
        }
    }

    /// Calls code of a user, then carries out the presence changes it left in the channel.
    fn with_channel<T>(
        &self,
        joined: &mut Joined,
        effects: &mut Effects,
        call: impl FnOnce(&mut dyn Member, &mut Channel<'_>) -> T,
    ) -> Result<T, Panicked> {
        let mut channel = Channel {
            shared: &self.shared,
            room: &joined.room,
            id: joined.id,
            version: self.version,
            outbox: &self.outbox,
            push_ref: &joined.push_ref,
            tracked: &mut joined.tracked,
            effects,
            changes: Vec::new(),
            socket_id: self.name.as_deref(),
            failed: false,
        };
        let member = &mut *joined.member;
        let result = catch_unwind(AssertUnwindSafe(|| call(member, &mut channel)));
        let changes = channel.changes;
        self.shared.change(&joined.room, changes, effects);
        result.map_err(|_| Panicked)
    }

    /// Tells the client that a channel ended, then the others that its presence left.
    fn end(&self, joined: &Joined, end: End, effects: &mut Effects) -> Result<(), Fatal> {
        let told = match end {
            End::Closed => self.control(joined, "phx_close", Body::EMPTY, effects),
            End::Failed => {
                self.control(joined, "phx_error", Body::Json(br#"{"reason":"channel_crash"}"#), effects)
            }
        };
        self.depart(joined, effects);
        told
    }

    fn depart(&self, joined: &Joined, effects: &mut Effects) {
        self.shared.leave(&joined.room, joined.id);
        let changes = joined
            .tracked
            .iter()
            .map(|tracked| Change::leave(Arc::clone(&tracked.key), joined.id, Arc::clone(&tracked.meta)))
            .collect();
        self.shared.change(&joined.room, changes, effects);
    }

    /// A message about a channel: its `ref` is the `join_ref` too, null if the join had none.
    fn control(
        &self,
        joined: &Joined,
        event: &str,
        body: Body<'_>,
        effects: &mut Effects,
    ) -> Result<(), Fatal> {
        let join_ref = Token::Json(&joined.join_ref);
        self.send(
            &Message {
                join_ref,
                reference: join_ref,
                topic: Token::text(&joined.topic),
                event: Token::text(event),
                payload: WirePayload::Event(body),
            },
            effects,
        )
    }

    fn reply_to(
        &self,
        joined: &Joined,
        message: &Message<'_>,
        status: &str,
        response: Body<'_>,
        effects: &mut Effects,
    ) -> Result<(), Fatal> {
        self.answer(message, Token::Json(&joined.push_ref), status, response, effects)
    }

    fn reply(
        &self,
        join_ref: &[u8],
        reference: &[u8],
        topic: &str,
        status: &str,
        response: Body<'_>,
        effects: &mut Effects,
    ) -> Result<(), Fatal> {
        self.send(
            &Message {
                join_ref: Token::Json(join_ref),
                reference: Token::Json(reference),
                topic: Token::text(topic),
                event: Token::text("phx_reply"),
                payload: WirePayload::Reply { status: Token::text(status), response },
            },
            effects,
        )
    }

    /// A reply that carries the topic and the ref of the message as they came.
    fn answer(
        &self,
        message: &Message<'_>,
        join_ref: Token<'_>,
        status: &str,
        response: Body<'_>,
        effects: &mut Effects,
    ) -> Result<(), Fatal> {
        let payload = WirePayload::Reply { status: Token::text(status), response };
        let event = Token::text("phx_reply");
        self.send(
            &Message { join_ref, reference: message.reference, topic: message.topic, event, payload },
            effects,
        )
    }

    fn send(&self, message: &Message<'_>, effects: &mut Effects) -> Result<(), Fatal> {
        let frame = encode::frame(self.version, message)?;
        self.outbox.push(frame, &mut effects.flush);
        Ok(())
    }
}

/// Code of a user panicked; the panic hook has reported where.
#[derive(Debug, PartialEq, Eq)]
struct Panicked;

fn owned_json(token: Token<'_>) -> Result<Box<[u8]>, EmitError> {
    let mut bytes = Vec::new();
    token.emit(&mut |piece| bytes.extend_from_slice(piece))?;
    Ok(bytes.into())
}
