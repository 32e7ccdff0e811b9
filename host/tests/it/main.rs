//! In-process tests: the server on a free port, no outside program.

mod app;
mod car;
mod cli;
#[path = "../../../core/examples/adapter.rs"]
#[allow(dead_code, reason = "a program, of which the tests run all but `main`")]
mod core_example;
#[path = "../../examples/custom_events.rs"]
#[allow(dead_code, reason = "a program, of which the tests run all but `main`")]
mod custom_events;
mod dashboard;
mod decode;
mod dfx;
mod dfx_bad_input;
mod dfx_cli;
mod dfx_client;
mod dfx_deflate;
mod dfx_first_clients;
mod dfx_hostile;
mod dfx_order;
mod dfx_rest;
mod dfx_silence;
mod dfx_state;
mod hub;
mod obd;
mod obd_cli;
mod obd_rate;
mod octane;
mod relay;
mod road;
mod signals;
mod simulator;
mod socketio;
mod socketio_client;
mod support;
mod tidy;
mod timeline_topic;
mod ws;
