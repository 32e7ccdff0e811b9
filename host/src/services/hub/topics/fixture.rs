//! `test:*` and `fan:*`: the channels of the server that the transcripts were recorded from, for replaying them
//! (`--hub-test-channels`). Also the shortest example of what a channel can do.

use cloverleaf_core::json;
use cloverleaf_core::phoenix::wire::{Body, EmitError};

use crate::services::hub::channel::{Answer, Channel, Join, Member, Payload, Peer, Refusal, Topic};

/// `test:*`: does what the event says.
pub(in crate::services::hub) struct Test {
    pub(in crate::services::hub) strict: bool,
}

impl Topic for Test {
    fn join(&self, _topic: &str, params: Body<'_>, _: &Peer) -> Result<Join, Refusal> {
        let member = Obedient { strict: self.strict };
        let Body::Json(params) = params else { return Ok(Join::new(member)) };
        match json::member(params, "mode").and_then(json::plain) {
            Some("reject") => Err(Refusal::reason("unauthorized")),
            Some("crash") => Err(Refusal::Crashed),
            Some("reply") => {
                Ok(Join { response: Payload::Json(params.to_vec().into()), member: Box::new(member) })
            }
            _ => Ok(Join::new(member)),
        }
    }
}

struct Obedient {
    strict: bool,
}

impl Obedient {
    fn sent<'a>(&self, result: Result<(), EmitError>, answer: Answer<'a>) -> Answer<'a> {
        match result {
            Ok(()) => answer,
            Err(_) if self.strict => Answer::Fail("not everybody can be sent this"),
            Err(error) => Answer::error(&error.to_string()),
        }
    }
}

impl Member for Obedient {
    fn handle<'a>(&mut self, channel: &mut Channel<'_>, event: &str, body: Body<'a>) -> Answer<'a> {
        match event {
            "echo" => Answer::ok(body),
            "err" => Answer::Reply { status: "error", response: body.into() },
            "custom_status" => Answer::Reply { status: "maybe", response: body.into() },
            "noreply" => Answer::Silence,
            "push" => self.sent(channel.push("pushed", &body.into()), Answer::Silence),
            "broadcast" => self.sent(channel.broadcast("bcast", &body.into()), Answer::OK),
            "broadcast_from" => self.sent(channel.broadcast_from("bcast", &body.into()), Answer::OK),
            "stop_normal" | "stop_shutdown" => Answer::Stop(None),
            "stop_reply" => Answer::Stop(Some(body.into())),
            "disconnect" => {
                channel.disconnect();
                Answer::Silence
            }
            "drain" => {
                channel.drain();
                Answer::Silence
            }
            _ => Answer::Fail("told to"),
        }
    }
}

/// `fan:*`: `shout` without presence.
pub(in crate::services::hub) struct Fan;

impl Topic for Fan {
    fn join(&self, _topic: &str, _params: Body<'_>, _: &Peer) -> Result<Join, Refusal> {
        Ok(Join::new(Self))
    }
}

impl Member for Fan {
    fn handle<'a>(&mut self, channel: &mut Channel<'_>, event: &str, body: Body<'a>) -> Answer<'a> {
        match event {
            "shout" => match channel.broadcast("shout", &body.into()) {
                Ok(()) => Answer::Silence,
                Err(_) => Answer::Fail("not everybody can be sent this"),
            },
            _ => Answer::Fail("no such event"),
        }
    }
}
