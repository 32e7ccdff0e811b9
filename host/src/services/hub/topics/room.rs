//! `room:*`, the chat of the original: whoever joins with a username is present, may say that they are typing, and
//! shouts to all.

use cloverleaf_core::json::{self, Kind};
use cloverleaf_core::phoenix::wire::Body;
use serde_json::value::RawValue;

use crate::services::hub::channel::{Answer, Channel, Join, Member, Payload, Peer, Refusal, Topic};
use crate::services::hub::events::{Meta, Shout};
use crate::services::hub::history::History;
use crate::timeline::Value;

/// The longest username, as JSON, in bytes: everybody present is sent all of them.
const USERNAME: usize = 1024;

/// The longest shout that is shown on the timeline as it is, in bytes.
const SHOWN: usize = 4096;

/// The behaviour of all rooms.
pub(in crate::services::hub) struct Rooms {
    pub(in crate::services::hub) strict: bool,
    pub(in crate::services::hub) history: Option<History>,
    /// Whether joiners get the room's kept messages as `shout`s before anything else happens.
    pub(in crate::services::hub) replay: bool,
}

/// One user in one room.
struct User {
    /// The presence key: the username as text.
    key: String,
    /// The username as it was sent, which the meta repeats.
    username: Box<RawValue>,
    /// Strict only: a username that is no key crashes all presence.
    unprintable: bool,
    history: Option<History>,
    replay: bool,
    strict: bool,
}

impl Topic for Rooms {
    fn join(&self, _topic: &str, params: Body<'_>, _: &Peer) -> Result<Join, Refusal> {
        // Phoenix has no clause for a join without a username.
        let Body::Json(params) = params else { return Err(Refusal::Crashed) };
        let username = json::member(params, "username").ok_or(Refusal::Crashed)?;
        if username.len() > USERNAME && !self.strict {
            return Err(Refusal::reason("username must be at most 1024 bytes long"));
        }
        let key = printable(username, self.strict);
        if key.is_none() && !self.strict {
            return Err(Refusal::reason("username must be a string, a number, a boolean or null"));
        }
        Ok(Join::new(User {
            unprintable: key.is_none(),
            key: key.unwrap_or_default(),
            username: raw(username).ok_or(Refusal::Crashed)?,
            history: self.history.clone(),
            replay: self.replay,
            strict: self.strict,
        }))
    }
}

impl Member for User {
    fn joined(&mut self, channel: &mut Channel<'_>) {
        channel.push_presence();
        if self.unprintable {
            channel.crash_presence();
            return;
        }
        channel.track(&self.key, &meta(RawValue::FALSE, &self.username));
        if let (Some(history), true) = (&self.history, self.replay) {
            let room = channel.topic().strip_prefix("room:").unwrap_or_default().to_owned();
            history.replay(room, channel.pusher());
        }
    }

    fn handle<'a>(&mut self, channel: &mut Channel<'_>, event: &str, body: Body<'a>) -> Answer<'a> {
        match event {
            "shout" => self.shout(channel, body),
            "user:typing" => self.typing(channel, body),
            _ => Answer::Fail("no such event"),
        }
    }
}

impl User {
    fn shout<'a>(&self, channel: &mut Channel<'_>, body: Body<'a>) -> Answer<'a> {
        if let Body::Json(payload) = body {
            if let (Some(history), Some(shout)) = (&self.history, Shout::valid(payload)) {
                history.keep(shout);
            }
            channel.publish("shout", || match raw(payload) {
                Some(payload) if payload.get().len() <= SHOWN => Value::from(payload),
                _ => Value::Text(format!("{} bytes", payload.len())),
            });
        }
        match channel.broadcast("shout", &Payload::from(body)) {
            Ok(()) => Answer::Silence,
            Err(_) if self.strict => Answer::Fail("not everybody can be sent this"),
            Err(error) => Answer::error(&error.to_string()),
        }
    }

    fn typing<'a>(&self, channel: &mut Channel<'_>, body: Body<'a>) -> Answer<'a> {
        let Body::Json(payload) = body else { return Answer::Fail("typing in binary") };
        let (Some(username), Some(typing)) =
            (json::member(payload, "username"), json::member(payload, "typing"))
        else {
            return Answer::Fail("typing without username or typing");
        };
        if username.len() + typing.len() > USERNAME && !self.strict {
            return Answer::error("username and typing must be at most 1024 bytes long");
        }
        let (Some(username), Some(typing)) = (raw(username), raw(typing)) else {
            return Answer::Fail("typing that is no JSON");
        };
        match channel.update(&self.key, &meta(&typing, &username)) {
            Ok(()) => Answer::OK,
            Err(_) => Answer::Fail("typing before being present"),
        }
    }
}

/// A username as a presence key, which Elixir's `to_string` makes: the text of a scalar. An object has none, and an array
/// only in strict mode: there one of texts and code points is the text that they come to.
fn printable(username: &[u8], strict: bool) -> Option<String> {
    match json::kind(username) {
        Kind::String => Some(json::characters(username).collect()),
        Kind::Null => Some(String::new()),
        Kind::Bool => Some(String::from_utf8_lossy(username).into_owned()),
        Kind::Number => number(std::str::from_utf8(username).ok()?),
        Kind::Array if strict => json::elements(username)
            .map(|element| match json::kind(element) {
                Kind::Number => {
                    let point = std::str::from_utf8(element).ok()?.parse().ok()?;
                    char::from_u32(point).map(String::from)
                }
                Kind::String | Kind::Array => printable(element, strict),
                Kind::Null | Kind::Bool | Kind::Object => None,
            })
            .collect(),
        Kind::Array | Kind::Object => None,
    }
}

/// A number as Erlang writes it: floats in the shorter of both notations.
fn number(text: &str) -> Option<String> {
    if !text.contains(['.', 'e', 'E']) {
        return Some(if text == "-0" { "0" } else { text }.to_owned());
    }
    let value: f64 = text.parse().ok()?;
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e')?;
    let scientific = if digits.contains('.') { scientific.clone() } else { format!("{digits}.0e{exponent}") };
    let decimal = format!("{value:?}");
    let is_decimal = !decimal.contains('e') && decimal.len() <= scientific.len();
    Some(if is_decimal { decimal } else { scientific })
}

fn raw(value: &[u8]) -> Option<Box<RawValue>> {
    let text = std::str::from_utf8(value).ok()?;
    RawValue::from_string(text.to_owned()).ok()
}

fn meta(typing: &RawValue, username: &RawValue) -> Vec<u8> {
    serde_json::to_vec(&Meta { typing, username }).unwrap_or_else(|_| b"{}".to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_become_the_keys_that_elixir_makes_of_them() {
        for (username, lax, strict) in [
            (r#""gr\u00fcn""#, Some("grün"), Some("grün")),
            ("null", Some(""), Some("")),
            ("true", Some("true"), Some("true")),
            ("123", Some("123"), Some("123")),
            ("-0", Some("0"), Some("0")),
            ("1.50", Some("1.5"), Some("1.5")),
            ("1e3", Some("1.0e3"), Some("1.0e3")),
            ("1.0", Some("1.0"), Some("1.0")),
            ("-1234.5", Some("-1234.5"), Some("-1234.5")),
            ("1e-7", Some("1.0e-7"), Some("1.0e-7")),
            ("1.25e22", Some("1.25e22"), Some("1.25e22")),
            ("[]", None, Some("")),
            (r#"["a",["b",[]],99]"#, None, Some("abc")),
            ("[null]", None, None),
            ("[1.5]", None, None),
            ("[55296]", None, None),
            ("[{}]", None, None),
            ("{}", None, None),
        ] {
            assert_eq!(printable(username.as_bytes(), false).as_deref(), lax, "{username}");
            assert_eq!(printable(username.as_bytes(), true).as_deref(), strict, "{username} strictly");
        }
    }
}
