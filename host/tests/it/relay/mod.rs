//! The relay: its state alone, and the whole of it over real sockets.

mod clients;
mod commands;
mod connections;
mod crowd;
mod fixture;
mod limits;
mod script;
mod sockets;
mod takeover;
