//! What the road tells by itself: a tenth of a second at a time, changes as they happen, and the rest by the clock.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::channel::Channel;
use super::events::Update;
use super::resource::{Kind, id_of};
use super::state::{Output, Publication, State, publication};
use crate::road::junction::Junction;
use crate::road::mover::Position;

/// Beacons and pedestrians are told of every so many tenths of a second.
const BEACONS_EVERY: u64 = 2;
/// Intersections and radios are told of every so many tenths of a second, whether anything changed or not.
const INTERSECTIONS_EVERY: u64 = 10;
/// A beacon that a client reports is silent after so many seconds: they report five times a second.
const BEACON_SILENT_AFTER: f64 = 5.0;

/// What has been told already.
#[derive(Debug, Default)]
pub struct Published {
    tenths: u64,
    /// The last state of each resource without its times.
    states: HashMap<(Kind, String), Value>,
    silent: HashSet<u32>,
    alerts: HashSet<usize>,
}

impl State {
    /// Lets the road go on until `now` and tells what is to be told.
    pub(super) fn publish(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        let tenths = self.road.advance(now);
        if tenths == self.published.tenths {
            return;
        }
        self.published.tenths = tenths;
        self.publish_radios(tenths, outputs);
        if tenths.is_multiple_of(BEACONS_EVERY) {
            self.publish_beacons(outputs);
        }
        if tenths.is_multiple_of(INTERSECTIONS_EVERY) {
            self.publish_intersections(outputs);
            self.publish_weather(outputs);
            self.mark_silent_beacons(now, outputs);
        }
        for kind in [
            Kind::Signal,
            Kind::Crosswalk,
            Kind::RailCrossing,
            Kind::Gate,
            Kind::Garage,
            Kind::Light,
            Kind::Sensor,
            Kind::Robot,
        ] {
            self.publish_changes(kind, outputs);
        }
    }

    /// The `*_update` of a resource as REST describes it; none before its source has said anything.
    pub(super) fn update(&self, kind: Kind, item: &Value) -> Option<Output> {
        let state = item.get("state").filter(|state| !state.is_null())?.clone();
        let id = id_of(item)?;
        let signal = Some(format!("{}/{id}", kind.name()));
        let stale = item.get("stale").is_some();
        let update = Update { id, serviced: self.view().now(), state, stale };
        Some(publication(&[kind.name()], kind.update(), &update, signal))
    }

    fn publish_changes(&mut self, kind: Kind, outputs: &mut Vec<Output>) {
        for item in self.view().items(kind, self.settings.silent_after) {
            let (Some(id), Some(state)) = (id_of(&item), item.get("state")) else { continue };
            let state = without_times(state.clone());
            let key = (kind, id.to_string());
            if self.published.states.get(&key) != Some(&state) {
                self.published.states.insert(key, state);
                outputs.extend(self.update(kind, &item));
            }
        }
    }

    fn publish_intersections(&mut self, outputs: &mut Vec<Output>) {
        let items = self.view().items(Kind::Intersection, self.settings.silent_after);
        outputs.extend(items.iter().filter_map(|item| self.update(Kind::Intersection, item)));
        let (now, after) = (self.road.now(), self.settings.silent_after);
        let silent = self.road.junctions.values().filter(|it| it.is_silent(now, after));
        let silent: HashSet<u32> = silent.map(|it| it.site.id).collect();
        let name = |id: &u32| self.road.junctions.get(id).map_or_else(String::new, |it| it.site.name.clone());
        for id in silent.difference(&self.published.silent) {
            let message = format!("Intersection {id} ({}) is silent: its controller sends nothing", name(id));
            outputs.push(self.notify(message, "NOTIFY"));
        }
        for id in self.published.silent.difference(&silent) {
            let message = format!("Intersection {id} ({}) speaks again", name(id));
            outputs.push(self.notify(message, "NOTIFY"));
        }
        self.published.silent = silent;
    }

    fn publish_radios(&self, tenths: u64, outputs: &mut Vec<Output>) {
        let (view, now, after) = (self.view(), self.road.now(), self.settings.silent_after);
        // A silent controller's radio is silent, too.
        for junction in self.road.junctions.values().filter(|it| !it.is_silent(now, after)) {
            let id = &junction.site.v2x;
            if let Some(channels) = self.heard("rsu", id, "parsed")
                && let Some(spat) = view.spat(junction)
            {
                outputs.push(telemetry(channels, "v2x_SPaT", id, &spat));
            }
            if let Some(channels) = self.heard("rsu", id, "raw")
                && let Some(raw) = view.spat_raw(junction)
            {
                outputs.push(telemetry(channels, "v2x_raw", id, &raw));
            }
            if tenths.is_multiple_of(INTERSECTIONS_EVERY) {
                let state = self.rsu(junction);
                let update = json!({"id": id, "serviced": view.now(), "state": state});
                outputs.push(publication(&["v2x"], "v2x_update", &update, Some(format!("v2x/{id}"))));
            }
        }
        for (vehicle, position) in self.road.vehicles() {
            if let Some(channels) = self.heard("obu", &vehicle.id, "parsed") {
                outputs.push(telemetry(channels, "v2x_BSM", &vehicle.id, &view.bsm(vehicle, position)));
            }
        }
        if tenths.is_multiple_of(BEACONS_EVERY) {
            for (at, (beacon, position)) in self.road.beacons().enumerate() {
                let psm = view.psm(at + 1, beacon, position);
                if let Some(channels) = self.heard("vru", &psm.id, "parsed") {
                    outputs.push(telemetry(channels, "v2x_PSM", &psm.id, &psm));
                }
            }
        }
    }

    /// Every radio: of intersections, of vehicles, of pedestrians.
    pub fn radios(&self) -> Vec<Value> {
        let view = self.view();
        let on_board = |id: String, kind: &str, position: Position| {
            let updated = view.now();
            let state = json!({
                "angle": 0.0,
                "elevation": 0.0,
                "heading": position.heading,
                "speed": position.speed,
                "latitude": position.place.latitude,
                "longitude": position.place.longitude,
                "updated": updated,
            });
            json!({"id": id, "type": kind, "state": state})
        };
        let rsus = self.road.junctions.values().map(|junction| self.rsu(junction));
        let obus = self.road.vehicles().map(|(vehicle, at)| on_board(vehicle.id.clone(), "obu", at));
        let vrus = self
            .road
            .beacons()
            .enumerate()
            .map(|(number, (_, at))| on_board(format!("{:08x}", number + 1), "vru", at));
        rsus.chain(obus).chain(vrus).collect()
    }

    fn rsu(&self, junction: &Junction) -> Value {
        let supported = |kind: &str, set: &str| json!({"messageType": kind, "messageSet": set, "txEnabled": true, "rxEnabled": true});
        json!({
            "id": junction.site.v2x,
            "type": "rsu",
            "enabled": true,
            "latitude": junction.site.place.latitude,
            "longitude": junction.site.place.longitude,
            "radiosSupported": [supported("SPAT", "NTCIP"), supported("BSM", "J2735_201603"), supported("PSM", "J2735_201603")],
            "updated": junction.updated().map(|at| self.view().date(at)),
        })
    }

    /// The channels of a radio that anybody has joined.
    fn heard(&self, family: &str, id: &str, form: &str) -> Option<Vec<Channel>> {
        let names = [format!("v2x_{family}_{form}"), format!("v2x_{family}_{id}_{form}")];
        let channels: Vec<_> = names.iter().filter_map(|name| Channel::parse(name)).collect();
        let channels: Vec<_> = channels.into_iter().filter(|channel| self.has_audience(channel)).collect();
        (!channels.is_empty()).then_some(channels)
    }

    fn publish_beacons(&self, outputs: &mut Vec<Output>) {
        let view = self.view();
        for (beacon, position) in self.road.beacons() {
            let update =
                json!({"id": beacon.id, "serviced": view.now(), "state": view.beacon(beacon, position)});
            let signal = Some(format!("beacon/{}", beacon.id));
            outputs.push(publication(&["beacon"], "beacon_update", &update, signal));
        }
    }

    fn publish_weather(&mut self, outputs: &mut Vec<Output>) {
        let view = self.view();
        let raised: HashSet<usize> = self.road.alerts().map(|(number, ..)| number).collect();
        for (number, alert, onset) in self.road.alerts() {
            let alert = view.alert(number, alert, onset);
            if !self.published.alerts.contains(&number) {
                outputs.push(publication(&["weather"], "weather_alert", &alert, None));
                let update = json!({"id": alert.id, "serviced": view.now(), "state": alert.state});
                let signal = Some(format!("weather/{number}"));
                outputs.push(publication(&["weather"], "weather_alert_update", &update, signal));
            }
        }
        self.published.alerts = raised;
    }

    /// A beacon whose client reports nothing any more is told of once more, as it was and marked, and then no longer.
    fn mark_silent_beacons(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        let serviced = json!(self.view().now());
        for (id, posted) in &mut self.posted {
            let silent = now.duration_since(posted.heard).as_secs_f64() > BEACON_SILENT_AFTER;
            if silent && !posted.stale {
                posted.stale = true;
                let update = json!({"id": id, "serviced": serviced, "state": posted.state, "stale": true});
                outputs.push(publication(
                    &["beacon"],
                    "beacon_update",
                    &update,
                    Some(format!("beacon/{id}")),
                ));
            }
        }
    }
}

fn telemetry(channels: Vec<Channel>, event: &'static str, id: &str, data: &impl serde::Serialize) -> Output {
    let mut output = publication(&[], event, data, Some(format!("{event}/{id}")));
    if let Output::Publish(Publication { channels: to, record, .. }) = &mut output {
        *to = channels;
        *record = false;
    }
    output
}

/// A state without what changes although nothing has happened: dates, and the time that is left.
fn without_times(mut state: Value) -> Value {
    fn strip(value: &mut Value) {
        if let Value::Object(fields) = value {
            fields.retain(|name, _| !matches!(name.as_str(), "updated" | "vehTimeMin" | "vehTimeMax"));
            fields.values_mut().for_each(strip);
        }
    }
    strip(&mut state);
    state
}
