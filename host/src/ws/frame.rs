//! RFC 6455 framing: the first bytes of a frame, its mask, and frames encoded once, shared by all readers.

use bytes::{BufMut, Bytes, BytesMut};

use super::deflate;

/// How a client broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The framing itself is wrong.
    #[error("WebSocket protocol error: {0}")]
    Protocol(&'static str),
    /// A text message is not UTF-8.
    #[error("a text message is not UTF-8")]
    Utf8,
    /// A frame or message is larger than [`Limits`](super::Limits).
    #[error("a message is larger than the limit")]
    TooBig,
    /// A compressed message cannot be inflated.
    #[error("a compressed message cannot be inflated")]
    Inflate,
    /// A message goes on with nothing, which could go on for ever.
    #[error("a part of a message that is empty and not the last")]
    Empty,
}

impl Violation {
    /// The code the connection is closed with: 1002, 1007, 1008 or 1009.
    pub const fn code(self) -> u16 {
        match self {
            Self::Protocol(_) => 1002,
            Self::Utf8 | Self::Inflate => 1007,
            Self::Empty => 1008,
            Self::TooBig => 1009,
        }
    }
}

pub(super) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(super) const BINARY: u8 = 0x2;
pub(super) const CLOSE: u8 = 0x8;
pub(super) const PING: u8 = 0x9;
pub(super) const PONG: u8 = 0xA;

/// The bit of the last frame of a message.
pub(crate) const FIN: u8 = 0x80;
/// The bit of a compressed message, in its first frame (RFC 7692, 6).
pub(super) const COMPRESSED: u8 = 0x40;
/// The bit of a masked payload.
pub(crate) const MASKED: u8 = 0x80;

/// The first two bytes of a frame (RFC 6455, 5.2).
pub(super) struct Opening {
    pub(super) last: bool,
    pub(super) compressed: bool,
    pub(super) opcode: u8,
    pub(super) masked: bool,
    /// Up to 125 the length of the payload; 126 and 127 say that it follows in two or eight bytes.
    pub(super) length: u8,
}

impl Opening {
    /// What the bytes say; `deflate` is whether messages may be compressed.
    pub(super) fn check([first, second]: [u8; 2], deflate: bool) -> Result<Self, Violation> {
        let (last, opcode) = (first & FIN != 0, first & 0x0F);
        let (masked, length) = (second & MASKED != 0, second & !MASKED);
        let compressed = first & COMPRESSED != 0;
        if first & 0x30 != 0 || (compressed && !(deflate && matches!(opcode, TEXT | BINARY))) {
            return Err(Violation::Protocol("a reserved bit is set"));
        }
        if !matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) {
            return Err(Violation::Protocol("a reserved opcode"));
        }
        if opcode >= CLOSE && (!last || length > 125) {
            return Err(Violation::Protocol("a control frame in pieces or too long"));
        }
        Ok(Self { last, compressed, opcode, masked, length })
    }
}

/// The lengths at the beginning of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) masked: bool,
    /// How long the header is, its mask included.
    pub(crate) length: usize,
    /// How long the payload is.
    pub(crate) payload: u64,
}

impl Header {
    /// Reads a header (RFC 6455, 5.2). `None` until it has come, but for its mask.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let [_, second, rest @ ..] = bytes else { return None };
        let masked = second & MASKED != 0;
        let (length, payload) = match second & !MASKED {
            126 => (4, u16::from_be_bytes(*rest.first_chunk()?).into()),
            127 => (10, u64::from_be_bytes(*rest.first_chunk()?)),
            short => (2, short.into()),
        };
        Some(Self { masked, length: length + if masked { 4 } else { 0 }, payload })
    }
}

/// Writes a length in its shortest form, with the bit of the mask.
pub(crate) fn put_length(bytes: &mut impl BufMut, masked: u8, length: usize) {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..=125), _) => bytes.put_u8(masked | short),
        (_, Ok(long)) => {
            bytes.put_u8(masked | 126);
            bytes.put_u16(long);
        }
        _ => {
            bytes.put_u8(masked | 127);
            bytes.put_u64(length as u64);
        }
    }
}

/// Masks a payload, or takes the mask off: both are the same.
pub(crate) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let (words, rest) = payload.as_chunks_mut();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

/// The code of a close frame (RFC 6455, 5.5.1), whatever it is.
pub(super) fn close(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(Violation::Protocol("a close frame of one byte")),
        [a, b, reason @ ..] => (u16::from_be_bytes([*a, *b]), reason),
    };
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Some(code)),
        Err(_) => Err(Violation::Protocol("the reason of a close is not UTF-8")),
    }
}

/// A frame to a client, encoded once: cloning it copies no bytes.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The WebSocket header and the first part of the payload.
    head: Bytes,
    /// The rest of the payload when it is shared with other frames, else empty.
    body: Bytes,
    tail: Bytes,
    header: u8,
}

impl Frame {
    /// A text frame. The payload must be UTF-8 (it is the server's own).
    pub fn text(payload: &[u8]) -> Self {
        Self::encode(TEXT, payload, Bytes::new(), Bytes::new())
    }

    /// A binary frame.
    pub fn binary(payload: &[u8]) -> Self {
        Self::encode(BINARY, payload, Bytes::new(), Bytes::new())
    }

    /// A binary frame for a client that takes compressed ones ([`Socket::deflates`](super::Socket::deflates)).
    pub fn deflated(payload: &[u8]) -> Self {
        match deflate::deflate(payload) {
            Some(compressed) => Self::encode(COMPRESSED | BINARY, &compressed, Bytes::new(), Bytes::new()),
            None => Self::binary(payload),
        }
    }

    /// A text frame whose middle part is shared with other frames.
    pub fn text_around(head: &[u8], body: Bytes, tail: &[u8]) -> Self {
        Self::encode(TEXT, head, body, Bytes::copy_from_slice(tail))
    }

    /// A question whether the client is still there.
    pub fn ping() -> Self {
        Self::encode(PING, &[], Bytes::new(), Bytes::new())
    }

    /// The answer to a ping.
    pub fn pong(payload: &[u8]) -> Self {
        Self::encode(PONG, payload, Bytes::new(), Bytes::new())
    }

    /// A close frame without a reason.
    pub fn close(code: u16) -> Self {
        Self::encode(CLOSE, &code.to_be_bytes(), Bytes::new(), Bytes::new())
    }

    fn encode(opcode: u8, head: &[u8], body: Bytes, tail: Bytes) -> Self {
        let length = head.len() + body.len() + tail.len();
        let mut bytes = BytesMut::with_capacity(10 + head.len());
        bytes.put_u8(FIN | opcode);
        put_length(&mut bytes, 0, length);
        let header = bytes.len() as u8;
        bytes.put_slice(head);
        Self { head: bytes.freeze(), body, tail, header }
    }

    /// The parts of the frame in the order they go over the wire; some may be empty.
    pub fn parts(&self) -> [&[u8]; 3] {
        [&self.head, &self.body, &self.tail]
    }

    /// How many bytes go over the wire.
    #[allow(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len() + self.tail.len()
    }

    /// Whether this is a message rather than a control frame, and of which kind.
    pub fn kind(&self) -> Kind {
        match self.head.first().map(|first| first & 0x0F) {
            Some(TEXT) => Kind::Text,
            Some(BINARY) => Kind::Binary,
            _ => Kind::Control,
        }
    }

    /// The payload without the WebSocket header.
    pub fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(self.len());
        payload.extend_from_slice(&self.head[usize::from(self.header)..]);
        payload.extend_from_slice(&self.body);
        payload.extend_from_slice(&self.tail);
        payload
    }
}

/// What a [`Frame`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text message.
    Text,
    /// A binary message.
    Binary,
    /// A pong or a close.
    Control,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        for (length, header) in [(125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let frame = Frame::text(&vec![b'x'; length]);
            assert_eq!((frame.len() - length, frame.payload().len()), (header, length));
        }
        let shared = Frame::text_around(b"[", Bytes::from_static(b"1"), b"]");
        assert_eq!(shared.parts().concat(), b"\x81\x03[1]");
        assert_eq!(shared.payload(), b"[1]");
    }
}
