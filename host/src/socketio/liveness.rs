//! Whether a client's connection still leads to somebody, and the stream in which that shows.
//!
//! A client that loses its power or its network says nothing, and its connection stands until the heartbeat misses it.
//! Who must know earlier asks: a WebSocket is sent a ping, which every implementation answers by itself; a client that
//! polls answers whatever it is sent by coming back. Everything that comes from the client counts.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, oneshot};

use super::Connection;
use crate::ws::frame::Header;

/// The signs of life of one client.
#[derive(Debug, Default)]
pub struct Liveness {
    heard: Arc<Notify>,
    /// Somebody has asked, now or before: most clients never have anybody listen.
    listening: AtomicBool,
    /// A ping is to be sent with the next packet.
    asked: AtomicBool,
}

impl Liveness {
    /// Waits for the next sign of life from now on. A packet must be sent to the client next: it takes the question
    /// along.
    pub fn ask(&self) -> impl Future<Output = ()> + Send + use<> {
        // Listens from now on, not from the first poll on.
        let heard = Arc::clone(&self.heard).notified_owned();
        self.listening.store(true, Ordering::Release);
        self.asked.store(true, Ordering::Release);
        heard
    }

    /// Whether a ping is wanted. It is not asked twice.
    fn is_asked(&self) -> bool {
        // Read first: this is looked at with every write, and nearly never so.
        self.asked.load(Ordering::Acquire) && self.asked.swap(false, Ordering::AcqRel)
    }

    /// Something came from the client.
    pub(super) fn heard(&self) {
        if self.listening.load(Ordering::Acquire) {
            self.heard.notify_waiters();
        }
    }
}

/// A ping without payload, as a server sends it.
const PING: &[u8] = &[0x89, 0x00];

/// The stream of a client's WebSocket, which reports what comes and what has been written, and sends pings between
/// frames.
pub(super) struct MonitoredStream<S> {
    stream: S,
    /// What was read with the handshake.
    early: Bytes,
    connection: Arc<Connection>,
    written: Frames,
    /// Bytes of a ping that are still to be sent.
    owed: &'static [u8],
    _until_dropped: oneshot::Sender<Infallible>,
}

impl<S> MonitoredStream<S> {
    pub(super) fn new(
        stream: S,
        early: Bytes,
        connection: Arc<Connection>,
        until_dropped: oneshot::Sender<Infallible>,
    ) -> Self {
        Self {
            stream,
            early,
            connection,
            written: Frames::default(),
            owed: &[],
            _until_dropped: until_dropped,
        }
    }
}

impl<S: AsyncWrite + Unpin> MonitoredStream<S> {
    /// Sends the ping that is wanted, if a frame has just ended.
    fn poll_ping(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.owed.is_empty() && self.written.is_between() && self.connection.liveness.is_asked() {
            self.owed = PING;
        }
        while !self.owed.is_empty() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, self.owed))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.owed = self.owed.get(count..).unwrap_or_default();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MonitoredStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let count = self.early.len().min(buf.remaining());
            buf.put_slice(&self.early.split_to(count));
            self.connection.liveness.heard();
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.connection.liveness.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MonitoredStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_ping(cx))?;
        let count = ready!(Pin::new(&mut this.stream).poll_write(cx, buf))?;
        this.written.pass(buf.get(..count).unwrap_or_default());
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_ping(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.connection.window.drain();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Where in a server's stream of frames one is: nothing of it is masked.
#[derive(Debug, Default)]
struct Frames {
    /// The beginning of a frame, as far as its length is not known.
    head: [u8; 10],
    length: usize,
    /// Bytes of the payload that are still to come.
    payload: u64,
}

impl Frames {
    /// Whether a frame has just ended.
    fn is_between(&self) -> bool {
        self.length == 0 && self.payload == 0
    }

    fn pass(&mut self, mut bytes: &[u8]) {
        loop {
            let count = bytes.len().min(usize::try_from(self.payload).unwrap_or(usize::MAX));
            self.payload -= count as u64;
            bytes = bytes.get(count..).unwrap_or_default();
            let Some(first) = bytes.first() else { return };
            let (header, taken) = match Header::parse(bytes) {
                Some(header) if self.length == 0 => (Some(header), header.length),
                _ => (self.begin(*first), 1),
            };
            bytes = bytes.get(taken..).unwrap_or_default();
            if let Some(header) = header {
                (self.payload, self.length) = (header.payload, 0);
            }
        }
    }

    /// Takes the next byte of a header that comes in pieces; gives the header when that was the last.
    fn begin(&mut self, byte: u8) -> Option<Header> {
        *self.head.get_mut(self.length)? = byte;
        self.length += 1;
        Header::parse(self.head.get(..self.length)?)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn frame(length: usize) -> Vec<u8> {
        let mut frame = vec![0x81];
        match length {
            0..126 => frame.push(length as u8),
            126..=0xFFFF => {
                frame.push(126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.resize(frame.len() + length, b'x');
        frame
    }

    #[tokio::test]
    async fn a_ping_is_sent_only_between_frames() {
        for length in [0, 1, 125, 126, 300, 70_000] {
            let frame = frame(length);
            let moments = [0, 1, 2, 3, frame.len() / 2, frame.len() - 1, frame.len()];
            for asked_at in moments.into_iter().filter(|moment| *moment <= frame.len()) {
                let connection = Arc::<Connection>::default();
                let (server, mut client) = duplex(200_000);
                let mut stream =
                    MonitoredStream::new(server, Bytes::new(), Arc::clone(&connection), oneshot::channel().0);
                let (first, rest) = frame.split_at(asked_at);
                stream.write_all(first).await.unwrap();
                drop(connection.liveness.ask());
                stream.write_all(rest).await.unwrap();
                stream.flush().await.unwrap();
                drop(stream);
                let mut received = Vec::new();
                client.read_to_end(&mut received).await.unwrap();
                let before = [PING, &frame].concat();
                let behind = [&frame, PING].concat();
                let expected = if asked_at == 0 { before } else { behind };
                assert!(received == expected, "{length} bytes, asked after {asked_at}");
            }
        }
    }

    #[tokio::test]
    async fn whatever_comes_is_a_sign_of_life() {
        let connection = Arc::<Connection>::default();
        let (server, mut client) = duplex(64);
        let mut stream =
            MonitoredStream::new(server, Bytes::new(), Arc::clone(&connection), oneshot::channel().0);
        let heard = connection.liveness.ask();
        client.write_all(&[0x8A, 0x80, 1, 2, 3, 4]).await.unwrap();
        stream.read_u8().await.unwrap();
        heard.await;
    }

    #[tokio::test]
    async fn what_came_with_the_handshake_is_read_first() {
        let (server, mut client) = duplex(64);
        client.write_all(b"later").await.unwrap();
        drop(client);
        let early = Bytes::from_static(b"early, ");
        let mut stream = MonitoredStream::new(server, early, Arc::default(), oneshot::channel().0);
        let (mut first, mut rest) = ([0; 3], Vec::new());
        stream.read_exact(&mut first).await.unwrap();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!([&first, &rest[..]].concat(), b"early, later");
    }

    #[tokio::test]
    async fn a_flush_that_has_got_everything_out_drains_the_window() {
        let connection = Arc::<Connection>::default();
        let (server, mut client) = duplex(64);
        let mut stream =
            MonitoredStream::new(server, Bytes::new(), Arc::clone(&connection), oneshot::channel().0);
        connection.window.charge(super::super::send_window::WINDOW);
        stream.write_all(&frame(10)).await.unwrap();
        assert!(!connection.window.take(0), "written, and perhaps only in part");
        stream.flush().await.unwrap();
        assert!(connection.window.take(0));
        client.read_exact(&mut [0; 12]).await.unwrap();
    }
}
