//! `cloverleaf octane`: talks to OCTANE servers.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Failed, interrupted, say};
use crate::auth::Key;
use crate::road::facility;
use crate::services::octane::client::{Client, ConnectError, Event, Events, Options, connect};
use crate::socketio_client::CallError;

/// How long a server may take to echo what is joined.
const ECHO: Duration = Duration::from_secs(3);

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Talk to an OCTANE server: listen, join channels, send events
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Args)]
struct Server {
    /// The server
    #[arg(
        long,
        env = "CLOVERLEAF_OCTANE_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:5000"
    )]
    server: String,

    /// The API key
    #[arg(
        long,
        env = "CLOVERLEAF_OCTANE_KEY",
        value_name = "KEY",
        default_value = "",
        hide_env_values = true
    )]
    key: String,

    /// The namespace
    #[arg(long, env = "CLOVERLEAF_OCTANE_NAMESPACE", value_name = "NAME", default_value = "/octane")]
    namespace: String,

    /// Print JSON, one value a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Join channels and print what is said on them; comes back when the connection breaks
    Listen {
        #[command(flatten)]
        server: Server,
        /// Stop after so many events
        #[arg(long, value_name = "COUNT")]
        count: Option<u64>,
        /// The channels, such as intersection or v2x_rsu_0129_parsed
        #[arg(required = true, value_name = "CHANNEL")]
        channels: Vec<String>,
    },
    /// Join channels and print the listing; fails when a channel cannot be joined
    Join {
        #[command(flatten)]
        server: Server,
        /// The channels
        #[arg(required = true, value_name = "CHANNEL")]
        channels: Vec<String>,
    },
    /// Send an event and wait until the server has taken it; fails for events that the server does not know
    Send {
        #[command(flatten)]
        server: Server,
        /// The event, such as ipc_message
        event: String,
        /// Its argument, as JSON
        data: Option<String>,
    },
    /// Say something to everybody on the channel user
    UserMessage {
        #[command(flatten)]
        server: Server,
        /// Who says it
        #[arg(long)]
        user: Option<String>,
        /// The words
        text: String,
    },
    /// Print the built-in description of a facility, to be edited and given to `serve --octane-facility`
    Facility,
    /// Read a key from standard input and print its hash, to be kept in a key file
    Hash,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Facility => std::io::stdout().write_all(facility::BUILT_IN.as_bytes())?,
            Action::Hash => {
                let mut key = String::new();
                std::io::stdin().read_to_string(&mut key).context("cannot read the key")?;
                let key: Key = key.trim_end_matches(['\r', '\n']).parse()?;
                say!("sha256 = \"{}\"", key.sha256())?;
            }
            Action::Listen { server, count, channels } => super::block_on(listen(server, count, channels))?,
            Action::Join { server, channels } => super::block_on(join(server, channels))?,
            Action::Send { server, event, data } => {
                let data = data.map(|data| serde_json::from_str(&data)).transpose();
                let data = data.map_err(|error| Failed::Usage(format!("DATA is not JSON: {error}")))?;
                super::block_on(send(server, &event, data))?;
            }
            Action::UserMessage { server, user, text } => {
                let mut data = json!({"message": text});
                if let Some(user) = user {
                    data["user"] = json!(user);
                }
                super::block_on(send(server, "user_message", Some(data)))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Server {
    async fn connect(&self, channels: Vec<String>) -> anyhow::Result<(Client, Events)> {
        let usual = Options::new(&self.server, &self.key);
        let options = Options { namespace: self.namespace.clone(), channels, ..usual };
        connect(options).await.map_err(|error| {
            let is_usage = matches!(error, ConnectError::Url(_));
            let error = anyhow::Error::from(error).context(format!("cannot connect to {}", self.server));
            if is_usage { Failed::Usage(format!("{error:#}")) } else { Failed::connection(error) }.into()
        })
    }

    fn print(&self, name: &str, data: &Value) -> std::io::Result<()> {
        if self.json { say!("{}", json!({"event": name, "data": data})) } else { say!("{name} {data}") }
    }
}

async fn listen(server: Server, count: Option<u64>, channels: Vec<String>) -> anyhow::Result<()> {
    let (client, mut events) = server.connect(channels.clone()).await?;
    let mut entry = Some(Entry::new(channels));
    let mut left = count;
    while left != Some(0) {
        let event = tokio::select! {
            event = events.next() => event,
            () = interrupted() => break,
            refused = overdue(entry.as_ref()) => return Err(refused),
        };
        match event {
            None => return Err(ended().into()),
            Some(Event::Connected) => {
                // It has been in, or nobody knows.
                entry = None;
                eprintln!("connected again");
            }
            Some(Event::Disconnected { reason, retrying: true }) => eprintln!("{reason}; trying again"),
            Some(Event::Disconnected { reason, .. }) => return Err(Failed::connection(reason).into()),
            Some(Event::Message { name, data, .. }) => {
                if let Some(waiting) = &mut entry {
                    waiting.hear(&name, &data);
                    if waiting.refused.is_some() {
                        return Err(waiting.failure());
                    }
                    entry = entry.filter(|waiting| !waiting.left.is_empty());
                }
                // What is said about the connection itself is not what was listened for.
                match name.as_str() {
                    "auth_ok" | "join" | "leave" | "channels" => {}
                    "auth_fail" => {
                        let why = format!("the server refuses the key: {}", data["message"]);
                        return Err(Failed::Connection(why).into());
                    }
                    _ => {
                        server.print(&name, &data)?;
                        left = left.map(|left| left - 1);
                    }
                }
            }
        }
    }
    client.disconnect().await;
    Ok(())
}

async fn join(server: Server, channels: Vec<String>) -> anyhow::Result<()> {
    let (client, mut events) = server.connect(channels.clone()).await?;
    let mut entry = Entry::new(channels);
    let mut next = async || match events.next().await {
        Some(Event::Disconnected { reason, .. }) => Err(Failed::connection(reason)),
        Some(Event::Message { name, data, .. }) => Ok(Some((name, data))),
        Some(Event::Connected) => Ok(None),
        None => Err(ended()),
    };
    while entry.refused.is_none() && !entry.left.is_empty() {
        let heard = tokio::select! {
            heard = next() => heard?,
            _ = overdue(Some(&entry)) => break,
        };
        if let Some((name, data)) = heard {
            entry.hear(&name, &data);
        }
    }
    // Only now, or a server that does several things at once would list what was.
    client.emit("channels", &[]).await.map_err(Failed::connection)?;
    let listing = tokio::time::timeout(TIMEOUT, async {
        loop {
            if let Some((name, data)) = next().await?
                && name == "channels"
            {
                return Ok::<_, Failed>(data);
            }
        }
    });
    let silent = || Failed::Answer("the server does not list its channels".into());
    let listing = listing.await.map_err(|_| silent())??;
    client.disconnect().await;
    if server.json {
        say!("{}", json!({"joined": entry.joined, "channels": listing["channels"]}))?;
    } else {
        for channel in &entry.joined {
            say!("joined {channel}")?;
        }
        for channel in listing["channels"].as_array().into_iter().flatten() {
            let mark = if channel["subscribed"] == true { "*" } else { " " };
            say!("{mark} {}", channel["name"].as_str().unwrap_or_default())?;
        }
    }
    if entry.left.is_empty() { Ok(()) } else { Err(entry.failure()) }
}

/// What is joined. Every channel is echoed; what is not has been refused, and servers of others say nothing about that.
struct Entry {
    joined: Vec<String>,
    /// What is still to be echoed, and until when.
    left: Vec<String>,
    deadline: Instant,
    /// Why something was refused, by a server that says so.
    refused: Option<String>,
}

impl Entry {
    fn new(channels: Vec<String>) -> Self {
        Self { joined: Vec::new(), left: channels, deadline: Instant::now() + ECHO, refused: None }
    }

    fn hear(&mut self, name: &str, data: &Value) {
        match name {
            "join" => {
                let channel = data["join"].as_str().unwrap_or_default().to_owned();
                self.left.retain(|left| *left != channel);
                if !self.joined.contains(&channel) {
                    self.joined.push(channel);
                }
            }
            "error" => self.refused = self.refused.take().or_else(|| refusal("join", name, data)),
            _ => {}
        }
    }

    /// Which channel is not joined, and why if that is known.
    fn failure(&self) -> anyhow::Error {
        let channel = self.left.first().map_or("", String::as_str);
        let unknown = || format!("the server has no channel {channel}");
        Failed::Answer(self.refused.clone().unwrap_or_else(unknown)).into()
    }
}

/// What is wrong once everything that is joined should have been echoed; never when nothing is joined.
async fn overdue(entry: Option<&Entry>) -> anyhow::Error {
    let Some(entry) = entry else { return std::future::pending().await };
    tokio::time::sleep_until(entry.deadline).await;
    entry.failure()
}

async fn send(server: Server, event: &str, data: Option<Value>) -> anyhow::Result<()> {
    let (client, mut events) = server.connect(Vec::new()).await?;
    let arguments: Vec<Value> = data.into_iter().collect();
    let mut refused = None;
    // Events that come meanwhile have to be taken, or the acknowledgement would wait behind them. One of them may say
    // that the event was refused.
    let mut heard = async |refused: &mut Option<String>| {
        while let Some(happened) = events.next().await {
            if let Event::Message { name, data, .. } = happened {
                *refused = refused.take().or_else(|| refusal(event, &name, &data));
            }
        }
    };
    tokio::select! {
        // A server may end the connection right behind its acknowledgement.
        biased;
        confirmed = client.emit_with_ack(event, &arguments, TIMEOUT) => confirmed.map_err(|error| match error {
            CallError::Timeout => {
                Failed::Answer(format!("the server did not take {event}, or does not know it: {error}"))
            }
            error => Failed::connection(error),
        })?,
        () = heard(&mut refused) => return Err(ended().into()),
    }
    // What was said before the acknowledgement is there by now.
    heard(&mut refused).now_or_never();
    client.disconnect().await;
    if let Some(refused) = refused {
        return Err(Failed::Answer(format!("the server refuses {event}: {refused}")).into());
    }
    if server.json {
        say!("{}", json!({"sent": event}))?;
    }
    Ok(())
}

fn ended() -> Failed {
    Failed::Connection("the server ended the connection".into())
}

/// Why `event` was refused, if that is what the server says.
fn refusal(event: &str, name: &str, data: &Value) -> Option<String> {
    let is_it = name == "error" && data["event"] == event;
    is_it.then(|| data["message"].as_str().unwrap_or("it does not say why").to_owned())
}
