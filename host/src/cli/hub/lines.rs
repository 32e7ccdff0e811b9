//! A chat in a pipe: lines in, lines out.

use tokio::io::{AsyncBufReadExt, BufReader};

use super::printable;
use crate::cli::say;
use crate::services::hub::client::{Chat, ChatEvent};

/// Chats until the input ends or the room refuses us; answers the refusal.
pub(super) async fn run(mut chat: Chat, room: &str, json: bool) -> anyhow::Result<Option<String>> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    // Nothing is read before there is somebody to hear it.
    let mut listening = false;
    loop {
        tokio::select! {
            event = chat.next() => {
                let Some(event) = event else { return Ok(None) };
                match event {
                    ChatEvent::Joined => listening = true,
                    ChatEvent::Offline { .. } => listening = false,
                    ChatEvent::Refused { response } => return Ok(Some(response)),
                    _ => {}
                }
                if json {
                    say!("{}", serde_json::to_string(&event)?)?;
                } else if let Some(line) = describe(&event, room) {
                    // One line for each, whatever was said.
                    say!("{}", line.replace('\n', " "))?;
                }
            }
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

fn describe(event: &ChatEvent, room: &str) -> Option<String> {
    let line = match event {
        ChatEvent::Joined => format!("* you are in {room}"),
        ChatEvent::Shout { name, body, .. } => format!("{name}: {body}"),
        ChatEvent::MemberJoined { name } => format!("* {name} is here"),
        ChatEvent::MemberLeft { name } => format!("* {name} has left"),
        ChatEvent::Typing { name, typing: true } => format!("* {name} is typing"),
        ChatEvent::Typing { typing: false, .. } | ChatEvent::Refused { .. } => return None,
        ChatEvent::MembersIncomplete { reason } => format!("* who is here is not known completely: {reason}"),
        ChatEvent::Unsent { body } => format!("* not sent: {body}"),
        ChatEvent::Offline { reason } => format!("* offline: {reason}"),
    };
    Some(printable(&line))
}
