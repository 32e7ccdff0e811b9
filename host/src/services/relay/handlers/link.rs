//! The way to a client: its socket, or the queue of a monitor within this program, and what found it full.

use std::collections::VecDeque;
use std::sync::Weak;
use std::time::Duration;

use socketioxide::extract::SocketRef;
use socketioxide::{SendError, SocketError};
use tokio::sync::mpsc;

use super::super::events::Message;
use super::Switchboard;
use crate::socketio::Line;

/// Messages that wait for a client once its socket's own queue is full. One more, and the client is
/// disconnected: it has not read for thousands of messages.
const MAX_OVERFLOW: usize = 65_536;

/// How often a client with a full queue is tried again.
const RETRY: Duration = Duration::from_millis(2);

/// A client of the relay, by a number that is never used again: who leaves and comes back on the same connection is
/// another.
pub(super) type Peer = u64;

/// The way to a client.
#[derive(Debug)]
pub(super) struct Link {
    outlet: Outlet,
    /// What found the outlet full, oldest first; a task empties it while it is not empty.
    overflow: VecDeque<Parcel>,
}

/// What became of a parcel.
pub(super) enum Passed {
    /// It is on its way, or will never be read: a socket that is gone is reported closed.
    On,
    /// It waits, the first to do so: [`drain`] must run.
    Waits,
    /// The client does not read: there is no more room for it to wait.
    Full,
}

impl Link {
    pub(super) fn new(outlet: Outlet) -> Self {
        Self { outlet, overflow: VecDeque::new() }
    }

    /// The socket, unless it is a monitor within this program.
    pub(super) fn socket(&self) -> Option<&SocketRef> {
        match &self.outlet {
            Outlet::Socket(socket) => Some(socket),
            Outlet::Local(_) => None,
        }
    }

    pub(super) fn pass(&mut self, parcel: Parcel) -> Passed {
        let refusal =
            if self.overflow.is_empty() { self.outlet.send(&parcel).err() } else { Some(Refusal::Full) };
        match refusal {
            None | Some(Refusal::Gone) => Passed::On,
            Some(Refusal::Full)
                if self.overflow.len() >= MAX_OVERFLOW && !matches!(parcel, Parcel::Close) =>
            {
                Passed::Full
            }
            Some(Refusal::Full) => {
                self.overflow.push_back(parcel);
                if self.overflow.len() == 1 { Passed::Waits } else { Passed::On }
            }
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_clear(&self) -> bool {
        self.overflow.is_empty()
    }

    /// Sends what waits, as far as there is room. Whether the last of it was the end.
    fn drain(&mut self) -> bool {
        while let Some(parcel) = self.overflow.front() {
            match self.outlet.send(parcel) {
                Ok(()) => {
                    if let Some(Parcel::Close) = self.overflow.pop_front() {
                        return true;
                    }
                }
                Err(Refusal::Full) => break,
                Err(Refusal::Gone) => self.overflow.clear(),
            }
        }
        false
    }

    /// Closes it as soon as that can be said.
    pub(super) async fn close(self) {
        while let Err(Refusal::Full) = self.outlet.send(&Parcel::Close) {
            // Ends at the latest when the heartbeat, which needs the same queue, gives the client up.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Where it leads.
#[derive(Debug)]
pub(super) enum Outlet {
    Socket(SocketRef),
    Local(mpsc::Sender<Message>),
}

/// What is sent to a client.
#[derive(Debug)]
pub(super) enum Parcel {
    Message(Message),
    Close,
}

/// The outlet has no room now, or will never have any again.
enum Refusal {
    Full,
    Gone,
}

impl Outlet {
    fn send(&self, parcel: &Parcel) -> Result<(), Refusal> {
        match (self, parcel) {
            (Self::Socket(socket), Parcel::Message(message)) => {
                Line::charge(socket);
                socket.emit(message.event, &message.payload).map_err(|error| match error {
                    SendError::Socket(SocketError::InternalChannelFull) => Refusal::Full,
                    _ => Refusal::Gone,
                })
            }
            // Whoever has left may have come back on the same connection, which is not meant.
            (Self::Socket(socket), Parcel::Close) if !socket.connected() => Ok(()),
            (Self::Socket(socket), Parcel::Close) => {
                // Through the same queue as the messages before: they are flushed first.
                SocketRef::clone(socket).disconnect().map_err(|_| Refusal::Full)
            }
            (Self::Local(queue), Parcel::Message(message)) => {
                queue.try_send(message.clone()).map_err(|error| match error {
                    mpsc::error::TrySendError::Full(_) => Refusal::Full,
                    mpsc::error::TrySendError::Closed(_) => Refusal::Gone,
                })
            }
            // Its queue ends with the link.
            (Self::Local(_), Parcel::Close) => Ok(()),
        }
    }
}

/// Sends what waits for a client as it makes room, then ends.
pub(super) async fn drain(switchboard: Weak<Switchboard>, to: Peer) {
    loop {
        tokio::time::sleep(RETRY).await;
        let Some(switchboard) = switchboard.upgrade() else { return };
        let mut inner = switchboard.lock();
        let Some(link) = inner.links.get_mut(&to) else { return };
        if link.drain() {
            inner.links.remove(&to);
            return;
        }
        if link.is_clear() {
            return;
        }
    }
}
