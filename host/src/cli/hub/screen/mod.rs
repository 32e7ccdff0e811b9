//! A chat in the whole terminal: who is there, what was said, and a line to type in.

mod state;
mod view;

use std::io::stdout;
use std::time::Duration;

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, Event, EventStream, KeyEventKind};
use crossterm::execute;
use futures_util::StreamExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use self::state::{Action, State};
use crate::services::hub::client::{Chat, ChatEvent};

/// How long after the last key others are told that we type no more.
const TYPING: Duration = Duration::from_secs(2);

/// Chats until the user leaves or the room refuses us; answers the refusal.
pub(super) async fn run(chat: Chat, room: &str, name: &str) -> anyhow::Result<Option<String>> {
    // Also restores the terminal when something panics.
    let terminal = ratatui::try_init()?;
    let pasting = execute!(stdout(), EnableBracketedPaste);
    let result = converse(terminal, chat, State::new(room, name)).await;
    if pasting.is_ok() {
        // The terminal is given back as far as possible, whatever went wrong.
        let _ = execute!(stdout(), DisableBracketedPaste);
    }
    ratatui::restore();
    result
}

async fn converse(
    mut terminal: ratatui::DefaultTerminal,
    mut chat: Chat,
    mut state: State,
) -> anyhow::Result<Option<String>> {
    let mut events = EventStream::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // When others are told that we have stopped typing.
    let mut typing: Option<Instant> = None;
    loop {
        terminal.draw(|frame| view::draw(frame, &mut state))?;
        let stop = async {
            match typing {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let action = tokio::select! {
            told = chat.next() => match told {
                Some(ChatEvent::Refused { response }) => return Ok(Some(response)),
                Some(told) => {
                    state.hear(&told, &jiff::Zoned::now().strftime("%H:%M").to_string());
                    if !state.is_online() {
                        typing = None;
                    }
                    Action::None
                }
                None => return Ok(None),
            },
            event = events.next() => match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => state.press(key),
                Some(Ok(Event::Paste(text))) => state.paste(&text),
                // Anything else, a new size among it, is answered by drawing.
                Some(Ok(_)) => Action::None,
                Some(Err(error)) => return Err(error.into()),
                None => Action::Leave,
            },
            () = stop => {
                typing = None;
                chat.typing(false).await;
                Action::None
            }
            _ = terminate.recv() => Action::Leave,
            _ = hangup.recv() => Action::Leave,
        };
        match action {
            Action::None => {}
            Action::Type => {
                if typing.is_none() {
                    chat.typing(true).await;
                }
                typing = Some(Instant::now() + TYPING);
            }
            Action::Say(body) => {
                chat.say(&body).await;
                if typing.take().is_some() {
                    chat.typing(false).await;
                }
            }
            Action::Leave => {
                chat.leave().await;
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests;
