//! `cloverleaf dfx …`: the driver's vital signs from the command line.

mod decode;
mod measure;
mod plot;
mod serve;

use std::process::ExitCode;

use clap::Subcommand;

/// Driver: measure vital signs, serve the DFX API, decode its frames
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Measure(measure::Command),
    Serve(serve::Command),
    Decode(decode::Command),
}

impl Command {
    /// See [`super::Command::serves`].
    pub(super) fn serves(&self) -> bool {
        matches!(self.action, Action::Serve(_))
    }

    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Measure(command) => command.run(),
            Action::Serve(command) => command.run(),
            Action::Decode(command) => command.run(),
        }
    }
}
