//! The resources of REST and of the `*_request` and `*_update` events.
//!
//! ```text
//!  items     what there is and what it looks like        control_requests   what can be asked of it
//!  control   how it obeys
//! ```

mod control;
mod control_requests;
mod items;

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_path_to_error::Track;
use utoipa::ToSchema;

use super::events::{Bits, Date, Id, Scenario};

pub use control::{add_scenario, control, preempt, remove_scenario};
pub use control_requests::*;
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
    pub details: Details,
}

/// What only some kinds of resources have.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
#[allow(missing_docs)]
pub enum Details {
    Nothing {},
    Intersection {
        instrument: &'static str,
        street_main: String,
        street_cross: String,
        /// straight, three-way or four-way.
        style: &'static str,
        v2x_intersection_id: String,
        phases: Vec<PhaseDescription>,
        stages: Vec<StageDescription>,
        /// What stages were called in 2019.
        stage: Vec<StageDescription>,
    },
    /// A signal's or a crosswalk's intersection.
    Part {
        intersection: Id,
    },
    /// PACKAGE, CAMERA, LIDAR or RADAR.
    Sensor {
        r#type: &'static str,
    },
    Robot {
        types: [&'static str; 1],
        scenarios: Vec<Scenario>,
    },
}

/// Where a phase of an intersection leads.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct PhaseDescription {
    pub number: u8,
    pub bound: &'static str,
    pub turn: &'static str,
    pub updated: Option<Date>,
}

/// Phases of an intersection that go together.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct StageDescription {
    pub name: String,
    pub control_group: Bits,
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
    ReadOnly(u32),
    /// It has been switched off.
    #[error("{0} {1} is not enabled")]
    Disabled(&'static str, String),
    /// There is no room for more.
    #[error("{0}")]
    Full(String),
}

/// A message that may quote what somebody sent, cut in its middle where that is long.
pub(super) fn brief(message: &str) -> String {
    const ENDS: usize = 150;
    let (head, tail) = (message.char_indices().nth(ENDS), message.char_indices().nth_back(ENDS - 1));
    match (head, tail) {
        (Some((head, _)), Some((tail, _))) if head < tail => {
            format!("{}…{}", message.get(..head).unwrap_or_default(), message.get(tail..).unwrap_or_default())
        }
        _ => message.to_owned(),
    }
}

/// What `PATCH` carries.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct Patch<T> {
    /// What is to change; what is left out stays.
    #[serde(deserialize_with = "object")]
    pub state: T,
}

/// Reads an object. Readers that are derived take an array for one, by the order of its fields: `[]` would ask nothing,
/// and be obeyed.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(fields))
        }
    }

    deserializer.deserialize_map(Object(PhantomData))
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

/// Reads what is asked, which is an object.
///
/// # Errors
/// [`ControlError::Malformed`] names the field and what was expected there.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, ControlError> {
    let (mut json, mut track) = (serde_json::Deserializer::from_str(text), Track::new());
    let value = object(serde_path_to_error::Deserializer::new(&mut json, &mut track)).map_err(|error| {
        let path = track.path().to_string();
        ControlError::Malformed(if path == "." { error.to_string() } else { format!("{path}: {error}") })
    })?;
    json.end().map_err(|error| ControlError::Malformed(error.to_string()))?;
    Ok(value)
}
