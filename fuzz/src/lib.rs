//! The bodies of the fuzz targets: plain functions that panic when a property does not hold. `cargo fuzz run
//! NAME` searches, `cargo test -p cloverleaf-fuzz` replays `corpus/NAME/`.

mod dfx_body;
mod dfx_frame;

pub use dfx_body::dfx_body;
pub use dfx_frame::dfx_frame;
