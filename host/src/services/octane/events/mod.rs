//! What OCTANE says on the wire: the states of its resources, the envelopes around them, and its messages.

mod radio;
mod record;
mod resource;

use cloverleaf_core::tscbm::Phases as PhaseSet;
use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};

pub use radio::*;
pub use record::*;
pub use resource::*;

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

impl utoipa::PartialSchema for Date {
    fn schema() -> RefOr<Schema> {
        let date_time = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        ObjectBuilder::new().schema_type(Type::String).format(Some(date_time)).into()
    }
}

impl ToSchema for Date {}

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
    pub serviced: Date,
    /// What was observed; `updated` in it is the time of whoever observed it.
    pub state: S,
    /// The source of this state has fallen silent: `updated` is as old as it looks. Left out while it speaks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
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
    pub channels: [Listed; 8],
}

/// What `error` carries: why an event was not carried out. No event of the original says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused<'a> {
    /// The event.
    pub event: &'a str,
    /// What is wrong.
    pub message: String,
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
