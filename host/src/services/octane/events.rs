//! What OCTANE says on the wire: the states of its resources, the envelopes around them, and its messages.

use std::collections::BTreeMap;

use cloverleaf_core::tscbm::Phases as PhaseSet;
use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A moment, written with milliseconds and the facility's offset: `2022-04-05T12:00:10.157-04:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// The moment.
    pub at: Timestamp,
    /// How far the facility is from Greenwich.
    pub offset: Offset,
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_str(&self.at.to_zoned(self.offset.to_time_zone()).strftime("%Y-%m-%dT%H:%M:%S.%3f%:z"))
    }
}

/// How a resource is known: most by a number, some by a name, all by text if the server is told so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Id {
    /// A number.
    Number(u32),
    /// A name.
    Name(String),
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(id) => id.fmt(f),
            Self::Name(id) => id.fmt(f),
        }
    }
}

/// A set of phases as eight characters, the rightmost of which is phase 1: `"00100001"` is phases 1 and 6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, example = "00100010")]
pub struct Bits(pub PhaseSet);

/// The same for the sixteen phases of a SPaT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, example = "0000000000100010")]
pub struct Bits16(pub PhaseSet);

impl Serialize for Bits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:08b}", self.0.bits() & 0xFF))
    }
}

impl Serialize for Bits16 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016b}", self.0.bits()))
    }
}

impl<'de> Deserialize<'de> for Bits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("eight characters 0 or 1 expected"))
    }
}

impl Bits {
    /// Reads eight characters 0 or 1.
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0' | b'1'));
        let bits = well_formed.then(|| u16::from_str_radix(text, 2).ok()).flatten()?;
        Some(Self(PhaseSet::from_bits(bits)))
    }
}

/// A state that was observed, of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Update<S> {
    /// Which resource.
    pub id: Id,
    /// When the server passed this on.
    #[schema(value_type = String)]
    pub serviced: Date,
    /// What was observed; `updated` in it is the time of whoever observed it.
    pub state: S,
    /// The source of this state has fallen silent: `updated` is as old as it looks. Left out while it speaks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
}

/// A light.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Color {
    /// Stop.
    Red,
    /// Clear the junction.
    Yellow,
    /// Go.
    Green,
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
    #[schema(value_type = String)]
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
    pub left: Option<Movement>,
    pub right: Option<Movement>,
    pub straight: Option<Movement>,
    #[schema(value_type = String)]
    pub updated: Date,
}

/// What a signal shows to one direction of travel.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Movement {
    pub color: Option<Color>,
    /// steady, flashing or disabled.
    pub status: &'static str,
    pub veh_time_min: f64,
    pub veh_time_max: f64,
    #[schema(value_type = String)]
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
    #[schema(value_type = String)]
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
    #[schema(value_type = String)]
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
    #[schema(value_type = String)]
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
    #[schema(value_type = String)]
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
    #[schema(value_type = String)]
    pub updated: Date,
}

/// A sensor, or a radio.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct SwitchState {
    pub enabled: bool,
    #[schema(value_type = String)]
    pub updated: Date,
}

/// A robot.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct RobotState {
    pub longitude: f64,
    pub latitude: f64,
    pub scenario: Option<Scenario>,
    pub activated: bool,
    pub status: &'static str,
    pub connection: Connection,
    pub charge: Charge,
    pub enabled: bool,
    #[schema(value_type = String)]
    pub updated: Date,
}

/// What a robot can play.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct Scenario {
    pub id: u32,
    pub name: String,
}

/// How something is connected.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct Connection {
    /// DSRC, WIFI, CELLULAR, ZIGBEE, ETHERNET or DIRECT.
    pub r#type: &'static str,
    /// Percent.
    pub strength: u8,
    pub network: &'static str,
    #[schema(value_type = String)]
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
    #[schema(value_type = String)]
    pub updated: Date,
}

/// Somebody with a beacon.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct BeaconState {
    pub dynamics: Dynamics,
    pub v2x_communication: V2xCommunication,
    #[schema(value_type = String)]
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
    #[schema(value_type = String)]
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
    pub id: Id,
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
    #[schema(value_type = String)]
    pub date_valid: Date,
    #[schema(value_type = String)]
    pub onset: Date,
    #[schema(value_type = String)]
    pub date_expire: Date,
    #[schema(value_type = String)]
    pub ends: Date,
    pub status: &'static str,
    pub severity: String,
    pub certainty: &'static str,
    pub urgency: &'static str,
    #[schema(value_type = String)]
    pub updated: Date,
}

/// What an intersection's controller broadcasts ten times a second, read from its datagram.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Spat {
    pub id: String,
    pub message_set: &'static str,
    #[schema(value_type = String)]
    pub updated: Date,
    /// Seconds since midnight on the controller's clock, with three decimals.
    pub time_system: String,
    pub green: Bits16,
    pub yellow: Bits16,
    pub red: Bits16,
    pub walk: Bits16,
    pub walk_dont: Bits16,
    pub pedestrian_clear: Bits16,
    pub flash: Bits16,
    pub overlap: SpatOverlap,
    pub phases: Vec<SpatPhase>,
}

/// The overlaps of a SPaT.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct SpatOverlap {
    pub green: Bits16,
    pub yellow: Bits16,
    pub red: Bits16,
    pub flash: Bits16,
}

/// One phase of a SPaT; times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct SpatPhase {
    pub phase: u8,
    pub color: Color,
    pub flash: bool,
    pub walk: bool,
    pub walk_dont: bool,
    pub pedestrian_clear: bool,
    pub overlap: SpatPhaseOverlap,
    pub veh_time_min: f64,
    pub veh_time_max: f64,
    pub ped_time_min: f64,
    pub ped_time_max: f64,
    pub overlap_min: f64,
    pub overlap_max: f64,
}

/// The overlap of the same number as a phase.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct SpatPhaseOverlap {
    pub green: bool,
    pub yellow: bool,
    pub red: bool,
    pub flash: bool,
}

/// A message of a radio as it was on the air.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct V2xRaw {
    pub id: String,
    pub message_set: &'static str,
    #[schema(value_type = String)]
    pub updated: Date,
    /// Hexadecimal.
    pub data: String,
}

/// A vehicle's basic safety message.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Bsm {
    /// Eight hexadecimal digits.
    pub id: String,
    pub id_temporary: String,
    pub id_fixed: String,
    pub message_set: &'static str,
    /// Metres.
    pub vehicle_length: f64,
    pub vehicle_width: f64,
    #[schema(value_type = String)]
    pub updated: Date,
    pub longitude: f64,
    pub latitude: f64,
    pub elevation: f64,
    /// Metres per second.
    pub speed: f64,
    /// Degrees clockwise from north.
    pub heading: f64,
    /// Degrees of the steering wheel.
    pub angle: f64,
}

/// A pedestrian's safety message.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Psm {
    /// Eight hexadecimal digits.
    pub id: String,
    pub message_set: &'static str,
    #[schema(value_type = String)]
    pub updated: Date,
    pub longitude: f64,
    pub latitude: f64,
    pub elevation: f64,
    pub speed: f64,
    pub heading: f64,
    pub r#type: String,
    pub size: &'static str,
}

/// One line of the listing of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The channel.
    pub name: &'static str,
    /// Whether the client who asks has joined it.
    pub subscribed: bool,
}

/// The answer to `channels`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Channels {
    /// Every channel that is announced.
    pub channels: Vec<Listed>,
}

/// The answers `auth_ok` and `auth_fail`, and the parting word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Message<'a> {
    /// What happened.
    pub message: &'a str,
}

/// The answer to `join`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Joined<'a> {
    /// The channel.
    pub join: &'a str,
}

/// The answer to `leave`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Left<'a> {
    /// The channel.
    pub leave: &'a str,
}

/// What the server tells everybody on `facility`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FacilityMessage {
    /// The words.
    pub message: String,
    /// NOTIFY, WEATHER or SCHEDULE.
    pub r#type: String,
    /// When.
    #[schema(value_type = String)]
    pub time: Date,
}

/// What `auth` carries, in a packet of its own or as the payload of CONNECT.
#[derive(Debug, Deserialize)]
pub struct Credentials {
    /// The key.
    #[serde(rename = "x-api-key", alias = "X-API-KEY", alias = "token")]
    pub key: String,
}

/// What `join` and `leave` carry.
#[derive(Debug, Deserialize)]
pub struct Which {
    /// The channel.
    pub channel: String,
}
