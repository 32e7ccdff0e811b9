//! The hub: chat rooms with presence over Phoenix Channels, at `/socket/websocket`.
//!
//! Clients of Phoenix (JavaScript, Python, Swift, …) find here what the original chat server, and Phoenix 1.8.12 below
//! it, offered: `room:*` with `shout`, `user:typing` and presence. Programs add their own topics with
//! [`channel::Topic`].
//!
//! # Differences from the original
//!
//! | case | Hub on Phoenix 1.4 / 1.8 | here | with `--hub-strict` |
//! |---|---|---|---|
//! | username that is an object or an array | joins, then the presence of all rooms crashes, unless it is an array that is a text to Elixir | the join is refused with a reason | as Phoenix |
//! | username of more than 1 kB, topic of more than 255 bytes | joins | the join is refused with a reason | as Phoenix |
//! | shout that version 2 cannot be sent (no object), or version 1 (binary) | those who joined before the first such member get it, the sender's channel crashes | all others get it, error reply | as Phoenix |
//! | payloads on their way to others | decoded and encoded again | passed on as they came | encoded again |
//! | token that is not base64 | 500 | 400 with a reason | 500 |
//! | token in the URL's alphabet of base64 | 500 | taken | 500 |
//! | the subprotocol `phoenix`, offered where no token is asked for | not answered, so that browsers fail | answered | as Phoenix |
//! | presence in topics of more than 64 members | a frame per change | changes of 10 to 200 ms in one frame | the same |
//! | client that does not read | queue without bound | closed with 1013 when more than 1 MiB waits | the same |
//! | client that floods | no limit | read more slowly | the same |
//! | JSON nested deeper than 512 levels | accepted | closed with 1011 | the same |
//! | origin of browsers | the configured host | the server's rule (this machine, `--allow-origin`), or the hosts in `--hub-origin` | the same |
//! | who may chat | everyone | everyone on this machine; elsewhere those with `--hub-key` (403 without), or nobody until there is one or `--hub-open`; pages of rooms take it as `?token=` | the same |
//! | a failing database | the channel crashes | the shout is delivered, not kept, and logged | the same |
//! | long polling: a message that is none | `{"status":408}` after 10 s, the session is gone | `{"status":400}`, the session is gone | `{"status":408}` at once |
//! | long polling: a line that is neither JSON nor base64 | 500 | `{"status":400}` | 500 |
//! | long polling: a binary message for the client | its bytes as text, or 500 | left out | as Phoenix |
//! | a message longer than 4 kB | kept, or the channel crashes | delivered, not kept | the same |
//! | U+0000 in a kept message (PostgreSQL has none) | the channel crashes | kept as U+FFFD, delivered as it is | the same |
//! | history on the socket | none | `--hub-replay` sends it to joiners | the same |

pub mod channel;
pub mod client;
mod events;
mod handlers;
pub mod history;
mod state;
pub mod timeline;
mod topics;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get};
use cloverleaf_core::phoenix::wire::EmitError;
use http::StatusCode;
use jiff::Timestamp;
use tokio::sync::mpsc;

pub use events::Shout;

use self::channel::{Payload, Topic};
use self::handlers::{Mount, longpoll, page};
use self::history::{History, OpenError};
use self::state::rooms::{Effects, Room, Shared};
use self::topics::{fixture, room};
use super::Context;
use crate::auth::{Guard, Key};
use crate::config::duration;
use crate::origin::Origins;
use crate::ws::{Flush, Limits};

/// How long presence changes of large topics wait to be told together, at least and at most.
const TICK: Duration = Duration::from_millis(10);
const LONGEST_TICK: Duration = Duration::from_millis(200);

/// A tick waits this many times as long as telling took the last time: however many come at once, most of the time
/// goes to letting them in, and who is let in later finds the earlier ones in the state instead of in more diffs.
const TICK_FACTOR: u32 = 4;

/// The options of the hub.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Crew (chat rooms)")]
#[group(skip)]
pub struct Options {
    /// Where messages are kept: sqlite::memory:, sqlite://FILE, postgres://…, or none
    #[arg(
        long,
        env = "CLOVERLEAF_HUB_DATABASE",
        value_name = "URL",
        default_value = "sqlite::memory:",
        hide_env_values = true
    )]
    pub hub_database: String,

    /// Send the kept messages of a room to whoever joins it
    #[arg(long, env = "CLOVERLEAF_HUB_REPLAY")]
    pub hub_replay: bool,

    /// Also offer long polling at /socket/longpoll
    #[arg(long, env = "CLOVERLEAF_HUB_LONGPOLL")]
    pub hub_longpoll: bool,

    /// Let in only web pages of these hosts, such as example.com,*.example.org (by default the server's rule)
    #[arg(long, env = "CLOVERLEAF_HUB_ORIGIN", value_name = "HOST", value_delimiter = ',')]
    pub hub_origin: Vec<String>,

    /// What clients of the hub must present (Phoenix `authToken`, or the parameter `token`)
    #[arg(long, env = "CLOVERLEAF_HUB_KEY", value_name = "KEY", hide_env_values = true)]
    pub hub_key: Option<Key>,

    /// Let everyone in the network use the hub without a key
    #[arg(long, env = "CLOVERLEAF_HUB_OPEN")]
    pub hub_open: bool,

    /// Close a connection whose client says nothing for so long
    #[arg(long, env = "CLOVERLEAF_HUB_IDLE", value_name = "DURATION", default_value = "45s", value_parser = duration)]
    pub hub_idle: Duration,

    /// The most channels one connection may join
    #[arg(long, env = "CLOVERLEAF_HUB_CHANNELS", value_name = "COUNT", default_value_t = 100)]
    pub hub_channels: usize,

    /// The largest frame a client may send (close code 1009 beyond)
    #[arg(long, env = "CLOVERLEAF_HUB_FRAME", value_name = "BYTES", default_value_t = 10_000_000)]
    pub hub_frame: usize,

    /// How many messages a second one client may send; it is read no faster
    #[arg(long, env = "CLOVERLEAF_HUB_RATE", value_name = "COUNT", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub hub_rate: u32,

    /// How much may wait for a client that does not read (close code 1013 beyond)
    #[arg(long, env = "CLOVERLEAF_HUB_QUEUE", value_name = "BYTES", default_value_t = crate::ws::QUEUE)]
    pub hub_queue: usize,

    /// Do what Phoenix 1.8.12 does, to the letter, even where that is worse
    #[arg(long, visible_alias = "strict-phoenix", env = "CLOVERLEAF_HUB_STRICT")]
    pub hub_strict: bool,

    /// Offer the channels of the server that Phoenix's behaviour was recorded from, to replay recordings
    ///
    /// test:* (echo, push, broadcast, stop, crash, …), fan:* (shout without presence), the mount /asocket that takes
    /// tokens, the connect parameters `deny` and `uid`, long polling, and localhost as the only origin.
    #[arg(long, env = "CLOVERLEAF_HUB_TEST_CHANNELS")]
    pub hub_test_channels: bool,
}

impl Default for Options {
    fn default() -> Self {
        crate::config::defaults()
    }
}

/// Topics that a program adds to the hub; they are asked before `room:*`, first come first.
#[derive(Default)]
pub struct Topics {
    topics: Vec<(String, Arc<dyn Topic>)>,
}

impl Topics {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a behaviour for a topic, or for all topics that start with what is before a final `*`.
    #[must_use]
    pub fn with(mut self, pattern: &str, behaviour: impl Topic) -> Self {
        self.topics.push((pattern.to_owned(), Arc::new(behaviour)));
        self
    }
}

/// The running hub; clones share it.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    history: Option<History>,
    /// Topics with presence changes to be told at the next tick; each at most once, so bounded by the topics.
    unsettled: mpsc::UnboundedSender<Arc<Room>>,
    limits: Limits,
    queue: usize,
    idle: Duration,
    rate: u32,
    /// The hosts whose pages may connect; if empty, the server's rule decides.
    hosts: Vec<String>,
    guard: Guard,
    test_channels: bool,
    longpoll: bool,
    sessions: longpoll::Sessions,
}

impl Hub {
    /// Starts a hub with `room:*` and the topics of the program.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub async fn new(options: &Options, context: &Context, topics: Topics) -> Result<Self, OpenError> {
        let history = match options.hub_database.as_str() {
            "none" => None,
            url => Some(History::open(url).await?),
        };
        let strict = options.hub_strict;
        let seed = Timestamp::now().as_nanosecond() as u64;
        let mut shared = Shared::new(context.timeline.clone(), options.hub_channels, strict, seed);
        shared.topics = topics.topics;
        let rooms = room::Rooms { strict, history: history.clone(), replay: options.hub_replay };
        shared.topics.push(("room:*".to_owned(), Arc::new(rooms)));
        let mut hosts = options.hub_origin.clone();
        if options.hub_test_channels {
            shared.topics.push(("test:*".to_owned(), Arc::new(fixture::Test { strict })));
            shared.topics.push(("fan:*".to_owned(), Arc::new(fixture::Fan)));
            if hosts.is_empty() {
                hosts = vec!["localhost".to_owned()];
            }
        }
        let (unsettled, inbox) = mpsc::unbounded_channel();
        tokio::spawn(tick(inbox));
        let inner = Inner {
            shared: Arc::new(shared),
            history,
            unsettled,
            limits: Limits { frame: options.hub_frame, message: options.hub_frame / 5 * 4 },
            queue: options.hub_queue,
            idle: options.hub_idle,
            rate: options.hub_rate,
            hosts,
            guard: Guard::new(options.hub_key.clone(), options.hub_open, context.exposure),
            test_channels: options.hub_test_channels,
            longpoll: options.hub_longpoll || options.hub_test_channels,
            sessions: longpoll::Sessions::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The hub's routes; they check the origin themselves, by `origins` unless the options name hosts.
    pub fn router(&self, origins: &Origins) -> Router {
        let mount = |path: &str, tokens: bool| {
            let mount = Mount { hub: self.clone(), tokens, origins: origins.clone() };
            let router = if self.inner.longpoll {
                Router::new()
                    .route(&format!("{path}/longpoll"), any(longpoll::longpoll))
                    .route(&format!("{path}/longpoll/"), any(longpoll::longpoll))
            } else {
                Router::new()
            };
            router
                .layer(DefaultBodyLimit::max(self.inner.limits.message))
                .route(&format!("{path}/websocket"), any(handlers::websocket))
                .route(&format!("{path}/websocket/"), any(handlers::websocket))
                .route(path, any(nothing))
                .route(&format!("{path}/"), any(nothing))
                .route(&format!("{path}/{{*rest}}"), any(nothing))
                .with_state(mount)
        };
        let pages = Router::new()
            .route("/c", get(page::lobby))
            .route("/c/{room}", get(page::room))
            .with_state(self.clone());
        let router = mount("/socket", matches!(self.inner.guard, Guard::Keyed(_))).merge(pages);
        if self.inner.test_channels {
            router.merge(mount("/asocket", true)).route("/websocket", any(nothing))
        } else {
            router
        }
    }

    /// What is served and where, for people.
    pub fn summary(&self) -> String {
        self.inner.guard.summary("hub", "crew     Phoenix Channels /socket/websocket, rooms at /c/ROOM")
    }

    /// Sends an event to all members of a topic.
    ///
    /// # Errors
    /// When not all of them could be sent it.
    pub fn broadcast(&self, topic: &str, event: &str, payload: &Payload<'_>) -> Result<(), EmitError> {
        match self.inner.shared.room(topic) {
            Some(room) => room.broadcast(None, event, payload.body(), &mut Flush::new()),
            None => Ok(()),
        }
    }

    /// The topics that have members: their names, how many members, and the presence keys.
    pub fn census(&self) -> Vec<(String, usize, Vec<String>)> {
        self.inner.shared.census()
    }

    /// The kept messages, unless the hub keeps none.
    pub fn history(&self) -> Option<&History> {
        self.inner.history.as_ref()
    }

    /// Closes all connections as Phoenix does at shutdown (1012); clients come back.
    pub fn drain(&self) {
        self.inner.shared.drain();
    }

    /// Lets the state handle something, then carries out what that leaves to do.
    fn with_effects<T>(&self, handle: impl FnOnce(&mut Effects) -> T) -> T {
        let mut effects = Effects::default();
        let result = handle(&mut effects);
        effects.flush.run();
        for room in effects.unsettled {
            // Fails only when the runtime is shutting down.
            let _ = self.inner.unsettled.send(room);
        }
        result
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("census", &self.census()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Topics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.topics.iter().map(|(pattern, _)| pattern)).finish()
    }
}

async fn nothing() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "not found")
}

/// Tells the presence changes of large topics together.
async fn tick(mut inbox: mpsc::UnboundedReceiver<Arc<Room>>) {
    let mut wait = TICK;
    while let Some(first) = inbox.recv().await {
        tokio::time::sleep(wait).await;
        let mut rooms = vec![first];
        while let Ok(room) = inbox.try_recv() {
            rooms.push(room);
        }
        let mut spent = Duration::ZERO;
        for room in rooms {
            let start = Instant::now();
            room.settle(&mut Flush::new());
            spent += start.elapsed();
            tokio::task::yield_now().await;
        }
        wait = (spent * TICK_FACTOR).clamp(TICK, LONGEST_TICK);
    }
}
