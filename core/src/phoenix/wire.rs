//! The three forms of a Phoenix message, read and written without touching what they carry.
//!
//! | form | to the server | to the client |
//! |---|---|---|
//! | V1 text | `{"topic":t,"event":e,"payload":p,"ref":r}` in any order, `"join_ref"` optional | `{"event":e,"payload":p,"ref":r,"topic":t}` |
//! | V2 text | `[join_ref,ref,topic,event,payload]`, more elements ignored | the same, exactly five |
//! | V2 binary push | `0 │ lengths of join_ref, ref, topic, event │ those four │ payload` | `0 │ lengths of join_ref, topic, event │ those three │ payload` |
//! | V2 binary reply | – | `1 │ lengths of join_ref, ref, topic, status │ those four │ payload` |
//! | V2 binary broadcast | – | `2 │ lengths of topic, event │ those two │ payload` |
//!
//! A length is one byte and counts bytes of UTF-8.
//!
//! ```
//! use cloverleaf_core::phoenix::wire::{self, Version};
//! let frame = br#"["1","2","room:lobby","shout",{"body":"hey"}]"#;
//! let message = wire::parse_text(Version::V2, frame)?;
//! assert!(message.topic.is("room:lobby"));
//! let mut again = heapless::Vec::<u8, 64>::new();
//! message.emit_to_server(Version::V2, &mut |bytes| again.extend_from_slice(bytes).unwrap())?;
//! assert_eq!(again, frame);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod emit;

use nom::bytes::complete::take;
use nom::number::complete::u8 as byte;
use nom::{IResult, Parser};

use crate::json;

/// The serializer a client chose with `vsn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Version {
    /// 1.0.x, also what an absent `vsn` means: objects, no binary frames.
    V1,
    /// 2.0.x: arrays and binary frames.
    V2,
}

impl Version {
    /// The serializer for a `vsn` parameter: a full semantic version that `~> 1.0.0` or `~> 2.0.0` admits.
    ///
    /// ```
    /// use cloverleaf_core::phoenix::wire::Version;
    /// assert_eq!(Version::of("2.0.7"), Some(Version::V2));
    /// assert_eq!(Version::of("2"), None);
    /// assert_eq!(Version::of("2.1.0"), None);
    /// ```
    pub fn of(vsn: &str) -> Option<Self> {
        let (vsn, build) = vsn.split_once('+').map_or((vsn, None), |(vsn, build)| (vsn, Some(build)));
        let (vsn, pre) = vsn.split_once('-').map_or((vsn, None), |(vsn, pre)| (vsn, Some(pre)));
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits && (text == "0" || !text.starts_with('0'))
        };
        let named = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let release =
            |text: &str| named(text) && (number(text) || !text.bytes().all(|byte| byte.is_ascii_digit()));
        let (prefix, patch) = vsn.rsplit_once('.')?;
        let full = number(patch)
            && pre.is_none_or(|pre| pre.split('.').all(release))
            && build.is_none_or(|build| build.split('.').all(named));
        // What comes before x.0.0 is not of x.0.
        match (prefix, patch, pre) {
            _ if !full => None,
            (_, "0", Some(_)) => None,
            ("1.0", ..) => Some(Self::V1),
            ("2.0", ..) => Some(Self::V2),
            _ => None,
        }
    }
}

/// A ref, topic, event or status as it came: nothing says that a client sends strings.
#[derive(Clone, Copy, Debug)]
pub enum Token<'a> {
    /// A JSON value of any type, unparsed.
    Json(&'a [u8]),
    /// The bytes of a string: what binary frames and programs give.
    Text(&'a [u8]),
}

impl<'a> Token<'a> {
    /// No ref.
    pub const NULL: Self = Token::Json(b"null");

    /// The token for a program's string.
    pub const fn text(text: &'a str) -> Self {
        Token::Text(text.as_bytes())
    }

    /// Whether this is the JSON `null`.
    pub fn is_null(self) -> bool {
        matches!(self, Token::Json(b"null"))
    }

    /// Whether this is the string `text`.
    pub fn is(self, text: &str) -> bool {
        match self {
            Token::Json(value) => json::is_string(value, text),
            Token::Text(bytes) => bytes == text.as_bytes(),
        }
    }

    /// Whether both are the same value of the same type: `"1"` is not `1`.
    pub fn same(self, other: Token<'_>) -> bool {
        match (self, other) {
            (Token::Json(one), Token::Json(other)) => json::same(one, other),
            (Token::Text(one), Token::Text(other)) => one == other,
            (Token::Json(value), Token::Text(text)) | (Token::Text(text), Token::Json(value)) => {
                core::str::from_utf8(text).is_ok_and(|text| json::is_string(value, text))
            }
        }
    }

    /// The string without copying it, if it is one, is UTF-8 and has no escapes.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Token::Json(value) => json::plain(value),
            Token::Text(bytes) => core::str::from_utf8(bytes).ok(),
        }
    }

    /// The characters of the string; none if it is not one.
    pub fn characters(self) -> impl Iterator<Item = char> + use<'a> {
        let (json, text) = match self {
            Token::Json(value) => (value, ""),
            Token::Text(bytes) => (&b""[..], core::str::from_utf8(bytes).unwrap_or_default()),
        };
        json::characters(json).chain(text.chars())
    }

    /// Gives the token as JSON to `emit`.
    ///
    /// # Errors
    /// [`EmitError::Utf8`] when its bytes are no text.
    pub fn emit(self, emit: &mut impl FnMut(&[u8])) -> Result<(), EmitError> {
        match self {
            Token::Json(value) => emit(value),
            Token::Text(bytes) => {
                json::emit_string(core::str::from_utf8(bytes).map_err(|_| EmitError::Utf8)?, emit);
            }
        }
        Ok(())
    }
}

/// What a message carries, unparsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// One valid JSON value.
    Json(&'a [u8]),
    /// Any bytes.
    Binary(&'a [u8]),
}

impl Body<'_> {
    /// The empty object, which is what Phoenix answers when there is nothing to say.
    pub const EMPTY: Self = Body::Json(b"{}");
}

/// The payload of a message.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// That of an event.
    Event(Body<'a>),
    /// That of a `phx_reply`.
    Reply {
        /// `ok`, `error`, or anything else by agreement.
        status: Token<'a>,
        /// What was answered.
        response: Body<'a>,
    },
}

/// One message, in any of the forms.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The ref of the join that the channel exists by; null in broadcasts.
    pub join_ref: Token<'a>,
    /// What a reply to this message carries; null where none is expected.
    pub reference: Token<'a>,
    /// The channel.
    pub topic: Token<'a>,
    /// What happened or is asked for.
    pub event: Token<'a>,
    /// The rest.
    pub payload: Payload<'a>,
}

/// Why a frame is not a message. Phoenix ends the connection with code 1011 then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ParseError {
    /// A text frame is not JSON.
    Json(json::Error),
    /// V1 wants an object, V2 an array.
    Shape(json::Kind),
    /// A V1 object lacks this key.
    Missing(&'static str),
    /// A V2 array has fewer than five elements: this many.
    Short(usize),
    /// The first byte of a binary frame is none that this side receives.
    Kind(u8),
    /// A binary frame ends within its header.
    Truncated,
}

impl core::fmt::Display for ParseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Json(error) => error.fmt(f),
            Self::Shape(kind) => write!(f, "a message in the form of a JSON {kind:?}"),
            Self::Missing(key) => write!(f, "a message without {key:?}"),
            Self::Short(count) => write!(f, "a message of {count} elements instead of five"),
            Self::Kind(kind) => write!(f, "a binary frame of unknown kind {kind}"),
            Self::Truncated => f.write_str("a binary frame that ends within its header"),
        }
    }
}

impl core::error::Error for ParseError {}

/// Why a message has no such form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EmitError {
    /// A text with bytes that are not UTF-8 (a client's binary frame brought them).
    Utf8,
    /// A field is longer than the 255 bytes that a binary frame has room for.
    TooLong,
    /// A ref or topic that is not a string has no place in a binary frame.
    NotText,
    /// Version 1 has no binary frames.
    BinaryInV1,
    /// Version 2 sends clients only objects as the payloads of events; replies may be anything.
    NotObject,
}

impl core::fmt::Display for EmitError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "a text that is not UTF-8",
            Self::TooLong => "a field longer than 255 bytes in a binary frame",
            Self::NotText => "a field that is not a string in a binary frame",
            Self::BinaryInV1 => "a binary payload for a client of version 1",
            Self::NotObject => "payload must be an object",
        })
    }
}

impl core::error::Error for EmitError {}

/// Which WebSocket opcode an emitted message needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Opcode {
    /// Text.
    Text,
    /// Binary.
    Binary,
}

/// Reads a text frame, of a client or a server.
///
/// # Errors
/// When the frame is no message of this version.
pub fn parse_text(version: Version, frame: &[u8]) -> Result<Message<'_>, ParseError> {
    match version {
        Version::V1 => parse_v1(frame),
        Version::V2 => parse_v2(frame),
    }
}

fn parse_v1(frame: &[u8]) -> Result<Message<'_>, ParseError> {
    let object = json::document(frame).map_err(ParseError::Json)?;
    if json::kind(object) != json::Kind::Object {
        return Err(ParseError::Shape(json::kind(object)));
    }
    let names = ["topic", "event", "payload", "ref", "join_ref"];
    let mut fields = [None; 5];
    for (key, value) in json::members(object) {
        let named = names.iter().zip(&mut fields).find(|(name, _)| json::is_string(key, name));
        if let Some((_, field)) = named {
            // Of equal keys the first counts, as in Phoenix.
            field.get_or_insert(value);
        }
    }
    let [topic, event, payload, reference, join_ref] = fields;
    let token = |value: Option<_>, key| value.map(Token::Json).ok_or(ParseError::Missing(key));
    Ok(Message {
        join_ref: join_ref.map_or(Token::NULL, Token::Json),
        reference: token(reference, "ref")?,
        topic: token(topic, "topic")?,
        event: token(event, "event")?,
        payload: Payload::Event(Body::Json(payload.ok_or(ParseError::Missing("payload"))?)),
    })
}

fn parse_v2(frame: &[u8]) -> Result<Message<'_>, ParseError> {
    let Some((elements, count)) = json::array::<5>(frame).map_err(ParseError::Json)? else {
        let value = json::document(frame).map_err(ParseError::Json)?;
        return Err(ParseError::Shape(json::kind(value)));
    };
    if count < elements.len() {
        return Err(ParseError::Short(count));
    }
    let [join_ref, reference, topic, event, payload] = elements;
    Ok(Message {
        join_ref: Token::Json(join_ref),
        reference: Token::Json(reference),
        topic: Token::Json(topic),
        event: Token::Json(event),
        payload: Payload::Event(Body::Json(payload)),
    })
}

/// Reads a binary frame of a client.
///
/// # Errors
/// When the frame is not a push, or is cut off.
pub fn parse_binary_of_client(frame: &[u8]) -> Result<Message<'_>, ParseError> {
    match frame.split_first() {
        Some((0, rest)) => {
            let (payload, [join_ref, reference, topic, event]) = fields(rest)?;
            let payload = Payload::Event(Body::Binary(payload));
            Ok(Message { join_ref, reference, topic, event, payload })
        }
        Some((kind, _)) => Err(ParseError::Kind(*kind)),
        None => Err(ParseError::Truncated),
    }
}

/// Reads a binary frame of a server.
///
/// # Errors
/// When the frame is of no known kind, or is cut off.
pub fn parse_binary_of_server(frame: &[u8]) -> Result<Message<'_>, ParseError> {
    let (kind, rest) = frame.split_first().ok_or(ParseError::Truncated)?;
    match kind {
        0 => {
            let (payload, [join_ref, topic, event]) = fields(rest)?;
            let payload = Payload::Event(Body::Binary(payload));
            Ok(Message { join_ref, reference: Token::NULL, topic, event, payload })
        }
        1 => {
            let (response, [join_ref, reference, topic, status]) = fields(rest)?;
            let payload = Payload::Reply { status, response: Body::Binary(response) };
            Ok(Message { join_ref, reference, topic, event: Token::text("phx_reply"), payload })
        }
        2 => {
            let (payload, [topic, event]) = fields(rest)?;
            let payload = Payload::Event(Body::Binary(payload));
            Ok(Message { join_ref: Token::NULL, reference: Token::NULL, topic, event, payload })
        }
        kind => Err(ParseError::Kind(*kind)),
    }
}

/// All lengths, then all fields: `N * size  N * bytes  payload`.
fn fields<const N: usize>(input: &[u8]) -> Result<(&[u8], [Token<'_>; N]), ParseError> {
    fn parse<const N: usize>(mut input: &[u8]) -> IResult<&[u8], [Token<'_>; N]> {
        let mut sizes = [0; N];
        for size in &mut sizes {
            (input, *size) = byte.parse(input)?;
        }
        let mut fields = [Token::Text(&[]); N];
        for (field, size) in fields.iter_mut().zip(sizes) {
            let bytes;
            (input, bytes) = take(size).parse(input)?;
            *field = Token::Text(bytes);
        }
        Ok((input, fields))
    }
    parse(input).map_err(|_| ParseError::Truncated)
}

impl<'a> Message<'a> {
    /// Status and response, if this is a well-formed `phx_reply`.
    pub fn reply(&self) -> Option<(Token<'a>, Body<'a>)> {
        match self.payload {
            Payload::Reply { status, response } => Some((status, response)),
            Payload::Event(Body::Json(payload)) if self.event.is("phx_reply") => Some((
                Token::Json(json::member(payload, "status")?),
                Body::Json(json::member(payload, "response")?),
            )),
            Payload::Event(_) => None,
        }
    }

    /// What an event carries; for a reply, its response.
    pub const fn body(&self) -> Body<'a> {
        match self.payload {
            Payload::Event(body) | Payload::Reply { response: body, .. } => body,
        }
    }
}
