//! The bodies of DFX as owned values, the same in JSON and in protobuf.
//!
//! JSON is written as ASCII (`\uXXXX` for the rest), because the JavaScript client reads bytes as Latin-1; for the
//! same reason JSON that is not UTF-8 is read as Latin-1.

mod proto;
mod text;

use std::collections::BTreeMap;

pub use cloverleaf_core::dfx::body::{ChunkAction, Encoding, Place, chunk_number, code};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
pub use text::{ascii_json, parse_json};

/// What is wrong with which field: sentences for people by the field's name.
pub type FieldErrors = BTreeMap<String, Messages>;

/// Sentences about one field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// The sentences.
    #[serde(default)]
    pub msgs: Vec<String>,
}

/// Which measurement a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Params {
    /// The measurement.
    #[serde(rename = "ID", default)]
    pub id: String,
}

/// Action 0504: start a measurement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Create {
    /// The study that says what to measure.
    #[serde(rename = "StudyID")]
    pub study_id: String,
    /// 0: one value for each chunk; 100: the whole signal.
    pub resolution: u32,
    /// Whom it is about, if anyone.
    #[serde(rename = "UserProfileID")]
    pub user_profile_id: String,
    /// The partner on whose behalf, if any.
    #[serde(rename = "PartnerID")]
    pub partner_id: String,
}

/// The reply to 0504.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// The measurement.
    #[serde(rename = "ID")]
    pub id: String,
}

/// Action 0506: add a chunk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Data {
    /// Which measurement.
    pub params: Params,
    /// One of the six actions of a chunk.
    pub action: String,
    /// The number of the chunk; newer clients leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_order: Option<u32>,
    /// When the chunk begins, in seconds of the measurement; newer clients leave it out.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text::lenient_number")]
    pub start_time: Option<f64>,
    /// When it ends; newer clients leave it out.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text::lenient_number")]
    pub end_time: Option<f64>,
    /// How long the chunk is, in seconds; newer clients leave it out.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text::lenient_number")]
    pub duration: Option<f64>,
    /// The chunk itself; base64 in JSON.
    #[serde(with = "text::base64")]
    pub payload: Vec<u8>,
    /// A description of the chunk; base64 in JSON. Newer clients leave it out.
    #[serde(with = "text::base64", skip_serializing_if = "Vec::is_empty")]
    pub meta: Vec<u8>,
}

/// The reply to 0506.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DataAck {
    /// `<measurement>:<chunk>`
    #[serde(rename = "ID")]
    pub id: String,
    /// The number of the chunk.
    #[serde(default)]
    pub chunk_order: u32,
}

/// Action 0510: push results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Subscribe {
    /// Which measurement.
    pub params: Params,
    /// The id of the frames with results.
    #[serde(rename = "RequestID")]
    pub request_id: String,
}

/// Action 0718 and its reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Token {
    /// The token.
    pub token: String,
}

/// What one chunk told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Outcome {
    /// The measurement.
    #[serde(rename = "MeasurementID")]
    pub measurement_id: String,
    /// `<measurement>:<chunk>`
    #[serde(rename = "MeasurementDataID")]
    pub data_id: String,
    /// This result.
    #[serde(rename = "MeasurementResultID")]
    pub result_id: String,
    /// What values were multiplied by to be whole numbers.
    pub multiplier: u32,
    /// The signals, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<String, Channel>,
    /// How the analysis went.
    pub error: OutcomeError,
}

impl Outcome {
    /// The number of the chunk.
    pub fn chunk(&self) -> Option<u32> {
        chunk_number(&self.data_id)
    }

    /// The values of one signal in its own unit.
    pub fn values(&self, channel: &str) -> impl Iterator<Item = f64> + use<'_> {
        let multiplier = f64::from(self.multiplier.max(1));
        let data = self.channels.get(channel).map(|channel| channel.data.as_slice());
        data.unwrap_or_default().iter().map(move |value| f64::from(*value) / multiplier)
    }
}

/// The values of one signal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Channel {
    /// Values times the result's multiplier.
    pub data: Vec<i32>,
    /// The signal once more.
    pub channel: String,
    /// Remarks for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How the analysis of one chunk went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct OutcomeError {
    /// `OK`, or what is wrong.
    pub code: String,
    /// What is wrong with which signal.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: FieldErrors,
}

/// The body of a response whose status is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Failure {
    /// What is wrong, for programs.
    pub code: String,
    /// What is wrong, for people.
    pub message: String,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: FieldErrors,
}

/// The body is not the message that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// Not JSON, or not of the expected shape.
    #[error("not the expected JSON: {0}")]
    Json(String),
    /// Not protobuf, or not of the expected shape.
    #[error(transparent)]
    Proto(#[from] cloverleaf_core::dfx::body::proto::DecodeError),
}

/// A body in either encoding.
pub trait Body: Serialize + DeserializeOwned {
    /// Reads the body as protobuf.
    ///
    /// # Errors
    /// [`BadBody::Proto`].
    fn from_proto(bytes: &[u8]) -> Result<Self, BadBody>;

    /// Writes the body as protobuf.
    fn to_proto(&self) -> Vec<u8>;

    /// Reads the body; an empty one is a message of defaults in either encoding.
    ///
    /// # Errors
    /// [`BadBody`].
    fn decode(encoding: Encoding, bytes: &[u8]) -> Result<Self, BadBody> {
        match encoding {
            Encoding::Json if bytes.is_empty() => parse_json(b"{}"),
            Encoding::Json => parse_json(bytes),
            Encoding::Proto => Self::from_proto(bytes),
        }
    }

    /// Writes the body.
    fn encode(&self, encoding: Encoding) -> Vec<u8> {
        match encoding {
            Encoding::Json => ascii_json(self),
            Encoding::Proto => self.to_proto(),
        }
    }
}
