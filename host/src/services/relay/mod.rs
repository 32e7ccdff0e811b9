//! The relay.
pub mod events;
pub mod state;
