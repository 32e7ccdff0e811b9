//! What each action does, whichever way it was asked.

use cloverleaf_core::dfx::{Action, Id, Status};
use cloverleaf_core::time::{Duration, Instant};
use serde_json::{Value, json};

use super::measurement::Measurement;
use super::{ConnectionId, Due, MEASUREMENTS, SUBSCRIPTIONS, State, code, failure};
use crate::services::dfx::events::{
    BadBody, Body, Create, Created, Data, Encoding, Failure, Outcome, Subscribe, Token, ascii_json,
    parse_json,
};

/// The configuration that clients of the SDK ask for: base64 of `{"simulated":true}`, and its MD5.
const CONFIG: (&str, &str) = ("eyJzaW11bGF0ZWQiOnRydWV9", "e864215d96a297d5f5baa99059e6e477");

/// A request, over WebSocket or REST.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) action: Action,
    /// The `{}` of the path; the WebSocket has it in `Params`.
    pub(super) argument: Option<&'a str>,
    pub(super) token: Option<&'a str>,
    pub(super) encoding: Encoding,
    pub(super) body: &'a [u8],
    /// Who asked, and under which id; nobody for REST.
    pub(super) from: Option<(ConnectionId, Id)>,
}

impl Call<'_> {
    fn read<T: Body>(&self) -> Result<T, Answer> {
        T::decode(self.encoding, self.body).map_err(|e| bad_body(&e))
    }

    fn json(&self) -> Result<Value, Answer> {
        if self.encoding == Encoding::Proto {
            let message = format!("Invalid Route Number {}: only with JSON bodies here", self.action);
            return Err(Answer::failure(Status::BAD_REQUEST, failure(code::INCORRECT_REQUEST, message)));
        }
        if self.body.is_empty() { Ok(json!({})) } else { parse_json(self.body).map_err(|e| bad_body(&e)) }
    }

    /// The id of what the request is about.
    fn subject(&self) -> Result<String, Answer> {
        match self.argument {
            Some(argument) => Ok(argument.to_owned()),
            None => Ok(self.json()?["Params"]["ID"].as_str().unwrap_or_default().to_owned()),
        }
    }
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    content: Content,
    /// Whether the caller has just subscribed.
    pub(super) subscribed: bool,
}

/// A body in both encodings. Only measurement bodies and errors have a protobuf form here.
#[derive(Debug)]
enum Content {
    Empty,
    Json(Value),
    Either { json: Vec<u8>, proto: Vec<u8> },
}

impl Answer {
    fn new(status: Status, content: Content) -> Self {
        Self { status, content, subscribed: false }
    }

    fn either(status: Status, body: &impl Body) -> Self {
        Self::new(status, Content::Either { json: ascii_json(body), proto: body.to_proto() })
    }

    fn ok(body: &impl Body) -> Self {
        Self::either(Status::OK, body)
    }

    fn json(value: Value) -> Self {
        Self::new(Status::OK, Content::Json(value))
    }

    pub(super) fn empty() -> Self {
        Self::new(Status::OK, Content::Empty)
    }

    pub(super) fn outcome(outcome: Outcome) -> Self {
        Self::ok(&outcome)
    }

    pub(super) fn failure(status: Status, failure: Failure) -> Self {
        Self::either(status, &failure)
    }

    pub(super) fn fault(status: u16, code: &str) -> Self {
        let code = if code.is_empty() { code::INTERNAL_ERROR } else { code };
        let status = Status::new(status).unwrap_or(Status::INTERNAL_ERROR);
        Self::failure(status, failure(code, "As the rules ask"))
    }

    /// The body on the wire. Empty JSON is an empty object, because clients parse every body.
    pub(super) fn body(&self, encoding: Encoding) -> Vec<u8> {
        match (&self.content, encoding) {
            (Content::Empty, Encoding::Json) => b"{}".to_vec(),
            (Content::Empty | Content::Json(_), Encoding::Proto) => Vec::new(),
            (Content::Json(value), Encoding::Json) => ascii_json(value),
            (Content::Either { json, .. }, Encoding::Json) => json.clone(),
            (Content::Either { proto, .. }, Encoding::Proto) => proto.clone(),
        }
    }
}

fn bad_body(error: &BadBody) -> Answer {
    Answer::failure(Status::BAD_REQUEST, failure(code::INCORRECT_REQUEST, format!("The body is {error}")))
}

pub(super) fn unknown_measurement(id: &str) -> Failure {
    failure(code::INVALID_MEASUREMENT, format!("There is no measurement {id}"))
}

/// Clients test for the first three words.
pub(super) fn invalid_route(number: &str) -> Answer {
    let message = format!("Invalid Route Number {number}");
    Answer::failure(Status::BAD_REQUEST, failure(code::INCORRECT_REQUEST, message))
}

impl State {
    pub(super) fn perform(&mut self, now: Instant, call: Call<'_>) -> Answer {
        self.attempt(now, call).unwrap_or_else(|answer| answer)
    }

    fn attempt(&mut self, now: Instant, call: Call<'_>) -> Result<Answer, Answer> {
        let unauthorized = |failure| Answer::failure(Status::UNAUTHORIZED, failure);
        // What needs no token.
        match call.action {
            Action::STATUS => return Ok(Answer::json(json!({ "StatusID": "ACTIVE" }))),
            Action::MIME_TYPES => return Ok(Answer::json(json!({ "Values": [] }))),
            Action::LOGIN_WITH_TOKEN => {
                let Token { token } = call.read()?;
                self.access.check(now, Some(&token)).map_err(unauthorized)?;
                if let Some((connection, _)) = call.from
                    && let Some(client) = self.connections.get_mut(&connection)
                {
                    client.token = Some(token.clone());
                }
                return Ok(Answer::ok(&Token { token }));
            }
            Action::REGISTER_LICENSE | Action::ORGANIZATION_LOGIN | Action::USER_LOGIN => {
                return self.log_in(now, call);
            }
            Action::RENEW_TOKEN => {
                let refresh = call.json()?["RefreshToken"].as_str().unwrap_or_default().to_owned();
                if !self.access.redeem(now, &refresh) {
                    let message = "The refresh token is not valid";
                    return Err(unauthorized(failure(code::INVALID_TOKEN, message)));
                }
                return Ok(Answer::json(self.tokens(now)));
            }
            action if action.name().is_none() => return Err(invalid_route(&action.to_string())),
            _ => {}
        }
        self.access.check(now, call.token).map_err(unauthorized)?;
        match call.action {
            Action::VERIFY_TOKEN => Ok(Answer::json(json!({ "ActiveLicense": true }))),
            Action::CREATE => Ok(Answer::ok(&Created { id: self.create(call.read()?) })),
            Action::DATA => self.data(now, call),
            Action::SUBSCRIBE_RESULTS => self.subscribe(call),
            Action::RETRIEVE => {
                let id = call.subject()?;
                let found = self.measurements.get(&id).ok_or_else(|| not_found(&id))?;
                Ok(Answer::json(described(found)))
            }
            Action::LIST => {
                let newest = self.ages.iter().rev().take(50).filter_map(|id| self.measurements.get(id));
                Ok(Answer::json(newest.map(listed).collect()))
            }
            other => match other.number() {
                // Users.Logout, Organizations.UnregisterLicense: tokens are not worth taking back here.
                226 | 706 => Ok(Answer::empty()),
                // Studies.Retrieve, Studies.List, Studies.GetConfig: one simulated study under any id.
                804 => Ok(Answer::json(study(&call.subject()?))),
                805 => Ok(Answer::json(json!([study("simulated")]))),
                809 => Ok(config(&call.json()?)),
                _ => Err(invalid_route(&other.to_string())),
            },
        }
    }

    fn log_in(&mut self, now: Instant, call: Call<'_>) -> Result<Answer, Answer> {
        let asked = call.json()?;
        let secret = |key: &str| asked[key].as_str().unwrap_or_default().to_owned();
        let (secret, refused) = match call.action {
            Action::REGISTER_LICENSE => (secret("Key"), "INVALID_LICENSE"),
            _ => (secret("Password"), code::INVALID_PASSWORD),
        };
        if !self.access.opens(&secret) {
            return Err(Answer::failure(
                Status::UNAUTHORIZED,
                failure(refused, "The key is not the server's"),
            ));
        }
        let mut tokens = self.tokens(now);
        if call.action == Action::REGISTER_LICENSE {
            tokens["DeviceID"] = uuid::Uuid::new_v4().to_string().into();
            tokens["RoleID"] = "DEVICE".into();
            tokens["UserID"] = "".into();
        }
        Ok(Answer::json(tokens))
    }

    fn tokens(&mut self, now: Instant) -> Value {
        json!({ "Token": self.access.issue(now), "RefreshToken": self.access.issue_refresh(now) })
    }

    fn create(&mut self, create: Create) -> String {
        if self.ages.len() >= MEASUREMENTS
            && let Some(oldest) = self.ages.pop_front()
        {
            self.measurements.remove(&oldest);
        }
        let measurement = Measurement::new(create);
        let id = measurement.id.clone();
        self.ages.push_back(id.clone());
        self.measurements.insert(id.clone(), measurement);
        id
    }

    fn data(&mut self, now: Instant, call: Call<'_>) -> Result<Answer, Answer> {
        let mut data: Data = call.read()?;
        if let Some(argument) = call.argument {
            data.params.id = argument.to_owned();
        }
        let measurement = self.measurements.get_mut(&data.params.id);
        let measurement = measurement.ok_or_else(|| not_found(&data.params.id))?;
        let added = measurement.add(now, &self.rules, &data);
        let (ack, outcome) = added.map_err(|(status, failure)| Answer::failure(status, failure))?;
        if let Some(outcome) = outcome {
            self.later(now + Duration::from_millis(self.rules.latency), Due::Outcome(outcome));
        }
        Ok(Answer::ok(&ack))
    }

    fn subscribe(&mut self, call: Call<'_>) -> Result<Answer, Answer> {
        let wrong =
            |message: &str| Answer::failure(Status::BAD_REQUEST, failure(code::INCORRECT_REQUEST, message));
        let (connection, call_id) =
            call.from.ok_or_else(|| wrong("Results are pushed over WebSocket only"))?;
        let Subscribe { params, request_id } = call.read()?;
        // Clients that give no RequestID, or the id of the call, get results under the latter.
        let id = if request_id.is_empty() { Some(call_id) } else { Id::padded(&request_id) };
        let id = id.ok_or_else(|| wrong("RequestID has more than ten bytes"))?;
        let measurement = self.measurements.get_mut(&params.id).ok_or_else(|| not_found(&params.id))?;
        let client = self.connections.get_mut(&connection).ok_or_else(|| wrong("The connection is gone"))?;
        if client.subscriptions.len() >= SUBSCRIPTIONS && !client.subscriptions.contains_key(&id) {
            return Err(wrong("The connection has as many subscriptions as it may have"));
        }
        if !measurement.subscribers.contains(&(connection, id)) {
            measurement.subscribers.push((connection, id));
        }
        if let Some(before) = client.subscriptions.insert(id, params.id.clone())
            && before != params.id
            && let Some(before) = self.measurements.get_mut(&before)
        {
            before.subscribers.retain(|subscriber| *subscriber != (connection, id));
        }
        Ok(Answer { subscribed: true, ..Answer::empty() })
    }
}

fn not_found(id: &str) -> Answer {
    Answer::failure(Status::NOT_FOUND, unknown_measurement(id))
}

fn listed(measurement: &Measurement) -> Value {
    json!({
        "ID": measurement.id, "StudyID": measurement.create.study_id, "StatusID": measurement.status(),
        "UserProfileID": measurement.create.user_profile_id, "PartnerID": measurement.create.partner_id,
    })
}

/// A measurement with all its results: for each signal the values of all chunks.
fn described(measurement: &Measurement) -> Value {
    let mut results = serde_json::Map::new();
    for outcome in measurement.outcomes() {
        for (name, channel) in &outcome.channels {
            let entry = results.entry(name.clone());
            let entry = entry.or_insert_with(
                || json!([{ "Channel": name, "Data": [], "Multiplier": outcome.multiplier }]),
            );
            if let Some(values) = entry[0]["Data"].as_array_mut() {
                values.extend(channel.data.iter().map(|value| Value::from(*value)));
            }
        }
    }
    let mut described = listed(measurement);
    described["Results"] = results.into();
    described
}

fn study(id: &str) -> Value {
    json!({ "ID": id, "Name": "Simulated", "Description": "Heart rate", "StatusID": "ACTIVE", "Config": {} })
}

fn config(asked: &Value) -> Answer {
    let (file, md5) = CONFIG;
    if asked["MD5Hash"].as_str() == Some(md5) {
        return Answer::new(Status::NOT_MODIFIED, Content::Empty);
    }
    Answer::json(json!({ "ConfigFile": file, "MD5Hash": md5 }))
}
