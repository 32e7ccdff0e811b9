//! What there is, as REST describes it.

use serde_json::Value;

use super::{Details, Kind, PhaseDescription, Resource, StageDescription};
use crate::road::facility::SensorKind;
use crate::road::intersection::Intersection;
use crate::road::mover::Place;
use crate::road::{Robot, Scenario};
use crate::services::octane::events::{self, AnyState, Bits, CrosswalkState, Id, Waypoint};
use crate::services::octane::view::View;

/// How many scenarios a robot has room for.
pub const MAX_ROBOT_SCENARIOS: usize = 64;

impl View<'_> {
    /// Every resource of a kind that stands on the road, in the order of their ids.
    pub fn items(&self, kind: Kind) -> Vec<Value> {
        // Every value has string keys and finite numbers, which is all that serialising to JSON can fail on.
        match kind {
            Kind::V2x => self.radios().map(|it| serde_json::to_value(it).unwrap_or_default()).collect(),
            _ => {
                let resources = self.resources(kind).into_iter();
                resources.map(|it| serde_json::to_value(it).unwrap_or_default()).collect()
            }
        }
    }

    /// The same for all kinds but radios, which have a form of their own.
    pub fn resources(&self, kind: Kind) -> Vec<Resource<AnyState>> {
        let road = self.road;
        let plain = |id: Id, name: &str, place: Place, state: AnyState| {
            self.resource(kind, id, || name.to_owned(), place, Some(state), Details::Nothing {})
        };
        match kind {
            Kind::Intersection => road.intersections.values().map(|it| self.intersection_item(it)).collect(),
            Kind::Signal => self.at_intersections(kind, |it| self.signals(it), AnyState::Signal),
            Kind::Crosswalk => {
                let away = road.crosswalks.values().map(|it| {
                    let state = self.crosswalk(it.walk(), it.left(), it.call, self.now());
                    let state = CrosswalkState { activated: Some(it.flashing()), ..state };
                    plain(self.id(it.site.id), &it.site.name, it.site.place, AnyState::Crosswalk(state))
                });
                away.chain(self.at_intersections(kind, |it| self.crosswalks(it), AnyState::Crosswalk))
                    .collect()
            }
            Kind::RailCrossing => {
                let state = |it| AnyState::RailCrossing(self.rail(it));
                let rails = road.rails.values();
                rails.map(|it| plain(self.id(it.site.id), &it.site.name, it.site.place, state(it))).collect()
            }
            Kind::Gate => {
                let gates = road.facility.gates.iter();
                let gates = gates.filter_map(|site| {
                    let state = AnyState::Gate(self.gate(road.gates.get(&site.id)?));
                    Some(plain(self.id(site.id), &site.name, site.place, state))
                });
                gates.collect()
            }
            Kind::Garage => {
                let garages = road.facility.garages.iter();
                let garages = garages.filter_map(|site| {
                    let state = AnyState::Garage(self.garage(road.garages.get(&site.id)?));
                    Some(plain(Id::Name(site.id.clone()), &site.name, site.place, state))
                });
                garages.collect()
            }
            Kind::Light => {
                let state = |it| AnyState::Light(self.light(it));
                let lights = road.lights.values();
                lights.map(|it| plain(self.id(it.site.id), &it.site.name, it.site.place, state(it))).collect()
            }
            Kind::Sensor => {
                let sensors = road.facility.sensors.iter();
                let sensors = sensors.filter_map(|site| {
                    let state = AnyState::Switch(self.switch(*road.sensors.get(&site.id)?));
                    let details = Details::Sensor { r#type: sensor_kind(site.kind) };
                    let id = Id::Name(site.id.clone());
                    let name = || site.name.clone();
                    Some(self.resource(kind, id, name, site.place, Some(state), details))
                });
                sensors.collect()
            }
            Kind::Robot => road.robots.values().map(|it| self.robot_item(it)).collect(),
            Kind::Beacon => {
                let beacons = road.beacons();
                let beacons = beacons.map(|(it, at)| {
                    plain(Id::Name(it.id.clone()), &it.id, at.place, AnyState::Beacon(self.beacon(it, at)))
                });
                beacons.collect()
            }
            Kind::V2x => Vec::new(),
        }
    }

    fn intersection_item(&self, intersection: &Intersection) -> Resource<AnyState> {
        let site = &intersection.site;
        let updated = intersection.updated().map(|at| self.date(at));
        let phases = site.phases().iter().map(|phase| PhaseDescription {
            number: phase,
            // Phase 2 leads south, 6 north, 4 west and 8 east; a left turn starts out beside the straight phase of
            // the other ring.
            bound: match phase {
                2 | 5 => "south",
                6 | 1 => "north",
                4 | 7 => "west",
                _ => "east",
            },
            turn: if phase % 2 == 0 { "through" } else { "left" },
            updated,
        });
        let stages = site.stages().into_iter().map(|phases| {
            let names: Vec<String> = phases.iter().map(|phase| phase.to_string()).collect();
            StageDescription { name: format!("Phases {}", names.join(" and ")), control_group: Bits(phases) }
        });
        let stages: Vec<_> = stages.collect();
        let details = Details::Intersection {
            instrument: "signal",
            street_main: site.main.clone(),
            street_cross: site.cross.clone(),
            style: match site.phases().iter().filter(|phase| phase % 2 == 0).count() {
                0..=2 => "straight",
                3 => "three-way",
                _ => "four-way",
            },
            v2x_intersection_id: site.v2x.clone(),
            phases: phases.collect(),
            stage: stages.clone(),
            stages,
        };
        let state = self.intersection(intersection).map(AnyState::Intersection);
        let (kind, id) = (Kind::Intersection, self.id(site.id));
        let item = self.resource(kind, id, || site.name.clone(), site.place, state, details);
        Resource { stale: self.is_silent(intersection), ..item }
    }

    /// The scenarios of a robot.
    pub fn scenarios(&self, robot: &Robot) -> Vec<events::Scenario> {
        robot.scenarios.iter().map(scenario).collect()
    }

    fn robot_item(&self, robot: &Robot) -> Resource<AnyState> {
        let details = Details::Robot { types: ["path"], scenarios: self.scenarios(robot) };
        let place = robot.position().place;
        let state = Some(AnyState::Robot(self.robot(robot)));
        let (id, name) = (self.id(robot.site.id), || robot.site.name.clone());
        self.resource(Kind::Robot, id, name, place, state, details)
    }

    fn at_intersections<S>(
        &self,
        kind: Kind,
        parts: impl Fn(&Intersection) -> Vec<(u32, Option<S>)>,
        any: impl Fn(S) -> AnyState,
    ) -> Vec<Resource<AnyState>> {
        let mut items = Vec::new();
        for intersection in self.road.intersections.values() {
            for (id, state) in parts(intersection) {
                let site = &intersection.site;
                let details = Details::Part { intersection: self.id(site.id) };
                let (number, state) = (self.id(id), state.map(&any));
                let name = || format!("{} {id}", site.name);
                let item = self.resource(kind, number, name, site.place, state, details);
                items.push(Resource { stale: self.is_silent(intersection), ..item });
            }
        }
        items
    }

    fn resource(
        &self,
        kind: Kind,
        id: Id,
        name: impl FnOnce() -> String,
        place: Place,
        state: Option<AnyState>,
        details: Details,
    ) -> Resource<AnyState> {
        let (name, uri) = if self.comparing {
            (String::new(), String::new())
        } else {
            (name(), format!("/api/{}/{id}", kind.name()))
        };
        let (url, Place { latitude, longitude }) = (uri.clone(), place);
        Resource { id, name, uri, url, latitude, longitude, state, stale: false, details }
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
