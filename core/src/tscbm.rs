//! TSCBM: the datagram in which a traffic signal controller says, ten times a second, what its phases show and
//! for how long they will.
//!
//! One message is one UDP datagram of [`LEN`] bytes, big endian, with neither checksum nor sequence beyond the
//! counter at the end:
//!
//! ```text
//! offset  size
//!      0     1  0xCD                                   message number
//!      1     1  16                                     blocks that follow
//!  2+13i    13  phase, vehicle min max, pedestrian min max, overlap min max     tenths of a second
//!    210   3x2  phase red, yellow, green               bit 0 is phase 1
//!    216   3x2  don't walk, pedestrian clear, walk
//!    222   3x2  overlap red, yellow, green
//!    228   2x2  flashing phases, flashing overlaps
//!    232   1x4  intersection status, timebase action, version and discontinuity, sequence
//!    236   3+2  seconds of the day, milliseconds
//!    241   2x2  pedestrian direct calls, pedestrian latched calls
//! ```
//!
//! ```
//! use cloverleaf_core::tscbm::{Message, Phases};
//! let message = Message { green: Phases::of(&[2, 6]), ..Message::default() };
//! let datagram = message.emit();
//! assert_eq!(Message::parse(&datagram), Ok(message));
//! assert!(message.green.has(6) && !message.green.has(1));
//! ```

use core::fmt;

use nom::Parser;
use nom::multi::fill;
use nom::number::complete::{be_u16, be_u24, u8 as byte};

/// Bytes of a datagram, no more and no fewer.
pub const LEN: usize = 245;
/// Blocks of a datagram: one per phase and overlap number.
pub const BLOCKS: usize = 16;
/// The first byte of every datagram.
const NUMBER: u8 = 0xCD;

/// Why a datagram is not a TSCBM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ParseError {
    /// It has this many bytes instead of [`LEN`].
    Length(usize),
    /// It begins with this byte instead of 0xCD.
    Number(u8),
    /// It announces this many blocks instead of [`BLOCKS`].
    Blocks(u8),
    /// A block names a phase outside 1 to 16, or one that an earlier block named.
    Phase(u8),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(got) => write!(f, "{LEN} bytes expected, {got} came"),
            Self::Number(got) => write!(f, "message number {NUMBER:#04x} expected, {got:#04x} came"),
            Self::Blocks(got) => write!(f, "{BLOCKS} blocks expected, {got} announced"),
            Self::Phase(got) => write!(f, "phase {got} is out of range or repeated"),
        }
    }
}

impl core::error::Error for ParseError {}

/// A set of phases or overlaps, numbered 1 to 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Phases(u16);

impl Phases {
    /// The set whose bit 0 is phase 1.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The set of these phases; numbers outside 1 to 16 are left out.
    pub fn of(phases: &[u8]) -> Self {
        let bits = phases.iter().filter(|phase| (1..=16).contains(*phase));
        Self(bits.fold(0, |bits, phase| bits | 1 << (phase - 1)))
    }

    /// Bit 0 is phase 1.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether the set has no phase.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The phases in either set.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The phases in both sets.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The phases of this set that are not in `other`.
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The phases in rising order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (1..=16).filter(move |phase| self.has(*phase))
    }

    /// Whether `phase` (1 to 16) is in the set.
    pub const fn has(self, phase: u8) -> bool {
        phase >= 1 && phase <= 16 && self.0 & (1 << (phase - 1)) != 0
    }
}

/// When something ends, in tenths of a second from now: at `min` the earliest, at `max` the latest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Remaining {
    /// The earliest end, in tenths of a second.
    pub min: u16,
    /// The latest end, in tenths of a second.
    pub max: u16,
}

/// The times of one phase and of the overlap of the same number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Block {
    /// The vehicle signal's.
    pub vehicle: Remaining,
    /// The pedestrian signal's.
    pub pedestrian: Remaining,
    /// The overlap's.
    pub overlap: Remaining,
}

/// What the controller says about itself in byte 234.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Discontinuity(u8);

impl Discontinuity {
    /// The byte as it was sent.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The byte as it was sent.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The version of the message: the upper five bits.
    pub const fn version(self) -> u8 {
        self.0 >> 3
    }
}

/// One TSCBM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Message {
    /// The times of phases 1 to 16, in order; see [`block`](Self::block).
    pub blocks: [Block; BLOCKS],
    /// Phases that show red.
    pub red: Phases,
    /// Phases that show yellow.
    pub yellow: Phases,
    /// Phases that show green.
    pub green: Phases,
    /// Phases whose pedestrians may not walk.
    pub dont_walk: Phases,
    /// Phases whose pedestrians must finish crossing.
    pub pedestrian_clear: Phases,
    /// Phases whose pedestrians may walk.
    pub walk: Phases,
    /// Overlaps that show red.
    pub overlap_red: Phases,
    /// Overlaps that show yellow.
    pub overlap_yellow: Phases,
    /// Overlaps that show green.
    pub overlap_green: Phases,
    /// Phases that flash.
    pub flash: Phases,
    /// Overlaps that flash.
    pub overlap_flash: Phases,
    /// Status bits of the intersection, as sent.
    pub status: u8,
    /// Status of the timebase action, as sent.
    pub timebase: u8,
    /// Version and discontinuity bits.
    pub discontinuity: Discontinuity,
    /// Counts datagrams, modulo 256.
    pub sequence: u8,
    /// The controller's clock: seconds of its day, 24 bits.
    pub seconds: u32,
    /// The controller's clock: milliseconds of that second.
    pub milliseconds: u16,
    /// Pedestrian calls as they come from the buttons.
    pub pedestrian_direct: Phases,
    /// Pedestrian calls that are remembered.
    pub pedestrian_latched: Phases,
}

impl Message {
    /// The times of `phase`, 1 to 16.
    pub fn block(&self, phase: u8) -> Option<&Block> {
        self.blocks.get(usize::from(phase).checked_sub(1)?)
    }

    /// Reads one datagram.
    ///
    /// Blocks may come in any order; [`blocks`](Self::blocks) is ordered by phase.
    ///
    /// # Errors
    ///
    /// When the length, the message number, the number of blocks or a phase number is not that of a TSCBM.
    pub fn parse(datagram: &[u8]) -> Result<Self, ParseError> {
        let short = ParseError::Length(datagram.len());
        if datagram.len() != LEN {
            return Err(short);
        }
        // Whatever follows cannot run out of input: the length has been checked.
        let (rest, (number, count)) = head(datagram).map_err(|_| short)?;
        if number != NUMBER {
            return Err(ParseError::Number(number));
        }
        if usize::from(count) != BLOCKS {
            return Err(ParseError::Blocks(count));
        }
        let (rest, numbered) = blocks(rest).map_err(|_| short)?;
        let (_, mut message) = tail(rest).map_err(|_| short)?;
        let mut seen = 0_u16;
        for (phase, block) in numbered {
            let slot = usize::from(phase).checked_sub(1).and_then(|at| message.blocks.get_mut(at));
            match slot {
                Some(slot) if seen & (1 << (phase - 1)) == 0 => *slot = block,
                _ => return Err(ParseError::Phase(phase)),
            }
            seen |= 1 << (phase - 1);
        }
        Ok(message)
    }

    /// Writes the datagram. `seconds` is cut to 24 bits.
    pub fn emit(&self) -> [u8; LEN] {
        let mut datagram = [0; LEN];
        let mut out = datagram.iter_mut();
        let mut put = |bytes: &[u8]| bytes.iter().zip(&mut out).for_each(|(byte, slot)| *slot = *byte);
        put(&[NUMBER, BLOCKS as u8]);
        for (phase, block) in (1_u8..).zip(&self.blocks) {
            put(&[phase]);
            for times in [block.vehicle, block.pedestrian, block.overlap] {
                put(&times.min.to_be_bytes());
                put(&times.max.to_be_bytes());
            }
        }
        let sets = [
            [self.red, self.yellow, self.green],
            [self.dont_walk, self.pedestrian_clear, self.walk],
            [self.overlap_red, self.overlap_yellow, self.overlap_green],
        ];
        for set in sets.as_flattened().iter().chain(&[self.flash, self.overlap_flash]) {
            put(&set.bits().to_be_bytes());
        }
        put(&[self.status, self.timebase, self.discontinuity.bits(), self.sequence]);
        let [_, high, middle, low] = self.seconds.to_be_bytes();
        put(&[high, middle, low]);
        put(&self.milliseconds.to_be_bytes());
        put(&self.pedestrian_direct.bits().to_be_bytes());
        put(&self.pedestrian_latched.bits().to_be_bytes());
        datagram
    }
}

type Parsed<'a, T> = nom::IResult<&'a [u8], T>;

// head = number blocks
fn head(input: &[u8]) -> Parsed<'_, (u8, u8)> {
    (byte, byte).parse_complete(input)
}

// blocks = 16( phase vehicle pedestrian overlap )
fn blocks(input: &[u8]) -> Parsed<'_, [(u8, Block); BLOCKS]> {
    let mut blocks = [(0, Block::default()); BLOCKS];
    let (rest, ()) = fill(block, &mut blocks).parse_complete(input)?;
    Ok((rest, blocks))
}

fn block(input: &[u8]) -> Parsed<'_, (u8, Block)> {
    let (rest, (phase, vehicle, pedestrian, overlap)) =
        (byte, remaining, remaining, remaining).parse_complete(input)?;
    Ok((rest, (phase, Block { vehicle, pedestrian, overlap })))
}

// remaining = min max
fn remaining(input: &[u8]) -> Parsed<'_, Remaining> {
    (be_u16, be_u16).map(|(min, max)| Remaining { min, max }).parse_complete(input)
}

fn phases(input: &[u8]) -> Parsed<'_, Phases> {
    be_u16.map(Phases).parse_complete(input)
}

// tail = 11 sets of phases, 4 bytes of status, the clock, 2 sets of calls
fn tail(input: &[u8]) -> Parsed<'_, Message> {
    let (rest, (red, yellow, green)) = (phases, phases, phases).parse_complete(input)?;
    let (rest, (dont_walk, pedestrian_clear, walk)) = (phases, phases, phases).parse_complete(rest)?;
    let (rest, (overlap_red, overlap_yellow, overlap_green)) =
        (phases, phases, phases).parse_complete(rest)?;
    let (rest, (flash, overlap_flash)) = (phases, phases).parse_complete(rest)?;
    let (rest, (status, timebase, discontinuity, sequence)) =
        (byte, byte, byte.map(Discontinuity), byte).parse_complete(rest)?;
    let (rest, (seconds, milliseconds)) = (be_u24, be_u16).parse_complete(rest)?;
    let (rest, (pedestrian_direct, pedestrian_latched)) = (phases, phases).parse_complete(rest)?;
    let message = Message {
        blocks: [Block::default(); BLOCKS],
        red,
        yellow,
        green,
        dont_walk,
        pedestrian_clear,
        walk,
        overlap_red,
        overlap_yellow,
        overlap_green,
        flash,
        overlap_flash,
        status,
        timebase,
        discontinuity,
        sequence,
        seconds,
        milliseconds,
        pedestrian_direct,
        pedestrian_latched,
    };
    Ok((rest, message))
}
