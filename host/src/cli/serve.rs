//! `cloverleaf serve`: everything on one port.

use std::process::ExitCode;

use anyhow::Context;
use tokio::net::TcpListener;

use super::{interrupted, say};
use crate::app::App;
use crate::config::Options;

/// Serve car, road, device, crew and driver on one port
///
/// Without arguments everything is simulated and reachable from this machine only.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    options: Options,
}

impl Command {
    pub(super) fn run(mut self) -> anyhow::Result<ExitCode> {
        super::block_on(async {
            let listen = self.options.listen;
            let listener =
                TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
            // With the port that was free, for what is told of it.
            self.options.listen = listener.local_addr()?;
            let app = App::new(&self.options).await?;
            eprintln!("cloverleaf {}", env!("CARGO_PKG_VERSION"));
            for line in app.summary() {
                eprintln!("  {line}");
            }
            say!("listening on http://{}", self.options.listen)?;
            app.serve(listener, interrupted()).await?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
