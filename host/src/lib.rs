//! Car, road, device, crew and driver of a connected-vehicle test bench, on one port.
//!
//! ```text
//!  cli                       one file a command
//!  app  config  dashboard    one router: Socket.IO, WebSocket, REST; only `app`, `config` and `cli` import services
//!  services/*                events (serde) · state (pure) · handlers (I/O) · mod (wiring, differences)
//!  car  road                 the link to the car; the simulated road
//!  socketio  ws  http_server what services are served over; socketio_client speaks to others
//!  openapi  json             how the services with REST describe it; JSON as others write it
//!  timeline                  the bounded bus on which everything that happens is published
//!  transport  clock  auth    what the services and the core's drivers stand on
//! ```
//!
//! The protocols themselves live in [`cloverleaf_core`]. To embed the server, build [`config::Options`] and hand
//! a listener to [`app::App::serve`], as `cloverleaf serve` does; to ask a car and nothing else, [`car::Car::connect`].
#![forbid(unsafe_code)]
#![warn(clippy::print_stdout)]

pub mod app;
pub mod auth;
pub mod car;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dashboard;
pub mod http_server;
mod json;
mod openapi;
pub mod origin;
pub mod road;
pub mod services;
pub mod socketio;
pub mod socketio_client;
pub mod static_files;
pub mod timeline;
pub mod transport;
pub mod ws;
