//! The bodies of DFX as owned values, the same in JSON and in protobuf.
//!
//! JSON is written as ASCII (`\uXXXX` for the rest), because the JavaScript client reads bytes as Latin-1; for the
//! same reason JSON that is not UTF-8 is read as Latin-1.

mod account;
mod measuring;
mod proto;
mod text;

use std::collections::BTreeMap;

pub use account::{Lifetimes, Login, RegisterLicense, Registered, ServerStatus, Token, Tokens};
pub use cloverleaf_core::dfx::body::{ChunkAction, Encoding, Place, chunk_number, code};
pub use measuring::{
    ById, Channel, Create, Created, Data, DataAck, Listed, Outcome, OutcomeError, Params, Retrieved, Series,
    Subscribe, Summary,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
pub use text::{ascii_json, parse_json};
use utoipa::ToSchema;

/// What is wrong with which field: sentences for people by the field's name.
pub type FieldErrors = BTreeMap<String, Messages>;

/// Sentences about one field. Read from `{"msgs": [...]}`; anything else becomes one sentence, its JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(from = "serde_json::Value")]
pub struct Messages {
    /// The sentences.
    pub msgs: Vec<String>,
}

impl From<serde_json::Value> for Messages {
    fn from(value: serde_json::Value) -> Self {
        let msgs = value.get("msgs").and_then(|msgs| Vec::<String>::deserialize(msgs).ok());
        Self { msgs: msgs.unwrap_or_else(|| vec![value.to_string()]) }
    }
}

/// The body of a response whose status is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Failure {
    /// What is wrong, for programs.
    #[serde(deserialize_with = "text::or_default")]
    pub code: String,
    /// What is wrong, for people.
    #[serde(deserialize_with = "text::or_default")]
    pub message: String,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "text::field_errors")]
    #[schema(value_type = BTreeMap<String, Messages>)]
    pub errors: FieldErrors,
    /// In how many milliseconds to ask again: only this server says so, and only in JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
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

    /// About how long the body is in JSON, so that large ones are written without growing.
    fn json_len(&self) -> usize {
        256
    }

    /// Writes the body.
    fn encode(&self, encoding: Encoding) -> Vec<u8> {
        match encoding {
            Encoding::Json => text::ascii_json_of(self, self.json_len()),
            Encoding::Proto => self.to_proto(),
        }
    }
}
