//! The way to a client: its socket, or the queue of a monitor within this program.

use std::fmt;
use std::sync::Arc;

use socketioxide::extract::{AckSender, SocketRef};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::super::events::Message;
use crate::socketio::{self, Line, Outlet, Overflow};

/// A client of the relay, by a number that is never used again: who leaves and comes back on the same connection is
/// another.
pub(super) type Peer = u64;

/// How many commands may wait for a monitor within this program. It has more than the state lets be unfinished only if
/// commands that timed out still wait there; then it is given up, as a client that does not read.
pub(super) const MAX_LOCAL: usize = 65_536;

/// The way to a client. What finds no room waits in the [`Outlet`]; when more waits than may, the client is
/// disconnected.
pub(super) enum Link {
    Socket(Outlet),
    /// At most [`MAX_LOCAL`] commands wait there.
    Local(mpsc::Sender<Message>),
}

impl Link {
    /// The socket, unless it is a monitor within this program.
    pub(super) fn socket(&self) -> Option<&SocketRef> {
        match self {
            Self::Socket(outlet) => Some(outlet.socket()),
            Self::Local(_) => None,
        }
    }

    /// The line on which something waits for room.
    pub(super) fn blocked(&self) -> Option<Arc<Line>> {
        match self {
            Self::Socket(outlet) if outlet.is_behind() => outlet.line().cloned(),
            _ => None,
        }
    }

    pub(super) fn emit(&mut self, message: Message) -> Result<(), Overflow> {
        match self {
            Self::Socket(outlet) => outlet.emit(message.event, &message.payload, message.payload.bytes()),
            Self::Local(queue) => match queue.try_send(message) {
                Err(TrySendError::Full(_)) => Err(Overflow),
                // Whoever had the other end is about to leave.
                _ => Ok(()),
            },
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
    pub(super) fn work_off(&mut self) -> bool {
        match self {
            Self::Socket(outlet) => outlet.work_off(),
            Self::Local(_) => true,
        }
    }

    fn send(&mut self, message: socketio::Message) -> Result<(), Overflow> {
        match self {
            Self::Socket(outlet) => outlet.send(message),
            // Its queue ends with the link.
            Self::Local(_) => Ok(()),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("socket", &self.socket().map(|socket| socket.id)).finish_non_exhaustive()
    }
}
