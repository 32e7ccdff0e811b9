//! The two frames of the DFX WebSocket: one frame is one WebSocket message, and the body is its rest.
//!
//! ```text
//! request   [action: 4 digits][id: 10 bytes][body]
//! response  [id: 10 bytes][status: 3 digits][body]
//! ```
//!
//! There is no length field and no padding. The client chooses the id, the server echoes it byte for byte: ten
//! bytes of any value, compared as bytes and never trimmed.

use core::fmt;

use nom::bytes::complete::{take, take_while_m_n};
use nom::{IResult, Parser};

use super::action::Action;

const REQUEST_HEADER: usize = 4 + Id::LEN;
const RESPONSE_HEADER: usize = Id::LEN + 3;

/// Ten bytes that tie a response to its request, or a pushed result to its subscription.
///
/// ```
/// use cloverleaf_core::dfx::Id;
/// let id = Id::padded("abc").unwrap();
/// assert_eq!(id.as_bytes(), b"abc       ");
/// assert_eq!(id.as_str(), Some("abc       "));
/// assert_eq!(Id::padded("eleven bytes"), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Id([u8; Self::LEN]);

impl Id {
    /// The length of every id.
    pub const LEN: usize = 10;

    /// An id of these bytes.
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// `text` filled up with spaces on the right, as Python's `{:10}` does; `None` when it is longer than an id.
    pub fn padded(text: &str) -> Option<Self> {
        let mut bytes = [b' '; Self::LEN];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self(bytes))
    }

    /// The ten bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The id as text when every byte is ASCII.
    pub fn as_str(&self) -> Option<&str> {
        if self.0.is_ascii() { core::str::from_utf8(&self.0).ok() } else { None }
    }
}

/// ASCII as it is, everything else as `\xNN`.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id(b\"{}\")", self.0.escape_ascii())
    }
}

/// The outcome of a request in the numbers of HTTP: 100 to 999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status(u16);

impl Status {
    /// Done.
    pub const OK: Self = Self(200);
    /// What the client holds is current (SDK configuration).
    pub const NOT_MODIFIED: Self = Self(304);
    /// The request is wrong; the body says how.
    pub const BAD_REQUEST: Self = Self(400);
    /// No token, a wrong one, or one that has run out.
    pub const UNAUTHORIZED: Self = Self(401);
    /// No such measurement.
    pub const NOT_FOUND: Self = Self(404);
    /// Faster than the measurement may go.
    pub const TOO_MANY_REQUESTS: Self = Self(429);
    /// The server failed.
    pub const INTERNAL_ERROR: Self = Self(500);

    /// `code` as a status; `None` outside 100 to 999.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            100..=999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Whether clients treat it as a failure: 400 and above.
    pub const fn is_error(self) -> bool {
        self.0 >= 400
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

/// Why a message is not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ParseError {
    /// The message ends inside the header.
    TooShort {
        /// Bytes of a header: [`Request::HEADER`] or [`Response::HEADER`].
        need: usize,
        /// Bytes of the message.
        have: usize,
    },
    /// Not three ASCII digits from 100 to 999: signs, spaces and `0xx` are refused, whatever a lenient number
    /// parser would make of them.
    BadStatus([u8; 3]),
    /// Not four ASCII digits.
    BadAction([u8; 4]),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { need, have } => {
                write!(f, "a frame has at least {need} bytes, this one has {have}")
            }
            Self::BadStatus(s) => write!(f, "status is not 100 to 999: \"{}\"", s.escape_ascii()),
            Self::BadAction(a) => write!(f, "action is not four digits: \"{}\"", a.escape_ascii()),
        }
    }
}

impl core::error::Error for ParseError {}

/// The caller's buffer is smaller than the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BufferTooSmall {
    /// Bytes of the frame.
    pub need: usize,
    /// Bytes of the buffer.
    pub have: usize,
}

impl fmt::Display for BufferTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the frame has {} bytes, the buffer {}", self.need, self.have)
    }
}

impl core::error::Error for BufferTooSmall {}

/// What a client sends.
///
/// ```
/// use cloverleaf_core::dfx::{Action, Id, Request};
/// let request = Request::parse(b"0510abcdefghij{}").unwrap();
/// assert_eq!(request.action, Action::SUBSCRIBE_RESULTS);
/// assert_eq!(request.id, Id::new(*b"abcdefghij"));
/// assert_eq!(request.body, b"{}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request<'a> {
    /// What is asked for.
    pub action: Action,
    /// The name of this call, echoed by the response.
    pub id: Id,
    /// The arguments: JSON or protobuf, as the subprotocol of the connection says.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// Bytes before the body.
    pub const HEADER: usize = REQUEST_HEADER;

    /// Reads one message; the body borrows from it.
    ///
    /// # Errors
    /// [`ParseError::TooShort`] below 14 bytes, [`ParseError::BadAction`] unless it starts with four digits.
    pub fn parse(message: &'a [u8]) -> Result<Self, ParseError> {
        let too_short = ParseError::TooShort { need: Self::HEADER, have: message.len() };
        if message.len() < Self::HEADER {
            return Err(too_short);
        }
        match (digits::<4>, id).parse_complete(message) {
            Ok((body, (action, id))) => {
                Action::new(action).map(|action| Self { action, id, body }).ok_or(too_short)
            }
            Err(_) => Err(ParseError::BadAction(*message.first_chunk().ok_or(too_short)?)),
        }
    }

    /// The bytes before the body, for senders that keep the body elsewhere.
    pub fn header(&self) -> [u8; REQUEST_HEADER] {
        let mut header = [0; REQUEST_HEADER];
        put(&mut header, &[&self.action.digits(), &self.id.0]);
        header
    }

    /// Writes the frame to the start of `buf` and returns its length.
    ///
    /// # Errors
    /// [`BufferTooSmall`], with nothing written.
    pub fn emit(&self, buf: &mut [u8]) -> Result<usize, BufferTooSmall> {
        emit(buf, &self.header(), self.body)
    }
}

/// What a server sends: the outcome of a request, or a result that a subscription asked for.
///
/// ```
/// use cloverleaf_core::dfx::{Id, Response, Status};
/// let ack = Response::parse(b"abcdefghij200").unwrap();
/// assert_eq!((ack.id, ack.status, ack.body), (Id::new(*b"abcdefghij"), Status::OK, &b""[..]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Response<'a> {
    /// The id of the call, or of the subscription.
    pub id: Id,
    /// How it went.
    pub status: Status,
    /// The answer: JSON or protobuf, as the subprotocol of the connection says.
    pub body: &'a [u8],
}

impl<'a> Response<'a> {
    /// Bytes before the body.
    pub const HEADER: usize = RESPONSE_HEADER;

    /// Reads one message; the body borrows from it.
    ///
    /// # Errors
    /// [`ParseError::TooShort`] below 13 bytes, [`ParseError::BadStatus`] unless the id is followed by three
    /// digits from 100 to 999.
    pub fn parse(message: &'a [u8]) -> Result<Self, ParseError> {
        let too_short = ParseError::TooShort { need: Self::HEADER, have: message.len() };
        if message.len() < Self::HEADER {
            return Err(too_short);
        }
        let (rest, id) = id(message).map_err(|_| too_short)?;
        let bad_status = ParseError::BadStatus(*rest.first_chunk().ok_or(too_short)?);
        let (body, status) = digits::<3>(rest).map_err(|_| bad_status)?;
        Ok(Self { id, status: Status::new(status).ok_or(bad_status)?, body })
    }

    /// The bytes before the body, for senders that keep the body elsewhere.
    pub fn header(&self) -> [u8; RESPONSE_HEADER] {
        let mut header = [0; RESPONSE_HEADER];
        let Status(code) = self.status;
        put(&mut header, &[&self.id.0, &[digit(code / 100), digit(code / 10), digit(code)]]);
        header
    }

    /// Writes the frame to the start of `buf` and returns its length.
    ///
    /// # Errors
    /// [`BufferTooSmall`], with nothing written.
    pub fn emit(&self, buf: &mut [u8]) -> Result<usize, BufferTooSmall> {
        emit(buf, &self.header(), self.body)
    }
}

/// The ASCII digit of the last decimal place of `n`.
pub(super) const fn digit(n: u16) -> u8 {
    b'0' + (n % 10) as u8
}

fn id(input: &[u8]) -> IResult<&[u8], Id> {
    take(Id::LEN).map_opt(|bytes: &[u8]| bytes.first_chunk().copied().map(Id)).parse_complete(input)
}

/// Exactly `N` ASCII digits (at most four, so that the number fits).
fn digits<const N: usize>(input: &[u8]) -> IResult<&[u8], u16> {
    take_while_m_n(N, N, |byte: u8| byte.is_ascii_digit())
        .map(|text: &[u8]| text.iter().fold(0, |n, byte| n * 10 + u16::from(byte - b'0')))
        .parse_complete(input)
}

fn emit(buf: &mut [u8], header: &[u8], body: &[u8]) -> Result<usize, BufferTooSmall> {
    let (need, have) = (header.len().saturating_add(body.len()), buf.len());
    let frame = buf.get_mut(..need).ok_or(BufferTooSmall { need, have })?;
    put(frame, &[header, body]);
    Ok(need)
}

/// Copies `parts` one after another; what does not fit is left out (callers give buffers of the right size).
fn put(mut buf: &mut [u8], parts: &[&[u8]]) {
    for part in parts {
        let Some((head, tail)) = buf.split_at_mut_checked(part.len()) else { return };
        head.copy_from_slice(part);
        buf = tail;
    }
}
