//! The task of a chat: one connection after the other, the session and the presence fed from it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use cloverleaf_core::driver::Clock;
use cloverleaf_core::json;
use cloverleaf_core::machine::{Machine, Output};
use cloverleaf_core::phoenix::presence::{self, Change};
use cloverleaf_core::phoenix::session::{self, Event, reconnect_after};
use cloverleaf_core::phoenix::wire::{Body, Version};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::connect::{Stream, Target};
use super::replay_filter::ReplayFilter;
use super::{BACKLOG, ChatEvent, Command, MESSAGE, PEOPLE, TIMEOUT};
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
    events: mpsc::Sender<ChatEvent>,
    orders: mpsc::Receiver<Command>,
    /// Commands that came while events waited to be read; at most [`BACKLOG`].
    waiting: VecDeque<Command>,
}

/// What is known of the room.
struct People {
    presence: Box<Presence>,
    heard: ReplayFilter,
    /// That somebody is missing has been told since the last join.
    incomplete: bool,
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
        events: mpsc::Sender<ChatEvent>,
        orders: mpsc::Receiver<Command>,
    ) -> Self {
        Self {
            target,
            tries: 0,
            room: room.to_owned(),
            topic: format!("room:{room}"),
            name: name.to_owned(),
            session: Box::new(Session::new(Version::V2)),
            people: People {
                presence: Box::new(Presence::new()),
                heard: ReplayFilter::default(),
                incomplete: false,
            },
            clock: TokioClock::start(),
            events,
            orders,
            waiting: VecDeque::new(),
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
                let _ = self.tell([ChatEvent::Refused { response }]).await;
                return;
            }
            let connected = match first.take() {
                Some(stream) => Ok(stream),
                None => tokio::select! {
                    connected = self.target.connect() => connected,
                    () = self.events.closed() => return,
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
                    if self.tell([ChatEvent::Offline { reason }]).await.is_err() {
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
    async fn wait(&mut self, span: Duration) -> Result<(), Over> {
        let sleep = tokio::time::sleep(span);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => return Ok(()),
                () = self.events.closed() => return Err(Over::Left),
                order = next(&mut self.waiting, &mut self.orders) => {
                    let unsent = self.obey(order)?;
                    self.tell(unsent).await?;
                }
            }
        }
    }

    /// Reports what has happened. Commands are received meanwhile, and wait: a program that waits to give one comes to read
    /// again.
    async fn tell(&mut self, events: impl IntoIterator<Item = ChatEvent>) -> Result<(), Over> {
        let mut events = VecDeque::from_iter(events);
        while !events.is_empty() {
            let order = tokio::select! {
                room = self.events.reserve() => {
                    let room = room.map_err(|_| Over::Left)?;
                    if let Some(event) = events.pop_front() {
                        room.send(event);
                    }
                    continue;
                }
                order = self.orders.recv(), if self.waiting.len() < BACKLOG => order,
            };
            match order {
                Some(Command::Leave) | None => {
                    // What was said before is sent yet, as far as there is room.
                    while let Some(order) = self.waiting.pop_front() {
                        self.obey(Some(order))?;
                    }
                    return Err(Over::Left);
                }
                Some(order) => self.waiting.push_back(order),
            }
        }
        Ok(())
    }

    /// Lives through one connection.
    async fn converse(&mut self, stream: Stream) -> Over {
        let (mut sink, mut source) = stream.split();
        self.session.connected(self.clock.now());
        let Err(over) = self.exchange(&mut sink, &mut source).await;
        if matches!(over, Over::Left) {
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
        }
        over
    }

    async fn exchange(
        &mut self,
        sink: &mut SplitSink<Stream, Message>,
        source: &mut SplitStream<Stream>,
    ) -> Result<Infallible, Over> {
        let lost = |reason: &str| Over::Lost(reason.to_owned());
        loop {
            // Everything the session wants, then wait for one thing to happen.
            let deadline = loop {
                let events = match self.session.poll() {
                    Output::Transmit(bytes) => {
                        let text = String::from_utf8_lossy(bytes).into_owned();
                        match timeout(TIMEOUT, sink.send(Message::text(text))).await {
                            Ok(Ok(())) => continue,
                            Ok(Err(error)) => return Err(lost(&error.to_string())),
                            Err(_) => return Err(lost("the server does not read")),
                        }
                    }
                    Output::Event(event) => self.people.hear(&event)?,
                    Output::Wait(deadline) => break deadline,
                };
                if events.contains(&ChatEvent::Joined) {
                    self.tries = 0;
                }
                self.tell(events).await?;
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
                        return Err(lost(&format!("the server closed the connection with code {code}")));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(lost(&error.to_string())),
                    None => return Err(lost("the connection was cut")),
                },
                () = clock.sleep_until(deadline) => self.session.handle_timeout(self.clock.now()),
                order = next(&mut self.waiting, &mut self.orders) => {
                    let unsent = self.obey(order)?;
                    self.tell(unsent).await?;
                }
                () = self.events.closed() => return Err(Over::Left),
            }
        }
    }

    /// Hands an order to the session; answers what to tell when it cannot be carried out.
    fn obey(&mut self, order: Option<Command>) -> Result<Option<ChatEvent>, Over> {
        let (event, payload, body) = match order {
            Some(Command::Say(body)) => {
                let payload = serde_json::json!({ "name": self.name, "body": body, "channel": self.room });
                ("shout", payload, Some(body))
            }
            Some(Command::Typing(typing)) => {
                let payload = serde_json::json!({ "username": self.name, "typing": typing });
                ("user:typing", payload, None)
            }
            Some(Command::Leave) | None => return Err(Over::Left),
        };
        let cast = self.session.cast(self.clock.now(), &self.topic, event, payload.to_string().as_bytes());
        // That we type is not worth a word.
        Ok(body.filter(|_| cast.is_err()).map(|body| ChatEvent::Unsent { body }))
    }
}

/// The next command: of those that wait the first.
async fn next(waiting: &mut VecDeque<Command>, orders: &mut mpsc::Receiver<Command>) -> Option<Command> {
    match waiting.pop_front() {
        Some(order) => Some(order),
        None => orders.recv().await,
    }
}

impl People {
    /// What an event of the session means to people.
    fn hear(&mut self, event: &Event<'_>) -> Result<Vec<ChatEvent>, Over> {
        let mut events = Vec::new();
        match *event {
            Event::Joined { .. } => {
                self.presence.rejoin();
                self.heard.join();
                self.incomplete = false;
                events.push(ChatEvent::Joined);
            }
            Event::Refused { response, .. } => events.push(ChatEvent::Refused { response: text(response) }),
            // The session joins again by itself.
            Event::Failed { .. } => {
                events.push(ChatEvent::Offline { reason: "the channel failed at the server".to_owned() });
            }
            Event::Closed { .. } => return Err(Over::Lost("the server closed the channel".to_owned())),
            Event::Dead => return Err(Over::Lost("the server does not answer".to_owned())),
            Event::TooLong { length } => {
                self.miss(format!("a message of {length} bytes, more than {MESSAGE}"), &mut events);
            }
            Event::Message { event, payload: Body::Json(payload), personal, .. } => {
                let mut tell = |change: Change<'_>| events.extend(describe(&change));
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
                            events.push(ChatEvent::Shout { name, body, kept: personal });
                        }
                        Ok(())
                    }
                    _ => Ok(()),
                };
                if let Err(error) = result {
                    self.miss(error.to_string(), &mut events);
                }
            }
            _ => {}
        }
        Ok(events)
    }

    /// Tells, once for each join, that members may be missing.
    fn miss(&mut self, reason: String, events: &mut Vec<ChatEvent>) {
        if !std::mem::replace(&mut self.incomplete, true) {
            events.push(ChatEvent::MembersIncomplete { reason });
        }
    }
}

fn describe(change: &Change<'_>) -> Option<ChatEvent> {
    Some(match *change {
        Change::Joined { key, first: true, .. } => ChatEvent::MemberJoined { name: key.to_owned() },
        Change::Left { key, last: true, .. } => ChatEvent::MemberLeft { name: key.to_owned() },
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
