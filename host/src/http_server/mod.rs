//! The accept loop: HTTP/1.1 with upgrades on one listener, under bounds that `axum::serve` has not.
//!
//! A client that is slow to say what it wants is cut off, so is one that does not read what it is told, and a response
//! that never ends (the dashboard's stream) does not keep the server from ending: see [`Timeouts`]. When the process has
//! as many files open as it may, accepting waits a second.

mod stall;

use std::io::{self, ErrorKind};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::timeout::{RequestBodyTimeout, TimeoutBody};

pub(crate) use stall::StallGuard;

/// How many bytes the kernel keeps for a client that reads slowly, about. Left to itself it keeps megabytes, and what
/// such a client is told is as old as they are.
const SEND_BUFFER: usize = 262_144;

/// How long clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To send the head of a request, the first or the next.
    pub head: Duration,
    /// To send something of the body that they have announced, and to read something of what has been sent to them; the
    /// latter holds for WebSockets, too.
    pub stall: Duration,
    /// To end once the server shuts down; then they are cut off.
    pub grace: Duration,
}

impl Default for Timeouts {
    /// A minute for a head, 45 seconds without sending or reading (as long as Engine.IO's heartbeat), three seconds at
    /// the end.
    fn default() -> Self {
        Self { head: Duration::from_secs(60), stall: Duration::from_secs(45), grace: Duration::from_secs(3) }
    }
}

/// What the server hands over to those who upgrade a connection.
pub(crate) type AcceptedStream = TokioIo<StallGuard<TcpStream>>;

/// Serves connections until `shutdown` is ready, then waits for those that are open, no longer than they may take.
///
/// # Errors
/// When the listener itself fails.
pub async fn serve(
    mut listener: TcpListener,
    router: Router,
    timeouts: Timeouts,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(timeouts.head);
    let (connections, stop) = (TaskTracker::new(), CancellationToken::new());
    let mut shutdown = pin!(shutdown);
    loop {
        let stream = tokio::select! {
            stream = accept(&mut listener) => stream?,
            () = &mut shutdown => break,
        };
        let (router, builder, stop) = (router.clone(), builder.clone(), stop.clone());
        connections.spawn(async move {
            let router = router.into_service::<TimeoutBody<Incoming>>();
            let service = TowerToHyperService::new(RequestBodyTimeout::new(router, timeouts.stall));
            let stream: AcceptedStream = TokioIo::new(StallGuard::new(stream, timeouts.stall));
            let connection = builder.serve_connection(stream, service).with_upgrades();
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection failed");
            }
        });
    }
    drop(listener);
    stop.cancel();
    connections.close();
    if tokio::time::timeout(timeouts.grace, connections.wait()).await.is_err() {
        tracing::debug!(open = connections.len(), "connections are cut off");
    }
    Ok(())
}

/// The next connection. A client that has gone again is passed over, and a lack of files waited out.
///
/// # Errors
/// When the listener itself fails.
pub async fn accept(listener: &mut TcpListener) -> io::Result<TcpStream> {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without TCP_NODELAY bursts wait for delayed acknowledgements of up to 40 ms.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY was refused");
                }
                if let Err(error) = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER) {
                    tracing::debug!(%error, "the size of the send buffer was refused");
                }
                return Ok(stream);
            }
            Err(error) => match error.kind() {
                // Of the client, which has gone again.
                ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset => {}
                ErrorKind::InvalidInput => return Err(error),
                _ => {
                    tracing::error!(%error, "cannot accept connections");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_client_that_never_finishes_its_request_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async || "hello"));
        let timeouts = Timeouts { head: Duration::from_millis(200), ..Timeouts::default() };
        tokio::spawn(serve(listener, router, timeouts, std::future::pending()));
        for beginning in ["", "P", "GET / HTTP/1.1\r\nHo", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(beginning.as_bytes()).await.unwrap();
            let mut answer = String::new();
            let cut = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await;
            // It may be cut in any way.
            let _ = cut.unwrap_or_else(|_| panic!("{beginning:?} was waited for"));
            assert_eq!(answer.ends_with("hello"), beginning.ends_with("GET /"), "{beginning:?}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_client_that_never_finishes_its_body_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", post(async |body: String| body));
        let timeouts = Timeouts { stall: Duration::from_millis(200), ..Timeouts::default() };
        tokio::spawn(serve(listener, router, timeouts, std::future::pending()));
        for body in ["Content-Length: 4\r\n\r\nha", "Transfer-Encoding: chunked\r\n\r\n2\r\nha\r\n"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(format!("POST / HTTP/1.1\r\nHost: x\r\n{body}").as_bytes()).await.unwrap();
            let mut answer = String::new();
            let cut = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await;
            cut.unwrap_or_else(|_| panic!("{body:?} was waited for")).unwrap();
            assert!(answer.starts_with("HTTP/1.1 400 "), "{body:?}: {answer}");
        }
    }
}
