//! Tests of the whole crate, one file per area.

mod tscbm;
