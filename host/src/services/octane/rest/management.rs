//! What is kept on the server, and its management: the facility, safety equipment, mowers, sessions, scenarios,
//! requests.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::api::{FULL, Route};
use super::{Answer, Api, Call, Refusal, Shape, accepted, found, malformed, number, value};
use crate::auth::Key;
use crate::road::{Equipment, MowerCall, mover::Place};
use crate::services::octane::events::{
    self, Callback, Facility, Favorite, Job, LawnMower, NewFavorite, NewScenario, NewSession,
    SafetyEquipment, ScenarioPatch, Session, UserScenario,
};
use crate::services::octane::keys::{Grant, Permission, Scopes};
use crate::services::octane::resource::{
    ControlError, EquipmentControl, Kind, MowerControl, ResetControl, SwitchControl,
};
use crate::services::octane::view::equipment_type;

const EQUIPMENT: &str = "/safety/equipment/{id}";

/// The query of safety equipment.
const OF_TYPE: [(&str, &str); 1] = [("safety_equipment_type", "only equipment of this type, such as CONE")];

pub(super) fn describe(api: &mut Api) {
    facility(api);
    safety(api);
    maintenance(api);
    scenarios(api);
    requests(api);
    sessions(api);
    management(api);
}

fn facility(api: &mut Api) {
    let one = || Shape::of::<Facility>();
    api.get("/facilities", "The facility, in a list", one().list().under("facilities"), |call| {
        Ok(json!({"facilities": [call.look(|state| state.facility())]}))
    });
    api.get("/facility", "The facility", one().under("facility"), |call| {
        Ok(json!({"facility": call.look(|state| state.facility())}))
    });
    let said = || accepted().with("message", Shape::text());
    let route =
        Route::post("/facility/chat", "Say something to everybody on user", Permission::Speak, said());
    api.take_raw(route.takes(Shape::text().under("message")), |call, message| {
        if !message.get().starts_with('{') {
            return Err(malformed("a message is an object"));
        }
        let request = call.request("facility", |state| Ok(vec![state.say(message)]))?;
        Ok(json!({"requestID": request, "message": "OK"}))
    });
    let path = "/facility/notification";
    let route = Route::post(path, "Notify everybody on facility", Permission::Manage, said());
    api.take(route, |call: &Call, it: Notification| {
        if !["NOTIFY", "WEATHER", "SCHEDULE"].contains(&it.r#type.as_str()) {
            return Err(malformed("type is NOTIFY, WEATHER or SCHEDULE"));
        }
        let request = call.request("facility", |state| Ok(vec![state.notify(it.message, &it.r#type)]))?;
        Ok(json!({"requestID": request, "message": "OK"}))
    });
}

/// A word to everybody on `facility`.
#[derive(Deserialize, ToSchema)]
struct Notification {
    message: String,
    /// NOTIFY, WEATHER or SCHEDULE.
    #[serde(default = "notify")]
    r#type: String,
}

fn notify() -> String {
    "NOTIFY".into()
}

fn safety(api: &mut Api) {
    let all = Shape::of::<SafetyEquipment>().list().under("equipment");
    let route = Route::get("/safety/equipment", "Safety equipment", Permission::Read, all);
    api.give(route.query(&OF_TYPE), |call| {
        let wanted = wanted_type(call)?;
        let items = call.look(|state| {
            let all = state.road.equipment.values().map(|it| state.view().equipment(it));
            all.filter(|it| wanted.is_none_or(|wanted| it.equipment_type == wanted)).collect::<Vec<_>>()
        });
        Ok(json!({"equipment": items}))
    });
    let summary = "Put safety equipment back where it belongs";
    let gives = accepted().with("response", Shape::text());
    let route = Route::delete("/safety/equipment", summary, Permission::Control, gives);
    api.give(route.query(&OF_TYPE), |call| {
        let wanted = wanted_type(call)?;
        let request = call.request("safety", |state| {
            for item in state.road.equipment.values_mut() {
                if wanted.is_none_or(|wanted| equipment_type(item.site.kind) == wanted) {
                    item.reset();
                }
            }
            Ok(Vec::new())
        })?;
        Ok(json!({"requestID": request, "response": "OK"}))
    });
    let one = Shape::of::<SafetyEquipment>().under("safetyEquipment");
    api.get(EQUIPMENT, "One piece of safety equipment", one, |call| {
        let item =
            call.look(|state| state.road.equipment.get(call.part("id")).map(|it| state.view().equipment(it)));
        Ok(json!({"safetyEquipment": found(item, "safety equipment", call, "id")?}))
    });
    let summary = "Say where a piece of safety equipment is";
    let route = Route::patch(EQUIPMENT, summary, Permission::Control, accepted());
    api.take_patch(route, |call: &Call, asked: EquipmentControl| {
        let request = call.request("safety", |state| {
            let unknown = || ControlError::Unknown("safety equipment", call.part("id").to_owned());
            let item = state.road.equipment.get_mut(call.part("id")).ok_or_else(unknown)?;
            place(item, &asked)?;
            Ok(Vec::new())
        });
        number(request?)
    });
}

fn place(item: &mut Equipment, asked: &EquipmentControl) -> Result<(), ControlError> {
    let place = Place {
        latitude: asked.latitude.unwrap_or(item.place.latitude),
        longitude: asked.longitude.unwrap_or(item.place.longitude),
    };
    if place.latitude.abs() > 90.0 || place.longitude.abs() > 180.0 {
        return Err(ControlError::Malformed("latitude is -90 to 90, longitude -180 to 180 degrees".into()));
    }
    item.place = place;
    item.placed = asked.placed.unwrap_or(item.placed);
    Ok(())
}

/// The type that the query asks for.
fn wanted_type(call: &Call) -> Result<Option<events::EquipmentType>, Refusal> {
    let asked = call.query("safety_equipment_type").map(|text| serde_json::from_value(json!(text)));
    asked.transpose().map_err(|error| malformed(format!("safety_equipment_type: {error}")))
}

fn maintenance(api: &mut Api) {
    let all = |name: &'static str| {
        move |call: &Call| -> Answer {
            let mowers = call.look(|state| {
                let mowers = state.road.mowers.values().map(|it| state.view().mower(it));
                mowers.collect::<Vec<_>>()
            });
            Ok(json!({name: mowers}))
        }
    };
    let list = |name: &str| Shape::of::<LawnMower>().list().under(name);
    api.get("/maintenance", "All that maintains the facility", list("maintenance"), all("maintenance"));
    api.get("/maintenance/lawnmowers", "Every lawn mower", list("lawnmowers"), all("lawnmowers"));
    let path = "/maintenance/lawnmower/{id}";
    api.get(path, "One lawn mower", Shape::of::<LawnMower>(), |call| {
        let mower = call.look(|state| {
            let mower = state.road.mowers.get(&call.part("id").parse().ok()?)?;
            Some(state.view().mower(mower))
        });
        Ok(value(found(mower, "lawn mower", call, "id")?))
    });
    let route = Route::patch(path, "Tell a lawn mower what to do", Permission::Control, accepted());
    api.take_patch(route, |call: &Call, asked: MowerControl| {
        let request = call.request("maintenance", |state| {
            let mower = call.part("id").parse().ok().and_then(|id: u32| state.road.mowers.get_mut(&id));
            let unknown = || ControlError::Unknown("lawn mower", call.part("id").to_owned());
            mower.ok_or_else(unknown)?.call = match asked.mower_call {
                events::MowerCall::Start => MowerCall::Start,
                events::MowerCall::Pause => MowerCall::Pause,
                events::MowerCall::Park => MowerCall::Park,
            };
            Ok(Vec::new())
        });
        number(request?)
    });
}

fn scenarios(api: &mut Api) {
    let one = || Shape::of::<UserScenario>().under("scenario");
    let list = Shape::of::<UserScenario>().list().under("scenarios");
    api.get("/scenarios", "Every scenario that users have drawn up", list, |call| {
        Ok(json!({"scenarios": call.look(|state| value(state.records.scenarios()))}))
    });
    let route = Route::post("/scenario", "Keep a scenario", Permission::Control, one()).or(FULL);
    api.take(route, |call: &Call, new: NewScenario| {
        let added = call.change(|state| {
            let now = state.view().now();
            state.records.add_scenario(new.scenario, &call.grant, now)
        })?;
        Ok(json!({"scenario": added}))
    });
    let path = "/scenario/{id}";
    api.get(path, "One scenario", one(), |call| {
        let it = call.look(|state| state.records.scenario(call.part("id")).cloned())?;
        Ok(json!({"scenario": it}))
    });
    let route = Route::patch(path, "Change a scenario", Permission::Control, one());
    api.take(route, |call: &Call, changes: ScenarioPatch| {
        let changed = call.change(|state| {
            let now = state.view().now();
            state.records.change_scenario(call.part("id"), changes.scenario, now)
        })?;
        Ok(json!({"scenario": changed}))
    });
    let gives = Shape::text().under("message");
    api.give(Route::delete(path, "Forget a scenario", Permission::Control, gives), |call| {
        call.change(|state| state.records.remove_scenario(call.part("id")))?;
        Ok(json!({"message": "OK"}))
    });
}

fn requests(api: &mut Api) {
    let jobs = |name: &str| Shape::of::<Job>().list().under(name);
    let summary = "Requests that wait: none, they are carried out at once";
    api.get("/requests/queued", summary, jobs("queuedJobs"), |_| Ok(json!({"queuedJobs": []})));
    api.get("/requests/failed", "Your requests that failed", jobs("failedJobs"), |call| {
        Ok(json!({"failedJobs": call.look(|state| value(state.records.failed(&call.grant, None)))}))
    });
    api.get("/requests/job/{id}", "One of your requests", Shape::of::<Job>().under("job"), |call| {
        let job = call.look(|state| state.records.job(&call.grant, call.part("id")).cloned())?;
        Ok(json!({"job": job}))
    });
    let path = "/requests/job/{id}/queued";
    api.get(path, "Requests of a type that wait", jobs("queuedRequests"), |_| {
        Ok(json!({"queuedRequests": []}))
    });
    let path = "/requests/job/{id}/failed";
    api.get(path, "Your requests of a type that failed", jobs("failedRequests"), |call| {
        let failed = call.look(|state| value(state.records.failed(&call.grant, Some(call.part("id")))));
        Ok(json!({"failedRequests": failed}))
    });
}

fn sessions(api: &mut Api) {
    let all = Shape::of::<Session>().list().under("sessions");
    api.give(Route::get("/sessions", "Every key that is good now", Permission::Manage, all), |call| {
        let sessions = call.look(|state| {
            let good = state.keys.grants(Timestamp::now());
            good.map(|it| state.session_of(it)).collect::<Vec<_>>()
        });
        Ok(json!({"sessions": sessions}))
    });
    api.get("/session", "What your key is good for", Shape::of::<Session>().under("session"), |call| {
        Ok(json!({"session": call.look(|state| state.session_of(&call.grant))}))
    });
    let gives = Shape::text().under("token");
    let summary = "Make a key for a user that is good for a while; it is gone when the server ends";
    let route = Route::post("/session", summary, Permission::Schedule, gives).or(FULL);
    api.take(route, |call: &Call, new: NewSession| {
        let now = Timestamp::now();
        let from = new.date_valid.unwrap_or(now);
        if new.date_expire <= from || !(1..=128).contains(&new.email.len()) {
            return Err(malformed("email is 1 to 128 bytes, and dateExpire is later than dateValid"));
        }
        // Two of them have 244 random bits.
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let grant = Grant {
            name: new.email.into(),
            scopes: Scopes::USER,
            from: new.date_valid,
            until: Some(new.date_expire),
        };
        call.change(|state| {
            let issued = state.keys.issue(Key::new(&token), grant, now);
            issued.map_err(|full| ControlError::Full(full.to_string()))
        })?;
        Ok(json!({"token": token}))
    });
}

fn management(api: &mut Api) {
    let modules = Shape::text().list().under("modules");
    api.get("/management/modules", "The kinds of resources there are", modules, |_| {
        let further = ["v2x", "safety", "maintenance", "weather"];
        let modules: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).chain(further).collect();
        Ok(json!({"modules": modules}))
    });
    let favorites = Shape::of::<Favorite>().list().under("favorites");
    api.get("/management/favorites", "Every favourite", favorites, |call| {
        Ok(json!({"favorites": call.look(|state| value(state.records.favorites()))}))
    });
    let gives = Shape::of::<Favorite>();
    let route = Route::post("/management/favorite", "Add a favourite", Permission::Control, gives).or(FULL);
    api.take(route, |call: &Call, new: NewFavorite| {
        Ok(value(call.change(|state| state.records.add_favorite(new))?))
    });
    let path = "/management/favorite/{module}/{favorite}";
    let gives = Shape::text().under("message");
    api.give(Route::delete(path, "Forget a favourite", Permission::Control, gives), |call| {
        call.change(|state| state.records.remove_favorite(call.part("module"), call.part("favorite")))?;
        Ok(json!({"message": "OK"}))
    });
    let summary = "Whether each intersection is published once a second";
    let route = Route::patch("/management/polling/intersections", summary, Permission::Manage, accepted());
    api.take_patch(route, |call: &Call, asked: SwitchControl| {
        let request = call.request("polling", |state| {
            state.records.polling = asked.enabled;
            Ok(Vec::new())
        });
        number(request?)
    });
    let summary = "Put everything that can be controlled back to how it was";
    let route = Route::post("/management/facility/reset", summary, Permission::Control, accepted());
    api.take_patch(route, |call: &Call, asked: ResetControl| {
        if !asked.confirm {
            return Err(malformed("confirm has to be true"));
        }
        number(call.request("facility", |state| Ok(state.reset_facility()))?)
    });
    let summary = "What a device calls back with; it is put on the timeline";
    let route = Route::post("/management/device/callback", summary, Permission::Device, accepted());
    api.take(route, |call: &Call, it: Callback| {
        if !(1..=64).contains(&it.coreid.len()) || !(1..=64).contains(&it.event.len()) {
            return Err(malformed("coreid and event are 1 to 64 bytes"));
        }
        let request =
            call.request("device", |state| Ok(vec![state.called_back(&it.coreid, &it.event, &value(&it))]));
        number(request?)
    });
}
