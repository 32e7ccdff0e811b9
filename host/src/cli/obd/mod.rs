//! `cloverleaf obd …`: the car, from a terminal or a script.

mod decode;

use std::process::ExitCode;

/// Talk to a car, or read what others recorded of one
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    Decode(decode::Command),
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Subcommand::Decode(command) => command.run(),
        }
    }
}
