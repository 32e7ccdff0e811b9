//! The protocols of a connected-vehicle test bench, without `std`, `alloc`, clocks, sockets or logging.
//!
//! ```text
//!  driver                            one async loop over embedded-io-async and a Clock
//!  {elm327,phoenix,dfx}::session     protocol state machines (trait Machine)
//!  {elm327,phoenix,dfx}::wire        bus::{can,legacy}   obd2      parse, emit, tables
//!  machine  time  json               vocabulary shared by all
//! ```
//!
//! Arrows point down only: `session` uses `wire`, never the other way round, and the three protocols never
//! import one another. [`obd2`] does not know that adapters exist and [`elm327`] does not know what a PID
//! means: both speak [`bus::Message`].
#![no_std]
#![forbid(unsafe_code)]

pub mod bus;
pub mod dfx;
pub mod driver;
pub mod elm327;
pub mod json;
pub mod machine;
pub mod obd2;
pub mod phoenix;
pub mod time;
pub mod tscbm;
