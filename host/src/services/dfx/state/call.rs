//! One request, however it came, and its answer.

use cloverleaf_core::dfx::{Action, Id, ParseError, Request, Status};
use serde_json::{Value, json};

use super::analysis::Analysis;
use super::measurement::Chunk;
use super::{ConnectionId, code, failure};
use crate::services::dfx::events::{BadBody, Body, ById, Encoding, Failure, ascii_json, parse_json};

/// How long the body of a request may be, in bytes, unless it is a chunk: the longest here are two tokens. Others are read
/// while everybody waits.
pub const BODY: usize = 128 << 10;

/// What a client gets instead of what it asked for.
pub(super) type Refusal = (Status, Failure);

/// A message of a client, as far as it can be understood without the [state](super::State).
#[derive(Debug)]
pub enum Message<'a> {
    /// A request.
    Request {
        /// What for.
        action: Action,
        /// The name of the call.
        id: Id,
        /// Its body.
        asked: Asked<'a>,
    },
    /// A request whose action is not a number. The id is there, so that can be said.
    BadAction([u8; 4], Id),
    /// No frame; there is no id to answer to.
    Malformed,
}

/// The body of a request.
#[derive(Debug)]
pub enum Asked<'a> {
    /// That of [`Action::DATA`].
    Data(Box<Result<Chunk, BadBody>>),
    /// That of any other.
    Body(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Reads a message, but not its body.
    pub fn read(bytes: &'a [u8]) -> Self {
        match Request::parse(bytes) {
            Ok(Request { action, id, body }) => Self::Request { action, id, asked: Asked::Body(body) },
            Err(ParseError::BadAction(digits)) => match bytes.get(4..).and_then(|rest| rest.first_chunk()) {
                Some(id) => Self::BadAction(digits, Id::new(*id)),
                None => Self::Malformed,
            },
            Err(_) => Self::Malformed,
        }
    }
}

impl<'a> Asked<'a> {
    /// Reads the body of a request of this action. Chunks are large: they are decoded and unpacked here, before anything
    /// is locked.
    pub fn read(action: Action, encoding: Encoding, body: &'a [u8]) -> Self {
        match action {
            Action::DATA => Self::Data(Box::new(Chunk::read(encoding, body))),
            _ => Self::Body(body),
        }
    }
}

/// A request, over WebSocket or REST.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) action: Action,
    /// The `{}` of the path; the WebSocket has it in `Params`.
    pub(super) argument: Option<&'a str>,
    /// What follows the path; the WebSocket has it in `Query`.
    pub(super) query: Vec<(String, String)>,
    pub(super) token: Option<&'a str>,
    pub(super) encoding: Encoding,
    pub(super) asked: Asked<'a>,
    /// Who asked, and under which id; nobody for REST.
    pub(super) from: Option<(ConnectionId, Id)>,
}

impl Call<'_> {
    fn body(&self) -> Result<&[u8], Refusal> {
        match self.asked {
            Asked::Body(body) if body.len() > BODY => {
                Err(wrong(&format!("The body has more than {BODY} bytes")))
            }
            Asked::Body(body) => Ok(body),
            Asked::Data(_) => Ok(&[]),
        }
    }

    pub(super) fn read<T: Body>(&self) -> Result<T, Refusal> {
        T::decode(self.encoding, self.body()?).map_err(|e| bad_body(&e))
    }

    /// The body of what has no form in protobuf here.
    pub(super) fn json(&self) -> Result<Value, Refusal> {
        match (self.encoding, self.body()?) {
            (Encoding::Proto, _) => {
                Err(invalid_route(&format!("{}: only with JSON bodies here", self.action)))
            }
            (Encoding::Json, []) => Ok(json!({})),
            (Encoding::Json, body) => parse_json(body).map_err(|e| bad_body(&e)),
        }
    }

    /// The id of what the request is about.
    pub(super) fn subject(&self) -> Result<String, Refusal> {
        match self.argument {
            Some(argument) => Ok(argument.to_owned()),
            None => Ok(self.read::<ById>()?.params.id),
        }
    }

    pub(super) fn ok(&self, body: &impl Body) -> Answer {
        Answer::new(self.encoding, body)
    }

    /// A reply that has no form in protobuf here: clients take it for an unsupported feature.
    pub(super) fn ok_json(&self, value: &Value) -> Result<Answer, Refusal> {
        match self.encoding {
            Encoding::Json => Ok(Answer { body: ascii_json(value), ..Answer::empty(Encoding::Json) }),
            Encoding::Proto => Err(invalid_route(&format!("{}: only with JSON bodies here", self.action))),
        }
    }

    pub(super) fn done(&self) -> Answer {
        Answer::empty(self.encoding)
    }
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) body: Vec<u8>,
    /// The subscription that was just made, and the measurement.
    pub(super) subscribed: Option<(Id, String)>,
    /// The chunk that was just added, if its result is wanted.
    pub(super) analysis: Option<Analysis>,
}

impl Answer {
    fn of(body: Vec<u8>) -> Self {
        Self { status: Status::OK, body, subscribed: None, analysis: None }
    }

    pub(super) fn new(encoding: Encoding, body: &impl Body) -> Self {
        Self::of(body.encode(encoding))
    }

    /// Empty JSON is an empty object, because clients parse every body.
    pub(super) fn empty(encoding: Encoding) -> Self {
        let body = match encoding {
            Encoding::Json => b"{}".to_vec(),
            Encoding::Proto => Vec::new(),
        };
        Self::of(body)
    }

    pub(super) fn refusal(encoding: Encoding, (status, failure): Refusal) -> Self {
        Self { status, ..Self::new(encoding, &failure) }
    }

    pub(super) fn fault(encoding: Encoding, status: Status, code: &str) -> Self {
        Self::refusal(encoding, (status, failure(code, "As the rules ask")))
    }
}

pub(super) fn bad_body(error: &BadBody) -> Refusal {
    wrong(&format!("The body is {error}"))
}

pub(super) fn wrong(message: &str) -> Refusal {
    (Status::BAD_REQUEST, failure(code::INCORRECT_REQUEST, message))
}

/// Clients test for the first three words.
pub(super) fn invalid_route(number: &str) -> Refusal {
    wrong(&format!("Invalid Route Number {number}"))
}

/// What is wrong with which field.
pub(super) fn invalid(message: &str, field: &str, reason: String) -> Refusal {
    let mut failure = failure(code::VALIDATION_ERROR, message);
    failure.errors.insert(field.to_owned(), crate::services::dfx::events::Messages { msgs: vec![reason] });
    (Status::BAD_REQUEST, failure)
}

/// Short, like every error about a chunk: the first clients take what has more than 60 bytes for a result.
pub(super) fn not_found() -> Refusal {
    (Status::NOT_FOUND, failure(code::INVALID_MEASUREMENT, "no such measurement"))
}
