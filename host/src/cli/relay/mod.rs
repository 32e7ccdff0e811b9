//! `cloverleaf relay …`: be a monitor, or command one.

mod monitor;
mod user;

use std::process::ExitCode;

use clap::Subcommand;

use super::Failed;
use crate::services::relay::client::{ClientError, Membership};
use crate::services::relay::events::MonitorId;
use crate::socketio_client;

/// Device: carry out commands as a monitor, or send them as a user
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Monitor(monitor::Command),
    User(user::Command),
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Monitor(command) => super::block_on(command.run()),
            Action::User(command) => super::block_on(command.run()),
        }
    }
}

/// Where the relay is, and who one is there.
#[derive(Debug, clap::Args)]
struct Relay {
    /// The monitor's id: 32 characters
    #[arg(long, env = "CLOVERLEAF_RELAY_ID", value_name = "ID")]
    id: MonitorId,

    /// The relay; a path is its namespace
    #[arg(
        long,
        env = "CLOVERLEAF_RELAY_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:5000"
    )]
    server: String,

    /// What the relay asks for
    #[arg(long, env = "CLOVERLEAF_RELAY_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
}

impl Relay {
    fn membership(self) -> anyhow::Result<Membership> {
        let connection = socketio_client::Options::new(&self.server)?;
        Ok(Membership { connection, monitor_id: self.id, token: self.key })
    }
}

/// A relay that is not there is no connection; one that refuses is a failure as any other.
fn failed(error: ClientError) -> anyhow::Error {
    match error {
        ClientError::Refused(_) => error.into(),
        error => Failed::connection(error).into(),
    }
}
