//! What a reply means, as it is shown and as JSON.

use cloverleaf_core::bus::Address;
use serde::Serialize;
use serde_json::{Map, Value as Json};

/// What a reply means.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The name of the command, or the request as it was given.
    pub command: String,
    /// What the adapter said of itself and the bus: `NO DATA`, `SEARCHING...`.
    pub status: Vec<&'static str>,
    /// What the ECUs answered, in the order in which they spoke.
    pub answers: Vec<Answer>,
    /// The signals of all answers; where two ECUs have the same, the last to speak counts.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub signals: Map<String, Json>,
    /// Messages that began and did not end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
    /// Lines of data that are no frames; of very many, the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    /// Why there is no answer, if the question or the reply is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What one ECU answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Answer {
    /// Its address; null if the reply has no headers.
    pub ecu: Option<String>,
    /// The PID, where one request asked several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<&'static str>,
    /// The value of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Json>,
    /// The symbol of its unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    /// Every single value: by the ID of the signal set, else by the abbreviation of SAE J1979-DA.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub signals: Map<String, Json>,
    /// The units of those that have one.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub units: Map<String, Json>,
    /// Signals that the car has not got, or has no value for now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unavailable: Vec<String>,
    /// The data in hexadecimal, if no table or signal set knows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The same as text, if they may be that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<AnswerError>,
    /// The line that completed it, counted from 1; 0 if there are no lines.
    #[serde(skip)]
    pub end: u16,
}

impl Answer {
    /// An answer of this ECU that says nothing yet.
    pub(super) fn of(source: Address) -> Self {
        let ecu = (source != Address::HIDDEN).then(|| source.to_string());
        Self { ecu, ..Self::default() }
    }

    /// Whether there is any value in it.
    pub fn has_value(&self) -> bool {
        self.value.is_some() || self.data.is_some() || !self.signals.is_empty()
    }
}

/// Why an ECU has no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnswerError {
    /// The code of a negative response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nrc: Option<u8>,
    /// The reason in words.
    pub text: String,
}

/// A line that is no frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The line.
    pub line: String,
    /// Why not.
    pub reason: String,
}

/// A message that began and did not end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Its sender.
    pub ecu: String,
    /// What happened to it.
    pub reason: String,
}
