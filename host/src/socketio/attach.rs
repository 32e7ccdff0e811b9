//! The Socket.IO server in front of a router, with what it lacks: the queries of namespaces that old clients send, and
//! signs of life.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{Method, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use socketioxide::layer::SocketIoLayer;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::either::Either;
use tower::{Layer, Service};

use super::connect_query::{ConnectQueryStream, polled};
use super::connection::{Connection, Connections};
use super::liveness::MonitoredStream;
use crate::http_server::{AcceptedStream, StallGuard};

/// How long the answer to the first poll may be: `0{"sid":…}`.
const MAX_OPEN: usize = 4096;

/// Puts the Socket.IO server in front of a router.
pub fn attach(router: Router, layer: SocketIoLayer) -> Router {
    // One service behind both ways in, for it owns the sessions.
    let sockets = layer.layer(router);
    let connections = Connections::default();
    Router::new().fallback_service(sockets.clone()).layer(from_fn(move |mut request: Request, next: Next| {
        let (mut sockets, connections) = (sockets.clone(), connections.clone());
        async move {
            if !request.uri().path().starts_with("/socket.io") {
                return next.run(request).await;
            }
            let session = parameter(&request, "sid").map(str::to_owned);
            let connection = match &session {
                Some(session) => connections.of(session),
                None => Some(Arc::<Connection>::default()),
            };
            if let Some(connection) = &connection {
                connection.liveness.heard();
                request.extensions_mut().insert(Arc::clone(connection));
            }
            let is_old = parameter(&request, "EIO") == Some("3");
            if let Some((accept, upgrade, request)) = take_upgrade(&mut request) {
                tokio::spawn(async move {
                    let (until_dropped, dropped) = oneshot::channel();
                    let stream = match upgrade.await {
                        Ok(upgraded) => stream(upgraded, is_old, connection, until_dropped),
                        Err(error) => return tracing::debug!(%error, "a WebSocket did not come about"),
                    };
                    if let Err(error) = Service::call(&mut sockets, (stream, request)).await {
                        tracing::debug!(%error, "a WebSocket was refused");
                    }
                    if let Some(session) = session {
                        // Never sent: it ends with the stream.
                        let _ = dropped.await;
                        next.run(farewell(&session, is_old)).await;
                    }
                });
                let headers = [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "websocket")];
                return (StatusCode::SWITCHING_PROTOCOLS, headers, [(header::SEC_WEBSOCKET_ACCEPT, accept)])
                    .into_response();
            }
            if is_old && *request.method() == Method::POST {
                return polled(request, next).await;
            }
            match (session, connection) {
                (None, Some(connection)) => learn(&connections, &connection, next.run(request).await).await,
                (Some(_), Some(connection)) if *request.method() == Method::GET => {
                    // Whoever polls again has received what the last poll was answered with.
                    connection.window.drain();
                    next.run(request).await
                }
                _ => next.run(request).await,
            }
        }
    }))
}

fn parameter<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let query = request.uri().query()?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// A request for a WebSocket without its body, what accepts it, and the stream it becomes. Whatever is not quite such a
/// request is left to the server to be refused.
fn take_upgrade(request: &mut Request) -> Option<(String, hyper::upgrade::OnUpgrade, http::Request<()>)> {
    let wanted = parameter(request, "transport") == Some("websocket")
        && matches!(parameter(request, "EIO"), Some("3" | "4"))
        && *request.method() == Method::GET;
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    if !wanted || !upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return None;
    }
    let accept = derive_accept_key(request.headers().get(header::SEC_WEBSOCKET_KEY)?.as_bytes());
    let upgrade = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>()?;
    let (parts, _) = std::mem::take(request).into_parts();
    Some((accept, upgrade, http::Request::from_parts(parts, ())))
}

/// The stream below an upgraded connection: as our own accept loop has it, or any.
type Below = Either<StallGuard<TcpStream>, TokioIo<Upgraded>>;

/// An old client has its frames looked at.
fn stream(
    upgraded: Upgraded,
    has_queries: bool,
    connection: Option<Arc<Connection>>,
    until_dropped: oneshot::Sender<Infallible>,
) -> Either<ConnectQueryStream<MonitoredStream<Below>>, MonitoredStream<Below>> {
    let (below, early) = match upgraded.downcast::<AcceptedStream>() {
        Ok(parts) => (Either::Left(parts.io.into_inner()), parts.read_buf),
        Err(upgraded) => (Either::Right(TokioIo::new(upgraded)), Bytes::new()),
    };
    // A session that is not known has no connection, and no future.
    let stream = MonitoredStream::new(below, early, connection.unwrap_or_default(), until_dropped);
    if has_queries { Either::Left(ConnectQueryStream::new(stream)) } else { Either::Right(stream) }
}

/// The end of a session that polls. A WebSocket that breaks before its session has moved to it would leave the session
/// waiting for the move for ever; if it has moved, it has ended with the WebSocket, and this is refused.
fn farewell(session: &str, is_old: bool) -> Request {
    let (version, close) = if is_old { (3, "1:1") } else { (4, "1") };
    let uri = format!("/socket.io/?EIO={version}&transport=polling&sid={session}");
    let request = Request::builder().method(Method::POST).uri(uri).body(Body::from(close));
    // The id was part of a URI before.
    request.unwrap_or_default()
}

/// Reads the id of a new session from the answer to its first poll.
async fn learn(connections: &Connections, connection: &Arc<Connection>, response: Response) -> Response {
    if response.status() != StatusCode::OK {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, MAX_OPEN).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let open = std::str::from_utf8(&body).ok();
    if let Some((session, _)) =
        open.and_then(|open| open.split_once("\"sid\":\"")).and_then(|(_, rest)| rest.split_once('"'))
    {
        connections.remember(session, connection);
    }
    Response::from_parts(parts, Body::from(body))
}
