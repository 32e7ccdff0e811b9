//! The resources of REST and of the `*_request` and `*_update` events.
//!
//! ```text
//!  items     what there is and what it looks like        asked     what can be asked of it
//!  control   how it obeys
//! ```

mod asked;
mod control;
mod items;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::events::Id;

pub use asked::*;
pub use control::{add_scenario, control, preempt, remove_scenario};
pub use items::MAX_ROBOT_SCENARIOS;
pub(super) use items::scenario as described;

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Kind {
    Intersection,
    Signal,
    Crosswalk,
    RailCrossing,
    Gate,
    Garage,
    Light,
    Sensor,
    Robot,
    Beacon,
    V2x,
}

impl Kind {
    /// The kinds that REST serves in the common form; radios have one of their own.
    pub const ALL: [Self; 10] = [
        Self::Intersection,
        Self::Signal,
        Self::Crosswalk,
        Self::RailCrossing,
        Self::Gate,
        Self::Garage,
        Self::Light,
        Self::Sensor,
        Self::Robot,
        Self::Beacon,
    ];

    /// Its name, which is also that of its channel.
    pub const fn name(self) -> &'static str {
        self.names().0
    }

    /// Its plural.
    pub const fn plural(self) -> &'static str {
        self.names().1
    }

    /// The event that says that something was asked of it.
    pub const fn request(self) -> &'static str {
        self.names().2
    }

    /// The event that says what it is like.
    pub const fn update(self) -> &'static str {
        self.names().3
    }

    #[rustfmt::skip]
    const fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Intersection => ("intersection", "intersections", "intersection_request", "intersection_update"),
            Self::Signal       => ("signal",       "signals",       "signal_request",       "signal_update"),
            Self::Crosswalk    => ("crosswalk",    "crosswalks",    "crosswalk_request",    "crosswalk_update"),
            Self::RailCrossing => ("railcrossing", "railcrossings", "railcrossing_request", "railcrossing_update"),
            Self::Gate         => ("gate",         "gates",         "gate_request",         "gate_update"),
            Self::Garage       => ("garage",       "garages",       "garage_request",       "garage_update"),
            Self::Light        => ("light",        "lights",        "light_request",        "light_update"),
            Self::Sensor       => ("sensor",       "sensors",       "sensor_request",       "sensor_update"),
            Self::Robot        => ("robot",        "robots",        "robot_request",        "robot_update"),
            Self::Beacon       => ("beacon",       "beacons",       "beacon_request",       "beacon_update"),
            Self::V2x          => ("v2x",          "v2xs",          "v2x_request",          "v2x_update"),
        }
    }
}

/// A resource as REST describes it; `state` is what its updates carry.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Resource<S> {
    /// How it is known.
    pub id: Id,
    /// What it is called.
    pub name: String,
    /// Its path on this server.
    pub uri: String,
    /// The same.
    pub url: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// What is known of it; null until its source has said something.
    pub state: Option<S>,
    /// The source of the state has fallen silent. Left out while it speaks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// What only this kind has.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub further: Value,
}

/// Why something cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// There is no such resource.
    #[error("there is no {0} {1}")]
    Unknown(&'static str, String),
    /// What is asked is not well formed.
    #[error("{0}")]
    Malformed(String),
    /// It cannot be asked of this kind.
    #[error("a {0} cannot be controlled")]
    Fixed(&'static str),
    /// Its real controller is only listened to.
    #[error("intersection {0} has a controller of its own, which is only listened to")]
    Heard(u32),
    /// There is no room for more.
    #[error("{0}")]
    Full(String),
}

/// What `PATCH` carries.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Patch<T> {
    /// What is to change; what is left out stays.
    pub state: T,
}

/// The id of a resource as REST describes it.
pub fn id_of(item: &Value) -> Option<Id> {
    serde_json::from_value(item.get("id")?.clone()).ok()
}

/// Whether a resource as REST describes it is known by this id, or is a radio of this name.
pub fn is_called(item: &Value, id: &str) -> bool {
    id_of(item).is_some_and(|it| it.to_string() == id)
        || (item.get("radiosSupported").is_some() && item["name"] == id)
}

/// Reads what is asked.
///
/// # Errors
/// [`ControlError::Malformed`] names what was expected.
pub fn parse<T: DeserializeOwned>(asked: &RawValue) -> Result<T, ControlError> {
    serde_json::from_str(asked.get()).map_err(|error| ControlError::Malformed(error.to_string()))
}
