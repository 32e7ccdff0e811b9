//! Reads of ISO 14229 (UDS): building requests, matching replies.
//!
//! | request | answer | meaning |
//! |---|---|---|
//! | `22 hh ll` | `62 hh ll data` | data by identifier |
//! | `19 02 mm` | `59 02 av (code code code status)*` | trouble codes whose status matches the mask |
//! | `19 01 mm` | `59 01 av format hi lo` | how many there are |

use core::fmt;

use super::{DecodeError, Dtc, Request, reply};

/// The request for the data of an identifier (service 22).
pub fn read_data(identifier: u16) -> Request {
    let [high, low] = identifier.to_be_bytes();
    Request::from_slice(&[0x22, high, low]).unwrap_or_default()
}

/// The request for the trouble codes whose status has any bit of the mask (service 19, sub-function 02).
pub fn read_codes(mask: u8) -> Request {
    Request::from_slice(&[0x19, 0x02, mask]).unwrap_or_default()
}

/// The request for the number of such codes (service 19, sub-function 01).
pub fn count_codes(mask: u8) -> Request {
    Request::from_slice(&[0x19, 0x01, mask]).unwrap_or_default()
}

/// The data of an identifier from the answer to [`read_data`].
///
/// # Errors
/// [`DecodeError`] if the message answers something else, or declines.
pub fn data(identifier: u16, message: &[u8]) -> Result<&[u8], DecodeError> {
    reply::payload(&read_data(identifier), message)
}

/// The number of codes from the answer to [`count_codes`].
///
/// # Errors
/// [`DecodeError`] if the message answers something else, declines, or is cut short.
pub fn code_count(message: &[u8]) -> Result<u16, DecodeError> {
    match reply::payload(&[0x19, 0x01], message)? {
        [_available, _format, high, low, ..] => Ok(u16::from_be_bytes([*high, *low])),
        data => Err(DecodeError::Short { needed: 4, found: data.len() as u16 }),
    }
}

/// The codes from the answer to [`read_codes`], with their status.
///
/// # Errors
/// [`DecodeError`] if the message answers something else, or declines.
pub fn codes(message: &[u8]) -> Result<impl Iterator<Item = UdsDtc> + Clone + use<'_>, DecodeError> {
    let records = match reply::payload(&[0x19, 0x02], message)? {
        [_available, records @ ..] => records,
        [] => &[],
    };
    let records = records.chunks_exact(4).filter_map(|record| match *record {
        [high, low, failure, status] => {
            Some(UdsDtc { code: Dtc(u16::from_be_bytes([high, low])), failure, status })
        }
        _ => None,
    });
    Ok(records)
}

/// A trouble code of three bytes: code and failure type (SAE J2012-DA), with its status (ISO 14229-1, D.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UdsDtc {
    /// The code.
    pub code: Dtc,
    /// The failure type byte; 00 says no more than the code.
    pub failure: u8,
    /// The status byte.
    pub status: u8,
}

impl UdsDtc {
    /// Whether the last test failed (bit 0).
    pub const fn is_failing(self) -> bool {
        self.status & 0x01 != 0
    }

    /// Whether it is pending: failed in this or the last drive cycle (bit 2).
    pub const fn is_pending(self) -> bool {
        self.status & 0x04 != 0
    }

    /// Whether it is confirmed (bit 3).
    pub const fn is_confirmed(self) -> bool {
        self.status & 0x08 != 0
    }

    /// Whether it asks for the warning lamp (bit 7).
    pub const fn lights_lamp(self) -> bool {
        self.status & 0x80 != 0
    }
}

impl fmt::Display for UdsDtc {
    /// `P0A80-1C`; without failure type just `P0A80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        if self.failure != 0 {
            write!(f, "-{:02X}", self.failure)?;
        }
        Ok(())
    }
}
