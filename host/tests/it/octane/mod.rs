//! The road: what is decided (state), what goes over the wire (wire), and REST.

mod state;
mod wire;
