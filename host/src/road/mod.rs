//! The road: what a facility does by itself, and how it answers to commands.
//!
//! ```text
//!  facility     what stands where, from a file        intersection   a controller and its traffic, or a real one
//!  controller   eight phases, two rings, a barrier    crossing       the sequence of a rail crossing
//!  mover        who goes round a path                 parts          gates, crosswalks, robots, mowers, cones
//!  weather      what a weather station measures       mod            everything together, a tenth of a second at a time
//! ```
//!
//! Nothing here does I/O or reads a clock: [`Road::advance`] is told what time it is. Names and shapes are the
//! road's own; how OCTANE spells them is that service's business.

pub mod controller;
pub mod crossing;
pub mod facility;
pub mod intersection;
pub mod mover;
mod parts;
pub mod weather;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::clock::Moment;
use crossing::Crossing;
use facility::Facility;
use intersection::Intersection;
use mover::{Mover, Place, Position};
pub use parts::{Crosswalk, Door, Equipment, Light, Mower, MowerCall, Rail, Robot, Scenario};

/// What a tenth of a second is in milliseconds.
const STEP: u128 = 100;
/// How many steps are made up for when nobody has called for a while; the rest of the gap is skipped.
const CATCH_UP: u128 = 50;

/// A whole facility at work.
#[derive(Clone, Debug)]
pub struct Road {
    /// What stands where.
    pub facility: Facility,
    /// Its intersections.
    pub intersections: BTreeMap<u32, Intersection>,
    /// Its crosswalks away from intersections.
    pub crosswalks: BTreeMap<u32, Crosswalk>,
    /// Its rail crossings.
    pub rails: BTreeMap<u32, Rail>,
    /// Its gates.
    pub gates: BTreeMap<u32, Door>,
    /// The doors of its garages.
    pub garages: BTreeMap<String, Door>,
    /// Its street lights.
    pub lights: BTreeMap<u32, Light>,
    /// Whether each of its sensors is on.
    pub sensors: BTreeMap<String, bool>,
    /// Its robots.
    pub robots: BTreeMap<u32, Robot>,
    /// Its lawn mowers.
    pub mowers: BTreeMap<u32, Mower>,
    /// Its cones and barriers.
    pub equipment: BTreeMap<String, Equipment>,
    /// Its radios that are switched off.
    pub radios_off: BTreeSet<u32>,
    pedestrians: Vec<Mover>,
    vehicles: Vec<Mover>,
    /// When each of its weather alerts was raised, by their order in the facility.
    raised: BTreeMap<usize, Timestamp>,
    now: Moment,
    tenths: u64,
}

impl Road {
    /// A facility that has just been switched on.
    pub fn new(facility: Facility, now: Moment) -> Self {
        let mover = |path: &[Place], speed| Mover::new(path.to_vec(), speed);
        Self {
            intersections: facility
                .intersections
                .iter()
                .map(|it| (it.id, Intersection::new(it.clone(), now.wall)))
                .collect(),
            crosswalks: facility.crosswalks.iter().map(|it| (it.id, Crosswalk::new(it))).collect(),
            rails: facility
                .rail_crossings
                .iter()
                .map(|it| (it.id, Rail { site: it.clone(), crossing: Crossing::new(it.timing) }))
                .collect(),
            gates: facility.gates.iter().map(|it| (it.id, Door::new(it.travel))).collect(),
            garages: facility.garages.iter().map(|it| (it.id.clone(), Door::new(it.travel))).collect(),
            lights: facility
                .lights
                .iter()
                .map(|it| (it.id, Light { site: it.clone(), enabled: true, dim_level: 100 }))
                .collect(),
            sensors: facility.sensors.iter().map(|it| (it.id.clone(), true)).collect(),
            robots: facility.robots.iter().map(|it| (it.id, Robot::new(it))).collect(),
            mowers: facility.lawn_mowers.iter().map(|it| (it.id, Mower::new(it))).collect(),
            equipment: facility
                .safety_equipment
                .iter()
                .map(|it| (it.id.clone(), Equipment::new(it)))
                .collect(),
            radios_off: BTreeSet::new(),
            pedestrians: facility.beacons.iter().filter_map(|it| mover(&it.path, it.speed)).collect(),
            vehicles: facility.vehicles.iter().filter_map(|it| mover(&it.path, it.speed)).collect(),
            facility,
            raised: BTreeMap::new(),
            now,
            tenths: 0,
        }
    }

    /// Lets time pass until `now`, a tenth of a second at a time; answers how many have passed since the start.
    ///
    /// The clock that only counts says how many: when the wall's is set, only the dates change. Of a long gap all but
    /// five seconds are skipped.
    pub fn advance(&mut self, now: Moment) -> u64 {
        let whole_tenths = |moment: Moment| moment.elapsed.as_millis() / STEP;
        let steps = whole_tenths(now).saturating_sub(whole_tenths(self.now)).min(CATCH_UP);
        self.now = now;
        for _ in 0..steps {
            self.tenths += 1;
            self.step();
        }
        self.tenths
    }

    /// The moment until which it has gone on.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// How far local time is from Greenwich.
    pub fn offset(&self) -> Offset {
        let seconds = i32::from(self.facility.utc_offset_minutes) * 60;
        Offset::from_seconds(seconds).unwrap_or(Offset::UTC)
    }

    /// Where everybody with a beacon is, by the order of the facility's beacons.
    pub fn beacons(&self) -> impl Iterator<Item = (&facility::Beacon, Position)> {
        self.facility.beacons.iter().zip(self.pedestrians.iter().map(Mover::position))
    }

    /// Where every vehicle with a radio is, by the order of the facility's vehicles.
    pub fn vehicles(&self) -> impl Iterator<Item = (&facility::Vehicle, Position)> {
        self.facility.vehicles.iter().zip(self.vehicles.iter().map(Mover::position))
    }

    /// Puts everything that can be controlled back to how it is after switching on; what moves by itself goes on.
    pub fn reset(&mut self) {
        for intersection in self.intersections.values_mut() {
            intersection.enabled = true;
            intersection.reset();
        }
        self.crosswalks.values_mut().for_each(|it| it.call = false);
        for rail in self.rails.values_mut() {
            (rail.crossing.manual_call, rail.crossing.manual_left) = (false, None);
        }
        self.gates.values_mut().chain(self.garages.values_mut()).for_each(|it| it.call = false);
        self.lights.values_mut().for_each(|it| (it.enabled, it.dim_level) = (true, 100));
        self.sensors.values_mut().for_each(|on| *on = true);
        self.robots.values_mut().for_each(Robot::reset);
        self.mowers.values_mut().for_each(|it| it.call = MowerCall::Park);
        self.equipment.values_mut().for_each(Equipment::reset);
        self.radios_off.clear();
    }

    /// Every weather alert that has been raised so far, each with its number from 1 and its beginning.
    pub fn past_alerts(&self) -> impl Iterator<Item = (usize, &facility::WeatherAlert, Timestamp)> {
        let alerts = self.facility.weather_alerts.iter().enumerate();
        alerts.filter_map(|(at, alert)| Some((at + 1, alert, *self.raised.get(&at)?)))
    }

    /// The weather alerts that are raised now, each with its number from 1 and its beginning.
    pub fn alerts(&self) -> impl Iterator<Item = (usize, &facility::WeatherAlert, Timestamp)> {
        let end = |alert: &facility::WeatherAlert| (u64::from(alert.after) + u64::from(alert.lasts)) * 10;
        self.past_alerts().filter(move |(_, alert, _)| self.tenths < end(alert))
    }

    fn step(&mut self) {
        for crosswalk in self.crosswalks.values_mut() {
            crosswalk.step();
        }
        for rail in self.rails.values_mut() {
            let (every, lasts) = (u64::from(rail.site.train_every) * 10, u64::from(rail.site.train_for) * 10);
            rail.crossing.train = every > 0 && self.tenths % every >= every.saturating_sub(lasts);
            rail.crossing.step();
        }
        for intersection in self.intersections.values_mut() {
            let mut rails = self.rails.values().filter(|rail| rail.crossing.flashing());
            let by_rail = rails.find_map(|rail| {
                let (id, preempt) = rail.site.preempts?;
                (id == intersection.site.id).then_some(preempt)
            });
            intersection.step(self.now.wall, by_rail);
        }
        self.gates.values_mut().chain(self.garages.values_mut()).for_each(Door::step);
        self.robots.values_mut().for_each(Robot::step);
        self.mowers.values_mut().for_each(Mower::step);
        self.pedestrians.iter_mut().chain(&mut self.vehicles).for_each(|mover| mover.advance(0.1));
        for (at, alert) in self.facility.weather_alerts.iter().enumerate() {
            if self.tenths >= u64::from(alert.after) * 10 {
                self.raised.entry(at).or_insert(self.now.wall);
            }
        }
    }
}
