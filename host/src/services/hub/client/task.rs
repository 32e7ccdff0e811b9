//! The task of a chat: one connection after the other, the session and the presence fed from it.

use std::time::Duration;

use cloverleaf_core::driver::Clock;
use cloverleaf_core::json;
use cloverleaf_core::machine::{Machine, Output};
use cloverleaf_core::phoenix::presence::{self, Change};
use cloverleaf_core::phoenix::session::{self, Event, reconnect_after};
use cloverleaf_core::phoenix::wire::{Body, Version};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::connect::{Stream, Target};
use super::heard::Heard;
use super::{ChatEvent, Command, MESSAGE, PEOPLE, TIMEOUT};
use crate::clock::TokioClock;

/// One room, no pushes that wait for answers, text up to 512 bytes, 16 kB on the way out.
type Session = session::Client<1, 1, 512, 16_384, MESSAGE>;

/// 64 kB of diffs may come before the state.
type Presence = presence::Presence<PEOPLE, 128, 65_536>;

pub(super) struct Task {
    target: Target,
    /// How often connecting was tried since we were last in the room.
    tries: u32,
    room: String,
    topic: String,
    name: String,
    session: Box<Session>,
    people: People,
    clock: TokioClock,
    tell: mpsc::Sender<ChatEvent>,
    orders: mpsc::Receiver<Command>,
}

/// What is known of the room.
struct People {
    presence: Box<Presence>,
    heard: Heard,
    /// That somebody is missing has been told since the last join.
    crowded: bool,
}

/// Why a connection is over.
enum Over {
    Lost(String),
    Left,
}

impl Task {
    pub(super) fn new(
        target: Target,
        room: &str,
        name: &str,
        tell: mpsc::Sender<ChatEvent>,
        orders: mpsc::Receiver<Command>,
    ) -> Self {
        Self {
            target,
            tries: 0,
            room: room.to_owned(),
            topic: format!("room:{room}"),
            name: name.to_owned(),
            session: Box::new(Session::new(Version::V2)),
            people: People { presence: Box::new(Presence::new()), heard: Heard::default(), crowded: false },
            clock: TokioClock::start(),
            tell,
            orders,
        }
    }

    /// Lives through the first connection and those that follow.
    pub(super) async fn run(mut self, first: Stream) {
        let params = serde_json::json!({ "username": self.name }).to_string();
        let mut first = Some(first);
        loop {
            // Anew each time: a channel that the server has closed is not joined again by itself.
            if self.session.join(self.clock.now(), &self.topic, params.as_bytes()).is_err() {
                let response = "the name of the room or the user is too long".to_owned();
                let _ = self.tell.send(ChatEvent::Refused { response }).await;
                return;
            }
            let connected = match first.take() {
                Some(stream) => Ok(stream),
                None => tokio::select! {
                    connected = self.target.connect() => connected,
                    () = self.tell.closed() => return,
                },
            };
            let over = match connected {
                Ok(stream) => self.converse(stream).await,
                Err(error) => Over::Lost(explain(&error)),
            };
            self.session.disconnected(self.clock.now());
            match over {
                Over::Left => return,
                Over::Lost(reason) => {
                    if self.tell.send(ChatEvent::Offline { reason }).await.is_err() {
                        return;
                    }
                }
            }
            self.tries = self.tries.saturating_add(1);
            if self.wait(Duration::from_millis(reconnect_after(self.tries).as_millis())).await.is_err() {
                return;
            }
        }
    }

    /// Waits before the next attempt, during which nothing can be sent; the error is the end of the chat.
    async fn wait(&mut self, span: Duration) -> Result<(), ()> {
        let sleep = tokio::time::sleep(span);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => return Ok(()),
                () = self.tell.closed() => return Err(()),
                order = self.orders.recv() => match order {
                    Some(Command::Say(body)) => {
                        self.tell.send(ChatEvent::Unsent { body }).await.map_err(|_| ())?;
                    }
                    Some(Command::Typing(_)) => {}
                    Some(Command::Leave) | None => return Err(()),
                },
            }
        }
    }

    /// Lives through one connection.
    async fn converse(&mut self, stream: Stream) -> Over {
        let (mut sink, mut source) = stream.split();
        self.session.connected(self.clock.now());
        loop {
            // Everything the session wants, then wait for one thing to happen.
            let deadline = loop {
                let told = match self.session.poll() {
                    Output::Transmit(bytes) => {
                        let text = String::from_utf8_lossy(bytes).into_owned();
                        match timeout(TIMEOUT, sink.send(Message::text(text))).await {
                            Ok(Ok(())) => continue,
                            Ok(Err(error)) => return Over::Lost(error.to_string()),
                            Err(_) => return Over::Lost("the server does not read".to_owned()),
                        }
                    }
                    Output::Event(event) => match self.people.hear(&event) {
                        Ok(told) => told,
                        Err(over) => return over,
                    },
                    Output::Wait(deadline) => break deadline,
                };
                for told in told {
                    if told == ChatEvent::Joined {
                        self.tries = 0;
                    }
                    if self.tell.send(told).await.is_err() {
                        return Over::Left;
                    }
                }
            };
            let mut clock = self.clock;
            tokio::select! {
                message = source.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        self.session.handle_input(self.clock.now(), text.as_bytes());
                    }
                    Some(Ok(Message::Binary(bytes))) => {
                        self.session.handle_binary(self.clock.now(), &bytes);
                    }
                    Some(Ok(Message::Close(frame))) => {
                        let code = frame.map_or(1005, |frame| frame.code.into());
                        return Over::Lost(format!("the server closed the connection with code {code}"));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Over::Lost(error.to_string()),
                    None => return Over::Lost("the connection was cut".to_owned()),
                },
                () = clock.sleep_until(deadline) => self.session.handle_timeout(self.clock.now()),
                order = self.orders.recv() => match order {
                    Some(Command::Leave) | None => {
                        let _ = self.session.leave(self.clock.now(), &self.topic);
                        let goodbye = async {
                            while let Output::Transmit(bytes) = self.session.poll() {
                                let text = String::from_utf8_lossy(bytes).into_owned();
                                let _ = sink.send(Message::text(text)).await;
                            }
                            let _ = sink.close().await;
                        };
                        // We go, whether the server reads that or not.
                        let _ = timeout(TIMEOUT, goodbye).await;
                        return Over::Left;
                    }
                    Some(order) => {
                        if let Some(told) = self.obey(order)
                            && self.tell.send(told).await.is_err()
                        {
                            return Over::Left;
                        }
                    }
                },
                () = self.tell.closed() => return Over::Left,
            }
        }
    }

    /// Hands an order to the session; answers what to tell when it cannot be carried out.
    fn obey(&mut self, order: Command) -> Option<ChatEvent> {
        let (event, payload, body) = match order {
            Command::Say(body) => {
                let payload = serde_json::json!({ "name": self.name, "body": body, "channel": self.room });
                ("shout", payload, Some(body))
            }
            Command::Typing(typing) => {
                let payload = serde_json::json!({ "username": self.name, "typing": typing });
                ("user:typing", payload, None)
            }
            Command::Leave => return None,
        };
        match self.session.cast(self.clock.now(), &self.topic, event, payload.to_string().as_bytes()) {
            Ok(()) => None,
            // That we type is not worth a word.
            Err(_) => body.map(|body| ChatEvent::Unsent { body }),
        }
    }
}

impl People {
    /// What an event of the session means to people.
    fn hear(&mut self, event: &Event<'_>) -> Result<Vec<ChatEvent>, Over> {
        let mut told = Vec::new();
        match *event {
            Event::Joined { .. } => {
                self.presence.rejoin();
                self.heard.join();
                self.crowded = false;
                told.push(ChatEvent::Joined);
            }
            Event::Refused { response, .. } => told.push(ChatEvent::Refused { response: text(response) }),
            // The session joins again by itself.
            Event::Failed { .. } => {
                told.push(ChatEvent::Offline { reason: "the channel failed at the server".to_owned() });
            }
            Event::Closed { .. } => return Err(Over::Lost("the server closed the channel".to_owned())),
            Event::Dead => return Err(Over::Lost("the server does not answer".to_owned())),
            Event::TooLong { length } => {
                self.crowd(format!("a message of {length} bytes, more than {MESSAGE}"), &mut told);
            }
            Event::Message { event, payload: Body::Json(payload), personal, .. } => {
                let mut tell = |change: Change<'_>| told.extend(describe(&change));
                let result = match event.as_str() {
                    Some("presence_state") => self.presence.handle_state(payload, &mut tell),
                    Some("presence_diff") => self.presence.handle_diff(payload, &mut tell),
                    Some("shout") => {
                        let said = |key| {
                            json::member(payload, key)
                                .map(|value| json::characters(value).collect::<String>())
                                .unwrap_or_default()
                        };
                        let (name, body) = (said("name"), said("body"));
                        if self.heard.hear(&name, &body, personal) {
                            told.push(ChatEvent::Shout { name, body, kept: personal });
                        }
                        Ok(())
                    }
                    _ => Ok(()),
                };
                if let Err(error) = result {
                    self.crowd(error.to_string(), &mut told);
                }
            }
            _ => {}
        }
        Ok(told)
    }

    /// Tells, once for each join, that people may be missing.
    fn crowd(&mut self, reason: String, told: &mut Vec<ChatEvent>) {
        if !std::mem::replace(&mut self.crowded, true) {
            told.push(ChatEvent::Crowded { reason });
        }
    }
}

fn describe(change: &Change<'_>) -> Option<ChatEvent> {
    Some(match *change {
        Change::Joined { key, first: true, .. } => ChatEvent::Came { name: key.to_owned() },
        Change::Left { key, last: true, .. } => ChatEvent::Left { name: key.to_owned() },
        Change::Updated { key, meta, .. } => {
            ChatEvent::Typing { name: key.to_owned(), typing: json::member(meta, "typing") == Some(b"true") }
        }
        _ => return None,
    })
}

/// An error with its causes.
fn explain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn text(body: Body<'_>) -> String {
    match body {
        Body::Json(bytes) | Body::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
