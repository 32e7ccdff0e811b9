//! A client for OCTANE servers, real ones and this one: logs in, joins, and does both again after a reconnect.
//!
//! ```no_run
//! # async fn example() -> Result<(), cloverleaf::services::octane::client::ConnectError> {
//! use cloverleaf::services::octane::client::{Event, Options, connect};
//!
//! let options = Options { channels: vec!["intersection".into()], ..Options::new("http://localhost:5000", "key") };
//! let (client, mut events) = connect(options).await?;
//! while let Some(Event::Message { name, data, reply }) = events.next().await {
//!     println!("{name} {data}");
//!     if let Some(reply) = reply.filter(|_| name == "robot_proxy") {
//!         // What a robot returns for a command; an error is that of a connection that is lost meanwhile.
//!         let _ = reply.send(&[serde_json::json!({"percent": 87})]).await;
//!     }
//! }
//! # drop(client);
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::handlers::NAMESPACE;
use crate::socketio_client::{self, Backoff, CallError, Disconnect, EmitError, Reply, UrlError};

/// How long a server may take to say whether a key is good.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Whom to connect to, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// `http://host:5000`.
    pub url: String,
    /// The namespace; `/octane` everywhere so far.
    pub namespace: String,
    /// The key; a server that needs none takes any.
    pub key: String,
    /// What to join, after every login.
    pub channels: Vec<String>,
    /// Whether and how to come back after the connection broke.
    pub reconnect: Option<Backoff>,
}

impl Options {
    /// The usual for a server and a key.
    pub fn new(url: &str, key: &str) -> Self {
        Self {
            url: url.to_owned(),
            namespace: NAMESPACE.to_owned(),
            key: key.to_owned(),
            channels: Vec::new(),
            reconnect: Some(Backoff::default()),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL cannot be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The server cannot be reached, or does not speak Socket.IO.
    #[error(transparent)]
    Connect(#[from] socketio_client::ConnectError),
    /// The key is not good.
    #[error("the server refuses the key: {0}")]
    Refused(String),
    /// The connection broke, or the server did not say whether the key is good.
    #[error("the server did not answer the login")]
    Silent,
}

/// What happens.
#[derive(Debug)]
pub enum Event {
    /// The server said something.
    Message {
        /// The event.
        name: String,
        /// Its argument.
        data: Value,
        /// Returns something to a server that asked for it, as it asks robots.
        reply: Option<Reply>,
    },
    /// The connection is lost.
    Disconnected {
        /// Why.
        reason: Disconnect,
        /// Whether it will be tried again.
        retrying: bool,
    },
    /// There is a connection again; the login has been sent, and the joins follow when it succeeds.
    Connected,
}

/// The speaking half.
#[derive(Clone, Debug)]
pub struct Client {
    client: socketio_client::Client,
    joined: Arc<Mutex<BTreeSet<String>>>,
}

/// The listening half.
#[derive(Debug)]
pub struct Events {
    events: socketio_client::Events,
    client: Client,
    key: String,
    /// What has happened and was not handed out yet.
    next: Option<Event>,
}

/// Connects, logs in, and joins.
///
/// # Errors
/// When the first connection or login fails; later ones are tried again as [`Options::reconnect`] says.
pub async fn connect(options: Options) -> Result<(Client, Events), ConnectError> {
    let base = socketio_client::Options::new(&options.url)?;
    let socket =
        socketio_client::Options { namespace: options.namespace, reconnect: options.reconnect, ..base };
    let (client, events) = socketio_client::connect(socket).await?;
    let joined = Arc::new(Mutex::new(options.channels.into_iter().collect()));
    let client = Client { client, joined };
    let mut events = Events { events, client: client.clone(), key: options.key, next: None };
    tokio::time::timeout(TIMEOUT, events.log_in()).await.unwrap_or(Err(ConnectError::Silent))?;
    Ok((client, events))
}

impl Client {
    /// Joins a channel, now and after every reconnect. The server echoes a `join`.
    ///
    /// # Errors
    /// When there is no connection at this moment; it is joined as soon as there is one again.
    pub async fn join(&self, channel: &str) -> Result<(), EmitError> {
        self.joined().insert(channel.to_owned());
        self.emit("join", &[json!({"channel": channel})]).await
    }

    /// Leaves a channel for good.
    ///
    /// # Errors
    /// When there is no connection at this moment; it is not joined again then.
    pub async fn leave(&self, channel: &str) -> Result<(), EmitError> {
        self.joined().remove(channel);
        self.emit("leave", &[json!({"channel": channel})]).await
    }

    /// Sends any event.
    ///
    /// # Errors
    /// When there is no connection at this moment.
    pub async fn emit(&self, event: &str, arguments: &[Value]) -> Result<(), EmitError> {
        self.client.emit(event, arguments).await
    }

    /// Sends any event, and waits until the server has taken it.
    ///
    /// # Errors
    /// When it is not acknowledged in time.
    pub async fn emit_with_ack(
        &self,
        event: &str,
        arguments: &[Value],
        timeout: Duration,
    ) -> Result<(), CallError> {
        self.client.call(event, arguments, timeout).await.map(drop)
    }

    /// Leaves, after everything sent before has gone.
    pub async fn disconnect(&self) {
        self.client.disconnect().await;
    }

    /// A connection that is lost meanwhile is told of by the next event.
    async fn show_key(&self, key: &str) {
        if let Err(error) = self.emit("auth", &[json!({"x-api-key": key})]).await {
            tracing::debug!(%error, "the key was not sent");
        }
    }

    async fn join_all(&self) {
        let channels: Vec<String> = self.joined().iter().cloned().collect();
        for channel in channels {
            if let Err(error) = self.emit("join", &[json!({"channel": channel})]).await {
                tracing::debug!(%error, channel, "not joined again");
            }
        }
    }

    fn joined(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events {
    /// What happens next; none once the connection is over for good. Logs in and joins again on the way, so it has to
    /// be called for that to happen. Nothing is lost when it is dropped before it is ready.
    pub async fn next(&mut self) -> Option<Event> {
        if self.next.is_none() {
            self.next = Some(match self.events.next().await? {
                socketio_client::Event::Message(message) => {
                    let data = message.data().clone();
                    Event::Message { name: message.event, data, reply: message.reply }
                }
                socketio_client::Event::Connected { .. } => Event::Connected,
                socketio_client::Event::Disconnected { reason, retrying } => {
                    Event::Disconnected { reason, retrying }
                }
            });
        }
        // This may be cut short, and is begun anew by the next call: it does no harm when it is said twice.
        match &self.next {
            Some(Event::Message { name, .. }) if name == "auth_ok" => self.client.join_all().await,
            Some(Event::Connected) => self.client.show_key(&self.key).await,
            _ => {}
        }
        self.next.take()
    }

    async fn log_in(&mut self) -> Result<(), ConnectError> {
        self.client.show_key(&self.key).await;
        while let Some(event) = self.next().await {
            match event {
                Event::Message { name, .. } if name == "auth_ok" => return Ok(()),
                Event::Message { name, data, .. } if name == "auth_fail" => {
                    let why = data["message"].as_str().unwrap_or("it does not say why").to_owned();
                    return Err(ConnectError::Refused(why));
                }
                _ => {}
            }
        }
        Err(ConnectError::Silent)
    }
}
