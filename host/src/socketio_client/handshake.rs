//! From a URL to a joined namespace.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::{HeaderName, HeaderValue, Request, Uri};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::Options;
use super::packet::{self, Malformed, Open, Packet};

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A joined namespace.
pub(super) struct Connection {
    pub(super) socket: Socket,
    /// The socket's id within the namespace.
    pub(super) sid: String,
    /// The server is dead when it was silent for this long.
    pub(super) silence: Duration,
}

/// The URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// It does not parse.
    #[error("not a URL")]
    Syntax(#[from] http::uri::InvalidUri),
    /// It is not absolute, or of another scheme.
    #[error("expected http://, https://, ws:// or wss:// and a host")]
    Scheme,
}

/// Why the connection could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL cannot be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A header of [`Options::headers`] is not one.
    #[error("the header {0:?} cannot be sent")]
    Header(String),
    /// TCP, TLS or WebSocket failed.
    #[error("{}", reason(.0))]
    WebSocket(Box<tungstenite::Error>),
    /// The server does not speak Engine.IO 4 or Socket.IO 5.
    #[error("the server does not speak Socket.IO")]
    Malformed(#[from] Malformed),
    /// The server refused the namespace or the credentials: its message, and all that it said.
    #[error("the server refused: {message}")]
    Refused {
        /// The message for people.
        message: String,
        /// The whole payload.
        data: Value,
    },
    /// The server closed during the handshake.
    #[error("the server closed during the handshake")]
    Closed,
    /// The handshake took longer than [`Options::connect_timeout`].
    #[error("no answer in time")]
    Timeout,
}

impl From<Box<tungstenite::Error>> for ConnectError {
    fn from(error: Box<tungstenite::Error>) -> Self {
        Self::WebSocket(error)
    }
}

fn reason(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Io(error) => error.to_string(),
        tungstenite::Error::Http(answer) => format!("no Socket.IO there: the answer is {}", answer.status()),
        error => format!("no Socket.IO there: {error}"),
    }
}

impl ConnectError {
    /// Whether trying again can help: not when the server said no, nor when this side is wrong.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Url(_) | Self::Header(_) | Self::Refused { .. })
    }
}

/// `scheme://host:port` as a WebSocket URL without path, and the path as a namespace.
pub(super) fn split_url(url: &str) -> Result<(String, String), UrlError> {
    let uri: Uri = url.parse()?;
    let scheme = match uri.scheme_str() {
        Some("http" | "ws") => "ws",
        Some("https" | "wss") => "wss",
        _ => return Err(UrlError::Scheme),
    };
    let authority = uri.authority().ok_or(UrlError::Scheme)?;
    let namespace = match uri.path().trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    Ok((format!("{scheme}://{authority}"), namespace.to_owned()))
}

/// Connect and join, within [`Options::connect_timeout`].
pub(super) async fn connect(options: &Options) -> Result<Connection, ConnectError> {
    let request = request(options)?;
    tokio::time::timeout(options.connect_timeout, join(options, request))
        .await
        .unwrap_or(Err(ConnectError::Timeout))
}

fn request(options: &Options) -> Result<Request<()>, ConnectError> {
    let (base, _) = split_url(&options.url)?;
    let mut url = format!("{base}{}?EIO=4&transport=websocket", options.path);
    for (name, value) in &options.query {
        url.push('&');
        percent_encode(name, &mut url);
        url.push('=');
        percent_encode(value, &mut url);
    }
    let mut request = url.into_client_request().map_err(Box::new)?;
    for (name, value) in &options.headers {
        let bad = || ConnectError::Header(name.clone());
        let value = HeaderValue::from_str(value).map_err(|_| bad())?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        request.headers_mut().append(name, value);
    }
    Ok(request)
}

fn percent_encode(text: &str, url: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
}

async fn join(options: &Options, request: Request<()>) -> Result<Connection, ConnectError> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(options.max_message))
        .max_frame_size(Some(options.max_message))
        .read_buffer_size(4096);
    let (mut socket, _) =
        tokio_tungstenite::connect_async_with_config(request, Some(config), true).await.map_err(Box::new)?;
    let open: Open = match packet::parse(&next_text(&mut socket).await?)? {
        Packet::Open(json) => serde_json::from_str(json).map_err(|_| Malformed::Json)?,
        _ => return Err(Malformed::Incomplete.into()),
    };
    let hello = packet::emit_connect(&options.namespace, options.auth.as_ref());
    socket.send(Message::text(hello)).await.map_err(Box::new)?;
    loop {
        let text = next_text(&mut socket).await?;
        match packet::parse(&text)? {
            Packet::Connect { namespace, data } if namespace == options.namespace => {
                let sid = data.get("sid").and_then(Value::as_str).unwrap_or_default().to_owned();
                let silence = open.ping_interval.saturating_add(open.ping_timeout).clamp(1000, 3_600_000);
                return Ok(Connection { socket, sid, silence: Duration::from_millis(silence) });
            }
            Packet::Refused { data, .. } => {
                let message = data.get("message").unwrap_or(&data);
                let message = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
                return Err(ConnectError::Refused { message, data });
            }
            Packet::Ping(data) => {
                let pong = format!("3{data}");
                socket.send(Message::text(pong)).await.map_err(Box::new)?;
            }
            Packet::Close | Packet::Disconnect { .. } => return Err(ConnectError::Closed),
            // Another namespace, or an event before we are in: not ours.
            _ => {}
        }
    }
}

async fn next_text(socket: &mut Socket) -> Result<tungstenite::Utf8Bytes, ConnectError> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text),
            Some(Ok(Message::Close(_))) | None => return Err(ConnectError::Closed),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(Box::new(error).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_namespace() {
        let table = [
            ("http://h:5000", "ws://h:5000", "/"),
            ("http://h:5000/", "ws://h:5000", "/"),
            ("https://h/relay", "wss://h", "/relay"),
            ("ws://[::1]:80/a/b/", "ws://[::1]:80", "/a/b"),
        ];
        for (url, base, namespace) in table {
            let split = split_url(url).unwrap();
            assert_eq!(split, (base.to_owned(), namespace.to_owned()), "{url}");
        }
        for url in ["", "h:5000", "ftp://h", "/relay", "http://"] {
            assert!(split_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn query_and_headers_go_into_the_handshake() {
        let mut options = Options::new("http://h:1").unwrap();
        options.query.push(("X-API-KEY".into(), "a b&c".into()));
        options.headers.push(("X-Token".into(), "t".into()));
        let sent = request(&options).unwrap();
        let uri = "ws://h:1/socket.io/?EIO=4&transport=websocket&X-API-KEY=a%20b%26c";
        assert_eq!(sent.uri().to_string(), uri);
        assert_eq!(sent.headers()["x-token"], "t");
        options.headers.push(("bad header".into(), "t".into()));
        assert!(matches!(request(&options), Err(ConnectError::Header(name)) if name == "bad header"));
    }
}
