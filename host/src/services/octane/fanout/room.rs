//! How much room there is in a client's queue, found out without putting anything into it.
//!
//! socketioxide does not say. But it reserves a place in the queue before it makes a packet, so something that cannot
//! be made into one tells whether there was a place; and something that, while it is being made, asks for another
//! place, tells whether there were two. So many looks within one another need a stack of their own.

use serde::{Serialize, Serializer};
use socketioxide::extract::SocketRef;
use socketioxide::{SendError, SocketError};
use std::cell::Cell;

use crate::socketio::MAX_QUEUE;

/// How much of a stack is left, in bytes, when another is begun.
const RED_ZONE: usize = 64 * 1024;
/// How long the other is, in bytes.
const STACK: usize = 2 * 1024 * 1024;

/// Whether a queue has room for so many packets. That of a client that is gone has.
pub(super) fn has(socket: &SocketRef, places: usize) -> bool {
    Probe { socket, further: Cell::new(places.saturating_sub(1)), full: Cell::new(false) }.finds_room()
}

/// Whether no more than `few` packets wait in a queue.
pub(super) fn is_read(socket: &SocketRef, few: usize) -> bool {
    has(socket, MAX_QUEUE - few)
}

/// Cannot be serialised, and takes further places while it is tried.
struct Probe<'a> {
    socket: &'a SocketRef,
    /// How many; none once they have been looked for, as a serialiser may try more than once.
    further: Cell<usize>,
    full: Cell<bool>,
}

impl Probe<'_> {
    fn finds_room(&self) -> bool {
        let tried = self.socket.emit("", self);
        !self.full.get() && !matches!(tried, Err(SendError::Socket(SocketError::InternalChannelFull)))
    }
}

impl Serialize for Probe<'_> {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        if let Some(left) = self.further.take().checked_sub(1) {
            let next = Probe { socket: self.socket, further: Cell::new(left), full: Cell::new(false) };
            self.full.set(!stacker::maybe_grow(RED_ZONE, STACK, || next.finds_room()));
        }
        Err(serde::ser::Error::custom("a look at the queue"))
    }
}
