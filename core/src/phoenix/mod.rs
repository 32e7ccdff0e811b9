#![doc = include_str!("../../docs/phoenix.md")]

pub mod presence;
pub mod session;
pub mod wire;
