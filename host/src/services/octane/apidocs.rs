//! `/apidocs`: the OpenAPI document of `/api`. The shapes are those of the types that are sent; the paths are made
//! from the same list of kinds as the routes.

use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::events::{
    BeaconState, Bsm, CrosswalkState, FacilityMessage, GarageState, GateState, IntersectionState, LightState,
    Psm, RailCrossingState, RobotState, SignalState, Spat, SwitchState, V2xRaw, WeatherAlert,
};
use super::resource::{
    CrosswalkControl, GarageControl, GateControl, IntersectionControl, Kind, LightControl, Patch,
    RailCrossingControl, Resource, RobotControl, SignalControl, SwitchControl,
};
use super::rest::{Accepted, ApiError, SENSORS};

#[derive(OpenApi)]
#[openapi(components(schemas(
    ApiError, Accepted, FacilityMessage, WeatherAlert, Spat, V2xRaw, Bsm, Psm,
    Resource<IntersectionState>, Resource<SignalState>, Resource<CrosswalkState>, Resource<RailCrossingState>,
    Resource<GateState>, Resource<GarageState>, Resource<LightState>, Resource<SwitchState>, Resource<RobotState>,
    Resource<BeaconState>,
    Patch<IntersectionControl>, Patch<SignalControl>, Patch<CrosswalkControl>, Patch<RailCrossingControl>,
    Patch<GateControl>, Patch<GarageControl>, Patch<LightControl>, Patch<SwitchControl>, Patch<RobotControl>,
)))]
struct Schemas;

/// Paths without a kind: method, path below `/api`, what it does.
const FURTHER: &[(&str, &str, &str)] = &[
    ("get", "/intersection/{id}/{part}", "phases, stages, signals, crosswalks or rsus of an intersection"),
    ("patch", "/intersection/{id}/preempt/{number}", "Give an intersection to a preemption, or take it back"),
    ("get", "/robot/{id}/scenarios", "What a robot can play"),
    ("post", "/robot/{id}/proxy", "Send a robot_proxy command and answer what the robot returns"),
    ("post", "/beacon", "Report a beacon: id and state"),
    ("delete", "/beacon/{id}", "Forget a reported beacon"),
    ("get", "/v2x", "Every radio"),
    ("get", "/v2x/{family}", "Every radio of a family: rsus, obus or vrus; or one radio by its id"),
    ("get", "/v2x/{family}/{id}", "One radio of a family: rsu, obu or vru"),
    ("post", "/v2x/rsu/{id}/bsm", "Send a vehicle's message through a radio"),
    ("post", "/v2x/rsu/{id}/bsms", "Send vehicles' messages through a radio"),
    ("post", "/v2x/rsu/{id}/psm", "Send a pedestrian's message through a radio"),
    ("get", "/weather/alerts/current", "Weather alerts that are raised now"),
    ("get", "/facilities", "The facility, in a list"),
    ("get", "/facility", "The facility"),
    ("post", "/facility/chat", "Say something to everybody on user"),
    ("post", "/facility/notification", "Notify everybody on facility (scope admin)"),
];

/// The OpenAPI document.
pub fn document() -> Value {
    let mut document = serde_json::to_value(Schemas::openapi()).unwrap_or_default();
    document["info"] = json!({"title": "Cloverleaf: the road", "version": env!("CARGO_PKG_VERSION")});
    document["components"]["securitySchemes"] =
        json!({"key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"}});
    document["security"] = json!([{"key": []}]);
    let mut paths = Map::new();
    let mut add = |method: &str, path: String, operation: Value| {
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[method] = operation;
    };
    for kind in Kind::ALL {
        let (name, plural, schema) = (kind.name(), kind.plural(), resource(kind));
        let list = json!({"type": "object", "properties": {plural: {"type": "array", "items": schema}}});
        add("get", format!("/api/{plural}"), operation("", &format!("Every {name}"), None, &list));
        let item = json!({"type": "object", "properties": {name: schema}});
        let path = format!("/api/{name}/{{id}}");
        add("get", path.clone(), operation(&path, &format!("One {name}"), None, &item));
        let asked = control(kind);
        let accepted = reference("Accepted");
        add(
            "patch",
            path.clone(),
            operation(&path, &format!("Ask something of a {name}"), Some(&asked), &accepted),
        );
        if matches!(kind, Kind::Intersection | Kind::Light) {
            let summary = format!("Ask the same of every {name}");
            let accepted = json!({"type": "object", "properties": {"requestIDs": {"type": "array", "items": {"type": "string"}}}});
            add("patch", format!("/api/{plural}"), operation("", &summary, Some(&asked), &accepted));
        }
    }
    for (plural, name) in SENSORS {
        let any = json!({"type": "object"});
        add(
            "get",
            format!("/api/sensors/{plural}"),
            operation("", &format!("Every sensor that is a {name}"), None, &any),
        );
        let path = format!("/api/sensor/{name}/{{id}}");
        add("get", path.clone(), operation(&path, &format!("One sensor that is a {name}"), None, &any));
    }
    for (method, path, summary) in FURTHER {
        let path = format!("/api{path}");
        let any = json!({"type": "object"});
        let body = (*method == "post" || *method == "patch").then_some(&any);
        add(method, path.clone(), operation(&path, summary, body, &any));
    }
    document["paths"] = Value::Object(paths);
    document
}

/// The document for programs; a page with the same for browsers.
pub(super) async fn show(headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let document = document();
    if !accepts.contains("text/html") {
        return axum::Json(document).into_response();
    }
    let mut page = String::from(
        "<!doctype html><meta charset=utf-8><title>Cloverleaf: the road</title><style>body{font:1em sans-serif;margin:2em}\
         td{padding:.2em 1em .2em 0;font-family:monospace}</style><h1>The road over REST</h1>\
         <p>Keys go into <code>X-API-KEY</code>. Programs get this page as OpenAPI (<code>Accept: application/json</code>).</p><table>",
    );
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let summary = operation["summary"].as_str().unwrap_or_default();
            page.push_str(&format!(
                "<tr><td>{}</td><td>{path}</td><td>{summary}</td></tr>",
                method.to_uppercase()
            ));
        }
    }
    page.push_str("</table>");
    Html(page).into_response()
}

fn operation(path: &str, summary: &str, body: Option<&Value>, answer: &Value) -> Value {
    let content = |schema: &Value| json!({"application/json": {"schema": schema}});
    let error = |what: &str| json!({"description": what, "content": content(&reference("ApiError"))});
    let parameters: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    let mut operation = json!({
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "done, or accepted", "content": content(answer)},
            "400": error("malformed"),
            "401": error("the key is missing or invalid"),
            "403": error("the key does not allow it"),
            "404": error("there is no such resource"),
        },
    });
    if let Some(body) = body {
        operation["requestBody"] = json!({"required": true, "content": content(body)});
    }
    operation
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

#[rustfmt::skip]
fn resource(kind: Kind) -> Value {
    reference(match kind {
        Kind::Intersection => "Resource_IntersectionState",
        Kind::Signal       => "Resource_SignalState",
        Kind::Crosswalk    => "Resource_CrosswalkState",
        Kind::RailCrossing => "Resource_RailCrossingState",
        Kind::Gate         => "Resource_GateState",
        Kind::Garage       => "Resource_GarageState",
        Kind::Light        => "Resource_LightState",
        Kind::Sensor       => "Resource_SwitchState",
        Kind::Robot        => "Resource_RobotState",
        Kind::Beacon       => "Resource_BeaconState",
    })
}

#[rustfmt::skip]
fn control(kind: Kind) -> Value {
    reference(match kind {
        Kind::Intersection => "Patch_IntersectionControl",
        Kind::Signal       => "Patch_SignalControl",
        Kind::Crosswalk    => "Patch_CrosswalkControl",
        Kind::RailCrossing => "Patch_RailCrossingControl",
        Kind::Gate         => "Patch_GateControl",
        Kind::Garage       => "Patch_GarageControl",
        Kind::Light        => "Patch_LightControl",
        Kind::Sensor       => "Patch_SwitchControl",
        Kind::Robot        => "Patch_RobotControl",
        // A beacon that a client reports takes any state; those of the facility cannot be controlled.
        Kind::Beacon => return json!({"type": "object"}),
    })
}
