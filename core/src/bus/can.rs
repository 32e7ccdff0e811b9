//! ISO 15765-2 on classic CAN: what the first byte of a frame's data says.
//!
//! ```text
//! single      0L        L = 1..7 bytes follow
//! first       1L LL     a message of LLL bytes begins; 6 of them follow
//! consecutive 2N        N = 1..F, 0, 1, …; 7 bytes follow, in the last one perhaps fewer
//! flow        3S BS ST  flow control, from the receiver of a long message
//! ```
//!
//! Source: ISO 15765-2:2016, 9.6 (protocol control information).

use nom::{IResult, Parser, bytes::complete::take, combinator::rest, number::complete::be_u8};

use super::FrameError;

/// The most data bytes of a classic CAN frame.
pub const FRAME: usize = 8;

/// The protocol data unit that one frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pdu<'a> {
    /// A whole message; padding is already gone.
    Single(&'a [u8]),
    /// The start of a longer message.
    First {
        /// The length of the whole message, 1..=4095 bytes.
        length: u16,
        /// Its first bytes.
        data: &'a [u8],
    },
    /// A later part of a message.
    Consecutive {
        /// The low four bits of its number; the first after [`First`](Self::First) has 1.
        sequence: u8,
        /// Its bytes; those of the last frame may include padding.
        data: &'a [u8],
    },
    /// Flow control: pacing between the ends, no part of any message.
    FlowControl,
}

/// Reads the data bytes of one frame (after the identifier, and after the address byte if addressing is extended).
///
/// # Errors
/// [`FrameError::Length`] if the declared length does not fit the frame, [`FrameError::Kind`] if the first byte
/// is of no known kind, [`FrameError::Short`] if there is no first byte or no payload.
#[inline]
pub fn parse(data: &[u8]) -> Result<Pdu<'_>, FrameError> {
    let (&control, payload) = data.split_first().ok_or(FrameError::Short)?;
    match control >> 4 {
        0 => {
            let length = usize::from(control & 0x0F);
            match payload.get(..length) {
                Some(payload) if length > 0 => Ok(Pdu::Single(payload)),
                _ => Err(FrameError::Length),
            }
        }
        1 => first(control, payload).map_or(Err(FrameError::Short), |(_, pdu)| match pdu {
            Pdu::First { length: 0, .. } => Err(FrameError::Length),
            Pdu::First { data: [], .. } => Err(FrameError::Short),
            pdu => Ok(pdu),
        }),
        2 if payload.is_empty() => Err(FrameError::Short),
        2 => Ok(Pdu::Consecutive { sequence: control & 0x0F, data: payload }),
        3 => Ok(Pdu::FlowControl),
        _ => Err(FrameError::Kind(control)),
    }
}

/// `first = low-length-byte 1*byte`
fn first(control: u8, payload: &[u8]) -> IResult<&[u8], Pdu<'_>> {
    let (data, low) = be_u8(payload)?;
    let length = u16::from(control & 0x0F) << 8 | u16::from(low);
    let whole = data.len().min(usize::from(length));
    (take(whole), rest).map(|(data, _)| Pdu::First { length, data }).parse(data)
}
