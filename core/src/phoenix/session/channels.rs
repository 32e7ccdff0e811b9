//! The channels of a client and their timers: everything but the messages that come in.

use heapless::{Deque, String, Vec};

use super::PHOENIX;
use super::client::{Full, Ref};
use crate::phoenix::wire::{Body, Message, Payload, Token, Version};
use crate::time::{Duration, Instant};

/// How often the client says that it is there, and how long it waits for the answer.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// How long a join, a leave or a push waits for its reply.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait before connecting for the `tries`-th time (from 1) after a connection was lost.
pub const fn reconnect_after(tries: u32) -> Duration {
    Duration::from_millis(match tries {
        0 | 1 => 10,
        2 => 50,
        3 => 100,
        4 => 150,
        5 => 200,
        6 => 250,
        7 => 500,
        8 => 1_000,
        9 => 2_000,
        _ => 5_000,
    })
}

const fn rejoin_after(tries: u32) -> Duration {
    Duration::from_secs(match tries {
        0 | 1 => 1,
        2 => 2,
        3 => 5,
        _ => 10,
    })
}

/// The channels of a client, its unanswered pushes, and what waits to be sent and told.
#[derive(Debug)]
pub(super) struct Channels<const CHANNELS: usize, const PUSHES: usize, const TEXT: usize, const OUT: usize> {
    pub(super) version: Version,
    pub(super) online: bool,
    now: Instant,
    last_ref: Ref,
    heartbeat_at: Instant,
    heartbeat_ref: Option<Ref>,
    channels: Vec<Channel<TEXT>, CHANNELS>,
    pushes: Vec<Push, PUSHES>,
    /// Messages to be sent, each behind two bytes of length.
    pub(super) out: Deque<u8, OUT>,
    /// Topics that were closed.
    pub(super) closed: Deque<String<TEXT>, CHANNELS>,
    pub(super) unanswered: Deque<Ref, PUSHES>,
    pub(super) dead: bool,
}

#[derive(Debug)]
struct Channel<const TEXT: usize> {
    topic: String<TEXT>,
    params: Vec<u8, TEXT>,
    phase: Phase,
    /// The ref of the join that the channel lives by.
    join_ref: Ref,
    /// The ref of the leave, once it is leaving.
    leave_ref: Ref,
    tries: u32,
    /// When a join or leave is given up, or a join tried again.
    deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not joined; a join is due at the deadline.
    Waiting,
    Joining,
    Joined,
    Leaving,
}

#[derive(Clone, Copy, Debug)]
struct Push {
    reference: Ref,
    join_ref: Ref,
    deadline: Instant,
}

/// What a message turned out to be; the index is the channel's.
#[derive(Clone, Copy)]
pub(super) enum Meaning {
    Joined(usize),
    Refused(usize),
    Failed(usize),
    Reply(Ref),
    Message(usize),
}

impl<const CHANNELS: usize, const PUSHES: usize, const TEXT: usize, const OUT: usize>
    Channels<CHANNELS, PUSHES, TEXT, OUT>
{
    pub(super) const fn new(version: Version) -> Self {
        Self {
            version,
            online: false,
            now: Instant::ZERO,
            last_ref: 0,
            heartbeat_at: Instant::ZERO,
            heartbeat_ref: None,
            channels: Vec::new(),
            pushes: Vec::new(),
            out: Deque::new(),
            closed: Deque::new(),
            unanswered: Deque::new(),
            dead: false,
        }
    }

    /// The time is this.
    pub(super) const fn at(&mut self, now: Instant) {
        self.now = now;
    }

    pub(super) fn connected(&mut self, now: Instant) {
        self.now = now;
        self.online = true;
        self.heartbeat_at = now + HEARTBEAT;
        self.heartbeat_ref = None;
        for channel in &mut self.channels {
            channel.phase = Phase::Waiting;
            channel.deadline = now;
        }
        self.join_due();
    }

    pub(super) fn disconnected(&mut self, now: Instant) {
        self.now = now;
        self.online = false;
        self.heartbeat_ref = None;
        self.dead = false;
        self.out.clear();
        for push in core::mem::take(&mut self.pushes) {
            // As many as there were pushes.
            let _ = self.unanswered.push_back(push.reference);
        }
        while let Some(index) = self.channels.iter().position(|channel| channel.phase == Phase::Leaving) {
            self.remove(index);
        }
        for channel in &mut self.channels {
            channel.phase = Phase::Waiting;
        }
    }

    pub(super) fn join(&mut self, now: Instant, topic: &str, params: &[u8]) -> Result<(), Full> {
        self.now = now;
        let params = Vec::from_slice(params).map_err(|_| Full)?;
        if let Some(channel) = self.channels.iter_mut().find(|channel| channel.topic == topic) {
            channel.params = params;
            if channel.phase == Phase::Leaving {
                channel.phase = Phase::Waiting;
                channel.deadline = now;
            }
        } else {
            let topic = String::try_from(topic).map_err(|_| Full)?;
            let phase = Phase::Waiting;
            let channel =
                Channel { topic, params, phase, join_ref: 0, leave_ref: 0, tries: 0, deadline: now };
            self.channels.push(channel).map_err(|_| Full)?;
        }
        self.join_due();
        Ok(())
    }

    pub(super) fn leave(&mut self, now: Instant, topic: &str) -> Result<(), Full> {
        self.now = now;
        let Some(index) = self.channels.iter().position(|channel| channel.topic == topic) else {
            return Ok(());
        };
        let Some(channel) = self.channels.get(index) else { return Ok(()) };
        if !self.online || channel.phase == Phase::Waiting {
            self.remove(index);
            return Ok(());
        }
        let join_ref = channel.join_ref;
        let leave_ref = self.send(Some(join_ref), topic, "phx_leave", b"{}")?;
        if let Some(channel) = self.channels.get_mut(index) {
            channel.leave_ref = leave_ref;
            channel.phase = Phase::Leaving;
            channel.deadline = now + TIMEOUT;
        }
        Ok(())
    }

    pub(super) fn push(
        &mut self,
        now: Instant,
        topic: &str,
        event: &str,
        payload: &[u8],
    ) -> Result<Ref, Full> {
        if self.pushes.is_full() {
            return Err(Full);
        }
        let (reference, join_ref) = self.push_joined(now, topic, event, payload)?;
        let push = Push { reference, join_ref, deadline: now + TIMEOUT };
        self.pushes.push(push).map_err(|_| Full)?;
        Ok(reference)
    }

    pub(super) fn push_joined(
        &mut self,
        now: Instant,
        topic: &str,
        event: &str,
        payload: &[u8],
    ) -> Result<(Ref, Ref), Full> {
        self.now = now;
        let joined = |channel: &&Channel<TEXT>| channel.topic == topic && channel.phase == Phase::Joined;
        let join_ref = self.channels.iter().find(joined).ok_or(Full)?.join_ref;
        let reference = self.send(Some(join_ref), topic, event, payload)?;
        Ok((reference, join_ref))
    }

    pub(super) fn is_joined(&self, topic: &str) -> bool {
        self.channels.iter().any(|channel| channel.topic == topic && channel.phase == Phase::Joined)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        let unanswered = &mut self.unanswered;
        self.pushes.retain(|push| {
            if push.deadline <= now {
                let _ = unanswered.push_back(push.reference);
            }
            push.deadline > now
        });
        if !self.online {
            return;
        }
        if self.heartbeat_at <= now && !self.dead {
            if self.heartbeat_ref.is_some() {
                self.dead = true;
            } else if let Ok(reference) = self.send(None, PHOENIX, "heartbeat", b"{}") {
                self.heartbeat_ref = Some(reference);
            }
            self.heartbeat_at = now + HEARTBEAT;
        }
        let mut index = 0;
        while let Some(channel) = self.channels.get(index) {
            let (phase, join_ref) = (channel.phase, channel.join_ref);
            if channel.deadline <= now && phase == Phase::Leaving {
                self.remove(index);
                continue;
            }
            if channel.deadline <= now && phase == Phase::Joining {
                // The server may still join it: take that back.
                let topic = channel.topic.clone();
                let _ = self.send(Some(join_ref), &topic, "phx_leave", b"{}");
                self.retry(index);
            }
            index += 1;
        }
        self.join_due();
    }

    fn next_ref(&mut self) -> Ref {
        self.last_ref = self.last_ref.checked_add(1).unwrap_or(1);
        self.last_ref
    }

    fn send(&mut self, join_ref: Option<Ref>, topic: &str, event: &str, payload: &[u8]) -> Result<Ref, Full> {
        let reference = self.next_ref();
        // A join lives by its own ref.
        let join_ref = if event == "phx_join" { Some(reference) } else { join_ref };
        let (own, joined) = (number(reference), join_ref.map(number));
        let message = Message {
            join_ref: joined.as_ref().map_or(Token::NULL, |text| Token::text(text)),
            reference: Token::text(&own),
            topic: Token::text(topic),
            event: Token::text(event),
            payload: Payload::Event(Body::Json(payload)),
        };
        let mut length = 0_usize;
        // Text of strings can always be written.
        let _ = message.emit_to_server(self.version, &mut |piece| length += piece.len());
        let size = u16::try_from(length).map_err(|_| Full)?;
        if self.out.len() + length + 2 > OUT {
            return Err(Full);
        }
        let out = &mut self.out;
        let mut put = |bytes: &[u8]| {
            for byte in bytes {
                // There is room: it has been counted.
                let _ = out.push_back(*byte);
            }
        };
        put(&size.to_be_bytes());
        let _ = message.emit_to_server(self.version, &mut put);
        Ok(reference)
    }

    /// Sends the joins whose time has come. One that does not fit is tried again a moment later.
    fn join_due(&mut self) {
        if !self.online {
            return;
        }
        for index in 0..self.channels.len() {
            let Some(channel) = self.channels.get(index) else { return };
            if channel.phase != Phase::Waiting || channel.deadline > self.now {
                continue;
            }
            let (topic, params) = (channel.topic.clone(), channel.params.clone());
            let sent = self.send(None, &topic, "phx_join", &params);
            let now = self.now;
            let Some(channel) = self.channels.get_mut(index) else { return };
            match sent {
                Ok(reference) => {
                    channel.phase = Phase::Joining;
                    channel.join_ref = reference;
                    channel.deadline = now + TIMEOUT;
                }
                Err(Full) => channel.deadline = now + Duration::from_millis(100),
            }
        }
    }

    fn remove(&mut self, index: usize) {
        if index < self.channels.len() {
            let channel = self.channels.swap_remove(index);
            self.give_up(channel.join_ref);
            // As many as there were channels; if they are not polled, the oldest is forgotten.
            if self.closed.is_full() {
                self.closed.pop_front();
            }
            let _ = self.closed.push_back(channel.topic);
        }
    }

    /// Nothing of that channel will be answered any more.
    fn give_up(&mut self, join_ref: Ref) {
        let unanswered = &mut self.unanswered;
        self.pushes.retain(|push| {
            if push.join_ref == join_ref {
                let _ = unanswered.push_back(push.reference);
            }
            push.join_ref != join_ref
        });
    }

    /// Waits before joining again.
    fn retry(&mut self, index: usize) {
        let now = self.now;
        let Some(channel) = self.channels.get_mut(index) else { return };
        channel.tries = channel.tries.saturating_add(1);
        channel.phase = Phase::Waiting;
        channel.deadline = now + rejoin_after(channel.tries);
        let join_ref = channel.join_ref;
        self.give_up(join_ref);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let channels = self
            .channels
            .iter()
            .filter(|channel| self.online && channel.phase != Phase::Joined)
            .map(|channel| channel.deadline);
        let pushes = self.pushes.iter().map(|push| push.deadline);
        let heartbeat = (self.online && !self.dead).then_some(self.heartbeat_at);
        channels.chain(pushes).chain(heartbeat).min()
    }

    /// The topic of the channel with this index.
    pub(super) fn topic(&self, index: usize) -> &str {
        self.channels.get(index).map_or("", |channel| channel.topic.as_str())
    }

    /// Decides what a message means for the channels.
    pub(super) fn accept(&mut self, message: &Message<'_>) -> Option<Meaning> {
        if message.topic.is(PHOENIX) {
            if self.heartbeat_ref.is_some_and(|reference| message.reference.is(&number(reference))) {
                self.heartbeat_ref = None;
                self.heartbeat_at = self.now + HEARTBEAT;
            }
            return None;
        }
        let index = self.channels.iter().position(|channel| message.topic.is(&channel.topic))?;
        let channel = self.channels.get_mut(index)?;
        let join_ref = number(channel.join_ref);
        // Version 1 has no join_ref; a null one is a broadcast. Any other is of a channel that is gone.
        if !message.join_ref.is_null() && !message.join_ref.is(&join_ref) {
            return None;
        }
        if message.event.is("phx_reply") {
            let (status, _) = message.reply()?;
            let ok = status.is("ok");
            if message.reference.is(&join_ref) {
                if channel.phase != Phase::Joining {
                    return None;
                }
                if ok {
                    channel.phase = Phase::Joined;
                    channel.tries = 0;
                    return Some(Meaning::Joined(index));
                }
                self.retry(index);
                return Some(Meaning::Refused(index));
            }
            let push = self.pushes.iter().position(|push| message.reference.is(&number(push.reference)));
            if let Some(push) = push {
                return Some(Meaning::Reply(self.pushes.swap_remove(push).reference));
            }
            if channel.phase == Phase::Leaving && message.reference.is(&number(channel.leave_ref)) {
                self.remove(index);
            }
            return None;
        }
        let (close, error) = (message.event.is("phx_close"), message.event.is("phx_error"));
        // Of an earlier join, which version 1 tells by the ref alone.
        if (close || error) && !message.reference.is_null() && !message.reference.is(&join_ref) {
            return None;
        }
        if close {
            self.remove(index);
            return None;
        }
        if error {
            self.retry(index);
            return Some(Meaning::Failed(index));
        }
        Some(Meaning::Message(index))
    }
}

/// A ref as it is written: decimal.
fn number(reference: Ref) -> String<10> {
    let mut digits = String::new();
    let mut divisor = 1_000_000_000;
    while divisor > 0 {
        let digit = reference / divisor % 10;
        if digit > 0 || divisor == 1 || !digits.is_empty() {
            // At most ten digits.
            let _ = digits.push(char::from(b'0' + digit as u8));
        }
        divisor /= 10;
    }
    digits
}
