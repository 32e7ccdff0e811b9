//! The bodies of the fuzz targets: plain functions that panic when a property does not hold. `cargo fuzz run
//! NAME` searches, `cargo test -p cloverleaf-fuzz` replays `corpus/NAME/`.
//!
//! What parses bytes in host and does not need the rest of it is taken from its files: host itself would take minutes to
//! build for libFuzzer.

/// What the tests of core play machines with, too.
#[path = "../../core/tests/it/adapter.rs"]
mod adapter;
mod bus_reassembly;
mod dfx_body;
mod dfx_frame;
mod elm327_reply;
mod elm327_session;
mod json;
#[path = "../../core/tests/it/laws.rs"]
mod laws;
mod obd2_decode;
mod phoenix_client;
mod phoenix_frame;
mod socketio;
mod tscbm;
mod ws;

pub use bus_reassembly::bus_reassembly;
pub use dfx_body::dfx_body;
pub use dfx_frame::dfx_frame;
pub use elm327_reply::elm327_reply;
pub use elm327_session::elm327_session;
pub use json::json;
pub use obd2_decode::obd2_decode;
pub use phoenix_client::phoenix_client;
pub use phoenix_frame::phoenix_frame;
pub use socketio::connect_query;
pub use tscbm::tscbm;
pub use ws::ws_decoder;
