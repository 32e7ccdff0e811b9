//! The shapes on the wire of `room:*`.

use cloverleaf_core::json;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What is known of somebody present; the refs are added when it is tracked.
#[derive(Debug, Serialize)]
pub(super) struct Meta<'a> {
    pub(super) typing: &'a RawValue,
    pub(super) username: &'a RawValue,
}

/// A message that is kept: all three are there and say something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shout {
    /// Who says it.
    pub name: String,
    /// What.
    pub body: String,
    /// Where it belongs, by the sender's word; usually the topic without `room:`.
    pub channel: String,
}

impl Shout {
    /// The longest that is kept: name, body and channel together, in bytes as they were sent.
    pub const LONGEST: usize = 4096;

    /// The message in a payload, if it is one that is kept.
    pub(super) fn valid(payload: &[u8]) -> Option<Self> {
        let length = |key| json::member(payload, key).map_or(0, <[u8]>::len);
        if length("name") + length("body") + length("channel") > Self::LONGEST {
            return None;
        }
        let said = |key| {
            let text: String = json::characters(json::member(payload, key)?).collect();
            (!text.trim().is_empty()).then_some(text)
        };
        Some(Self { name: said("name")?, body: said("body")?, channel: said("channel")? })
    }
}
