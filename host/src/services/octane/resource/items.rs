//! What there is, as REST describes it.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Kind, Resource};
use crate::road::facility::SensorKind;
use crate::road::junction::Junction;
use crate::road::mover::Place;
use crate::road::{Robot, Scenario};
use crate::services::octane::events::{self, Bits, Id, Waypoint};
use crate::services::octane::view::View;

/// How many scenarios a robot has room for.
pub const MAX_ROBOT_SCENARIOS: usize = 64;

impl View<'_> {
    /// Every resource of a kind that stands on the road, in the order of their ids.
    pub fn items(&self, kind: Kind) -> Vec<Value> {
        let road = self.road;
        match kind {
            Kind::Intersection => road.junctions.values().map(|it| self.intersection_item(it)).collect(),
            Kind::Signal => self.at_junctions(kind, |it| self.signals(it)),
            Kind::Crosswalk => {
                let away = road.crosswalks.values().map(|it| {
                    let state = self.crosswalk(it.walk(), it.left(), it.call, self.now());
                    self.plain(kind, self.id(it.site.id), &it.site.name, it.site.place, state)
                });
                away.chain(self.at_junctions(kind, |it| self.crosswalks(it))).collect()
            }
            Kind::RailCrossing => {
                let rails = road.rails.values();
                rails
                    .map(|it| {
                        self.plain(kind, self.id(it.site.id), &it.site.name, it.site.place, self.rail(it))
                    })
                    .collect()
            }
            Kind::Gate => {
                let gates =
                    road.facility.gates.iter().filter_map(|site| Some((site, road.gates.get(&site.id)?)));
                gates
                    .map(|(it, door)| self.plain(kind, self.id(it.id), &it.name, it.place, self.gate(door)))
                    .collect()
            }
            Kind::Garage => {
                let doors =
                    road.facility.garages.iter().filter_map(|site| Some((site, road.garages.get(&site.id)?)));
                doors
                    .map(|(it, door)| {
                        self.plain(kind, Id::Name(it.id.clone()), &it.name, it.place, self.garage(door))
                    })
                    .collect()
            }
            Kind::Light => {
                let lights = road.lights.values();
                lights
                    .map(|it| {
                        self.plain(kind, self.id(it.site.id), &it.site.name, it.site.place, self.light(it))
                    })
                    .collect()
            }
            Kind::Sensor => {
                let sensors = road
                    .facility
                    .sensors
                    .iter()
                    .filter_map(|site| Some((site, *road.sensors.get(&site.id)?)));
                sensors
                    .map(|(it, on)| {
                        let further = json!({"type": sensor_kind(it.kind)});
                        let id = Id::Name(it.id.clone());
                        self.item_of(kind, id, &it.name, it.place, Some(self.switch(on)), further)
                    })
                    .collect()
            }
            Kind::Robot => road.robots.values().map(|it| self.robot_item(it)).collect(),
            Kind::Beacon => {
                let beacons = road.beacons();
                beacons
                    .map(|(it, at)| {
                        self.plain(kind, Id::Name(it.id.clone()), &it.id, at.place, self.beacon(it, at))
                    })
                    .collect()
            }
            Kind::V2x => self.radios().map(|radio| serde_json::to_value(radio).unwrap_or_default()).collect(),
        }
    }

    fn intersection_item(&self, junction: &Junction) -> Value {
        let site = &junction.site;
        let updated = junction.updated().map(|at| self.date(at));
        let phases: Vec<Value> = site
            .phases()
            .iter()
            .map(|phase| {
                // Phase 2 leads south, 6 north, 4 west and 8 east; a left turn starts out beside the straight phase
                // of the other ring.
                let bound = match phase {
                    2 | 5 => "south",
                    6 | 1 => "north",
                    4 | 7 => "west",
                    _ => "east",
                };
                let turn = if phase % 2 == 0 { "through" } else { "left" };
                json!({"number": phase, "bound": bound, "turn": turn, "updated": updated})
            })
            .collect();
        let stages: Vec<Value> = site
            .stages()
            .into_iter()
            .map(|phases| {
                let names: Vec<String> = phases.iter().map(|phase| phase.to_string()).collect();
                json!({"name": format!("Phases {}", names.join(" and ")), "controlGroup": Bits(phases)})
            })
            .collect();
        let arms = site.phases().iter().filter(|phase| phase % 2 == 0).count();
        let further = json!({
            "instrument": "signal",
            "streetMain": site.main,
            "streetCross": site.cross,
            "style": match arms { 0..=2 => "straight", 3 => "three-way", _ => "four-way" },
            "v2xIntersectionId": site.v2x,
            "phases": phases,
            "stages": stages,
            // What stages were called in 2019.
            "stage": stages,
        });
        let item = self.item_of(
            Kind::Intersection,
            self.id(site.id),
            &site.name,
            site.place,
            self.intersection(junction),
            further,
        );
        self.marked(junction, item)
    }

    /// The scenarios of a robot.
    pub fn scenarios(&self, robot: &Robot) -> Vec<events::Scenario> {
        robot.scenarios.iter().map(scenario).collect()
    }

    fn robot_item(&self, robot: &Robot) -> Value {
        let further = json!({"types": ["path"], "scenarios": self.scenarios(robot)});
        let place = robot.position().place;
        let state = Some(self.robot(robot));
        self.item_of(Kind::Robot, self.id(robot.site.id), &robot.site.name, place, state, further)
    }

    fn at_junctions<S: Serialize>(
        &self,
        kind: Kind,
        parts: impl Fn(&Junction) -> Vec<(u32, S)>,
    ) -> Vec<Value> {
        let junctions = self.road.junctions.values();
        junctions
            .flat_map(|it| parts(it).into_iter().map(move |(id, state)| (it, id, state)))
            .map(|(it, id, state)| {
                let name = format!("{} {id}", it.site.name);
                let further = json!({"intersection": self.id(it.site.id)});
                let item = self.item_of(kind, self.id(id), &name, it.site.place, Some(state), further);
                self.marked(it, item)
            })
            .collect()
    }

    /// What is said of a junction, marked if its controller has fallen silent.
    fn marked(&self, junction: &Junction, mut item: Value) -> Value {
        if self.is_silent(junction) {
            item["stale"] = json!(true);
        }
        item
    }

    fn plain(&self, kind: Kind, id: Id, name: &str, place: Place, state: impl Serialize) -> Value {
        self.item_of(kind, id, name, place, Some(state), json!({}))
    }

    fn item_of<S: Serialize>(
        &self,
        kind: Kind,
        id: Id,
        name: &str,
        place: Place,
        state: Option<S>,
        further: Value,
    ) -> Value {
        let uri = format!("/api/{}/{id}", kind.name());
        let Place { latitude, longitude } = place;
        let (name, url) = (name.to_owned(), uri.clone());
        let resource = Resource { id, name, uri, url, latitude, longitude, state, stale: false, further };
        serde_json::to_value(resource).unwrap_or_default()
    }
}

/// A scenario as it is described on the wire.
pub(in crate::services::octane) fn scenario(scenario: &Scenario) -> events::Scenario {
    let course = &scenario.course;
    let waypoint = |place: &Place| Waypoint {
        longitude: place.longitude,
        latitude: place.latitude,
        velocity: course.speed,
        acceleration: 0.0,
    };
    events::Scenario {
        id: scenario.id,
        name: course.name.clone(),
        description: String::new(),
        category: "other".into(),
        r#type: "path".into(),
        lock: scenario.locked,
        path: course.path.iter().map(waypoint).collect(),
    }
}

/// What a sensor is, in words.
fn sensor_kind(kind: SensorKind) -> &'static str {
    match kind {
        SensorKind::Package => "PACKAGE",
        SensorKind::Camera => "CAMERA",
        SensorKind::Lidar => "LIDAR",
        SensorKind::Radar => "RADAR",
    }
}
