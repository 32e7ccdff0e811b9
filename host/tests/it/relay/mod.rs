//! The relay: its state alone, and the whole of it over real sockets.

mod clients;
mod sockets;
mod state;
