//! What a client sends, cut into messages.

use std::borrow::Cow;
use std::ops::Range;

use super::deflate;
use super::frame::{self, CLOSE, CONTINUATION, Opening, PING, PONG, TEXT, Violation, close, unmask};

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

/// What a client sent. Messages that came in one read are borrowed, longer ones have been put together and are given away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A whole text message.
    Text(Cow<'a, str>),
    /// A whole binary message.
    Binary(Cow<'a, [u8]>),
    /// A ping; the answer is a pong with the same bytes.
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong,
    /// The client wants to close, and with this code.
    Close(Option<u16>),
}

/// Cuts a client's bytes into messages. Holds no buffer while no message is incomplete.
///
/// Small frames are read where they lie in the bytes that were fed; the payload of one that is longer than what has come
/// goes straight to its message as it comes, so that it is copied once.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// Whether messages may be compressed.
    deflate: bool,
    buffer: Vec<u8>,
    /// How much of `buffer` has been decoded already.
    taken: usize,
    /// The message that is being put together.
    begun: Option<Begun>,
    message: Vec<u8>,
}

/// A message of which more will come.
#[derive(Clone, Copy, Debug)]
struct Begun {
    opcode: u8,
    compressed: bool,
    /// What has not come yet of the frame that came last, and whether that is the last of the message.
    missing: usize,
    mask: [u8; 4],
    last: bool,
}

/// The header of a frame that has come whole.
struct Header {
    opening: Opening,
    mask: [u8; 4],
    length: usize,
    /// Bytes of the header.
    size: usize,
}

/// Where the payload of a whole message is.
enum Place {
    Buffer(Range<usize>),
    Message,
}

impl Decoder {
    /// A decoder for a new connection.
    pub const fn new(limits: Limits) -> Self {
        Self { limits, deflate: false, buffer: Vec::new(), taken: 0, begun: None, message: Vec::new() }
    }

    /// Also takes compressed messages, as negotiated.
    pub(super) fn deflating(self, deflate: bool) -> Self {
        Self { deflate, ..self }
    }

    /// Takes bytes off the wire; follow with [`decode`](Self::decode) until it has no more.
    pub fn feed(&mut self, bytes: &[u8]) {
        let missing = self.begun.map_or(0, |begun| begun.missing);
        let (payload, rest) = bytes.split_at(missing.min(bytes.len()));
        self.append(payload);
        self.buffer.extend_from_slice(rest);
    }

    /// The next message, or `None` until more bytes are fed.
    ///
    /// # Errors
    /// When the client broke the protocol: close with [`Violation::code`] and feed no more.
    pub fn decode(&mut self) -> Result<Option<Incoming<'_>>, Violation> {
        let Some((opcode, place)) = self.advance()? else { return Ok(None) };
        let payload = match place {
            Place::Buffer(range) => Cow::Borrowed(self.buffer.get(range).unwrap_or_default()),
            Place::Message => Cow::Owned(std::mem::take(&mut self.message)),
        };
        Ok(Some(match (opcode, payload) {
            (CLOSE, payload) => Incoming::Close(close(&payload)?),
            (PING, Cow::Borrowed(payload)) => Incoming::Ping(payload),
            (PONG, _) => Incoming::Pong,
            (TEXT, Cow::Borrowed(payload)) => {
                Incoming::Text(std::str::from_utf8(payload).map_err(|_| Violation::Utf8)?.into())
            }
            (TEXT, Cow::Owned(payload)) => {
                Incoming::Text(String::from_utf8(payload).map_err(|_| Violation::Utf8)?.into())
            }
            (_, payload) => Incoming::Binary(payload),
        }))
    }

    /// Goes on until a message or a control frame is there.
    fn advance(&mut self) -> Result<Option<(u8, Place)>, Violation> {
        loop {
            if let Some(Begun { opcode, compressed, missing: 0, last: true, .. }) = self.begun {
                self.begun = None;
                if compressed {
                    let compressed = std::mem::take(&mut self.message);
                    deflate::inflate(&compressed, &mut self.message, self.limits.message)?;
                }
                return Ok(Some((opcode, Place::Message)));
            }
            let Some(header) = self.header()? else { break };
            let Header { opening: Opening { last, compressed, opcode, .. }, mask, length, size } = header;
            let start = self.taken + size;
            let end = start.saturating_add(length);
            let whole = end <= self.buffer.len();
            if opcode < CLOSE {
                self.check(&header.opening, length)?;
            } else if !whole {
                break;
            }
            if whole && last && opcode != CONTINUATION {
                self.taken = end;
                let range = start..end;
                unmask(self.buffer.get_mut(range.clone()).unwrap_or_default(), mask);
                if compressed {
                    deflate::inflate(&self.buffer[range], &mut self.message, self.limits.message)?;
                    return Ok(Some((opcode, Place::Message)));
                }
                return Ok(Some((opcode, Place::Buffer(range))));
            }
            let (opcode, compressed) =
                self.begun.map_or((opcode, compressed), |begun| (begun.opcode, begun.compressed));
            self.begun = Some(Begun { opcode, compressed, missing: length, mask, last });
            self.taken = end.min(self.buffer.len());
            let buffer = std::mem::take(&mut self.buffer);
            self.append(buffer.get(start..self.taken).unwrap_or_default());
            self.buffer = buffer;
        }
        self.compact();
        Ok(None)
    }

    /// Whether a frame of data may come now. Said at once, before anybody waits for its bytes.
    fn check(&self, opening: &Opening, length: usize) -> Result<(), Violation> {
        match (opening.opcode, self.begun) {
            (CONTINUATION, None) => Err(Violation::Protocol("a continuation of nothing")),
            (CONTINUATION, Some(_)) if length == 0 && !opening.last => Err(Violation::Empty),
            (CONTINUATION, Some(_)) if self.message.len() + length > self.limits.message => {
                Err(Violation::TooBig)
            }
            (CONTINUATION, Some(_)) | (_, None) => Ok(()),
            (_, Some(_)) => Err(Violation::Protocol("a message within a message")),
        }
    }

    /// The header at the front of the buffer, if it has come whole; its payload may not have.
    fn header(&self) -> Result<Option<Header>, Violation> {
        let bytes = self.buffer.get(self.taken..).unwrap_or_default();
        let [first, second, ..] = *bytes else { return Ok(None) };
        let opening = Opening::check([first, second], self.deflate)?;
        if !opening.masked {
            return Err(Violation::Protocol("a client must mask its frames"));
        }
        let Some(frame::Header { length: size, payload, .. }) = frame::Header::parse(bytes) else {
            return Ok(None);
        };
        // Said at once, before anybody waits for the bytes.
        let length = usize::try_from(payload).map_err(|_| Violation::TooBig)?;
        if length.saturating_add(size) > self.limits.frame {
            return Err(Violation::TooBig);
        }
        let Some(mask) = bytes.get(..size).and_then(|header| header.last_chunk()) else { return Ok(None) };
        Ok(Some(Header { opening, mask: *mask, length, size }))
    }

    /// Adds what has come of a payload to its message. Memory is taken as bytes come, not as the header promises.
    fn append(&mut self, payload: &[u8]) {
        let Some(begun) = &mut self.begun else { return };
        let start = self.message.len();
        self.message.extend_from_slice(payload);
        unmask(self.message.get_mut(start..).unwrap_or_default(), begun.mask);
        begun.mask.rotate_left(payload.len() % 4);
        begun.missing -= payload.len();
    }

    /// Forgets what has been decoded; an idle connection keeps no buffer.
    fn compact(&mut self) {
        if self.taken == self.buffer.len() {
            self.buffer = Vec::new();
        } else if self.taken > 0 {
            self.buffer.drain(..self.taken);
        }
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first, 0x80 | payload.len() as u8, 1, 2, 3, 4];
        frame.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// What is decoded, in whatever pieces the bytes come.
    fn decode(bytes: &[u8]) -> Result<Vec<String>, Violation> {
        let in_pieces = |length: usize| {
            let mut decoder = Decoder::new(Limits { frame: 100, message: 50 });
            let mut messages = Vec::new();
            for piece in bytes.chunks(length) {
                decoder.feed(piece);
                while let Some(message) = decoder.decode()? {
                    messages.push(format!("{message:?}"));
                }
            }
            Ok(messages)
        };
        let whole = in_pieces(bytes.len());
        for length in 1..bytes.len() {
            assert_eq!(in_pieces(length), whole, "in pieces of {length}");
        }
        whole
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
        assert_eq!(decoder.decode(), Ok(Some(Incoming::Binary((&message).into()))));
        assert_eq!(decoder.decode(), Ok(Some(Incoming::Ping(b"p"))));
        assert_eq!(decoder.decode(), Ok(Some(Incoming::Binary((&message).into()))));
        assert_eq!(decoder.decode(), Ok(Some(Incoming::Binary(b"plain".into()))));
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
}
