//! The bodies of the fuzz targets: plain functions that panic when a property does not hold. `cargo fuzz run
//! NAME` searches, `cargo test -p cloverleaf-fuzz` replays `corpus/NAME/`.

mod bus_reassembly;
mod dfx_body;
mod dfx_frame;
mod json;
mod obd2_decode;
mod phoenix_frame;

pub use bus_reassembly::bus_reassembly;
pub use dfx_body::dfx_body;
pub use dfx_frame::dfx_frame;
pub use json::json;
pub use obd2_decode::obd2_decode;
pub use phoenix_frame::phoenix_frame;
