//! OCTANE: the road. A server that OCTANE clients of any year work against, with a simulated facility behind it.
//!
//! ```text
//!  events      what is said on the wire              channel     what can be subscribed to
//!  state       who may do and hears what (pure)      resource    what there is and what can be asked of it (pure)
//!  publish     what the road tells by itself (pure)  view        the road in OCTANE's words (pure)
//!  handlers    carries it all out                    fanout      to thousands, of whom some read slowly
//!  keys        who is who, and may do what           rest        /api, and /apidocs what it looks like
//!  client      for real OCTANE servers               source      datagrams of real controllers
//! ```
//!
//! # Differences from the original
//!
//! | | the original | here |
//! |---|---|---|
//! | what is malformed in an event, or names what there is not (such as a channel) | an exception in its log, no reply | an event `error` with `event` and `message`, an acknowledgement if one was asked for, the connection stays |
//! | `join` of a channel already joined | "does nothing" | echoed again: scripts wait for the echo |
//! | `leave` of a channel never joined | not defined | echoed |
//! | an event before `auth` | not defined | dropped, the connection stays |
//! | an event that the key does not allow | not defined | an event `error` with `event` and `message`, an acknowledgement if one was asked for, the connection stays |
//! | the end after `auth_fail` | at once | 0.3 s later: python-socketio takes no notice of an end before its `connect()` returns |
//! | a key that ends while its client is connected | not defined | `auth_fail`, then disconnected |
//! | no key, loopback only | not possible | open: the first event of a client lets it in |
//! | no `auth` within the grace period | "will be disconnected" | `auth_fail`, then disconnected |
//! | key in a header, or in the payload of CONNECT | not possible | accepted |
//! | channels that are not announced | announced nowhere | can be joined, stay out of the listing |
//! | a radio's channels | by its id | by its number in REST and by its v2x id |
//! | ids of intersections, signals, crosswalks, crossings, gates, lights, radios, robots | text in its description, numbers in its events | numbers; text with `--octane-ids string` |
//! | a direction that a signal has no lamps for | not defined | `"color": null, "status": "disabled"` |
//! | a command for an intersection that is not enabled | not defined | accepted, and not obeyed, as its hardware would |
//! | what simulated vehicles and pedestrians send, on `v2x_obu_raw` and `v2x_vru_raw` | as it was on the air | never: nothing here encodes J2735; what clients send raw is passed on |
//! | `v2x_new` | announced | sent when a client has a radio send that nobody knew of |
//! | a source that falls silent | its last state lives on | `"stale": true` in updates and REST, a `facility_message` |
//! | a reader that is too slow | unbounded memory, or lost messages | telemetry conflates by signal, messages never; then disconnected |
//! | reports of beacons, ids of beacons and radios | of any length | 16 kB, 64 bytes at most, or an event `error` |
//! | what is asked of an intersection with a controller of its own (`--octane-tscbm`) | passed on to it | refused |
//! | return values of a robot's handlers | lost | `POST /api/robot/{id}/proxy` answers with them |
//! | a request outside of what a key allows | not defined | REST 403 |
//! | `/sensor/{id}`, `/intersection/{id}/rsus`, `/requests/job/{id}` | answer under `gate`, `crosswalks`, `failedRequests` | under `sensor`, `rsus`, `job` |
//! | requests | wait in a queue | are carried out at once; the last 1024 can be asked for |
//! | safety equipment and lawn mowers | have no channel | the same: REST alone tells of them |
//! | sign boards, message boards | described, without a path | not there |
//! | keys made by `POST /session`, scenarios, favourites | in a database | in memory, gone with the server |

pub mod channel;
pub mod client;
pub mod events;
mod fanout;
pub mod handlers;
pub mod keys;
pub mod publish;
pub mod resource;
pub mod rest;
pub mod source;
pub mod state;
pub mod view;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use socketioxide::SocketIo;
use tokio::time::{Instant, MissedTickBehavior};

use self::handlers::Octane;
use self::keys::{Keys, KeysError};
use self::source::Feed;
use self::state::{Input, Settings, State};
use self::view::{IdsAs, PhasesAs};
use super::Context;
use crate::auth::{Exposure, Key};
use crate::clock::Moment;
use crate::config::duration;
use crate::road::Road;
use crate::road::facility::{BUILT_IN, Facility, FacilityError};

/// The road's rhythm.
const TICK: Duration = Duration::from_millis(100);

/// The options of the road.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Road (OCTANE)")]
#[group(skip)]
pub struct Options {
    /// An API key that OCTANE clients may use (repeatable)
    #[arg(long = "octane-key", env = "CLOVERLEAF_OCTANE_KEY", value_name = "KEY", hide_env_values = true)]
    pub keys: Vec<Key>,

    /// A file of API keys with scopes and dates
    #[arg(long = "octane-key-file", env = "CLOVERLEAF_OCTANE_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// Let everyone in the network use the road without a key
    #[arg(long = "octane-open", env = "CLOVERLEAF_OCTANE_OPEN")]
    pub open: bool,

    /// The facility to simulate, instead of the built-in one (`cloverleaf octane facility` prints that)
    #[arg(long = "octane-facility", env = "CLOVERLEAF_OCTANE_FACILITY", value_name = "FILE")]
    pub facility: Option<PathBuf>,

    /// How long an OCTANE client may stay without a key
    #[arg(
        long = "octane-grace",
        env = "CLOVERLEAF_OCTANE_GRACE",
        value_name = "DURATION",
        default_value = "60s",
        value_parser = duration
    )]
    pub grace: Duration,

    /// How intersections list their phases: clients of both kinds exist
    #[arg(long = "octane-phases", env = "CLOVERLEAF_OCTANE_PHASES", value_name = "FORM", value_enum, default_value_t = PhasesAs::Array)]
    pub phases: PhasesAs,

    /// How numbered resources are identified
    #[arg(long = "octane-ids", env = "CLOVERLEAF_OCTANE_IDS", value_name = "FORM", value_enum, default_value_t = IdsAs::Integer)]
    pub ids: IdsAs,

    /// Answer `disconnect_request` by an event of that name before the end
    #[arg(long = "octane-echo-disconnect", env = "CLOVERLEAF_OCTANE_ECHO_DISCONNECT")]
    pub echo_disconnect: bool,

    /// How long a controller may send nothing before it is marked as silent
    #[arg(
        long = "octane-silent-after",
        env = "CLOVERLEAF_OCTANE_SILENT_AFTER",
        value_name = "DURATION",
        default_value = "2s",
        value_parser = duration
    )]
    pub silent_after: Duration,

    /// Show what the controller of an intersection sends (TSCBM over UDP) instead of simulating it (repeatable)
    #[arg(
        long = "octane-tscbm",
        env = "CLOVERLEAF_OCTANE_TSCBM",
        value_name = "ID=ADDR:PORT",
        value_delimiter = ','
    )]
    pub feeds: Vec<Feed>,
}

/// Why the road could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The keys are of no use.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The description of the facility cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// Which file.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
    /// The facility cannot exist.
    #[error("{path}: {error}")]
    Facility {
        /// Which file.
        path: String,
        /// What is wrong.
        error: Box<FacilityError>,
    },
    /// Datagrams cannot be listened for.
    #[error("--octane-tscbm {intersection}={listen}: {error}")]
    Feed {
        /// For which intersection.
        intersection: u32,
        /// Where.
        listen: std::net::SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
}

/// Starts the road and takes clients on `/octane`.
///
/// The road stands still once the answer, and every router made from it, is gone.
///
/// # Errors
/// When an option cannot be honoured.
pub async fn start(options: &Options, context: &Context, io: &SocketIo) -> Result<Arc<Octane>, StartError> {
    let mut keys = Keys::none(options.open || context.exposure == Exposure::Loopback);
    options.keys.iter().cloned().for_each(|key| keys.add(key));
    if let Some(path) = &options.key_file {
        keys.read(path)?;
    }
    let facility = match &options.facility {
        None => Facility::parse(BUILT_IN).map_err(|error| (String::from("the built-in facility"), error)),
        Some(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|error| StartError::Read { path: name.clone(), error })?;
            Facility::parse(&text).map_err(|error| (name, error))
        }
    };
    let facility = facility.map_err(|(path, error)| StartError::Facility { path, error: Box::new(error) })?;
    let settings = Settings {
        grace: options.grace,
        echo_disconnect: options.echo_disconnect,
        phases_as: options.phases,
        ids_as: options.ids,
        silent_after: options.silent_after,
    };
    let road = Road::new(facility, Moment::since(Instant::now()));
    let octane = Octane::new(State::new(settings, keys, road), context.timeline.clone());
    octane.attach(io);
    for feed in &options.feeds {
        let Feed { intersection, listen } = *feed;
        source::listen(&octane, *feed).await.map_err(|error| StartError::Feed {
            intersection,
            listen,
            error,
        })?;
    }
    let ticking = Arc::downgrade(&octane);
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let Some(octane) = ticking.upgrade() else { break };
            octane.handle(Input::Tick);
        }
    });
    Ok(octane)
}
