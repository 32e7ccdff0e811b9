//! The two sides of the relay as clients: [`run_monitor`] carries out commands, [`User`] sends them. Both come
//! back after a lost connection and introduce themselves again. They work against the original server too.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;
use uuid::fmt::Simple;

use super::events::{MAX_REPORT, MonitorId, Times, milliseconds, reason};
use crate::socketio_client::{self, ConnectError, Disconnect, EmitError, Event, Events, Message, Options};

/// How long an introduction may stay without its answer.
const INTRODUCTION: Duration = Duration::from_secs(10);

/// Where the relay is, and who one is there.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The connection. Its reconnecting is followed by a new introduction.
    pub connection: Options,
    /// The monitor that one is, or commands.
    pub monitor_id: MonitorId,
    /// What the server asks for, if it asks.
    pub token: Option<String>,
}

/// Why a client of the relay stopped, or could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The first connection failed.
    #[error("cannot connect")]
    Connect(#[from] ConnectError),
    /// The relay refused the introduction; its reason.
    #[error("the relay refuses: {0}")]
    Refused(String),
    /// The introduction was not answered in time.
    #[error("the relay does not answer")]
    NoAnswer,
    /// The connection is lost for good.
    #[error("the connection is lost: {0}")]
    Lost(Disconnect),
}

impl Membership {
    fn introduction(&self) -> Value {
        let mut data = json!({"monitor_id": self.monitor_id.as_str()});
        if let Some(token) = &self.token {
            data["token"] = json!(token);
        }
        data
    }

    /// Connect and introduce oneself with `event`, which is answered `event ok` or `event failed`.
    async fn join(&self, event: &str) -> Result<(socketio_client::Client, Events), ClientError> {
        let mut options = self.connection.clone();
        // A namespace closed by the relay follows a refusal, which may be of a passing kind.
        options.return_after_close = true;
        let (client, mut events) = socketio_client::connect(options).await?;
        let answer = async {
            // An error means that the connection is lost already, which the events tell.
            let _ = client.emit(event, &[self.introduction()]).await;
            loop {
                match events.next().await {
                    Some(Event::Message(message)) => {
                        if let Some(answer) = introduction_answer(event, &message) {
                            return answer.map_err(ClientError::Refused);
                        }
                    }
                    Some(Event::Disconnected { reason, .. }) => return Err(ClientError::Lost(reason)),
                    Some(Event::Connected { .. }) => {}
                    None => return Err(ClientError::NoAnswer),
                }
            }
        };
        tokio::time::timeout(INTRODUCTION, answer).await.unwrap_or(Err(ClientError::NoAnswer))?;
        Ok((client, events))
    }
}

/// Whether `message` answers the introduction, and how.
fn introduction_answer(event: &str, message: &Message) -> Option<Result<(), String>> {
    match message.event.strip_prefix(event)?.strip_prefix(' ')? {
        "ok" => Some(Ok(())),
        "failed" => Some(Err(reason_of(message.data()))),
        _ => None,
    }
}

fn reason_of(data: &Value) -> String {
    match &data["reason"] {
        Value::String(reason) => reason.clone(),
        Value::Null => reason::NO_REASON.to_owned(),
        other => other.to_string(),
    }
}

/// What happens to a running monitor, for logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It is registered and receives commands.
    Registered,
    /// The connection is lost; it will come back.
    Lost(String),
    /// The relay refused it when it came back; it will try again.
    Refused(String),
    /// A command had waited until its connection was lost, and is not carried out: the relay has told the user that
    /// the monitor went.
    Skipped,
    /// A report was lost with its connection; the relay has told the user that the monitor went.
    Unreported,
}

/// Be a monitor until the connection is lost for good: `execute` is given one command after the other, and
/// its result is reported: what came of it (if anything), or why it failed, each with the first [`MAX_REPORT`] bytes.
/// `notice` hears of the rest. Cancel by dropping the future.
///
/// A taken id is an error at first, but not when coming back: the relay may not have missed this side yet.
///
/// # Errors
/// [`ClientError`]. There is no other end.
pub async fn run_monitor<F>(
    membership: &Membership,
    mut execute: F,
    mut notice: impl FnMut(Notice),
) -> Result<std::convert::Infallible, ClientError>
where
    F: AsyncFnMut(&str) -> Result<String, String>,
{
    let (client, mut events) = membership.join("con").await?;
    notice(Notice::Registered);
    loop {
        match events.next().await {
            Some(Event::Message(message)) => match message.event.as_str() {
                "command do" if !client.is_current(&message) => notice(Notice::Skipped),
                "command do" => {
                    let command = message.data()["command"].as_str().unwrap_or_default();
                    let result = execute(command).await;
                    if report(&client, &message, result).await.is_err() {
                        notice(Notice::Unreported);
                    }
                }
                // Answering proves to the relay that this monitor lives.
                _ => match (introduction_answer("con", &message), message.reply) {
                    (Some(Ok(())), _) => notice(Notice::Registered),
                    (Some(Err(reason)), _) if reason == reason::ALREADY_REGISTERED => {
                        notice(Notice::Refused(reason));
                    }
                    (Some(Err(reason)), _) => return Err(ClientError::Refused(reason)),
                    (None, Some(reply)) => {
                        let _ = reply.send(&[]).await;
                    }
                    (None, None) => {}
                },
            },
            Some(Event::Connected { .. }) => {
                // An error means that it is lost again, which the next event tells.
                let _ = client.emit("con", &[membership.introduction()]).await;
            }
            Some(Event::Disconnected { reason, retrying: true }) => notice(Notice::Lost(reason.to_string())),
            Some(Event::Disconnected { reason, .. }) => return Err(ClientError::Lost(reason)),
            None => return Err(ClientError::Lost(Disconnect::Client)),
        }
    }
}

async fn report(
    client: &socketio_client::Client,
    task: &Message,
    result: Result<String, String>,
) -> Result<(), EmitError> {
    let (event, mut data) = match result {
        Ok(output) if output.is_empty() => ("command done", json!({})),
        Ok(output) => ("command done", json!({"output": beginning(&output)})),
        Err(reason) => ("command error", json!({"reason": beginning(&reason)})),
    };
    if let Some(id) = task.data().get("id") {
        data["id"] = id.clone();
    }
    client.answer(task, event, &[data]).await
}

/// As much of a text as [`MAX_REPORT`] bytes of JSON hold: what the relay passes on, and far from the size of a message for
/// which it closes the connection.
fn beginning(text: &str) -> &str {
    let mut length = 2;
    let end = text.char_indices().find_map(|(at, character)| {
        length += match character {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{C}' => 2,
            control if control < ' ' => 6,
            other => other.len_utf8(),
        };
        (length > MAX_REPORT).then_some(at)
    });
    &text[..end.unwrap_or(text.len())]
}

/// A user of one monitor, with one command at a time.
#[derive(Debug)]
pub struct User {
    membership: Membership,
    client: socketio_client::Client,
    events: Events,
    /// What the ids of its commands begin with: other users of the monitor have others.
    prefix: Simple,
    next_id: u64,
    /// Whether the relay knows this connection.
    introduced: bool,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Why it failed, in the monitor's or the relay's words; `None` when it is done.
    pub failed: Option<String>,
    /// What the monitor says came of it; empty when it says nothing.
    pub output: String,
    /// When it passed which point of its way, as far as the server tells.
    pub times: Times,
    /// From sending to the server's `command ok`, as seen here.
    pub accepted: Option<Duration>,
    /// From sending to the end, as seen here.
    pub finished: Duration,
}

/// Why nothing is known of a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// It was not sent.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The connection was lost first: the command may or may not be carried out.
    #[error("the connection was lost: {0}")]
    Lost(Disconnect),
    /// Coming back, the relay refused this side.
    #[error("the relay refuses: {0}")]
    Refused(String),
    /// No end in time; the monitor may still carry it out.
    #[error("no answer in time")]
    Timeout,
}

impl User {
    /// Connect and address the monitor.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn connect(membership: Membership) -> Result<Self, ClientError> {
        let (client, events) = membership.join("query").await?;
        let prefix = Uuid::new_v4().simple();
        Ok(Self { membership, client, events, prefix, next_id: 1, introduced: true })
    }

    /// Send a command and wait for its end. After a lost connection the next call waits for the new one.
    ///
    /// # Errors
    /// [`CommandError`], after `timeout` at the latest.
    pub async fn command(&mut self, command: &str, timeout: Duration) -> Result<Outcome, CommandError> {
        tokio::time::timeout(timeout, self.exchange(command)).await.unwrap_or(Err(CommandError::Timeout))
    }

    async fn exchange(&mut self, command: &str) -> Result<Outcome, CommandError> {
        self.catch_up().await?;
        let id = json!(format!("{}-{}", self.prefix, self.next_id));
        self.next_id += 1;
        let began = Instant::now();
        let sent = milliseconds(Timestamp::now());
        let data = json!({"command": command, "id": id, "sent": sent});
        self.client.emit("command send", &[data]).await?;
        let mut accepted = None;
        // The original echoes no ids: there, what has none is of the only command there is.
        let mut echoes = false;
        loop {
            let message = match self.events.next().await {
                Some(Event::Message(message)) => message,
                Some(Event::Disconnected { reason, .. }) => {
                    self.introduced = false;
                    return Err(CommandError::Lost(reason));
                }
                // Only ever follows a loss.
                Some(Event::Connected { .. }) => continue,
                None => return Err(EmitError::Closed.into()),
            };
            match message.data().get("id") {
                Some(echo) if *echo == id => echoes = true,
                Some(_) => continue,
                // Of another user's command, which the relay tells all.
                None if echoes => continue,
                None => {}
            }
            let failed = match message.event.as_str() {
                "command ok" => {
                    accepted = Some(began.elapsed());
                    continue;
                }
                "command finish" => None,
                "command failed" => Some(reason_of(message.data())),
                _ => continue,
            };
            let times = serde_json::from_value(message.data()["times"].clone()).unwrap_or_default();
            let times = Times { sent: Some(sent), ..times };
            let output = message.data()["output"].as_str().unwrap_or_default().to_owned();
            return Ok(Outcome { failed, output, times, accepted, finished: began.elapsed() });
        }
    }

    /// Take the events since the last command; if the connection was lost, wait for the new one and
    /// introduce oneself.
    async fn catch_up(&mut self) -> Result<(), CommandError> {
        loop {
            let event = match (self.introduced, self.client.connected()) {
                (true, true) => match tokio::time::timeout(Duration::ZERO, self.events.next()).await {
                    Ok(event) => event,
                    Err(_) => return Ok(()),
                },
                _ => self.events.next().await,
            };
            match event {
                None => return Err(EmitError::Closed.into()),
                Some(Event::Disconnected { reason, retrying: false }) => {
                    return Err(CommandError::Lost(reason));
                }
                Some(Event::Disconnected { .. }) => self.introduced = false,
                Some(Event::Connected { .. }) => {
                    self.introduced = false;
                    let _ = self.client.emit("query", &[self.membership.introduction()]).await;
                }
                Some(Event::Message(message)) => match introduction_answer("query", &message) {
                    Some(Ok(())) => self.introduced = true,
                    Some(Err(reason)) => return Err(CommandError::Refused(reason)),
                    None => {}
                },
            }
        }
    }

    /// Leave the relay.
    pub async fn close(self) {
        self.client.disconnect().await;
    }
}
