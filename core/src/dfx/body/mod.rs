//! What frames carry: the same messages as JSON (`json`, feature `dfx-json`) or as protobuf (`proto`, feature
//! `dfx-proto`), as the connection's subprotocol says.

use core::fmt;

#[cfg(feature = "dfx-json")]
pub mod json;
#[cfg(feature = "dfx-proto")]
pub mod proto;

/// How bodies are written on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Encoding {
    /// JSON objects with PascalCase keys: the subprotocol `json`.
    Json,
    /// Protocol buffers: the subprotocol `proto`, and what clients that offer none speak.
    Proto,
}

impl Encoding {
    /// The encoding of a subprotocol; without one it is protobuf, as the first clients had it.
    pub fn of_subprotocol(name: Option<&str>) -> Option<Self> {
        match name {
            Some("json") => Some(Self::Json),
            Some("proto") | None => Some(Self::Proto),
            Some(_) => None,
        }
    }

    /// The subprotocol to offer.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Proto => "proto",
        }
    }
}

/// Where a chunk stands in its measurement, and whether a result is wanted for it.
///
/// ```
/// use cloverleaf_core::dfx::body::{ChunkAction, Place};
/// let only: ChunkAction = "LAST::PROCESS".parse().unwrap();
/// assert_eq!(only, ChunkAction { place: Place::Last, process: true });
/// assert_eq!(only.as_str(), "LAST::PROCESS");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChunkAction {
    /// First, middle or last.
    pub place: Place,
    /// Whether the chunk is to be worked on, or ignored.
    pub process: bool,
}

/// Where a chunk stands in its measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Place {
    /// Begins the measurement; what was added before is dropped.
    First,
    /// Goes on.
    Chunk,
    /// Ends the measurement. The only chunk of a short one is its last.
    Last,
}

impl ChunkAction {
    /// Every action of a chunk, with its text on the wire.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self { place: Place::First, process: true }, "FIRST::PROCESS"),
        (Self { place: Place::First, process: false }, "FIRST::IGNORE"),
        (Self { place: Place::Chunk, process: true }, "CHUNK::PROCESS"),
        (Self { place: Place::Chunk, process: false }, "CHUNK::IGNORE"),
        (Self { place: Place::Last, process: true }, "LAST::PROCESS"),
        (Self { place: Place::Last, process: false }, "LAST::IGNORE"),
    ];

    /// The action of chunk `index` of `count` chunks, all to be processed.
    pub const fn of(index: usize, count: usize) -> Self {
        let place = if index.saturating_add(1) >= count {
            Place::Last
        } else if index == 0 {
            Place::First
        } else {
            Place::Chunk
        };
        Self { place, process: true }
    }

    /// The text on the wire.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(action, _)| *action == self).map_or("", |(_, text)| text)
    }
}

impl core::str::FromStr for ChunkAction {
    type Err = BadChunkAction;

    fn from_str(text: &str) -> Result<Self, BadChunkAction> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(action, _)| *action).ok_or(BadChunkAction)
    }
}

/// Not one of the six actions of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BadChunkAction;

impl fmt::Display for BadChunkAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a chunk's action is FIRST, CHUNK or LAST, then ::PROCESS or ::IGNORE")
    }
}

impl core::error::Error for BadChunkAction {}

/// The number of a chunk: what follows the colon in a `MeasurementDataID`.
///
/// ```
/// use cloverleaf_core::dfx::body::chunk_number;
/// assert_eq!(chunk_number("155e020e:11"), Some(11));
/// assert_eq!(chunk_number("155e020e"), None);
/// ```
pub fn chunk_number(data_id: &str) -> Option<u32> {
    data_id.rsplit_once(':')?.1.parse().ok()
}

/// What `Code` says in errors, and `Error.Code` in results.
#[allow(missing_docs, reason = "the names are the service's own and say what they mean")]
pub mod code {
    pub const OK: &str = "OK";
    pub const RATE_LIMIT: &str = "RATE_LIMIT";
    pub const MEASUREMENT_CLOSED: &str = "MEASUREMENT_CLOSED";
    pub const MISALIGNED_CHUNK: &str = "MISALIGNED_CHUNK";
    pub const INVALID_MEASUREMENT: &str = "INVALID_MEASUREMENT";
    pub const UNPACKER_RPC_ERROR: &str = "UNPACKER_RPC_ERROR";
    pub const INCORRECT_REQUEST: &str = "INCORRECT_REQUEST";
    pub const VALIDATION_ERROR: &str = "VALIDATION_ERROR";
    pub const INVALID_TOKEN: &str = "INVALID_TOKEN";
    pub const TOKEN_EXPIRED: &str = "TOKEN_EXPIRED";
    pub const INVALID_USER: &str = "INVALID_USER";
    pub const INVALID_PASSWORD: &str = "INVALID_PASSWORD";
    pub const INTERNAL_ERROR: &str = "INTERNAL_ERROR";
    pub const LIVENESS_ERROR: &str = "LIVENESS_ERROR";
    pub const ANALYSIS_ERROR: &str = "ANALYSIS_ERROR";
    pub const WORKER_ERROR: &str = "WORKER_ERROR";
}
