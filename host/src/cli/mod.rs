//! The command line: one file per subcommand.
//!
//! Exit codes: 0 success, 1 the command failed (the reason is on standard error), 2 wrong usage.

mod dfx;
mod hub;
mod obd;
mod octane;
mod relay;
mod serve;
mod simulator;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// One program for the five conversations of a connected-vehicle test bench.
#[derive(Debug, Parser)]
#[command(name = "cloverleaf", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Command>),
    Simulator(simulator::Command),
    Obd(obd::Command),
    Dfx(dfx::Command),
    Hub(hub::Command),
    Relay(relay::Command),
    Octane(octane::Command),
}

impl Cli {
    /// Runs the command to its end. Without a subcommand this is `serve` with its defaults.
    pub fn run(self) -> ExitCode {
        let command = self.command.unwrap_or_else(|| Command::Serve(Box::default()));
        let result = match command {
            Command::Serve(command) => command.run(),
            Command::Simulator(command) => command.run(),
            Command::Obd(command) => command.run(),
            Command::Dfx(command) => command.run(),
            Command::Hub(command) => command.run(),
            Command::Relay(command) => command.run(),
            Command::Octane(command) => command.run(),
        };
        match result {
            Ok(code) => code,
            // Whoever reads the output has had enough.
            Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("cloverleaf: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    kind == Some(std::io::ErrorKind::BrokenPipe)
}

/// Runs a command's future on a runtime with every core.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}
