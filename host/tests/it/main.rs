//! In-process tests: the server on a free port, no outside program.

mod app;
mod car;
mod dashboard;
mod decode;
mod dfx;
mod dfx_cli;
mod dfx_client;
mod dfx_deflate;
mod dfx_hostile;
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
