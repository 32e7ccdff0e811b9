//! One connection: reads, answers pings and closes, writes on when the client reads again.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::decoder::{Decoder, Incoming, Limits};
use super::frame::{Frame, Violation};
use super::outbox::{Flush, Outbox, Progress, Stream};

/// The reading buffer that all connections on one thread share: an idle connection has none of its own.
/// One such is also what a connection may read before others get their turn.
const SCRATCH: usize = 64 << 10;

/// How long a closed connection is still read, so that the client gets the close frame and not a reset.
const LINGER: Duration = Duration::from_secs(2);

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// A message of a client, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The client closed it, with this code.
    #[error("the client closed the connection with code {0:?}")]
    ByClient(Option<u16>),
    /// The client broke the protocol; it has been told so.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The client said nothing for too long.
    #[error("the client said nothing for too long")]
    Idle,
    /// The server closed it ([`Outbox::close`], or the client was too slow).
    #[error("the server closed the connection")]
    ByServer,
    /// The transport ended without a close frame.
    #[error("the connection was cut")]
    Cut,
}

/// One accepted WebSocket connection.
#[derive(Debug)]
pub struct Socket {
    outbox: Arc<Outbox>,
    decoder: Decoder,
    idle: Option<Duration>,
    ping: Option<Duration>,
    heard: Instant,
    /// Bytes that came with the handshake, or were read and not decoded yet.
    pending: bool,
    eof: bool,
    deflates: bool,
}

impl Socket {
    pub(super) fn new(stream: Stream, early: &[u8], limits: Limits, queue: usize, deflates: bool) -> Self {
        let mut decoder = Decoder::new(limits).deflating(deflates);
        decoder.feed(early);
        Self {
            outbox: Outbox::new(stream, queue),
            decoder,
            idle: None,
            ping: None,
            heard: Instant::now(),
            pending: !early.is_empty(),
            eof: false,
            deflates,
        }
    }

    /// Whether the client takes compressed messages ([`Frame::deflated`]).
    pub fn deflates(&self) -> bool {
        self.deflates
    }

    /// Ends the connection with code 1002 when the client sends nothing, not even a ping, for this long.
    pub fn set_idle_timeout(&mut self, idle: Option<Duration>) {
        self.idle = idle;
    }

    /// Pings the client whenever it sends nothing for this long, so that one that is there is heard.
    pub fn set_ping_interval(&mut self, interval: Option<Duration>) {
        self.ping = interval;
    }

    /// The queue of what is sent to this client; share it with whoever has something to say.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Sends one message.
    pub fn send(&self, message: &Message) {
        let frame = match message {
            Message::Text(text) => Frame::text(text.as_bytes()),
            Message::Binary(bytes) => Frame::binary(bytes),
        };
        self.outbox.push(frame, &mut Flush::new());
    }

    /// The next message. Pings are answered meanwhile. Safe to drop while waiting.
    ///
    /// # Errors
    /// Once the connection has ended; the close handshake is done by [`finish`](Self::finish).
    pub async fn recv(&mut self) -> Result<Message, Closed> {
        let mut received = None;
        loop {
            let more = self.decode_one(&mut |message| {
                received = Some(match message {
                    Incoming::Text(text) => Message::Text(text.into_owned()),
                    Incoming::Binary(bytes) => Message::Binary(bytes.into_owned()),
                    Incoming::Ping(_) | Incoming::Pong | Incoming::Close(_) => return,
                });
            })?;
            if let Some(message) = received.take() {
                return Ok(message);
            }
            if !more {
                self.ready().await?;
            }
        }
    }

    /// Waits until there is something to decode.
    ///
    /// # Errors
    /// Once the connection has ended.
    pub async fn ready(&mut self) -> Result<(), Closed> {
        if self.pending {
            return Ok(());
        }
        let dead = self.idle.map(|idle| self.heard + idle);
        let mut ping = self.ping.map(|interval| self.heard + interval);
        loop {
            let Some(deadline) = dead.into_iter().chain(ping).min() else {
                return poll_fn(|cx| self.poll_ready(cx)).await;
            };
            match tokio::time::timeout_at(deadline, poll_fn(|cx| self.poll_ready(cx))).await {
                Ok(ready) => return ready,
                Err(_) if dead == Some(deadline) => {
                    self.outbox.close(1002);
                    return Err(Closed::Idle);
                }
                Err(_) => {
                    self.outbox.push(Frame::ping(), &mut Flush::new());
                    ping = self.ping.map(|interval| deadline + interval);
                }
            }
        }
    }

    /// Reads nothing for this long: what the client sends piles up at its side. Output goes on.
    ///
    /// # Errors
    /// Once the connection has ended.
    pub async fn pause(&mut self, span: Duration) -> Result<(), Closed> {
        let ended = poll_fn(|cx| match self.outbox.poll(cx) {
            Progress::Open => Poll::Pending,
            Progress::Closing | Progress::Closed => Poll::Ready(Closed::ByServer),
            Progress::Gone => Poll::Ready(Closed::Cut),
        });
        tokio::time::timeout(span, ended).await.map_or(Ok(()), Err)
    }

    /// Waits for `work` and reads nothing meanwhile; output goes on, and the client is not blamed for its silence.
    pub async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let output = poll_fn(|cx| {
            self.outbox.poll(cx);
            Poll::<Infallible>::Pending
        });
        let done = tokio::select! {
            biased;
            done = work => done,
            never = output => match never {},
        };
        self.heard = Instant::now();
        done
    }

    /// Decodes one message and gives it to `take`; pings are answered and closes echoed besides.
    /// Answers whether there may be more.
    ///
    /// # Errors
    /// When the client closed the connection or broke the protocol.
    pub fn decode_one(&mut self, take: &mut dyn FnMut(Incoming<'_>)) -> Result<bool, Closed> {
        match self.decoder.decode() {
            Ok(None) => {
                self.pending = false;
                if self.eof { Err(Closed::Cut) } else { Ok(false) }
            }
            Ok(Some(Incoming::Ping(payload))) => {
                let pong = Frame::pong(payload);
                self.outbox.push(pong, &mut Flush::new());
                Ok(true)
            }
            Ok(Some(Incoming::Close(code))) => {
                // As Phoenix's server, Bandit, does.
                self.outbox.close(match code {
                    None | Some(1000..=1003 | 1007..=1011 | 3000..) => 1000,
                    Some(_) => 1002,
                });
                Err(Closed::ByClient(code))
            }
            Ok(Some(message)) => {
                take(message);
                Ok(true)
            }
            Err(violation) => {
                self.outbox.close(violation.code());
                Err(violation.into())
            }
        }
    }

    /// Sees the close frame out: waits until it is written, then until the client closes, both for 2 s at most.
    pub async fn finish(mut self) {
        // Nothing may follow a close frame; without one this is a cut.
        let outbox = Arc::clone(&self.outbox);
        let _ = tokio::time::timeout(LINGER, poll_fn(|cx| self.poll_finish(cx))).await;
        outbox.abandon();
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        match self.outbox.poll(cx) {
            Progress::Open => {}
            Progress::Closing | Progress::Closed => return Poll::Ready(Err(Closed::ByServer)),
            Progress::Gone => return Poll::Ready(Err(Closed::Cut)),
        }
        self.poll_read(cx).map(|read| match read {
            Ok(()) => {
                self.heard = Instant::now();
                self.pending = true;
                Ok(())
            }
            Err(_) => Err(Closed::Cut),
        })
    }

    /// Reads what is there, at least a byte and at most a turn's worth. The end of the stream counts as readable.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = self.outbox.stream() else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        BUFFER.with_borrow_mut(|buffer| {
            loop {
                match stream.try_read(buffer) {
                    Ok(count) => {
                        self.eof |= count == 0;
                        self.decoder.feed(buffer.get(..count).unwrap_or_default());
                        return Poll::Ready(Ok(()));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        // Registers the waker; ready here means that more came since the attempt.
                        match stream.poll_read_ready(cx) {
                            Poll::Pending => return Poll::Pending,
                            Poll::Ready(ready) => ready?,
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        })
    }

    /// Writes the close frame, then reads and drops what still comes until the client has closed too.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.outbox.poll(cx) {
            Progress::Gone | Progress::Open => return Poll::Ready(()),
            Progress::Closing | Progress::Closed => {}
        }
        match self.poll_read(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) if !self.eof => {
                self.decoder = Decoder::new(Limits::default());
                // A flood must not keep the time-out from being looked at.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(_) => Poll::Ready(()),
        }
    }
}
