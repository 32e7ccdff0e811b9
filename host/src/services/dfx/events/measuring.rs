//! Measurements: from their creation to their results.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FieldErrors, Messages, chunk_number, text};

/// Which measurement a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Params {
    /// The measurement.
    #[serde(rename = "ID", default)]
    pub id: String,
}

/// Action 0504: start a measurement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Create {
    /// The study that says what to measure.
    #[serde(rename = "StudyID", deserialize_with = "text::or_default")]
    pub study_id: String,
    /// 0: one value for each chunk; 100: the whole signal.
    #[serde(deserialize_with = "text::or_default")]
    pub resolution: u32,
    /// Whom it is about, if anyone.
    #[serde(rename = "UserProfileID", deserialize_with = "text::or_default")]
    pub user_profile_id: String,
    /// The version of the device; newer clients leave it out.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text::or_default")]
    pub device_version: String,
    /// Remarks; newer clients leave them out.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text::or_default")]
    pub notes: String,
    /// `DISCRETE` and the like; newer clients leave it out.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text::or_default")]
    pub mode: String,
    /// The partner on whose behalf, if any.
    #[serde(rename = "PartnerID", deserialize_with = "text::or_default")]
    pub partner_id: String,
}

/// The reply to 0504.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Created {
    /// The measurement.
    #[serde(rename = "ID")]
    pub id: String,
}

/// Action 0506: add a chunk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
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
    #[schema(value_type = String, format = Byte)]
    pub payload: Bytes,
    /// A description of the chunk; in JSON base64, and from the first clients plain text. Newer ones leave it out.
    #[serde(
        serialize_with = "text::base64::serialize",
        deserialize_with = "text::base64::lenient",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schema(value_type = String)]
    pub meta: Vec<u8>,
}

/// The reply to 0506.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Subscribe {
    /// Which measurement.
    pub params: Params,
    /// The id of the frames with results.
    #[serde(rename = "RequestID")]
    pub request_id: String,
}

/// What one chunk told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
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
    #[serde(deserialize_with = "text::or_default")]
    pub multiplier: u32,
    /// The signals, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "text::or_default")]
    pub channels: BTreeMap<String, Channel>,
    /// How the analysis went.
    #[serde(deserialize_with = "text::or_default")]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct OutcomeError {
    /// `OK`, or what is wrong.
    #[serde(deserialize_with = "text::or_default")]
    pub code: String,
    /// What is wrong with which signal; never empty when something is, for the C++ client walks through it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "text::field_errors")]
    #[schema(value_type = BTreeMap<String, Messages>)]
    pub errors: FieldErrors,
}

/// Action 0500, and others about one measurement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct ById {
    /// Which measurement.
    pub params: Params,
}

/// What is told of a measurement wherever it is told of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Summary {
    /// The measurement.
    #[serde(rename = "ID")]
    pub id: String,
    /// The study that says what was measured.
    #[serde(rename = "StudyID")]
    pub study_id: String,
    /// How far it is: `CAPTURING`, `PROCESSING`, `COMPLETE`, `ERROR` or `INCOMPLETE`.
    #[serde(rename = "StatusID")]
    pub status_id: String,
    /// Whom it is about, if anyone.
    #[serde(rename = "UserProfileID")]
    pub user_profile_id: String,
    /// The partner on whose behalf, if any.
    #[serde(rename = "PartnerID")]
    pub partner_id: String,
    /// Who measured.
    #[serde(rename = "UserID")]
    pub user_id: String,
    /// With what.
    #[serde(rename = "DeviceID")]
    pub device_id: String,
    /// The version of that.
    pub device_version: String,
    /// `DISCRETE`, or what was asked for.
    pub mode: String,
    /// When it began, in seconds since 1970.
    pub created: u32,
    /// When something was last added, in seconds since 1970.
    pub updated: u32,
}

/// One measurement of the reply to 0501.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Listed {
    /// The measurement.
    #[serde(flatten)]
    pub summary: Summary,
    /// How many there are, whatever the limit.
    pub total_count: usize,
}

/// The reply to 0500. Protobuf has the summary only: its results are free-form there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Retrieved {
    /// The measurement.
    #[serde(flatten)]
    pub summary: Summary,
    /// 0: one value for each chunk; 100: the whole signal.
    pub resolution: u32,
    /// The values of all chunks, by signal. Always one series.
    #[schema(value_type = BTreeMap<String, Vec<Series>>)]
    pub results: BTreeMap<String, [Series; 1]>,
    /// The names of those signals.
    pub signal_names: BTreeMap<String, String>,
    /// Their units.
    pub signal_units: BTreeMap<String, String>,
    /// What they are.
    pub signal_descriptions: BTreeMap<String, String>,
    /// More about them: at least the `category`.
    #[schema(value_type = Object)]
    pub signal_config: BTreeMap<String, serde_json::Value>,
}

/// The values of one signal in all chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Series {
    /// The signal.
    pub channel: String,
    /// Values times the multiplier.
    pub data: Vec<i32>,
    /// What values were multiplied by to be whole numbers.
    pub multiplier: u32,
}
