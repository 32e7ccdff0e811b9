//! WebSocket, the client's side: a [`Reader`] and a [`Writer`], each for one task.
//!
//! The writer masks payloads where they lie and hands them to the socket: nothing is copied on the way out. A message
//! that is longer than the reader may hold is read past, and only its beginning is given ([`Received::TooLong`]): the
//! connection goes on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Upgraded, Url};
use rustls::ClientConfig;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf, ReadHalf, WriteHalf, copy_buf,
    sink, split,
};

use super::frame::{
    BINARY, CLOSE, COMPRESSED, CONTINUATION, FIN, MASKED, Opening, PING, PONG, Violation, close, put_length,
    unmask,
};
use super::{accept, deflate, tokens};

/// How much of a message that is too long is kept, to tell what it was.
const HEAD: usize = 1024;

/// How long a message may be to be read past; a longer one ends the connection.
const SKIPPED: u64 = 1 << 30;

/// A buffer that grew beyond this for one message is given back before the next.
const KEPT: usize = 64 << 10;

/// What to ask a server for.
#[derive(Debug)]
pub struct Handshake {
    /// `ws://`, `wss://`, `http://` or `https://`, host, port, path.
    pub url: String,
    /// What else to send.
    pub headers: HeaderMap,
    /// The subprotocol to offer.
    pub protocol: Option<&'static str>,
    /// Whether to offer `permessage-deflate`.
    pub deflate: bool,
    /// The longest message that is taken, in bytes.
    pub limit: usize,
    /// Whom `wss://` trusts.
    pub tls: ClientConfig,
}

/// Both halves of a connection.
pub type Halves = (Reader<ReadHalf<Upgraded>>, Writer<WriteHalf<Upgraded>>);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Not such a URL.
    #[error("{0}")]
    Url(String),
    /// The server answered, but not with a WebSocket.
    #[error("the server refused the WebSocket with status {0}")]
    Refused(StatusCode),
    /// The server's answer is not one to what it was asked.
    #[error("the server's handshake is wrong: {0}")]
    Wrong(&'static str),
    /// No server, no TLS, or no HTTP.
    #[error("cannot connect")]
    Transport(#[from] reqwest::Error),
}

impl Handshake {
    /// Connects.
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub async fn connect(self) -> Result<Halves, HandshakeError> {
        let mut url = Url::parse(&self.url).map_err(|e| HandshakeError::Url(e.to_string()))?;
        let scheme = match url.scheme() {
            "ws" | "http" => "http",
            "wss" | "https" => "https",
            _ => return Err(HandshakeError::Url("the scheme is not ws, wss, http or https".into())),
        };
        url.set_scheme(scheme).map_err(|()| HandshakeError::Url("the URL has no host".into()))?;
        let key = uuid::Uuid::new_v4().into_bytes();
        let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key);
        let client = reqwest::Client::builder()
            .http1_only()
            .redirect(Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .use_preconfigured_tls(self.tls)
            .build()?;
        let mut request = client
            .get(url)
            .headers(self.headers)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key);
        if let Some(protocol) = self.protocol {
            request = request.header(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        if self.deflate {
            request = request.header(SEC_WEBSOCKET_EXTENSIONS, deflate::OFFER);
        }
        let response = request.send().await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(HandshakeError::Refused(response.status()));
        }
        let deflates =
            check(response.headers(), &key, self.protocol, self.deflate).map_err(HandshakeError::Wrong)?;
        let (read, write) = split(response.upgrade().await?);
        Ok((Reader::new(read, self.limit, deflates), Writer { io: write, deflates }))
    }
}

/// Whether the server's answer is one to what it was asked; gives whether messages may be compressed.
fn check(
    headers: &HeaderMap,
    key: &str,
    protocol: Option<&str>,
    deflate: bool,
) -> Result<bool, &'static str> {
    if headers.get(SEC_WEBSOCKET_ACCEPT).is_none_or(|found| *found != *accept(key.as_bytes())) {
        return Err("it does not answer the key");
    }
    if headers.get(SEC_WEBSOCKET_PROTOCOL).map(|found| found.as_bytes()) != protocol.map(str::as_bytes) {
        return Err("it does not name the subprotocol that was offered");
    }
    match deflate::agreed(tokens(headers, SEC_WEBSOCKET_EXTENSIONS))? {
        true if !deflate => Err("an extension that was not offered"),
        deflates => Ok(deflates),
    }
}

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
    fn new(io: R, limit: usize, deflates: bool) -> Self {
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

/// The sending half of a connection.
#[derive(Debug)]
pub struct Writer<W> {
    io: W,
    deflates: bool,
}

/// Where a frame stands in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The message begins with it.
    pub first: bool,
    /// The message ends with it.
    pub last: bool,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Sends one frame of a binary message: `head` and then `body`, which is left masked. Once it has begun it must not
    /// be dropped while it waits, or the connection is of no more use.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, place: Place, head: &[u8], body: &mut [u8]) -> io::Result<()> {
        let opcode = if place.first { BINARY } else { CONTINUATION };
        self.frame(if place.last { FIN | opcode } else { opcode }, head, body).await
    }

    /// A whole message compressed, if the server takes that and it makes the message shorter; else nothing is sent.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_deflated(&mut self, head: &[u8], body: &[u8]) -> io::Result<bool> {
        if !self.deflates {
            return Ok(false);
        }
        let Some(mut compressed) = deflate::deflate(&[head, body].concat()) else { return Ok(false) };
        self.frame(FIN | COMPRESSED | BINARY, &[], &mut compressed).await.map(|()| true)
    }

    /// Asks whether the server is still there.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn ping(&mut self) -> io::Result<()> {
        self.frame(FIN | PING, &[], &mut []).await
    }

    /// Answers a ping.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn pong(&mut self, payload: &[u8]) -> io::Result<()> {
        self.frame(FIN | PONG, payload, &mut []).await
    }

    /// Says goodbye, or answers that; nothing may be sent after it.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn close(&mut self, code: u16) -> io::Result<()> {
        self.frame(FIN | CLOSE, &code.to_be_bytes(), &mut []).await
    }

    async fn frame(&mut self, first: u8, head: &[u8], body: &mut [u8]) -> io::Result<()> {
        // A mask must not be guessed by what runs in a browser (RFC 6455, 5.3).
        let mut mask = getrandom::u32().map_err(io::Error::other)?.to_be_bytes();
        let mut start = Vec::with_capacity(14 + head.len());
        start.push(first);
        put_length(&mut start, MASKED, head.len() + body.len());
        start.extend(mask);
        let masked = start.len();
        start.extend(head);
        unmask(start.get_mut(masked..).unwrap_or_default(), mask);
        mask.rotate_left(head.len() % 4);
        unmask(body, mask);
        self.io.write_all_buf(&mut Buf::chain(start.as_slice(), &*body)).await?;
        self.io.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Decoder, Incoming, Limits};
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

    #[tokio::test]
    async fn a_server_reads_what_the_writer_sends() {
        for length in [0, 1, 111, 112, 65_521, 65_522, 300_000] {
            let body: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut writer = Writer { io: Vec::new(), deflates: true };
            writer
                .send(Place { first: true, last: true }, b"0506abcdefghij", &mut body.clone())
                .await
                .unwrap();
            writer.send(Place { first: true, last: false }, b"head", &mut body.clone()).await.unwrap();
            writer.pong(b"p").await.unwrap();
            writer.send(Place { first: false, last: true }, b"", &mut body.clone()).await.unwrap();
            writer.close(1000).await.unwrap();
            let mut decoder = Decoder::new(Limits { frame: 400_000, message: 700_000 });
            decoder.feed(&writer.io);
            let whole = [b"0506abcdefghij", &body[..]].concat();
            let twice = [b"head", &body[..], &body[..]].concat();
            assert_eq!(decoder.decode(), Ok(Some(Incoming::Binary(&whole))), "{length}");
            assert_eq!(decoder.decode(), Ok(Some(Incoming::Pong)), "{length}");
            assert_eq!(decoder.decode(), Ok(Some(Incoming::Binary(&twice))), "{length}");
            assert_eq!(decoder.decode(), Ok(Some(Incoming::Close(Some(1000)))), "{length}");
        }
        let mut writer = Writer { io: Vec::new(), deflates: true };
        assert!(writer.send_deflated(b"0506abcdefghij", &[b' '; 1000]).await.unwrap());
        assert!(!writer.send_deflated(b"0506abcdefghij", b"short").await.unwrap());
        assert!(writer.io.len() < 100);
        let mut decoder = Decoder::new(Limits::default()).deflating(true);
        decoder.feed(&writer.io);
        let whole = [&b"0506abcdefghij"[..], &[b' '; 1000]].concat();
        assert_eq!(decoder.decode(), Ok(Some(Incoming::Binary(&whole))));
    }
}
