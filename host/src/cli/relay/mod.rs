//! `cloverleaf relay …`: be a monitor, or command one.

mod monitor;
mod user;

use std::process::ExitCode;

use clap::Subcommand;

use crate::services::relay::client::Membership;
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
    #[arg(long, env = "CLOVERLEAF_RELAY_URL", value_name = "URL", default_value = "http://127.0.0.1:5000")]
    url: String,

    /// What the relay asks for
    #[arg(long, env = "CLOVERLEAF_RELAY_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
}

impl Relay {
    fn membership(self) -> anyhow::Result<Membership> {
        let connection = socketio_client::Options::new(&self.url)?;
        Ok(Membership { connection, monitor_id: self.id, token: self.token })
    }
}
