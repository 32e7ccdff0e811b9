//! `cloverleaf hub`: chat rooms.

use std::process::ExitCode;

use anyhow::bail;
use clap::Subcommand;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::services::hub::client::{Chat, Told};

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

/// Join a room: what is typed is said, what happens is printed, a line each
///
/// Comes back after every cut, and leaves at the end of the input. Exit code 1 when the room refuses the name.
#[derive(Debug, clap::Args)]
struct ChatCommand {
    /// The hub
    #[arg(long, env = "CLOVERLEAF_URL", value_name = "URL", default_value = "ws://127.0.0.1:5000")]
    url: String,

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
        let mut chat = Chat::start(&self.url, &self.room, &self.name);
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let mut listening = false;
        loop {
            tokio::select! {
                told = chat.next() => match told {
                    Some(told) => {
                        self.print(&told)?;
                        match told {
                            // Nothing is read before there is somebody to hear it.
                            Told::Joined => listening = true,
                            Told::Offline { .. } => listening = false,
                            Told::Refused { response } => bail!("room {} does not let in {}: {response}", self.room, self.name),
                            _ => {}
                        }
                    }
                    None => return Ok(ExitCode::SUCCESS),
                },
                line = lines.next_line(), if listening => match line? {
                    Some(line) if line.is_empty() => {}
                    Some(line) => chat.say(&line).await,
                    None => {
                        listening = false;
                        chat.leave().await;
                    }
                },
            }
        }
    }

    fn print(&self, told: &Told) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(told)?);
            return Ok(());
        }
        match told {
            Told::Joined => println!("* you are in {}", self.room),
            Told::Refused { .. } => {}
            Told::Shout { name, body } => println!("{name}: {body}"),
            Told::Came { name } => println!("* {name} is here"),
            Told::Left { name } => println!("* {name} has left"),
            Told::Typing { name, typing: true } => println!("* {name} is typing"),
            Told::Typing { .. } => {}
            Told::Offline { reason } => println!("* offline: {reason}"),
        }
        Ok(())
    }
}
