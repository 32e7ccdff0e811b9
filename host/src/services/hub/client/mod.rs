//! A member of a chat room: connects, joins, and comes back after every cut.
//!
//! ```no_run
//! # async fn chat() -> Result<(), cloverleaf::services::hub::client::ConnectError> {
//! use cloverleaf::services::hub::client::{Chat, ChatEvent};
//! let mut chat = Chat::connect("ws://127.0.0.1:5000", "lobby", "robin", None).await?;
//! while let Some(event) = chat.next().await {
//!     match event {
//!         ChatEvent::Joined => chat.say("hello").await,
//!         ChatEvent::Shout { name, body, .. } => println!("{name}: {body}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **Bounds.** It is built of the session and the presence of the core, whose storage is of a fixed size: up to
//! [`PEOPLE`] sessions of up to 128 bytes of name and as much of meta, messages of up to [`MESSAGE`] bytes. That is the
//! 1 000 members for which the hub is made, in 0.5 MB, allocated once. In a larger room everything goes on, but
//! whoever did not fit is missing from what is told of the members, and [`ChatEvent::MembersIncomplete`] says so.

mod connect;
mod replay_filter;
mod task;

pub use connect::ConnectError;

use serde::Serialize;
use tokio::sync::mpsc;

/// The most sessions in a room of which is known that they are there.
pub const PEOPLE: usize = 1024;

/// The longest message that is understood, in bytes; the state of a room with [`PEOPLE`] sessions is one of them.
pub const MESSAGE: usize = 256 * 1024;

/// How long a server may take to let us connect, or to read what we send.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// How many events may wait to be read before the room must wait in turn, and how many commands to be carried out.
const BACKLOG: usize = 1024;

/// What a room tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ChatEvent {
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
        /// Whether it was said before and kept by the server, which sends it to joiners. What we have heard already
        /// is not told again.
        kept: bool,
    },
    /// Somebody came.
    MemberJoined {
        /// Who.
        name: String,
    },
    /// Somebody left.
    MemberLeft {
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
    /// Something of the room was too large to be taken in: from now until we join again, members may be missing.
    MembersIncomplete {
        /// What did not fit.
        reason: String,
    },
    /// What we wanted to say was not sent: we are not in the room, or too much waits to be sent.
    Unsent {
        /// What it was.
        body: String,
    },
    /// We are not in the room any more, or never came in; it is tried again.
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
    events: mpsc::Receiver<ChatEvent>,
    commands: mpsc::Sender<Command>,
}

impl Chat {
    /// Connects to a hub (`ws://host:port`, or with `wss`, `http`, `https`), then joins a room under a name. A `token`
    /// goes along as Phoenix's `authToken` does.
    ///
    /// # Errors
    /// When there is no connection at first; once there was one it comes back by itself.
    pub async fn connect(
        url: &str,
        room: &str,
        name: &str,
        token: Option<&str>,
    ) -> Result<Self, ConnectError> {
        let target = connect::Target::new(url, token)?;
        let stream = target.connect().await?;
        let (tell, events) = mpsc::channel(BACKLOG);
        let (commands, orders) = mpsc::channel(BACKLOG);
        tokio::spawn(task::Task::new(target, room, name, tell, orders).run(stream));
        Ok(Self { events, commands })
    }

    /// What happens next; `None` after [`leave`](Self::leave).
    pub async fn next(&mut self) -> Option<ChatEvent> {
        self.events.recv().await
    }

    /// Says something. The server repeats it to everybody, and to us as a [`ChatEvent::Shout`]; what cannot be sent comes
    /// back as [`ChatEvent::Unsent`]. Some 2000 commands wait while nobody reads events; who says more than that and never
    /// reads waits for good.
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
