//! `/api`: the resources over HTTP, and `/apidocs`: what they look like.
//!
//! Every request shows its key in `X-API-KEY`. What is asked of a resource is answered by a `requestID` at once; the
//! channel of the resource then hears the request and the new state.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, patch, post};
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::apidocs;
use super::handlers::Octane;
use super::keys::Scopes;
use super::resource::{ControlError, Kind};
use super::state::Radio;

/// How long a robot may take to answer.
const ROBOT_PATIENCE: Duration = Duration::from_secs(5);

/// The one shape of every negative answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiError {
    /// The same as `httpStatusCode`: there are no further codes.
    pub internal_code: u16,
    /// The same, for old clients.
    pub status: u16,
    /// The status of the HTTP answer.
    pub http_status_code: u16,
    /// What is wrong, for programmers.
    pub message: String,
    /// What is wrong, for people.
    pub human_message: String,
}

/// What an accepted request is answered by.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// The number of the request.
    #[serde(rename = "requestID")]
    #[schema(value_type = String)]
    pub request_id: Uuid,
}

/// A negative answer.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, message) = self;
        let code = status.as_u16();
        let error = ApiError {
            internal_code: code,
            status: code,
            http_status_code: code,
            human_message: message.clone(),
            message,
        };
        (status, Json(error)).into_response()
    }
}

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Self {
        let status = match error {
            ControlError::Unknown(..) => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_string())
    }
}

type Answer = Result<Json<Value>, Refusal>;
type Road = State<Arc<Octane>>;

/// Whoever asks, with what its key allows.
struct Caller(Scopes);

impl FromRequestParts<Arc<Octane>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, octane: &Arc<Octane>) -> Result<Self, Refusal> {
        let key = parts.headers.get("x-api-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
        let refused = || Refusal(StatusCode::UNAUTHORIZED, "API key is missing or invalid".into());
        octane.check(key).map(Self).ok_or_else(refused)
    }
}

impl Caller {
    fn to_control(&self) -> Result<(), Refusal> {
        let refused = || Refusal(StatusCode::FORBIDDEN, "this key may not control anything".into());
        self.0.may_control().then_some(()).ok_or_else(refused)
    }

    fn to_manage(&self) -> Result<(), Refusal> {
        let refused = || Refusal(StatusCode::FORBIDDEN, "this needs a key with the scope admin".into());
        self.0.may_manage().then_some(()).ok_or_else(refused)
    }
}

/// All routes.
pub fn routes(octane: Arc<Octane>) -> Router {
    let mut api = Router::new();
    for kind in Kind::ALL {
        let list = get(move |road: Road, _: Caller| async move { collection(&road, kind, |_| true) });
        let list = match kind {
            Kind::Intersection | Kind::Light => {
                list.patch(move |road: Road, caller, body| bulk(road, kind, caller, body))
            }
            _ => list,
        };
        let item =
            get(move |road: Road, _: Caller, Path(id): Path<String>| async move { one(&road, kind, &id) })
                .patch(move |road: Road, caller, id, body| control(road, kind, caller, id, body));
        let item: MethodRouter<_, Infallible> = match kind {
            Kind::Beacon => item.delete(forget_beacon),
            _ => item,
        };
        api =
            api.route(&format!("/{}", kind.plural()), list).route(&format!("/{}/{{id}}", kind.name()), item);
    }
    for (plural, name) in SENSORS {
        let matches = move |item: &Value| item["type"] == name;
        let list = get(move |road: Road, _: Caller| async move { collection(&road, Kind::Sensor, matches) });
        let item = get(move |road: Road, _: Caller, Path(id): Path<String>| async move {
            one(&road, Kind::Sensor, &id)
        })
        .patch(move |road: Road, caller, id, body| control(road, Kind::Sensor, caller, id, body));
        api = api.route(&format!("/sensors/{plural}"), list).route(&format!("/sensor/{name}/{{id}}"), item);
    }
    let api =
        api.route("/intersection/{id}/{part}", get(part_of_intersection))
            .route("/intersection/{id}/preempt/{number}", patch(preempt))
            .route("/robot/{id}/scenarios", get(scenarios))
            .route("/robot/{id}/proxy", post(ask_robot))
            .route("/beacon", post(report_beacon))
            .route("/v2x", get(|road: Road, _: Caller| async move { radios(&road, None) }))
            .route(
                "/v2x/{family}",
                get(|road: Road, _: Caller, Path(family): Path<String>| async move {
                    radios(&road, Some(&family))
                }),
            )
            .route("/v2x/{family}/{id}", get(radio))
            .route(
                "/v2x/rsu/{id}/bsm",
                post(|road: Road, caller, id, body| transmit(road, Radio::Vehicle, caller, id, body)),
            )
            .route(
                "/v2x/rsu/{id}/bsms",
                post(|road: Road, caller, id, body| transmit(road, Radio::Vehicle, caller, id, body)),
            )
            .route(
                "/v2x/rsu/{id}/psm",
                post(|road: Road, caller, id, body| transmit(road, Radio::Pedestrian, caller, id, body)),
            )
            .route("/weather/alerts/current", get(weather))
            .route(
                "/facilities",
                get(|road: Road, _: Caller| async move { Json(json!({"facilities": [facility(&road)]})) }),
            )
            .route(
                "/facility",
                get(|road: Road, _: Caller| async move { Json(json!({"facility": facility(&road)})) }),
            )
            .route("/facility/chat", post(chat))
            .route("/facility/notification", post(notify))
            .fallback(async || Refusal(StatusCode::NOT_FOUND, "there is no such resource".into()));
    Router::new().nest("/api", api).route("/apidocs", get(apidocs::show)).with_state(octane)
}

/// The kinds of sensors that have a collection of their own.
pub(super) const SENSORS: [(&str, &str); 4] =
    [("packages", "package"), ("cameras", "camera"), ("lidars", "lidar"), ("radars", "radar")];

fn collection(road: &Octane, kind: Kind, wanted: impl Fn(&Value) -> bool) -> Json<Value> {
    let items = road.look(|state| state.items(kind));
    Json(json!({kind.plural(): items.into_iter().filter(wanted).collect::<Vec<_>>()}))
}

fn one(road: &Octane, kind: Kind, id: &str) -> Answer {
    let item = road.look(|state| state.item(kind, id));
    let item = item.ok_or_else(|| ControlError::Unknown(kind.name(), id.to_owned()))?;
    Ok(Json(json!({kind.name(): item})))
}

async fn control(
    State(road): Road,
    kind: Kind,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    caller.to_control()?;
    let patch = parse::<Box<RawValue>>(&body)?;
    road.with(|state| Ok::<_, ControlError>(((), state.control(kind, &id, &patch)?)))?;
    Ok(Json(json!({"requestID": Uuid::new_v4()})))
}

/// The same asked of every resource of a kind.
async fn bulk(State(road): Road, kind: Kind, caller: Caller, body: Bytes) -> Answer {
    caller.to_control()?;
    let patch = parse::<Box<RawValue>>(&body)?;
    let requests = road.with(|state| {
        let ids: Vec<String> = state
            .items(kind)
            .iter()
            .filter_map(|item| Some(super::resource::id_of(item)?.to_string()))
            .collect();
        let mut outputs = Vec::new();
        for id in &ids {
            outputs.extend(state.control(kind, id, &patch)?);
        }
        Ok::<_, ControlError>((ids.len(), outputs))
    })?;
    let requests: Vec<Uuid> = (0..requests).map(|_| Uuid::new_v4()).collect();
    Ok(Json(json!({"requestIDs": requests})))
}

async fn preempt(
    State(road): Road,
    caller: Caller,
    Path((id, number)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    caller.to_control()?;
    let patch = parse::<Box<RawValue>>(&body)?;
    road.with(|state| Ok::<_, ControlError>(((), state.preempt(&id, &number, &patch)?)))?;
    Ok(Json(json!({"requestID": Uuid::new_v4()})))
}

async fn part_of_intersection(
    State(road): Road,
    _: Caller,
    Path((id, part)): Path<(String, String)>,
) -> Answer {
    let unknown = || ControlError::Unknown("intersection", id.clone());
    let item = road.look(|state| state.item(Kind::Intersection, &id)).ok_or_else(unknown)?;
    let of_this = |kind| {
        let items = road.look(|state| state.items(kind));
        items.into_iter().filter(|it| it["intersection"] == item["id"]).collect::<Vec<_>>()
    };
    let value = match part.as_str() {
        "phases" => item["phases"].clone(),
        "stages" => item["stages"].clone(),
        "signals" => of_this(Kind::Signal).into(),
        "crosswalks" => of_this(Kind::Crosswalk).into(),
        "rsus" => road
            .look(|state| state.radios())
            .into_iter()
            .filter(|it| it["id"] == item["v2xIntersectionId"])
            .collect(),
        _ => return Err(Refusal(StatusCode::NOT_FOUND, format!("an intersection has no {part}"))),
    };
    Ok(Json(json!({part: value})))
}

async fn scenarios(State(road): Road, _: Caller, Path(id): Path<String>) -> Answer {
    let item = road.look(|state| state.item(Kind::Robot, &id));
    let item = item.ok_or(ControlError::Unknown("robot", id))?;
    Ok(Json(json!({"scenarios": item["scenarios"]})))
}

async fn ask_robot(State(road): Road, caller: Caller, Path(_): Path<String>, body: Bytes) -> Answer {
    caller.to_control()?;
    let command = parse::<Box<RawValue>>(&body)?;
    let answer = road.ask_robot(&command, ROBOT_PATIENCE).await;
    let answer = answer.ok_or_else(|| Refusal(StatusCode::GATEWAY_TIMEOUT, "no robot answered".into()))?;
    Ok(Json(json!({"answer": answer})))
}

async fn report_beacon(State(road): Road, _: Caller, body: Bytes) -> Answer {
    #[derive(serde::Deserialize)]
    struct Report {
        #[serde(alias = "idString", alias = "id_string")]
        id: String,
        state: serde_json::Map<String, Value>,
    }
    let report: Report = parse(&body)?;
    if report.id.is_empty() || report.id.len() > 64 {
        return Err(Refusal(StatusCode::BAD_REQUEST, "id is 1 to 64 characters".into()));
    }
    let now = jiff::Timestamp::now();
    road.with(|state| {
        Ok::<_, Refusal>(((), state.report_beacon(now, &report.id, Value::Object(report.state))))
    })?;
    Ok(Json(json!({"requestID": Uuid::new_v4()})))
}

async fn forget_beacon(State(road): Road, caller: Caller, Path(id): Path<String>) -> Answer {
    caller.to_control()?;
    let known = road.with(|state| Ok::<_, Refusal>((state.forget_beacon(&id), Vec::new())))?;
    known
        .then(|| Json(json!({"requestID": Uuid::new_v4()})))
        .ok_or_else(|| ControlError::Unknown("reported beacon", id).into())
}

fn radios(road: &Octane, family: Option<&str>) -> Answer {
    let all = road.look(|state| state.radios());
    let of = |kind: &str| all.iter().filter(|it| it["type"] == kind).cloned().collect::<Vec<_>>();
    match family {
        None => Ok(Json(json!({"v2x": all}))),
        Some(plural @ ("rsus" | "obus" | "vrus")) => {
            Ok(Json(json!({plural: of(plural.trim_end_matches('s'))})))
        }
        Some(id) => {
            let found = all.iter().find(|it| it["id"] == id);
            let found = found.ok_or_else(|| ControlError::Unknown("radio", id.to_owned()))?;
            Ok(Json(json!({"v2x": found})))
        }
    }
}

async fn radio(State(road): Road, _: Caller, Path((family, id)): Path<(String, String)>) -> Answer {
    let all = road.look(|state| state.radios());
    let found = all.into_iter().find(|it| it["id"] == id.as_str() && it["type"] == family.as_str());
    let found = found.ok_or(ControlError::Unknown("radio", id))?;
    Ok(Json(json!({family: found})))
}

/// One message, or a list of them.
async fn transmit(State(road): Road, kind: Radio, _: Caller, Path(id): Path<String>, body: Bytes) -> Answer {
    let known =
        road.look(|state| state.radios()).iter().any(|it| it["type"] == "rsu" && it["id"] == id.as_str());
    if !known {
        return Err(ControlError::Unknown("rsu", id).into());
    }
    let messages =
        parse::<Vec<Box<RawValue>>>(&body).or_else(|_| parse::<Box<RawValue>>(&body).map(|one| vec![one]))?;
    if messages.iter().any(|message| !message.get().starts_with('{')) {
        return Err(Refusal(StatusCode::BAD_REQUEST, "a message is an object".into()));
    }
    road.with(|state| {
        let outputs = messages.iter().flat_map(|message| state.transmit(kind, message)).collect();
        Ok::<_, Refusal>(((), outputs))
    })?;
    Ok(Json(json!({"requestID": Uuid::new_v4()})))
}

async fn weather(State(road): Road, _: Caller) -> Json<Value> {
    let alerts = road.look(|state| {
        let view = state.view();
        state.road.alerts().map(|(number, alert, onset)| view.alert(number, alert, onset)).collect::<Vec<_>>()
    });
    Json(json!({"alerts": alerts}))
}

fn facility(road: &Octane) -> Value {
    road.look(|state| {
        let facility = &state.road.facility;
        json!({
            "id": facility.id,
            "uri": "/api/facility",
            "url": "/api/facility",
            "name": facility.name,
            "urlMap": null,
            "latitude": facility.place.latitude,
            "longitude": facility.place.longitude,
            "overlays": [],
            "contact": {},
            "unitDistance": "m",
            "unitMass": "kg",
        })
    })
}

async fn chat(State(road): Road, _: Caller, body: Bytes) -> Answer {
    let message = parse::<Box<RawValue>>(&body)?;
    if !message.get().starts_with('{') {
        return Err(Refusal(StatusCode::BAD_REQUEST, "a message is an object".into()));
    }
    road.with(|state| Ok::<_, Refusal>(((), vec![state.say(&message)])))?;
    Ok(Json(json!({"requestID": Uuid::new_v4()})))
}

async fn notify(State(road): Road, caller: Caller, body: Bytes) -> Answer {
    caller.to_manage()?;
    #[derive(serde::Deserialize)]
    struct Notification {
        message: String,
        #[serde(default = "usual")]
        r#type: String,
    }
    fn usual() -> String {
        "NOTIFY".into()
    }
    let it: Notification = parse(&body)?;
    if !["NOTIFY", "WEATHER", "SCHEDULE"].contains(&it.r#type.as_str()) {
        return Err(Refusal(StatusCode::BAD_REQUEST, "type is NOTIFY, WEATHER or SCHEDULE".into()));
    }
    road.with(|state| Ok::<_, Refusal>(((), vec![state.notify(it.message, &it.r#type)])))?;
    Ok(Json(json!({"requestID": Uuid::new_v4()})))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.to_string()))
}
