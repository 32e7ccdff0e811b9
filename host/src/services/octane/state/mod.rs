//! Who is connected, who may do what, and what is said to whom. Pure: time is an input.
//!
//! ```text
//!  session    logging in, joining, leaving         control   what is asked of resources
//!  messages   what clients say to one another      reports   beacons and radios that only clients know of
//!                                                  records   what users keep on the server
//! ```

mod control;
mod messages;
pub mod records;
mod reports;
mod session;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloverleaf_core::tscbm;
use foldhash::{HashMap, HashMapExt};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::channel::Channel;
use super::keys::Keys;
use super::publish::Published;
use super::resource::Kind;
use super::view::{IdsAs, PhasesAs, View};
use crate::clock::Moment;
use crate::road::Road;
use crate::timeline::Written;
use records::Records;
pub use reports::{MAX_ID, MAX_REPORT, MAX_REPORTED, Radio};
use reports::{ReportedBeacon, ReportedRadio};
use session::Session;
pub use session::{DISCONNECT_DELAY, MAX_CHANNELS};

/// A client, by a number that is never used again.
pub type ClientId = u64;

/// What can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a client may stay without a key.
    pub grace: Duration,
    /// Whether `disconnect_request` is answered by an event of the same name before the end.
    pub echo_disconnect: bool,
    /// How phases are written.
    pub phases_as: PhasesAs,
    /// How ids are written.
    pub ids_as: IdsAs,
    /// How long a source may be silent before it is marked.
    pub silent_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(60),
            echo_disconnect: false,
            phases_as: PhasesAs::Array,
            ids_as: IdsAs::Integer,
            silent_after: Duration::from_secs(2),
        }
    }
}

/// What happens to the service.
#[derive(Debug)]
pub enum Input<'a> {
    /// A client's connection has been acknowledged; it may have brought a key.
    Opened {
        /// Who.
        client: ClientId,
        /// From the query, a header or the CONNECT packet.
        key: Option<String>,
    },
    /// A client emitted something.
    Event {
        /// Who.
        client: ClientId,
        /// The event's name.
        name: &'a str,
        /// Its first argument, or `null`.
        data: &'a RawValue,
    },
    /// A client is gone.
    Closed {
        /// Who.
        client: ClientId,
    },
    /// The controller of an intersection sent a datagram.
    Heard {
        /// The intersection.
        intersection: u32,
        /// What it said.
        message: Box<tscbm::Message>,
    },
    /// Time passes.
    Tick,
}

/// What the service wants done.
#[derive(Debug)]
pub enum Output {
    /// Say something to one client.
    Emit {
        /// To whom.
        client: ClientId,
        /// The event.
        event: &'static str,
        /// Its argument.
        data: Arc<RawValue>,
    },
    /// Acknowledge the event that is being handled, with an empty list: callbacks of clients take no arguments.
    Acknowledge,
    /// Say something to everybody on some channels, once to each.
    Publish(Publication),
    /// A client gets what is published on a channel from now on.
    Join {
        /// Who.
        client: ClientId,
        /// What.
        channel: Channel,
    },
    /// A client gets it no longer.
    Leave {
        /// Who.
        client: ClientId,
        /// What.
        channel: Channel,
    },
    /// End a client's connection once everything said to it has been sent.
    Disconnect {
        /// Who.
        client: ClientId,
    },
    /// Put something on the timeline that no client hears of.
    Note {
        /// What it is about.
        topic: String,
        /// What happened.
        value: Value,
    },
}

/// Something for everybody on some channels.
#[derive(Debug)]
pub struct Publication {
    /// The channels.
    pub channels: Vec<Channel>,
    /// Who does not get it.
    pub except: Option<ClientId>,
    /// The event.
    pub event: &'static str,
    /// Its argument, which is written as JSON when somebody first reads it.
    pub data: Written,
    /// For telemetry, whose: to a slow reader a newer value of the same signal replaces an older one. Messages have
    /// none, and are never replaced.
    pub signal: Option<Arc<str>>,
    /// Whether it belongs on the timeline: ten values a second of every radio do not.
    pub record: bool,
}

/// The whole service.
#[derive(Debug)]
pub struct State {
    pub(super) settings: Settings,
    /// Who may do what.
    pub keys: Keys,
    /// The road behind it.
    pub road: Road,
    /// What users keep on the server.
    pub records: Records,
    sessions: HashMap<ClientId, Session>,
    /// How many have joined each channel.
    subscribers: HashMap<Channel, usize>,
    reported_beacons: BTreeMap<String, ReportedBeacon>,
    reported_radios: BTreeMap<(Radio, String), ReportedRadio>,
    pub(super) published: Published,
}

impl State {
    /// A service without clients.
    pub fn new(settings: Settings, keys: Keys, road: Road) -> Self {
        Self {
            settings,
            keys,
            road,
            records: Records::default(),
            sessions: HashMap::new(),
            subscribers: HashMap::new(),
            reported_beacons: BTreeMap::new(),
            reported_radios: BTreeMap::new(),
            published: Published::default(),
        }
    }

    /// Takes one input and answers what is to be done about it, in order.
    pub fn handle(&mut self, now: Moment, input: Input<'_>) -> Vec<Output> {
        let mut outputs = Vec::new();
        match input {
            Input::Opened { client, key } => self.open(now, client, key, &mut outputs),
            Input::Event { client, name, data } => self.event(now, client, name, data, &mut outputs),
            Input::Closed { client } => self.forget(client),
            Input::Heard { intersection, message } => {
                if let Some(heard) = self.road.intersections.get_mut(&intersection) {
                    heard.hear(*message, now);
                    self.publish_spat(intersection, &mut outputs);
                }
            }
            Input::Tick => {
                self.expire(now, &mut outputs);
                self.publish(now, &mut outputs);
            }
        }
        outputs
    }

    /// The road as it is described on the wire.
    pub fn view(&self) -> View<'_> {
        View {
            road: &self.road,
            phases_as: self.settings.phases_as,
            ids_as: self.settings.ids_as,
            silent_after: self.settings.silent_after,
            comparing: false,
        }
    }

    /// Every resource of a kind, those that clients report included.
    pub fn items(&self, kind: Kind) -> Vec<Value> {
        let mut items = self.view().items(kind);
        match kind {
            Kind::Beacon => items.extend(self.reported_beacons()),
            Kind::V2x => items.extend(self.reported_radios().map(|radio| value(&radio))),
            _ => {}
        }
        items
    }

    /// One resource.
    pub fn item(&self, kind: Kind, id: &str) -> Option<Value> {
        self.items(kind).into_iter().find(|item| super::resource::is_called(item, id))
    }
}

/// As JSON text.
pub(in crate::services::octane) fn raw(value: &impl Serialize) -> Arc<RawValue> {
    // Every value here has string keys and finite numbers, which is all that serialising to JSON can fail on.
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned()).into()
}

/// As JSON.
pub(in crate::services::octane) fn value(value: &impl Serialize) -> Value {
    // Cannot fail, for the same reason.
    serde_json::to_value(value).unwrap_or_default()
}

fn emit(client: ClientId, event: &'static str, data: &impl Serialize) -> Output {
    Output::Emit { client, event, data: raw(data) }
}

/// What the service says by itself.
pub(super) fn publication(
    channels: &[&str],
    event: &'static str,
    data: impl Serialize + Send + Sync + 'static,
    signal: Option<String>,
) -> Output {
    let channels = channels.iter().filter_map(|name| Channel::parse(name)).collect();
    let signal = signal.map(Arc::from);
    let data = Written::later(data);
    Output::Publish(Publication { channels, except: None, event, data, signal, record: true })
}
