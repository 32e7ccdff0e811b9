//! The way to a client, on which nothing is lost or overtaken.
//!
//! What finds no room in the client's [window](super::SendWindow) waits here, in order: messages, acknowledgements, the
//! end. [`MAX_WAITING`] bytes may wait; what comes then is refused with [`Overflow`], and the service ends the connection,
//! because losing something silently would be worse. Nobody blocks: [`send_when_drained`] goes on once there is room.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use socketioxide::ack::AckStream;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::{SendError, SocketError};
use tokio::sync::oneshot;

use super::send_window::PACKET;
use super::{Connection, NOTHING};

/// How many bytes may wait, each message with what it counts beyond its data. One message alone is never too long.
pub const MAX_WAITING: usize = 4_194_304;

/// Something that must not be lost.
pub enum Message {
    /// An event with its argument.
    Event(&'static str, Arc<RawValue>),
    /// An event that the client is to answer, and where the answer is awaited once it has been asked.
    EventWithAck(&'static str, Arc<RawValue>, Duration, oneshot::Sender<AckStream<serde_json::Value>>),
    /// The empty acknowledgement of what the client said.
    Ack(AckSender),
    /// The end of the connection; what is sent after it is dropped.
    End,
}

/// More waits for a client than may: it does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client that reads too slowly: more than {MAX_WAITING} bytes wait for it")]
pub struct Overflow;

impl Message {
    fn bytes(&self) -> usize {
        match self {
            Self::Event(_, data) | Self::EventWithAck(_, data, ..) => data.get().len(),
            Self::Ack(_) | Self::End => 0,
        }
    }
}

/// The way to one client.
pub struct SendQueue {
    socket: SocketRef,
    /// None of a socket that did not come through [`attach`](super::attach()): its queue is all the room there is.
    connection: Option<Arc<Connection>>,
    waiting: VecDeque<Message>,
    bytes: usize,
}

impl SendQueue {
    /// The way to a socket.
    pub fn new(socket: &SocketRef) -> Self {
        Self {
            socket: socket.clone(),
            connection: Connection::of(socket),
            waiting: VecDeque::new(),
            bytes: 0,
        }
    }

    /// The socket.
    pub fn socket(&self) -> &SocketRef {
        &self.socket
    }

    /// The connection it goes over.
    pub fn connection(&self) -> Option<&Arc<Connection>> {
        self.connection.as_ref()
    }

    /// Whether something waits.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Sends a message, behind those that wait.
    ///
    /// # Errors
    /// When there is no room for it to wait.
    pub fn send(&mut self, message: Message) -> Result<(), Overflow> {
        let refused = if self.has_waiting() { Some(message) } else { self.attempt(message) };
        let Some(message) = refused else { return Ok(()) };
        if matches!(self.waiting.back(), Some(Message::End)) {
            return Ok(());
        }
        let bytes = self.bytes + message.bytes() + PACKET;
        if bytes > MAX_WAITING && self.has_waiting() && !matches!(message, Message::End) {
            return Err(Overflow);
        }
        self.bytes = bytes;
        self.waiting.push_back(message);
        Ok(())
    }

    /// Sends an event with an argument of about so many bytes, which is written by itself only if it has to wait.
    ///
    /// # Errors
    /// When there is no room for it to wait.
    pub fn emit(&mut self, event: &'static str, data: &impl Serialize, bytes: usize) -> Result<(), Overflow> {
        if !self.has_waiting()
            && self.connection.as_ref().is_none_or(|connection| connection.window.take(bytes))
        {
            self.note(self.socket.emit(event, data));
            return Ok(());
        }
        // What is sent here can be written: it has no keys but texts.
        let Ok(data) = serde_json::value::to_raw_value(data) else { return Ok(()) };
        self.send(Message::Event(event, data.into()))
    }

    /// Sends an event that need not wait, if nothing does and there is room.
    pub fn try_send(&mut self, event: &'static str, data: &Arc<RawValue>) -> bool {
        !self.has_waiting() && self.attempt(Message::Event(event, Arc::clone(data))).is_none()
    }

    /// Sends of what waits as much as there is room for; answers whether that was all.
    pub fn send_waiting(&mut self) -> bool {
        while let Some(message) = self.waiting.pop_front() {
            let bytes = message.bytes() + PACKET;
            if let Some(message) = self.attempt(message) {
                self.waiting.push_front(message);
                return false;
            }
            self.bytes -= bytes;
        }
        true
    }

    /// Sends, or gives back what there is no room for. What cannot be sent to anybody any more counts as sent.
    fn attempt(&self, message: Message) -> Option<Message> {
        if self.connection.as_ref().is_some_and(|connection| !connection.window.take(message.bytes())) {
            return Some(message);
        }
        let sent = match message {
            Message::Event(event, data) => self.socket.emit(event, &*data),
            Message::EventWithAck(event, data, timeout, asked) => {
                self.socket.timeout(timeout).emit_with_ack(event, &*data).map(|answer| {
                    // Whoever asked may have gone.
                    let _ = asked.send(answer);
                })
            }
            Message::Ack(ack) => ack.send(&NOTHING),
            // Whoever has left may have come back on the same connection, which is not meant.
            Message::End if !self.socket.connected() => Ok(()),
            Message::End => self.socket.clone().disconnect().map_err(SendError::Socket),
        };
        self.note(sent);
        None
    }

    fn note(&self, sent: Result<(), SendError>) {
        if let Err(SendError::Socket(SocketError::InternalChannelFull)) = sent {
            tracing::error!(id = %self.socket.id, "a packet was lost: the queue is full beyond its window");
        }
    }
}

impl Drop for SendQueue {
    /// Whoever [waits for a drain](send_when_drained) need not wait for somebody who is gone.
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.window.wake();
        }
    }
}

/// Has what waits for a client sent whenever its connection drains, until `send_waiting` answers that this was all, or
/// that there is nobody to send it to.
pub async fn send_when_drained(connection: Arc<Connection>, mut send_waiting: impl FnMut() -> bool) {
    loop {
        let drained = connection.window.drained();
        if send_waiting() {
            return;
        }
        drained.await;
    }
}
