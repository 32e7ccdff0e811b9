//! DFX
pub mod events;
pub mod state;
