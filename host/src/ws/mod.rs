//! WebSocket, the server's side, made for many idle connections and fast broadcasts.
//!
//! ```no_run
//! use cloverleaf::ws::{Limits, Message, Refused, Upgrade};
//!
//! /// A handler of an axum route (`axum::routing::any`, so that a bad request is answered as Phoenix does).
//! async fn echo(upgrade: Result<Upgrade, Refused>) -> Result<axum::response::Response, Refused> {
//!     let upgrade = upgrade?;
//!     // The first of the client's subprotocols that we speak; browsers insist on getting one they offered.
//!     let protocol = upgrade.protocols().find(|offered| *offered == "json").map(str::to_owned);
//!     Ok(upgrade.accept(protocol.as_deref(), Limits::default(), |mut socket| async move {
//!         while let Ok(message) = socket.recv().await {
//!             socket.send(&message);
//!             if message == Message::Text("bye".into()) {
//!                 socket.outbox().close(1000);
//!             }
//!         }
//!         socket.finish().await;
//!     }))
//! }
//! ```
//!
//! * [`Socket::recv`] gives whole messages, answers pings, and ends with the reason in [`Closed`]; protocol
//!   errors have been answered with 1002, 1007, 1008 or 1009 by then. [`Socket::finish`] sees the close frame out.
//! * [`Outbox`] is the bounded queue of one client: any task may [`push`](Outbox::push) encoded [`Frame`]s into
//!   many of them and write each once with [`Flush`]. A client that does not read is closed with 1013.
//! * An idle connection has no buffers: reading borrows one from its thread, and a broadcast is one shared frame.
//!
//! `permessage-deflate` is ignored, as Phoenix does unless told otherwise, but for [`Upgrade::deflate`].
//!
//! [`client`] is the other side.

pub mod client;
mod decoder;
mod deflate;
pub(crate) mod frame;
mod outbox;
mod socket;

pub use decoder::{Decoder, Incoming, Limits};
pub use frame::{Frame, Kind, Violation};
pub use outbox::{Flush, Outbox};
pub use socket::{Closed, Message, Socket};

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use sha1::{Digest, Sha1};
use tokio::net::{TcpStream, UnixStream};

use outbox::Stream;

use crate::http_server::AcceptedStream;

/// How many bytes may wait for one client before it is too slow: 1 MiB.
pub const QUEUE: usize = 1 << 20;

/// Why a request is not a WebSocket handshake; as a response, 400 with this text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Only GET can be upgraded; the response has no text, as Phoenix's.
    #[error("only GET can be upgraded")]
    Method,
    /// HTTP/1.1 requires a `Host`; the response has no text, as Phoenix's.
    #[error("the 'host' header is absent")]
    Host,
    /// HTTP/1.0 and HTTP/2 have no `Upgrade`.
    #[error("HTTP version {0:?} unsupported")]
    Version(Version),
    /// The `Connection` header.
    #[error("'connection' header must contain 'upgrade', got {0:?}")]
    Connection(Vec<String>),
    /// The `Upgrade` header.
    #[error("'upgrade' header must contain 'websocket', got {0:?}")]
    Upgrade(Vec<String>),
    /// No key.
    #[error("'sec-websocket-key' header is absent")]
    Key,
    /// Another version of the protocol.
    #[error("'sec-websocket-version' header must equal '13', got {0:?}")]
    Protocol(Vec<String>),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Method | Self::Host => StatusCode::BAD_REQUEST.into_response(),
            reason => (StatusCode::BAD_REQUEST, reason.to_string()).into_response(),
        }
    }
}

/// A request that asks for a WebSocket, not yet answered.
#[derive(Debug)]
pub struct Upgrade {
    accept: HeaderValue,
    protocols: Vec<String>,
    /// The answer to the client's offer of compression, and whether to give it.
    extension: Option<&'static str>,
    deflate: bool,
    upgrade: OnUpgrade,
    queue: usize,
}

impl Upgrade {
    /// Checks the handshake, in the order in which Phoenix's server does.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn of(parts: &mut Parts) -> Result<Self, Refused> {
        if parts.method != Method::GET {
            return Err(Refused::Method);
        }
        if parts.version != Version::HTTP_11 {
            return Err(Refused::Version(parts.version));
        }
        let headers = &parts.headers;
        if !headers.contains_key(header::HOST) {
            return Err(Refused::Host);
        }
        if !tokens(headers, header::CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade")) {
            return Err(Refused::Connection(values(headers, header::CONNECTION)));
        }
        if !tokens(headers, header::UPGRADE).any(|token| token.eq_ignore_ascii_case("websocket")) {
            return Err(Refused::Upgrade(values(headers, header::UPGRADE)));
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(Refused::Key)?;
        let version = values(headers, header::SEC_WEBSOCKET_VERSION);
        if version != ["13"] {
            return Err(Refused::Protocol(version));
        }
        let accept = accept(key.as_bytes());
        let extension = deflate::answer(tokens(headers, header::SEC_WEBSOCKET_EXTENSIONS));
        let protocols = tokens(headers, header::SEC_WEBSOCKET_PROTOCOL).map(str::to_owned).collect();
        // Absent only when the server in front of the router cannot upgrade.
        let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or(Refused::Version(parts.version))?;
        let accept = HeaderValue::try_from(accept).map_err(|_| Refused::Key)?;
        Ok(Self { accept, protocols, extension, deflate: false, upgrade, queue: QUEUE })
    }

    /// Takes compressed messages from clients that offer `permessage-deflate`.
    #[must_use]
    pub fn deflate(mut self) -> Self {
        self.deflate = true;
        self
    }

    /// The subprotocols the client offers, best first.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        self.protocols.iter().map(String::as_str)
    }

    /// Lets this many bytes wait for the client instead of [`QUEUE`].
    #[must_use]
    pub fn queue(mut self, bytes: usize) -> Self {
        self.queue = bytes;
        self
    }

    /// Answers 101 with this subprotocol, then runs `serve` in a task of its own.
    pub fn accept<F>(
        self,
        protocol: Option<&str>,
        limits: Limits,
        serve: impl FnOnce(Socket) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { accept, extension, deflate, upgrade, queue, .. } = self;
        let extension = extension.filter(|_| deflate);
        tokio::spawn(async move {
            let upgraded = match upgrade.await {
                Ok(upgraded) => upgraded,
                Err(error) => return tracing::debug!(%error, "the client left during the handshake"),
            };
            match unwrap(upgraded) {
                // A task of its own: this one is as large as the handshake.
                Ok((stream, early)) => {
                    let socket = Socket::new(stream, &early, limits, queue, extension.is_some());
                    drop(tokio::spawn(serve(socket)));
                }
                Err(error) => tracing::warn!(%error, "no socket for a WebSocket"),
            }
        });
        let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        if let Some(extension) = extension {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(extension));
        }
        if let Some(Ok(protocol)) = protocol.map(HeaderValue::from_str) {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        response
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        Self::of(parts)
    }
}

/// Axum hands a rejection on only to those who ask for it.
impl<S: Send + Sync> axum::extract::OptionalFromRequestParts<S> for Upgrade {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Refused> {
        Ok(Self::of(parts).ok())
    }
}

/// What a server answers to a key (RFC 6455, 4.2.2).
fn accept(key: &[u8]) -> String {
    let mut digest = Sha1::new();
    digest.update(key);
    digest.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest.finalize())
}

fn values(headers: &HeaderMap, name: HeaderName) -> Vec<String> {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// The socket below an upgraded connection, with what had been read too far.
fn unwrap(upgraded: Upgraded) -> std::io::Result<(Stream, bytes::Bytes)> {
    // As our own accept loop has it, and as axum's.
    let upgraded = match upgraded.downcast::<AcceptedStream>() {
        Ok(parts) => return Ok((Stream::Tcp(parts.io.into_inner().into_inner()), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    match downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => Ok((Stream::Tcp(parts.io.into_inner()), parts.read_buf)),
        Err(upgraded) => {
            let (near, mut far) = UnixStream::pair()?;
            tokio::spawn(async move {
                // An error is the end of the connection, which the socket sees for itself.
                let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut far).await;
            });
            Ok((Stream::Unix(near), bytes::Bytes::new()))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::any;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;
    use crate::http_server::{Timeouts, serve};

    #[tokio::test]
    async fn sockets_of_our_own_server_are_written_to_without_a_detour() {
        let (tell, mut told) = mpsc::unbounded_channel();
        let handler = async move |upgrade: Upgrade| {
            let tell = tell.clone();
            upgrade.accept(None, Limits::default(), |socket| async move {
                let _ = tell.send(matches!(socket.outbox().stream(), Some(Stream::Tcp(_))));
            })
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/", any(handler));
        tokio::spawn(serve(listener, router, Timeouts::default(), std::future::pending()));
        let _client = tokio_tungstenite::connect_async(url).await.unwrap();
        assert_eq!(told.recv().await, Some(true));
    }
}
