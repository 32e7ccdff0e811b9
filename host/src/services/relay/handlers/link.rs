//! The way to a client: its socket, or the queue of a monitor within this program.

use std::fmt;
use std::sync::Arc;

use socketioxide::extract::{AckSender, SocketRef};
use tokio::sync::mpsc;

use super::super::events::{Message, Text};
use crate::socketio::{self, Connection, Overflow, SendQueue};

/// A client of the relay, by a number that is never used again: who leaves and comes back on the same connection is
/// another.
pub(super) type Peer = u64;

/// The way to a client. What finds no room waits in the [`SendQueue`]; when more waits than may, the client is
/// disconnected.
pub(super) enum Link {
    Socket {
        queue: SendQueue,
        /// Receipts that go with what is said next. A command's end is said behind its receipt, so there are as many at
        /// most as a user may have unfinished commands.
        receipts: Vec<Message>,
    },
    /// There is room for the one command that the state gives such a monitor at a time.
    Local(mpsc::Sender<Text>),
}

impl Link {
    /// The way to a socket.
    pub(super) fn to(socket: &SocketRef) -> Self {
        Self::Socket { queue: SendQueue::new(socket), receipts: Vec::new() }
    }

    /// The socket, unless it is a monitor within this program.
    pub(super) fn socket(&self) -> Option<&SocketRef> {
        match self {
            Self::Socket { queue, .. } => Some(queue.socket()),
            Self::Local(_) => None,
        }
    }

    /// The connection on which something waits for room.
    pub(super) fn blocked(&self) -> Option<Arc<Connection>> {
        match self {
            Self::Socket { queue, .. } if queue.has_waiting() => queue.connection().cloned(),
            _ => None,
        }
    }

    pub(super) fn emit(&mut self, message: &Message) -> Result<(), Overflow> {
        self.send_receipts()?;
        match self {
            Self::Socket { queue, .. } => emit(queue, message),
            Self::Local(queue) => {
                if let Some(command) = &message.payload.command {
                    // Fails only when the monitor is about to leave.
                    let _ = queue.try_send(command.clone());
                }
                Ok(())
            }
        }
    }

    /// Keeps a receipt for what is said next, or for [`send_receipts`](Self::send_receipts).
    pub(super) fn keep(&mut self, receipt: Message) {
        // A monitor within this program sends no commands.
        if let Self::Socket { receipts, .. } = self {
            receipts.push(receipt);
        }
    }

    /// Sends the receipts that are kept.
    pub(super) fn send_receipts(&mut self) -> Result<(), Overflow> {
        match self {
            Self::Socket { queue, receipts } => {
                receipts.drain(..).try_for_each(|receipt| emit(queue, &receipt))
            }
            Self::Local(_) => Ok(()),
        }
    }

    /// Acknowledges an event, behind what was said before.
    pub(super) fn acknowledge(&mut self, ack: AckSender) -> Result<(), Overflow> {
        self.send(socketio::Message::Ack(ack))
    }

    /// Ends the connection, behind what was said before.
    pub(super) fn end(&mut self) -> Result<(), Overflow> {
        self.send(socketio::Message::End)
    }

    /// Sends of what waits as much as there is room for; answers whether that was all.
    pub(super) fn send_waiting(&mut self) -> bool {
        match self {
            Self::Socket { queue, .. } => queue.send_waiting(),
            Self::Local(_) => true,
        }
    }

    fn send(&mut self, message: socketio::Message) -> Result<(), Overflow> {
        self.send_receipts()?;
        match self {
            Self::Socket { queue, .. } => queue.send(message),
            // Its queue ends with the link.
            Self::Local(_) => Ok(()),
        }
    }
}

fn emit(queue: &mut SendQueue, message: &Message) -> Result<(), Overflow> {
    queue.emit(message.event, &message.payload, message.payload.bytes())
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("socket", &self.socket().map(|socket| socket.id)).finish_non_exhaustive()
    }
}
