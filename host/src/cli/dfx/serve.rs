//! `cloverleaf dfx serve`: the DFX endpoint alone.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::net::TcpListener;

use crate::auth::Exposure;
use crate::cli::{interrupted, say};
use crate::http_server::{Timeouts, serve};
use crate::origin::Origins;
use crate::services::Context;
use crate::services::dfx::{Dfx, Options};
use crate::timeline::Bus;

/// Serve the DFX API alone: WebSocket at / and /dfx, REST at /measurements and its kin
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// Where to listen; port 0 picks a free one
    #[arg(long, env = "CLOVERLEAF_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,

    #[command(flatten)]
    options: Options,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        crate::cli::block_on(async {
            let listener = TcpListener::bind(self.listen).await;
            let listener = listener.with_context(|| format!("cannot listen on {}", self.listen))?;
            let exposure = Exposure::of(self.listen);
            let dfx = Dfx::new(&self.options, &Context { timeline: Bus::new(), exposure })?;
            let router = Origins::new(&[], exposure).guard(dfx.at_root(dfx.routes()));
            eprintln!("{}", dfx.summary());
            say!("listening on ws://{}", listener.local_addr()?)?;
            let shutdown = async move {
                interrupted().await;
                dfx.drain();
            };
            serve(listener, router, Timeouts::default(), shutdown).await?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
