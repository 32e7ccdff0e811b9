//! One connection's channels: what each message of the client does. Pure: output goes to queues and [`Effects`].

mod canonical;
pub(super) mod presence;
pub(super) mod rooms;
pub(super) mod seat;

use std::borrow::Cow;
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
use self::rooms::{CRASHED, Effects, Room, Shared};
use self::seat::{Seat, frame, owned};
use super::channel::{Answer, Channel, Join, Member, Peer, Refusal, Topic, Tracked};
use crate::ws::Outbox;

/// The longest topic that can be joined, in bytes.
const TOPIC: usize = 255;

/// Why a connection cannot go on; Phoenix closes it with 1011.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fatal {
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A client's own bytes cannot be written back to it.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

/// A client that asks to connect, by WebSocket or long polling.
pub(super) struct Admission {
    pub(super) version: Version,
    /// What `disconnect` knows the connection by.
    pub(super) id: Option<Arc<str>>,
    pub(super) peer: Peer,
}

/// A client's connection and its channels.
pub(super) struct Socket {
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
    admission: Admission,
    /// At most [`Shared::channels`], few in practice, and those that are ending.
    channels: Vec<Joined>,
}

struct Joined {
    place: Place,
    member: Box<dyn Member>,
    /// How the channel ends, if it is about to.
    ending: Option<Ending>,
}

/// Where a member sits: its client's end, the topic, and its part in the topic's presence.
pub(super) struct Place {
    pub(super) seat: Arc<Seat>,
    pub(super) room: Arc<Room>,
    pub(super) tracked: Vec<Tracked>,
}

/// How a channel ends once the batch of input is over. Until then it swallows what comes for it, as a channel of Phoenix
/// does that has not died yet; a join takes its place, and then only that is answered.
enum Ending {
    /// The client leaves. That waits for one batch more, or a moment: a join may follow right behind.
    Left {
        reference: Result<Box<[u8]>, EmitError>,
        new: bool,
    },
    Closed,
    Failed,
}

impl Socket {
    pub(super) fn new(shared: Arc<Shared>, outbox: Arc<Outbox>, admission: Admission) -> Self {
        Self { shared, outbox, admission, channels: Vec::new() }
    }

    /// Handles a text frame (for version 1: any frame).
    pub(super) fn text(&mut self, frame: &[u8], effects: &mut Effects) -> Result<(), Fatal> {
        let version = self.admission.version;
        if self.shared.strict {
            let frame = canonical(frame).map_err(ParseError::Json)?;
            return self.message(&parse_text(version, &frame)?, effects);
        }
        self.message(&parse_text(version, frame)?, effects)
    }

    /// Handles a binary frame.
    pub(super) fn binary(&mut self, frame: &[u8], effects: &mut Effects) -> Result<(), Fatal> {
        match self.admission.version {
            Version::V1 => self.text(frame, effects),
            Version::V2 => self.message(&parse_binary_of_client(frame)?, effects),
        }
    }

    /// Whether a leave waits for [`settle`](Self::settle).
    pub(super) fn is_leaving(&self) -> bool {
        self.channels.iter().any(|joined| joined.ending.is_some())
    }

    /// The batch is over: carries out the ends of channels. Leaves that came with this batch wait, unless `all` must go.
    pub(super) fn settle(&mut self, all: bool, effects: &mut Effects) -> Result<(), Fatal> {
        let mut result = Ok(());
        let mut index = 0;
        while let Some(joined) = self.channels.get_mut(index) {
            match &mut joined.ending {
                None => index += 1,
                Some(Ending::Left { new, .. }) if *new && !all => {
                    *new = false;
                    index += 1;
                }
                Some(_) => {
                    let joined = self.channels.swap_remove(index);
                    result = result.and(self.end(joined, effects));
                }
            }
        }
        result
    }

    /// Ends all channels: the connection is gone.
    pub(super) fn close(&mut self, effects: &mut Effects) {
        for joined in std::mem::take(&mut self.channels) {
            self.depart(joined, effects);
        }
    }

    fn message(&mut self, message: &Message<'_>, effects: &mut Effects) -> Result<(), Fatal> {
        let topic = match message.topic.as_str() {
            Some(topic) => Cow::Borrowed(topic),
            None => Cow::Owned(message.topic.characters().collect()),
        };
        let is_text = !matches!(message.topic, Token::Json(value) if json::kind(value) != json::Kind::String);
        let is_here = |joined: &Joined| *joined.place.seat.topic == *topic && is_text;
        let index = self.channels.iter().position(is_here);
        // What took its channel along has told the client so.
        let index = index.filter(|index| {
            let has_ended = self.channels.get(*index).is_none_or(|joined| joined.place.seat.has_ended());
            if has_ended {
                discard(self.channels.swap_remove(*index));
            }
            !has_ended
        });
        let joined = index.and_then(|index| self.channels.get_mut(index));
        match (route(message, joined.as_ref().map(|joined| Token::Json(&joined.place.seat.join_ref))), joined)
        {
            (Route::Heartbeat, _) => self.answer(message, Token::NULL, "ok", Body::EMPTY, effects),
            (Route::LeaveNothing, _) => self.answer(message, message.join_ref, "ok", Body::EMPTY, effects),
            (Route::Join, _) if is_text => self.join(message, &topic, index, effects),
            (Route::Stale, _) | (Route::Leave | Route::Deliver, Some(Joined { ending: Some(_), .. })) => {
                Ok(())
            }
            (Route::Leave, Some(joined)) => {
                let reference = owned(message.reference);
                joined.ending = Some(Ending::Left { reference, new: true });
                Ok(())
            }
            (Route::Deliver, Some(_)) => self.deliver(message, index.unwrap_or_default(), effects),
            _ => self.refuse(message, Token::NULL, &Refusal::reason("unmatched topic"), effects),
        }
    }

    fn join(
        &mut self,
        message: &Message<'_>,
        topic: &str,
        existing: Option<usize>,
        effects: &mut Effects,
    ) -> Result<(), Fatal> {
        let Some(behaviour) = self.shared.topic(topic).map(Arc::clone) else {
            return self.refuse(message, Token::NULL, &Refusal::reason("unmatched topic"), effects);
        };
        let joined = self.channels.iter().filter(|joined| joined.ending.is_none()).count();
        if existing.is_none() && joined >= self.shared.channels {
            let refusal = Refusal::reason("too many channels joined");
            return self.refuse(message, message.join_ref, &refusal, effects);
        }
        let id = self.shared.id();
        let seat = Arc::new(Seat::of(message, topic, id, self.admission.version, &self.outbox)?);
        // The old channel ends whatever becomes of the new one; others see it leave first.
        let old = existing.map(|index| self.make_way(index, effects));
        let admitted = self.admit(&*behaviour, topic, message.body());
        let room = admitted.is_ok().then(|| self.shared.enter(&seat));
        let mut answered = match &admitted {
            Ok(join) => self.answer(message, message.join_ref, "ok", join.response.body(), effects),
            Err(refusal) => self.refuse(message, message.join_ref, refusal, effects),
        };
        if let Some(old) = old {
            let closed = old.control("phx_close", Body::EMPTY, &mut effects.flush);
            answered = answered.and(closed.map_err(Fatal::from));
        }
        if let (Ok(Join { member, .. }), Some(room)) = (admitted, room) {
            self.settle_in(member, Place { seat, room, tracked: Vec::new() }, effects);
        }
        answered
    }

    /// Asks the topic whether the client may join.
    fn admit(&self, behaviour: &dyn Topic, topic: &str, params: Body<'_>) -> Result<Join, Refusal> {
        if topic.len() > TOPIC && !self.shared.strict {
            return Err(Refusal::reason("topic must be at most 255 bytes long"));
        }
        let join = || behaviour.join(topic, params, &self.admission.peer);
        catch_unwind(AssertUnwindSafe(join)).unwrap_or(Err(Refusal::Crashed))
    }

    /// Ends a channel whose topic is joined again; the client is told after the answer to that.
    fn make_way(&mut self, index: usize, effects: &mut Effects) -> Arc<Seat> {
        let old = self.channels.swap_remove(index);
        let seat = Arc::clone(&old.place.seat);
        self.depart(old, effects);
        seat
    }

    /// The client has been told that it joined.
    fn settle_in(&mut self, member: Box<dyn Member>, place: Place, effects: &mut Effects) {
        let mut joined = Joined { place, member, ending: None };
        let (failed, changes) = self.call(&mut joined, None, effects, |member, channel| {
            member.joined(channel);
            channel.failed
        });
        self.shared.change(&joined.place.room, changes, effects);
        if failed != Ok(false) {
            joined.ending = Some(Ending::Failed);
        }
        self.channels.push(joined);
    }

    fn deliver(&mut self, message: &Message<'_>, index: usize, effects: &mut Effects) -> Result<(), Fatal> {
        let mut joined = self.channels.swap_remove(index);
        let event = match (message.event, message.event.as_str()) {
            (_, Some(event)) => Some(Cow::Borrowed(event)),
            (Token::Json([b'"', ..]), None) => Some(Cow::Owned(message.event.characters().collect())),
            _ => None,
        };
        let body = message.body();
        let (answer, changes) = match &event {
            Some(event) => self.call(&mut joined, Some(message.reference), effects, |member, channel| {
                member.handle(channel, event, body)
            }),
            None => (Ok(Answer::Fail("an event that is no string")), Vec::new()),
        };
        let seat = &joined.place.seat;
        let mut reply = |status: &str, response: Body<'_>| {
            seat.reply(message.reference, status, response, &mut effects.flush)
        };
        let (answered, ending) = match answer.unwrap_or(Answer::Fail("the handler panicked")) {
            Answer::Silence => (Ok(()), None),
            Answer::Reply { status, response } => (reply(status, response.body()), None),
            Answer::Stop(Some(response)) => (reply("ok", response.body()), Some(Ending::Closed)),
            Answer::Stop(None) => (Ok(()), Some(Ending::Closed)),
            Answer::Fail(reason) => {
                tracing::debug!(topic = %seat.topic, reason, "a channel failed");
                (Ok(()), Some(Ending::Failed))
            }
        };
        // A channel whose answer cannot be written fails by that.
        joined.ending = if answered.is_ok() { ending } else { Some(Ending::Failed) };
        self.shared.change(&joined.place.room, changes, effects);
        self.channels.push(joined);
        Ok(())
    }

    /// Calls code of a user; answers also the presence changes that it made.
    fn call<T>(
        &self,
        joined: &mut Joined,
        request: Option<Token<'_>>,
        effects: &mut Effects,
        call: impl FnOnce(&mut dyn Member, &mut Channel<'_>) -> T,
    ) -> (Result<T, Panicked>, Vec<Change>) {
        let Joined { place, member, .. } = joined;
        let Admission { peer, id, .. } = &self.admission;
        let mut channel = Channel::new(&self.shared, place, peer, id.as_deref(), request, effects);
        let result = catch_unwind(AssertUnwindSafe(|| call(&mut **member, &mut channel)));
        (result.map_err(|_| Panicked), channel.changes)
    }

    /// Tells the client that a channel ended, then the others that its presence left.
    fn end(&mut self, mut joined: Joined, effects: &mut Effects) -> Result<(), Fatal> {
        let seat = Arc::clone(&joined.place.seat);
        let flush = &mut effects.flush;
        let ending = match joined.ending.take() {
            Some(Ending::Left { reference, .. }) => {
                let answer =
                    |reference: Box<[u8]>| seat.reply(Token::Json(&reference), "ok", Body::EMPTY, flush);
                // A channel whose answer cannot be written fails by that.
                if reference.and_then(answer).is_ok() { Ending::Closed } else { Ending::Failed }
            }
            ending => ending.unwrap_or(Ending::Closed),
        };
        let told = match ending {
            _ if seat.has_ended() => Ok(()),
            Ending::Failed => seat.control("phx_error", CRASHED, flush),
            _ => seat.control("phx_close", Body::EMPTY, flush),
        };
        self.depart(joined, effects);
        Ok(told?)
    }

    /// Takes a channel out of its topic.
    fn depart(&self, joined: Joined, effects: &mut Effects) {
        let Place { seat, room, tracked } = &joined.place;
        if !seat.end() {
            self.shared.leave(room, seat.id);
            let changes = tracked
                .iter()
                .map(|tracked| Change::leave(Arc::clone(&tracked.key), seat.id, Arc::clone(&tracked.meta)))
                .collect();
            self.shared.change(room, changes, effects);
        }
        discard(joined);
    }

    fn refuse(
        &self,
        message: &Message<'_>,
        join_ref: Token<'_>,
        refusal: &Refusal,
        effects: &mut Effects,
    ) -> Result<(), Fatal> {
        self.answer(message, join_ref, "error", refusal.response().body(), effects)
    }

    /// Answers a message that is for no channel, or joins one; topic and ref are as they came.
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
        let reply = Message { join_ref, event, payload, ..*message };
        self.outbox.push(frame(self.admission.version, &reply)?, &mut effects.flush);
        Ok(())
    }
}

/// Drops a channel: code of a user, too.
fn discard(joined: Joined) {
    // The panic hook has reported where.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(joined)));
}

/// Code of a user panicked; the panic hook has reported where.
#[derive(Debug, PartialEq, Eq)]
struct Panicked;
