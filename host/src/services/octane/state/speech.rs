//! What clients say: to one another as it was said, and to the server about what only they know.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::session::Standing;
use super::{ClientId, Output, Publication, State, emit, publication, raw};
use crate::services::octane::channel::Channel;
use crate::services::octane::events::{Credentials, FacilityMessage, Id, MovingRadio, Refused, V2x};
use crate::services::octane::keys::{Act, Keys};
use crate::services::octane::resource::{ControlError, Kind, brief, parse};

/// How many beacons, and how many radios, that only clients know of are remembered; the one unheard for longest is
/// forgotten.
pub const MAX_POSTED: usize = 1024;

/// How long the report of a beacon may be, in bytes: the last one of each is kept.
pub const MAX_REPORT: usize = 16_384;

/// How long the id of a beacon or radio may be that only clients know of, in bytes.
pub const MAX_ID: usize = 64;

/// A beacon that a client reports.
#[derive(Debug)]
pub(in crate::services::octane) struct Posted {
    pub(in crate::services::octane) state: Value,
    pub(in crate::services::octane) heard: Timestamp,
    pub(in crate::services::octane) stale: bool,
}

/// A radio that a client sends for.
#[derive(Debug)]
pub(in crate::services::octane) struct PostedRadio {
    state: MovingRadio,
    heard: Timestamp,
}

/// Whose radio a message is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Radio {
    /// A vehicle's.
    Vehicle,
    /// A pedestrian's.
    Pedestrian,
}

impl Radio {
    /// Its family, as it is written in the names of channels.
    pub fn family(self) -> &'static str {
        match self {
            Self::Vehicle => "obu",
            Self::Pedestrian => "vru",
        }
    }
}

impl State {
    pub(super) fn event(
        &mut self,
        now: Timestamp,
        client: ClientId,
        name: &str,
        data: &RawValue,
        outputs: &mut Vec<Output>,
    ) {
        let Some(session) = self.sessions.get(&client) else { return };
        if matches!(session.standing, Standing::Parting { .. }) {
            return;
        }
        if name == "auth" {
            let shown: Result<Credentials, _> = serde_json::from_str(data.get());
            self.judge(now, client, shown.as_ref().map_or("", |it| &it.key), outputs);
            return outputs.push(Output::Acknowledge);
        }
        if matches!(session.standing, Standing::Waiting { .. }) {
            if !self.keys.is_open() {
                return; // dropped, and the client stays: its key may be on its way
            }
            self.admit(client, Keys::anybody(), outputs);
        }
        let Some(act) = act(name) else { return }; // unknown: no reply, and no acknowledgement either
        if !self.may(client, act) {
            let refused = Refused { event: name, message: act.refusal().to_owned() };
            return outputs.extend([emit(client, "error", &refused), Output::Acknowledge]);
        }
        let done = match name {
            "channels" => Ok(vec![self.listing(client)]),
            "join" => self.join(client, data),
            "leave" => self.leave(client, data),
            "user_message" => Ok(vec![relayed("user", None, "user_message", data)]),
            "ipc_message" => Ok(vec![relayed("ipc", None, "ipc_message", data)]),
            "robot_proxy" => Ok(vec![relayed("robot", Some(client), "robot_proxy", data)]),
            "beacon_message" => self.beacon_message(now, data),
            "v2x_BSM" => self.carried(now, Radio::Vehicle, data),
            "v2x_PSM" => self.carried(now, Radio::Pedestrian, data),
            "robot_activate" => self.robot_activate(data),
            _ => Ok(Vec::new()),
        };
        outputs.extend(done.unwrap_or_else(|error| {
            vec![emit(client, "error", &Refused { event: name, message: brief(&error.to_string()) })]
        }));
        outputs.push(Output::Acknowledge);
        if name == "disconnect_request" {
            // Behind its acknowledgement: nothing follows the end.
            self.part(client, outputs);
        }
    }

    fn may(&self, client: ClientId, act: Act) -> bool {
        match self.sessions.get(&client).map(|session| &session.standing) {
            Some(Standing::In(grant)) => grant.scopes.allow(act),
            _ => false,
        }
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
    ///
    /// # Errors
    /// [`ControlError::Malformed`] when the id or the report is too long, or what moves is not told of in numbers;
    /// nobody hears anything then.
    pub fn report_beacon(
        &mut self,
        now: Timestamp,
        id: &str,
        mut state: Value,
    ) -> Result<Output, ControlError> {
        check_id(id)?;
        if raw(&state).get().len() > MAX_REPORT {
            let message = format!("a report of a beacon has {MAX_REPORT} bytes at most");
            return Err(ControlError::Malformed(message));
        }
        let date = json!(self.view().date(now));
        match state.get_mut("dynamics") {
            None => {}
            Some(Value::Object(dynamics)) => {
                for name in ["longitude", "latitude", "heading", "velocity", "acceleration", "elevation"] {
                    number(dynamics, name)?;
                }
                match dynamics.get("updated") {
                    // Readers drop what is older than half a second: a report without a date is as old as its arrival.
                    None | Some(Value::Null) => {
                        dynamics.insert("updated".into(), date.clone());
                    }
                    Some(Value::String(_)) => {}
                    Some(_) => return Err(ControlError::Malformed("updated is a date, as text".into())),
                }
            }
            Some(_) => return Err(ControlError::Malformed("dynamics is an object".into())),
        }
        if !self.posted.contains_key(id) && self.posted.len() >= MAX_POSTED {
            let oldest = self.posted.iter().min_by_key(|(_, posted)| posted.heard).map(|(id, _)| id.clone());
            oldest.map(|id| self.posted.remove(&id));
        }
        self.posted.insert(id.to_owned(), Posted { state: state.clone(), heard: now, stale: false });
        let update = json!({"id": id, "serviced": date, "state": state});
        Ok(publication(&["beacon"], "beacon_update", &update, Some(format!("beacon/{id}"))))
    }

    /// A report of a beacon that changes only some of what was reported before.
    ///
    /// # Errors
    /// [`ControlError`], when nobody reports such a beacon, or as [`report_beacon`](Self::report_beacon).
    pub(super) fn amend_beacon(
        &mut self,
        now: Timestamp,
        id: &str,
        changes: Map<String, Value>,
    ) -> Result<Output, ControlError> {
        let unknown = || ControlError::Unknown("reported beacon", id.to_owned());
        let mut state = self.posted.get(id).ok_or_else(unknown)?.state.clone();
        if let Value::Object(state) = &mut state {
            state.extend(changes);
        }
        self.report_beacon(now, id, state)
    }

    /// Forgets a beacon that clients reported; answers what it was.
    pub fn forget_beacon(&mut self, id: &str) -> Option<Value> {
        self.posted.remove(id).map(|posted| posted_item(id, &posted))
    }

    /// Whether a beacon is one that clients report.
    pub(super) fn is_posted(&self, id: &str) -> bool {
        self.posted.contains_key(id)
    }

    pub(super) fn posted_beacons(&self) -> impl Iterator<Item = Value> {
        self.posted.iter().map(|(id, posted)| posted_item(id, posted))
    }

    /// A client, or REST, has a radio send a message: everybody who listens to such radios hears it.
    ///
    /// # Errors
    /// [`ControlError::Malformed`] when its id is too long, or one of its figures none; nobody hears anything then.
    pub fn transmit(
        &mut self,
        now: Timestamp,
        kind: Radio,
        payload: &RawValue,
    ) -> Result<Vec<Output>, ControlError> {
        let value: Map<String, Value> = parse(payload.get())?;
        let id = id_in(&value, &["id"])?;
        let is_known = !id.is_empty();
        if is_known {
            check_id(&id)?;
        }
        let state = self.movement(now, &value)?;
        let (family, event) = match kind {
            Radio::Vehicle => ("obu", "v2x_BSM"),
            Radio::Pedestrian => ("vru", "v2x_PSM"),
        };
        let raw = value.get("data").is_some_and(Value::is_string) && value.get("latitude").is_none();
        let (form, event) = if raw { ("raw", "v2x_raw") } else { ("parsed", event) };
        let channels = [format!("v2x_{family}_{form}"), format!("v2x_{family}_{id}_{form}")];
        let message = Output::Publish(Publication {
            channels: channels.iter().filter_map(|name| Channel::parse(name)).collect(),
            except: None,
            event,
            data: payload.to_owned().into(),
            // Without an id nobody can tell whose value a newer one would replace.
            signal: is_known.then(|| format!("{event}/{family}/{id}").into()),
            record: false,
        });
        let new = (is_known && !raw).then(|| self.remember_radio(now, kind, id, state)).flatten();
        Ok(new.into_iter().chain([message]).collect())
    }

    /// What a message says about where its radio is; 0 where it says nothing.
    fn movement(&self, now: Timestamp, message: &Map<String, Value>) -> Result<MovingRadio, ControlError> {
        Ok(MovingRadio {
            enabled: true,
            updated: self.view().date(now),
            longitude: number(message, "longitude")?,
            latitude: number(message, "latitude")?,
            elevation: number(message, "elevation")?,
            speed: number(message, "speed")?,
            heading: number(message, "heading")?,
            angle: number(message, "angle")?,
        })
    }

    /// Remembers where a radio is that only a client knows of; the first time everybody on `v2x` hears of it.
    fn remember_radio(
        &mut self,
        now: Timestamp,
        kind: Radio,
        id: String,
        state: MovingRadio,
    ) -> Option<Output> {
        let key = (kind, id);
        let is_new = !self.posted_radios.contains_key(&key);
        if is_new && self.posted_radios.len() >= MAX_POSTED {
            let oldest = self.posted_radios.iter().min_by_key(|(_, it)| it.heard).map(|(key, _)| key.clone());
            oldest.map(|key| self.posted_radios.remove(&key));
        }
        let posted = PostedRadio { state, heard: now };
        let radio = is_new.then(|| self.posted_radio(&key, &posted));
        self.posted_radios.insert(key, posted);
        radio.map(|radio| publication(&["v2x"], "v2x_new", &radio, None))
    }

    pub(super) fn posted_radios(&self) -> impl Iterator<Item = V2x> {
        self.posted_radios.iter().map(|(key, posted)| self.posted_radio(key, posted))
    }

    fn posted_radio(&self, (kind, name): &(Radio, String), posted: &PostedRadio) -> V2x {
        let id =
            u32::from_str_radix(name, 16).map_or_else(|_| Id::Name(name.clone()), |id| self.view().id(id));
        let silent = self.road.now().duration_since(posted.heard).as_secs_f64() > self.settings.silent_after;
        V2x { stale: silent, ..self.view().moving_radio(*kind, id, name, posted.state.clone()) }
    }

    // { "id" | "id_string": ID, "payload": { "state": STATE } }      or   { "id": ID, "state": STATE }
    fn beacon_message(&mut self, now: Timestamp, data: &RawValue) -> Result<Vec<Output>, ControlError> {
        let mut report: Map<String, Value> = parse(data.get())?;
        let id = id_in(&report, &["id", "id_string"])?;
        let within = report.get_mut("payload").and_then(|payload| payload.get_mut("state").map(Value::take));
        match within.or_else(|| report.remove("state")) {
            Some(state @ Value::Object(_)) => Ok(vec![self.report_beacon(now, &id, state)?]),
            _ => Err(ControlError::Malformed("state, which may be within payload, is an object".into())),
        }
    }

    // { "id": RSU, "payload": MESSAGE }      or MESSAGE itself
    fn carried(&mut self, now: Timestamp, kind: Radio, data: &RawValue) -> Result<Vec<Output>, ControlError> {
        let fields: BTreeMap<String, Box<RawValue>> = parse(data.get())?;
        self.transmit(now, kind, fields.get("payload").map_or(data, |payload| payload))
    }

    // { "id": ROBOT, "payload": { "activated", "scenario": { "id" } } }      or with all that in "payload"."state"
    fn robot_activate(&mut self, data: &RawValue) -> Result<Vec<Output>, ControlError> {
        let asked: Map<String, Value> = parse(data.get())?;
        let id = id_in(&asked, &["id"])?;
        let payload = asked.get("payload").filter(|payload| payload.is_object());
        let payload = payload.ok_or_else(|| ControlError::Malformed("payload is an object".into()))?;
        let state = payload.get("state").unwrap_or(payload);
        self.control(Kind::Robot, &id, &raw(&json!({"state": state})))
    }
}

/// Ids that only clients know of are remembered, and are names of signals.
fn check_id(id: &str) -> Result<(), ControlError> {
    if (1..=MAX_ID).contains(&id.len()) {
        return Ok(());
    }
    Err(ControlError::Malformed(format!("id is 1 to {MAX_ID} bytes")))
}

/// What a key has to allow for an event; none for an event that does not exist.
#[rustfmt::skip]
fn act(name: &str) -> Option<Act> {
    Some(match name {
        "channels" | "join" | "leave" | "disconnect_request" => Act::Read,
        "user_message"                                       => Act::Speak,
        "ipc_message" | "robot_proxy" | "beacon_message"     => Act::Report,
        "v2x_BSM" | "v2x_PSM"                                => Act::Report,
        "robot_activate"                                     => Act::Control,
        _ => return None,
    })
}

fn posted_item(id: &str, posted: &Posted) -> Value {
    let uri = format!("/api/beacon/{id}");
    let mut item = json!({"id": id, "name": id, "uri": uri, "url": uri, "state": posted.state});
    if posted.stale {
        item["stale"] = json!(true);
    }
    item
}

/// The id under the first of these names, whether it is text or a number; empty when there is none.
fn id_in(value: &Map<String, Value>, names: &[&str]) -> Result<String, ControlError> {
    match names.iter().find_map(|name| value.get(*name)) {
        None => Ok(String::new()),
        Some(Value::String(id)) => Ok(id.clone()),
        Some(Value::Number(id)) => Ok(id.to_string()),
        Some(_) => Err(ControlError::Malformed("id is text or a number".into())),
    }
}

/// The number of this name; 0 when there is none.
fn number(value: &Map<String, Value>, name: &str) -> Result<f64, ControlError> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(0.0),
        Some(it) => it.as_f64().ok_or_else(|| ControlError::Malformed(format!("{name} is a number"))),
    }
}

/// What a client said, to the others on a channel, as it was said.
fn relayed(channel: &str, except: Option<ClientId>, event: &'static str, data: &RawValue) -> Output {
    let channels = vec![Channel::known(channel)];
    Output::Publish(Publication {
        channels,
        except,
        event,
        data: data.to_owned().into(),
        signal: None,
        record: true,
    })
}
