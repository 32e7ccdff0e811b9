#![doc = include_str!("../../docs/dfx.md")]

pub mod action;
pub mod body;
pub mod ledger;
pub mod session;
pub mod wire;

pub use action::{Action, ROUTES, Route};
pub use ledger::{Full, Ledger, Received, Slot, Waiting};
pub use session::{Event, RequestError, Session};
pub use wire::{BufferTooSmall, Id, ParseError, Request, Response, Status};
