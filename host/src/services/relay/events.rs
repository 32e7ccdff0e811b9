//! What users and monitors send and receive.
//!
//! Texts that only pass through (commands, reasons, ids) stay JSON as they came, so that even half a
//! surrogate pair, which JavaScript and Python allow and no Rust string can hold, arrives unchanged.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json;

/// The id of a monitor: 32 characters of any kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MonitorId(Arc<str>);

impl MonitorId {
    /// Characters in an id, counted as Unicode scalar values.
    pub const LENGTH: usize = 32;

    /// The id, if `text` is one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (text.chars().count() == Self::LENGTH).then(|| Self(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the id is 32 hexadecimal digits.
    #[must_use]
    pub fn is_hex(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

impl std::fmt::Display for MonitorId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for MonitorId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        Self::new(text).ok_or(NotAnId)
    }
}

/// A monitor's id has another length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a monitor's id has exactly 32 characters")]
pub struct NotAnId;

/// Bytes of what a monitor reports, an output or a reason, that are passed on to users.
pub const MAX_REPORT: usize = 64 << 10;

/// What a client asks or reports. Fields that are missing or of the wrong type are `None`.
#[derive(Debug)]
pub enum Request<'a> {
    /// A user wants to send commands to a monitor.
    Query(Introduction),
    /// A monitor wants to receive commands.
    Con(Introduction),
    /// A user sends a command.
    Send(Submission<'a>),
    /// A monitor has carried out a command.
    Done {
        /// The id of the command, if it came with one and the monitor echoes it.
        id: Option<&'a RawValue>,
        /// What came of it, for the user, as any JSON.
        output: Option<&'a RawValue>,
    },
    /// A monitor has failed to carry out a command.
    Error {
        /// Why, as any JSON.
        reason: Option<&'a RawValue>,
        /// As in `Done`.
        id: Option<&'a RawValue>,
    },
}

/// Which monitor a client is or addresses, and what lets it in.
#[derive(Debug, Default)]
pub struct Introduction {
    /// The monitor.
    pub monitor_id: Option<MonitorId>,
    /// The token of this request (the connection may have brought one too).
    pub token: Option<String>,
}

/// A command and what its sender added.
#[derive(Debug, Default)]
pub struct Submission<'a> {
    /// The command: a JSON string that is not empty.
    pub command: Option<&'a RawValue>,
    /// What the sender wants to have echoed, any JSON but `null`.
    pub id: Option<&'a RawValue>,
    /// When the sender sent it, in milliseconds since 1970.
    pub sent: Option<f64>,
}

impl<'a> Request<'a> {
    /// The names of the events that clients send.
    pub const EVENTS: [&'static str; 5] = ["query", "con", "command send", "command done", "command error"];

    /// The request in an event; `None` for an event that is not the relay's. Any `data` is good enough:
    /// what is not an object counts as an empty one.
    #[must_use]
    pub fn parse(event: &str, data: &'a RawValue) -> Option<Self> {
        match event {
            "query" => Some(Self::Query(introduction(data))),
            "con" => Some(Self::Con(introduction(data))),
            "command send" => {
                let payload: SendPayload<'_> = object(data);
                let command = payload.command.filter(|raw| is_string(raw) && raw.get() != "\"\"");
                let sent = payload.sent.and_then(|raw| serde_json::from_str(raw.get()).ok());
                Some(Self::Send(Submission { command, id: payload.id, sent }))
            }
            "command done" => {
                let payload: DonePayload<'_> = object(data);
                Some(Self::Done { id: payload.id, output: payload.output })
            }
            "command error" => {
                let payload: DonePayload<'_> = object(data);
                Some(Self::Error { reason: payload.reason, id: payload.id })
            }
            _ => None,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IntroductionPayload<'a> {
    #[serde(borrow)]
    monitor_id: Option<&'a RawValue>,
    #[serde(borrow)]
    token: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SendPayload<'a> {
    #[serde(borrow)]
    command: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    sent: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DonePayload<'a> {
    #[serde(borrow)]
    reason: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

fn introduction(data: &RawValue) -> Introduction {
    let payload: IntroductionPayload<'_> = object(data);
    let text = |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    Introduction {
        monitor_id: text(payload.monitor_id).and_then(|id| MonitorId::new(&id)),
        token: text(payload.token),
    }
}

/// The fields of an object; the defaults for anything else. (Without the check of the brace, serde would
/// also take an array for a struct.)
fn object<'a, T: Deserialize<'a> + Default>(data: &'a RawValue) -> T {
    if !data.get().starts_with('{') {
        return T::default();
    }
    serde_json::from_str(data.get()).unwrap_or_default()
}

/// Whether the JSON is a string.
#[must_use]
pub fn is_string(raw: &RawValue) -> bool {
    raw.get().starts_with('"')
}

/// Whether a payload of the event `query` is meant for the relay and not for the OBD service, which shares
/// the namespace `/` and takes a string.
#[must_use]
pub fn is_relay_query(data: &RawValue) -> bool {
    !is_string(data)
}

/// The length of a JSON string's text in bytes, counting half a surrogate pair like U+FFFD.
#[must_use]
pub fn text_length(raw: &RawValue) -> usize {
    let text = raw.get();
    let escapes = text.matches('\\').count();
    if escapes == 0 {
        return text.len().saturating_sub(2);
    }
    decode(raw).len()
}

/// The text of a JSON string, or the JSON of anything else.
#[must_use]
pub fn decode(raw: &RawValue) -> String {
    let text = raw.get();
    json::parse(text).unwrap_or_else(|_| text.to_owned())
}

/// A reason: one of ours, or a monitor's as it came.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Reason {
    /// One of ours.
    Ours(&'static str),
    /// A monitor's, a JSON string.
    Monitors(Text),
}

/// JSON as it came, comparable.
#[derive(Debug, Clone)]
pub struct Text(pub Arc<RawValue>);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::serialize(&self.0, serializer)
    }
}

impl From<&RawValue> for Text {
    fn from(raw: &RawValue) -> Self {
        Self(raw.to_owned().into())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

/// The reasons that the original knows, byte for byte, and those of new situations.
pub mod reason {
    /// A `query` is accepted.
    pub const QUERY_OK: &str = "Query ok";
    /// A `con` is accepted.
    pub const CONNECTION_OK: &str = "Connection ok";
    /// A command has reached the server.
    pub const COMMAND_OK: &str = "Command ok";
    /// A command is carried out.
    pub const COMMAND_FINISH: &str = "Command finish";
    /// Not a string of 32 characters.
    pub const INVALID_MONITOR_ID: &str = "Invalid monitor_id";
    /// Another socket is that monitor.
    pub const ALREADY_REGISTERED: &str = "monitor_id already registered";
    /// Not a string, or an empty one.
    pub const INVALID_COMMAND: &str = "Invalid command";
    /// New: a command before its `query`.
    pub const NOT_QUERIED: &str = "Not queried";
    /// New: the monitor is not there.
    pub const NOT_CONNECTED: &str = "Monitor not connected";
    /// New: the monitor went away with the command.
    pub const DISCONNECTED: &str = "Monitor disconnected";
    /// New: the monitor did not report back in time.
    pub const TIMED_OUT: &str = "Command timed out";
    /// New: too many commands wait for this monitor, or of this user.
    pub const TOO_MANY_PENDING: &str = "Too many pending commands";
    /// New: too many commands a second.
    pub const TOO_FAST: &str = "Too many commands per second";
    /// New: a command or an id is too long.
    pub const TOO_LARGE: &str = "Payload too large";
    /// New: the token is missing or wrong.
    pub const INVALID_TOKEN: &str = "Invalid token";
    /// New: the server can be reached from the network and has no keys.
    pub const CLOSED: &str = "Relay closed: the server has no keys";
    /// New: the monitor reported an error without a reason.
    pub const NO_REASON: &str = "Command failed";
}

/// The event that tells a user that its command has reached the server.
pub const COMMAND_OK: &str = "command ok";

/// What a client is told: the event and its payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The event's name.
    pub event: &'static str,
    /// Its only argument.
    pub payload: Payload,
}

/// The payload of everything that the relay sends. Absent fields are not sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Payload {
    /// What a monitor shall do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Text>,
    /// Why, or that all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The id that the user gave the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text>,
    /// What the monitor says came of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Text>,
    /// When the command passed which point; only to users who gave an id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
}

impl Payload {
    /// About how long its JSON is, beyond what all have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let reason = match &self.reason {
            Some(Reason::Monitors(text)) => Some(text),
            _ => None,
        };
        [self.command.as_ref(), reason, self.id.as_ref(), self.output.as_ref()]
            .into_iter()
            .flatten()
            .map(|text| text.0.get().len())
            .sum()
    }
}

/// When a command passed each point of its way, in milliseconds since 1970 by the server's clock (but for
/// `sent`: by the sender's).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Times {
    /// The user sent it, if it said when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<f64>,
    /// The relay took it, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<f64>,
    /// The monitor was told, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispatched: Option<f64>,
    /// The monitor reported back, or the relay gave up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<f64>,
}

/// A time as [`Times`] have it, to the microsecond.
#[must_use]
pub fn milliseconds(time: Timestamp) -> f64 {
    time.as_microsecond() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_id_has_32_characters_of_any_kind() {
        let table = [
            (r#"{"monitor_id":"0123456789abcdef0123456789abcdef"}"#, true),
            (
                r#"{"monitor_id":"🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗","x":1}"#,
                true,
            ),
            (r#"{"monitor_id":"0123456789abcdef0123456789abcde"}"#, false),
            (r#"{"monitor_id":"0123456789abcdef0123456789abcdef0"}"#, false),
            (r#"{"monitor_id":null}"#, false),
            (r#"{"monitor_id":32}"#, false),
            (r#"{}"#, false),
            (r#"null"#, false),
            (r#"["0123456789abcdef0123456789abcdef"]"#, false),
            (r#""0123456789abcdef0123456789abcdef""#, false),
        ];
        for (json, good) in table {
            let data = raw(json);
            for event in ["query", "con"] {
                let request = Request::parse(event, &data);
                let (Some(Request::Query(who)) | Some(Request::Con(who))) = request else {
                    panic!("{event} is the relay's")
                };
                assert_eq!(who.monitor_id.is_some(), good, "{json}");
            }
        }
    }

    #[test]
    fn commands_are_strings_that_are_not_empty() {
        let table = [
            (r#"{"command":"lights on"}"#, Some(r#""lights on""#)),
            (r#"{"command":"a\ud83d\u2028\"","extra":1}"#, Some(r#""a\ud83d\u2028\"""#)),
            (r#"{"command":""}"#, None),
            (r#"{"command":5}"#, None),
            (r#"{"command":null}"#, None),
            (r#"{"command":["x"]}"#, None),
            (r#"["x"]"#, None),
            (r#""x""#, None),
            ("null", None),
        ];
        for (json, command) in table {
            let data = raw(json);
            let Some(Request::Send(sent)) = Request::parse("command send", &data) else {
                panic!("a command")
            };
            assert_eq!(sent.command.map(RawValue::get), command, "{json}");
        }
    }

    #[test]
    fn completions_need_no_data() {
        for json in ["null", "{}", r#""text""#, r#"{"id":null}"#, "[]"] {
            let data = raw(json);
            assert!(
                matches!(
                    Request::parse("command done", &data),
                    Some(Request::Done { id: None, output: None })
                ),
                "{json}"
            );
        }
        assert!(Request::parse("command", RawValue::NULL).is_none());
    }

    #[test]
    fn lengths_are_of_the_text_and_not_of_its_escapes() {
        let table = [(r#""""#, 0), (r#""abc""#, 3), (r#""é""#, 2), (r#""\u00e9\n""#, 3), (r#""\ud83d""#, 3)];
        for (json, length) in table {
            assert_eq!(text_length(&raw(json)), length, "{json}");
        }
    }
}
