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
//!
//! From what an adapter sent to a value, without a session:
//!
//! ```
//! use cloverleaf_core::bus::{Assembler, Format, Protocol};
//! use cloverleaf_core::elm327::wire::{self, Line};
//! use cloverleaf_core::obd2::{self, Command, Value};
//!
//! let rpm = Command::named("RPM").unwrap();
//! let mut assembler = Assembler::<4, 64>::new(Format::new(Some(Protocol::Can11Fast)));
//! for line in wire::lines(b"SEARCHING...\r7E8 04 41 0C 1A F8 \r\r>") {
//!     if let Line::Data { hex, fault: None } = line {
//!         assembler.push(hex).unwrap();
//!     }
//! }
//! let answer = obd2::answer(rpm, assembler.messages()).unwrap();
//! let Ok(Value::Quantity(speed)) = answer.value else { panic!("a number") };
//! assert_eq!((speed.to_f64(), speed.unit().symbol()), (1726.0, "rpm"));
//! ```
//!
//! With a link: a [`driver::Driver`] runs an [`elm327::session::Session`] over anything that is `BufRead` and `Write`.
#![no_std]
#![forbid(unsafe_code)]
// No reachable panic: what could is not written.
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

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
