//! Unmodified clients and adapters of others against Cloverleaf, and Cloverleaf against them.
//!
//! `.ci/peers` installs them below `target/peers` from the lock files beside this one and runs this target. A
//! missing tool fails the test that needs it; nothing is skipped.

mod dashboard;
mod dfx;
mod firmware;
mod hub;
mod hub_postgres;
mod obd;
mod octane;
mod python_obd;
mod relay;
mod support;
