//! The command line: one file per subcommand.
//!
//! Exit codes: 0 success, 1 anything else that failed, 2 wrong usage (also a name that is unknown), 3 no connection
//! (to the server, the adapter or the car), 4 connected, but what was asked for has no answer. The reason is on standard
//! error.

mod dfx;
mod hub;
mod obd;
mod octane;
mod relay;
mod serve;
mod simulator;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Prints a line on standard output, or says why not: `println!` panics when whoever reads has had enough.
macro_rules! say {
    ($($line:tt)*) => {
        std::io::Write::write_fmt(&mut std::io::stdout().lock(), format_args!("{}\n", format_args!($($line)*)))
    };
}
use say;

/// One program for the five conversations of a connected-vehicle test bench.
#[derive(Debug, Parser)]
#[command(
    name = "cloverleaf",
    version,
    about,
    max_term_width = 100,
    after_help = "\
Exit codes:
  0  success
  1  anything else that failed
  2  wrong usage, also a name that is unknown
  3  no connection to the server, the adapter or the car
  4  connected, but what was asked for has no answer

Environment:
  CLOVERLEAF_LOG  what to log on standard error: off, error, warn, info, debug, or by part: warn,cloverleaf::car=debug"
)]
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
        log(command.serves());
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
                error.downcast_ref::<Failed>().map_or(ExitCode::FAILURE, Failed::code)
            }
        }
    }
}

impl Command {
    /// Whether it serves until it is told to end, and not a person or a script that waits for its output.
    fn serves(&self) -> bool {
        match self {
            Self::Serve(_) | Self::Simulator(_) => true,
            Self::Dfx(command) => command.serves(),
            Self::Obd(_) | Self::Hub(_) | Self::Relay(_) | Self::Octane(_) => false,
        }
    }
}

/// Logs to standard error what `CLOVERLEAF_LOG` asks for: by default what goes on in a server, and of other commands
/// nothing, as they tell what fails themselves.
fn log(serves: bool) {
    use tracing_subscriber::EnvFilter;
    let usual = if serves { "warn,cloverleaf=info" } else { "off" };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("CLOVERLEAF_LOG").unwrap_or_else(|_| usual.into()))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// Why a command has no result, with an exit code that says so; for all else there is 1.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// The usage is wrong in a way that the arguments alone do not show.
    #[error("{0}")]
    Usage(String),
    /// There is no connection.
    #[error("{0}")]
    Connection(String),
    /// There is no answer.
    #[error("{0}")]
    Answer(String),
}

impl Failed {
    /// There is no connection, and this is why.
    fn connection(why: impl Into<anyhow::Error>) -> Self {
        Self::Connection(format!("{:#}", why.into()))
    }

    fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Connection(_) => 3,
            Self::Answer(_) => 4,
        })
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

/// Ctrl-C, or the request to terminate that service supervisors send.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
