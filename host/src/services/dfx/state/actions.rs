//! What each action does, whichever way it was asked.

use cloverleaf_core::dfx::{Action, Id, Status};
use cloverleaf_core::time::Instant;
use serde_json::json;

use super::call::{Answer, Asked, Call, Refusal, bad_body, invalid, invalid_route, not_found, wrong};
use super::measurement::Measurement;
use super::{Due, MEASUREMENTS, SUBSCRIBERS, SUBSCRIPTIONS, State, TEXT, listing};
use crate::services::dfx::events::{Create, Created, Encoding, ServerStatus, Subscribe};

/// The configuration that clients of the SDK ask for: base64 of `{"simulated":true}`, and its MD5.
const CONFIG: (&str, &str) = ("eyJzaW11bGF0ZWQiOnRydWV9", "e864215d96a297d5f5baa99059e6e477");

/// `Users.Logout`, `Organizations.UnregisterLicense`, and the three of the one simulated study.
const LOGOUT: u16 = 226;
const UNREGISTER: u16 = 706;
const STUDY: u16 = 804;
const STUDIES: u16 = 805;
const STUDY_CONFIG: u16 = 809;
/// `Measurements.Remove`.
const REMOVE: u16 = 507;

impl State {
    pub(super) fn perform(&mut self, now: Instant, call: Call<'_>) -> Answer {
        let encoding = call.encoding;
        self.attempt(now, call).unwrap_or_else(|refusal| Answer::refusal(encoding, refusal))
    }

    fn attempt(&mut self, now: Instant, call: Call<'_>) -> Result<Answer, Refusal> {
        if call.action.name().is_none() {
            return Err(invalid_route(&call.action.to_string()));
        }
        self.check(now, call.action, call.token).map_err(|failure| (Status::UNAUTHORIZED, failure))?;
        match call.action {
            Action::STATUS => Ok(call.ok(&status())),
            Action::MIME_TYPES => call.ok_json(&mime_types()),
            Action::LOGIN_WITH_TOKEN => self.log_in_with_token(now, &call),
            Action::REGISTER_LICENSE => self.register(now, &call),
            Action::ORGANIZATION_LOGIN | Action::USER_LOGIN => self.log_in(now, &call),
            Action::RENEW_TOKEN => self.renew(now, &call),
            Action::GENERATE_TOKEN => self.generate(now, &call),
            Action::VERIFY_TOKEN => Ok(verified(&call)),
            Action::CREATE => Ok(call.ok(&Created { id: self.create(now, call.read()?)? })),
            Action::DATA => self.data(now, call),
            Action::SUBSCRIBE_RESULTS => self.subscribe(&call),
            Action::RETRIEVE => {
                let found = self.measurements.get(&call.subject()?).ok_or_else(not_found)?;
                Ok(call.ok(&listing::retrieved(found)))
            }
            Action::LIST => {
                let filter = listing::Filter::of(&call)?;
                let newest = self.ages.iter().rev().filter_map(|id| self.measurements.get(id));
                call.ok_json(&json!(filter.apply(newest)))
            }
            other => match other.number() {
                REMOVE => {
                    let id = call.subject()?;
                    self.forget(now, &id).ok_or_else(not_found)?;
                    Ok(call.done())
                }
                LOGOUT | UNREGISTER => {
                    self.access.revoke(call.token.unwrap_or_default());
                    Ok(call.done())
                }
                STUDY => call.ok_json(&listing::study(&call.subject()?)),
                STUDIES => call.ok_json(&json!([listing::study("simulated")])),
                STUDY_CONFIG => config(&call),
                _ => Err(invalid_route(&other.to_string())),
            },
        }
    }

    fn create(&mut self, now: Instant, create: Create) -> Result<String, Refusal> {
        let texts = [
            ("StudyID", &create.study_id),
            ("UserProfileID", &create.user_profile_id),
            ("PartnerID", &create.partner_id),
            ("DeviceVersion", &create.device_version),
            ("Notes", &create.notes),
            ("Mode", &create.mode),
        ];
        if let Some((field, _)) = texts.iter().find(|(_, text)| text.len() > TEXT) {
            return Err(invalid("A text is too long", field, format!("at most {TEXT} bytes")));
        }
        if self.ages.len() >= MEASUREMENTS
            && let Some(oldest) = self.ages.front().cloned()
        {
            self.forget(now, &oldest);
        }
        let measurement = Measurement::new(create, self.seconds(now));
        let id = measurement.id.clone();
        self.ages.push_back(id.clone());
        self.measurements.insert(id.clone(), measurement);
        Ok(id)
    }

    /// Removes a measurement, and gives back what it took: its subscriptions, and replies that waited for its results.
    fn forget(&mut self, now: Instant, id: &str) -> Option<()> {
        let gone = self.measurements.remove(id)?;
        self.ages.retain(|other| other != id);
        for (connection, id) in &gone.subscribers {
            if let Some(client) = self.connections.get_mut(connection) {
                client.subscriptions.remove(id);
            }
        }
        gone.withheld().for_each(|output| self.later(now, Due::Output(output)));
        Some(())
    }

    fn data(&mut self, now: Instant, call: Call<'_>) -> Result<Answer, Refusal> {
        let (encoding, seconds) = (call.encoding, self.seconds(now));
        // Nothing else is read as a body of this action.
        let Asked::Data(chunk) = call.asked else { return Err(wrong("The body is no chunk")) };
        let chunk = chunk.map_err(|error| bad_body(&error))?;
        let id = call.argument.unwrap_or(&chunk.data.params.id);
        let measurement = self.measurements.get_mut(id).ok_or_else(not_found)?;
        let (ack, analysis) = measurement.add(now, &self.rules, chunk)?;
        measurement.updated = seconds;
        Ok(Answer { analysis, ..Answer::new(encoding, &ack) })
    }

    fn subscribe(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let (connection, call_id) =
            call.from.ok_or_else(|| wrong("Results are pushed over WebSocket only"))?;
        let Subscribe { params, request_id } = call.read()?;
        // Clients that give no RequestID, or the id of the call, get results under the latter.
        let id = if request_id.is_empty() { Some(call_id) } else { Id::padded(&request_id) };
        let id = id.ok_or_else(|| wrong("RequestID has more than ten bytes"))?;
        let measurement = self.measurements.get_mut(&params.id).ok_or_else(not_found)?;
        let client = self.connections.get_mut(&connection).ok_or_else(|| wrong("The connection is gone"))?;
        if client.subscriptions.len() >= SUBSCRIPTIONS && !client.subscriptions.contains_key(&id) {
            return Err(wrong("too many subscriptions"));
        }
        if !measurement.subscribers.contains(&(connection, id)) {
            if measurement.subscribers.len() >= SUBSCRIBERS {
                return Err(wrong("too many subscribers"));
            }
            measurement.subscribers.push((connection, id));
        }
        if let Some(before) = client.subscriptions.insert(id, params.id.clone())
            && before != params.id
            && let Some(before) = self.measurements.get_mut(&before)
        {
            before.subscribers.retain(|subscriber| *subscriber != (connection, id));
        }
        Ok(Answer { subscribed: Some((id, params.id)), ..call.done() })
    }
}

fn status() -> ServerStatus {
    ServerStatus {
        status_id: "ACTIVE".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        region: "local".into(),
        allow_anonymous: true,
    }
}

fn mime_types() -> serde_json::Value {
    json!([{ "ID": "application/json", "Name": "JSON", "Mime": "application/json" }])
}

/// That the token is good the status tells; protobuf has no message for the rest.
fn verified(call: &Call<'_>) -> Answer {
    let about = json!({
        "ID": "", "OrganizationID": "", "DeviceID": "", "RoleID": "DEVICE", "Region": "local",
        "RemainingMeasurement": null, "ActiveLicense": true,
    });
    call.ok_json(&about).unwrap_or_else(|_| call.done())
}

fn config(call: &Call<'_>) -> Result<Answer, Refusal> {
    let (file, md5) = CONFIG;
    if call.json()?["MD5Hash"].as_str() == Some(md5) {
        return Ok(Answer { status: Status::NOT_MODIFIED, ..Answer::empty(Encoding::Json) });
    }
    call.ok_json(&json!({ "ConfigFile": file, "MD5Hash": md5 }))
}
