//! What we say to an adapter: every command with its text, how long its answer may take, and which adapters
//! may fail to understand it.
//!
//! Sources: ELM327 data sheet, "AT Commands"; OBDLink Family Reference rev. E, "ST Commands".

use core::fmt::{self, Write};

use crate::bus::Protocol;
use crate::time::Duration;

/// The longest line that any command needs, without its carriage return.
///
/// 80 characters hold 31 bytes of request, its header and its options.
pub const LINE: usize = 80;

/// The text of one command, without its carriage return.
pub type Text = heapless::Vec<u8, LINE>;

/// How the adapter waits for further answers of the car (`AT AT`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Timing {
    /// Always the full time-out.
    Fixed,
    /// Learned from the answers, with a margin: the adapter's default.
    #[default]
    Adaptive,
    /// Learned, with a smaller margin.
    Eager,
}

/// A command to the adapter itself; what goes to the car is a [`Request`](super::session::Request).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Command {
    /// `ATZ`: restart, all settings at their defaults.
    Reset,
    /// `ATI`: the adapter's name and version.
    Identify,
    /// `STI`: the name and version of an STN chip; others answer `?`.
    IdentifyStn,
    /// `ATE`: whether commands are echoed.
    Echo(bool),
    /// `ATL`: whether lines end with a line feed too.
    Linefeeds(bool),
    /// `ATS`: whether hex bytes are parted by blanks.
    Spaces(bool),
    /// `ATH`: whether headers and check bytes are shown.
    Headers(bool),
    /// `ATR1`: show the answers of the car.
    Responses,
    /// `ATV0`: send CAN frames with eight bytes of data.
    FixedLength,
    /// `ATD0`: show no count of the data bytes of a CAN frame.
    HideLength,
    /// `ATAL`: whether messages longer than seven bytes are allowed.
    LongMessages,
    /// `ATM`: whether the last protocol is remembered in EEPROM.
    Memory(bool),
    /// `ATFE`: forget events: after a fatal CAN error the adapter searches CAN again.
    ForgetEvents,
    /// `ATAT`: adaptive timing.
    Timing(Timing),
    /// `ATST`: how long the adapter waits for an answer, in steps of 4 ms up to 1020 ms; `None`: its default.
    Timeout(Option<Duration>),
    /// `ATRV`: the voltage of the supply.
    Voltage,
    /// `ATLP`: low power.
    LowPower,
    /// `ATSP`: use this protocol, or search (`None`).
    SetProtocol(Option<Protocol>),
    /// `ATTP`: use this protocol without remembering it.
    TryProtocol(Protocol),
    /// `ATDPN`: the number of the protocol in use.
    ProtocolNumber,
    /// `ATCP`: the five high bits of a 29-bit identifier.
    Priority(u8),
    /// `ATSH` with three digits: an 11-bit identifier.
    ShortHeader(u16),
    /// `ATSH` with six digits: a legacy header, or the low 24 bits of a 29-bit identifier.
    LongHeader(u32),
    /// `ATCRA` with three digits: receive only this 11-bit identifier.
    ReceiveShort(u16),
    /// `ATCRA` with eight digits: receive only this 29-bit identifier.
    ReceiveLong(u32),
    /// `ATCRA` alone: receive what the protocol usually does.
    ReceiveAny,
    /// `ATAR`: the same, for older chips.
    ReceiveAutomatic,
    /// `ATCF` with three digits: the identifiers to receive, where the mask has ones.
    FilterShort(u16),
    /// `ATCF` with eight digits.
    FilterLong(u32),
    /// `ATCM` with three digits: the bits of the filter that count.
    MaskShort(u16),
    /// `ATCM` with eight digits.
    MaskLong(u32),
    /// `ATCEA`: the address byte of extended addressing, or none.
    ExtendedAddress(Option<u8>),
    /// `ATTA`: our own address where extended addressing or 29-bit identifiers need it.
    TesterAddress(u8),
    /// `ATFCSH` with three digits: the identifier of flow control frames.
    FlowHeaderShort(u16),
    /// `ATFCSH` with eight digits.
    FlowHeaderLong(u32),
    /// `ATFCSD`: the data of flow control frames: go on, all frames, no gaps; after an address byte if any.
    FlowData(Option<u8>),
    /// `ATFCSM`: 0 the adapter's own flow control, 1 header and data as set.
    FlowMode(u8),
    /// `ATCAF`: whether CAN frames are formatted (sent with, and shown without, their control bytes).
    Formatting(bool),
    /// `ATMA`: print everything heard.
    MonitorAll,
    /// `STM`: print what the filters pass.
    MonitorFiltered,
    /// `STPTO`: how long an STN waits for an answer, 1 ms to 65.5 s; never zero, which would mean for ever.
    StnTimeout(Duration),
    /// `STCSEGR`: whether the frames of a message are joined into one line, without their control bytes.
    Reassemble(bool),
    /// `STCFCPA`: whoever sends a long message with the 11-bit identifier `reply` is given leave with `request`.
    FlowPairShort {
        /// The identifier of our flow control frames.
        request: u16,
        /// That of the ECU's messages.
        reply: u16,
    },
    /// `STCFCPA` with eight digits each.
    FlowPairLong {
        /// The identifier of our flow control frames.
        request: u32,
        /// That of the ECU's messages.
        reply: u32,
    },
    /// `STCFCPC`: forget those pairs. An STN that has none gives leave by the rule of ISO 15765-4 again.
    ClearFlowPairs,
    /// `STFAC`: remove all filters.
    ClearFilters,
    /// `STFPA`: pass the 11-bit identifiers that equal `pattern` where `mask` has ones.
    PassShort {
        /// The bits wanted.
        pattern: u16,
        /// The bits that count.
        mask: u16,
    },
    /// `STFPA` with eight digits.
    PassLong {
        /// The bits wanted.
        pattern: u32,
        /// The bits that count.
        mask: u32,
    },
    /// `ATBRT`: how long the adapter waits for us after a change of rate, in steps of 5 ms.
    BaudTimeout(Duration),
    /// `ATBRD`: change the serial rate to 4 Mbit/s over this divisor.
    BaudDivisor(u8),
}

impl Command {
    /// The text to send, without its carriage return.
    pub fn text(self) -> Text {
        let mut line = Line(Text::new());
        // No command is longer than its line: `tests/it/elm327.rs` emits the widest of each.
        let _ = write!(line, "{self}");
        line.0
    }

    /// What does the same on an ELM327, where this is a command of STN chips and sets something.
    pub(super) fn without_stn(self) -> Option<heapless::Vec<Self, 3>> {
        let commands: &[Self] = match self {
            Self::StnTimeout(span) => &[Self::Timeout(Some(span))],
            Self::Reassemble(_) | Self::ClearFlowPairs | Self::ClearFilters => &[],
            Self::FlowPairShort { request, .. } => {
                &[Self::FlowHeaderShort(request), Self::FlowData(None), Self::FlowMode(1)]
            }
            Self::FlowPairLong { request, .. } => {
                &[Self::FlowHeaderLong(request), Self::FlowData(None), Self::FlowMode(1)]
            }
            Self::PassShort { pattern, mask } => &[Self::FilterShort(pattern), Self::MaskShort(mask)],
            Self::PassLong { pattern, mask } => &[Self::FilterLong(pattern), Self::MaskLong(mask)],
            _ => return None,
        };
        heapless::Vec::from_slice(commands).ok()
    }

    /// How long the adapter may take to answer. Restarting takes a genuine chip half a second.
    pub const fn timeout(self) -> Duration {
        match self {
            Self::Reset | Self::LowPower => Duration::from_millis(2_000),
            _ => Duration::from_millis(1_000),
        }
    }
}

impl fmt::Display for Command {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Reset                           => f.write_str("ATZ"),
            Self::Identify                        => f.write_str("ATI"),
            Self::IdentifyStn                     => f.write_str("STI"),
            Self::Echo(on)                        => write!(f, "ATE{}", u8::from(on)),
            Self::Linefeeds(on)                   => write!(f, "ATL{}", u8::from(on)),
            Self::Spaces(on)                      => write!(f, "ATS{}", u8::from(on)),
            Self::Headers(on)                     => write!(f, "ATH{}", u8::from(on)),
            Self::Responses                       => f.write_str("ATR1"),
            Self::FixedLength                     => f.write_str("ATV0"),
            Self::HideLength                      => f.write_str("ATD0"),
            Self::LongMessages                    => f.write_str("ATAL"),
            Self::Memory(on)                      => write!(f, "ATM{}", u8::from(on)),
            Self::ForgetEvents                    => f.write_str("ATFE"),
            Self::Timing(timing)                  => write!(f, "ATAT{}", timing as u8),
            Self::Timeout(None)                   => f.write_str("ATST00"),
            Self::Timeout(Some(span))             => write!(f, "ATST{:02X}", steps(span, 4)),
            Self::Voltage                         => f.write_str("ATRV"),
            Self::LowPower                        => f.write_str("ATLP"),
            Self::SetProtocol(None)               => f.write_str("ATSP0"),
            Self::SetProtocol(Some(protocol))     => write!(f, "ATSP{}", protocol.id()),
            Self::TryProtocol(protocol)           => write!(f, "ATTP{}", protocol.id()),
            Self::ProtocolNumber                  => f.write_str("ATDPN"),
            Self::Priority(bits)                  => write!(f, "ATCP{bits:02X}"),
            Self::ShortHeader(id)                 => write!(f, "ATSH{id:03X}"),
            Self::LongHeader(id)                  => write!(f, "ATSH{id:06X}"),
            Self::ReceiveShort(id)                => write!(f, "ATCRA{id:03X}"),
            Self::ReceiveLong(id)                 => write!(f, "ATCRA{id:08X}"),
            Self::ReceiveAny                      => f.write_str("ATCRA"),
            Self::ReceiveAutomatic                => f.write_str("ATAR"),
            Self::FilterShort(id)                 => write!(f, "ATCF{id:03X}"),
            Self::FilterLong(id)                  => write!(f, "ATCF{id:08X}"),
            Self::MaskShort(mask)                 => write!(f, "ATCM{mask:03X}"),
            Self::MaskLong(mask)                  => write!(f, "ATCM{mask:08X}"),
            Self::ExtendedAddress(None)           => f.write_str("ATCEA"),
            Self::ExtendedAddress(Some(byte))     => write!(f, "ATCEA{byte:02X}"),
            Self::TesterAddress(byte)             => write!(f, "ATTA{byte:02X}"),
            Self::FlowHeaderShort(id)             => write!(f, "ATFCSH{id:03X}"),
            Self::FlowHeaderLong(id)              => write!(f, "ATFCSH{id:08X}"),
            Self::FlowData(None)                  => f.write_str("ATFCSD300000"),
            Self::FlowData(Some(byte))            => write!(f, "ATFCSD{byte:02X}300000"),
            Self::FlowMode(mode)                  => write!(f, "ATFCSM{mode}"),
            Self::Formatting(on)                  => write!(f, "ATCAF{}", u8::from(on)),
            Self::MonitorAll                      => f.write_str("ATMA"),
            Self::MonitorFiltered                 => f.write_str("STM"),
            Self::StnTimeout(span)                => write!(f, "STPTO{}", span.as_millis().clamp(1, 65_535)),
            Self::Reassemble(on)                  => write!(f, "STCSEGR{}", u8::from(on)),
            Self::FlowPairShort { request, reply } => write!(f, "STCFCPA{request:03X},{reply:03X}"),
            Self::FlowPairLong { request, reply } => write!(f, "STCFCPA{request:08X},{reply:08X}"),
            Self::ClearFlowPairs                  => f.write_str("STCFCPC"),
            Self::ClearFilters                    => f.write_str("STFAC"),
            Self::PassShort { pattern, mask }     => write!(f, "STFPA{pattern:03X},{mask:03X}"),
            Self::PassLong { pattern, mask }      => write!(f, "STFPA{pattern:08X},{mask:08X}"),
            Self::BaudTimeout(span)               => write!(f, "ATBRT{:02X}", steps(span, 5)),
            Self::BaudDivisor(divisor)            => write!(f, "ATBRD{divisor:02X}"),
        }
    }
}

/// A span in steps of so many milliseconds, at least one (zero would mean "the default") and in one byte.
fn steps(span: Duration, step: u64) -> u8 {
    u8::try_from(span.as_millis().div_ceil(step)).unwrap_or(u8::MAX).max(1)
}

/// The divisor of `ATBRD` for a serial rate, if a rate within 3 % of it exists (9.6 to 2000 kbit/s).
///
/// ```
/// use cloverleaf_core::elm327::command::baud_divisor;
/// assert_eq!(baud_divisor(115_200), Some(0x23));
/// assert_eq!(baud_divisor(500_000), Some(0x08));
/// assert_eq!(baud_divisor(3), None);
/// ```
pub fn baud_divisor(baud: u32) -> Option<u8> {
    const CLOCK: u32 = 4_000_000;
    let divisor = CLOCK.checked_add(baud / 2)?.checked_div(baud)?;
    let real = CLOCK.checked_div(divisor)?;
    let off = real.abs_diff(baud);
    (off <= baud / 33).then_some(divisor).and_then(|divisor| u8::try_from(divisor).ok())
}

/// A line that takes formatted text.
struct Line(Text);

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// Appends bytes as hex digits; nothing at all when they do not fit.
///
/// # Errors
/// When the line is full; it is as it was.
pub fn push_hex(line: &mut Text, bytes: &[u8]) -> Result<(), Full> {
    if line.len().saturating_add(bytes.len().saturating_mul(2)) > LINE {
        return Err(Full);
    }
    for byte in bytes {
        for digit in [byte >> 4, byte & 0x0F] {
            line.push(hex_digit(digit)).map_err(|_| Full)?;
        }
    }
    Ok(())
}

/// The digit of a value below 16.
pub const fn hex_digit(value: u8) -> u8 {
    match value & 0x0F {
        low @ 0..=9 => b'0'.wrapping_add(low),
        high => b'A'.wrapping_add(high).wrapping_sub(10),
    }
}

/// The line has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a command to the adapter is longer than {LINE} characters")
    }
}

impl core::error::Error for Full {}
