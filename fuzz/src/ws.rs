#![allow(dead_code, unreachable_pub, reason = "more of these files is used where they belong")]

#[path = "../../host/src/ws/decoder.rs"]
mod decoder;
#[path = "../../host/src/ws/deflate.rs"]
mod deflate;
#[path = "../../host/src/ws/frame.rs"]
pub(crate) mod frame;

use decoder::{Decoder, Incoming, Limits};

/// A client's bytes give the same messages, and the same violation, in whatever pieces they come. The first byte says how
/// long the pieces are and whether messages may be compressed.
pub fn ws_decoder(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let limits = Limits { frame: 200, message: 1000 };
    let decode = |length: usize| {
        let mut decoder = Decoder::new(limits).deflating(first & 0x80 != 0);
        let mut messages = Vec::new();
        for piece in bytes.chunks(length) {
            decoder.feed(piece);
            loop {
                match decoder.decode() {
                    Ok(Some(message)) => {
                        let length = match &message {
                            Incoming::Text(text) => text.len(),
                            Incoming::Binary(bytes) => bytes.len(),
                            _ => 0,
                        };
                        assert!(length <= limits.message, "longer than it may be");
                        messages.push(format!("{message:?}"));
                    }
                    Ok(None) => break,
                    Err(violation) => return (messages, Some(violation)),
                }
            }
        }
        (messages, None)
    };
    assert_eq!(decode(1 + usize::from(first & 0x7F)), decode(bytes.len().max(1)), "in pieces");
}
