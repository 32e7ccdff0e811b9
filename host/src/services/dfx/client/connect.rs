//! Opening a connection.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloverleaf_core::dfx::Action;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::{Semaphore, mpsc};

use super::table::Table;
use super::{CallError, DfxClient, QUEUED, link};
use crate::services::dfx::events::{Body, Encoding, Token};
use crate::ws::client::{Handshake, HandshakeError};

/// The subprotocol to offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// `json`
    #[default]
    Json,
    /// `proto`
    Proto,
    /// None, as the first clients: protobuf.
    Unnamed,
}

impl Protocol {
    pub(super) fn encoding(self) -> Encoding {
        match self {
            Self::Json => Encoding::Json,
            Self::Proto | Self::Unnamed => Encoding::Proto,
        }
    }
}

/// How the token is presented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Login {
    /// In the `Authorization` header of the handshake.
    #[default]
    Header,
    /// With action 0718, whose reply is waited for before the client is given out.
    FirstMessage,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not a `ws://` or `wss://` URL, a token that no header can hold, or more places than there may be.
    #[error("cannot connect with these options: {0}")]
    Invalid(String),
    /// The server answered, but not with a WebSocket.
    #[error("the server refused the WebSocket with status {0}")]
    Refused(http::StatusCode),
    /// The server's answer is not one to what it was asked.
    #[error("the server's handshake is wrong: {0}")]
    Wrong(&'static str),
    /// No server, no TLS, or no HTTP.
    #[error("cannot connect")]
    Transport(#[source] reqwest::Error),
    /// The server did not answer in time.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
    /// The server refused the token.
    #[error("cannot log in")]
    Login(#[source] CallError),
}

impl From<HandshakeError> for ConnectError {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Url(reason) => Self::Invalid(reason),
            HandshakeError::Refused(status) => Self::Refused(status),
            HandshakeError::Wrong(reason) => Self::Wrong(reason),
            HandshakeError::Transport(error) => Self::Transport(error),
        }
    }
}

/// The most calls and subscriptions that one connection can have at once: their places are made when it is opened.
pub const MOST: usize = 65_536;

/// What to connect to, and how.
#[derive(Clone)]
pub struct Connect {
    /// `ws://`, `wss://`, `http://` or `https://`, host, port, path.
    pub url: String,
    /// A device's or a user's token.
    pub token: String,
    /// The subprotocol to offer.
    pub protocol: Protocol,
    /// How the token is presented.
    pub login: Login,
    /// How long to wait for the connection, and for each reply.
    pub timeout: Duration,
    /// How many calls may wait for their replies at once, 1 to [`MOST`]; more wait their turn.
    pub in_flight: usize,
    /// How many subscriptions may be open at once, 0 to [`MOST`].
    pub subscriptions: usize,
    /// The longest message that is taken, in bytes; of a longer one only its call fails.
    pub max_message: usize,
    /// Whether to offer `permessage-deflate`. Then the server may compress, and requests with JSON bodies of up to
    /// 256 KiB are compressed where that helps.
    pub deflate: bool,
    /// The certificates that `wss://` trusts; those of Mozilla if none are given.
    pub roots: Option<RootCertStore>,
}

/// Shows everything but the token.
impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("url", &self.url)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

impl Connect {
    /// JSON, compressed, the token in the header, a timeout of 30 seconds, 4096 calls and as many subscriptions, 16 MiB.
    pub fn new(url: &str, token: &str) -> Self {
        Self {
            url: url.to_owned(),
            token: token.to_owned(),
            protocol: Protocol::default(),
            login: Login::default(),
            timeout: Duration::from_secs(30),
            in_flight: 4096,
            subscriptions: 4096,
            max_message: 16 << 20,
            deflate: true,
            roots: None,
        }
    }

    /// Connects, and logs in if that takes a message.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(self) -> Result<DfxClient, ConnectError> {
        let limit = self.timeout;
        tokio::time::timeout(limit, self.open()).await.unwrap_or(Err(ConnectError::TimedOut(limit)))
    }

    async fn open(self) -> Result<DfxClient, ConnectError> {
        if !(1..=MOST).contains(&self.in_flight) || self.subscriptions > MOST {
            let reason = format!("in_flight is 1 to {MOST}, subscriptions 0 to {MOST}");
            return Err(ConnectError::Invalid(reason));
        }
        let handshake = Handshake {
            url: self.url.clone(),
            headers: self.headers()?,
            protocol: (self.protocol != Protocol::Unnamed).then(|| self.protocol.encoding().subprotocol()),
            deflate: self.deflate,
            limit: self.max_message,
            tls: self.tls(),
        };
        let halves = handshake.connect().await?;
        let table = Arc::new(Table::new(&self));
        let (outgoing, frames) = mpsc::channel(QUEUED);
        link::spawn(halves, self.protocol.encoding(), Arc::clone(&table), frames);
        let in_flight = Arc::new(Semaphore::new(self.in_flight));
        let client = DfxClient { table, outgoing, in_flight, connect: Arc::new(self) };
        if client.connect.login == Login::FirstMessage {
            let token = Token { token: client.connect.token.clone() };
            let body = token.encode(client.encoding());
            client.call(Action::LOGIN_WITH_TOKEN, &body).await.map_err(ConnectError::Login)?;
        }
        Ok(client)
    }

    fn headers(&self) -> Result<HeaderMap, ConnectError> {
        let mut headers = HeaderMap::new();
        if self.login == Login::Header {
            let value = HeaderValue::try_from(format!("Bearer {}", self.token));
            let mut value =
                value.map_err(|_| ConnectError::Invalid("no header can hold the token".into()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }

    fn tls(&self) -> ClientConfig {
        let roots = self
            .roots
            .clone()
            .unwrap_or_else(|| RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        // The provider has every default version: the error cannot come.
        config.unwrap_or_else(|_| ClientConfig::builder()).with_root_certificates(roots).with_no_client_auth()
    }
}
