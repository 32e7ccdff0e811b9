//! Whom a request addresses, and what the adapter must be told before it goes there.

use crate::bus::{Address, Protocol};
use crate::elm327::command::Command;
use crate::time::Duration;

use super::stn::Stn;

/// A request to the car.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request<'a> {
    /// The service byte and its parameters. An ELM327 sends seven bytes at most on CAN; an STN sends more.
    pub data: &'a [u8],
    /// Whom to ask.
    pub target: Target,
    /// How many lines will answer, if that is known (1..=15): the adapter then returns at once instead of
    /// waiting for more. Too small a number cuts the answer short.
    pub lines: Option<u8>,
    /// How long the adapter may be silent, beyond what the target is known to take ([`Physical::timeout`]); by default
    /// one second.
    pub timeout: Option<Duration>,
    /// Whether lines may come without headers, which is shorter. Only a request to one ECU on CAN whose answering
    /// address is known does without them; others keep theirs.
    pub bare: bool,
}

impl<'a> Request<'a> {
    /// A request to every ECU, with nothing known of its answer.
    pub const fn new(data: &'a [u8]) -> Self {
        Self { data, target: Target::Functional, lines: None, timeout: None, bare: false }
    }
}

/// Whom a request addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Target {
    /// Every ECU that knows emissions diagnostics, with the header that the protocol prescribes.
    #[default]
    Functional,
    /// One ECU, or a header of one's own.
    Physical(Physical),
}

impl Target {
    /// How long an answer may take, where the adapter must be told.
    pub(super) const fn timeout(self) -> Option<Duration> {
        match self {
            Self::Functional => None,
            Self::Physical(one) => one.timeout,
        }
    }

    /// Whose answers count; `None`: everyone's.
    pub(super) const fn reply(self) -> Option<Address> {
        match self {
            Self::Functional => None,
            Self::Physical(one) => one.reply,
        }
    }
}

/// The addresses of a conversation with one ECU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Physical {
    /// The header of the request: an 11-bit or 29-bit identifier, or the three bytes of a legacy header.
    pub request: u32,
    /// Who will answer, if that is known: a CAN identifier, or the source byte of a legacy header.
    pub reply: Option<Address>,
    /// The address byte of ISO 15765-2 extended addressing that our frames begin with.
    pub extended: Option<u8>,
    /// Our own address, if it is not the usual F1.
    pub tester: Option<u8>,
    /// How long it may take to answer, if that is longer than the adapter waits by itself: up to 1020 ms, with an STN
    /// up to 65.5 s.
    pub timeout: Option<Duration>,
}

impl Physical {
    /// One ECU by the header of its requests; who answers follows where a standard says so
    /// (ISO 15765-4: `7E0`..`7E7` and `18DAxxF1`).
    pub const fn new(request: u32) -> Self {
        let reply = match request {
            0x7E0..=0x7E7 => Some(Address(request | 8)),
            0x18DA_0000..=0x18DA_FFFF => Some(Address(swap(request))),
            _ => None,
        };
        Self { request, reply, extended: None, tester: None, timeout: None }
    }

    /// The ECU that answers from this address, where a standard says how to ask it.
    ///
    /// ```
    /// use cloverleaf_core::bus::Address;
    /// use cloverleaf_core::elm327::session::Physical;
    /// assert_eq!(Physical::answering(Address(0x7E8)), Some(Physical::new(0x7E0)));
    /// assert_eq!(Physical::answering(Address(0x10)), None);
    /// ```
    pub const fn answering(reply: Address) -> Option<Self> {
        match reply.0 {
            0x7E8..=0x7EF => Some(Self::new(reply.0 & !8)),
            0x18DA_0000..=0x18DA_FFFF => Some(Self::new(swap(reply.0))),
            _ => None,
        }
    }

    /// Whether the adapter's own flow control finds back to the ECU.
    pub(super) const fn is_standard(&self) -> bool {
        match (Self::new(self.request).reply, self.reply) {
            (Some(usual), Some(reply)) => usual.0 == reply.0 && self.extended.is_none(),
            (_, None) => true,
            (None, Some(_)) => false,
        }
    }
}

/// `18DA` target source: the answer has the two swapped.
const fn swap(id: u32) -> u32 {
    (id & 0xFFFF_0000) | ((id & 0xFF) << 8) | ((id >> 8) & 0xFF)
}

/// What the adapter is to be told next.
pub(super) type Changes = heapless::Deque<Command, 24>;

/// Appends what the adapter must be told so that requests go to `to`; `from` is what it is set for, if known.
pub(super) fn change(from: Option<Target>, to: Target, protocol: Protocol, stn: &mut Stn, out: &mut Changes) {
    let mut push = |command| {
        // Twenty-four slots; no change and what else a job needs are more than thirteen.
        let _ = out.push_back(command);
    };
    let wide = is_wide(protocol);
    let was = from.map(|from| Needs::of(from, protocol, stn));
    if protocol.is_can() {
        stn.pair(to, wide).into_iter().for_each(&mut push);
    }
    let is = Needs::of(to, protocol, stn);
    let differs = |part: fn(&Needs) -> u64| was.as_ref().map(part) != Some(part(&is));
    let (low24, low11) = (is.header & 0xFF_FFFF, is.header as u16 & 0x7FF);

    let header = differs(|needs| needs.header.into());
    let extended = differs(|needs| key(needs.extended));
    if from.is_some() && differs(|needs| key(needs.tester)) {
        push(Command::TesterAddress(is.tester.unwrap_or(0xF1)));
    }
    let timeout = differs(|needs| key(needs.timeout.map(Duration::as_millis)));
    if timeout && (from.is_some() || is.timeout.is_some()) {
        push(stn.timeout(is.timeout));
    }
    if header && wide {
        push(Command::Priority((is.header >> 24) as u8 & 0x1F));
    }
    if header {
        let short = protocol.is_can() && !wide;
        push(if short { Command::ShortHeader(low11) } else { Command::LongHeader(low24) });
    }
    if !protocol.is_can() {
        return;
    }
    if extended {
        push(Command::ExtendedAddress(is.extended));
    }
    if differs(|needs| key(needs.reply)) {
        push(match is.reply {
            None => Command::ReceiveAny,
            Some(id) if wide => Command::ReceiveLong(id),
            Some(id) => Command::ReceiveShort(id as u16 & 0x7FF),
        });
    }
    if is.flow && (header || extended || differs(|needs| needs.flow.into())) {
        push(if wide { Command::FlowHeaderLong(is.header) } else { Command::FlowHeaderShort(low11) });
        push(Command::FlowData(is.extended));
    }
    if differs(|needs| needs.flow.into()) {
        push(Command::FlowMode(u8::from(is.flow)));
    }
}

/// A number that tells `None` from every value.
fn key<T: Into<u64>>(value: Option<T>) -> u64 {
    value.map_or(u64::MAX, Into::into)
}

/// What a target asks of the adapter; `None` is the default each time.
struct Needs {
    header: u32,
    reply: Option<u32>,
    extended: Option<u8>,
    tester: Option<u8>,
    timeout: Option<Duration>,
    /// Whether flow control frames must be spelled out.
    flow: bool,
}

impl Needs {
    fn of(target: Target, protocol: Protocol, stn: &Stn) -> Self {
        let header = functional(protocol);
        match target {
            Target::Functional => {
                Self { header, reply: None, extended: None, tester: None, timeout: None, flow: false }
            }
            Target::Physical(one) => Self {
                header: one.request,
                reply: one.reply.map(|Address(id)| id),
                extended: one.extended,
                tester: one.tester,
                timeout: one.timeout,
                flow: !one.is_standard() && !stn.is_paired(one),
            },
        }
    }
}

/// The header of requests to everyone (facts of the standards: SAE J1979, ISO 15765-4, ISO 14230-4).
pub(super) const fn functional(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::J1850Pwm => 0x61_6A_F1,
        Protocol::J1850Vpw | Protocol::Iso9141 => 0x68_6A_F1,
        Protocol::KwpSlow | Protocol::KwpFast => 0xC2_33_F1,
        Protocol::Can11Fast | Protocol::Can11Slow => 0x7DF,
        Protocol::Can29Fast | Protocol::Can29Slow => 0x18DB_33F1,
        // Request PGN (EA00) to everyone from the tool F9.
        Protocol::J1939 => 0x18EA_FFF9,
    }
}

pub(super) const fn is_wide(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Can29Fast | Protocol::Can29Slow | Protocol::J1939)
}
