//! Whether a description of a facility holds together.

use std::collections::HashSet;

use super::{Facility, FacilityError};
use crate::road::controller::PHASES;

/// The largest number of an intersection: those of its signals have a digit more.
const MAX_INTERSECTION: u32 = 99_999_999;

impl Facility {
    pub(super) fn check(&self) -> Result<(), FacilityError> {
        let range =
            |kind, id: &dyn ToString, what| Err(FacilityError::Range { kind, id: id.to_string(), what });
        if self.utc_offset_minutes.unsigned_abs() > 24 * 60 {
            return range("facility", &self.id, "utc_offset_minutes is a day at most");
        }
        if let Some(it) = self.intersections.iter().find(|it| it.id > MAX_INTERSECTION) {
            return range("intersection", &it.id, "id has eight digits at most");
        }
        unique("intersection", self.intersections.iter().map(|it| it.id.to_string()))?;
        unique("radio", self.intersections.iter().map(|it| it.v2x.clone()))?;
        // Those of an intersection are its number and a digit.
        let heads = self.intersections.iter().flat_map(|it| (1..=4).map(move |head| it.id * 10 + head));
        unique("crosswalk", self.crosswalks.iter().map(|it| it.id).chain(heads).map(|id| id.to_string()))?;
        unique("rail_crossing", self.rail_crossings.iter().map(|it| it.id.to_string()))?;
        unique("gate", self.gates.iter().map(|it| it.id.to_string()))?;
        unique("garage", self.garages.iter().map(|it| it.id.clone()))?;
        unique("light", self.lights.iter().map(|it| it.id.to_string()))?;
        unique("sensor", self.sensors.iter().map(|it| it.id.clone()))?;
        unique("robot", self.robots.iter().map(|it| it.id.to_string()))?;
        unique("beacon", self.beacons.iter().map(|it| it.id.clone()))?;
        unique("vehicle", self.vehicles.iter().map(|it| it.id.clone()))?;
        unique("lawn_mower", self.lawn_mowers.iter().map(|it| it.id.to_string()))?;
        unique("safety_equipment", self.safety_equipment.iter().map(|it| it.id.clone()))?;
        unique("weather_station", self.weather_stations.iter().map(|it| it.id.clone()))?;
        for it in &self.intersections {
            let range = |what| range("intersection", &it.id, what);
            let known = |phases: &[u8]| phases.iter().all(|phase| (1..=PHASES).contains(phase));
            let times = &it.timing;
            let longest = [times.min_green, times.max_green, times.passage, times.yellow, times.red_clear]
                .into_iter()
                .chain([times.walk, times.pedestrian_clear])
                .max();
            if it.phases.is_empty() || !known(&it.phases) || !it.preempts.iter().all(|it| known(it)) {
                return range("phases are 1 to 8, and at least one");
            }
            if longest.is_none_or(|longest| longest > 6_000) || times.yellow < 30 || times.min_green == 0 {
                return range("no time is over 600 s, a yellow is 3 s or more, a green is not empty");
            }
            if !(0.0..=60.0).contains(&it.traffic) {
                return range("traffic is 0 to 60 vehicles a minute");
            }
            if it.v2x.is_empty()
                || it.v2x.len() > 16
                || !it.v2x.bytes().all(|byte| byte.is_ascii_alphanumeric())
            {
                return range("v2x is 1 to 16 letters and digits");
            }
            // A radio's channel goes by either of its names, so one's number cannot be another's v2x.
            if self.intersections.iter().any(|other| other.id != it.id && other.id.to_string() == it.v2x) {
                return range("v2x is the number of another intersection");
            }
        }
        for it in &self.rail_crossings {
            let Some((id, preempt)) = it.preempts else { continue };
            let intersection = self.intersections.iter().find(|intersection| intersection.id == id);
            if intersection.is_none_or(|intersection| !(1..=intersection.preempts.len()).contains(&preempt)) {
                let what = format!("preemption {preempt} of intersection {id}");
                return Err(FacilityError::Missing { kind: "rail_crossing", id: it.id.to_string(), what });
            }
        }
        let movers = self.beacons.iter().map(|it| ("beacon", &it.id, &it.path, it.speed));
        let movers = movers.chain(self.vehicles.iter().map(|it| ("vehicle", &it.id, &it.path, it.speed)));
        let scenarios = self.robots.iter().flat_map(|it| &it.scenarios);
        let movers = movers.chain(scenarios.map(|it| ("scenario", &it.name, &it.path, it.speed)));
        for (kind, id, path, speed) in movers {
            if path.is_empty() || !(0.0..=100.0).contains(&speed) {
                return range(kind, id, "a path has a place and a speed of 0 to 100 m/s");
            }
        }
        for it in &self.vehicles {
            if it.id.len() != 8 || u32::from_str_radix(&it.id, 16).is_err() {
                return range("vehicle", &it.id, "id is eight hexadecimal digits");
            }
        }
        // Radios are switched by their numbers.
        let vehicles = self.vehicles.iter().filter_map(|it| u32::from_str_radix(&it.id, 16).ok());
        let radios = self.intersections.iter().map(|it| it.id).chain(vehicles);
        unique("radio number", radios.map(|number| number.to_string()))?;
        for it in &self.beacons {
            if !["pedestrian", "bicyclist", "worker", "animal", "vehicle"].contains(&it.kind.as_str()) {
                return range("beacon", &it.id, "kind is pedestrian, bicyclist, worker, animal or vehicle");
            }
        }
        for it in &self.rail_crossings {
            if it.train_every > 0 && it.train_for > it.train_every {
                return range("rail_crossing", &it.id, "train_for is not longer than train_every");
            }
        }
        let still = "travel is a tenth of a second or more";
        match (self.gates.iter().find(|it| it.travel == 0), self.garages.iter().find(|it| it.travel == 0)) {
            (Some(gate), _) => range("gate", &gate.id, still),
            (None, Some(garage)) => range("garage", &garage.id, still),
            (None, None) => Ok(()),
        }
    }
}

fn unique(kind: &'static str, ids: impl Iterator<Item = String>) -> Result<(), FacilityError> {
    let mut seen = HashSet::new();
    for id in ids {
        if !seen.insert(id.clone()) {
            return Err(FacilityError::Twice { kind, id });
        }
    }
    Ok(())
}
