//! The relay: its state alone, and the whole of it over real sockets.

mod sockets;
mod state;
