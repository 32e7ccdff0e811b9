//! `cloverleaf obd …`: the car, from a terminal or a script.
//!
//! Exit codes: 0 answered, 1 anything that failed, 2 wrong usage (also a name that is unknown), 3 no connection to
//! adapter or car, 4 connected, but what was asked for has no answer.

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

/// Talk to a car, or read what others recorded of one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0  answered
  1  anything else that failed
  2  wrong usage, also a name that is unknown
  3  no connection to the adapter or the car
  4  connected, but what was asked for has no answer")]
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
            Subcommand::Query(command) => finish(super::block_on(command.run())),
            Subcommand::Watch(command) => finish(super::block_on(command.run())),
            Subcommand::Scan(command) => finish(super::block_on(command.run())),
            Subcommand::Vin(command) => finish(super::block_on(command.run())),
            Subcommand::Dtc(command) => finish(super::block_on(command.run())),
            Subcommand::ClearDtc(command) => finish(super::block_on(command.run())),
            Subcommand::FreezeFrame(command) => finish(super::block_on(command.run())),
            Subcommand::Monitors(command) => finish(super::block_on(command.run())),
            Subcommand::Readiness(command) => finish(super::block_on(command.run())),
            Subcommand::Commands(command) => finish(super::block_on(command.run())),
            Subcommand::Raw(command) => finish(super::block_on(command.run())),
            Subcommand::Monitor(command) => finish(super::block_on(command.run())),
            Subcommand::Sleep(command) => finish(super::block_on(command.run())),
            Subcommand::Ports(command) => finish(command.run()),
            Subcommand::Decode(command) => finish(command.run()),
        }
    }
}

/// Prints a line on standard output, or says why not: `println!` panics when whoever reads has had enough.
macro_rules! say {
    ($($line:tt)*) => {
        std::io::Write::write_fmt(&mut std::io::stdout().lock(), format_args!("{}\n", format_args!($($line)*)))
    };
}
use say;

/// Why a command has no result, with the exit code that says so.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// The usage is wrong in a way that only the car's names show.
    #[error("{0}")]
    Usage(String),
    /// There is no connection.
    #[error("{0}")]
    Connection(String),
    /// There is no answer.
    #[error("{0}")]
    Answer(String),
}

/// Turns the failures that have exit codes of their own into those.
fn finish(result: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    let error = match result {
        Ok(code) => return Ok(code),
        Err(error) => error,
    };
    let code = match error.downcast_ref::<Failed>() {
        Some(Failed::Usage(_)) => 2,
        Some(Failed::Connection(_)) => 3,
        Some(Failed::Answer(_)) => 4,
        None => return Err(error),
    };
    eprintln!("cloverleaf: {error:#}");
    Ok(ExitCode::from(code))
}
