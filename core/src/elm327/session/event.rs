//! What a session tells its owner.

use core::fmt;

use crate::bus::{Address, Assembler, Message};
use crate::elm327::wire::Status;

/// How far the connection reaches. Later is further, so states compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Link {
    /// No adapter answers.
    #[default]
    NotConnected,
    /// An adapter answers; the car has no power (below 6 V at its socket), or nobody looked.
    ElmConnected,
    /// The socket has power; no control unit answers.
    ObdConnected,
    /// A control unit answers.
    CarConnected,
}

impl Link {
    /// The words that python-OBD and obd-socketio clients know.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotConnected => "Not Connected",
            Self::ElmConnected => "ELM Connected",
            Self::ObdConnected => "OBD Connected",
            Self::CarConnected => "Car Connected",
        }
    }
}

/// What happened. `MESSAGES` and `BYTES` are those of the [`Session`](super::Session).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a, const MESSAGES: usize, const BYTES: usize> {
    /// The connection reaches further, or less far, than before.
    Link(Link),
    /// Requests are taken from now on, although no control unit has answered yet: without a probe, and on J1939,
    /// which has none. Elsewhere [`Link::CarConnected`] says so.
    Ready,
    /// An attempt to reach the adapter or the car failed; the session tries again by itself, later and later.
    Trouble(Failure),
    /// The answer to a [`request`](super::Session::request): the messages of all ECUs, or why there are none.
    Reply(Result<Answer<'a, MESSAGES, BYTES>, Failure>),
    /// A line of the answer to a [`command`](super::Session::command), as text.
    Text(&'a [u8]),
    /// The end of a command, of monitoring, of a change of rate.
    Done(Result<(), Failure>),
    /// The voltage at the socket, in millivolts.
    Voltage(u32),
    /// A frame heard while monitoring, as hex text with its header.
    Frame(&'a [u8]),
    /// The adapter lost frames while monitoring and was told to go on.
    Gap,
    /// The adapter spoke unasked: [`Status::ActivityAlert`], [`Status::LowPowerAlert`],
    /// [`Status::LowVoltageReset`].
    Alert(Status),
    /// The transport must change its serial rate now, before anything else is sent or received.
    Baud(u32),
}

/// What the car answered: at least one whole message.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a, const MESSAGES: usize, const BYTES: usize> {
    pub(super) assembler: &'a Assembler<MESSAGES, BYTES>,
    pub(super) only: Option<Address>,
    /// How many lines the adapter printed: the response count to ask for next time.
    pub lines: u8,
    /// What went wrong beside the whole messages: another one was damaged or cut short.
    pub fault: Option<Failure>,
}

impl<'a, const MESSAGES: usize, const BYTES: usize> Answer<'a, MESSAGES, BYTES> {
    /// The messages, one or more per ECU, in the order in which they began. Of an ECU that first said
    /// "pending" (`7F xx 78`) only what followed; of a physical request only what the asked ECU said.
    pub fn messages(&self) -> impl Iterator<Item = Message<'a>> + Clone + use<'a, MESSAGES, BYTES> {
        answers(self.assembler.messages(), self.only)
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Failure {
    /// The adapter said so.
    Adapter(Status),
    /// The adapter fell silent: within the time of the command it sent no prompt.
    Timeout,
    /// The adapter sent nothing at all, ever.
    Mute,
    /// Something answers, but not as an ELM327 does: another device, or the wrong serial rate.
    NotAnAdapter,
    /// The voltage at the socket is below 6 V: ignition off, or not plugged in.
    NoPower,
    /// No protocol was found although control units may be there.
    NoProtocol,
    /// The adapter restarted in the middle; its settings are being restored.
    Restarted,
    /// Lines arrived that are neither data nor status.
    Garbage,
    /// Frames arrived that make no whole message.
    Incomplete,
    /// The answer is longer than this session's buffers.
    TooLong,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Adapter(Status::Internal(number)) => {
                return write!(f, "the adapter reports internal error {number:02}");
            }
            Self::Adapter(status) => return write!(f, "the adapter answers {}", status.as_str()),
            Self::Timeout => "the adapter did not answer in time",
            Self::Mute => "nothing answers: is an adapter connected, and is the serial rate right?",
            Self::NotAnAdapter => "what answers is no ELM327, or the serial rate is wrong",
            Self::NoPower => "the socket has less than 6 V: is the ignition on?",
            Self::NoProtocol => "no protocol works with this car",
            Self::Restarted => "the adapter restarted",
            Self::Garbage => "the answer is unreadable",
            Self::Incomplete => "the answer is incomplete",
            Self::TooLong => "the answer is too long",
        })
    }
}

impl core::error::Error for Failure {}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Refused {
    /// Another one is under way: wait for its [`Event::Reply`] or [`Event::Done`].
    Busy,
    /// The link does not reach that far yet: wait for [`Event::Link`].
    NotConnected,
    /// More bytes than this adapter can send in one request, or none.
    Length,
    /// The adapter or the protocol in use has no means for this.
    Unsupported,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "another request is under way",
            Self::NotConnected => "not connected",
            Self::Length => "the request is empty or too long for this adapter",
            Self::Unsupported => "this adapter or protocol cannot do that",
        })
    }
}

impl core::error::Error for Refused {}

/// Whether a message says "pending, please wait" (`7F xx 78`; ISO 14229-1, annex A).
pub(super) fn is_pending(message: &Message<'_>) -> bool {
    matches!(message.data, [0x7F, _, 0x78, ..])
}

/// Whether a message answers a request of this service, be it by a refusal (`7F` and the service; ISO 14229-1, 8.4).
pub(super) fn answers_service(message: &Message<'_>, service: u8) -> bool {
    match message.data {
        [0x7F, refused, ..] => *refused == service,
        [first, ..] => *first == service | 0x40,
        [] => false,
    }
}

/// Keeps the messages of `only` (if given), and of each ECU that is done no "pending". A sender that the adapter did
/// not print is `only`.
pub(super) fn answers<'a, I>(messages: I, only: Option<Address>) -> impl Iterator<Item = Message<'a>> + Clone
where
    I: Iterator<Item = Message<'a>> + Clone,
{
    let all = messages.clone();
    let kept = messages.filter(move |message| {
        let done = |other: Message<'_>| other.source == message.source && !is_pending(&other);
        only.is_none_or(|only| message.source == only || message.source == Address::HIDDEN)
            && !(is_pending(message) && all.clone().any(done))
    });
    kept.map(move |message| match (message.source, only) {
        (Address::HIDDEN, Some(source)) => Message { source, ..message },
        _ => message,
    })
}
