//! The relay: users send commands, monitors carry them out, the server keeps them in order.
//!
//! It speaks the protocol of the Altoponix database's websocket on `/` (where its clients expect it) and on
//! [`NAMESPACE`]. Names, payloads and reasons are the original's byte for byte:
//!
//! ```text
//! user     query {monitor_id} ──▶           monitor  con {monitor_id} ──▶
//!          ◀── query ok | query failed               ◀── con ok | con failed
//!          command send {command} ──▶                ◀── command do {command}
//!          ◀── command ok                            command done | command error {reason} ──▶
//!          ◀── command finish | command failed
//! ```
//!
//! # Differences from the original
//!
//! | situation | the original | here |
//! |---|---|---|
//! | `query failed`, `con failed` | the connection stays, against the documents | said, flushed, then the namespace is closed, as documented |
//! | the monitor is not connected | `command ok`, then silence | `command ok`, then `command failed` "Monitor not connected"; it is not held for a monitor that may come |
//! | the monitor goes with commands | silence | `command failed` "Monitor disconnected" for each, in order; users stay |
//! | a command before `query` | an exception, silence | `command failed` "Not queried" |
//! | no data, data that is no object | an exception, silence | counts as `{}`: `query failed`, `con failed`, "Invalid command"; `command done` needs no data; other keys are ignored |
//! | `command error` | always an exception | `command failed` with its reason; another type becomes a string, none becomes "Command failed" |
//! | whose completion is it | every user of the monitor is told of every command | only the sender, oldest command first; `--relay-broadcast` tells all |
//! | `id` in `command send` | dropped | goes to the monitor and comes back with the replies, with the times; a monitor that echoes ids may report in any order, written in any way that is the same JSON; an id that nobody gave reports nothing. Users of one monitor must give different ids. Without an `id` not a byte differs |
//! | what came of a command | not told | a monitor may send `{"output": …}` with `command done`; its sender gets it with `command finish`, as a string; of it, as of a reason, the first 64 KiB |
//! | order of `command ok` and `command finish` | can be reversed | never: `command ok` comes first. It may wait 40 µs, on a busy server until that has looked for reports, for what its user is told next, and goes with it in one packet. A user that is a monitor, too, on the same namespace is told `command ok` before `command do`; the original says `command do` first |
//! | a second `con` for a taken id | refused, also for a minute after the first has gone | freed with the connection, however it ends; a holder whose connection still stands is pinged (behind an event `relay probe`, which wants no answer): if it answers, "monitor_id already registered"; if its connection breaks, or nothing comes from it for `--relay-probe` (it lost its power or its network), it is closed and the id changes hands. 0 refuses at once |
//! | `con` again with another id | the first id is reserved for ever | the first is released at once, its commands fail |
//! | `con` again with the same id, `query` again | accepted; the last wins | the same |
//! | one socket as user and monitor | allowed | allowed |
//! | `command done` of no monitor, or of nothing | an exception, or every user is told | ignored |
//! | limits | none | length (`--relay-max-command`, "Payload too large"), unfinished commands per user (`--relay-max-pending` and 2 MiB) and per monitor (four times that; "Too many pending commands"), commands a second per user (`--relay-rate`, "Too many commands per second"), commands given to a monitor at once (`--relay-window` and 2 MiB; more are held back); an `id` has at most 256 bytes |
//! | a command that is never reported | waits for ever | `command failed` "Command timed out" after `--relay-timeout`; a late report still counts for it for as long again, and for no other command; after that, a report without an id counts for the oldest command there is: a monitor that may take longer than twice `--relay-timeout` must echo ids |
//! | who may take part | everyone | everyone on this machine; elsewhere those with a key (`--relay-user-key`, `--relay-monitor-key`; "Invalid token"), or nobody until there are keys or `--relay-open` ("Relay closed: the server has no keys") |
//! | monitor ids | 32 code points | 32 code points; `--relay-hex-ids` wants hexadecimal digits |
//! | a string that holds JSON | an exception, or a substring test | a string, therefore not an object; on `/` a `query` with a string belongs to the OBD service |
//! | acknowledgements | `[]` after the handler | the same; `[]` comes behind the replies, and before the namespace is closed |
//! | a client that does not read | the server's memory grows | 4 MiB wait, acknowledgements and all in their order, then it is disconnected |
//!
//! A token is presented in the connection's auth payload (`{"token": …}`), its query string (`?token=…`), or
//! with `query` and `con` themselves. Limits per address are left to a proxy in front.

pub mod client;
pub mod events;
mod handlers;
pub mod state;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use socketioxide::SocketIo;
use socketioxide::extract::SocketRef;
use tokio::task::JoinHandle;

use self::events::MonitorId;
use self::handlers::Server;
use self::state::{Access, Grant, Settings};
use super::Context;
use crate::auth::Exposure;
use crate::config::duration;
use crate::socketio;

pub use self::handlers::Client;

/// The relay's own namespace; it answers on `/` too.
pub const NAMESPACE: &str = "/relay";

/// Options of the relay.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Device (relay)")]
#[group(skip)]
pub struct Options {
    /// What users of the relay must present: KEY, or ID=KEY for one monitor (repeatable, or with commas between)
    #[arg(
        long,
        env = "CLOVERLEAF_RELAY_USER_KEY",
        value_name = "KEY",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub relay_user_key: Vec<Grant>,

    /// What monitors must present: KEY, or ID=KEY for one monitor (repeatable, or with commas between)
    #[arg(
        long,
        env = "CLOVERLEAF_RELAY_MONITOR_KEY",
        value_name = "KEY",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub relay_monitor_key: Vec<Grant>,

    /// Let everyone in the network use the relay without a key
    #[arg(long, env = "CLOVERLEAF_RELAY_OPEN")]
    pub relay_open: bool,

    /// Tell every user of a monitor of every finished command, not the sender alone
    #[arg(long, env = "CLOVERLEAF_RELAY_BROADCAST")]
    pub relay_broadcast: bool,

    /// Accept only hexadecimal monitor ids
    #[arg(long, env = "CLOVERLEAF_RELAY_HEX_IDS")]
    pub relay_hex_ids: bool,

    /// The longest command in bytes
    #[arg(long, env = "CLOVERLEAF_RELAY_MAX_COMMAND", value_name = "BYTES", default_value = "65536")]
    pub relay_max_command: usize,

    /// Unfinished commands per user; a monitor may have four times as many
    #[arg(long, env = "CLOVERLEAF_RELAY_MAX_PENDING", value_name = "COUNT", default_value = "16384")]
    pub relay_max_pending: usize,

    /// Commands a second per user
    #[arg(long, env = "CLOVERLEAF_RELAY_RATE", value_name = "COUNT", default_value = "100000")]
    pub relay_rate: u32,

    /// Commands that a monitor is given at once; 0 is no limit
    #[arg(long, env = "CLOVERLEAF_RELAY_WINDOW", value_name = "COUNT", default_value = "0")]
    pub relay_window: usize,

    /// How long a command may wait for its monitor's report before it has failed; 0 is for ever
    #[arg(long, env = "CLOVERLEAF_RELAY_TIMEOUT", value_name = "DURATION", default_value = "300s", value_parser = duration)]
    pub relay_timeout: Duration,

    /// Offer the car as a monitor that answers `obd query RPM`, `obd dtc` and other read-only commands
    #[arg(long, env = "CLOVERLEAF_RELAY_CAR")]
    pub relay_car: bool,

    /// How long the holder of a monitor id may take to answer a ping when another asks for the id; 0 refuses the other at once
    #[arg(long, env = "CLOVERLEAF_RELAY_PROBE", value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub relay_probe: Duration,
}

impl Options {
    fn settings(&self, exposure: Exposure) -> Settings {
        let open = self.relay_open || exposure == Exposure::Loopback;
        let some = |duration: Duration| (!duration.is_zero()).then_some(duration);
        Settings {
            access: Access::new(&self.relay_user_key, &self.relay_monitor_key, open),
            hex_ids: self.relay_hex_ids,
            broadcast: self.relay_broadcast,
            max_command: self.relay_max_command,
            max_pending: self.relay_max_pending,
            rate: self.relay_rate,
            window: if self.relay_window == 0 { usize::MAX } else { self.relay_window },
            timeout: some(self.relay_timeout),
            probe: some(self.relay_probe),
        }
    }
}

/// The running relay; clones share it.
#[derive(Clone, Debug)]
pub struct Relay {
    server: Arc<Server>,
    summary: String,
}

impl Relay {
    /// Starts the relay, which serves whoever is let [`join`](Self::join) or [`attach`](Self::attach).
    pub fn new(options: &Options, context: &Context) -> Self {
        let settings = options.settings(context.exposure);
        let who = match (settings.access.is_closed(), settings.access.is_keyed()) {
            (true, _) => " · closed: needs --relay-user-key and --relay-monitor-key, or --relay-open",
            (false, true) => " · with its keys",
            (false, false) => "",
        };
        let summary =
            format!("device   users and monitors of the relay · Socket.IO on / and {NAMESPACE}{who}");
        Self { server: Server::start(settings, context.timeline.clone()), summary }
    }

    /// What is served and where, for people.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// Answers on [`NAMESPACE`].
    pub fn mount(&self, io: &SocketIo) {
        let relay = self.clone();
        socketio::serve(io, NAMESPACE, move |socket, auth| relay.join(socket, &auth));
    }

    /// A socket connected with this auth payload.
    pub fn join(&self, socket: &SocketRef, auth: &Value) -> Client {
        self.server.join(socket, socketio::token(socket, auth))
    }

    /// Makes a part of this program a monitor, which needs no key. `execute` is given one command after the other; what
    /// came of it, or why it failed, is reported. The monitor leaves when its task is aborted. `None` when the id is
    /// taken.
    pub fn attach<F, R>(&self, id: MonitorId, execute: F) -> Option<JoinHandle<()>>
    where
        F: FnMut(String) -> R + Send + 'static,
        R: Future<Output = Result<String, String>> + Send + 'static,
    {
        self.server.attach(id, execute)
    }

    /// How many sockets, monitors and unfinished commands there are.
    #[must_use]
    pub fn counts(&self) -> state::Counts {
        self.server.counts()
    }
}
