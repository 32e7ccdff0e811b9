//! What stands on the road: resources of all kinds, intersections, robots, beacons, radios, the weather.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::post;
use jiff::civil;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::api::{FULL, Route, admit, raw_json};
use super::{Answer, Api, Call, Refusal, Shape, accepted, found, malformed, number, value};
use crate::road::Road;
use crate::services::octane::events::{
    BeaconState, Bsm, CrosswalkState, GarageState, GateState, IntersectionState, LightState, Psm,
    RailCrossingState, RobotState, Scenario, SignalState, SwitchState, V2x, Weather, WeatherAlert,
    WeatherStation,
};
use crate::services::octane::handlers::Octane;
use crate::services::octane::keys::Permission;
use crate::services::octane::resource::{
    self, ControlError, CrosswalkControl, GarageControl, GateControl, IntersectionControl, Kind,
    LightControl, RailCrossingControl, RobotControl, SignalControl, SwitchControl,
};
use crate::services::octane::state::{Radio, raw};
use crate::services::octane::view::radio_number;

/// How long a robot may take to answer.
const ROBOT_TIMEOUT: Duration = Duration::from_secs(5);

/// The kinds of sensors that have a collection of their own: plural, name, type.
const SENSORS: [(&str, &str, &str); 4] = [
    ("packages", "package", "PACKAGE"),
    ("cameras", "camera", "CAMERA"),
    ("lidars", "lidar", "LIDAR"),
    ("radars", "radar", "RADAR"),
];

/// The families of radios: plural, name, type.
const RADIOS: [(&str, &str, &str); 3] =
    [("rsus", "rsu", "RSU"), ("obus", "obu", "OBU"), ("vrus", "vru", "VRU")];

pub(super) fn describe(api: &mut Api) {
    for kind in Kind::ALL {
        kinds(api, kind);
    }
    sensors(api);
    intersections(api);
    robots(api);
    beacons(api);
    radios(api);
    weather(api);
}

#[rustfmt::skip]
fn resource_of(kind: Kind) -> Shape {
    match kind {
        Kind::Intersection => Shape::resource::<IntersectionState>(),
        Kind::Signal       => Shape::resource::<SignalState>(),
        Kind::Crosswalk    => Shape::resource::<CrosswalkState>(),
        Kind::RailCrossing => Shape::resource::<RailCrossingState>(),
        Kind::Gate         => Shape::resource::<GateState>(),
        Kind::Garage       => Shape::resource::<GarageState>(),
        Kind::Light        => Shape::resource::<LightState>(),
        Kind::Sensor       => Shape::resource::<SwitchState>(),
        Kind::Robot        => Shape::resource::<RobotState>(),
        // One that a client reports has whatever state the client reports.
        Kind::Beacon       => Shape::object(),
        Kind::V2x          => Shape::of::<V2x>(),
    }
}

#[rustfmt::skip]
fn control_of(kind: Kind) -> Shape {
    match kind {
        Kind::Intersection => Shape::patch::<IntersectionControl>(),
        Kind::Signal       => Shape::patch::<SignalControl>(),
        Kind::Crosswalk    => Shape::patch::<CrosswalkControl>(),
        Kind::RailCrossing => Shape::patch::<RailCrossingControl>(),
        Kind::Gate         => Shape::patch::<GateControl>(),
        Kind::Garage       => Shape::patch::<GarageControl>(),
        Kind::Light        => Shape::patch::<LightControl>(),
        Kind::Robot        => Shape::patch::<RobotControl>(),
        Kind::Sensor | Kind::V2x => Shape::patch::<SwitchControl>(),
        Kind::Beacon       => Shape::object().under("state"),
    }
}

fn kinds(api: &mut Api, kind: Kind) {
    let (name, plural) = (kind.name(), kind.plural());
    let list = resource_of(kind).list().under(plural);
    api.get(&format!("/{plural}"), &format!("Every {name}"), list, move |call| {
        Ok(json!({plural: call.look(|state| state.items(kind))}))
    });
    let path = format!("/{name}/{{id}}");
    api.get(&path, &format!("One {name}"), resource_of(kind).under(name), move |call| {
        Ok(json!({name: one(call, kind)?}))
    });
    let needs = if kind == Kind::Beacon { Permission::Report } else { Permission::Control };
    let gives = accepted().with(name, resource_of(kind));
    let summary = format!("Ask something of a {name}");
    let route = Route::patch(&path, &summary, needs, gives).takes(control_of(kind));
    api.take_raw(route, move |call, asked| control(call, kind, call.part("id"), asked));
    if matches!(kind, Kind::Intersection | Kind::Light) {
        let (path, summary) = (format!("/{plural}"), format!("Ask the same of every {name}"));
        let gives = Shape::text().list().under("requestIDs");
        let route = Route::patch(&path, &summary, Permission::Control, gives).takes(control_of(kind));
        api.take_raw(route, move |call, asked| Ok(json!({"requestIDs": call.request_all(kind, asked)?})));
    }
}

fn one(call: &Call, kind: Kind) -> Answer {
    let item = call.look(|state| state.item(kind, call.part("id")));
    found(item, kind.name(), call, "id")
}

/// Robots and beacons answer with themselves beside the number, as the original's do.
fn control(call: &Call, kind: Kind, id: &str, asked: &RawValue) -> Answer {
    let request = call.request(kind.name(), |state| state.control(kind, id, asked))?;
    let item = call.look(|state| state.item(kind, id));
    Ok(json!({"requestID": request, kind.name(): item}))
}

/// Asks the same of all that are wanted, under one number.
fn control_all(call: &Call, kind: Kind, asked: &RawValue, wanted: impl Fn(&Road, &Value) -> bool) -> Answer {
    let request = call.request(kind.name(), |state| {
        let mut outputs = Vec::new();
        let mut items = state.items(kind);
        items.retain(|item| wanted(&state.road, item));
        for id in items.iter().filter_map(resource::id_of) {
            outputs.extend(state.control(kind, &id.to_string(), asked)?);
        }
        Ok(outputs)
    });
    number(request?)
}

/// A route that switches something of this kind on or off.
fn switch<'a>(path: &'a str, summary: &'a str, kind: Kind) -> Route<'a> {
    Route::patch(path, summary, Permission::Control, accepted()).takes(control_of(kind))
}

fn sensors(api: &mut Api) {
    let route = switch("/sensors", "Switch every sensor", Kind::Sensor);
    api.take_raw(route, |call, asked| control_all(call, Kind::Sensor, asked, |_, _| true));
    for (plural, name, kind) in SENSORS {
        let is_one = move |item: &Value| item["type"] == kind;
        let at = format!("/sensors/{plural}");
        let list = resource_of(Kind::Sensor).list().under(plural);
        api.get(&at, &format!("Every sensor that is a {name}"), list, move |call| {
            let mut items = call.look(|state| state.items(Kind::Sensor));
            items.retain(is_one);
            Ok(json!({plural: items}))
        });
        let summary = format!("Switch every sensor that is a {name}");
        api.take_raw(switch(&at, &summary, Kind::Sensor), move |call, asked| {
            control_all(call, Kind::Sensor, asked, |_, item| is_one(item))
        });
        let at = format!("/sensor/{name}/{{id}}");
        let item = resource_of(Kind::Sensor).under(name);
        api.get(&at, &format!("One sensor that is a {name}"), item, move |call| {
            let item = Some(one(call, Kind::Sensor)?).filter(is_one);
            Ok(json!({name: found(item, name, call, "id")?}))
        });
        let summary = format!("Switch a sensor that is a {name}");
        api.take_raw(switch(&at, &summary, Kind::Sensor), move |call, asked| {
            let item = Some(one(call, Kind::Sensor)?).filter(is_one);
            found(item, name, call, "id")?;
            control(call, Kind::Sensor, call.part("id"), asked)
        });
    }
}

fn intersections(api: &mut Api) {
    let of_it = |kind: Kind| {
        move |call: &Call| -> Answer {
            let item = one(call, Kind::Intersection)?;
            let mut items = call.look(|state| state.items(kind));
            items.retain(|it| it["intersection"] == item["id"]);
            Ok(json!({kind.plural(): items}))
        }
    };
    let part = |name: &'static str| {
        move |call: &Call| -> Answer { Ok(json!({name: one(call, Kind::Intersection)?[name]})) }
    };
    let list = |name: &str| Shape::object().list().under(name);
    api.get("/intersection/{id}/phases", "The phases of an intersection", list("phases"), part("phases"));
    api.get("/intersection/{id}/stages", "Its phases that go together", list("stages"), part("stages"));
    let signals = resource_of(Kind::Signal).list().under("signals");
    api.get("/intersection/{id}/signals", "Its signals", signals, of_it(Kind::Signal));
    let crosswalks = resource_of(Kind::Crosswalk).list().under("crosswalks");
    api.get("/intersection/{id}/crosswalks", "Its crosswalks", crosswalks, of_it(Kind::Crosswalk));
    let rsus = Shape::of::<V2x>().list().under("rsus");
    api.get("/intersection/{id}/rsus", "Its radio", rsus, |call| {
        let item = one(call, Kind::Intersection)?;
        let mut items = call.look(|state| state.items(Kind::V2x));
        items.retain(|it| it["type"] == "RSU" && it["name"] == item["v2xIntersectionId"]);
        Ok(json!({"rsus": items}))
    });
    let path = "/intersection/{id}/preempt/{preempt}";
    let summary = "Give an intersection to one of its preemptions, or take it back";
    let route = Route::patch(path, summary, Permission::Control, accepted());
    api.take_raw(route.takes(Shape::patch::<SwitchControl>()), |call, asked| {
        let request =
            call.request("intersection", |state| state.preempt(call.part("id"), call.part("preempt"), asked));
        number(request?)
    });
}

fn robots(api: &mut Api) {
    let scenarios = |call: &Call| -> Result<Vec<Scenario>, Refusal> {
        let scenarios = call.look(|state| {
            let robot = state.road.robots.get(&call.part("id").parse().ok()?)?;
            Some(state.view().scenarios(robot))
        });
        found(scenarios, "robot", call, "id")
    };
    let list = Shape::of::<Scenario>().list().under("scenarios");
    api.get("/robot/{id}/scenarios", "What a robot can play", list, move |call| {
        Ok(json!({"scenarios": scenarios(call)?}))
    });
    let selected = Shape::of::<Scenario>();
    api.get("/robot/{id}/scenario", "The scenario that is selected", selected.clone(), move |call| {
        let item = one(call, Kind::Robot)?;
        found(item["state"].get("scenario").cloned(), "scenario selected for robot", call, "id")
    });
    let summary = "Give a robot a path to play; it may be within `scenario`";
    let route = Route::post("/robot/{id}/scenario", summary, Permission::Control, selected);
    api.take_raw(route.takes(Shape::of::<Scenario>()).or(FULL), |call, body| {
        let new: Scenario = within(body, "scenario")?;
        Ok(value(call.change(|state| resource::add_scenario(&mut state.road, call.part("id"), &new))?))
    });
    let one = Shape::of::<Scenario>().under("scenario");
    api.get("/robot/{id}/scenario/{scenario}", "One scenario of a robot", one, move |call| {
        let known = scenarios(call)?.into_iter().find(|it| it.id.to_string() == call.part("scenario"));
        Ok(json!({"scenario": found(known, "scenario", call, "scenario")?}))
    });
    let path = "/robot/{id}/scenario/{scenario}";
    let route = Route::delete(path, "Take a scenario from a robot", Permission::Control, accepted());
    api.give(route, |call| {
        let request = call.request("robot", |state| {
            resource::remove_scenario(&mut state.road, call.part("id"), call.part("scenario"))?;
            Ok(Vec::new())
        });
        number(request?)
    });
    let summary = "Send a robot_proxy command and answer what the robot returns";
    let route = Route::post("/robot/{id}/proxy", summary, Permission::Control, Shape::object());
    let route = route.takes(Shape::object()).or(("504", "no robot answered"));
    api.serve(route, post(ask_robot));
}

/// Whoever plays the robot is on the channel and knows it by its id, which the command therefore carries.
async fn ask_robot(State(road): State<Arc<Octane>>, request: Request) -> Result<Json<Value>, Refusal> {
    let (call, body) = admit(road, request, Permission::Control).await?;
    let robot = one(&call, Kind::Robot)?;
    let asked = raw_json(&body)?;
    let fields: Map<String, Value> = resource::parse(asked.get())?;
    let command = match fields.get("id") {
        Some(id) if id.as_str().map_or_else(|| id.to_string(), str::to_owned) == call.part("id") => {
            asked.to_owned().into()
        }
        Some(_) => return Err(malformed("the id of the command is that of the robot, or is left out")),
        None => {
            let mut fields = fields;
            fields.insert("id".into(), robot["id"].clone());
            raw(&fields)
        }
    };
    let answer = call.octane.ask_robot(command, ROBOT_TIMEOUT).await;
    let answer = answer.ok_or_else(|| Refusal(StatusCode::GATEWAY_TIMEOUT, "no robot answered".into()))?;
    Ok(Json(json!({"answer": answer})))
}

fn beacons(api: &mut Api) {
    #[derive(serde::Deserialize)]
    struct Report {
        #[serde(alias = "idString", alias = "id_string")]
        id: String,
        #[serde(default)]
        state: Map<String, Value>,
    }
    // The original's path ends in a slash.
    for path in ["/beacon", "/beacon/"] {
        let summary = "Report a beacon: id and state; they may be within `beacon`";
        let route = Route::post(path, summary, Permission::Report, accepted());
        api.take_raw(route.takes(Shape::resource::<BeaconState>()), |call, body| {
            let report: Report = within(body, "beacon")?;
            let (id, state) = (report.id, Value::Object(report.state));
            let request =
                call.request("beacon", |it| Ok(vec![it.report_beacon(call.octane.now(), &id, state)?]))?;
            let mut answer = call.look(|state| state.item(Kind::Beacon, &id)).unwrap_or_default();
            answer["requestID"] = json!(request);
            Ok(answer)
        });
    }
    let gives = accepted().with("beacon", Shape::object());
    let route = Route::delete("/beacon/{id}", "Forget a reported beacon", Permission::Report, gives);
    api.give(route, |call| {
        let mut forgotten = None;
        let request = call.request("beacon", |state| {
            let unknown = || ControlError::Unknown("reported beacon", call.part("id").to_owned());
            forgotten = Some(state.forget_beacon(call.part("id")).ok_or_else(unknown)?);
            Ok(Vec::new())
        })?;
        Ok(json!({"requestID": request, "beacon": forgotten}))
    });
}

fn radios(api: &mut Api) {
    api.get("/v2x", "Every radio", Shape::of::<V2x>().list().under("v2xs"), |call| {
        Ok(json!({"v2xs": call.look(|state| state.items(Kind::V2x))}))
    });
    api.get("/v2x/{id}", "One radio", Shape::of::<V2x>().under("v2x"), |call| {
        Ok(json!({"v2x": one(call, Kind::V2x)?}))
    });
    api.take_raw(switch("/v2x/{id}", "Switch a radio", Kind::V2x), |call, asked| {
        control(call, Kind::V2x, call.part("id"), asked)
    });
    for (plural, name, kind) in RADIOS {
        let is_one = move |item: &Value| item["type"] == kind;
        let at = format!("/v2x/{plural}");
        api.get(&at, &format!("Every {kind}"), Shape::of::<V2x>().list().under(plural), move |call| {
            let mut items = call.look(|state| state.items(Kind::V2x));
            items.retain(is_one);
            Ok(json!({plural: items}))
        });
        let summary = format!("Switch every {kind} of the facility");
        api.take_raw(switch(&at, &summary, Kind::V2x), move |call, asked| {
            control_all(call, Kind::V2x, asked, |road, item| {
                is_one(item) && radio_number(road, item["name"].as_str().unwrap_or_default()).is_some()
            })
        });
        let at = format!("/v2x/{name}/{{id}}");
        let its = move |call: &Call| {
            let item = call.look(|state| {
                let mut items = state.items(Kind::V2x);
                items.retain(is_one);
                items.into_iter().find(|item| resource::is_called(item, call.part("id")))
            });
            found(item, name, call, "id")
        };
        api.get(&at, &format!("One {kind}"), Shape::of::<V2x>().under(name), move |call| {
            Ok(json!({name: its(call)?}))
        });
        let summary = format!("Switch one {kind}");
        api.take_raw(switch(&at, &summary, Kind::V2x), move |call, asked| {
            let id = resource::id_of(&its(call)?).map(|id| id.to_string()).unwrap_or_default();
            control(call, Kind::V2x, &id, asked)
        });
    }
    for (path, radio, takes, summary) in [
        ("/v2x/rsu/{id}/bsm", Radio::Vehicle, Shape::of::<Bsm>(), "Send a vehicle's message through a radio"),
        ("/v2x/rsu/{id}/bsms", Radio::Vehicle, Shape::of::<Bsm>().list(), "Send several of them"),
        (
            "/v2x/rsu/{id}/psm",
            Radio::Pedestrian,
            Shape::of::<Psm>(),
            "Send a pedestrian's message through it",
        ),
    ] {
        let route = Route::post(path, summary, Permission::Report, accepted()).takes(takes);
        let route = route.or(("409", "the radio is not enabled"));
        api.take_raw(route, move |call, body| transmit(call, radio, body));
    }
}

/// Has a radio send one message, or a list of them.
fn transmit(call: &Call, kind: Radio, body: &RawValue) -> Answer {
    let rsu = call.look(|state| state.item(Kind::V2x, call.part("id"))).filter(|it| it["type"] == "RSU");
    found(rsu, "rsu", call, "id")?;
    let one = || serde_json::from_str::<Box<RawValue>>(body.get()).map(|one| vec![one]);
    let messages = serde_json::from_str::<Vec<Box<RawValue>>>(body.get()).or_else(|_| one());
    let messages = messages.map_err(|error| malformed(error.to_string()))?;
    if messages.iter().any(|message| !message.get().starts_with('{')) {
        return Err(malformed("a message is an object"));
    }
    let messages: Vec<&RawValue> = messages.iter().map(|message| &**message).collect();
    let request =
        call.request("v2x", |state| state.transmit(call.octane.now(), call.part("id"), kind, &messages));
    number(request?)
}

fn weather(api: &mut Api) {
    let alerts = || Shape::of::<WeatherAlert>().list().under("alerts");
    api.get("/weather/alerts/current", "Weather alerts that are raised now", alerts(), |call| {
        let alerts = call.look(|state| {
            let view = state.view();
            let raised = state.road.alerts().map(|(number, alert, onset)| view.alert(number, alert, onset));
            raised.collect::<Vec<_>>()
        });
        Ok(json!({"alerts": alerts}))
    });
    api.get("/weather/alerts/{date}", "Weather alerts that were raised on a day", alerts(), |call| {
        let day = day(call.part("date"))?;
        let alerts = call.look(|state| {
            let (view, offset) = (state.view(), state.road.offset());
            let raised =
                state.road.past_alerts().filter(|(_, _, onset)| offset.to_datetime(*onset).date() == day);
            raised.map(|(number, alert, onset)| view.alert(number, alert, onset)).collect::<Vec<_>>()
        });
        Ok(json!({"alerts": alerts}))
    });
    let stations = Shape::of::<WeatherStation>().list().under("stations");
    api.get("/weather/stations", "Every weather station", stations, |call| {
        Ok(json!({"stations": call.look(|state| state.view().stations().collect::<Vec<_>>())}))
    });
    let station = Shape::of::<WeatherStation>().under("station");
    api.get("/weather/station/{station}", "One weather station", station, |call| {
        let station = call.look(|state| state.view().stations().find(|it| it.id == call.part("station")));
        Ok(json!({"station": found(station, "weather station", call, "station")?}))
    });
    let measured = || Shape::of::<Weather>().list().under("weather");
    api.get("/weather/{station}", "The five latest measurements of a station", measured(), |call| {
        let weather = call.look(|state| {
            let stations = &state.road.facility.weather_stations;
            Some(state.view().weather(stations.iter().find(|it| it.id == call.part("station"))?))
        });
        Ok(json!({"weather": found(weather, "weather station", call, "station")?}))
    });
    let summary = "The measurements of a station on a day";
    api.get("/weather/{station}/{date}", summary, measured(), |call| {
        let day = day(call.part("date"))?;
        let weather = call.look(|state| {
            let stations = &state.road.facility.weather_stations;
            Some(state.view().weather_on(stations.iter().find(|it| it.id == call.part("station"))?, day))
        });
        Ok(json!({"weather": found(weather, "weather station", call, "station")?}))
    });
}

fn day(text: &str) -> Result<civil::Date, Refusal> {
    text.parse().map_err(|_| malformed("a date such as 2024-05-06 expected"))
}

/// What a body says, or what it says within this field.
fn within<T: serde::de::DeserializeOwned>(body: &RawValue, field: &str) -> Result<T, Refusal> {
    let whole: Map<String, Value> = resource::parse(body.get())?;
    match whole.get(field) {
        Some(inner) => Ok(resource::parse(raw(inner).get())?),
        None => Ok(resource::parse(body.get())?),
    }
}
