//! What can be asked of each kind of resource.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::services::octane::events::{Bits, Color, MowerCall};

/// What can be asked of an intersection.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntersectionControl {
    /// Forget all earlier commands, before the rest of this one.
    #[serde(default)]
    pub reset: bool,
    /// Whether to listen to commands at all.
    pub enabled: Option<bool>,
    /// Phases to pass over.
    pub omit: Option<Bits>,
    /// Phases to keep green, or the number of a stage.
    #[schema(value_type = Option<String>)]
    pub hold: Option<Hold>,
    /// Phases to end.
    pub force_off: Option<Bits>,
    /// Phases whose pedestrians to pass over.
    pub omit_pedestrian: Option<Bits>,
    /// Phases that a vehicle waits for.
    pub call_vehicle: Option<Bits>,
    /// Phases that a pedestrian waits for.
    pub call_pedestrian: Option<Bits>,
    /// Flash instead of running the plan.
    pub flash: Option<bool>,
    /// Stop the controller's clock.
    pub time_paused: Option<bool>,
    /// Seconds until all commands are forgotten; 0 for never.
    pub time_clear_control: Option<u32>,
}

/// Phases to hold: a set, or a stage, numbered from 1.
#[derive(Debug, Clone, Copy)]
pub enum Hold {
    /// These phases.
    Phases(Bits),
    /// Those of this stage.
    Stage(usize),
}

impl<'de> Deserialize<'de> for Hold {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let stage = || text.parse().ok().filter(|_| text.len() < 3).map(Self::Stage);
        Bits::parse(&text).map(Self::Phases).or_else(stage).ok_or_else(|| {
            serde::de::Error::custom("hold: eight characters 0 or 1, or the number of a stage")
        })
    }
}

/// What can be asked of a signal.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct SignalControl {
    /// Forget all earlier commands of its intersection.
    #[serde(default)]
    pub reset: bool,
    /// Flash the whole intersection.
    pub flash: Option<bool>,
    /// The left turn.
    pub left: Option<MovementControl>,
    /// Straight on.
    pub straight: Option<MovementControl>,
    /// The right turn, which goes with straight on.
    pub right: Option<MovementControl>,
}

/// What a direction of travel is to show.
#[derive(Debug, Deserialize, ToSchema)]
pub struct MovementControl {
    /// Green is called for and held, red and yellow end a green: the controller sees to it that nobody else has green
    /// against it.
    pub color: Color,
}

/// What can be asked of a rail crossing.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RailCrossingControl {
    /// Close it.
    pub manual_call: Option<bool>,
    /// The same.
    pub activated: Option<bool>,
    /// Seconds until the call ends by itself.
    pub manual_call_time_override: Option<u32>,
}

/// What can be asked of a crosswalk.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrosswalkControl {
    /// Somebody waits.
    #[serde(default)]
    pub call_pedestrian: bool,
}

/// What can be asked of a gate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateControl {
    /// Whether it is to open.
    pub gate_call: bool,
}

/// What can be asked of a garage.
#[derive(Debug, Deserialize, ToSchema)]
pub struct GarageControl {
    /// Whether it is to open.
    pub open: bool,
}

/// What can be asked of a street light.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LightControl {
    /// Whether it is to be on.
    pub enabled: Option<bool>,
    /// Percent.
    pub dim_level: Option<u8>,
}

/// What can be asked of something that is on or off.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SwitchControl {
    /// Whether it is to be on.
    pub enabled: bool,
}

/// What can be asked of a piece of safety equipment.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct EquipmentControl {
    /// Whether it stands on the road.
    pub placed: Option<bool>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
}

/// What can be asked of a lawn mower.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MowerControl {
    /// What it is to do.
    pub mower_call: MowerCall,
}

/// What can be asked of the facility.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ResetControl {
    /// Whether it is meant.
    pub confirm: bool,
}

/// What can be asked of a robot.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct RobotControl {
    /// Whether it may move.
    pub enabled: Option<bool>,
    /// Whether it is to play its scenario.
    pub activated: Option<bool>,
    /// The scenario to play.
    pub scenario: Option<ScenarioControl>,
}

/// A scenario by its number.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ScenarioControl {
    /// Numbered from 1.
    pub id: u32,
}
