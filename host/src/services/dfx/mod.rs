//! The DFX API, simulated: a WebSocket that takes chunks of measured data and pushes vital signs, and its REST twin.
//!
//! It is at `/dfx` and, for clients that know only a host name, at `/`. Bodies are JSON or protobuf, as the
//! subprotocol says ([`events::Encoding`]). Results are computed from the chunks by the signal path of
//! [`state::Signal`]: a pulse in the payload gives its rate back, anything else an honest `LIVENESS_ERROR`.
//! [`client::DfxClient`] talks to this server and to the real one.
//!
//! What replaces the original helper class:
//!
//! | the class | here |
//! |---|---|
//! | `WebsocketHandler(token, url)`, `connect_ws()`, `handle_connect()` | [`client::DfxClient::connect`] |
//! | `handle_send(content)` | [`client::DfxClient::call`] and its typed forms `create_measurement`, `add_data` |
//! | `handle_receive()` (printed `handle_recieve`) in a polling loop | nothing to call: one task reads; replies are returned by the call, results come from [`client::Results`] |
//! | `addDataStats`, `subscribeStats`, `chunks` | the return values of `add_data`, `subscribe` and the stream [`client::Results`] |
//! | `unknown` | [`client::DfxClient::unknown_count`]: counted and dropped |
//! | `default.config` with its lengths | nothing: messages are told apart by id |
//! | `handle_close()` | [`client::DfxClient::close`], or dropping it |
//!
//! # Differences from the original service
//!
//! | case | original | here |
//! |---|---|---|
//! | payload of the SDK | unpacked and analysed in the cloud | taken for samples; see [`state::Signal::of_payload`] |
//! | FIRST without a number, when chunks were added before | drops them | goes on, unless the rules say `first_resets`: the C++ client sends FIRST always |
//! | chunks faster than real time | RATE_LIMIT | taken, unless the rules say `real_time`; JSON then has `RetryAfterMs` |
//! | chunks of unequal length, or not of 5 to 30 s | refused | taken, 120 in all |
//! | `Resolution` 100 | the whole signal | one value for each chunk, as with 0 |
//! | frame below 14 bytes | not documented | counted and ignored: it has no id to answer to |
//! | action that is not four digits | not documented | 400 `INCORRECT_REQUEST` under the id |
//! | RequestID below ten bytes | not documented | filled up with spaces; none is the id of the call; longer is 400 |
//! | only unknown subprotocols offered | not documented | the upgrade is refused with 400 |
//! | `permessage-deflate` offered | taken or not | taken, each message compressed by itself; not with a window below 15 bits |
//! | refresh token presented as a token | not documented | 401 `INVALID_TOKEN`: it renews once, and opens nothing |
//! | lifetime of tokens | as asked for | as asked for, but not beyond the rules' `token_ttl`, or thirty times that to renew |
//! | logging a user in | with the token of a device | with the password alone: it is the key of the options, if there is one |
//! | list of measurements | filters of many kinds | by any field, with limit (50 at most) and offset; not by date; not sorted |
//! | faults of the rules over REST | none | only `error`: a response cannot be dropped or doubled |
//! | body of a request that is no chunk | not documented | 128 KiB at most, else 400, over REST 413 |
//! | subscriptions to one measurement | not documented | 64 at most, else 400 |
//! | a silent client | not documented | pinged every 30 s, given up after 120 s |
//! | actions other than measuring and logging in | many | 400 `Invalid Route Number …`, which clients take for an unsupported feature |
//! | lists, MIME types, studies with protobuf bodies | protobuf | the same 400; a measurement (0500) without its results; 0107 has no message there, only a status |

mod apidocs;
pub mod client;
pub mod events;
mod handlers;
mod rest;
pub mod state;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use cloverleaf_core::time::Duration;

use crate::auth::{Guard, Key};
use crate::services::Context;
pub use apidocs::document;
use handlers::Server;
use state::{Access, Analysis, BadRules, Rules, State};

/// Options of the DFX endpoint.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Driver (DFX)")]
#[group(skip)]
pub struct Options {
    /// The token that DFX clients must present; without one any will do on this machine
    #[arg(
        long,
        visible_alias = "dfx-token",
        env = "CLOVERLEAF_DFX_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    pub dfx_key: Option<Key>,

    /// Let everyone in the network use the DFX endpoint, with any token
    #[arg(long, env = "CLOVERLEAF_DFX_OPEN")]
    pub dfx_open: bool,

    /// How the DFX endpoint behaves and misbehaves: latency, real time, order, faults (TOML)
    ///
    /// Keys, with what they are when left out: latency = 0 (milliseconds from a chunk to its result), real_time = false
    /// (RATE_LIMIT for chunks that come too fast), first_resets = false, shuffle = 0 (results held back and let go in
    /// reverse), results_first = false (before the reply to their chunk), token_ttl = 86400 (seconds), note (a remark
    /// on every channel). Each table of the list "fault" has do = "drop", "duplicate", "delay" (with delay =
    /// milliseconds), "error" (with status and code), "close", "truncate", "wrong_id", "bad_status" or "text"; on =
    /// "reply" or "result"; and if wanted action = "0506" (of replies), chunk = 1, after = 0 and times = 1 (0 is always).
    #[arg(long, env = "CLOVERLEAF_DFX_RULES", value_name = "FILE")]
    pub dfx_rules: Option<PathBuf>,
}

/// Why the endpoint could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The file of rules cannot be read.
    #[error("cannot read the DFX rules {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file of rules is not what it should be.
    #[error("the DFX rules {} are wrong", path.display())]
    Rules {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: BadRules,
    },
}

/// The endpoint, ready to be routed to; clones share it.
#[derive(Clone, Debug)]
pub struct Dfx {
    server: Arc<Server>,
    summary: String,
}

impl Dfx {
    /// Builds the endpoint; needs a runtime, for its clock.
    ///
    /// # Errors
    /// When the file of rules cannot be used.
    pub fn new(options: &Options, context: &Context) -> Result<Self, BuildError> {
        let rules = options.dfx_rules.clone().map_or(Ok(Rules::default()), read_rules)?;
        let guard = Guard::new(options.dfx_key.clone(), options.dfx_open, context.exposure);
        let summary = guard
            .summary("dfx", "driver   WebSocket /dfx and /, REST /measurements, described at /dfx/apidocs");
        let access = Access::new(guard, Duration::from_secs(rules.token_ttl));
        // Before 1970 nothing was measured.
        let epoch = std::time::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs());
        let state = State::new(rules, access, epoch);
        let server = Server::start(state, context.timeline.clone(), Analysis::run);
        Ok(Self { server, summary })
    }

    /// What is served and where, for people.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// The WebSocket at `/dfx`, the REST routes at their own places and below `/dfx`, and what they are at `/dfx/apidocs`.
    pub fn routes(&self) -> Router {
        handlers::routes(&self.server).merge(rest::routes(&self.server)).merge(apidocs::routes())
    }

    /// Closes all connections because the server goes away (close code 1001).
    pub fn drain(&self) {
        self.server.drain();
    }

    /// Lets WebSocket upgrades at `/` through to DFX, and everything else to `router`.
    pub fn at_root(&self, router: Router) -> Router {
        handlers::at_root(&self.server, router)
    }
}

fn read_rules(path: PathBuf) -> Result<Rules, BuildError> {
    match std::fs::read_to_string(&path) {
        Err(source) => Err(BuildError::Read { path, source }),
        Ok(text) => Rules::parse(&text).map_err(|source| BuildError::Rules { path, source }),
    }
}
