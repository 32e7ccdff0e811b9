//! Tests of the whole crate, one file per area.

mod bus;
mod dfx;
mod obd2;
mod tscbm;
