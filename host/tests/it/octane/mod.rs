//! The road: what is decided (state, resources), what goes over the wire (wire), what it looks like (schema), and REST.

pub(crate) mod apidocs;
mod bench;
mod cli;
mod client;
mod clock;
mod heartbeat;
mod malformed;
pub(crate) mod player;
mod resources;
mod rest;
mod schema;
mod state;
mod wire;
