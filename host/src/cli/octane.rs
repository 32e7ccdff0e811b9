//! `cloverleaf octane`: talks to OCTANE servers.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{Failed, interrupted, say};
use crate::auth::Key;
use crate::road::facility;
use crate::services::octane::client::{Client, Event, Events, Options, connect};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

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
                let data =
                    data.map(|data| serde_json::from_str(&data).context("DATA is not JSON")).transpose()?;
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
            let error = anyhow::Error::from(error).context(format!("cannot connect to {}", self.server));
            Failed::connection(error).into()
        })
    }

    fn print(&self, name: &str, data: &Value) -> std::io::Result<()> {
        if self.json { say!("{}", json!({"event": name, "data": data})) } else { say!("{name} {data}") }
    }
}

async fn listen(server: Server, count: Option<u64>, channels: Vec<String>) -> anyhow::Result<()> {
    let (client, mut events) = server.connect(channels).await?;
    let mut left = count;
    while left != Some(0) {
        let event = tokio::select! {
            event = events.next() => event,
            () = interrupted() => break,
        };
        match event {
            None => bail!("the server ended the connection"),
            Some(Event::Back) => eprintln!("connected again"),
            Some(Event::Lost { reason, retrying: true }) => eprintln!("{reason}; trying again"),
            Some(Event::Lost { reason, .. }) => bail!("{reason}"),
            // What is said about the connection itself is not what was listened for.
            Some(Event::Message { name, .. })
                if ["auth_ok", "join", "leave", "channels"].contains(&name.as_str()) => {}
            Some(Event::Message { name, data }) => {
                server.print(&name, &data)?;
                left = left.map(|left| left - 1);
            }
        }
    }
    client.disconnect().await;
    Ok(())
}

async fn join(server: Server, channels: Vec<String>) -> anyhow::Result<()> {
    let (client, mut events) = server.connect(channels.clone()).await?;
    // The listing is asked for behind the joins, so whatever was not echoed by then has been refused.
    client.send("channels", &[]).await?;
    let (mut joined, mut listings) = (Vec::new(), 0);
    let listing = tokio::time::timeout(PATIENCE, async {
        while let Some(event) = events.next().await {
            match event {
                Event::Message { name, data } if name == "join" => {
                    joined.extend(data["join"].as_str().map(str::to_owned));
                }
                Event::Message { name, data } if name == "channels" => {
                    listings += 1;
                    // The first comes unasked, with the login.
                    if listings == 2 {
                        return Ok(data);
                    }
                }
                Event::Lost { reason, .. } => bail!("{reason}"),
                _ => {}
            }
        }
        bail!("the server ended the connection")
    });
    let listing = listing.await.context("the server does not answer")??;
    client.disconnect().await;
    if server.json {
        say!("{}", json!({"joined": joined, "channels": listing["channels"]}))?;
    } else {
        for channel in &joined {
            say!("joined {channel}")?;
        }
        for channel in listing["channels"].as_array().into_iter().flatten() {
            let mark = if channel["subscribed"] == true { "*" } else { " " };
            say!("{mark} {}", channel["name"].as_str().unwrap_or_default())?;
        }
    }
    match channels.iter().find(|channel| !joined.contains(channel)) {
        Some(channel) => bail!("the server has no channel {channel}"),
        None => Ok(()),
    }
}

async fn send(server: Server, event: &str, data: Option<Value>) -> anyhow::Result<()> {
    let (client, mut events) = server.connect(Vec::new()).await?;
    let arguments: Vec<Value> = data.into_iter().collect();
    let confirmed = client.confirm(event, &arguments, PATIENCE);
    // Events that come meanwhile have to be taken, or the acknowledgement would wait behind them.
    let drained = async { while events.next().await.is_some() {} };
    tokio::select! {
        confirmed = confirmed => confirmed.with_context(|| format!("the server did not take {event}"))?,
        () = drained => bail!("the server ended the connection"),
    }
    client.disconnect().await;
    if server.json {
        say!("{}", json!({"sent": event}))?;
    }
    Ok(())
}
