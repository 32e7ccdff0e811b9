//! Several quantities in one reply, each at its own bits.

use core::fmt;

use super::{Quantity, Scaling, State};

/// One quantity, flag or state within a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// A short name, unique within its command: `ECT_1`.
    pub id: &'static str,
    /// What it is, in words.
    pub name: &'static str,
    /// Its first (most significant) bit, counted from the first data byte's top bit.
    pub bit: u16,
    /// Its width in bits, 1..=32.
    pub bits: u8,
    /// The bit that says whether the car has it, counted in the same way; `None` if it always has.
    pub support: Option<u16>,
    /// What the bits mean.
    pub kind: Kind,
}

/// What the bits of a [`Signal`] mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A quantity.
    Scaled(Scaling),
    /// A quantity, unless all bits are set: then the car does not use it.
    Used(Scaling),
    /// One bit: yes or no.
    Flag,
    /// A number with a text for each value, from 0.
    Listed(&'static [&'static str]),
    /// At most one bit set: the first text stands for none, the next for the lowest bit, and so on.
    Bit(&'static [&'static str]),
}

/// A reading of one [`Signal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A quantity.
    Quantity(Quantity),
    /// Yes or no.
    Flag(bool),
    /// A state and its text.
    State(State),
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quantity(quantity) => write!(f, "{quantity:#}"),
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Self::State(state) => state.fmt(f),
        }
    }
}

impl Signal {
    /// Reads this signal from the data of a reply: `None` if the car says that it has not got it or does not use it,
    /// or if the data ends before it.
    pub fn read(&self, data: &[u8]) -> Option<Reading> {
        if let Some(support) = self.support
            && bits(data, support, 1)? == 0
        {
            return None;
        }
        let raw = bits(data, self.bit, self.bits)?;
        Some(match self.kind {
            Kind::Used(_) if raw.count_ones() == u32::from(self.bits) => return None,
            Kind::Scaled(scaling) | Kind::Used(scaling) => Reading::Quantity(Quantity::new(
                if scaling.factors().signed { sign_extend(raw, self.bits) } else { i64::from(raw) },
                scaling,
            )),
            Kind::Flag => Reading::Flag(raw != 0),
            Kind::Listed(texts) => Reading::State(State::listed(raw as u8, texts)),
            Kind::Bit(texts) => Reading::State(State::bit_or_none(raw as u8, texts)),
        })
    }
}

/// The signals of one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signals<'a> {
    signals: &'static [Signal],
    data: &'a [u8],
}

impl<'a> Signals<'a> {
    pub(super) const fn new(signals: &'static [Signal], data: &'a [u8]) -> Self {
        Self { signals, data }
    }

    /// Each signal with its reading: `None` if the car has not got it.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Signal, Option<Reading>)> + Clone + use<'a> {
        let data = self.data;
        self.signals.iter().map(move |signal| (signal, signal.read(data)))
    }
}

/// Up to 32 bits from bit `first` (0 is the top bit of the first byte) as a number.
fn bits(data: &[u8], first: u16, count: u8) -> Option<u32> {
    let (first, count) = (usize::from(first), usize::from(count.min(32)));
    let end = first + count;
    let bytes = data.get(first / 8..end.div_ceil(8))?;
    let value = bytes.iter().fold(0, |value: u64, &byte| value << 8 | u64::from(byte));
    let value = value >> (end.div_ceil(8) * 8 - end);
    Some((value & ((1 << count) - 1)) as u32)
}

/// The two's complement value of `count` bits.
const fn sign_extend(raw: u32, count: u8) -> i64 {
    let shift = 64 - count as u32;
    (raw as i64) << shift >> shift
}
