//! `cloverleaf hub`: chat rooms.

mod lines;
mod screen;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Subcommand;

use super::Failed;
use crate::services::hub::client::{Chat, ConnectError};

/// Chat rooms over Phoenix Channels
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Chat(ChatCommand),
}

/// Join a room and chat in it, in the whole terminal or line by line
///
/// In a terminal: who is there, who is typing, and what was said; Enter says, PgUp and PgDn scroll, Ctrl-C leaves.
/// In a pipe, or with --json: what comes in is said, what happens is printed, a line each; the end of the input
/// leaves. It comes back after every cut. Exit code 1 when the room refuses the name, 3
/// when there is no hub at first.
#[derive(Debug, clap::Args)]
struct ChatCommand {
    /// The hub, as ws://, wss://, http:// or https://
    #[arg(long, env = "CLOVERLEAF_HUB_SERVER", value_name = "URL", default_value = "http://127.0.0.1:5000")]
    server: String,

    /// The key of a hub that lets in only those who have one
    #[arg(long, env = "CLOVERLEAF_HUB_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,

    /// The room
    #[arg(long, default_value = "lobby")]
    room: String,

    /// The name to go by
    #[arg(long, env = "USER")]
    name: String,

    /// Print JSON, an object a line
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Chat(command) => super::block_on(command.chat()),
        }
    }
}

impl ChatCommand {
    async fn chat(self) -> anyhow::Result<ExitCode> {
        let chat = Chat::connect(&self.server, &self.room, &self.name, self.key.as_deref()).await;
        let chat = chat.map_err(|error| match error {
            ConnectError::Transport(_) | ConnectError::Timeout => Failed::connection(error).into(),
            error => anyhow::Error::from(error),
        })?;
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let refusal = if terminal && !self.json {
            screen::run(chat, &self.room, &self.name).await?
        } else {
            lines::run(chat, &self.room, self.json).await?
        };
        match refusal {
            Some(response) => {
                anyhow::bail!("room {} does not let in {}: {}", self.room, self.name, printable(&response))
            }
            None => Ok(ExitCode::SUCCESS),
        }
    }
}

/// Text of others as a terminal may be given it: control characters, which could move its cursor or change its
/// colours, and marks that turn the direction of writing become `�`. Line breaks stay.
fn printable(text: &str) -> String {
    let harmless = |character: char| match character {
        '\n' => '\n',
        '\t' => ' ',
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => '\u{FFFD}',
        other if other.is_control() => '\u{FFFD}',
        other => other,
    };
    text.replace("\r\n", "\n").chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{7}\t\u{9b}"), "a\u{FFFD}[2Jb\u{FFFD} \u{FFFD}");
        assert_eq!(printable("\u{202E}abc\r\nd"), "\u{FFFD}abc\nd");
        assert_eq!(printable("grün 🍀"), "grün 🍀");
    }
}
