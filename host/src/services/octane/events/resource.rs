//! The states of resources, as `*_update` and REST carry them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Bits, Date};

/// A light.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Color {
    /// Stop.
    Red,
    /// Clear the intersection.
    Yellow,
    /// Go.
    Green,
}

/// The state of a resource of any kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs)]
pub enum AnyState {
    Intersection(IntersectionState),
    Signal(SignalState),
    Crosswalk(CrosswalkState),
    RailCrossing(RailCrossingState),
    Gate(GateState),
    Garage(GarageState),
    Light(LightState),
    Switch(SwitchState),
    Robot(RobotState),
    Beacon(BeaconState),
}

/// An intersection's controller.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct IntersectionState {
    pub enabled: bool,
    pub time_paused: bool,
    /// Seconds until commands are forgotten; 0 when they last.
    pub time_clear_control: u32,
    pub flash: bool,
    pub call_vehicle: Bits,
    pub call_pedestrian: Bits,
    pub omit: Bits,
    pub hold: Bits,
    pub force_off: Bits,
    pub pedestrian_clear: Bits,
    pub walk_dont: Bits,
    pub walk: Bits,
    pub phases: Phases,
    pub updated: Date,
}

/// The phases of an intersection: an array, or a map by phase number; clients of both kinds exist.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Phases {
    /// In rising order.
    Array(Vec<PhaseState>),
    /// By phase number.
    Map(BTreeMap<u8, PhaseState>),
}

/// One phase of an intersection.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct PhaseState {
    pub phase: u8,
    pub color: Color,
    /// Seconds until the colour may end.
    pub veh_time_min: f64,
    /// Seconds until it must have ended.
    pub veh_time_max: f64,
    pub call_vehicle: bool,
    pub call_pedestrian: bool,
    pub omit: bool,
    pub omit_pedestrian: bool,
    pub hold: bool,
    pub force_off: bool,
    pub pedestrian_clear: bool,
    pub walk_dont: bool,
    pub walk: bool,
}

/// A signal head facing one approach.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct SignalState {
    pub left: Movement,
    pub right: Movement,
    pub straight: Movement,
    pub updated: Date,
}

/// What a signal shows to one direction of travel; a direction it has no lamps for is disabled and without a colour.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Movement {
    pub color: Option<Color>,
    /// steady, flashing or disabled.
    pub status: &'static str,
    pub veh_time_min: f64,
    pub veh_time_max: f64,
    pub updated: Date,
}

/// A rail crossing.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct RailCrossingState {
    pub manual_call: bool,
    pub activated: bool,
    /// presignal, closing, closed, opening, postsignal or open.
    pub phase: Option<&'static str>,
    /// Whether the gates are anywhere but up.
    pub gate: bool,
    pub audible: bool,
    pub beacon: bool,
    pub updated: Date,
}

/// A crosswalk.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct CrosswalkState {
    pub call_pedestrian: bool,
    pub activated: Option<bool>,
    /// steady-walking-man, flashing-upraised-hand or steady-upraised-hand.
    pub phase: Option<&'static str>,
    /// Seconds left to finish crossing.
    pub countdown_time: Option<u16>,
    pub pedestrian_clear: bool,
    pub walk_dont: bool,
    pub walk: bool,
    pub updated: Date,
}

/// A gate.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct GateState {
    pub gate_call: bool,
    /// Whether it moves.
    pub activated: bool,
    /// Unknown while it moves.
    pub open: Option<bool>,
    pub updated: Date,
}

/// A garage.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct GarageState {
    /// Whether the door is anywhere but shut.
    pub open: bool,
    /// Whether the door moves.
    pub activated: bool,
    pub updated: Date,
}

/// A street light.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct LightState {
    pub enabled: bool,
    /// Percent.
    pub dim_level: u8,
    pub updated: Date,
}

/// A sensor, or a radio.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct SwitchState {
    pub enabled: bool,
    pub updated: Date,
}

/// A robot.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct RobotState {
    pub longitude: f64,
    pub latitude: f64,
    /// What it plays, or will once it is activated; left out while nothing is selected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario: Option<Scenario>,
    pub activated: bool,
    /// running, idle or off.
    pub status: &'static str,
    pub connection: Connection,
    pub charge: Charge,
    pub enabled: bool,
    pub updated: Date,
}

/// What a robot can play.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Scenario {
    #[serde(default)]
    pub id: u32,
    pub name: String,
    #[serde(default)]
    pub description: String,
    /// development, regression, production or other.
    #[serde(default = "other")]
    pub category: String,
    /// path: the only kind that the simulated robots play.
    #[serde(default = "path")]
    pub r#type: String,
    /// Whether it cannot be removed.
    #[serde(default)]
    pub lock: bool,
    /// Where it leads; a robot goes round it at the speed of its first point.
    #[serde(default)]
    pub path: Vec<Waypoint>,
}

fn other() -> String {
    "other".into()
}

fn path() -> String {
    "path".into()
}

/// A point of a robot's path.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Waypoint {
    pub longitude: f64,
    pub latitude: f64,
    /// Metres per second.
    #[serde(default = "walking_pace")]
    pub velocity: f64,
    #[serde(default)]
    pub acceleration: f64,
}

fn walking_pace() -> f64 {
    1.4
}

/// How something is connected.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct Connection {
    /// DSRC, WIFI, CELLULAR, ZIGBEE, ETHERNET or DIRECT.
    pub r#type: &'static str,
    /// Percent.
    pub strength: u8,
    /// Percent of what is sent that arrives.
    pub quality: u8,
    pub network: &'static str,
    pub updated: Date,
}

/// A battery.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct Charge {
    pub charging: bool,
    pub percent: u8,
    /// Volt.
    pub voltage: f64,
    pub updated: Date,
}

/// Somebody with a beacon.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct BeaconState {
    pub dynamics: Dynamics,
    pub v2x_communication: V2xCommunication,
    pub connection: Connection,
    pub charge: Charge,
    pub updated: Date,
}

/// Where something is and how it moves; what is not known is null.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct Dynamics {
    pub longitude: Option<f64>,
    pub latitude: Option<f64>,
    /// Degrees clockwise from north.
    pub heading: Option<f64>,
    /// Metres per second.
    pub velocity: Option<f64>,
    pub acceleration: Option<f64>,
    /// Metres.
    pub elevation: Option<f64>,
    pub updated: Date,
}

/// What a beacon says it is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct V2xCommunication {
    pub enabled: bool,
    /// pedestrian, bicyclist, worker, animal or vehicle.
    pub r#type: String,
}

/// A weather alert.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct WeatherAlert {
    pub id: String,
    pub description: String,
    pub instruction: String,
    pub state: WeatherAlertState,
}

/// What a weather alert says.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct WeatherAlertState {
    pub event: String,
    pub date_valid: Date,
    pub onset: Date,
    pub date_expire: Date,
    pub ends: Date,
    pub status: &'static str,
    pub severity: String,
    pub certainty: &'static str,
    pub urgency: &'static str,
    pub updated: Date,
}

/// What a weather station measured. Figures are text, as the original's.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Weather {
    #[serde(rename = "weatherStationID")]
    pub weather_station_id: u32,
    /// A day of the facility: `2024-05-06`.
    pub observation_date: String,
    pub observation_date_time: Date,
    /// Percent.
    pub humidity: String,
    /// Millimetres an hour.
    pub rain_rate_mm: String,
    pub temp_c: String,
    pub temp_f: String,
    pub short_forecast: &'static str,
    pub sun: Sun,
    pub wind: Wind,
}

/// What comes from the sun.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Sun {
    /// Watts per square metre.
    pub solar_radiation: String,
}

/// The wind.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Wind {
    /// Degrees clockwise from north that it comes from.
    pub direction: String,
    pub speed_knot: String,
    pub speed_mph: String,
}

/// A weather station.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct WeatherStation {
    pub id: String,
    pub name: String,
    pub url: String,
    /// WEATHERDOTGOV or WEATHERLINK.
    pub weather_station_type: &'static str,
    pub latitude: String,
    pub longitude: String,
}

/// A piece of safety equipment.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct SafetyEquipment {
    pub id: String,
    pub equipment_type: EquipmentType,
    pub state: EquipmentState,
}

/// What a piece of safety equipment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum EquipmentType {
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

/// Where a piece of safety equipment is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct EquipmentState {
    /// Whether it stands on the road.
    pub placed: bool,
    pub latitude: f64,
    pub longitude: f64,
}

/// A lawn mower.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct LawnMower {
    pub id: u32,
    pub name: String,
    #[serde(rename = "unitID")]
    pub unit_id: String,
    /// lawnmower.
    pub r#type: &'static str,
    pub state: LawnMowerState,
}

/// What a lawn mower does.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct LawnMowerState {
    pub mower_call: MowerCall,
    /// Percent.
    pub battery_charge: u8,
}

/// What a lawn mower is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum MowerCall {
    /// To mow.
    Start,
    /// To stay where it is.
    Pause,
    /// To go home and charge.
    Park,
}

/// The facility.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Facility {
    pub id: u32,
    pub uri: &'static str,
    pub name: String,
    pub url: &'static str,
    pub url_map: &'static str,
    pub longitude: f64,
    pub latitude: f64,
    #[schema(value_type = Vec<Object>)]
    pub overlays: [(); 0],
    pub contact: Contact,
    pub unit_distance: &'static str,
    pub unit_mass: &'static str,
}

/// Whom to call: nobody, at a simulated facility.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Contact {}
