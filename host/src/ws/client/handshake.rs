//! Asking a server for a WebSocket.

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Upgraded, Url};
use rustls::ClientConfig;
use tokio::io::{ReadHalf, WriteHalf, split};

use super::{Reader, Writer};
use crate::ws::{accept, deflate, tokens};

/// What to ask a server for.
#[derive(Debug)]
pub struct Handshake {
    /// `ws://`, `wss://`, `http://` or `https://`, host, port, path.
    pub url: String,
    /// What else to send.
    pub headers: HeaderMap,
    /// The subprotocol to offer.
    pub protocol: Option<&'static str>,
    /// Whether to offer `permessage-deflate`.
    pub deflate: bool,
    /// The longest message that is taken, in bytes.
    pub limit: usize,
    /// Whom `wss://` trusts.
    pub tls: ClientConfig,
}

/// Both halves of a connection.
pub type Halves = (Reader<ReadHalf<Upgraded>>, Writer<WriteHalf<Upgraded>>);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Not such a URL.
    #[error("{0}")]
    Url(String),
    /// The server answered, but not with a WebSocket.
    #[error("the server refused the WebSocket with status {0}")]
    Refused(StatusCode),
    /// The server's answer is not one to what it was asked.
    #[error("the server's handshake is wrong: {0}")]
    Wrong(&'static str),
    /// No server, no TLS, or no HTTP.
    #[error("cannot connect")]
    Transport(#[from] reqwest::Error),
}

impl Handshake {
    /// Connects.
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub async fn connect(self) -> Result<Halves, HandshakeError> {
        let mut url = Url::parse(&self.url).map_err(|e| HandshakeError::Url(e.to_string()))?;
        let scheme = match url.scheme() {
            "ws" | "http" => "http",
            "wss" | "https" => "https",
            _ => return Err(HandshakeError::Url("the scheme is not ws, wss, http or https".into())),
        };
        url.set_scheme(scheme).map_err(|()| HandshakeError::Url("the URL has no host".into()))?;
        let key = uuid::Uuid::new_v4().into_bytes();
        let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key);
        let client = reqwest::Client::builder()
            .http1_only()
            .redirect(Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .use_preconfigured_tls(self.tls)
            .build()?;
        let mut request = client
            .get(url)
            .headers(self.headers)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key);
        if let Some(protocol) = self.protocol {
            request = request.header(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        if self.deflate {
            request = request.header(SEC_WEBSOCKET_EXTENSIONS, deflate::OFFER);
        }
        let response = request.send().await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(HandshakeError::Refused(response.status()));
        }
        let deflates =
            check(response.headers(), &key, self.protocol, self.deflate).map_err(HandshakeError::Wrong)?;
        let (read, write) = split(response.upgrade().await?);
        Ok((Reader::new(read, self.limit, deflates), Writer::new(write, deflates)))
    }
}

/// Whether the server's answer is one to what it was asked; gives whether messages may be compressed.
fn check(
    headers: &HeaderMap,
    key: &str,
    protocol: Option<&str>,
    deflate: bool,
) -> Result<bool, &'static str> {
    if headers.get(SEC_WEBSOCKET_ACCEPT).is_none_or(|found| *found != *accept(key.as_bytes())) {
        return Err("it does not answer the key");
    }
    if headers.get(SEC_WEBSOCKET_PROTOCOL).map(|found| found.as_bytes()) != protocol.map(str::as_bytes) {
        return Err("it does not name the subprotocol that was offered");
    }
    match deflate::agreed(tokens(headers, SEC_WEBSOCKET_EXTENSIONS))? {
        true if !deflate => Err("an extension that was not offered"),
        deflates => Ok(deflates),
    }
}
