//! `permessage-deflate` (RFC 7692) without context takeover: each message is compressed by itself. An idle connection
//! keeps no window then, and one compressor a thread serves all connections.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frame::Violation;

/// Shorter messages gain too little to be compressed.
pub(super) const LEAST: usize = 256;

/// What a client offers, and what the server answers.
pub(super) const OFFER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The same, for clients that name the window, which is always the largest here.
const WITH_WINDOW: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
     server_max_window_bits=15";

/// What every compressed message ends with, and what is not sent (RFC 7692, 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

thread_local! {
    static COMPRESS: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
    static DECOMPRESS: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// A server's answer to what a client offers in `Sec-WebSocket-Extensions`: the first offer that can be met.
pub(super) fn answer<'a>(mut offers: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    offers.find_map(|offer| {
        let mut answer = OFFER;
        for (name, value) in parameters(offer)? {
            match (name, value) {
                // The last is a hint; whatever window the client uses fits into ours.
                ("server_no_context_takeover" | "client_no_context_takeover", None)
                | ("client_max_window_bits", _) => {}
                ("server_max_window_bits", Some("15")) => answer = WITH_WINDOW,
                _ => return None,
            }
        }
        Some(answer)
    })
}

/// Whether a server that was sent [`OFFER`] takes it, as its `Sec-WebSocket-Extensions` say.
///
/// # Errors
/// What was not offered, or not answered as offered: the connection must not be used (RFC 6455, 4.1).
pub(super) fn agreed<'a>(mut answers: impl Iterator<Item = &'a str>) -> Result<bool, &'static str> {
    let Some(answer) = answers.next() else { return Ok(false) };
    let parameters = parameters(answer).filter(|_| answers.next().is_none());
    let parameters = parameters.ok_or("an extension that was not offered")?;
    let mut alone = false;
    for (name, value) in parameters {
        match (name, value) {
            ("server_no_context_takeover", None) => alone = true,
            ("client_no_context_takeover", None) | ("server_max_window_bits", Some(_)) => {}
            _ => return Err("a parameter of permessage-deflate that was not offered"),
        }
    }
    if alone { Ok(true) } else { Err("permessage-deflate with a context, which was not offered") }
}

/// The parameters of `permessage-deflate`; `None` for other extensions.
fn parameters(extension: &str) -> Option<impl Iterator<Item = (&str, Option<&str>)>> {
    let mut parts = extension.split(';').map(str::trim);
    let name = parts.next()?;
    name.eq_ignore_ascii_case("permessage-deflate").then(|| {
        parts.map(|part| match part.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
            None => (part, None),
        })
    })
}

/// The message compressed; `None` when that does not make it shorter.
pub(super) fn deflate(message: &[u8]) -> Option<Vec<u8>> {
    if message.len() < LEAST {
        return None;
    }
    COMPRESS.with_borrow_mut(|compress| {
        compress.reset();
        let mut compressed = Vec::with_capacity(message.len());
        compress.compress_vec(message, &mut compressed, FlushCompress::Sync).ok()?;
        // With room left over nothing is still inside.
        let whole = compress.total_in() == message.len() as u64 && compressed.len() < message.len();
        let length =
            compressed.len().checked_sub(TAIL.len()).filter(|_| whole && compressed.ends_with(&TAIL))?;
        compressed.truncate(length);
        Some(compressed)
    })
}

/// Writes to `message` what was compressed, piece by piece as it grows.
///
/// # Errors
/// [`Violation::TooBig`] beyond `limit`, with the beginning in `message`; [`Violation::Inflate`].
pub(super) fn inflate(compressed: &[u8], message: &mut Vec<u8>, limit: usize) -> Result<(), Violation> {
    message.clear();
    DECOMPRESS.with_borrow_mut(|decompress| {
        decompress.reset(false);
        for mut input in [compressed, &TAIL] {
            loop {
                if message.len() == message.capacity() {
                    message.reserve(message.len().clamp(1 << 10, 1 << 20));
                }
                let (taken, given) = (decompress.total_in(), decompress.total_out());
                let status = decompress.decompress_vec(input, message, FlushDecompress::Sync);
                let status = status.map_err(|_| Violation::Inflate)?;
                let count = usize::try_from(decompress.total_in() - taken).unwrap_or(usize::MAX);
                let idle = count == 0 && decompress.total_out() == given;
                input = input.get(count..).unwrap_or_default();
                if message.len() > limit {
                    return Err(Violation::TooBig);
                }
                if status == Status::StreamEnd {
                    // A final block, which a sender may well end a message with (RFC 7692, 7.2.3.4).
                    decompress.reset(false);
                } else if idle && !input.is_empty() {
                    return Err(Violation::Inflate);
                }
                if input.is_empty() && message.len() < message.capacity() {
                    break;
                }
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|at| b"the same again and again "[at % 25]).collect()
    }

    #[test]
    fn what_is_compressed_comes_back() {
        for length in [256, 257, 1000, 65_535, 65_536, 1 << 20] {
            let message = text(length);
            let compressed = deflate(&message).expect("shorter");
            assert!(compressed.len() < length / 2, "{length}: {}", compressed.len());
            let mut found = Vec::new();
            inflate(&compressed, &mut found, length).unwrap();
            assert_eq!(found, message, "{length}");
        }
    }

    #[test]
    fn what_compression_does_not_shorten_is_left_alone() {
        let mut noise = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            noise as u8
        })
        .take(10_000)
        .collect();
        assert_eq!(deflate(&noise), None);
        assert_eq!(deflate(&text(LEAST - 1)), None);
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 7692, 7.2.3.1 to 7.2.3.5: one block, without compression, with a final block, of two blocks.
        let examples: [&[u8]; 4] = [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ];
        for example in examples {
            let mut message = Vec::new();
            inflate(example, &mut message, 5).unwrap_or_else(|e| panic!("{example:02x?}: {e}"));
            assert_eq!(message, b"Hello", "{example:02x?}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = deflate(&vec![0; 64 << 20]).unwrap();
        let mut message = Vec::new();
        assert_eq!(inflate(&bomb, &mut message, 1 << 20), Err(Violation::TooBig));
        assert!(message.capacity() <= 3 << 20, "{}", message.capacity());
        assert_eq!(inflate(&bomb, &mut message, 64 << 20), Ok(()));
    }

    #[test]
    fn what_is_not_compressed_is_an_error() {
        for bad in [&[0xff; 20][..], &[0x06], b"not compressed at all"] {
            assert_eq!(inflate(bad, &mut Vec::new(), 1000), Err(Violation::Inflate), "{bad:02x?}");
        }
    }

    #[test]
    fn damaged_messages_are_refused_or_bounded() {
        let message = text(20_000);
        let compressed = deflate(&message).unwrap();
        let (mut refused, mut found) = (0, Vec::new());
        for at in 0..compressed.len() * 8 {
            let mut damaged = compressed.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            match inflate(&damaged, &mut found, message.len()) {
                Ok(()) => assert!(found.len() <= message.len()),
                Err(_) => refused += 1,
            }
            assert!(found.capacity() <= 4 * message.len(), "{}", found.capacity());
        }
        assert!(refused > 0);
        for length in 0..compressed.len() {
            let _ = inflate(&compressed[..length], &mut found, message.len());
        }
    }

    #[test]
    fn offers_are_answered_as_far_as_they_can_be_met() {
        let cases = [
            ("", None),
            ("permessage-deflate", Some(OFFER)),
            ("permessage-deflate; client_max_window_bits", Some(OFFER)),
            ("permessage-deflate;client_max_window_bits=10;server_no_context_takeover", Some(OFFER)),
            ("permessage-deflate; server_max_window_bits=\"15\"", Some(WITH_WINDOW)),
            ("permessage-deflate; server_max_window_bits=10, permessage-deflate", Some(OFFER)),
            ("permessage-deflate; server_max_window_bits=10", None),
            ("permessage-deflate; unheard_of", None),
            ("x-webkit-deflate-frame, permessage-deflate", Some(OFFER)),
            ("permessage-bzip2", None),
        ];
        for (offers, expected) in cases {
            assert_eq!(answer(offers.split(',')), expected, "{offers}");
        }
    }

    #[test]
    fn answers_must_be_what_was_offered() {
        let agreed = |answers: &str| agreed(answers.split(',').filter(|answer| !answer.is_empty()));
        assert_eq!(agreed(""), Ok(false));
        assert_eq!(agreed(OFFER), Ok(true));
        assert_eq!(agreed(WITH_WINDOW), Ok(true));
        assert_eq!(agreed("permessage-deflate; server_no_context_takeover"), Ok(true));
        for wrong in [
            "permessage-deflate",
            "permessage-bzip2",
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=10",
            "permessage-deflate; server_no_context_takeover, permessage-deflate; server_no_context_takeover",
        ] {
            assert!(agreed(wrong).is_err(), "{wrong}");
        }
    }
}
