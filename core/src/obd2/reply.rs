//! Which message answers which request.

use super::{DecodeError, Nrc};

/// The first byte of a negative response.
const NEGATIVE: u8 = 0x7F;

/// How many bytes after the service an answer repeats from the request: sub-function, PID, data identifier.
///
/// Source: SAE J1979, section 6 and following (01 to 0A); ISO 14229-1, section 8 and following; ISO 14230-3 (1A, 21).
pub const fn echo(service: u8) -> usize {
    match service {
        0x01 | 0x06 | 0x08 | 0x09 | 0x10 | 0x11 | 0x19 | 0x1A | 0x21 | 0x27 | 0x28 | 0x3E | 0x85 => 1,
        0x02 | 0x05 | 0x22 | 0x24 | 0x2E | 0x2F => 2,
        0x31 => 3,
        _ => 0,
    }
}

/// Checks that a message answers a request and returns what follows the repeated bytes.
///
/// `request` is the request as sent, service first. A request may be shorter than what its answer repeats: `020C`, as
/// python-OBD asks without a frame number, is answered with one. A request for several identifiers is answered by a
/// message that begins with any of them; see [`Split`](super::Split).
///
/// # Errors
/// [`DecodeError::Negative`] if the ECU declined this service; otherwise what is different.
#[inline]
pub fn payload<'a>(request: &[u8], message: &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let (Some((&service, asked)), Some((&answered, rest))) = (request.split_first(), message.split_first())
    else {
        return Err(DecodeError::Empty);
    };
    if answered != service.wrapping_add(0x40) {
        return Err(other(service, message));
    }
    let repeated = echo(service);
    let Some((head, data)) = rest.split_at_checked(repeated) else {
        return Err(DecodeError::Short { needed: repeated as u16, found: rest.len() as u16 });
    };
    match head.iter().zip(asked).enumerate().find(|(_, (found, expected))| found != expected) {
        Some((at, (&found, &expected))) => Err(DecodeError::Identifier { at: at as u8, expected, found }),
        None => Ok(data),
    }
}

/// What a message is that does not begin as the answer would.
#[cold]
pub(super) fn other(service: u8, message: &[u8]) -> DecodeError {
    match *message {
        // Legacy buses repeat the whole request and pad; the reason is the last byte that is there.
        [NEGATIVE, of, code] if of == service => DecodeError::Negative { service, code: Nrc(code) },
        [NEGATIVE, of, .., code] if of == service => DecodeError::Negative { service, code: Nrc(code) },
        [found, ..] => DecodeError::Service { expected: service.wrapping_add(0x40), found },
        [] => DecodeError::Empty,
    }
}
