//! Opening a connection.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloverleaf_core::dfx::Action;
use http::HeaderValue;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Error as WsError};
use tokio_tungstenite::{Connector, connect_async_tls_with_config};

use super::table::Table;
use super::{CallError, DfxClient, QUEUED, link};
use crate::services::dfx::events::{Body, Encoding, Token};

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
    /// Not a `ws://` or `wss://` URL, or a token that no header can hold.
    #[error("the URL or the token cannot be used: {0}")]
    Invalid(String),
    /// The server answered, but not with a WebSocket.
    #[error("the server refused the WebSocket with status {0}")]
    Refused(http::StatusCode),
    /// No server, no TLS, or no WebSocket.
    #[error("cannot connect")]
    Transport(#[source] Box<WsError>),
    /// The server did not answer in time.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
    /// The server refused the token.
    #[error("cannot log in")]
    Login(#[source] CallError),
}

/// What to connect to, and how.
#[derive(Clone)]
pub struct Connect {
    /// `ws://` or `wss://`, host, port, path.
    pub url: String,
    /// A device's or a user's token.
    pub token: String,
    /// The subprotocol to offer.
    pub protocol: Protocol,
    /// How the token is presented.
    pub login: Login,
    /// How long to wait for the connection, and for each reply.
    pub timeout: Duration,
    /// How many calls may wait for their replies at once; more wait their turn.
    pub in_flight: usize,
    /// How many subscriptions may be open at once.
    pub subscriptions: usize,
    /// The longest message that is taken, in bytes.
    pub max_message: usize,
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
    /// JSON, the token in the header, 30 seconds of patience, 4096 calls and as many subscriptions, 16 MiB.
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
            roots: None,
        }
    }

    /// Connects, and logs in if that takes a message.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(self) -> Result<DfxClient, ConnectError> {
        let patience = self.timeout;
        tokio::time::timeout(patience, self.open()).await.unwrap_or(Err(ConnectError::TimedOut(patience)))
    }

    async fn open(self) -> Result<DfxClient, ConnectError> {
        let request = self.request()?;
        let mut config = WebSocketConfig::default();
        config.max_message_size = Some(self.max_message);
        config.max_frame_size = Some(self.max_message);
        let connector = self.url.starts_with("wss://").then(|| Connector::Rustls(Arc::new(self.tls())));
        let connected = connect_async_tls_with_config(request, Some(config), true, connector).await;
        let (socket, _) = connected.map_err(|error| match error {
            WsError::Http(response) => ConnectError::Refused(response.status()),
            error @ WsError::Url(_) => ConnectError::Invalid(error.to_string()),
            error => ConnectError::Transport(Box::new(error)),
        })?;
        let table = Arc::new(Table::new(self.in_flight.saturating_add(self.subscriptions)));
        let (outgoing, frames) = mpsc::channel(QUEUED);
        link::spawn(socket, Arc::clone(&table), frames);
        let in_flight = Arc::new(Semaphore::new(self.in_flight));
        let client = DfxClient { table, outgoing, in_flight, connect: Arc::new(self) };
        if client.connect.login == Login::FirstMessage {
            let token = Token { token: client.connect.token.clone() };
            let body = token.encode(client.encoding());
            client.call(Action::LOGIN_WITH_TOKEN, &body).await.map_err(ConnectError::Login)?;
        }
        Ok(client)
    }

    fn request(&self) -> Result<tungstenite::handshake::client::Request, ConnectError> {
        let invalid = |error: &dyn fmt::Display| ConnectError::Invalid(error.to_string());
        if !self.url.starts_with("ws://") && !self.url.starts_with("wss://") {
            return Err(invalid(&"the scheme is not ws or wss"));
        }
        let mut request = self.url.as_str().into_client_request().map_err(|e| invalid(&e))?;
        let headers = request.headers_mut();
        if self.login == Login::Header {
            let mut value =
                HeaderValue::try_from(format!("Bearer {}", self.token)).map_err(|e| invalid(&e))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if self.protocol != Protocol::Unnamed {
            let name = self.protocol.encoding().subprotocol();
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
        }
        Ok(request)
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
