//! Car, road, device, crew and driver of a connected-vehicle test bench, on one port.
//!
//! ```text
//!  app                       one router: Socket.IO, WebSocket, REST; the only module that imports every service
//!  services/*                events (serde) · state (pure) · handlers (I/O) · mod (wiring, differences)
//!  timeline                  the bounded bus on which everything that happens is published
//!  transport  clock  auth    what the services and the core's drivers stand on
//! ```
//!
//! The protocols themselves live in [`cloverleaf_core`]. To embed the server, build [`config::Options`] and hand
//! a listener to [`app::App::serve`]; the `cloverleaf` binary does nothing else.
#![forbid(unsafe_code)]
#![warn(clippy::print_stdout)]

pub mod app;
pub mod auth;
pub mod car;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dashboard;
pub mod origin;
pub mod road;
pub mod serve;
pub mod services;
pub mod socketio;
pub mod socketio_client;
pub mod static_files;
pub mod timeline;
pub mod transport;
pub mod ws;
