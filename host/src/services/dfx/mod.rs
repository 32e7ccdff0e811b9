//! DFX
pub mod events;
