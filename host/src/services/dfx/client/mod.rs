//! A client of the DFX API: many measurements on one connection, each reply to its caller, each result to its
//! subscriber.
//!
//! ```no_run
//! use cloverleaf::services::dfx::client::DfxClient;
//! use cloverleaf::services::dfx::events::Create;
//! use futures_util::StreamExt;
//!
//! # async fn measure(chunk: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
//! let client = DfxClient::connect("ws://127.0.0.1:5000/dfx", "token").await?;
//! let measurement = client.create_measurement(&Create::default()).await?;
//! let mut results = client.subscribe(&measurement).await?;
//! client.add_data(&measurement, "LAST::PROCESS".parse()?, chunk).await?;
//! while let Some(outcome) = results.next().await {
//!     println!("{:?}", outcome?.values("HR_BPM").next());
//! }
//! # Ok(()) }
//! ```
//!
//! [`Measurement`] adds what a long recording needs: pacing, and a new measurement when one is closed.
//!
//! **Bounds:** [`Connect::in_flight`] calls (more wait their turn), [`QUEUED`] frames before the socket,
//! [`Connect::max_message`] bytes a message (a longer one is read past, and fails only its call), [`UNREAD`] results a
//! subscription and [`UNREAD_BYTES`] of them (of more, the oldest are dropped and counted), a minute without a byte from the server, which is pinged meanwhile. A call that is dropped or times out leaves nothing behind.

mod connect;
mod link;
mod measurement;
mod queue;
mod results;
mod table;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloverleaf_core::dfx::{Action, Full, ParseError, Status};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

pub use connect::{Connect, ConnectError, Login, MOST, Protocol};
pub use measurement::{Measurement, Pace};
pub use queue::{UNREAD, UNREAD_BYTES};
pub use results::{ResultError, Results};

use super::events::{
    BadBody, Body, ChunkAction, Create, Created, Data, DataAck, Encoding, Failure, Params, Subscribe, code,
};
use link::Outgoing;
use table::Table;

/// How many frames may wait before the socket.
pub const QUEUED: usize = 16;

/// The shortest chunk of the real server, which does not say when to try again.
const CHUNK: Duration = Duration::from_secs(5);

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// How it went; below 400.
    pub status: Status,
    /// The body, as the connection's encoding has it.
    pub body: Vec<u8>,
}

/// Why a call failed. Other calls on the connection go on, but after [`Closed`](Self::Closed).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The connection is gone; [`DfxClient::reconnect`] makes another.
    #[error("the connection is closed: {0}")]
    Closed(Arc<str>),
    /// As many subscriptions are open as [`Connect::subscriptions`] allows.
    #[error(transparent)]
    Full(#[from] Full),
    /// No reply in time.
    #[error("no reply within {0:?}")]
    TimedOut(Duration),
    /// The chunk came too fast: wait as long before sending it again.
    #[error("faster than the measurement may go ({}); retry after {retry_after:?}", failure.message)]
    RateLimited {
        /// How long to wait: what the server said, else the length of a chunk, five seconds.
        retry_after: Duration,
        /// What the server said.
        failure: Failure,
    },
    /// The measurement has ended; create another.
    #[error("the measurement is closed: {}", .0.message)]
    MeasurementClosed(Failure),
    /// The token has run out; renew it and [reconnect](DfxClient::reconnect).
    #[error("the token has expired: {}", .0.message)]
    TokenExpired(Failure),
    /// The server refused for another reason.
    #[error("{} {} {}", status, failure.code, failure.message)]
    Refused {
        /// The status, 400 or above.
        status: Status,
        /// What the server said.
        failure: Failure,
    },
    /// The reply is no response, but its first ten bytes are the id of the call.
    #[error("the reply is no frame: {0}")]
    BadFrame(ParseError),
    /// The reply is longer than [`Connect::max_message`].
    #[error("the reply is longer than {0} bytes")]
    TooLong(usize),
    /// The reply is not what it should be.
    #[error("the reply is {0}")]
    BadReply(#[from] BadBody),
}

impl CallError {
    /// The error that a response of this status and body is.
    fn of(encoding: Encoding, status: Status, body: &[u8]) -> Self {
        let failure = Failure::decode(encoding, body).unwrap_or_else(|_| Failure {
            message: String::from_utf8_lossy(body).chars().take(200).collect(),
            ..Failure::default()
        });
        match failure.code.as_str() {
            code::RATE_LIMIT => {
                let retry_after = failure.retry_after_ms.map_or(CHUNK, Duration::from_millis);
                Self::RateLimited { retry_after, failure }
            }
            code::MEASUREMENT_CLOSED => Self::MeasurementClosed(failure),
            code::TOKEN_EXPIRED => Self::TokenExpired(failure),
            _ => Self::Refused { status, failure },
        }
    }
}

/// One connection; clones share it. It closes when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct DfxClient {
    table: Arc<Table>,
    outgoing: mpsc::Sender<Outgoing>,
    in_flight: Arc<Semaphore>,
    connect: Arc<Connect>,
}

impl DfxClient {
    /// Connects to `url` (`ws://` or `wss://`) with JSON bodies and the token in the handshake.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(url: &str, token: &str) -> Result<Self, ConnectError> {
        Connect::new(url, token).connect().await
    }

    /// Connects again as before, with this token: after [`CallError::Closed`] or [`CallError::TokenExpired`].
    /// Calls and subscriptions of this connection do not move; subscribe again on the new one.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn reconnect(&self, token: &str) -> Result<Self, ConnectError> {
        let connect = Connect { token: token.to_owned(), ..Connect::clone(&self.connect) };
        connect.connect().await
    }

    /// The same connection with this timeout for each reply.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let connect = Connect { timeout, ..Connect::clone(&self.connect) };
        Self { connect: Arc::new(connect), ..self.clone() }
    }

    /// How bodies are written on this connection.
    pub fn encoding(&self) -> Encoding {
        self.connect.protocol.encoding()
    }

    /// Asks for `action` and waits for the reply. Safe to drop while waiting: the call is forgotten, and its reply
    /// is counted as [unknown](Self::unknown_count).
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(&self, action: Action, body: &[u8]) -> Result<Reply, CallError> {
        self.send(action, body.to_vec()).await
    }

    /// The body goes to the socket as it is: it is not copied.
    async fn send(&self, action: Action, body: Vec<u8>) -> Result<Reply, CallError> {
        let limit = self.connect.timeout;
        let answered = timeout(limit, async {
            let _turn = self.in_flight.acquire().await.map_err(|_| self.table.closed())?;
            let call = self.table.call(action)?;
            let frame = Outgoing::Frame { action, id: call.id(), body };
            self.outgoing.send(frame).await.map_err(|_| self.table.closed())?;
            call.reply().await
        });
        let reply = answered.await.unwrap_or(Err(CallError::TimedOut(limit)))?;
        if reply.status.is_error() {
            return Err(CallError::of(self.encoding(), reply.status, &reply.body));
        }
        Ok(reply)
    }

    async fn ask<T: Body>(&self, action: Action, body: &impl Body) -> Result<T, CallError> {
        let reply = self.send(action, body.encode(self.encoding())).await?;
        Ok(T::decode(self.encoding(), &reply.body)?)
    }

    /// Starts a measurement and gives its id.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn create_measurement(&self, create: &Create) -> Result<String, CallError> {
        let Created { id } = self.ask(Action::CREATE, create).await?;
        Ok(id)
    }

    /// Asks for the results of a measurement. They are received from before the request is sent until the
    /// stream is dropped.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn subscribe(&self, measurement: &str) -> Result<Results, CallError> {
        let results = self.table.subscribe(self.encoding())?;
        let request_id = results.id().to_string();
        let subscribe = Subscribe { params: Params { id: measurement.to_owned() }, request_id };
        self.send(Action::SUBSCRIBE_RESULTS, subscribe.encode(self.encoding())).await?;
        Ok(results)
    }

    /// Adds a chunk to a measurement and waits until the server has it.
    ///
    /// # Errors
    /// [`CallError`]; [`RateLimited`](CallError::RateLimited) and
    /// [`MeasurementClosed`](CallError::MeasurementClosed) say what to do.
    pub async fn add_data(
        &self,
        measurement: &str,
        action: ChunkAction,
        payload: impl Into<Bytes>,
    ) -> Result<DataAck, CallError> {
        let payload = payload.into();
        let params = Params { id: measurement.to_owned() };
        let action = action.as_str().to_owned();
        self.ask(Action::DATA, &Data { params, action, payload, ..Data::default() }).await
    }

    /// Closes the connection behind what is being sent: calls that wait fail, streams end. Gives up waiting for the
    /// server after ten seconds.
    pub async fn close(self) {
        let closing = async {
            // The only error is that the connection has gone already.
            let _ = self.outgoing.send(Outgoing::Close).await;
            self.table.wait_closed().await;
        };
        let _ = timeout(Duration::from_secs(10), closing).await;
    }

    /// Calls that wait for their replies, and subscriptions.
    pub fn open_count(&self) -> usize {
        self.table.open_count()
    }

    /// Frames that nobody waited for: late replies, and ids that were never given out.
    pub fn unknown_count(&self) -> u64 {
        self.table.unknown_count()
    }

    /// Messages that were no frames.
    pub fn malformed_count(&self) -> u64 {
        self.table.malformed_count()
    }
}
