//! WebSocket, the client's side: a [`Handshake`] gives a [`Reader`] and a [`Writer`], each for one task.
//!
//! The writer masks payloads where they lie and hands them to the socket: nothing is copied on the way out. A message
//! that is longer than the reader may hold is read past, and only its beginning is given ([`Received::TooLong`]): the
//! connection goes on.

mod handshake;
mod reader;
mod writer;

pub use handshake::{Halves, Handshake, HandshakeError};
pub use reader::{ReadError, Reader, Received};
pub use writer::{Place, Writer};
