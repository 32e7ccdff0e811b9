//! Where the hub is, and how to connect to it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::header::{InvalidHeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderValue, StatusCode};
use reqwest::Url;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, handshake::client::Request};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::TIMEOUT;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not a `ws`, `wss`, `http` or `https` URL with a host.
    #[error("{0:?} is no URL of a hub, such as ws://127.0.0.1:5000")]
    Url(String),
    /// The token cannot be sent.
    #[error("the token cannot be sent")]
    Token(#[from] InvalidHeaderValue),
    /// The server answered, but does not let us in.
    #[error("the server refused with status {0}; a wrong token is 403")]
    Refused(StatusCode),
    /// No server, no TLS, or no WebSocket.
    #[error("no connection: {0}")]
    Transport(tungstenite::Error),
    /// The server did not answer.
    #[error("the server does not answer")]
    Timeout,
}

pub(super) type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A hub.
pub(super) struct Target(Request);

impl Target {
    pub(super) fn new(url: &str, token: Option<&str>) -> Result<Self, ConnectError> {
        let wrong = || ConnectError::Url(url.to_owned());
        let mut parsed = Url::parse(url).map_err(|_| wrong())?;
        let scheme = match parsed.scheme() {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            _ => return Err(wrong()),
        };
        parsed.set_scheme(scheme).map_err(|()| wrong())?;
        let path = format!("{}/socket/websocket", parsed.path().trim_end_matches('/'));
        parsed.set_path(&path);
        parsed.query_pairs_mut().append_pair("vsn", "2.0.0");
        let mut request = parsed.as_str().into_client_request().map_err(|_| wrong())?;
        if let Some(token) = token {
            let protocols = format!("phoenix, base64url.bearer.phx.{}", STANDARD_NO_PAD.encode(token));
            let mut protocols = HeaderValue::try_from(protocols)?;
            protocols.set_sensitive(true);
            request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocols);
        }
        Ok(Self(request))
    }

    pub(super) async fn connect(&self) -> Result<Stream, ConnectError> {
        match tokio::time::timeout(TIMEOUT, connect_async(self.0.clone())).await {
            Ok(Ok((stream, _))) => Ok(stream),
            Ok(Err(tungstenite::Error::Http(response))) => Err(ConnectError::Refused(response.status())),
            Ok(Err(error)) => Err(ConnectError::Transport(error)),
            Err(_) => Err(ConnectError::Timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_that_of_the_server_and_keeps_its_parameters() {
        for (url, asked) in [
            ("ws://h:1", "ws://h:1/socket/websocket?vsn=2.0.0"),
            ("http://h/", "ws://h/socket/websocket?vsn=2.0.0"),
            ("https://h/hub/", "wss://h/hub/socket/websocket?vsn=2.0.0"),
            ("wss://h?token=a%3F", "wss://h/socket/websocket?token=a%3F&vsn=2.0.0"),
        ] {
            assert_eq!(Target::new(url, None).unwrap().0.uri().to_string(), asked);
        }
        for url in ["", "h:5000", "127.0.0.1:5000", "ftp://h", "ws://"] {
            assert!(matches!(Target::new(url, None), Err(ConnectError::Url(_))), "{url}");
        }
    }
}
