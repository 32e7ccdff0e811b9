//! `cloverleaf simulator`: the simulated car and adapter for other programs.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use cloverleaf_core::bus::Protocol;
use tokio::net::TcpListener;

use super::{interrupted, say};
use crate::config::duration;
use crate::transport::simulator::{self, Simulator, Timing};

/// Offer a simulated car behind a simulated ELM327 on a TCP port
///
/// Any OBD program that takes a Wi-Fi adapter can use it; every connection is an adapter of its own on the one car.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// Where to listen; port 0 picks a free one
    #[arg(
        long,
        env = "CLOVERLEAF_SIMULATOR_LISTEN",
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:35000"
    )]
    listen: SocketAddr,
    /// The car's bus, as the ELM327 numbers them: 1 to 9, or A for a lorry, which is only listened to
    #[arg(long, default_value = "6")]
    protocol: Protocol,
    /// Speed of the adapter's serial port, bits per second
    #[arg(long, default_value_t = 115_200, value_parser = clap::value_parser!(u32).range(1..))]
    baud: u32,
    /// Delay of the link in each direction
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    delay: Duration,
    /// Answer at once, whatever it would take
    #[arg(long)]
    instant: bool,
    /// Be an STN chip, as in OBDLink adapters, not an ELM327
    #[arg(long)]
    stn: bool,
    /// How long the engine has been running when the simulation begins
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    warm: Duration,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        super::block_on(async {
            let listener = TcpListener::bind(self.listen)
                .await
                .with_context(|| format!("cannot listen on {}", self.listen))?;
            let simulator = Simulator::new(simulator::Options {
                protocol: self.protocol,
                baud: self.baud,
                delay: self.delay,
                timing: if self.instant { Timing::None } else { Timing::Real },
                warm: self.warm,
                stn: self.stn,
                ..simulator::Options::default()
            });
            say!("listening on tcp://{}", listener.local_addr()?)?;
            tokio::select! {
                ended = simulator.listen(listener) => ended?,
                () = interrupted() => {}
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}
