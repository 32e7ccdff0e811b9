//! RFC 6455 framing, the server's side: a decoder fed with bytes and frames encoded once, shared by all readers.

use bytes::{BufMut, Bytes, BytesMut};

use super::deflate;

/// How much one client may send in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one frame on the wire, its header included.
    pub frame: usize,
    /// Bytes of the payload of one message sent in several frames.
    pub message: usize,
}

impl Default for Limits {
    /// Ten and eight million bytes: what Phoenix allows.
    fn default() -> Self {
        Self { frame: 10_000_000, message: 8_000_000 }
    }
}

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A ping; the answer is a pong with the same bytes.
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong,
    /// The client wants to close, and with this code.
    Close(Option<u16>),
}

/// How a client broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The framing itself is wrong.
    #[error("WebSocket protocol error: {0}")]
    Protocol(&'static str),
    /// A text message is not UTF-8.
    #[error("a text message is not UTF-8")]
    Utf8,
    /// A frame or message is larger than [`Limits`].
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
pub(super) const TEXT: u8 = 0x1;
pub(super) const BINARY: u8 = 0x2;
pub(super) const CLOSE: u8 = 0x8;
pub(super) const PING: u8 = 0x9;
pub(super) const PONG: u8 = 0xA;

/// The bit of the last frame of a message.
pub(super) const FIN: u8 = 0x80;
/// The bit of a compressed message, in its first frame (RFC 7692, 6).
pub(super) const COMPRESSED: u8 = 0x40;
/// The bit of a masked payload.
pub(super) const MASKED: u8 = 0x80;

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

/// Writes a length in its shortest form, with the bit of the mask.
pub(super) fn put_length(bytes: &mut impl BufMut, masked: u8, length: usize) {
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

/// Cuts a client's bytes into messages. Holds no buffer while no message is incomplete.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    buffer: Vec<u8>,
    /// How much of `buffer` has been decoded already.
    taken: usize,
    /// The payload so far of a message in several frames, or of a compressed one.
    message: Vec<u8>,
    /// The opcode of that message.
    kind: Option<u8>,
    /// Whether messages may be compressed, and whether that one is.
    deflate: bool,
    compressed: bool,
}

/// The header of a frame that has come whole.
struct Header {
    opening: Opening,
    mask: [u8; 4],
    start: usize,
    end: usize,
}

impl Decoder {
    /// A decoder for a new connection.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            taken: 0,
            message: Vec::new(),
            kind: None,
            deflate: false,
            compressed: false,
        }
    }

    /// Also takes compressed messages, as negotiated.
    pub(super) fn deflating(self, deflate: bool) -> Self {
        Self { deflate, ..self }
    }

    /// Takes bytes off the wire; follow with [`decode`](Self::decode) until it has no more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, or `None` until more bytes are fed.
    ///
    /// # Errors
    /// When the client broke the protocol: close with [`Violation::code`] and feed no more.
    pub fn decode(&mut self) -> Result<Option<Incoming<'_>>, Violation> {
        loop {
            let Some(header) = self.header()? else {
                self.compact();
                return Ok(None);
            };
            let Some(payload) = self.buffer.get_mut(header.start..header.end) else {
                self.compact();
                return Ok(None);
            };
            self.taken = header.end;
            unmask(payload, header.mask);
            let range = header.start..header.end;
            let Opening { last, compressed, opcode, .. } = header.opening;
            match opcode {
                CLOSE => return close(&self.buffer[range]).map(|code| Some(Incoming::Close(code))),
                PING => return Ok(Some(Incoming::Ping(&self.buffer[range]))),
                PONG => return Ok(Some(Incoming::Pong)),
                CONTINUATION => {
                    let Some(kind) = self.kind else {
                        return Err(Violation::Protocol("a continuation of nothing"));
                    };
                    if range.is_empty() && !last {
                        return Err(Violation::Empty);
                    }
                    if self.message.len() + range.len() > self.limits.message {
                        return Err(Violation::TooBig);
                    }
                    self.message.extend_from_slice(&self.buffer[range]);
                    if last {
                        self.kind = None;
                        if self.compressed {
                            let compressed = std::mem::take(&mut self.message);
                            deflate::inflate(&compressed, &mut self.message, self.limits.message)?;
                        }
                        // Frees the text of the message before this one, now that nobody reads it.
                        return whole(kind, &self.message).map(Some);
                    }
                }
                kind => {
                    if self.kind.is_some() {
                        return Err(Violation::Protocol("a message within a message"));
                    }
                    if last && compressed {
                        deflate::inflate(&self.buffer[range], &mut self.message, self.limits.message)?;
                        return whole(kind, &self.message).map(Some);
                    }
                    if last {
                        return whole(kind, &self.buffer[range]).map(Some);
                    }
                    self.message = Vec::new();
                    self.kind = Some(kind);
                    self.compressed = compressed;
                    self.message.extend_from_slice(&self.buffer[range]);
                }
            }
        }
    }

    /// The header at the front of the buffer, if it has come whole; its payload may not have.
    fn header(&self) -> Result<Option<Header>, Violation> {
        let bytes = &self.buffer[self.taken..];
        let [first, second, ..] = *bytes else { return Ok(None) };
        let opening = Opening::check([first, second], self.deflate)?;
        if !opening.masked {
            return Err(Violation::Protocol("a client must mask its frames"));
        }
        let (length, at) = match (opening.length, bytes) {
            (126, [_, _, a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 4),
            (127, [_, _, a, b, c, d, e, f, g, h, ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10)
            }
            (126 | 127, _) => return Ok(None),
            (short, _) => (u64::from(short), 2),
        };
        // Said at once, before anybody waits for the bytes.
        let length = usize::try_from(length).map_err(|_| Violation::TooBig)?;
        if length.saturating_add(at + 4) > self.limits.frame {
            return Err(Violation::TooBig);
        }
        let Some(&[a, b, c, d]) = bytes.get(at..at + 4) else { return Ok(None) };
        let start = self.taken + at + 4;
        Ok(Some(Header { opening, mask: [a, b, c, d], start, end: start + length }))
    }

    /// Forgets what has been decoded; an idle connection keeps no buffer.
    fn compact(&mut self) {
        if self.taken == self.buffer.len() {
            self.buffer = Vec::new();
        } else if self.taken > 0 {
            self.buffer.drain(..self.taken);
        }
        self.taken = 0;
        if self.kind.is_none() {
            self.message = Vec::new();
        }
    }
}

/// Masks a payload, or takes the mask off: both are the same.
pub(super) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let mut words = payload.chunks_exact_mut(4);
    for word in &mut words {
        for (byte, mask) in word.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

fn whole(kind: u8, payload: &[u8]) -> Result<Incoming<'_>, Violation> {
    if kind == TEXT {
        std::str::from_utf8(payload).map(Incoming::Text).map_err(|_| Violation::Utf8)
    } else {
        Ok(Incoming::Binary(payload))
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

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first, 0x80 | payload.len() as u8, 1, 2, 3, 4];
        frame.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn decode(bytes: &[u8]) -> Result<Vec<String>, Violation> {
        let mut decoder = Decoder::new(Limits { frame: 100, message: 50 });
        let mut messages = Vec::new();
        for byte in bytes {
            decoder.feed(&[*byte]);
            while let Some(message) = decoder.decode()? {
                messages.push(format!("{message:?}"));
            }
        }
        Ok(messages)
    }

    #[test]
    fn messages_come_whole_from_any_pieces() {
        let bytes = [
            masked(0x81, b"hello"),
            masked(0x01, b"a"),
            masked(0x89, b"p"),
            masked(0x80, b"b"),
            masked(0x82, &[7]),
            masked(0x88, &[0x03, 0xE8]),
        ]
        .concat();
        assert_eq!(
            decode(&bytes).unwrap(),
            [r#"Text("hello")"#, "Ping([112])", r#"Text("ab")"#, "Binary([7])", "Close(Some(1000))"]
        );
    }

    #[test]
    fn compressed_messages_come_inflated_in_one_frame_or_several() {
        let message = vec![b'x'; 1000];
        let compressed = deflate::deflate(&message).unwrap();
        let (head, tail) = compressed.split_at(3);
        let bytes = [
            masked(0xC2, &compressed),
            masked(0x42, head),
            masked(0x89, b"p"),
            masked(0x80, tail),
            masked(0x82, b"plain"),
        ]
        .concat();
        let mut decoder = Decoder::new(Limits { frame: 100, message: 1000 }).deflating(true);
        decoder.feed(&bytes);
        assert_eq!(decoder.decode(), Ok(Some(Incoming::Binary(&message))));
        assert_eq!(decoder.decode(), Ok(Some(Incoming::Ping(b"p"))));
        assert_eq!(decoder.decode(), Ok(Some(Incoming::Binary(&message))));
        assert_eq!(decoder.decode(), Ok(Some(Incoming::Binary(b"plain"))));
        let refused = [
            (masked(0xC2, b"\xff\xff\xff\xff"), Violation::Inflate),
            (masked(0xC2, &deflate::deflate(&[b'x'; 1001]).unwrap()), Violation::TooBig),
            (masked(0xC9, b""), Violation::Protocol("a reserved bit is set")),
            ([masked(0x02, b"x"), masked(0xC0, b"x")].concat(), Violation::Protocol("a reserved bit is set")),
        ];
        for (bytes, violation) in refused {
            let mut decoder = Decoder::new(Limits { frame: 100, message: 1000 }).deflating(true);
            decoder.feed(&bytes);
            assert_eq!(decoder.decode(), Err(violation), "{bytes:02x?}");
        }
    }

    #[test]
    fn violations_have_the_codes_of_the_rfc() {
        let cases: &[(&str, Vec<u8>, u16)] = &[
            ("unmasked", vec![0x81, 0x01, b'x'], 1002),
            ("reserved bit", masked(0xC1, b"x"), 1002),
            ("reserved opcode", masked(0x83, b"x"), 1002),
            ("stray continuation", masked(0x80, b"x"), 1002),
            ("interleaved text", [masked(0x01, b"x"), masked(0x81, b"x")].concat(), 1002),
            ("fragmented ping", masked(0x09, b"x"), 1002),
            ("close of one byte", masked(0x88, b"x"), 1002),
            ("reason not UTF-8", masked(0x88, &[3, 232, 0xFF]), 1002),
            ("text not UTF-8", masked(0x81, &[0xFF]), 1007),
            ("frame too big", masked(0x81, &[b'x'; 95]), 1009),
            ("a part that is empty", [masked(0x01, b"x"), masked(0x00, b"")].concat(), 1008),
            ("message too big", [masked(0x01, &[b'x'; 40]), masked(0x80, &[b'x'; 40])].concat(), 1009),
        ];
        for (case, bytes, code) in cases {
            assert_eq!(decode(bytes).expect_err(case).code(), *code, "{case}");
        }
    }

    #[test]
    fn an_idle_decoder_keeps_no_buffer() {
        let mut decoder = Decoder::new(Limits::default());
        decoder.feed(&masked(0x81, b"hello"));
        assert!(decoder.decode().unwrap().is_some());
        assert!(decoder.decode().unwrap().is_none());
        assert_eq!(decoder.buffer.capacity() + decoder.message.capacity(), 0);
    }

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
