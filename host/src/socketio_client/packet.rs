//! The text packets of Engine.IO 4 and Socket.IO 5 as a client sees them.
//!
//! ```text
//! text      = engine [ socketio ]
//! engine    = "0" open | "1" close | "2" ping | "3" pong | "4" message | "6" noop
//! socketio  = type [ count "-" ] [ namespace "," ] [ id ] [ json ]      only after "4"
//! type      = "0" connect | "1" disconnect | "2" event | "3" ack | "4" refused | "5" binary event | "6" binary ack
//! ```
//!
//! Binary events announce `count` attachments, which follow as one binary WebSocket message each.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;

use crate::json;

/// Attachments accepted with one binary event; more is [`Malformed`].
pub(super) const MAX_ATTACHMENTS: usize = 16;

/// What the server tells about the link when it opens.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Open {
    /// Milliseconds between two pings of the server.
    pub(super) ping_interval: u64,
    /// Milliseconds the server waits for the answer to a ping.
    pub(super) ping_timeout: u64,
}

/// A packet from the server.
#[derive(Debug, PartialEq)]
pub(super) enum Packet<'a> {
    /// Engine.IO opened.
    Open(&'a str),
    /// Engine.IO closes.
    Close,
    /// A heartbeat, with what the answer must repeat.
    Ping(&'a str),
    /// Nothing (also a pong nobody asked for).
    Noop,
    /// The namespace is joined; the data holds the socket's id.
    Connect { namespace: &'a str, data: Value },
    /// The server leaves the namespace.
    Disconnect { namespace: &'a str },
    /// An event: the name is the first of `args`.
    Event { namespace: &'a str, id: Option<u64>, args: Vec<Value>, attachments: usize },
    /// The answer to an event of ours.
    Ack { namespace: &'a str, id: u64, args: Vec<Value>, attachments: usize },
    /// The namespace is refused.
    Refused { namespace: &'a str, data: Value },
}

/// The server sent what the protocol does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The packet type is not one of the protocol's.
    #[error("unknown packet type")]
    Type,
    /// The JSON of a packet does not parse.
    #[error("a packet's JSON does not parse")]
    Json,
    /// An event without a name, or an ack without a number.
    #[error("a packet lacks its name or number")]
    Incomplete,
    /// More attachments than a client accepts, or a binary message without an event.
    #[error("unexpected or too many binary attachments")]
    Attachments,
}

/// Parse one text message.
///
/// # Errors
/// [`Malformed`] says which rule the text breaks. Never panics.
pub(super) fn parse(text: &str) -> Result<Packet<'_>, Malformed> {
    let mut chars = text.chars();
    let kind = chars.next().ok_or(Malformed::Type)?;
    let rest = chars.as_str();
    match kind {
        '0' => Ok(Packet::Open(rest)),
        '1' => Ok(Packet::Close),
        '2' => Ok(Packet::Ping(rest)),
        '3' | '6' => Ok(Packet::Noop),
        '4' => parse_message(rest),
        _ => Err(Malformed::Type),
    }
}

fn parse_message(text: &str) -> Result<Packet<'_>, Malformed> {
    let mut chars = text.chars();
    let kind = chars.next().ok_or(Malformed::Type)?;
    let mut rest = chars.as_str();
    let attachments = match kind {
        '5' | '6' => {
            let (count, tail) = rest.split_once('-').ok_or(Malformed::Attachments)?;
            rest = tail;
            count.parse().ok().filter(|count| *count <= MAX_ATTACHMENTS).ok_or(Malformed::Attachments)?
        }
        _ => 0,
    };
    let namespace = if rest.starts_with('/') {
        let (name, tail) = rest.split_once(',').unwrap_or((rest, ""));
        rest = tail;
        name.split('?').next().unwrap_or(name)
    } else {
        "/"
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, json) = rest.split_at(digits);
    let id = number.parse().ok();
    match kind {
        '0' => Ok(Packet::Connect { namespace, data: parse_json(json)? }),
        '1' => Ok(Packet::Disconnect { namespace }),
        '2' | '5' => match parse_json(json)? {
            Value::Array(args) if args.first().is_some_and(Value::is_string) => {
                Ok(Packet::Event { namespace, id, args, attachments })
            }
            _ => Err(Malformed::Incomplete),
        },
        '3' | '6' => match (parse_json(json)?, id) {
            (Value::Array(args), Some(id)) => Ok(Packet::Ack { namespace, id, args, attachments }),
            _ => Err(Malformed::Incomplete),
        },
        '4' => Ok(Packet::Refused { namespace, data: parse_json(json)? }),
        _ => Err(Malformed::Type),
    }
}

fn parse_json(json: &str) -> Result<Value, Malformed> {
    if json.is_empty() { Ok(Value::Null) } else { json::parse(json).map_err(|_| Malformed::Json) }
}

/// `4` + type + namespace + number, the start of everything a client sends.
fn emit_head(kind: char, namespace: &str, id: Option<u64>) -> String {
    let mut text = String::with_capacity(64);
    text.push('4');
    text.push(kind);
    if namespace != "/" {
        text.push_str(namespace);
        text.push(',');
    }
    if let Some(id) = id {
        let _ = write!(text, "{id}");
    }
    text
}

/// Ask for a namespace.
pub(super) fn emit_connect(namespace: &str, auth: Option<&Value>) -> String {
    let mut text = emit_head('0', namespace, None);
    if let Some(auth) = auth {
        let _ = write!(text, "{auth}");
    }
    text
}

/// Leave a namespace.
pub(super) fn emit_disconnect(namespace: &str) -> String {
    emit_head('1', namespace, None)
}

/// An event with its arguments; with `id` an answer is expected.
pub(super) fn emit_event(namespace: &str, id: Option<u64>, name: &str, args: &[Value]) -> String {
    let mut text = emit_head('2', namespace, id);
    let _ = write!(text, "[{}", Value::from(name));
    for arg in args {
        let _ = write!(text, ",{arg}");
    }
    text.push(']');
    text
}

/// The answer to an event of the server.
pub(super) fn emit_ack(namespace: &str, id: u64, args: &[Value]) -> String {
    let mut text = emit_head('3', namespace, Some(id));
    text.push('[');
    for (at, arg) in args.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{arg}");
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_packet_a_server_sends_is_read() {
        let table = [
            ("0{\"sid\":\"x\"}", Packet::Open("{\"sid\":\"x\"}")),
            ("1", Packet::Close),
            ("2", Packet::Ping("")),
            ("2probe", Packet::Ping("probe")),
            ("3", Packet::Noop),
            ("6", Packet::Noop),
            ("40{\"sid\":\"a\"}", Packet::Connect { namespace: "/", data: json!({"sid": "a"}) }),
            ("40/octane,", Packet::Connect { namespace: "/octane", data: Value::Null }),
            ("40/octane?key=1,", Packet::Connect { namespace: "/octane", data: Value::Null }),
            ("41", Packet::Disconnect { namespace: "/" }),
            ("41/octane,", Packet::Disconnect { namespace: "/octane" }),
            ("44/nope,\"no\"", Packet::Refused { namespace: "/nope", data: json!("no") }),
            (
                "42[\"query ok\",{\"reason\":\"Query ok\"}]",
                Packet::Event {
                    namespace: "/",
                    id: None,
                    args: vec![json!("query ok"), json!({"reason": "Query ok"})],
                    attachments: 0,
                },
            ),
            (
                "42/a,17[\"e\"]",
                Packet::Event { namespace: "/a", id: Some(17), args: vec![json!("e")], attachments: 0 },
            ),
            ("431[]", Packet::Ack { namespace: "/", id: 1, args: vec![], attachments: 0 }),
            (
                "451-[\"e\",{\"_placeholder\":true,\"num\":0}]",
                Packet::Event {
                    namespace: "/",
                    id: None,
                    args: vec![json!("e"), json!({"_placeholder": true, "num": 0})],
                    attachments: 1,
                },
            ),
        ];
        for (text, packet) in table {
            assert_eq!(parse(text), Ok(packet), "{text}");
        }
    }

    #[test]
    fn bad_packets_are_named_and_never_panic() {
        let table = [
            ("", Malformed::Type),
            ("é", Malformed::Type),
            ("4", Malformed::Type),
            ("49", Malformed::Type),
            ("42", Malformed::Incomplete),
            ("42[]", Malformed::Incomplete),
            ("42[1]", Malformed::Incomplete),
            ("42[\"a\"", Malformed::Json),
            ("43[]", Malformed::Incomplete),
            ("45[\"a\"]", Malformed::Attachments),
            ("4599-[\"a\"]", Malformed::Attachments),
            ("42/é", Malformed::Incomplete),
        ];
        for (text, error) in table {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn what_is_sent_matches_the_recorded_clients() {
        let id = json!({"monitor_id": "0123456789abcdef0123456789abcdef"});
        let query = r#"42["query",{"monitor_id":"0123456789abcdef0123456789abcdef"}]"#;
        assert_eq!(emit_connect("/", None), "40");
        assert_eq!(emit_connect("/octane", Some(&json!({}))), "40/octane,{}");
        assert_eq!(emit_event("/", None, "query", &[id]), query);
        assert_eq!(emit_event("/", Some(1), "e", &[]), r#"421["e"]"#);
        assert_eq!(emit_ack("/x", 7, &[json!(1), json!("a")]), r#"43/x,7[1,"a"]"#);
        assert_eq!(emit_disconnect("/octane"), "41/octane,");
    }
}
