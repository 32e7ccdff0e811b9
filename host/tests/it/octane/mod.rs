//! The road: what is decided (state), what goes over the wire (wire), and REST.

mod client;
mod rest;
mod state;
mod wire;
