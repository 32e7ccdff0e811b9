//! Who is connected, who may do what, and what is said to whom. Pure: time and verdicts on keys are inputs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cloverleaf_core::tscbm;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::channel::{ANNOUNCED, Channel};
use super::events::{Channels, Credentials, FacilityMessage, Joined, Left, Listed, Message, Which};
use super::keys::Scopes;
use super::publish::Published;
use super::resource::{self, ControlError, Kind};
use super::view::{IdsAs, PhasesAs, View};
use crate::road::Road;

/// How many channels a client may join: far more than there are, but for those of single radios.
pub const MAX_CHANNELS: usize = 256;
/// How many beacons and radios that only clients know of are remembered; the one unheard for longest is forgotten.
pub const MAX_POSTED: usize = 1024;

/// A client, by a number that is never used again.
pub type ClientId = u64;

/// What can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a client may stay without a key.
    pub grace: SignedDuration,
    /// Whether clients need no key.
    pub open: bool,
    /// Whether `disconnect_request` is answered by an event of the same name before the end.
    pub echo_disconnect: bool,
    /// How phases are written.
    pub phases_as: PhasesAs,
    /// How ids are written.
    pub ids_as: IdsAs,
    /// Seconds after which a silent source is marked.
    pub silent_after: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            grace: SignedDuration::from_secs(60),
            open: false,
            echo_disconnect: false,
            phases_as: PhasesAs::Array,
            ids_as: IdsAs::Integer,
            silent_after: 2.0,
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
    /// What the key store thinks of a key that [`Output::Check`] asked about; none refuses it.
    Verdict {
        /// Who.
        client: ClientId,
        /// What the key allows.
        scopes: Option<Scopes>,
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
    /// Ask the key store, and come back with [`Input::Verdict`].
    Check {
        /// Who.
        client: ClientId,
        /// The key it showed.
        key: String,
    },
    /// Say something to one client.
    Emit {
        /// To whom.
        client: ClientId,
        /// The event.
        event: &'static str,
        /// Its argument.
        data: Box<RawValue>,
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
    /// Its argument.
    pub data: Box<RawValue>,
    /// For telemetry, whose: to a slow reader a newer value of the same signal replaces an older one. Messages have
    /// none, and are never replaced.
    pub signal: Option<String>,
    /// Whether it belongs on the timeline: ten values a second of every radio do not.
    pub record: bool,
}

#[derive(Debug, Default)]
struct Session {
    scopes: Option<Scopes>,
    deadline: Option<Timestamp>,
    /// Keys shown and not yet judged.
    checking: u32,
    channels: BTreeSet<Channel>,
}

/// Something only clients know of, such as a beacon that a client reports.
#[derive(Debug)]
pub(super) struct Posted {
    pub(super) state: Value,
    pub(super) heard: Timestamp,
    pub(super) stale: bool,
}

/// The whole service.
#[derive(Debug)]
pub struct State {
    pub(super) settings: Settings,
    /// The road behind it.
    pub road: Road,
    sessions: HashMap<ClientId, Session>,
    /// How many have joined each channel.
    audience: HashMap<Channel, usize>,
    pub(super) posted: BTreeMap<String, Posted>,
    pub(super) published: Published,
}

impl State {
    /// A service without clients.
    pub fn new(settings: Settings, road: Road) -> Self {
        Self {
            settings,
            road,
            sessions: HashMap::new(),
            audience: HashMap::new(),
            posted: BTreeMap::new(),
            published: Published::default(),
        }
    }

    /// Takes one input and answers what is to be done about it, in order.
    pub fn handle(&mut self, now: Timestamp, input: Input<'_>) -> Vec<Output> {
        let mut outputs = Vec::new();
        match input {
            Input::Opened { client, key } => {
                let deadline = Some(now + self.settings.grace);
                let session = Session { deadline, checking: u32::from(key.is_some()), ..Session::default() };
                self.sessions.insert(client, session);
                outputs.extend(key.map(|key| Output::Check { client, key }));
            }
            Input::Verdict { client, scopes } => self.judge(client, scopes, &mut outputs),
            Input::Event { client, name, data } => self.event(now, client, name, data, &mut outputs),
            Input::Closed { client } => self.forget(client),
            Input::Heard { intersection, message } => {
                if let Some(junction) = self.road.junctions.get_mut(&intersection) {
                    junction.hear(*message, now);
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
        View { road: &self.road, phases_as: self.settings.phases_as, ids_as: self.settings.ids_as }
    }

    /// Whether anybody has joined a channel.
    pub(super) fn has_audience(&self, channel: &Channel) -> bool {
        self.audience.contains_key(channel)
    }

    /// Does what a `PATCH` of a resource asks; everybody on its channel hears of the request and of the new state.
    ///
    /// # Errors
    /// [`ControlError`]; nobody hears anything then.
    pub fn control(&mut self, kind: Kind, id: &str, patch: &RawValue) -> Result<Vec<Output>, ControlError> {
        if kind == Kind::Beacon && self.posted.contains_key(id) {
            let patch: resource::Patch<Value> = serde_json::from_str(patch.get())
                .map_err(|error| ControlError::Malformed(error.to_string()))?;
            return Ok(self.report_beacon(self.road.now(), id, patch.state));
        }
        resource::control(&mut self.road, kind, id, patch)?;
        Ok(self.requested(kind, id, patch))
    }

    /// Gives an intersection to one of its preemptions, or takes it back.
    ///
    /// # Errors
    /// [`ControlError`]; nobody hears anything then.
    pub fn preempt(&mut self, id: &str, number: &str, patch: &RawValue) -> Result<Vec<Output>, ControlError> {
        resource::preempt(&mut self.road, id, number, patch)?;
        Ok(self.requested(Kind::Intersection, id, patch))
    }

    /// Every resource of a kind, those that clients report included.
    pub fn items(&self, kind: Kind) -> Vec<Value> {
        let mut items = self.view().items(kind, self.settings.silent_after);
        if kind == Kind::Beacon {
            items.extend(self.posted.iter().map(|(id, posted)| self.posted_item(id, posted)));
        }
        items
    }

    /// One resource.
    pub fn item(&self, kind: Kind, id: &str) -> Option<Value> {
        let posted = || self.posted.get(id).filter(|_| kind == Kind::Beacon);
        let item = self.view().item(kind, id, self.settings.silent_after);
        item.or_else(|| posted().map(|posted| self.posted_item(id, posted)))
    }

    /// Forgets a beacon that clients reported; answers whether there was one.
    pub fn forget_beacon(&mut self, id: &str) -> bool {
        self.posted.remove(id).is_some()
    }

    /// Tells everybody on `facility` something.
    pub fn notify(&self, message: String, kind: &str) -> Output {
        let message = FacilityMessage { message, r#type: kind.to_owned(), time: self.view().now() };
        publication(&["facility"], "facility_message", &message, None)
    }

    /// Tells everybody on `user` something.
    pub fn say(&self, message: &RawValue) -> Output {
        relayed("user", None, "user_message", message)
    }

    /// A client, or REST, reports where a beacon is.
    pub fn report_beacon(&mut self, now: Timestamp, id: &str, mut state: Value) -> Vec<Output> {
        if !self.posted.contains_key(id) && self.posted.len() >= MAX_POSTED {
            let oldest = self.posted.iter().min_by_key(|(_, posted)| posted.heard).map(|(id, _)| id.clone());
            oldest.map(|id| self.posted.remove(&id));
        }
        // Readers drop what is older than half a second: a report without a date is as old as its arrival.
        let date = json!(self.view().date(now));
        for place in [state.pointer_mut("/dynamics"), None] {
            if let Some(Value::Object(fields)) = place {
                fields.entry("updated").or_insert_with(|| date.clone());
            }
        }
        self.posted.insert(id.to_owned(), Posted { state: state.clone(), heard: now, stale: false });
        let update = json!({"id": id, "serviced": date, "state": state});
        let signal = Some(format!("beacon/{id}"));
        vec![publication(&["beacon"], "beacon_update", &update, signal)]
    }

    /// A client, or REST, has a radio send a message: everybody who listens to such radios hears it.
    pub fn transmit(&self, kind: Radio, payload: &RawValue) -> Vec<Output> {
        let value: Value = serde_json::from_str(payload.get()).unwrap_or_default();
        let id = match value.get("id") {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => String::new(),
        };
        let (family, event) = match kind {
            Radio::Vehicle => ("obu", "v2x_BSM"),
            Radio::Pedestrian => ("vru", "v2x_PSM"),
        };
        let raw = value.get("data").is_some_and(Value::is_string) && value.get("latitude").is_none();
        let (form, event) = if raw { ("raw", "v2x_raw") } else { ("parsed", event) };
        let channels = [format!("v2x_{family}_{form}"), format!("v2x_{family}_{id}_{form}")];
        vec![Output::Publish(Publication {
            channels: channels.iter().filter_map(|name| Channel::parse(name)).collect(),
            except: None,
            event,
            data: payload.to_owned(),
            // Without an id nobody can tell whose value a newer one would replace.
            signal: (!id.is_empty()).then(|| format!("{event}/{family}/{id}")),
            record: false,
        })]
    }

    fn event(
        &mut self,
        now: Timestamp,
        client: ClientId,
        name: &str,
        data: &RawValue,
        outputs: &mut Vec<Output>,
    ) {
        let Some(session) = self.sessions.get_mut(&client) else { return };
        if name == "auth" {
            session.checking += 1;
            let key =
                serde_json::from_str(data.get()).map_or_else(|_| String::new(), |it: Credentials| it.key);
            return outputs.extend([Output::Check { client, key }, Output::Acknowledge]);
        }
        if session.scopes.is_none() {
            if !self.settings.open {
                return; // dropped, and the client stays: its key may be on its way
            }
            self.admit(client, Scopes::ALL, outputs);
        }
        match name {
            "channels" => outputs.push(self.listing(client)),
            "join" => self.join(client, data, outputs),
            "leave" => self.leave(client, data, outputs),
            "user_message" => outputs.push(relayed("user", None, "user_message", data)),
            "ipc_message" => outputs.push(relayed("ipc", None, "ipc_message", data)),
            "robot_proxy" => outputs.push(relayed("robot", Some(client), "robot_proxy", data)),
            "beacon_message" => outputs.extend(self.beacon_message(now, data)),
            "v2x_BSM" => outputs.extend(self.carried(Radio::Vehicle, data)),
            "v2x_PSM" => outputs.extend(self.carried(Radio::Pedestrian, data)),
            "robot_activate" => outputs.extend(self.robot_activate(data)),
            "disconnect_request" => self.part(client, outputs),
            _ => return, // unknown: no reply, and no acknowledgement either
        }
        outputs.push(Output::Acknowledge);
    }

    fn judge(&mut self, client: ClientId, scopes: Option<Scopes>, outputs: &mut Vec<Output>) {
        let Some(session) = self.sessions.get_mut(&client) else { return };
        session.checking = session.checking.saturating_sub(1);
        match scopes {
            Some(scopes) => self.admit(client, scopes, outputs),
            None => self.refuse(client, "API key is missing or invalid", outputs),
        }
    }

    /// Lets a client in. Once in, a further good key only changes what it may do.
    fn admit(&mut self, client: ClientId, scopes: Scopes, outputs: &mut Vec<Output>) {
        let Some(session) = self.sessions.get_mut(&client) else { return };
        let already_in = session.scopes.replace(scopes).is_some();
        session.deadline = None;
        outputs.push(emit(client, "auth_ok", &Message { message: "OK" }));
        if already_in {
            return;
        }
        for name in ["user", "facility"] {
            self.enter(client, Channel::known(name), outputs);
        }
        // Exactly once: clients take this for "you are logged in" and join from its handler.
        outputs.push(self.listing(client));
    }

    fn refuse(&mut self, client: ClientId, why: &str, outputs: &mut Vec<Output>) {
        outputs.push(emit(client, "auth_fail", &Message { message: why }));
        self.forget(client);
        outputs.push(Output::Disconnect { client });
    }

    fn part(&mut self, client: ClientId, outputs: &mut Vec<Output>) {
        if self.settings.echo_disconnect {
            outputs.push(emit(client, "disconnect_request", &Message { message: "Disconnected" }));
        }
        self.forget(client);
        outputs.push(Output::Disconnect { client });
    }

    fn listing(&self, client: ClientId) -> Output {
        let joined = self.sessions.get(&client).map(|session| &session.channels);
        let subscribed =
            |name| joined.is_some_and(|joined| joined.iter().any(|channel| channel.name() == name));
        let channels = ANNOUNCED.map(|name| Listed { name, subscribed: subscribed(name) }).to_vec();
        emit(client, "channels", &Channels { channels })
    }

    fn join(&mut self, client: ClientId, data: &RawValue, outputs: &mut Vec<Output>) {
        let Some(channel) = which(data) else { return };
        let full = self.sessions.get(&client).is_none_or(|session| session.channels.len() >= MAX_CHANNELS);
        if !full || self.sessions.get(&client).is_some_and(|session| session.channels.contains(&channel)) {
            // Scripts wait for the echo, so it is sent to those who have joined before, too.
            self.enter(client, channel, outputs);
        }
    }

    fn enter(&mut self, client: ClientId, channel: Channel, outputs: &mut Vec<Output>) {
        let Some(session) = self.sessions.get_mut(&client) else { return };
        outputs.push(emit(client, "join", &Joined { join: channel.name() }));
        if session.channels.insert(channel.clone()) {
            *self.audience.entry(channel.clone()).or_default() += 1;
            outputs.push(Output::Join { client, channel });
        }
    }

    fn leave(&mut self, client: ClientId, data: &RawValue, outputs: &mut Vec<Output>) {
        let (Some(channel), Some(session)) = (which(data), self.sessions.get_mut(&client)) else { return };
        outputs.push(emit(client, "leave", &Left { leave: channel.name() }));
        if session.channels.remove(&channel) {
            self.lose(&channel);
            outputs.push(Output::Leave { client, channel });
        }
    }

    fn forget(&mut self, client: ClientId) {
        let session = self.sessions.remove(&client).unwrap_or_default();
        session.channels.iter().for_each(|channel| self.lose(channel));
    }

    fn lose(&mut self, channel: &Channel) {
        if let Some(count) = self.audience.get_mut(channel) {
            *count -= 1;
            if *count == 0 {
                self.audience.remove(channel);
            }
        }
    }

    /// Ends the grace of clients that never showed a key. Whoever is being judged waits for the verdict.
    fn expire(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        let late = |session: &Session| {
            session.checking == 0 && session.deadline.is_some_and(|deadline| deadline <= now)
        };
        let late: Vec<_> =
            self.sessions.iter().filter(|(_, session)| late(session)).map(|(id, _)| *id).collect();
        for client in late {
            if self.settings.open {
                self.admit(client, Scopes::ALL, outputs);
            } else {
                self.refuse(client, "No API key within the time allowed", outputs);
            }
        }
    }

    // { "id" | "id_string": ID, "payload": { "state": STATE } }      or   { "id": ID, "state": STATE }
    fn beacon_message(&mut self, now: Timestamp, data: &RawValue) -> Vec<Output> {
        let mut value: Value = serde_json::from_str(data.get()).unwrap_or_default();
        let id = match value.get("id").or_else(|| value.get("id_string")) {
            Some(Value::String(id)) if (1..=64).contains(&id.len()) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => return Vec::new(),
        };
        let state = ["/payload/state", "/state"]
            .into_iter()
            .find_map(|path| value.pointer_mut(path).map(Value::take));
        match state {
            Some(state) if state.is_object() => self.report_beacon(now, &id, state),
            _ => Vec::new(),
        }
    }

    // { "id": RSU, "payload": MESSAGE }      or MESSAGE itself
    fn carried(&self, kind: Radio, data: &RawValue) -> Vec<Output> {
        #[derive(serde::Deserialize)]
        struct Carried {
            payload: Box<RawValue>,
        }
        match serde_json::from_str::<Carried>(data.get()) {
            Ok(carried) if is_object(&carried.payload) => self.transmit(kind, &carried.payload),
            Err(_) if is_object(data) => self.transmit(kind, data),
            _ => Vec::new(),
        }
    }

    // { "id": ROBOT, "payload": { "activated", "scenario": { "id" } } }      or with all that in "payload"."state"
    fn robot_activate(&mut self, data: &RawValue) -> Vec<Output> {
        let value: Value = serde_json::from_str(data.get()).unwrap_or_default();
        let id = match value.get("id") {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => return Vec::new(),
        };
        let Some(state) = ["/payload/state", "/payload"].into_iter().find_map(|path| value.pointer(path))
        else {
            return Vec::new();
        };
        let patch = raw(&json!({"state": state}));
        self.control(Kind::Robot, &id, &patch).unwrap_or_default()
    }

    /// What everybody hears after a request: the resource with what was asked of it, then with what it is like.
    fn requested(&mut self, kind: Kind, id: &str, patch: &RawValue) -> Vec<Output> {
        let Some(item) = self.item(kind, id) else { return Vec::new() };
        let asked: Value = serde_json::from_str(patch.get()).unwrap_or_default();
        let mut request = item.clone();
        if let (Some(Value::Object(state)), Some(Value::Object(asked))) =
            (request.get_mut("state"), asked.get("state"))
        {
            state.extend(asked.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        let request = publication(&[kind.name()], kind.request(), &request, None);
        let update = self.update(kind, &item);
        [Some(request), update].into_iter().flatten().collect()
    }

    fn posted_item(&self, id: &str, posted: &Posted) -> Value {
        let uri = format!("/api/beacon/{id}");
        json!({"id": id, "name": id, "uri": uri, "url": uri, "state": posted.state, "stale": posted.stale})
    }
}

/// Whose radio a message is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Radio {
    /// A vehicle's.
    Vehicle,
    /// A pedestrian's.
    Pedestrian,
}

fn which(data: &RawValue) -> Option<Channel> {
    Channel::parse(&serde_json::from_str::<Which>(data.get()).ok()?.channel)
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{') && serde_json::from_str::<IgnoredAny>(value.get()).is_ok()
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    // Every value here has string keys and finite numbers, which is all that serialising to JSON can fail on.
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn emit(client: ClientId, event: &'static str, data: &impl Serialize) -> Output {
    Output::Emit { client, event, data: raw(data) }
}

/// What a client said, to the others on a channel, as it was said.
fn relayed(channel: &str, except: Option<ClientId>, event: &'static str, data: &RawValue) -> Output {
    let channels = vec![Channel::known(channel)];
    Output::Publish(Publication {
        channels,
        except,
        event,
        data: data.to_owned(),
        signal: None,
        record: true,
    })
}

/// What the service says by itself.
pub(super) fn publication(
    channels: &[&str],
    event: &'static str,
    data: &impl Serialize,
    signal: Option<String>,
) -> Output {
    let channels = channels.iter().filter_map(|name| Channel::parse(name)).collect();
    Output::Publish(Publication { channels, except: None, event, data: raw(data), signal, record: true })
}
