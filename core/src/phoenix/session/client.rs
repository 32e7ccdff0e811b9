//! A client of channels: joins, and joins again after errors and reconnects; heartbeats; times out.

use heapless::Vec;

use super::channels::{Channels, Meaning};
use crate::machine::{Machine, Output};
use crate::phoenix::wire::{Body, Message, Opcode, Token, Version, parse_binary_of_server, parse_text};
use crate::time::Instant;

/// The number of a message, never zero.
pub type Ref = u32;

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
        /// Whether the server meant this client alone (a push) and not all members (a broadcast). Version 1 does not
        /// tell: `false`.
        personal: bool,
    },
    /// A message of the server was longer than there is room for; what it said is lost.
    TooLong {
        /// How many bytes it had.
        length: usize,
    },
    /// The server did not answer a heartbeat: close the connection and make a new one.
    Dead,
}

/// A client with room for `CHANNELS` channels and as many unanswered pushes as `PUSHES`; topics and join parameters have
/// at most `TEXT` bytes; `OUT` bytes wait to be sent and messages have at most `IN` bytes
/// (of longer ones [`Event::TooLong`] tells).
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
    channels: Channels<CHANNELS, PUSHES, TEXT, OUT>,
    /// The message that is being sent.
    sending: Vec<u8, OUT>,
    inbox: Vec<u8, IN>,
    arrived: Option<Opcode>,
    /// The length of a message that did not fit into the inbox.
    too_long: Option<usize>,
}

impl<const CHANNELS: usize, const PUSHES: usize, const TEXT: usize, const OUT: usize, const IN: usize>
    Client<CHANNELS, PUSHES, TEXT, OUT, IN>
{
    /// A client that is not connected.
    pub const fn new(version: Version) -> Self {
        Self {
            channels: Channels::new(version),
            sending: Vec::new(),
            inbox: Vec::new(),
            arrived: None,
            too_long: None,
        }
    }

    /// The connection is open: every channel is joined.
    pub fn connected(&mut self, now: Instant) {
        self.channels.connected(now);
    }

    /// The connection has ended: what was not sent and what was not answered is lost, leaves are done.
    pub fn disconnected(&mut self, now: Instant) {
        self.sending.clear();
        self.channels.disconnected(now);
    }

    /// Joins a topic, now or when the connection opens, and again whenever that is needed. Joining a topic again
    /// replaces its parameters and takes effect with the next join.
    ///
    /// # Errors
    /// [`Full`] when there is no room; `params` must be JSON.
    pub fn join(&mut self, now: Instant, topic: &str, params: &[u8]) -> Result<(), Full> {
        self.channels.join(now, topic, params)
    }

    /// Leaves a topic; [`Event::Closed`] says when that is done, at once if it was not joined.
    ///
    /// # Errors
    /// [`Full`] when the message does not fit; the channel is as it was.
    pub fn leave(&mut self, now: Instant, topic: &str) -> Result<(), Full> {
        self.channels.leave(now, topic)
    }

    /// Sends an event to a joined channel; a [`Event::Reply`] or [`Event::Unanswered`] with the same ref follows.
    ///
    /// # Errors
    /// [`Full`] when the channel is not joined or the message does not fit; `payload` must be JSON.
    pub fn push(&mut self, now: Instant, topic: &str, event: &str, payload: &[u8]) -> Result<Ref, Full> {
        self.channels.push(now, topic, event, payload)
    }

    /// Sends an event that the server does not answer, such as the `shout` of a chat room.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn cast(&mut self, now: Instant, topic: &str, event: &str, payload: &[u8]) -> Result<(), Full> {
        self.channels.push_joined(now, topic, event, payload).map(|_| ())
    }

    /// Whether a topic is joined.
    pub fn is_joined(&self, topic: &str) -> bool {
        self.channels.is_joined(topic)
    }

    /// Takes a binary message, as [`handle_input`](Machine::handle_input) takes a text.
    pub fn handle_binary(&mut self, now: Instant, bytes: &[u8]) -> usize {
        self.receive(now, bytes, Opcode::Binary)
    }

    fn receive(&mut self, now: Instant, bytes: &[u8], opcode: Opcode) -> usize {
        self.channels.at(now);
        if self.arrived.is_some() || self.too_long.is_some() {
            // The message before this one must be polled first.
            return 0;
        }
        self.inbox.clear();
        match self.inbox.extend_from_slice(bytes) {
            Ok(()) => self.arrived = Some(opcode),
            Err(_) => self.too_long = Some(bytes.len()),
        }
        bytes.len()
    }

    fn tell(&self, meaning: Meaning, opcode: Opcode) -> Output<'_, Event<'_>> {
        let Some(message) = parse(self.channels.version, &self.inbox, opcode) else {
            return Output::Wait(self.channels.deadline());
        };
        let topic = |index: usize| self.channels.topic(index);
        let (status, response) = message.reply().unwrap_or((Token::NULL, Body::EMPTY));
        Output::Event(match meaning {
            Meaning::Joined(index) => Event::Joined { topic: topic(index), response },
            Meaning::Refused(index) => Event::Refused { topic: topic(index), response },
            Meaning::Failed(index) => Event::Failed { topic: topic(index) },
            Meaning::Reply(reference) => Event::Reply { reference, status, response },
            Meaning::Message(index) => {
                let personal = !message.join_ref.is_null();
                Event::Message {
                    topic: topic(index),
                    event: message.event,
                    payload: message.body(),
                    personal,
                }
            }
        })
    }
}

impl<const CHANNELS: usize, const PUSHES: usize, const TEXT: usize, const OUT: usize, const IN: usize> Machine
    for Client<CHANNELS, PUSHES, TEXT, OUT, IN>
{
    type Event<'a> = Event<'a>;

    fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> usize {
        self.receive(now, bytes, Opcode::Text)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.channels.handle_timeout(now);
    }

    fn poll(&mut self) -> Output<'_, Event<'_>> {
        self.sending.clear();
        let out = &mut self.channels.out;
        if let (Some(high), Some(low)) = (out.pop_front(), out.pop_front()) {
            for _ in 0..u16::from_be_bytes([high, low]) {
                if let Some(byte) = out.pop_front() {
                    let _ = self.sending.push(byte);
                }
            }
            return Output::Transmit(&self.sending);
        }
        if let Some(reference) = self.channels.unanswered.pop_front() {
            return Output::Event(Event::Unanswered { reference });
        }
        if let Some(length) = self.too_long.take() {
            return Output::Event(Event::TooLong { length });
        }
        if let Some(opcode) = self.arrived.take()
            && let Some(message) = parse(self.channels.version, &self.inbox, opcode)
            && let Some(meaning) = self.channels.accept(&message)
        {
            return self.tell(meaning, opcode);
        }
        if let Some(topic) = self.channels.closed.pop_front() {
            // Kept in the inbox, which nobody reads any more.
            self.inbox.clear();
            let _ = self.inbox.extend_from_slice(topic.as_bytes());
            return Output::Event(Event::Closed {
                topic: core::str::from_utf8(&self.inbox).unwrap_or_default(),
            });
        }
        if self.channels.dead && self.channels.online {
            self.channels.online = false;
            return Output::Event(Event::Dead);
        }
        Output::Wait(self.channels.deadline())
    }
}

fn parse(version: Version, bytes: &[u8], opcode: Opcode) -> Option<Message<'_>> {
    match opcode {
        Opcode::Text => parse_text(version, bytes).ok(),
        Opcode::Binary => parse_binary_of_server(bytes).ok(),
    }
}
