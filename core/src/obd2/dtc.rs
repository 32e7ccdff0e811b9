//! Diagnostic trouble codes: two bytes, the five characters that everyone knows them by, and what their
//! structure says.

use core::fmt;

use super::dtc_ranges::{Detail, DtcRange};

/// A trouble code of SAE J2012 as two bytes on the wire: letter, digit and three hexadecimal digits.
///
/// ```
/// use cloverleaf_core::obd2::Dtc;
///
/// let code = Dtc(0x0A80);
/// assert_eq!(code.to_string(), "P0A80");
/// assert_eq!(code.describe().to_string(), "Powertrain, SAE: hybrid battery worn out");
/// assert_eq!(Dtc(0x0301).describe().to_string(), "Powertrain, SAE: misfire, cylinder 1");
/// # use std::string::ToString;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dtc(pub u16);

impl Dtc {
    /// Reads the five characters, letters in either case.
    pub fn parse(text: &str) -> Option<Self> {
        let [letter, digits @ ..] = text.as_bytes() else {
            return None;
        };
        let system = match letter.to_ascii_uppercase() {
            b'P' => 0,
            b'C' => 1,
            b'B' => 2,
            b'U' => 3,
            _ => return None,
        };
        let [first @ b'0'..=b'3', _, _, _] = digits else {
            return None;
        };
        let rest = digits
            .iter()
            .skip(1)
            .try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)? as u16))?;
        Some(Self(system << 14 | u16::from(first - b'0') << 12 | rest))
    }

    /// Who defined the code: the standard, or the maker of the car (SAE J2012, 6.2).
    pub const fn is_standard(self) -> bool {
        match (self.0 >> 14, self.0 >> 12 & 3, self.0 >> 8 & 0xF) {
            (0, 2, _) | (3, 0, _) | (_, 0, _) => true,
            // P34xx to P39xx: the upper part of P3 is the standard's.
            (0, 3, 4..=9) | (3, 3, _) => true,
            _ => false,
        }
    }

    /// Whether [`describe`](Self::describe) knows more of it than its system and group.
    pub fn is_known(self) -> bool {
        DtcRange::of(self).is_some()
    }

    /// What the structure of the code says, in words.
    pub const fn describe(self) -> Description {
        Description(self)
    }

    /// The part of the car, from the first two bits.
    const fn system(self) -> &'static str {
        match self.0 >> 14 {
            0 => "Powertrain",
            1 => "Chassis",
            2 => "Body",
            _ => "Network",
        }
    }

    /// The group within the system, from the third character, where the standard assigns one.
    const fn group(self) -> Option<&'static str> {
        let (system, origin, group) = (self.0 >> 14, self.0 >> 12 & 3, self.0 >> 8 & 0xF);
        Some(match (system, origin, group) {
            (0, 0 | 2, 0) => "fuel and air metering, auxiliary emission controls",
            (0, 0, 1) | (0, 2, 1) => "fuel and air metering",
            (0, 0 | 2, 2) => "fuel and air metering, injector circuit",
            (0, 0 | 2, 3) => "ignition system or misfire",
            (0, 0 | 2, 4) => "auxiliary emission controls",
            (0, 0, 5) => "vehicle speed, idle control and auxiliary inputs",
            (0, 2, 5) => "auxiliary inputs",
            (0, 0 | 2, 6) => "computer and output circuits",
            (0, 0 | 2, 7..=9) => "transmission",
            (0, 0, 0xA..=0xC) => "hybrid propulsion",
            (0, 2, 0xA) => "fuel and air metering, auxiliary emission controls",
            (0, 3, 4) => "cylinder deactivation",
            (3, 0, 0) => "electrical network",
            (3, 0, 1 | 2) => "communication between control units",
            (3, 0, 3) => "software of control units",
            (3, 0, 4 | 5) => "data received from control units",
            _ => return None,
        })
    }
}

impl fmt::Display for Dtc {
    /// The five characters, letters in upper case: `P0A80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.0 >> 14 {
            0 => 'P',
            1 => 'C',
            2 => 'B',
            _ => 'U',
        };
        write!(f, "{letter}{:04X}", self.0 & 0x3FFF)
    }
}

/// A code in words, composed from its structure when displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description(Dtc);

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = if self.0.is_standard() { "SAE" } else { "manufacturer" };
        write!(f, "{}, {origin}", self.0.system())?;
        let Some(range) = DtcRange::of(self.0) else {
            return match self.0.group() {
                Some(group) => write!(f, ": {group}"),
                None => Ok(()),
            };
        };
        write!(f, ": {}", range.subject)?;
        match range.detail(self.0) {
            Some(Detail::Word(word)) => write!(f, ", {word}"),
            Some(Detail::Cylinder(number)) => write!(f, ", cylinder {number}"),
            Some(Detail::Letter(letter)) => write!(f, " {letter}"),
            None => Ok(()),
        }
    }
}

/// The codes of one reply (services 03, 07 and 0A); the filler `0000` is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dtcs<'a>(&'a [u8]);

impl<'a> Dtcs<'a> {
    /// Takes what follows the service byte: pairs of bytes, on CAN with a count in front.
    ///
    /// Some cars on CAN leave the count out; then the number of bytes is even. (SAE J1979, 8.3.)
    pub(super) const fn new(data: &'a [u8]) -> Self {
        match data {
            [_, pairs @ ..] if pairs.len().is_multiple_of(2) => Self(pairs),
            _ => Self(data),
        }
    }

    /// The codes, in the order of the reply.
    pub fn iter(&self) -> impl Iterator<Item = Dtc> + Clone + use<'a> {
        let pairs = self.0.chunks_exact(2);
        pairs
            .filter_map(|pair| pair.first_chunk().copied())
            .map(|pair| Dtc(u16::from_be_bytes(pair)))
            .filter(|code| *code != Dtc(0))
    }
}
