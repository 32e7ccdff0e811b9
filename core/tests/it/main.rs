//! Tests of the whole crate, one file per area.

mod bus;
mod dfx;
mod json;
mod obd2;
mod phoenix;
mod elm327;
mod laws;
mod tscbm;
