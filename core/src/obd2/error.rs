//! What goes wrong between a message and a value.

use core::fmt;

/// Why a message gave no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DecodeError {
    /// The message is empty.
    Empty,
    /// The ECU declined: `7F`, the service asked for, and why.
    Negative {
        /// The service of the request.
        service: u8,
        /// The reason.
        code: Nrc,
    },
    /// The message answers another service.
    Service {
        /// The service byte of the answer that was due.
        expected: u8,
        /// The first byte that came.
        found: u8,
    },
    /// The message answers the right service about something else: another PID, data identifier, frame, test.
    Identifier {
        /// Where the difference is, counted from the byte after the service.
        at: u8,
        /// The byte that was due.
        expected: u8,
        /// The byte that came.
        found: u8,
    },
    /// Fewer data bytes than the value takes.
    Short {
        /// Bytes needed after service and identifier.
        needed: u16,
        /// Bytes that came.
        found: u16,
    },
    /// Bytes that are not the text (or number) they should be.
    Text,
    /// The command is one of the adapter's own and has no answer on the bus, or the other way round.
    Place,
}

impl DecodeError {
    /// Whether the answer is pending (`7F xx 78`): it follows.
    pub const fn is_pending(&self) -> bool {
        matches!(self, Self::Negative { code: Nrc::PENDING, .. })
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty message"),
            Self::Negative { service, code } => write!(f, "service {service:02X} declined: {code}"),
            Self::Service { expected, found } => {
                write!(f, "an answer of service {found:02X} where {expected:02X} was due")
            }
            Self::Identifier { expected, found, .. } => {
                write!(f, "an answer about {found:02X} where {expected:02X} was asked")
            }
            Self::Short { needed, found } => write!(f, "{found} data bytes where {needed} are needed"),
            Self::Text => f.write_str("the bytes are not text"),
            Self::Place => f.write_str("the command is not asked there"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// The reason in a negative response (ISO 14229-1, annex A; SAE J1979, 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Nrc(pub u8);

impl Nrc {
    /// `78`: received and understood, the answer takes longer.
    pub const PENDING: Self = Self(0x78);
    /// `21`: busy, ask again.
    pub const BUSY: Self = Self(0x21);

    /// The reason in words.
    pub const fn text(self) -> &'static str {
        match self.0 {
            0x10 => "general reject",
            0x11 => "service not supported",
            0x12 => "sub-function not supported or invalid format",
            0x13 => "incorrect length or format",
            0x14 => "response too long",
            0x21 => "busy, repeat the request",
            0x22 => "conditions not correct",
            0x24 => "request sequence error",
            0x25 => "no response from a subnet component",
            0x26 => "a failure prevents execution",
            0x31 => "request out of range",
            0x33 => "security access denied",
            0x34 => "authentication required",
            0x35 => "invalid key",
            0x36 => "too many attempts",
            0x37 => "required delay not expired",
            0x70 => "upload or download not accepted",
            0x71 => "transfer suspended",
            0x72 => "programming failure",
            0x73 => "wrong block sequence counter",
            0x78 => "response pending",
            0x7E => "sub-function not supported in this session",
            0x7F => "service not supported in this session",
            0x80 => "service not supported in this diagnostic mode",
            0x81 => "engine speed too high",
            0x82 => "engine speed too low",
            0x83 => "engine is running",
            0x84 => "engine is not running",
            0x85 => "engine run time too low",
            0x86 => "temperature too high",
            0x87 => "temperature too low",
            0x88 => "vehicle speed too high",
            0x89 => "vehicle speed too low",
            0x8A => "throttle or pedal too high",
            0x8B => "throttle or pedal too low",
            0x8C => "transmission not in neutral",
            0x8D => "transmission not in gear",
            0x8F => "brake not applied",
            0x90 => "shift lever not in park",
            0x91 => "torque converter clutch locked",
            0x92 => "voltage too high",
            0x93 => "voltage too low",
            _ => "unknown reason",
        }
    }
}

impl fmt::Display for Nrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:02X})", self.text(), self.0)
    }
}
