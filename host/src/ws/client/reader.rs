//! What a server sends, message by message.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader, ReadBuf, copy_buf, sink};

use crate::ws::deflate;
use crate::ws::frame::{CLOSE, CONTINUATION, Opening, PING, Violation, close};

/// How much of a message that is too long is kept, to tell what it was.
const HEAD: usize = 1024;

/// How long a message may be to be read past; a longer one ends the connection.
const SKIPPED: u64 = 1 << 30;

/// A buffer that grew beyond this for one message is given back before the next.
const KEPT: usize = 64 << 10;

/// What a server sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// A whole message, binary or text. (Text is not checked for being UTF-8.)
    Message(&'a [u8]),
    /// The beginning of a message that is longer than the limit; the rest has been read past.
    TooLong(&'a [u8]),
    /// A ping; the answer is a pong with the same bytes.
    Ping(Bytes),
    /// A pong, asked for or not.
    Pong,
    /// The server closes, with this code.
    Close(Option<u16>),
}

/// Why nothing more can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The transport ended or failed.
    #[error("the connection was cut: {0}")]
    Cut(#[from] io::Error),
    /// The server broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// The receiving half of a connection.
#[derive(Debug)]
pub struct Reader<R> {
    io: BufReader<Counted<R>>,
    limit: usize,
    deflates: bool,
    /// The payload so far of the message being read, and what it is when inflated.
    message: Vec<u8>,
    inflated: Vec<u8>,
    /// The length of that message; the payload is less when that is beyond the limit.
    length: u64,
    /// Whether that message is compressed; `None` before its first frame.
    begun: Option<bool>,
}

/// Counts what is read.
#[derive(Debug)]
struct Counted<R> {
    io: R,
    received: Arc<AtomicU64>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        self.received.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        read
    }
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(io: R, limit: usize, deflates: bool) -> Self {
        let io = BufReader::with_capacity(16 << 10, Counted { io, received: Arc::default() });
        Self { io, limit, deflates, message: Vec::new(), inflated: Vec::new(), length: 0, begun: None }
    }

    /// How many bytes have come, read to the end or not: what tells a slow server from a dead one.
    pub fn received(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.io.get_ref().received)
    }

    /// What the server sent next. Not safe to drop while it waits.
    ///
    /// # Errors
    /// When the connection ended or the server broke the protocol.
    pub async fn next(&mut self) -> Result<Received<'_>, ReadError> {
        let compressed = loop {
            let (Opening { last, compressed, opcode, .. }, length) = self.header().await?;
            if opcode >= CLOSE {
                return self.control(opcode, length).await;
            }
            let compressed = match (opcode, self.begun) {
                (CONTINUATION, Some(compressed)) => compressed,
                (CONTINUATION, None) => return Err(Violation::Protocol("a continuation of nothing").into()),
                (_, Some(_)) => return Err(Violation::Protocol("a message within a message").into()),
                (_, None) => {
                    self.begin();
                    compressed
                }
            };
            self.begun = Some(compressed).filter(|_| !last);
            self.payload(length).await?;
            if last {
                break compressed;
            }
        };
        let whole = self.length <= self.limit as u64;
        if !compressed {
            return Ok(if whole {
                Received::Message(&self.message)
            } else {
                Received::TooLong(&self.message)
            });
        }
        let limit = if whole { self.limit } else { HEAD };
        match deflate::inflate(&self.message, &mut self.inflated, limit) {
            Ok(()) if whole => Ok(Received::Message(&self.inflated)),
            // Of a part the end is missing, if it is no error for something else.
            Err(Violation::Inflate) if whole => Err(Violation::Inflate.into()),
            _ => Ok(Received::TooLong(self.inflated.get(..HEAD).unwrap_or(&self.inflated))),
        }
    }

    fn begin(&mut self) {
        for buffer in [&mut self.message, &mut self.inflated] {
            buffer.clear();
            buffer.shrink_to(KEPT);
        }
        self.length = 0;
    }

    /// The beginning of a frame, and how long its payload is.
    async fn header(&mut self) -> Result<(Opening, u64), ReadError> {
        let bytes = [self.io.read_u8().await?, self.io.read_u8().await?];
        let opening = Opening::check(bytes, self.deflates)?;
        if opening.masked {
            return Err(Violation::Protocol("a server must not mask its frames").into());
        }
        let length = match opening.length {
            126 => self.io.read_u16().await?.into(),
            127 => self.io.read_u64().await?,
            short => short.into(),
        };
        Ok((opening, length))
    }

    async fn control(&mut self, opcode: u8, length: u64) -> Result<Received<'static>, ReadError> {
        let mut payload = vec![0; usize::try_from(length).unwrap_or_default()];
        self.io.read_exact(&mut payload).await?;
        Ok(match opcode {
            PING => Received::Ping(payload.into()),
            CLOSE => Received::Close(close(&payload)?),
            _ => Received::Pong,
        })
    }

    /// Reads the payload of one frame: memory is taken as bytes come, not as the header promises.
    async fn payload(&mut self, length: u64) -> Result<(), ReadError> {
        self.length = self.length.saturating_add(length);
        if self.length > SKIPPED {
            return Err(Violation::TooBig.into());
        }
        let keep = if self.length <= self.limit as u64 {
            length
        } else {
            self.message.truncate(HEAD);
            self.message.shrink_to(HEAD);
            length.min((HEAD - self.message.len()) as u64)
        };
        let mut frame = (&mut self.io).take(length);
        let kept = (&mut frame).take(keep).read_to_end(&mut self.message).await?;
        copy_buf(&mut frame, &mut sink()).await?;
        if kept as u64 == keep && frame.limit() == 0 {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server's bytes say to a reader that takes messages of up to `limit` bytes.
    async fn read(bytes: &[u8], limit: usize, deflates: bool) -> (Vec<String>, String) {
        let mut reader = Reader::new(bytes, limit, deflates);
        let mut seen = Vec::new();
        loop {
            match reader.next().await {
                Ok(received) => seen.push(format!("{received:?}")),
                Err(ReadError::Cut(_)) => return (seen, "cut".into()),
                Err(ReadError::Violation(violation)) => return (seen, violation.code().to_string()),
            }
        }
    }

    #[tokio::test]
    async fn messages_come_whole_and_too_long_ones_are_read_past() {
        let long =
            [&[0x02, 3][..], b"123", &[0x89, 1, b'p'], &[0x80, 126, 0x10, 0x00], &[b'x'; 0x1000]].concat();
        let bytes = [
            &b"\x82\x05hello"[..],
            b"\x01\x01a\x8a\x00\x80\x01b",
            &long,
            b"\x82\x00",
            &[0x88, 2, 0x03, 0xE8],
        ]
        .concat();
        let (seen, end) = read(&bytes, 5, false).await;
        let head = [&b"123"[..], &[b'x'; HEAD - 3]].concat();
        let expected = [
            Received::Message(b"hello"),
            Received::Pong,
            Received::Message(b"ab"),
            Received::Ping("p".into()),
            Received::TooLong(&head),
            Received::Message(b""),
            Received::Close(Some(1000)),
        ];
        assert_eq!((seen, end.as_str()), (expected.map(|received| format!("{received:?}")).into(), "cut"));
    }

    #[tokio::test]
    async fn compressed_messages_are_bounded_by_what_they_become() {
        let message: Vec<u8> = [b"abcdefghij200".as_slice(), &[b' '; 5000]].concat();
        let compressed = deflate::deflate(&message).expect("shorter");
        let frame = [&[0xC2, u8::try_from(compressed.len()).expect("short")], &compressed[..]].concat();
        let expected = format!("{:?}", Received::Message(&message));
        assert_eq!(read(&frame, 5013, true).await, (vec![expected], "cut".into()));
        for limit in [5012, 20] {
            let expected = format!("{:?}", Received::TooLong(&message[..HEAD]));
            assert_eq!(read(&frame, limit, true).await, (vec![expected], "cut".into()), "{limit}");
        }
        assert_eq!(read(&frame, 5013, false).await.1, "1002", "not negotiated");
        assert_eq!(read(b"\xC2\x04\xff\xff\xff\xff", 5013, true).await.1, "1007");
    }

    #[tokio::test]
    async fn a_hundred_megabytes_take_no_memory() {
        const LENGTH: u64 = 100 << 20;
        let header = [&[0x82, 127][..], &LENGTH.to_be_bytes()].concat();
        let after = b"\x82\x02{}";
        let long = tokio::io::repeat(b'2').take(LENGTH);
        let bytes = AsyncReadExt::chain(AsyncReadExt::chain(header.as_slice(), long), &after[..]);
        let mut reader = Reader::new(bytes, 16 << 20, false);
        assert_eq!(reader.next().await.unwrap(), Received::TooLong(&[b'2'; HEAD]));
        assert!(reader.message.capacity() <= 2 * HEAD, "{}", reader.message.capacity());
        assert_eq!(reader.next().await.unwrap(), Received::Message(b"{}"));
    }

    #[tokio::test]
    async fn what_breaks_the_protocol_ends_the_connection() {
        let cases: [(&str, &[u8], &str); 11] = [
            ("masked", &[0x82, 0x81, 1, 2, 3, 4, 5], "1002"),
            ("reserved bit", b"\xA2\x00", "1002"),
            ("reserved opcode", b"\x83\x00", "1002"),
            ("stray continuation", b"\x80\x00", "1002"),
            ("interleaved", b"\x02\x01a\x82\x01b", "1002"),
            ("long ping", b"\x89\x7e\x00\x80", "1002"),
            ("ping in pieces", b"\x09\x00", "1002"),
            ("close of one byte", b"\x88\x01x", "1002"),
            ("beyond any limit", b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", "1009"),
            ("cut in the header", b"\x82", "cut"),
            ("cut in the payload", b"\x82\x05hell", "cut"),
        ];
        for (case, bytes, end) in cases {
            assert_eq!(read(bytes, 100, false).await, (vec![], end.into()), "{case}");
        }
    }
}
