#![doc = include_str!("../../docs/elm327.md")]

pub mod command;
pub mod poll;
pub mod session;
pub mod wire;
