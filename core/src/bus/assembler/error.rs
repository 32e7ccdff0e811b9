//! What goes wrong between a line and a message.

use core::fmt;

use super::super::{Address, hex::HexError};

/// Why one line was refused. The messages begun by other lines are not touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrameError {
    /// A character that is neither a hexadecimal digit nor a blank.
    Character(u8),
    /// Too few digits to hold a header and data, or half a byte at the end.
    Short,
    /// More data than a frame of this bus can carry.
    Long,
    /// A declared length that does not fit the frame.
    Length,
    /// A CAN frame whose first byte is of no kind that ISO 15765-2 knows.
    Kind(u8),
    /// A check byte that does not match (legacy buses).
    Check {
        /// What the bytes before it give.
        expected: u8,
        /// What the line ends with.
        found: u8,
    },
    /// A later part of a message that never began.
    Orphan,
    /// No room for one more message, or for one of this length.
    Full,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(byte) => write!(f, "byte {byte:02X} is no hexadecimal digit"),
            Self::Short => f.write_str("the frame is cut short"),
            Self::Long => f.write_str("more data than a frame can carry"),
            Self::Length => f.write_str("the declared length does not fit the frame"),
            Self::Kind(byte) => write!(f, "no frame begins with {byte:02X}"),
            Self::Check { expected, found } => {
                write!(f, "check byte {found:02X} where {expected:02X} was due")
            }
            Self::Orphan => f.write_str("part of a message that never began"),
            Self::Full => f.write_str("no room for this message"),
        }
    }
}

impl core::error::Error for FrameError {}

impl From<HexError> for FrameError {
    fn from(error: HexError) -> Self {
        match error {
            HexError::Character(byte) => Self::Character(byte),
            HexError::Full => Self::Long,
        }
    }
}

/// A message that began and did not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Loss {
    /// Its sender.
    pub source: Address,
    /// What happened to it.
    pub reason: LossReason,
}

/// Why a message did not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LossReason {
    /// The reply ended first.
    Incomplete {
        /// Bytes that arrived.
        received: u16,
        /// Bytes that the first frame declared.
        declared: u16,
    },
    /// A part is missing or out of order.
    Sequence {
        /// The number that was due.
        expected: u8,
        /// The number that came.
        found: u8,
    },
    /// A part that is not the last has not as many bytes as its frame (ISO 15765-2:2016, 9.6): its line was cut off.
    Cut {
        /// Bytes that are due.
        expected: u8,
        /// Bytes that came.
        found: u8,
    },
    /// The sender began another message.
    Interrupted,
    /// It grew beyond the room there is.
    Full,
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete { received, declared } => {
                write!(f, "only {received} of {declared} bytes arrived")
            }
            Self::Sequence { expected, found } => {
                write!(f, "part {found} arrived where part {expected} was due")
            }
            Self::Cut { expected, found } => {
                write!(f, "a part has {found} bytes where {expected} are due")
            }
            Self::Interrupted => f.write_str("its sender began another message"),
            Self::Full => f.write_str("it grew beyond the room there is"),
        }
    }
}
