//! Tests of the whole crate, one file per area.

mod adapter;
mod bus;
mod dfx;
mod driver;
mod elm327;
mod json;
mod laws;
mod layout;
mod obd2;
mod obd2_tables;
mod phoenix;
mod phoenix_client;
mod poll;
mod tscbm;
