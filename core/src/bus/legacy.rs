//! SAE J1850, ISO 9141-2 and ISO 14230-4 (KWP2000): three header bytes, data, one check byte.
//!
//! ```text
//! J1850, 9141   48 6B 10   41 0C 17 70   CK      priority, target class, source
//! KWP2000       84 F1 10   41 0C 17 70   CK      80h (or C0h) + length, target, source
//! KWP2000       80 F1 10 4C  61 80 …     CK      length 0: it follows in a byte of its own
//! ```
//!
//! The check byte is a CRC-8 (polynomial 1Dh, start FFh, inverted) on J1850 and the sum of all bytes elsewhere
//! (SAE J1850 5.4.1; ISO 9141-2 6.2; ISO 14230-2 5.2.4).

use super::FrameError;

/// How a line ends on this bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// CRC-8 of SAE J1850.
    Crc,
    /// Sum of all bytes: ISO 9141-2.
    Sum,
    /// Sum of all bytes, and the header gives the length: ISO 14230. Clones omit the sum, and the length tells.
    Kwp,
    /// The bus is not known yet: any of the above that fits.
    Any,
}

/// The parts of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The source byte of the header.
    pub source: u8,
    /// The data between header and check byte.
    pub data: &'a [u8],
}

/// Takes the bytes of one line apart and verifies its check byte.
///
/// # Errors
/// [`FrameError::Short`] without any data, [`FrameError::Length`] if a KWP length does not fit,
/// [`FrameError::Check`] if the check byte is wrong (or missing where no length tells).
pub fn parse(line: &[u8], check: Check) -> Result<Frame<'_>, FrameError> {
    let [format, _, source, rest @ ..] = line else {
        return Err(FrameError::Short);
    };
    let data = match check {
        Check::Crc => checked(line, rest, crc)?,
        Check::Sum => checked(line, rest, sum)?,
        Check::Kwp => kwp(line, *format, rest)?,
        Check::Any => kwp(line, *format, rest).or_else(|error| {
            let other = checked(line, rest, sum).or_else(|_| checked(line, rest, crc));
            // Where the header's length fits, the sum is what is wrong.
            other.map_err(|other| if matches!(error, FrameError::Check { .. }) { error } else { other })
        })?,
    };
    if data.is_empty() {
        return Err(FrameError::Short);
    }
    Ok(Frame { source: *source, data })
}

/// Data whose length the header gives: then a missing check byte is seen, and forgiven.
fn kwp<'a>(line: &[u8], format: u8, rest: &'a [u8]) -> Result<&'a [u8], FrameError> {
    let (length, body) = match (format & 0x3F, rest) {
        (0, [length, body @ ..]) => (usize::from(*length), body),
        (length, body) => (usize::from(length), body),
    };
    if format & 0x80 == 0 || length == 0 {
        return Err(FrameError::Length);
    }
    match body.len().checked_sub(length) {
        Some(0) => Ok(body),
        Some(1) => checked(line, body, sum),
        _ => Err(FrameError::Length),
    }
}

/// `body` without its last byte, if that is the check of the whole line before it.
fn checked<'a>(line: &[u8], body: &'a [u8], check: fn(&[u8]) -> u8) -> Result<&'a [u8], FrameError> {
    let (&found, data) = body.split_last().ok_or(FrameError::Short)?;
    let covered = line.get(..line.len().saturating_sub(1)).unwrap_or_default();
    let expected = check(covered);
    if expected == found { Ok(data) } else { Err(FrameError::Check { expected, found }) }
}

/// The CRC-8 of SAE J1850.
pub fn crc(bytes: &[u8]) -> u8 {
    !bytes.iter().fold(0xFF, |crc, &byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x1D })
    })
}

/// The sum of ISO 9141-2 and ISO 14230.
pub fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, &byte| sum.wrapping_add(byte))
}
