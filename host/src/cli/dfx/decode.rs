//! `cloverleaf dfx decode`: what the bytes of a frame say.

use std::collections::HashMap;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use cloverleaf_core::dfx::{Action, Id, ParseError, Request, Response, Status};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::services::dfx::events::{
    Body, ById, Create, Created, Data, DataAck, Encoding, Failure, Login, Outcome, RegisterLicense,
    Registered, Retrieved, ServerStatus, Subscribe, Token, Tokens, ascii_json, parse_json,
};

/// Decode frames of the DFX WebSocket
///
/// Each line of the input is one frame in hex, or an object {"direction": "request" or "response", "hex": "…"}
/// ("encoding": "json" or "proto" if it should not be guessed). Frames are taken from the arguments, which may also
/// name files, else from the file, else from standard input. A whole JSON document with a list "vectors" of such
/// objects will do too.
///
/// With --json the output is one object a frame. "id" is the id as text when it is ASCII and as 20 hex digits when
/// it is not; "id_hex" and "body_hex" are always there; "body" is the decoded body: an object for JSON and known
/// protobuf messages, "" when there is none, text when it is that, else null. What is no frame gives
/// {"error": "…", "kind": "too_short", "bad_status", "bad_action" or "bad_input"}. The exit code is 0 when every
/// line was answered; without --json it is 1 when a frame was malformed.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// Frames in hex, or files of them
    #[arg(value_name = "HEX|FILE")]
    frames: Vec<String>,
    /// Read frames from this file (`-` for standard input)
    #[arg(long, short = 'f', value_name = "FILE", conflicts_with = "frames")]
    file: Option<PathBuf>,
    /// Which way frames go that do not say so themselves
    #[arg(long, short = 'd', value_enum)]
    direction: Option<Direction>,
    /// Print one JSON object for each frame
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    /// Client to server
    Request,
    /// Server to client
    Response,
}

/// A frame as the input describes it.
#[derive(Debug, Deserialize)]
struct Described {
    hex: String,
    direction: Option<Direction>,
    encoding: Option<String>,
    name: Option<String>,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut decoder = Decoder::new(self.direction);
        let mut out = io::stdout().lock();
        let mut malformed = false;
        let mut answer = |line: &str| -> io::Result<()> {
            for decoded in decoder.line(line) {
                malformed |= decoded.get("error").is_some();
                if self.json {
                    out.write_all(&ascii_json(&decoded))?;
                    out.write_all(b"\n")?;
                } else {
                    writeln!(out, "{}", sentence(&decoded))?;
                }
            }
            out.flush()
        };
        match &self.file {
            _ if !self.frames.is_empty() => {
                for frame in &self.frames {
                    let path = Path::new(frame);
                    // A name with a dot or a slash is no frame, even if there is no such file.
                    let named = !frame.starts_with(['{', '[']) && frame.contains(['.', '/']);
                    if named || (unhex(frame).is_none() && path.is_file()) {
                        file(path, &mut answer)?;
                    } else {
                        answer(frame)?;
                    }
                }
            }
            Some(path) if path.as_os_str() != "-" => file(path, &mut answer)?,
            _ => lines(&mut io::stdin().lock(), &mut answer)?,
        }
        Ok(if malformed && !self.json { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// The longest line that is read: a frame of 16 MiB in hex, and then some.
const MAX_LINE: u64 = 64 << 20;

/// A file is one JSON document, or lines.
fn file(path: &Path, answer: &mut impl FnMut(&str) -> io::Result<()>) -> anyhow::Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    match serde_json::from_str::<Value>(&text) {
        Ok(_) => answer(&text)?,
        Err(_) => text.lines().try_for_each(answer)?,
    }
    Ok(())
}

/// Line by line as they come; but what begins with a lone bracket is a document over many lines.
fn lines(input: &mut impl BufRead, answer: &mut impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut first = true;
    while input.take(MAX_LINE).read_until(b'\n', &mut bytes)? > 0 {
        if first && matches!(bytes.trim_ascii(), b"{" | b"[") {
            input.take(MAX_LINE).read_to_end(&mut bytes)?;
        }
        let text = String::from_utf8_lossy(&bytes);
        if first && serde_json::from_str::<Value>(&text).is_ok() {
            answer(&text)?;
        } else {
            text.lines().try_for_each(&mut *answer)?;
        }
        first = false;
        bytes.clear();
    }
    Ok(())
}

/// How many calls are remembered, so that replies can be decoded as what was asked for. Every other
/// one is forgotten when there are more.
const CALLS: usize = 65_536;

/// Decodes frames, and remembers which call asked for what.
struct Decoder {
    direction: Option<Direction>,
    calls: HashMap<Id, Action>,
}

impl Decoder {
    fn new(direction: Option<Direction>) -> Self {
        Self { direction, calls: HashMap::new() }
    }

    /// The frames of one line; nothing for an empty line or a comment.
    fn line(&mut self, line: &str) -> Vec<Value> {
        let line = line.trim();
        if line.starts_with('#') {
            return Vec::new();
        }
        if !line.starts_with(['{', '[']) {
            let hex = line.trim_matches('"').to_owned();
            // An empty line of a file is no frame; the empty frame can be given as an object.
            return if hex.is_empty() {
                Vec::new()
            } else {
                vec![self.frame(Described { hex, direction: None, encoding: None, name: None })]
            };
        }
        match serde_json::from_str::<Value>(line) {
            Ok(Value::Array(list)) => list.into_iter().map(|item| self.described(item)).collect(),
            Ok(Value::Object(mut document)) if document.contains_key("vectors") => {
                let list = document.remove("vectors").and_then(|list| list.as_array().cloned());
                list.unwrap_or_default().into_iter().map(|item| self.described(item)).collect()
            }
            Ok(item) => vec![self.described(item)],
            Err(e) => vec![bad_input(&e)],
        }
    }

    fn described(&mut self, item: Value) -> Value {
        match serde_json::from_value(item) {
            Ok(described) => self.frame(described),
            Err(e) => bad_input(&e),
        }
    }

    fn frame(&mut self, described: Described) -> Value {
        let digits: String = described.hex.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
        let Some(bytes) = unhex(&digits) else { return bad_input(&"not an even number of hex digits") };
        let encoding = match described.encoding.as_deref() {
            Some("json") => Some(Encoding::Json),
            Some("proto" | "protobuf") => Some(Encoding::Proto),
            _ => None,
        };
        let named = match described.name.as_deref() {
            Some(name) if name.starts_with("req") => Some(Direction::Request),
            _ => None,
        };
        let direction = described.direction.or(named).or(self.direction).unwrap_or(Direction::Response);
        let decoded = match direction {
            Direction::Request => self.request(&bytes, encoding),
            Direction::Response => self.response(&bytes, encoding),
        };
        decoded.unwrap_or_else(|e| malformed(direction, e))
    }

    fn request(&mut self, bytes: &[u8], encoding: Option<Encoding>) -> Result<Value, ParseError> {
        let Request { action, id, body } = Request::parse(bytes)?;
        if self.calls.len() >= CALLS {
            let mut keep = false;
            self.calls.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        self.calls.insert(id, action);
        let (encoding, decoded) = decoded(body, encoding, |body| request_body(action, body));
        Ok(json!({
            "direction": Direction::Request, "action": action.to_string(), "name": action.name(), "id": name_of(id),
            "id_hex": hex::encode(id.as_bytes()), "encoding": encoding, "body": decoded, "body_hex": hex::encode(body),
        }))
    }

    fn response(&mut self, bytes: &[u8], encoding: Option<Encoding>) -> Result<Value, ParseError> {
        let Response { id, status, body } = Response::parse(bytes)?;
        let action = self.calls.get(&id).copied();
        let (encoding, decoded) = decoded(body, encoding, |body| response_body(action, status, body));
        Ok(json!({
            "direction": Direction::Response, "id": name_of(id), "id_hex": hex::encode(id.as_bytes()),
            "status": status.code(), "encoding": encoding, "body": decoded, "body_hex": hex::encode(body),
        }))
    }
}

/// The name of the encoding, and the body as it says.
fn decoded(
    body: &[u8],
    encoding: Option<Encoding>,
    proto: impl FnOnce(&[u8]) -> Option<Value>,
) -> (Option<&'static str>, Value) {
    if body.is_empty() {
        return (None, "".into());
    }
    if encoding != Some(Encoding::Proto)
        && let Ok(value) = parse_json::<Value>(body)
        && (encoding == Some(Encoding::Json) || value.is_object() || value.is_array())
    {
        return (Some("json"), value);
    }
    if encoding != Some(Encoding::Json)
        && let Some(value) = proto(body)
    {
        return (Some("proto"), value);
    }
    match std::str::from_utf8(body) {
        Ok(text) if !text.contains(|c: char| c.is_control() && !c.is_whitespace()) => (None, text.into()),
        _ => (None, Value::Null),
    }
}

fn as_json<T: Body>(body: &[u8]) -> Option<Value> {
    serde_json::to_value(T::from_proto(body).ok()?).ok()
}

fn request_body(action: Action, body: &[u8]) -> Option<Value> {
    match action {
        Action::USER_LOGIN | Action::ORGANIZATION_LOGIN => as_json::<Login>(body),
        Action::RETRIEVE => as_json::<ById>(body),
        Action::CREATE => as_json::<Create>(body),
        Action::DATA => as_json::<Data>(body),
        Action::SUBSCRIBE_RESULTS => as_json::<Subscribe>(body),
        Action::REGISTER_LICENSE => as_json::<RegisterLicense>(body),
        Action::LOGIN_WITH_TOKEN => as_json::<Token>(body),
        Action::RENEW_TOKEN => as_json::<Tokens>(body),
        _ => None,
    }
}

/// Replies do not say what they are. Their fields do, for the most part; where they do not the request does, if it was
/// seen. (Not the other way round: there are clients that use one id for all they ask.)
fn response_body(action: Option<Action>, status: Status, body: &[u8]) -> Option<Value> {
    if status.is_error() {
        return as_json::<Failure>(body);
    }
    // With more than the fields of an acknowledgement it is a result, be it one of an error alone.
    let ack = DataAck::from_proto(body).ok().filter(|ack| ack.to_proto().len() == body.len());
    match (ack, action) {
        (Some(ack), _) if ack.id.contains(':') || ack.chunk_order != 0 => as_json::<DataAck>(body),
        (Some(_), Some(Action::CREATE)) => as_json::<Created>(body),
        (Some(_), Some(Action::LOGIN_WITH_TOKEN)) => as_json::<Token>(body),
        (Some(ack), _) if uuid::Uuid::try_parse(&ack.id).is_ok() => as_json::<Created>(body),
        (Some(ack), _) if !ack.id.is_empty() => as_json::<Token>(body),
        (None, Some(Action::STATUS)) => as_json::<ServerStatus>(body),
        (None, Some(Action::USER_LOGIN | Action::ORGANIZATION_LOGIN | Action::RENEW_TOKEN)) => {
            as_json::<Tokens>(body)
        }
        (None, Some(Action::REGISTER_LICENSE)) => as_json::<Registered>(body),
        (None, Some(Action::RETRIEVE)) => as_json::<Retrieved>(body),
        _ => as_json::<Outcome>(body),
    }
}

fn malformed(direction: Direction, error: ParseError) -> Value {
    let kind = match error {
        ParseError::TooShort { .. } => "too_short",
        ParseError::BadStatus(_) => "bad_status",
        ParseError::BadAction(_) => "bad_action",
    };
    json!({ "direction": direction, "error": error.to_string(), "kind": kind })
}

fn bad_input(reason: &impl std::fmt::Display) -> Value {
    json!({ "error": reason.to_string(), "kind": "bad_input" })
}

fn name_of(id: Id) -> String {
    id.as_str().map_or_else(|| hex::encode(id.as_bytes()), str::to_owned)
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    hex::decode(digits).ok()
}

/// A decoded frame for people.
fn sentence(frame: &Value) -> String {
    let text = |key: &str| frame[key].as_str().unwrap_or_default().to_owned();
    // As it can be printed: an id is ten bytes of any value.
    let id = || text("id").escape_debug().to_string();
    if frame.get("error").is_some() {
        return format!("malformed: {}", text("error"));
    }
    let body = match &frame["body"] {
        Value::Null => format!("0x{}", text("body_hex")),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let what = match frame["status"].as_u64() {
        Some(status) => format!("response {} {status}", id()),
        None => {
            format!("request {} {} {}", text("action"), frame["name"].as_str().unwrap_or("(unknown)"), id())
        }
    };
    format!("{what} {body}").trim_end().to_owned()
}
