//! The road: what is decided (state, resources), what goes over the wire (wire), what it looks like (schema), and REST.

mod cli;
mod client;
mod heartbeat;
mod malformed;
mod player;
mod resources;
pub(crate) mod rest;
mod schema;
mod state;
mod wire;
