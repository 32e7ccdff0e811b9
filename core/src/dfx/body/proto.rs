//! Bodies as protocol buffers (proto3). Decoded messages borrow from the frame; lists are decoded as they are
//! iterated, and fields that a newer server adds are kept in `unknown_fields` and written back.
//!
//! ```
//! use cloverleaf_core::dfx::body::proto::{self, DataAck};
//! let ack: DataAck = proto::decode(b"\x0a\x05abc:1\x10\x01").unwrap();
//! assert_eq!((ack.id, ack.chunk_order), ("abc:1", 1));
//! let mut buf = [0; 16];
//! assert_eq!(proto::encode(&ack, &mut buf).unwrap(), b"\x0a\x05abc:1\x10\x01");
//! ```

use core::fmt;

pub use femtopb::Message;
use femtopb::item_encoding::{self, SInt32};
use femtopb::{Packed, Repeated, UnknownFields};

use crate::dfx::wire::BufferTooSmall;

/// Messages that repeat.
pub type Messages<'a, M> = Repeated<'a, M, item_encoding::Message<'a, M>>;
/// Texts that repeat.
pub type Texts<'a> = Repeated<'a, &'a str, item_encoding::String>;

/// Whole numbers that repeat.
pub type Values<'a> = Packed<'a, i32, SInt32>;

/// Which measurement a request is about.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct Params<'a> {
    /// The measurement.
    #[femtopb(string, tag = 1)]
    pub id: &'a str,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// The reply to 0100.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct ServerStatus<'a> {
    /// `ACTIVE`, `MAINTENANCE`, `ERROR` or `LATENCY`.
    #[femtopb(string, tag = 1)]
    pub status_id: &'a str,
    /// The version of the service.
    #[femtopb(string, tag = 2)]
    pub version: &'a str,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// Actions 0201 and 0717.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct Login<'a> {
    /// Who logs in.
    #[femtopb(string, tag = 1)]
    pub email: &'a str,
    /// The password.
    #[femtopb(string, tag = 2)]
    pub password: &'a str,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// The reply to 0201, 0717 and 2304, and the request of 2304.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct Tokens<'a> {
    /// The token.
    #[femtopb(string, tag = 1)]
    pub token: &'a str,
    /// What renews it, once.
    #[femtopb(string, tag = 2)]
    pub refresh_token: &'a str,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// Action 0705.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct RegisterLicense<'a> {
    /// The key of the licence.
    #[femtopb(string, tag = 1)]
    pub key: &'a str,
    /// What the machine is: `LINUX` and the like.
    #[femtopb(string, tag = 2)]
    pub device_type_id: &'a str,
    /// The name of the program.
    #[femtopb(string, tag = 3)]
    pub name: &'a str,
    /// The program once more, for machines.
    #[femtopb(string, tag = 4)]
    pub identifier: &'a str,
    /// The version of the program.
    #[femtopb(string, tag = 5)]
    pub version: &'a str,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// The reply to 0705.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct Registered<'a> {
    /// The device that this machine is now.
    #[femtopb(string, tag = 1)]
    pub device_id: &'a str,
    /// Its token.
    #[femtopb(string, tag = 2)]
    pub token: &'a str,
    /// What renews the token, once.
    #[femtopb(string, tag = 3)]
    pub refresh_token: &'a str,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// Action 0500, and others about one measurement.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct ById<'a> {
    /// Which measurement.
    #[femtopb(message, optional, tag = 1)]
    pub params: Option<Params<'a>>,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// The reply to 0500, but for the files and results, which are free-form.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct Retrieved<'a> {
    /// The study that says what was measured.
    #[femtopb(string, tag = 1)]
    pub study_id: &'a str,
    /// How far it is: `CAPTURING`, `PROCESSING`, `COMPLETE`, `ERROR` or `INCOMPLETE`.
    #[femtopb(string, tag = 2)]
    pub status_id: &'a str,
    /// When it began, in seconds since 1970.
    #[femtopb(uint32, tag = 6)]
    pub created: u32,
    /// When something was last added, in seconds since 1970.
    #[femtopb(uint32, tag = 7)]
    pub updated: u32,
    /// The measurement.
    #[femtopb(string, tag = 8)]
    pub id: &'a str,
    /// `DISCRETE`, or what was asked for.
    #[femtopb(string, tag = 11)]
    pub mode: &'a str,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// Action 0504.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct Create<'a> {
    /// The study that says what to measure.
    #[femtopb(string, tag = 1)]
    pub study_id: &'a str,
    /// 0: one value for each chunk; 100: the whole signal.
    #[femtopb(uint32, tag = 2)]
    pub resolution: u32,
    /// Whom it is about, if anyone.
    #[femtopb(string, tag = 3)]
    pub user_profile_id: &'a str,
    /// The version of the device.
    #[femtopb(string, tag = 4)]
    pub device_version: &'a str,
    /// Remarks.
    #[femtopb(string, tag = 5)]
    pub notes: &'a str,
    /// `DISCRETE` and the like.
    #[femtopb(string, tag = 6)]
    pub mode: &'a str,
    /// The partner on whose behalf, if any.
    #[femtopb(string, tag = 7)]
    pub partner_id: &'a str,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// The reply to 0504.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct Created<'a> {
    /// The measurement.
    #[femtopb(string, tag = 1)]
    pub id: &'a str,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// Action 0506. The fields between `action` and `payload` are of older clients; newer ones leave them out.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct Data<'a> {
    /// Which measurement.
    #[femtopb(message, optional, tag = 1)]
    pub params: Option<Params<'a>>,
    /// One of the six [`ChunkAction`](super::ChunkAction)s.
    #[femtopb(string, tag = 2)]
    pub action: &'a str,
    /// The number of the chunk, from 0.
    #[femtopb(uint32, tag = 3)]
    pub chunk_order: u32,
    /// When the chunk begins, in seconds of the measurement.
    #[femtopb(uint64, tag = 4)]
    pub start_time: u64,
    /// When it ends.
    #[femtopb(uint64, tag = 5)]
    pub end_time: u64,
    /// How long it is, in seconds.
    #[femtopb(float, tag = 6)]
    pub duration: f32,
    /// The chunk itself.
    #[femtopb(bytes, tag = 7)]
    pub payload: &'a [u8],
    /// Description of the chunk.
    #[femtopb(bytes, tag = 8)]
    pub meta: &'a [u8],
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// The reply to 0506.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct DataAck<'a> {
    /// `<measurement>:<chunk>`; see [`chunk_number`](super::chunk_number).
    #[femtopb(string, tag = 1)]
    pub id: &'a str,
    /// The number of the chunk; 0 is absent on the wire.
    #[femtopb(uint32, tag = 2)]
    pub chunk_order: u32,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// Action 0510. Its reply has no body.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct Subscribe<'a> {
    /// Which measurement.
    #[femtopb(message, optional, tag = 1)]
    pub params: Option<Params<'a>>,
    /// The id that results are to carry: ten bytes.
    #[femtopb(string, tag = 2)]
    pub request_id: &'a str,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// Action 0718, and its reply.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct Token<'a> {
    /// The token.
    #[femtopb(string, tag = 1)]
    pub token: &'a str,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// A pushed result: what one chunk told.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct Outcome<'a> {
    /// The measurement.
    #[femtopb(string, tag = 1)]
    pub measurement_id: &'a str,
    /// `<measurement>:<chunk>`; the only thing that orders results.
    #[femtopb(string, tag = 2)]
    pub data_id: &'a str,
    /// This result.
    #[femtopb(string, tag = 3)]
    pub result_id: &'a str,
    /// What values were multiplied by to be whole numbers.
    #[femtopb(uint32, tag = 4)]
    pub multiplier: u32,
    /// The signals, by name.
    #[femtopb(message, repeated, tag = 5)]
    pub channels: Messages<'a, NamedChannel<'a>>,
    /// How the analysis went.
    #[femtopb(message, optional, tag = 6)]
    pub error: Option<OutcomeError<'a>>,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// One entry of the map of channels.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct NamedChannel<'a> {
    /// The signal.
    #[femtopb(string, tag = 1)]
    pub name: &'a str,
    /// Its values.
    #[femtopb(message, optional, tag = 2)]
    pub channel: Option<Channel<'a>>,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// The values of one signal.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct Channel<'a> {
    /// Values times the result's multiplier.
    #[femtopb(sint32, packed, tag = 1)]
    pub data: Values<'a>,
    /// The signal once more.
    #[femtopb(string, tag = 2)]
    pub channel: &'a str,
    /// Remarks for people.
    #[femtopb(string, repeated, tag = 3)]
    pub notes: Texts<'a>,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// How the analysis of one chunk went.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct OutcomeError<'a> {
    /// `OK`, or what is wrong.
    #[femtopb(string, tag = 1)]
    pub code: &'a str,
    /// What is wrong with which signal.
    #[femtopb(message, repeated, tag = 2)]
    pub errors: Messages<'a, NamedErrors<'a>>,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// One entry of a map of errors.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct NamedErrors<'a> {
    /// The field or the signal.
    #[femtopb(string, tag = 1)]
    pub name: &'a str,
    /// What is wrong with it.
    #[femtopb(message, optional, tag = 2)]
    pub errors: Option<Errors<'a>>,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct Errors<'a> {
    /// Sentences for people.
    #[femtopb(string, repeated, tag = 1)]
    pub msgs: Texts<'a>,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// The body of a response whose status is an error.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct Failure<'a> {
    /// What is wrong, for programs; see [`code`](super::code).
    #[femtopb(string, tag = 1)]
    pub code: &'a str,
    /// What is wrong with which field.
    #[femtopb(message, repeated, tag = 2)]
    pub errors: Messages<'a, NamedErrors<'a>>,
    /// What is wrong, for people.
    #[femtopb(string, tag = 3)]
    pub message: &'a str,
    /// Fields unknown to this version.
    #[femtopb(unknown_fields)]
    pub unknown_fields: UnknownFields<'a>,
}

/// The body is not the protobuf message that was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(femtopb::error::DecodeError);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not the expected protobuf message: {:?}", self.0)
    }
}

impl core::error::Error for DecodeError {}

impl From<femtopb::error::DecodeError> for DecodeError {
    fn from(error: femtopb::error::DecodeError) -> Self {
        Self(error)
    }
}

/// Reads a body. Lists inside it are read when they are iterated, and may fail then.
///
/// # Errors
/// [`DecodeError`] on truncated or mistyped fields.
pub fn decode<'a, M: Message<'a>>(body: &'a [u8]) -> Result<M, DecodeError> {
    M::decode(body).map_err(DecodeError)
}

/// Writes a body to the start of `buf` and returns that part.
///
/// # Errors
/// [`BufferTooSmall`], with nothing written.
pub fn encode<'b, 'a, M: Message<'a>>(message: &M, buf: &'b mut [u8]) -> Result<&'b [u8], BufferTooSmall> {
    let (need, have) = (message.encoded_len(), buf.len());
    let room = buf.get_mut(..need).ok_or(BufferTooSmall { need, have })?;
    message.encode(&mut &mut *room).map_err(|_| BufferTooSmall { need, have })?;
    Ok(room)
}
