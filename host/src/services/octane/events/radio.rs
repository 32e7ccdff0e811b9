//! What radios say, and what they are.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Bits16, Color, Date, Id};

/// What an intersection's controller broadcasts ten times a second, read from its datagram.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Spat {
    pub id: String,
    pub message_set: &'static str,
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
    pub updated: Date,
    pub longitude: f64,
    pub latitude: f64,
    pub elevation: f64,
    pub speed: f64,
    pub heading: f64,
    pub r#type: String,
    pub size: &'static str,
}

/// A radio beside the road, in a vehicle or with a pedestrian.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct V2x {
    pub id: Id,
    pub uri: String,
    pub name: String,
    pub url: String,
    pub longitude: f64,
    pub latitude: f64,
    /// RSU, OBU or VRU.
    pub r#type: &'static str,
    pub radios_supported: Vec<RadioSupported>,
    pub state: V2xState,
    /// Nobody has heard of it for a while. Left out while somebody does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
}

/// A kind of message that a radio sends or hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct RadioSupported {
    /// DSRC or CV2X.
    pub radio: &'static str,
    pub message_set: &'static str,
    /// BSM, PSM, SPaT, MAP, TIM or RTCM.
    pub message_type: &'static str,
    pub rx_enabled: bool,
    pub tx_enabled: bool,
}

/// What is known of a radio.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
#[allow(missing_docs)]
pub enum V2xState {
    Fixed(FixedRadio),
    Moving(MovingRadio),
}

/// A radio beside the road.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct FixedRadio {
    pub enabled: bool,
    pub radios_enabled: Vec<RadioSupported>,
    /// When its source last said something; left out before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<Date>,
    pub longitude: f64,
    pub latitude: f64,
}

/// A radio that moves.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct MovingRadio {
    pub enabled: bool,
    pub updated: Date,
    pub longitude: f64,
    pub latitude: f64,
    /// Metres.
    pub elevation: f64,
    /// Metres per second.
    pub speed: f64,
    /// Degrees clockwise from north.
    pub heading: f64,
    /// Degrees of the steering wheel.
    pub angle: f64,
}
