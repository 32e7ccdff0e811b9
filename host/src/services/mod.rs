//! The five conversations. No service knows another; only [`app`](crate::app), [`config`](crate::config) and the
//! command line know them.
//!
//! Every folder has the same four files: `events` (the wire's shapes, serde only), `state` (pure:
//! `handle(Input)` gives outputs, time is an argument), `handlers` (carries the outputs out) and `mod` (prose,
//! options, wiring, and the table of differences from the original).

pub mod dfx;
pub mod hub;
pub mod obd;
pub mod octane;
pub mod relay;

use crate::auth::Exposure;
use crate::timeline::Bus;

/// What every service is given when the app is built.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where to publish what happens.
    pub timeline: Bus,
    /// Who can reach the server.
    pub exposure: Exposure,
}
