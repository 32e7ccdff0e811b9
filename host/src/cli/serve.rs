//! `cloverleaf serve`: everything on one port.

use std::process::ExitCode;

use anyhow::Context;
use tokio::net::TcpListener;

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
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        tracing_subscriber::fmt()
            .with_env_filter(
                tracing_subscriber::EnvFilter::try_from_env("CLOVERLEAF_LOG")
                    .unwrap_or_else(|_| "warn,cloverleaf=info".into()),
            )
            .with_writer(std::io::stderr)
            .init();
        super::block_on(async {
            let listen = self.options.listen;
            let listener =
                TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
            let app = App::new(&self.options).await?;
            eprintln!("cloverleaf {}", env!("CARGO_PKG_VERSION"));
            for line in app.summary() {
                eprintln!("  {line}");
            }
            println!("listening on http://{}", listener.local_addr()?);
            app.serve(listener, interrupted()).await?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Ctrl-C, or the request to terminate that service supervisors send.
pub(super) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
