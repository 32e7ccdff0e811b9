//! A Socket.IO 5 client over one WebSocket (Engine.IO 4).
//!
//! ```no_run
//! use cloverleaf::socketio_client::{self, Event, Options};
//! use serde_json::json;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut options = Options::new("http://127.0.0.1:5000/relay")?;
//! options.auth = Some(json!({"token": "let me in"}));
//! let (client, mut events) = socketio_client::connect(options).await?;
//! client.emit("query", &[json!({"monitor_id": "0123456789abcdef0123456789abcdef"})]).await?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Message(message) => println!("{} {:?}", message.event, message.args),
//!         Event::Disconnected { reason, retrying } => println!("{reason} (trying again: {retrying})"),
//!         Event::Connected { sid } => println!("back as {sid}"),
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! * **One task** owns the socket. [`Client`] (cheap to clone) hands it what to send, [`Events`] receives.
//! * **Heartbeats** are answered, and a server that stays silent for its own ping interval plus timeout is
//!   taken for dead.
//! * **Reconnecting** follows [`Options::reconnect`]. What the server itself ends is final, as in
//!   `socket.io-client`: a refused namespace always, a closed one unless [`Options::return_after_close`].
//! * **Nothing outlives its connection**: what was queued when the link broke is not sent on the next one
//!   (a command must not run minutes late), and its callers are told.
//! * **Bounded**: [`Options::queue`] packets towards the server (then [`Client::emit`] waits), as many
//!   events towards the application (then the socket is not read, and a reader that stalls for longer than
//!   a heartbeat loses the connection), one message of [`Options::max_message`] bytes.
//! * Binary attachments are received ([`Message::attachments`]), never sent. Polling is not spoken: every
//!   server this client is for accepts a WebSocket at once.

mod backoff;
mod handshake;
mod link;
mod packet;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

pub use backoff::Backoff;
pub use handshake::{ConnectError, UrlError};
pub use packet::Malformed;

use link::{Link, Order};

/// Whom to connect to, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// `http`, `https`, `ws` or `wss`, with host and port: `http://127.0.0.1:5000`.
    pub url: String,
    /// The namespace to join, with its slash. Default `/`.
    pub namespace: String,
    /// Where the server answers. Default `/socket.io/`.
    pub path: String,
    /// Added to the query string of the handshake.
    pub query: Vec<(String, String)>,
    /// Added to the headers of the handshake.
    pub headers: Vec<(String, String)>,
    /// The auth payload of the namespace.
    pub auth: Option<Value>,
    /// For the whole handshake: TCP, TLS, WebSocket, Engine.IO, namespace. Default 10 s.
    pub connect_timeout: Duration,
    /// Whether and how to come back after the link broke. Default `Some`, for ever.
    pub reconnect: Option<Backoff>,
    /// Come back also after the server closed the namespace. Default `false`, as in `socket.io-client`.
    pub return_after_close: bool,
    /// Packets towards the server and events towards the application that may wait. Default 1024.
    pub queue: usize,
    /// The largest message accepted, in bytes. Default 1 MiB.
    pub max_message: usize,
}

impl Options {
    /// The defaults for a server. As in `socket.io-client` a path in `url` names the namespace:
    /// `http://host:5000/relay` joins `/relay`.
    ///
    /// # Errors
    /// When `url` is not an absolute URL of one of the four schemes.
    pub fn new(url: &str) -> Result<Self, UrlError> {
        let (url, namespace) = handshake::split_url(url)?;
        Ok(Self {
            url,
            namespace,
            path: "/socket.io/".to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            auth: None,
            connect_timeout: Duration::from_secs(10),
            reconnect: Some(Backoff::default()),
            return_after_close: false,
            queue: 1024,
            max_message: 1 << 20,
        })
    }
}

/// Connect, join the namespace, and keep the connection as [`Options::reconnect`] says.
///
/// # Errors
/// When this first connection fails; it is not retried (a [`Backoff`] can pace one's own loop).
pub async fn connect(options: Options) -> Result<(Client, Events), ConnectError> {
    let connection = handshake::connect(&options).await?;
    let (orders, order_queue) = mpsc::channel(options.queue.max(1));
    let (events, event_queue) = mpsc::channel(options.queue.max(1));
    let shared = Arc::new(Shared {
        namespace: options.namespace.clone(),
        epoch: AtomicU64::new(1),
        next_ack: AtomicU64::new(0),
    });
    let sid = connection.sid.clone();
    let client = Client { orders: orders.clone(), shared: shared.clone() };
    // The link holds only a weak sender (for replies), so it ends when the last client is dropped.
    let link = Link::new(options, shared, order_queue, orders.downgrade(), events);
    tokio::spawn(link.run(connection));
    Ok((client, Events { queue: event_queue, sid }))
}

/// What the clients and the link know in common.
#[derive(Debug)]
struct Shared {
    namespace: String,
    /// Odd while connected; every connection and every loss adds one.
    epoch: AtomicU64,
    next_ack: AtomicU64,
}

impl Shared {
    /// The number of the current connection.
    fn connection(&self) -> Option<u64> {
        let epoch = self.epoch.load(Ordering::Acquire);
        (epoch % 2 == 1).then_some(epoch)
    }
}

/// The sending half; clones share the connection. Dropping the last one leaves and closes.
#[derive(Debug, Clone)]
pub struct Client {
    orders: mpsc::Sender<Order>,
    shared: Arc<Shared>,
}

/// Why something was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// There is no connection now; [`Event::Connected`] tells when there is one again.
    #[error("not connected")]
    NotConnected,
    /// The connection is over and will not come back.
    #[error("the connection is closed")]
    Closed,
}

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It was not sent.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The connection was lost first; the server may or may not have acted.
    #[error("the connection was lost before the answer came")]
    Disconnected,
    /// No answer in time; a later one is ignored.
    #[error("no answer in time")]
    Timeout,
    /// As many calls as [`Options::queue`] already wait for their answers.
    #[error("too many calls are waiting for their answers")]
    TooMany,
}

impl Client {
    /// Send an event. Waits while the queue is full; `Ok` means queued, in the order of the calls.
    ///
    /// # Errors
    /// [`EmitError`] when there is no connection.
    pub async fn emit(&self, event: &str, args: &[Value]) -> Result<(), EmitError> {
        let connection = self.connection()?;
        let text = packet::emit_event(&self.shared.namespace, None, event, args);
        self.orders.send(Order::Send { connection, text }).await.map_err(|_| EmitError::Closed)
    }

    /// Send an event on the connection that `message` came by: for reports that would mean something else
    /// on a later one.
    ///
    /// # Errors
    /// [`EmitError::NotConnected`] when that connection is lost.
    pub async fn answer(&self, message: &Message, event: &str, args: &[Value]) -> Result<(), EmitError> {
        let connection = self.connection()?;
        if connection != message.connection {
            return Err(EmitError::NotConnected);
        }
        let text = packet::emit_event(&self.shared.namespace, None, event, args);
        self.orders.send(Order::Send { connection, text }).await.map_err(|_| EmitError::Closed)
    }

    /// Send an event and wait for the server's acknowledgement: its arguments.
    ///
    /// # Errors
    /// [`CallError`]; after `timeout` at the latest.
    pub async fn call(
        &self,
        event: &str,
        args: &[Value],
        timeout: Duration,
    ) -> Result<Vec<Value>, CallError> {
        let connection = self.connection()?;
        let id = self.shared.next_ack.fetch_add(1, Ordering::Relaxed);
        let text = packet::emit_event(&self.shared.namespace, Some(id), event, args);
        let (answer, answered) = oneshot::channel();
        let exchange = async {
            let order = Order::Call { connection, text, id, answer };
            self.orders.send(order).await.map_err(|_| EmitError::Closed)?;
            answered.await.unwrap_or(Err(CallError::Disconnected))
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(CallError::Timeout))
    }

    /// Leave the namespace and close, after everything queued before has been sent. Returns when the
    /// socket is closed.
    pub async fn disconnect(&self) {
        let (done, closed) = oneshot::channel();
        if self.orders.send(Order::Close { done }).await.is_ok() {
            // An error means that the link ended first, which is what was asked for.
            let _ = closed.await;
        }
    }

    /// Whether there is a connection at this moment.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.shared.connection().is_some() && !self.orders.is_closed()
    }

    /// Whether the connection that `message` came by still stands.
    #[must_use]
    pub fn is_current(&self, message: &Message) -> bool {
        self.shared.connection() == Some(message.connection)
    }

    fn connection(&self) -> Result<u64, EmitError> {
        if self.orders.is_closed() {
            return Err(EmitError::Closed);
        }
        self.shared.connection().ok_or(EmitError::NotConnected)
    }
}

/// The receiving half. Dropping it discards events from then on; the connection stays.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Receiver<Event>,
    sid: String,
}

impl Events {
    /// The next event; `None` once the connection is over for good. May be cancelled without loss.
    pub async fn next(&mut self) -> Option<Event> {
        self.queue.recv().await
    }

    /// The id that the server gave this socket when it first connected.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.sid
    }
}

/// What happens on a connection.
#[derive(Debug)]
pub enum Event {
    /// The server sent an event.
    Message(Message),
    /// Connected **again**, under a new id; rooms, logins and registrations must be made anew.
    Connected {
        /// The id that the server gave this socket.
        sid: String,
    },
    /// The connection is lost.
    Disconnected {
        /// Why.
        reason: Disconnect,
        /// Whether [`Event::Connected`] may follow; otherwise this is the last event.
        retrying: bool,
    },
}

/// An event sent by the server.
#[derive(Debug)]
pub struct Message {
    /// Its name.
    pub event: String,
    /// Its arguments. An attachment is `{"_placeholder": true, "num": n}` here.
    pub args: Vec<Value>,
    /// The binary attachments, in the order of their numbers; at most 16.
    pub attachments: Vec<Bytes>,
    /// Answers the event, when the server asked for an acknowledgement.
    pub reply: Option<Reply>,
    /// Which connection it came by.
    connection: u64,
}

impl Message {
    /// The first argument; `null` when there is none.
    #[must_use]
    pub fn data(&self) -> &Value {
        self.args.first().unwrap_or(&Value::Null)
    }
}

/// The acknowledgement that the server waits for.
#[derive(Debug)]
pub struct Reply {
    id: u64,
    connection: u64,
    orders: mpsc::WeakSender<Order>,
    shared: Arc<Shared>,
}

impl Reply {
    /// Answer. Waits while the queue is full.
    ///
    /// # Errors
    /// [`EmitError::Closed`] when the connection is over.
    pub async fn send(self, args: &[Value]) -> Result<(), EmitError> {
        let text = packet::emit_ack(&self.shared.namespace, self.id, args);
        let orders = self.orders.upgrade().ok_or(EmitError::Closed)?;
        orders.send(Order::Send { connection: self.connection, text }).await.map_err(|_| EmitError::Closed)
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disconnect {
    /// [`Client::disconnect`] was called, or every [`Client`] dropped.
    #[error("closed by this side")]
    Client,
    /// The server closed the namespace.
    #[error("the server closed the namespace")]
    Server,
    /// The server refused the namespace when this side came back.
    #[error("the server refused to let this side back in: {0}")]
    Refused(String),
    /// The link closed or broke.
    #[error("the link closed: {0}")]
    Link(String),
    /// No heartbeat of the server in time.
    #[error("no heartbeat from the server")]
    Silent,
    /// The application did not take its events for longer than a heartbeat.
    #[error("events were not taken in time")]
    Stalled,
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Malformed(#[from] Malformed),
    /// [`Backoff::attempts`] failed attempts to come back.
    #[error("gave up coming back: {0}")]
    GaveUp(String),
}
