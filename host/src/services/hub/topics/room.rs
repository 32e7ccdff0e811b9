//! `room:*`, the chat of the original: whoever joins with a username is present, may say that they are typing, and
//! shouts to all.

use cloverleaf_core::json::{self, Kind};
use cloverleaf_core::phoenix::wire::Body;
use serde_json::value::RawValue;

use crate::services::hub::channel::{Answer, Channel, Join, Member, Payload, Refusal, Topic};
use crate::services::hub::events::{Meta, Shout};
use crate::services::hub::history::History;
use crate::timeline::Value;

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
    /// Strict only: a username that is no key crashes whatever tracks it.
    unprintable: bool,
    history: Option<History>,
    replay: bool,
    strict: bool,
}

impl Topic for Rooms {
    fn join(&self, _topic: &str, params: Body<'_>) -> Result<Join, Refusal> {
        // Phoenix has no clause for a join without a username.
        let Body::Json(params) = params else { return Err(Refusal::Crashed) };
        let username = json::member(params, "username").ok_or(Refusal::Crashed)?;
        let key = printable(username);
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
            channel.fail();
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
            // Version 2 cannot be sent anything but objects: Phoenix fails on the first such receiver.
            if json::kind(payload) != Kind::Object && channel.has_v2() {
                return self.defect("payload must be an object");
            }
            if let (Some(history), Some(shout)) = (&self.history, Shout::valid(payload)) {
                history.keep(shout);
            }
            if channel.is_watched()
                && let Some(payload) = raw(payload)
            {
                channel.publish("shout", Value::from(payload));
            }
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
        let (Some(username), Some(typing)) = (raw(username), raw(typing)) else {
            return Answer::Fail("typing that is no JSON");
        };
        match channel.update(&self.key, &meta(&typing, &username)) {
            Ok(()) => Answer::OK,
            Err(_) => Answer::Fail("typing before being present"),
        }
    }

    /// Where Phoenix fails, we say what is wrong.
    fn defect(&self, reason: &'static str) -> Answer<'static> {
        if self.strict { Answer::Fail(reason) } else { Answer::error(reason) }
    }
}

/// A username as a presence key: the text of a scalar. Objects and arrays have none.
fn printable(username: &[u8]) -> Option<String> {
    match json::kind(username) {
        Kind::String => Some(json::characters(username).collect()),
        // `to_string(nil)` is empty.
        Kind::Null => Some(String::new()),
        Kind::Bool | Kind::Number => Some(String::from_utf8_lossy(username).into_owned()),
        Kind::Array | Kind::Object => None,
    }
}

fn raw(value: &[u8]) -> Option<Box<RawValue>> {
    let text = std::str::from_utf8(value).ok()?;
    RawValue::from_string(text.to_owned()).ok()
}

fn meta(typing: &RawValue, username: &RawValue) -> Vec<u8> {
    serde_json::to_vec(&Meta { typing, username }).unwrap_or_else(|_| b"{}".to_vec())
}
