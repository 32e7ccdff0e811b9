//! What `serve` can be told: one struct, filled from flags and their environment twins `CLOVERLEAF_…`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::dashboard;
use crate::services::{dfx, hub, obd, octane, relay};

/// The options of a server; every service adds its own below (`#[group(skip)]`: clap names groups by type, and every
/// service calls its type `Options`).
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Where to listen; port 0 picks a free one
    #[arg(long, env = "CLOVERLEAF_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:5000")]
    pub listen: SocketAddr,

    /// Also let in web pages from this origin; `*` lets in all (repeatable)
    #[arg(long, env = "CLOVERLEAF_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub allow_origin: Vec<String>,

    /// Also serve the files of this folder, where no service has the path
    #[arg(long = "static", env = "CLOVERLEAF_STATIC", value_name = "FOLDER")]
    pub static_files: Option<PathBuf>,

    /// The page at `/`.
    #[command(flatten)]
    pub dashboard: dashboard::Options,

    /// The car.
    #[command(flatten)]
    pub obd: obd::Options,

    /// Vital signs.
    #[command(flatten)]
    pub dfx: dfx::Options,

    /// Chat rooms.
    #[command(flatten)]
    pub hub: hub::Options,

    /// Users, monitors and their commands.
    #[command(flatten)]
    pub relay: relay::Options,
    /// The road.
    #[command(flatten)]
    pub octane: octane::Options,
}

impl Default for Options {
    fn default() -> Self {
        use clap::{Args, FromArgMatches};
        let matches = Self::augment_args(clap::Command::new("serve")).get_matches_from(["serve"]);
        Self::from_arg_matches(&matches).expect("every option has a default")
    }
}

/// Who can reach the server: decides whether a service without keys may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Only this machine: services without keys are open.
    Loopback,
    /// The network: services that act on something refuse to be open unless told otherwise.
    Network,
}

impl Exposure {
    /// The exposure of a server listening on `listen`.
    pub fn of(listen: SocketAddr) -> Self {
        if listen.ip().is_loopback() { Self::Loopback } else { Self::Network }
    }
}
