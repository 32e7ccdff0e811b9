//! What stands where: the description of a facility, read from a TOML file.
//!
//! The file that is built in describes a test track with eleven intersections and is the example to copy:
//! `cloverleaf octane facility > my.toml`, edit, `cloverleaf serve --octane-facility my.toml`.

mod check;

use cloverleaf_core::tscbm::Phases;
use serde::Deserialize;

use super::controller;
use super::crossing;
use super::mover::Place;

/// The facility that is simulated when no file is given.
pub const BUILT_IN: &str = include_str!("facility.toml");

/// Why a description is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FacilityError {
    /// It is not TOML, or says something that no facility has.
    #[error(transparent)]
    Syntax(#[from] toml::de::Error),
    /// Two things of one kind have the same id.
    #[error("{kind} {id} is described twice")]
    Twice {
        /// Such as `gate`.
        kind: &'static str,
        /// The id.
        id: String,
    },
    /// Something refers to what is not described.
    #[error("{kind} {id} refers to {what}, which is not described")]
    Missing {
        /// Such as `crosswalk`.
        kind: &'static str,
        /// Its id.
        id: String,
        /// What it refers to.
        what: String,
    },
    /// A number is outside of what makes sense.
    #[error("{kind} {id}: {what}")]
    Range {
        /// Such as `intersection`.
        kind: &'static str,
        /// Its id.
        id: String,
        /// What is wrong.
        what: &'static str,
    },
}

/// A whole facility.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facility {
    /// Number by which it is known.
    pub id: u32,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// Minutes east of Greenwich, for dates on the wire.
    #[serde(default)]
    pub utc_offset_minutes: i16,
    /// Its intersections.
    #[serde(default, rename = "intersection")]
    pub intersections: Vec<Intersection>,
    /// Crosswalks away from intersections; those at intersections come with the intersection.
    #[serde(default, rename = "crosswalk")]
    pub crosswalks: Vec<Crosswalk>,
    /// Its rail crossings.
    #[serde(default, rename = "rail_crossing")]
    pub rail_crossings: Vec<RailCrossing>,
    /// Its gates.
    #[serde(default, rename = "gate")]
    pub gates: Vec<Gate>,
    /// Its garages.
    #[serde(default, rename = "garage")]
    pub garages: Vec<Garage>,
    /// Its street lights.
    #[serde(default, rename = "light")]
    pub lights: Vec<Light>,
    /// Its sensors.
    #[serde(default, rename = "sensor")]
    pub sensors: Vec<Sensor>,
    /// Its robots.
    #[serde(default, rename = "robot")]
    pub robots: Vec<Robot>,
    /// People and animals that carry a beacon.
    #[serde(default, rename = "beacon")]
    pub beacons: Vec<Beacon>,
    /// Vehicles with a radio.
    #[serde(default, rename = "vehicle")]
    pub vehicles: Vec<Vehicle>,
    /// Its lawn mowers.
    #[serde(default, rename = "lawn_mower")]
    pub lawn_mowers: Vec<LawnMower>,
    /// Its cones and barriers.
    #[serde(default)]
    pub safety_equipment: Vec<SafetyEquipment>,
    /// Its weather stations.
    #[serde(default, rename = "weather_station")]
    pub weather_stations: Vec<WeatherStation>,
    /// Weather alerts, raised one after another.
    #[serde(default, rename = "weather_alert")]
    pub weather_alerts: Vec<WeatherAlert>,
}

/// An intersection with signals.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intersection {
    /// Number by which it is known.
    pub id: u32,
    /// What it is called.
    pub name: String,
    /// The street of phases 2 and 6.
    pub main: String,
    /// The street of phases 4 and 8.
    pub cross: String,
    /// Where it is.
    pub place: Place,
    /// The id of its radio.
    pub v2x: String,
    /// The phases in use, 1 to 8.
    pub phases: Vec<u8>,
    /// Times that differ from the usual, for all phases of this intersection.
    #[serde(default)]
    pub timing: controller::Timing,
    /// Preemptions, numbered from 1: the phases each gives the intersection to.
    #[serde(default)]
    pub preempts: Vec<Vec<u8>>,
    /// Vehicles per minute that call each phase.
    #[serde(default = "usual_traffic")]
    pub traffic: f64,
}

fn usual_traffic() -> f64 {
    4.0
}

/// A crosswalk away from intersections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crosswalk {
    /// Number by which it is known.
    pub id: u32,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

/// A rail crossing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RailCrossing {
    /// Number by which it is known.
    pub id: u32,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// How long its stages last.
    #[serde(default)]
    pub timing: crossing::Timing,
    /// Seconds from one train to the next; 0 when none comes.
    #[serde(default)]
    pub train_every: u32,
    /// Seconds that a train needs to pass.
    #[serde(default)]
    pub train_for: u32,
    /// The intersection it preempts while it is closed, and by which of the intersection's preemptions.
    pub preempts: Option<(u32, usize)>,
}

/// A gate across a road.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Number by which it is known.
    pub id: u32,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// Tenths of a second it needs to open or close.
    #[serde(default = "usual_travel")]
    pub travel: u16,
}

fn usual_travel() -> u16 {
    80
}

/// A garage with a door.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Garage {
    /// Name by which it is known.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// Tenths of a second it needs to open or close.
    #[serde(default = "usual_travel")]
    pub travel: u16,
}

/// A street light.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Light {
    /// Number by which it is known.
    pub id: u32,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

/// What a sensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SensorKind {
    /// Several in one housing.
    Package,
    /// A camera.
    Camera,
    /// A lidar.
    Lidar,
    /// A radar.
    Radar,
}

/// A sensor beside the road.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    /// Name by which it is known.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub kind: SensorKind,
    /// Where it is.
    pub place: Place,
}

/// A robot: a target that can be driven over the track.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Robot {
    /// Number by which it is known.
    pub id: u32,
    /// What it is called.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// What it can be told to play, numbered from 1.
    #[serde(default, rename = "scenario")]
    pub scenarios: Vec<Scenario>,
}

/// What a robot can play: a closed path that it goes round while it is activated.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// Metres per second.
    pub speed: f64,
    /// The places it goes through, over and over.
    pub path: Vec<Place>,
}

/// A lawn mower.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LawnMower {
    /// Number by which it is known.
    pub id: u32,
    /// What it is called.
    pub name: String,
    /// What its maker calls it.
    pub unit: String,
}

/// What a piece of safety equipment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum EquipmentKind {
    Cone,
    Delineator,
    Barrel,
    ConcreteBarricade,
    WaterBarricade,
    SteelBarricade,
    AFrameBarricade,
    TypeOneBarricade,
    TypeTwoBarricade,
    Bollard,
}

/// A cone, barrel or barricade.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SafetyEquipment {
    /// Name by which it is known.
    pub id: String,
    /// What it is.
    pub kind: EquipmentKind,
    /// Where it belongs while it is not on the road.
    pub place: Place,
}

/// A weather station.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeatherStation {
    /// Number by which its observations name it.
    pub number: u32,
    /// Name by which it is known.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

/// Somebody with a beacon, on a closed path.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beacon {
    /// Name by which it is known.
    pub id: String,
    /// pedestrian, bicyclist, worker, animal or vehicle.
    pub kind: String,
    /// Metres per second.
    pub speed: f64,
    /// The places it goes through, over and over.
    pub path: Vec<Place>,
}

/// A vehicle with a radio, on a closed path.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vehicle {
    /// Eight hexadecimal digits.
    pub id: String,
    /// Metres per second.
    pub speed: f64,
    /// Metres from bumper to bumper.
    #[serde(default = "usual_length")]
    pub length: f64,
    /// Metres without mirrors.
    #[serde(default = "usual_width")]
    pub width: f64,
    /// The places it goes through, over and over.
    pub path: Vec<Place>,
}

fn usual_length() -> f64 {
    4.6
}

fn usual_width() -> f64 {
    1.9
}

/// A weather alert.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeatherAlert {
    /// What is coming, such as `Wind Advisory`.
    pub event: String,
    /// Minor, Moderate, Severe or Extreme.
    pub severity: String,
    /// What it means.
    pub description: String,
    /// What to do.
    pub instruction: String,
    /// Seconds after the start of the server at which it is raised.
    pub after: u32,
    /// Seconds until it ends.
    pub lasts: u32,
}

impl Facility {
    /// Reads a description and checks that it holds together.
    ///
    /// # Errors
    /// [`FacilityError`] says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, FacilityError> {
        let facility: Self = toml::from_str(text)?;
        facility.check()?;
        Ok(facility)
    }
}

impl Intersection {
    /// The phases in use.
    pub fn phases(&self) -> Phases {
        Phases::of(&self.phases)
    }

    /// The groups of phases that can be green together, numbered from 1.
    pub fn stages(&self) -> Vec<Phases> {
        let pairs =
            [[1, 5], [2, 6], [3, 7], [4, 8]].map(|pair| Phases::of(&pair).intersection(self.phases()));
        pairs.into_iter().filter(|pair| !pair.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_facility_holds_together() {
        let facility = Facility::parse(BUILT_IN).unwrap();
        assert_eq!(facility.intersections.len(), 11);
        assert_eq!(facility.intersections[3].id, 4);
        assert!(!facility.rail_crossings.is_empty() && !facility.beacons.is_empty());
    }

    #[test]
    fn what_does_not_hold_together_is_refused_with_the_reason() {
        let head = "id = 1\nname = 'n'\nplace = [0.0, 0.0]\n";
        let gate = "[[gate]]\nid = 1\nname = 'n'\nplace = [0.0, 0.0]\n";
        let crossing = "[[rail_crossing]]\nid = 1\nname = 'n'\nplace = [0.0, 0.0]\npreempts = [4, 1]\n";
        let intersection =
            "[[intersection]]\nid = 1\nname = 'n'\nmain = 'm'\ncross = 'c'\nplace = [0.0, 0.0]\n";
        let bad = |text: String, reason: &str| {
            let error = Facility::parse(&text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        };
        bad(format!("{head}{gate}{gate}"), "gate 1 is described twice");
        bad(format!("{head}{crossing}"), "rail_crossing 1 refers to preemption 1 of intersection 4");
        bad(format!("{head}{intersection}v2x = 'a'\nphases = [9]\n"), "phases are 1 to 8");
        bad(format!("{head}{intersection}v2x = 'a_b'\nphases = [2]\n"), "letters and digits");
        bad(format!("{head}colour = 'red'\n"), "colour");
        bad(format!("{head}utc_offset_minutes = 2000\n"), "a day at most");
        bad(format!("{head}{gate}travel = 0\n"), "gate 1: travel is a tenth of a second or more");
        bad(
            format!("{head}{}travel = 0\n", gate.replace("gate", "garage").replace("id = 1", "id = 'g'")),
            "garage g: travel",
        );
        let crosswalk = "[[crosswalk]]\nid = 11\nname = 'n'\nplace = [0.0, 0.0]\n";
        bad(
            format!("{head}{intersection}v2x = 'a'\nphases = [2]\n{crosswalk}"),
            "crosswalk 11 is described twice",
        );
        let vehicle = "[[vehicle]]\nid = '00000001'\nspeed = 1.0\npath = [[0.0, 0.0]]\n";
        bad(
            format!("{head}{intersection}v2x = 'a'\nphases = [2]\n{vehicle}"),
            "radio number 1 is described twice",
        );
        let train = crossing.replace("preempts = [4, 1]", "train_every = 10\ntrain_for = 11");
        bad(format!("{head}{train}"), "train_for is not longer than train_every");
        let beacon = "[[beacon]]\nid = 'b'\nkind = 'tree'\nspeed = 1.0\npath = [[0.0, 0.0]]\n";
        bad(format!("{head}{beacon}"), "beacon b: kind is pedestrian");
    }
}
