//! `cloverleaf obd …`: the car, from a terminal or a script.

mod answer;
mod ask;
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
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
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
        match self.action {
            Action::Query(command) => super::block_on(command.run()),
            Action::Watch(command) => super::block_on(command.run()),
            Action::Scan(command) => super::block_on(command.run()),
            Action::Vin(command) => super::block_on(command.run()),
            Action::Dtc(command) => super::block_on(command.run()),
            Action::ClearDtc(command) => super::block_on(command.run()),
            Action::FreezeFrame(command) => super::block_on(command.run()),
            Action::Monitors(command) => super::block_on(command.run()),
            Action::Readiness(command) => super::block_on(command.run()),
            Action::Commands(command) => super::block_on(command.run()),
            Action::Raw(command) => super::block_on(command.run()),
            Action::Monitor(command) => super::block_on(command.run()),
            Action::Sleep(command) => super::block_on(command.run()),
            Action::Ports(command) => command.run(),
            Action::Decode(command) => command.run(),
        }
    }
}
