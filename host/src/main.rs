//! The `cloverleaf` program; see [`cloverleaf::cli`].

use std::process::ExitCode;

use clap::Parser;
use cloverleaf::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
