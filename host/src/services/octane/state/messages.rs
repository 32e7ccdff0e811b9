//! What clients say: to one another as it was said, and to the server.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::reports::Radio;
use super::session::Authentication;
use super::{ClientId, Output, Publication, State, emit, publication, raw};
use crate::clock::Moment;
use crate::services::octane::channel::Channel;
use crate::services::octane::events::{Credentials, FacilityMessage, Id, Refused};
use crate::services::octane::keys::{Keys, Permission};
use crate::services::octane::resource::{ControlError, Kind, brief, parse};

impl State {
    pub(super) fn event(
        &mut self,
        now: Moment,
        client: ClientId,
        name: &str,
        data: &RawValue,
        outputs: &mut Vec<Output>,
    ) {
        let Some(session) = self.sessions.get(&client) else { return };
        if matches!(session.authentication, Authentication::Refused { .. }) {
            return;
        }
        if name == "auth" {
            let shown: Result<Credentials, _> = serde_json::from_str(data.get());
            self.judge(now, client, shown.as_ref().ok().map(|it| it.key.as_str()), outputs);
            return outputs.push(Output::Acknowledge);
        }
        if matches!(session.authentication, Authentication::Pending { .. }) {
            if !self.keys.is_open() {
                return; // dropped, and the client stays: its key may be on its way
            }
            self.admit(client, Keys::anybody(), outputs);
        }
        let Some(permission) = permission(name) else { return }; // unknown: no reply, and no acknowledgement either
        if !self.may(client, permission) {
            let refused = Refused { event: name, message: permission.refusal().to_owned() };
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

    fn may(&self, client: ClientId, permission: Permission) -> bool {
        match self.sessions.get(&client).map(|session| &session.authentication) {
            Some(Authentication::Granted(grant)) => grant.scopes.allow(permission),
            _ => false,
        }
    }

    /// Tells everybody on `facility` something.
    pub fn notify(&self, message: String, kind: &str) -> Output {
        let message = FacilityMessage { message, r#type: kind.to_owned(), time: self.view().now() };
        publication(&["facility"], "facility_message", message, None)
    }

    /// Tells everybody on `user` something.
    pub fn say(&self, message: &RawValue) -> Output {
        relayed("user", None, "user_message", message)
    }

    // { "id" | "id_string": ID, "payload": { "state": STATE } }      or   { "id": ID, "state": STATE }
    fn beacon_message(&mut self, now: Moment, data: &RawValue) -> Result<Vec<Output>, ControlError> {
        let mut report: Map<String, Value> = parse(data.get())?;
        let id = id_in(&report, &["id", "id_string"])?;
        let within = report.get_mut("payload").and_then(|payload| payload.get_mut("state").map(Value::take));
        match within.or_else(|| report.remove("state")) {
            Some(state @ Value::Object(_)) => Ok(vec![self.report_beacon(now, &id, state)?]),
            _ => Err(ControlError::Malformed("state, which may be within payload, is an object".into())),
        }
    }

    // { "id": RSU, "payload": MESSAGE }      or MESSAGE itself
    fn carried(&mut self, now: Moment, kind: Radio, data: &RawValue) -> Result<Vec<Output>, ControlError> {
        let fields: BTreeMap<String, Box<RawValue>> = parse(data.get())?;
        let Some(payload) = fields.get("payload") else { return self.transmit(now, "", kind, &[data]) };
        let rsu = fields.get("id").and_then(|id| serde_json::from_str::<Id>(id.get()).ok());
        self.transmit(now, &rsu.map_or_else(String::new, |id| id.to_string()), kind, &[payload])
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

/// What a key has to allow for an event; none for an event that does not exist.
#[rustfmt::skip]
fn permission(name: &str) -> Option<Permission> {
    Some(match name {
        "channels" | "join" | "leave" | "disconnect_request" => Permission::Read,
        "user_message"                                       => Permission::Speak,
        "ipc_message" | "robot_proxy" | "beacon_message"     => Permission::Report,
        "v2x_BSM" | "v2x_PSM"                                => Permission::Report,
        "robot_activate"                                     => Permission::Control,
        _ => return None,
    })
}

/// The id under the first of these names, whether it is text or a number; empty when there is none.
pub(super) fn id_in(value: &Map<String, Value>, names: &[&str]) -> Result<String, ControlError> {
    match names.iter().find_map(|name| value.get(*name)) {
        None => Ok(String::new()),
        Some(Value::String(id)) => Ok(id.clone()),
        Some(Value::Number(id)) => Ok(id.to_string()),
        Some(_) => Err(ControlError::Malformed("id is text or a number".into())),
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
