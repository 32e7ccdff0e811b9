//! Bodies as JSON. Requests are written and replies read by serde-json-core, straight from and into borrowed
//! text: no allocation, and no tree.
//!
//! Limits, typed and bounded: strings come as they are on the wire, escapes included (ids and codes have none);
//! what is not JSON by its grammar, and nesting deeper than [`MAX_DEPTH`], is refused before anything is read: the
//! parser skips unknown fields by recursion, and scalars up to the next comma, whatever they hold.
//!
//! ```
//! use cloverleaf_core::dfx::body::json::{self, DataAck, Params, Subscribe};
//! let body = Subscribe { params: Params { id: "155e020e" }, request_id: "rslt000001" };
//! let mut buf = [0; 80];
//! assert_eq!(
//!     json::encode(&body, &mut buf).unwrap(),
//!     br#"{"Params":{"ID":"155e020e"},"RequestID":"rslt000001"}"#,
//! );
//! let ack: DataAck = json::decode(br#"{"ID":"155e020e:1","ChunkOrder":1}"#).unwrap();
//! assert_eq!(ack.chunk_order, Some(1));
//! ```

use core::fmt;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use heapless::{LinearMap, Vec};
use serde::{Deserialize, Serialize, Serializer};

/// How deeply arrays and objects of a body may nest. Results need 4.
pub const MAX_DEPTH: usize = 16;

/// Which measurement a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Params<'a> {
    /// The measurement.
    #[serde(rename = "ID")]
    pub id: &'a str,
}

/// Action 0504.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Create<'a> {
    /// The study that says what to measure.
    #[serde(rename = "StudyID")]
    pub study_id: &'a str,
    /// 0: one value for each chunk; 100: the whole signal.
    #[serde(rename = "Resolution")]
    pub resolution: u32,
    /// Whom it is about, if anyone.
    #[serde(rename = "UserProfileID")]
    pub user_profile_id: &'a str,
    /// The partner on whose behalf, if any.
    #[serde(rename = "PartnerID")]
    pub partner_id: &'a str,
}

/// The reply to 0504.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Created<'a> {
    /// The measurement.
    #[serde(rename = "ID")]
    pub id: &'a str,
}

/// Action 0506.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Data<'a> {
    /// Which measurement.
    #[serde(rename = "Params")]
    pub params: Params<'a>,
    /// One of the six [`ChunkAction`](super::ChunkAction)s.
    #[serde(rename = "Action")]
    pub action: &'a str,
    /// The chunk itself; base64 on the wire.
    #[serde(rename = "Payload", serialize_with = "base64")]
    pub payload: &'a [u8],
}

fn base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(bytes, &STANDARD))
}

/// The reply to 0506.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct DataAck<'a> {
    /// `<measurement>:<chunk>`; see [`chunk_number`](super::chunk_number).
    #[serde(rename = "ID")]
    pub id: &'a str,
    /// The number of the chunk.
    #[serde(rename = "ChunkOrder")]
    pub chunk_order: Option<u32>,
}

/// Action 0510. Its reply is an empty object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Subscribe<'a> {
    /// Which measurement.
    #[serde(rename = "Params")]
    pub params: Params<'a>,
    /// The id that results are to carry: ten characters.
    #[serde(rename = "RequestID")]
    pub request_id: &'a str,
}

/// Action 0718, and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token<'a> {
    /// The token.
    #[serde(rename = "Token")]
    pub token: &'a str,
}

/// The body of a response whose status is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Failure<'a> {
    /// What is wrong, for programs; see [`code`](super::code).
    #[serde(rename = "Code")]
    pub code: &'a str,
    /// What is wrong, for people; escapes as on the wire.
    #[serde(rename = "Message")]
    pub message: Option<&'a str>,
}

/// A pushed result with room for `CHANNELS` signals of `VALUES` values each.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct Outcome<'a, const CHANNELS: usize, const VALUES: usize> {
    /// The measurement.
    #[serde(rename = "MeasurementID")]
    pub measurement_id: &'a str,
    /// `<measurement>:<chunk>`; the only thing that orders results.
    #[serde(rename = "MeasurementDataID")]
    pub data_id: &'a str,
    /// What values were multiplied by to be whole numbers; absent when there are no channels.
    #[serde(rename = "Multiplier")]
    pub multiplier: Option<u32>,
    /// The signals, by name.
    #[serde(rename = "Channels", default)]
    pub channels: LinearMap<&'a str, Channel<VALUES>, CHANNELS>,
    /// How the analysis went.
    #[serde(rename = "Error")]
    pub error: OutcomeError<'a>,
}

/// The values of one signal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Channel<const VALUES: usize> {
    /// Values times the result's multiplier.
    #[serde(rename = "Data")]
    pub data: Vec<i32, VALUES>,
}

/// How the analysis of one chunk went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct OutcomeError<'a> {
    /// `OK`, or what is wrong.
    #[serde(rename = "Code")]
    pub code: &'a str,
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DecodeError {
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// Not JSON, not the expected object, or more signals or values than there is room for.
    Unexpected,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooDeep => write!(f, "JSON nests deeper than {MAX_DEPTH}"),
            Self::Unexpected => f.write_str("not the expected JSON object"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// The caller's buffer is smaller than the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body does not fit the buffer")
    }
}

impl core::error::Error for TooLong {}

/// Reads a body; unknown fields are skipped.
///
/// # Errors
/// [`DecodeError`].
pub fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, DecodeError> {
    let body = crate::json::document(body).map_err(|error| match error {
        crate::json::Error::Depth => DecodeError::TooDeep,
        _ => DecodeError::Unexpected,
    })?;
    if depth(body) > MAX_DEPTH {
        return Err(DecodeError::TooDeep);
    }
    serde_json_core::from_slice(body).map(|(value, _)| value).map_err(|_| DecodeError::Unexpected)
}

/// Writes a body to the start of `buf` and returns that part.
///
/// # Errors
/// [`TooLong`].
pub fn encode<'b>(body: &impl Serialize, buf: &'b mut [u8]) -> Result<&'b [u8], TooLong> {
    let len = serde_json_core::to_slice(body, buf).map_err(|_| TooLong)?;
    buf.get(..len).ok_or(TooLong)
}

/// The deepest nesting of a body that is known to be JSON.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
