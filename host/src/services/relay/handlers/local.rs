//! A monitor within this program.

use std::sync::Weak;

use serde_json::value::to_raw_value;
use tokio::sync::mpsc;

use super::super::events::{Request, Text, decode};
use super::super::state::Input;
use super::Server;
use super::link::Peer;

/// A monitor's place in the relay, which does not live longer for it. It is left when this is dropped.
pub(super) struct Local {
    pub(super) server: Weak<Server>,
    pub(super) peer: Peer,
}

impl Local {
    /// Carries out one command after the other until the relay is gone, and reports each.
    pub(super) async fn run<F, R>(self, mut commands: mpsc::Receiver<Text>, mut execute: F)
    where
        F: FnMut(String) -> R,
        R: Future<Output = Result<String, String>>,
    {
        while let Some(command) = commands.recv().await {
            let result = execute(decode(&command.0)).await;
            let (Ok(text) | Err(text)) = &result;
            let text = to_raw_value(text).ok();
            self.input(Input::Request(match result {
                Ok(_) => Request::Done { id: None, output: text.as_deref() },
                Err(_) => Request::Error { id: None, reason: text.as_deref() },
            }));
        }
    }

    fn input(&self, input: Input<'_>) {
        if let Some(server) = self.server.upgrade() {
            server.input(self.peer, input);
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.input(Input::Closed);
    }
}
