//! `cloverleaf relay user`: send one command and wait for its end.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use crate::cli::{Failed, say};
use crate::config::duration;
use crate::services::relay::client::{CommandError, User};

/// Send a command to a monitor and wait until it is carried out
///
/// Prints what the monitor says came of it. Exits with 0 when the monitor reports it done, with 1 when it
/// failed, with 3 when there is no relay, with 4 when nothing came of it in time.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    relay: super::Relay,

    /// Give up after this time
    #[arg(long, value_name = "DURATION", default_value = "300s", value_parser = duration)]
    timeout: Duration,

    /// Print one JSON object: the outcome, and when the command was where
    #[arg(long)]
    json: bool,

    /// The command
    command: String,
}

impl Command {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut user = User::connect(self.relay.membership()?).await.map_err(super::failed)?;
        let outcome = user.command(&self.command, self.timeout).await.map_err(|error| match error {
            CommandError::Timeout => Failed::Answer(error.to_string()).into(),
            CommandError::Refused(_) => anyhow::Error::from(error),
            error => Failed::connection(error).into(),
        })?;
        user.close().await;
        let milliseconds = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1000.0;
        let (accepted, finished) = (outcome.accepted.map(milliseconds), milliseconds(outcome.finished));
        if self.json {
            let line = json!({
                "command": self.command,
                "outcome": if outcome.failed.is_none() { "done" } else { "failed" },
                "reason": outcome.failed,
                "output": outcome.output,
                "times": outcome.times,
                "accepted_ms": accepted,
                "finished_ms": finished,
            });
            say!("{line}")?;
        } else if let Some(reason) = &outcome.failed {
            eprintln!("failed after {finished} ms: {reason}");
        } else {
            std::io::stdout().write_all(outcome.output.as_bytes())?;
            eprintln!("done after {finished} ms (accepted after {} ms)", accepted.unwrap_or_default());
        }
        Ok(if outcome.failed.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
