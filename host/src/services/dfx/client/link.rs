//! The two halves of a connection: one reads, one writes. Nobody else touches the socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cloverleaf_core::dfx::{Action, Id, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::table::Table;
use crate::services::dfx::events::Encoding;
use crate::ws::client::{Halves, Place, ReadError, Reader, Received, Writer};

/// Longer messages are sent in pieces of this size, so that pings are answered in between.
const PIECE: usize = 256 << 10;

/// How long the server may take to close after we did, or to take our close.
const LINGER: Duration = Duration::from_secs(5);

/// How long the server may take to read one piece before the connection is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a silent server is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(20);

/// How often it may stay silent before the connection is given up.
const SILENCES: u32 = 3;

/// What is to be sent.
#[derive(Debug)]
pub(super) enum Outgoing {
    Frame { action: Action, id: Id, body: Vec<u8> },
    Close,
}

/// What the reading half wants said. Only the newest is: of several pings the last need be answered.
#[derive(Clone, Debug)]
enum Reflex {
    None,
    Pong(Bytes),
    Close(u16),
}

/// Runs both halves. They end, and the table with them, when the connection does; and the connection ends when no
/// client is left to send anything.
pub(super) fn spawn(
    (reader, writer): Halves,
    encoding: Encoding,
    table: Arc<Table>,
    frames: mpsc::Receiver<Outgoing>,
) {
    tokio::spawn(async move {
        let (reflex, reflexes) = watch::channel(Reflex::None);
        let keepalive = Keepalive { received: reader.received(), before: 0, silences: 0 };
        let reading = read(reader, &table, reflex);
        let writing = Sender { writer, encoding, frames, reflexes, keepalive };
        let writing = writing.run();
        tokio::pin!(reading, writing);
        let reason = tokio::select! {
            reason = &mut reading => {
                table.close(&reason);
                // Our close is on its way; if the server does not take it, so be it.
                let _ = timeout(LINGER, writing).await;
                return;
            }
            reason = &mut writing => reason,
        };
        // The close has been sent; what the server still has to say is read for a while.
        let reason = match timeout(LINGER, reading).await {
            Ok(theirs) => reason.unwrap_or(theirs),
            Err(_) => reason.unwrap_or_else(|| "the server did not close".into()),
        };
        table.close(&reason);
    });
}

/// Reads until the connection ends, and says why it did.
async fn read(
    mut reader: Reader<impl AsyncRead + Unpin>,
    table: &Table,
    reflex: watch::Sender<Reflex>,
) -> String {
    let (reason, code) = loop {
        match reader.next().await {
            Ok(Received::Message(bytes)) => table.receive(bytes),
            Ok(Received::TooLong(head)) => table.receive_head(head),
            Ok(Received::Ping(payload)) => drop(reflex.send_replace(Reflex::Pong(payload))),
            Ok(Received::Pong) => {}
            Ok(Received::Close(Some(code))) => break (format!("by the server with code {code}"), 1000),
            Ok(Received::Close(None)) => break ("by the server".into(), 1000),
            Err(error @ ReadError::Cut(_)) => break (error.to_string(), 1000),
            Err(ReadError::Violation(violation)) => break (violation.to_string(), violation.code()),
        }
    };
    reflex.send_replace(Reflex::Close(code));
    reason
}

/// Whether anything comes from the server, be it a part of a message or an answer to a ping.
struct Keepalive {
    received: Arc<AtomicU64>,
    before: u64,
    silences: u32,
}

struct Sender<W> {
    writer: Writer<W>,
    encoding: Encoding,
    frames: mpsc::Receiver<Outgoing>,
    reflexes: watch::Receiver<Reflex>,
    keepalive: Keepalive,
}

impl<W: AsyncWrite + Unpin> Sender<W> {
    /// Writes until there is nothing more to say, and says why; `None` when we closed.
    async fn run(mut self) -> Option<String> {
        let mut quiet = interval_at(Instant::now() + QUIET, QUIET);
        quiet.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let sent = tokio::select! {
                Ok(()) = self.reflexes.changed() => self.react().await,
                _ = quiet.tick() => self.keep_alive().await,
                frame = self.frames.recv() => match frame {
                    Some(Outgoing::Frame { action, id, body }) => self.send(action, id, body).await,
                    Some(Outgoing::Close) | None => Err(None),
                },
            };
            match sent {
                Ok(()) => {}
                Err(None) => {
                    // The only error is that the connection has gone already.
                    let _ = in_time(self.writer.close(1000)).await;
                    return None;
                }
                Err(reason) => return reason,
            }
        }
    }

    async fn send(&mut self, action: Action, id: Id, mut body: Vec<u8>) -> Result<(), Option<String>> {
        let header = Request { action, id, body: &[] }.header();
        // Protobuf bodies are the SDK's packed payloads and little else: they would not become shorter.
        if self.encoding == Encoding::Json
            && body.len() <= PIECE
            && in_time(self.writer.send_deflated(&header, &body)).await?
        {
            return self.settle().await;
        }
        let (mut rest, mut head, mut first) = (body.as_mut_slice(), header.as_slice(), true);
        loop {
            let (piece, tail) = rest.split_at_mut(PIECE.min(rest.len()));
            let last = tail.is_empty();
            in_time(self.writer.send(Place { first, last }, head, piece)).await?;
            if last {
                return self.settle().await;
            }
            (rest, head, first) = (tail, &[], false);
            if self.reflexes.has_changed().unwrap_or(false) {
                self.react().await?;
            }
        }
    }

    /// Small frames go out together with those that wait behind them.
    async fn settle(&mut self) -> Result<(), Option<String>> {
        if self.frames.is_empty() { in_time(self.writer.flush()).await } else { Ok(()) }
    }

    async fn keep_alive(&mut self) -> Result<(), Option<String>> {
        let received = self.keepalive.received.load(Ordering::Relaxed);
        self.keepalive.silences =
            if received == self.keepalive.before { self.keepalive.silences + 1 } else { 0 };
        self.keepalive.before = received;
        match self.keepalive.silences {
            0 => Ok(()),
            SILENCES => Err(Some(format!("the server has said nothing for {:?}", QUIET * SILENCES))),
            _ => in_time(self.writer.ping()).await,
        }
    }

    async fn react(&mut self) -> Result<(), Option<String>> {
        let reflex = self.reflexes.borrow_and_update().clone();
        match reflex {
            Reflex::None => Ok(()),
            Reflex::Pong(payload) => in_time(self.writer.pong(&payload)).await,
            Reflex::Close(code) => {
                in_time(self.writer.close(code)).await?;
                Err(Some("closed".into()))
            }
        }
    }
}

async fn in_time<T>(writing: impl Future<Output = std::io::Result<T>>) -> Result<T, Option<String>> {
    match timeout(WRITE_TIMEOUT, writing).await {
        Ok(written) => written.map_err(|error| Some(error.to_string())),
        Err(_) => Err(Some(format!("the server has read nothing for {WRITE_TIMEOUT:?}"))),
    }
}
