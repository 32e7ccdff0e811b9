//! The `cloverleaf` program; see [`cloverleaf::cli`].

use std::process::ExitCode;

use clap::Parser;
use cloverleaf::cli::Cli;

/// What passes through the server is many small pieces that live for a moment: this one is quicker with those, see
/// `benches/relay`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
