//! Tests of the whole crate, one file per area.

mod dfx;
mod tscbm;
