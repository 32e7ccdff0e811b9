//! `cloverleaf obd …`: the car, from a terminal or a script.

mod answer;
mod ask;
mod broadcast;
mod codes;
mod connection;
mod decode;
mod listen;
mod report;
mod results;
mod uds;
mod watch;

use std::process::ExitCode;

use super::{Failed, interrupted, say};

/// Talk to a car, or read what others recorded of one
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    Query(ask::Query),
    Watch(watch::Command),
    Scan(report::Scan),
    Vin(ask::Vin),
    Dtc(codes::Codes),
    ClearDtc(codes::ClearCodes),
    FreezeFrame(codes::FreezeFrame),
    Monitors(results::Monitors),
    Readiness(results::Readiness),
    Commands(report::Commands),
    Raw(ask::Raw),
    Monitor(listen::Command),
    Sleep(ask::Sleep),
    Ports(connection::Ports),
    Decode(decode::Command),
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Subcommand::Query(command) => super::block_on(command.run()),
            Subcommand::Watch(command) => super::block_on(command.run()),
            Subcommand::Scan(command) => super::block_on(command.run()),
            Subcommand::Vin(command) => super::block_on(command.run()),
            Subcommand::Dtc(command) => super::block_on(command.run()),
            Subcommand::ClearDtc(command) => super::block_on(command.run()),
            Subcommand::FreezeFrame(command) => super::block_on(command.run()),
            Subcommand::Monitors(command) => super::block_on(command.run()),
            Subcommand::Readiness(command) => super::block_on(command.run()),
            Subcommand::Commands(command) => super::block_on(command.run()),
            Subcommand::Raw(command) => super::block_on(command.run()),
            Subcommand::Monitor(command) => super::block_on(command.run()),
            Subcommand::Sleep(command) => super::block_on(command.run()),
            Subcommand::Ports(command) => command.run(),
            Subcommand::Decode(command) => command.run(),
        }
    }
}
