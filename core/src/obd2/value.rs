//! What a reply says, typed. Nothing is copied: lists and texts borrow the message.

use core::fmt;

use super::{Dtc, Dtcs, Quantity, Signals, State, Status, Tests};

/// The decoded content of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A number with a unit.
    Quantity(Quantity),
    /// Yes or no.
    Flag(bool),
    /// A coded state.
    State(State),
    /// The states of fuel systems 1 and 2; a system that the car has not got is 0.
    FuelSystems([State; 2]),
    /// Which oxygen sensors there are.
    Sensors(Sensors),
    /// Which of the next 32 identifiers (PIDs, MIDs, …) the ECU supports.
    Supported(Supported),
    /// Readiness.
    Status(Status),
    /// One trouble code, or none.
    Code(Option<Dtc>),
    /// A list of trouble codes, possibly empty.
    Codes(Dtcs<'a>),
    /// Results of monitors.
    Tests(Tests<'a>),
    /// One or more texts.
    Text(Text<'a>),
    /// One or more numbers of four bytes, shown in hexadecimal (calibration verification).
    Numbers(Numbers<'a>),
    /// Several quantities in one reply.
    Signals(Signals<'a>),
    /// Done: the ECU acknowledged.
    Done,
    /// Bytes that no table explains.
    Bytes(&'a [u8]),
}

/// A text as ECUs send it: padded with NUL on either side, several of equal width in a row.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Text<'a> {
    bytes: &'a [u8],
    width: usize,
}

impl<'a> Text<'a> {
    /// `width` of at least 1: the width of each text.
    pub(super) const fn new(bytes: &'a [u8], width: usize) -> Self {
        Self { bytes, width }
    }

    /// Each text without its padding (NUL, blank, FFh).
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.bytes.chunks(self.width.max(1)).map(trim)
    }

    /// The first text without its padding.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.iter().next().unwrap_or_default()
    }

    /// The first text, if it is ASCII without anything inside that padding would be.
    pub fn as_str(&self) -> Option<&'a str> {
        let bytes = self.as_bytes();
        bytes.is_ascii().then(|| core::str::from_utf8(bytes).ok()).flatten()
    }

    /// Whether every byte is printable ASCII or padding.
    pub(super) fn is_text(&self) -> bool {
        let strange = |byte: u8| !matches!(byte, 0 | b' '..=b'~');
        let any = |text: &[u8]| text.iter().fold(false, |any, &byte| any | strange(byte));
        // FFh is padding at the ends only, and rare.
        !any(self.bytes) || !self.iter().any(any)
    }
}

/// Takes padding off both ends.
fn trim(text: &[u8]) -> &[u8] {
    let mut text = text;
    while let [0 | b' ' | 0xFF, rest @ ..] | [rest @ .., 0 | b' ' | 0xFF] = text {
        text = rest;
    }
    text
}

impl fmt::Display for Text<'_> {
    /// All texts, separated by commas; NUL inside a text is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for (index, text) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            for &byte in text.iter().filter(|&&byte| byte != 0) {
                f.write_char(char::from(byte))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Numbers of four bytes each.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Each number.
    pub fn iter(&self) -> impl Iterator<Item = u32> + Clone + use<'a> {
        let chunks = self.0.chunks_exact(4);
        chunks.filter_map(|chunk| chunk.first_chunk().copied().map(u32::from_be_bytes))
    }
}

impl fmt::Display for Numbers<'_> {
    /// Eight hexadecimal digits each, separated by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{number:08X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

/// Support of the 32 identifiers after the one that was asked: bit 31 is the first of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Supported {
    /// The identifier that was asked: 00, 20, 40, …
    pub base: u8,
    /// The bits.
    pub bits: u32,
}

impl Supported {
    /// The bits in the order of the wire: for `base + 1`, `base + 2`, ….
    pub fn iter(self) -> impl Iterator<Item = bool> + Clone {
        (0..32).rev().map(move |bit| self.bits >> bit & 1 != 0)
    }

    /// The supported identifiers.
    pub fn identifiers(self) -> impl Iterator<Item = u8> + Clone {
        (1..=32_u8)
            .zip(self.iter())
            .filter(|(_, supported)| *supported)
            .map(move |(offset, _)| self.base.wrapping_add(offset))
    }

    /// Whether this identifier is supported; `false` if it lies outside the 32.
    pub const fn contains(self, identifier: u8) -> bool {
        match identifier.wrapping_sub(self.base) {
            offset @ 1..=32 => self.bits >> (32 - offset) & 1 != 0,
            _ => false,
        }
    }
}

impl fmt::Debug for Supported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}:{:08X}", self.base, self.bits)
    }
}

/// Which oxygen sensors there are (PIDs 13 and 1D).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sensors {
    /// The byte of the wire.
    pub raw: u8,
    /// How many banks its bits cover: 2 (PID 13, four sensors each) or 4 (PID 1D, two each).
    pub banks: u8,
}

impl Sensors {
    /// Whether this sensor exists; banks and sensors count from 1. Bit 0 is bank 1, sensor 1 (SAE J1979-DA).
    pub const fn contains(self, bank: u8, sensor: u8) -> bool {
        let each = if self.banks == 4 { 2 } else { 4 };
        if bank == 0 || bank > self.banks || sensor == 0 || sensor > each {
            return false;
        }
        self.raw >> ((bank - 1) * each + sensor - 1) & 1 != 0
    }

    /// The sensors that exist, as bank and sensor.
    pub fn iter(self) -> impl Iterator<Item = (u8, u8)> + Clone {
        (1..=4)
            .flat_map(|bank| (1..=4).map(move |sensor| (bank, sensor)))
            .filter(move |&(bank, sensor)| self.contains(bank, sensor))
    }
}

impl fmt::Display for Value<'_> {
    /// For people: `1500 rpm`, `P0104 P0133`, `WP0ZZZ99ZTS392124`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quantity(quantity) => write!(f, "{quantity:#}"),
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Self::State(state) => state.fmt(f),
            Self::FuelSystems([first, second]) if second.raw == 0 => first.fmt(f),
            Self::FuelSystems([first, second]) => write!(f, "{first}; {second}"),
            Self::Sensors(sensors) => {
                list(f, sensors.iter(), |f, (bank, sensor)| write!(f, "B{bank}S{sensor}"))
            }
            Self::Supported(supported) => list(f, supported.identifiers(), |f, id| write!(f, "{id:02X}")),
            Self::Status(status) => write!(
                f,
                "MIL {}, {} codes, {}",
                if status.mil() { "on" } else { "off" },
                status.dtc_count(),
                status.ignition().text()
            ),
            Self::Code(None) => f.write_str("none"),
            Self::Code(Some(code)) => code.fmt(f),
            Self::Codes(codes) => list(f, codes.iter(), |f, code| code.fmt(f)),
            Self::Tests(tests) => list(f, tests.iter(), |f, test| {
                let verdict = if test.passed() { "passed" } else { "failed" };
                write!(f, "{:02X}.{:02X} {verdict}", test.mid, test.tid)
            }),
            Self::Text(text) => text.fmt(f),
            Self::Numbers(numbers) => numbers.fmt(f),
            Self::Signals(signals) => {
                let present = signals.iter().filter_map(|(signal, reading)| Some((signal, reading?)));
                list(f, present, |f, (signal, reading)| write!(f, "{}={reading}", signal.id))
            }
            Self::Done => f.write_str("done"),
            Self::Bytes(bytes) => list(f, bytes.iter(), |f, byte| write!(f, "{byte:02X}")),
        }
    }
}

/// Writes the items with blanks between them, or `none`.
fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    let mut any = false;
    for item in items {
        if any {
            f.write_str(" ")?;
        }
        any = true;
        write(f, item)?;
    }
    if any { Ok(()) } else { f.write_str("none") }
}
