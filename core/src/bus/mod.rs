#![doc = include_str!("../../docs/bus.md")]

mod assembler;
pub mod can;
mod hex;
pub mod legacy;

pub use assembler::{Assembler, Format, FrameError, Loss, LossReason};

use core::fmt;
use core::str::FromStr;

/// A vehicle bus protocol, by the numbers that the ELM327's `AT SP` command gives them.
///
/// Source: ELM327 data sheet, "AT SP h"; names as python-OBD reports them (facts: obd 1.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Protocol {
    /// `1`: SAE J1850 PWM, 41.6 kbit/s.
    J1850Pwm,
    /// `2`: SAE J1850 VPW, 10.4 kbit/s.
    J1850Vpw,
    /// `3`: ISO 9141-2, 10.4 kbit/s.
    Iso9141,
    /// `4`: ISO 14230-4 KWP, 5-baud initialisation.
    KwpSlow,
    /// `5`: ISO 14230-4 KWP, fast initialisation.
    KwpFast,
    /// `6`: ISO 15765-4 CAN, 11-bit identifiers, 500 kbit/s.
    Can11Fast,
    /// `7`: ISO 15765-4 CAN, 29-bit identifiers, 500 kbit/s.
    Can29Fast,
    /// `8`: ISO 15765-4 CAN, 11-bit identifiers, 250 kbit/s.
    Can11Slow,
    /// `9`: ISO 15765-4 CAN, 29-bit identifiers, 250 kbit/s.
    Can29Slow,
    /// `A`: SAE J1939, 29-bit identifiers, 250 kbit/s.
    J1939,
}

impl Protocol {
    /// Every protocol, in the order of its number.
    pub const ALL: [Self; 10] = [
        Self::J1850Pwm,
        Self::J1850Vpw,
        Self::Iso9141,
        Self::KwpSlow,
        Self::KwpFast,
        Self::Can11Fast,
        Self::Can29Fast,
        Self::Can11Slow,
        Self::Can29Slow,
        Self::J1939,
    ];

    /// The ELM327's digit for the protocol: `1`..`9` or `A`.
    pub const fn id(self) -> char {
        match self {
            Self::J1850Pwm => '1',
            Self::J1850Vpw => '2',
            Self::Iso9141 => '3',
            Self::KwpSlow => '4',
            Self::KwpFast => '5',
            Self::Can11Fast => '6',
            Self::Can29Fast => '7',
            Self::Can11Slow => '8',
            Self::Can29Slow => '9',
            Self::J1939 => 'A',
        }
    }

    /// The protocol of an ELM327 digit; letters in either case.
    pub fn from_id(id: char) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.id() == id.to_ascii_uppercase())
    }

    /// The name that python-OBD and obd-socketio clients know.
    pub const fn name(self) -> &'static str {
        match self {
            Self::J1850Pwm => "SAE J1850 PWM",
            Self::J1850Vpw => "SAE J1850 VPW",
            Self::Iso9141 => "ISO 9141-2",
            Self::KwpSlow => "ISO 14230-4 (KWP 5BAUD)",
            Self::KwpFast => "ISO 14230-4 (KWP FAST)",
            Self::Can11Fast => "ISO 15765-4 (CAN 11/500)",
            Self::Can29Fast => "ISO 15765-4 (CAN 29/500)",
            Self::Can11Slow => "ISO 15765-4 (CAN 11/250)",
            Self::Can29Slow => "ISO 15765-4 (CAN 29/250)",
            Self::J1939 => "SAE J1939 (CAN 29/250)",
        }
    }

    /// Whether frames travel on CAN (and long messages by ISO 15765-2).
    pub const fn is_can(self) -> bool {
        matches!(self, Self::Can11Fast | Self::Can29Fast | Self::Can11Slow | Self::Can29Slow | Self::J1939)
    }
}

/// What is no number of a [`Protocol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownProtocol;

impl fmt::Display for UnknownProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected one of 1 to 9 or A")
    }
}

impl core::error::Error for UnknownProtocol {}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    /// The ELM327's digit, alone (`6`, `a`) or as `AT DPN` prints a bus found by search (`A6`).
    ///
    /// ```
    /// use cloverleaf_core::bus::Protocol;
    ///
    /// assert_eq!("A6".parse(), Ok(Protocol::Can11Fast));
    /// assert_eq!("A".parse(), Ok(Protocol::J1939));
    /// assert!("B".parse::<Protocol>().is_err());
    /// ```
    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        let digit = match *text.as_bytes() {
            [digit] | [b'A' | b'a', digit] => digit,
            _ => return Err(UnknownProtocol),
        };
        Self::from_id(char::from(digit)).ok_or(UnknownProtocol)
    }
}

/// Who sent a message, as the bus names it: a CAN identifier (`7E8`, `18DAF110`) or the source byte of a
/// legacy header (`10`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Address(pub u32);

impl Address {
    /// The sender of a line without header (`AT H0`): the adapter did not say.
    pub const HIDDEN: Self = Self(0);
}

impl fmt::Display for Address {
    /// As the adapter prints it: `10`, `7E8`, `18DAF110`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..=0xFF => write!(f, "{:02X}", self.0),
            0x100..=0x7FF => write!(f, "{:03X}", self.0),
            _ => write!(f, "{:08X}", self.0),
        }
    }
}

/// One complete message of one sender: for diagnostics, the service byte and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Message<'a> {
    /// The sender.
    pub source: Address,
    /// The payload, without header, length, padding and check byte.
    pub data: &'a [u8],
}
