//! A client of channels: joins, and joins again after errors and reconnects; heartbeats; times out.

use heapless::{Deque, String, Vec};

use super::PHOENIX;
use crate::machine::{Machine, Output};
use crate::phoenix::wire::{
    Body, Message, Opcode, Payload, Token, Version, parse_binary_of_server, parse_text,
};
use crate::time::{Duration, Instant};

/// How often the client says that it is there, and how long it waits for the answer.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// How long a join, a leave or a push waits for its reply.
const PATIENCE: Duration = Duration::from_secs(10);

/// The number of a message, never zero.
pub type Ref = u32;

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

/// There is no room for one more channel, unanswered push, or byte to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full;

impl core::fmt::Display for Full {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no room for one more channel, push or byte")
    }
}

impl core::error::Error for Full {}

/// What a [`Client`] tells.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The topic is joined, for the first time or again.
    Joined {
        /// The channel.
        topic: &'a str,
        /// What the server answered.
        response: Body<'a>,
    },
    /// The server refused the join; the client tries again later unless it is told to leave.
    Refused {
        /// The channel.
        topic: &'a str,
        /// Why.
        response: Body<'a>,
    },
    /// The channel failed at the server; the client joins it again.
    Failed {
        /// The channel.
        topic: &'a str,
    },
    /// The channel has ended, by our leave or by the server's will. It is not joined again.
    Closed {
        /// The channel.
        topic: &'a str,
    },
    /// A push was answered.
    Reply {
        /// What [`Client::push`] returned.
        reference: Ref,
        /// `ok`, `error`, …
        status: Token<'a>,
        /// The answer.
        response: Body<'a>,
    },
    /// A push was not answered in time, or its channel or connection ended first.
    Unanswered {
        /// What [`Client::push`] returned.
        reference: Ref,
    },
    /// Something happened in a channel: an event of its own, `presence_state` or `presence_diff`.
    Message {
        /// The channel.
        topic: &'a str,
        /// What.
        event: Token<'a>,
        /// With what.
        payload: Body<'a>,
    },
    /// The server did not answer a heartbeat: close the connection and make a new one.
    Dead,
}

/// A client with room for `CHANNELS` channels and as many unanswered pushes as `PUSHES`; topics and join parameters have
/// at most `TEXT` bytes; `OUT` bytes wait to be sent and messages have at most `IN` bytes (longer ones are dropped).
///
/// It is a [`Machine`] over whole messages: [`handle_input`](Machine::handle_input) takes the text of one, and what it
/// transmits is one text message each. Binary messages of version 2 go in by
/// [`handle_binary`](Self::handle_binary). Tell it when the connection [opens](Self::connected) and
/// [ends](Self::disconnected).
#[derive(Debug)]
pub struct Client<
    const CHANNELS: usize,
    const PUSHES: usize,
    const TEXT: usize,
    const OUT: usize,
    const IN: usize,
> {
    version: Version,
    online: bool,
    now: Instant,
    last_ref: Ref,
    heartbeat_at: Instant,
    heartbeat_ref: Option<Ref>,
    channels: Vec<Channel<TEXT>, CHANNELS>,
    pushes: Vec<Push, PUSHES>,
    /// Messages to be sent, each behind two bytes of length.
    out: Deque<u8, OUT>,
    /// The message that is being sent.
    sending: Vec<u8, OUT>,
    inbox: Vec<u8, IN>,
    arrived: Option<Opcode>,
    /// What to tell that no message brought.
    notices: Deque<Notice<TEXT>, CHANNELS>,
    unanswered: Deque<Ref, PUSHES>,
    dead: bool,
}

#[derive(Debug)]
struct Channel<const TEXT: usize> {
    topic: String<TEXT>,
    params: Vec<u8, TEXT>,
    phase: Phase,
    /// The ref of the join that the channel lives by.
    join_ref: Ref,
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

#[derive(Debug)]
enum Notice<const TEXT: usize> {
    Closed(String<TEXT>),
}

impl<const CHANNELS: usize, const PUSHES: usize, const TEXT: usize, const OUT: usize, const IN: usize>
    Client<CHANNELS, PUSHES, TEXT, OUT, IN>
{
    /// A client that is not connected.
    pub const fn new(version: Version) -> Self {
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
            sending: Vec::new(),
            inbox: Vec::new(),
            arrived: None,
            notices: Deque::new(),
            unanswered: Deque::new(),
            dead: false,
        }
    }

    /// The connection is open: every channel is joined.
    pub fn connected(&mut self, now: Instant) {
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

    /// The connection has ended: what was not sent and what was not answered is lost, leaves are done.
    pub fn disconnected(&mut self, now: Instant) {
        self.now = now;
        self.online = false;
        self.heartbeat_ref = None;
        self.dead = false;
        self.out.clear();
        self.sending.clear();
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

    /// Joins a topic, now or when the connection opens, and again whenever that is needed. Joining a topic again
    /// replaces its parameters and takes effect with the next join.
    ///
    /// # Errors
    /// [`Full`] when there is no room; `params` must be JSON.
    pub fn join(&mut self, now: Instant, topic: &str, params: &[u8]) -> Result<(), Full> {
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
            let channel =
                Channel { topic, params, phase: Phase::Waiting, join_ref: 0, tries: 0, deadline: now };
            self.channels.push(channel).map_err(|_| Full)?;
        }
        self.join_due();
        Ok(())
    }

    /// Leaves a topic; [`Event::Closed`] says when that is done, at once if it was not joined.
    ///
    /// # Errors
    /// [`Full`] when the message does not fit; the channel is as it was.
    pub fn leave(&mut self, now: Instant, topic: &str) -> Result<(), Full> {
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
        self.send(Some(join_ref), topic, "phx_leave", b"{}")?;
        if let Some(channel) = self.channels.get_mut(index) {
            channel.phase = Phase::Leaving;
            channel.deadline = now + PATIENCE;
        }
        Ok(())
    }

    /// Sends an event to a joined channel; a [`Event::Reply`] or [`Event::Unanswered`] with the same ref follows.
    ///
    /// # Errors
    /// [`Full`] when the channel is not joined or the message does not fit; `payload` must be JSON.
    pub fn push(&mut self, now: Instant, topic: &str, event: &str, payload: &[u8]) -> Result<Ref, Full> {
        if self.pushes.is_full() {
            return Err(Full);
        }
        let (reference, join_ref) = self.push_joined(now, topic, event, payload)?;
        let push = Push { reference, join_ref, deadline: now + PATIENCE };
        self.pushes.push(push).map_err(|_| Full)?;
        Ok(reference)
    }

    /// Sends an event that the server does not answer, such as the `shout` of a chat room.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn cast(&mut self, now: Instant, topic: &str, event: &str, payload: &[u8]) -> Result<(), Full> {
        self.push_joined(now, topic, event, payload).map(|_| ())
    }

    fn push_joined(
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

    /// Whether a topic is joined.
    pub fn is_joined(&self, topic: &str) -> bool {
        self.channels.iter().any(|channel| channel.topic == topic && channel.phase == Phase::Joined)
    }

    /// Takes a binary message, as [`handle_input`](Machine::handle_input) takes a text.
    pub fn handle_binary(&mut self, now: Instant, bytes: &[u8]) -> usize {
        self.receive(now, bytes, Opcode::Binary)
    }

    fn receive(&mut self, now: Instant, bytes: &[u8], opcode: Opcode) -> usize {
        self.now = now;
        if self.arrived.is_some() {
            // The message before this one must be polled first.
            return 0;
        }
        self.inbox.clear();
        if self.inbox.extend_from_slice(bytes).is_ok() {
            self.arrived = Some(opcode);
        }
        bytes.len()
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
                    channel.deadline = now + PATIENCE;
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
            if self.notices.is_full() {
                self.notices.pop_front();
            }
            let _ = self.notices.push_back(Notice::Closed(channel.topic));
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

    fn deadline(&self) -> Option<Instant> {
        let channels = self
            .channels
            .iter()
            .filter(|channel| self.online && channel.phase != Phase::Joined)
            .map(|channel| channel.deadline);
        let pushes = self.pushes.iter().map(|push| push.deadline);
        let heartbeat = (self.online && !self.dead).then_some(self.heartbeat_at);
        channels.chain(pushes).chain(heartbeat).min()
    }

    /// Decides what the message in the inbox means for the channels.
    fn accept(&mut self, opcode: Opcode) -> Option<Meaning> {
        let inbox = core::mem::take(&mut self.inbox);
        let meaning = self.meaning(&inbox, opcode);
        self.inbox = inbox;
        meaning
    }

    fn meaning(&mut self, bytes: &[u8], opcode: Opcode) -> Option<Meaning> {
        let message = parse(self.version, bytes, opcode)?;
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
            if channel.phase == Phase::Leaving {
                self.remove(index);
            }
            return None;
        }
        if message.event.is("phx_close") {
            self.remove(index);
            return None;
        }
        if message.event.is("phx_error") {
            self.retry(index);
            return Some(Meaning::Failed(index));
        }
        Some(Meaning::Message(index))
    }
}

/// What a message in the inbox turned out to be; the index is the channel's.
#[derive(Clone, Copy)]
enum Meaning {
    Joined(usize),
    Refused(usize),
    Failed(usize),
    Reply(Ref),
    Message(usize),
}

impl<const CHANNELS: usize, const PUSHES: usize, const TEXT: usize, const OUT: usize, const IN: usize> Machine
    for Client<CHANNELS, PUSHES, TEXT, OUT, IN>
{
    type Event<'a> = Event<'a>;

    fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> usize {
        self.receive(now, bytes, Opcode::Text)
    }

    fn handle_timeout(&mut self, now: Instant) {
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

    fn poll(&mut self) -> Output<'_, Event<'_>> {
        self.sending.clear();
        if let (Some(high), Some(low)) = (self.out.pop_front(), self.out.pop_front()) {
            for _ in 0..u16::from_be_bytes([high, low]) {
                if let Some(byte) = self.out.pop_front() {
                    let _ = self.sending.push(byte);
                }
            }
            return Output::Transmit(&self.sending);
        }
        if let Some(reference) = self.unanswered.pop_front() {
            return Output::Event(Event::Unanswered { reference });
        }
        if let Some(opcode) = self.arrived.take()
            && let Some(meaning) = self.accept(opcode)
        {
            return self.tell(meaning, opcode);
        }
        if let Some(Notice::Closed(topic)) = self.notices.pop_front() {
            // Kept in the inbox, which nobody reads any more.
            self.inbox.clear();
            let _ = self.inbox.extend_from_slice(topic.as_bytes());
            return Output::Event(Event::Closed {
                topic: core::str::from_utf8(&self.inbox).unwrap_or_default(),
            });
        }
        if self.dead && self.online {
            self.online = false;
            return Output::Event(Event::Dead);
        }
        Output::Wait(self.deadline())
    }
}

impl<const CHANNELS: usize, const PUSHES: usize, const TEXT: usize, const OUT: usize, const IN: usize>
    Client<CHANNELS, PUSHES, TEXT, OUT, IN>
{
    fn tell(&self, meaning: Meaning, opcode: Opcode) -> Output<'_, Event<'_>> {
        let Some(message) = parse(self.version, &self.inbox, opcode) else {
            return Output::Wait(self.deadline());
        };
        let topic = |index: usize| self.channels.get(index).map_or("", |channel| channel.topic.as_str());
        let (status, response) = message.reply().unwrap_or((Token::NULL, Body::EMPTY));
        Output::Event(match meaning {
            Meaning::Joined(index) => Event::Joined { topic: topic(index), response },
            Meaning::Refused(index) => Event::Refused { topic: topic(index), response },
            Meaning::Failed(index) => Event::Failed { topic: topic(index) },
            Meaning::Reply(reference) => Event::Reply { reference, status, response },
            Meaning::Message(index) => {
                Event::Message { topic: topic(index), event: message.event, payload: message.body() }
            }
        })
    }
}

fn parse(version: Version, bytes: &[u8], opcode: Opcode) -> Option<Message<'_>> {
    match opcode {
        Opcode::Text => parse_text(version, bytes).ok(),
        Opcode::Binary => parse_binary_of_server(bytes).ok(),
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
