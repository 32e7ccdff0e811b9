//! A member of a chat room: connects, joins, and comes back after every cut.
//!
//! ```no_run
//! # async fn chat() {
//! use cloverleaf::services::hub::client::{Chat, Told};
//! let mut chat = Chat::start("ws://127.0.0.1:5000", "lobby", "robin");
//! while let Some(told) = chat.next().await {
//!     match told {
//!         Told::Joined => chat.say("hello").await,
//!         Told::Shout { name, body } => println!("{name}: {body}"),
//!         _ => {}
//!     }
//! }
//! # }
//! ```

use std::time::Duration;

use cloverleaf_core::driver::Clock;
use cloverleaf_core::json;
use cloverleaf_core::machine::{Machine, Output};
use cloverleaf_core::phoenix::presence::{self, Change};
use cloverleaf_core::phoenix::session::{self, Event, reconnect_after};
use cloverleaf_core::phoenix::wire::{Body, Version};
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::clock::TokioClock;

/// One room, pushes waiting for answers, text up to 512 bytes, 16 kB on the way out, messages up to 64 kB.
type Session = session::Client<1, 32, 512, 16_384, 65_536>;

/// Up to 512 people of up to 128 bytes each; 16 kB of diffs may come before the state. In a larger room who is present
/// is not known completely, which is logged.
type Presence = presence::Presence<512, 128, 16_384>;

/// How much may wait to be read before the room must wait in turn.
const BACKLOG: usize = 1024;

/// What a room tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Told {
    /// We are in, for the first time or again.
    Joined,
    /// We are not let in; it is tried again.
    Refused {
        /// What the server answered.
        response: String,
    },
    /// Somebody said something.
    Shout {
        /// Who, by their own word.
        name: String,
        /// What.
        body: String,
    },
    /// Somebody came.
    Came {
        /// Who.
        name: String,
    },
    /// Somebody left.
    Left {
        /// Who.
        name: String,
    },
    /// Somebody began or stopped typing.
    Typing {
        /// Who.
        name: String,
        /// Whether they are now.
        typing: bool,
    },
    /// The connection was lost or not made; it is tried again.
    Offline {
        /// Why.
        reason: String,
    },
}

enum Command {
    Say(String),
    Typing(bool),
    Leave,
}

/// A member of one room; dropping it leaves.
#[derive(Debug)]
pub struct Chat {
    told: mpsc::Receiver<Told>,
    commands: mpsc::Sender<Command>,
}

impl Chat {
    /// Begins to connect to a hub (`ws://host:port`) and to join a room under a name.
    pub fn start(url: &str, room: &str, name: &str) -> Self {
        let (tell, told) = mpsc::channel(BACKLOG);
        let (commands, orders) = mpsc::channel(BACKLOG);
        let task = Task {
            url: format!("{}/socket/websocket?vsn=2.0.0", url.trim_end_matches('/')),
            room: room.to_owned(),
            topic: format!("room:{room}"),
            name: name.to_owned(),
            session: Box::new(Session::new(Version::V2)),
            presence: Box::new(Presence::new()),
            clock: TokioClock::start(),
            tell,
            orders,
        };
        tokio::spawn(task.run());
        Self { told, commands }
    }

    /// What happens next; `None` after [`leave`](Self::leave).
    pub async fn next(&mut self) -> Option<Told> {
        self.told.recv().await
    }

    /// Says something. What is said while offline is lost; [`Told::Offline`] has said so.
    pub async fn say(&self, body: &str) {
        let _ = self.commands.send(Command::Say(body.to_owned())).await;
    }

    /// Shows or hides that we are typing.
    pub async fn typing(&self, typing: bool) {
        let _ = self.commands.send(Command::Typing(typing)).await;
    }

    /// Leaves the room and closes the connection.
    pub async fn leave(&self) {
        let _ = self.commands.send(Command::Leave).await;
    }
}

struct Task {
    url: String,
    room: String,
    topic: String,
    name: String,
    session: Box<Session>,
    presence: Box<Presence>,
    clock: TokioClock,
    tell: mpsc::Sender<Told>,
    orders: mpsc::Receiver<Command>,
}

/// Why a connection is over.
enum Over {
    Lost(String),
    Left,
}

impl Task {
    async fn run(mut self) {
        let params = serde_json::json!({ "username": self.name }).to_string();
        if self.session.join(self.clock.now(), &self.topic, params.as_bytes()).is_err() {
            let response = "the name of the room or the user is too long".to_owned();
            let _ = self.tell.send(Told::Refused { response }).await;
            return;
        }
        let mut tries = 0;
        loop {
            let over = match connect_async(&self.url).await {
                Ok((stream, _)) => {
                    tries = 0;
                    self.converse(stream).await
                }
                Err(error) => Over::Lost(error.to_string()),
            };
            self.session.disconnected(self.clock.now());
            match over {
                Over::Left => return,
                Over::Lost(reason) => {
                    if self.tell.send(Told::Offline { reason }).await.is_err() {
                        return;
                    }
                }
            }
            tries += 1;
            let wait = Duration::from_millis(reconnect_after(tries).as_millis());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.tell.closed() => return,
            }
        }
    }

    /// Lives through one connection.
    async fn converse<S>(&mut self, stream: tokio_tungstenite::WebSocketStream<S>) -> Over
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let (mut sink, mut source) = stream.split();
        self.session.connected(self.clock.now());
        loop {
            // Everything the session wants, then wait for one thing to happen.
            let deadline = loop {
                let told = match self.session.poll() {
                    Output::Transmit(bytes) => {
                        let text = String::from_utf8_lossy(bytes).into_owned();
                        if let Err(error) = sink.send(Message::text(text)).await {
                            return Over::Lost(error.to_string());
                        }
                        continue;
                    }
                    Output::Event(event) => match hear(&mut self.presence, &event) {
                        Ok(told) => told,
                        Err(over) => return over,
                    },
                    Output::Wait(deadline) => break deadline,
                };
                for told in told {
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
                order = self.orders.recv() => {
                    let Some(order) = order else { return Over::Left };
                    if self.obey(order).is_err() {
                        let _ = self.session.leave(self.clock.now(), &self.topic);
                        while let Output::Transmit(bytes) = self.session.poll() {
                            let text = String::from_utf8_lossy(bytes).into_owned();
                            let _ = sink.send(Message::text(text)).await;
                        }
                        let _ = sink.close().await;
                        return Over::Left;
                    }
                },
                () = self.tell.closed() => return Over::Left,
            }
        }
    }

    /// Hands an order to the session; the error is the order to leave.
    fn obey(&mut self, order: Command) -> Result<(), ()> {
        let now = self.clock.now();
        let (event, payload) = match order {
            Command::Say(body) => {
                ("shout", serde_json::json!({ "name": self.name, "body": body, "channel": self.room }))
            }
            Command::Typing(typing) => {
                ("user:typing", serde_json::json!({ "username": self.name, "typing": typing }))
            }
            Command::Leave => return Err(()),
        };
        if let Err(full) = self.session.cast(now, &self.topic, event, payload.to_string().as_bytes()) {
            tracing::warn!(%full, event, "not sent");
        }
        Ok(())
    }
}

/// What an event of the session means to people.
fn hear(presence: &mut Presence, event: &Event<'_>) -> Result<Vec<Told>, Over> {
    let mut told = Vec::new();
    match *event {
        Event::Joined { .. } => {
            presence.rejoin();
            told.push(Told::Joined);
        }
        Event::Refused { response, .. } => told.push(Told::Refused { response: text(response) }),
        Event::Message { event, payload: Body::Json(payload), .. } => {
            let mut tell = |change: Change<'_>| told.extend(describe(&change));
            let result = match event.as_str() {
                Some("presence_state") => presence.handle_state(payload, &mut tell),
                Some("presence_diff") => presence.handle_diff(payload, &mut tell),
                Some("shout") => {
                    let said =
                        |key| json::member(payload, key).map(|value| json::characters(value).collect());
                    told.push(Told::Shout {
                        name: said("name").unwrap_or_default(),
                        body: said("body").unwrap_or_default(),
                    });
                    Ok(())
                }
                _ => Ok(()),
            };
            if let Err(error) = result {
                tracing::warn!(%error, "who is present is not known completely");
            }
        }
        Event::Dead => return Err(Over::Lost("the server does not answer".to_owned())),
        _ => {}
    }
    Ok(told)
}

fn describe(change: &Change<'_>) -> Option<Told> {
    Some(match *change {
        Change::Joined { key, first: true, .. } => Told::Came { name: key.to_owned() },
        Change::Left { key, last: true, .. } => Told::Left { name: key.to_owned() },
        Change::Updated { key, meta } => {
            Told::Typing { name: key.to_owned(), typing: json::member(meta, "typing") == Some(b"true") }
        }
        _ => return None,
    })
}

fn text(body: Body<'_>) -> String {
    match body {
        Body::Json(bytes) | Body::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
