//! Sockets and routes of the local server: carries out what its [`State`] says.
//!
//! **Bounds:** a message has at most [`LIMITS`] bytes, inflated, else the connection is closed with 1009; [`QUEUE`] bytes
//! may wait for one client, else it is closed with 1013. A client that is silent is pinged every [`PING`] and given up
//! after [`SILENCE`]; that is long, because programs that are busy with their camera answer late.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, OriginalUri, Path, Query, RawPathParams, Request, State as Shared};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, any, get, on};
use cloverleaf_core::dfx::{Action, ROUTES, Route, Status};
use cloverleaf_core::driver::Clock;
use tokio::sync::Notify;

use super::events::{Encoding, Failure, Outcome, ascii_json, code};
use super::state::{Asked, ConnectionId, Input, Message as Read, Output, Rest, State};
use crate::clock::TokioClock;
use crate::timeline::{Bus, Source, Value};
use crate::ws::{Flush, Frame, Limits, Message, Outbox, Refused, Socket, Upgrade};

/// The longest message: 16 MiB and a header.
const LIMITS: Limits = Limits { frame: (16 << 20) + 64, message: 16 << 20 };

/// How much may wait for one client: results are small, and clients that do not read them are gone.
const QUEUE: usize = 4 << 20;

/// How often a silent client is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);

/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(120);

/// The state and those it talks to.
#[derive(Debug)]
pub(super) struct Server {
    inner: Mutex<Inner>,
    clock: TokioClock,
    timeline: Bus,
    /// Rung when the deadline may have changed.
    deadline: Arc<Notify>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    peers: HashMap<ConnectionId, Peer>,
    next: ConnectionId,
}

#[derive(Debug)]
struct Peer {
    outbox: Arc<Outbox>,
    deflates: bool,
}

impl Inner {
    fn push(&self, connection: ConnectionId, flush: &mut Flush, frame: impl FnOnce(bool) -> Frame) {
        if let Some(peer) = self.peers.get(&connection) {
            peer.outbox.push(frame(peer.deflates), flush);
        }
    }
}

impl Server {
    pub(super) fn start(state: State, timeline: Bus) -> Arc<Self> {
        let inner = Inner { state, peers: HashMap::new(), next: 0 };
        let deadline = Arc::new(Notify::new());
        let server = Arc::new(Self {
            inner: Mutex::new(inner),
            clock: TokioClock::start(),
            timeline,
            deadline: Arc::clone(&deadline),
        });
        tokio::spawn(tick(Arc::downgrade(&server), deadline, server.clock));
        server
    }

    /// Closes all connections, as a server does that goes away (1001).
    pub(super) fn drain(&self) {
        for peer in self.lock().peers.values() {
            peer.outbox.close(1001);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the state whole: every change is complete before anything can fail.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, input: Input<'_>) {
        let mut inner = self.lock();
        let outputs = inner.state.handle(self.clock.now(), input);
        self.carry_out(&inner, outputs);
    }

    /// Under the lock, so that frames leave in the order in which they were decided on.
    fn carry_out(&self, inner: &Inner, outputs: Vec<Output>) {
        let mut flush = Flush::new();
        for output in outputs {
            match output {
                Output::Send { connection, frame } => inner.push(connection, &mut flush, |deflates| {
                    if deflates { Frame::deflated(&frame) } else { Frame::binary(&frame) }
                }),
                Output::SendText { connection, frame } => {
                    inner.push(connection, &mut flush, |_| Frame::text(&frame));
                }
                Output::Close { connection, code } => {
                    if let Some(peer) = inner.peers.get(&connection) {
                        peer.outbox.close(code);
                    }
                }
                Output::Measured(outcome) => self.publish(&outcome),
            }
        }
        if inner.state.deadline().is_some() {
            self.deadline.notify_one();
        }
    }

    fn publish(&self, outcome: &Outcome) {
        let signals = [("HR_BPM", "heart_rate", "bpm"), ("SNR", "signal_to_noise", "dB")];
        for (channel, topic, unit) in signals {
            for value in outcome.values(channel) {
                self.timeline.publish(Source::Driver, topic, Value::Quantity { value, unit });
            }
        }
        self.timeline.publish(Source::Driver, "analysis", Value::Text(outcome.error.code.clone()));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.deadline.notify_one();
    }
}

/// Tells the state when its deadlines come, as long as there is a server.
async fn tick(server: Weak<Server>, changed: Arc<Notify>, mut clock: TokioClock) {
    loop {
        let Some(deadline) = server.upgrade().map(|server| server.lock().state.deadline()) else { return };
        tokio::select! {
            () = clock.sleep_until(deadline) => match server.upgrade() {
                Some(server) => server.handle(Input::Tick),
                None => return,
            },
            () = changed.notified() => {}
        }
    }
}

pub(super) fn routes(server: &Arc<Server>) -> Router {
    let mut rest = Router::new();
    // Those that nothing is behind, too: clients expect to be told in JSON.
    for Route { number, method, path, .. } in ROUTES {
        let Some(action) = Action::new(*number) else { continue };
        let filter = match *method {
            "GET" => MethodFilter::GET,
            "POST" => MethodFilter::POST,
            "PATCH" => MethodFilter::PATCH,
            "DELETE" => MethodFilter::DELETE,
            // Over WebSocket only.
            _ => continue,
        };
        let handler =
            move |server, path, query, headers, body| call(action, server, path, query, headers, body);
        rest = rest.route(&named(path), on(filter, handler));
    }
    let rest = rest
        .route("/measurements/{a}/results/{b}", get(intermediate))
        .layer(DefaultBodyLimit::max(LIMITS.message))
        .method_not_allowed_fallback(wrong_method);
    Router::new()
        .route("/dfx", any(upgrade))
        .nest("/dfx", rest.clone().fallback(nothing))
        .merge(rest)
        .with_state(Arc::clone(server))
}

/// A path of the table as axum has it: its arguments have names.
fn named(path: &str) -> String {
    let mut names = ["{a}", "{b}", "{c}"].into_iter();
    let parts = path.split('/').map(|part| if part == "{}" { names.next().unwrap_or(part) } else { part });
    parts.collect::<Vec<_>>().join("/")
}

pub(super) fn at_root(server: &Arc<Server>, router: Router) -> Router {
    router.layer(from_fn_with_state(Arc::clone(server), root))
}

async fn root(Shared(server): Shared<Arc<Server>>, request: Request, next: Next) -> Response {
    let upgrades = request
        .headers()
        .get(header::UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if request.uri().path() != "/" || !upgrades {
        return next.run(request).await;
    }
    let (mut parts, _) = request.into_parts();
    let headers = parts.headers.clone();
    upgrade(Shared(server), headers, Upgrade::of(&mut parts)).await
}

async fn upgrade(
    Shared(server): Shared<Arc<Server>>,
    headers: HeaderMap,
    upgrade: Result<Upgrade, Refused>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.queue(QUEUE).deflate(),
        Err(refused) => return refused.into_response(),
    };
    let offered: Vec<String> = upgrade.protocols().map(str::to_owned).collect();
    let known = offered.iter().find_map(|name| Some((name, Encoding::of_subprotocol(Some(name))?)));
    let (protocol, encoding) = match known {
        Some((name, encoding)) => (Some(name.clone()), encoding),
        None if offered.is_empty() => (None, Encoding::Proto),
        None => {
            return (StatusCode::BAD_REQUEST, "the subprotocols here are json and proto\n").into_response();
        }
    };
    let token = bearer(&headers).map(str::to_owned);
    upgrade.accept(protocol.as_deref(), LIMITS, move |socket| serve(server, socket, encoding, token))
}

async fn serve(server: Arc<Server>, mut socket: Socket, encoding: Encoding, token: Option<String>) {
    let connection = {
        let mut inner = server.lock();
        let connection = inner.next;
        inner.next += 1;
        let peer = Peer { outbox: Arc::clone(socket.outbox()), deflates: socket.deflates() };
        inner.peers.insert(connection, peer);
        connection
    };
    let token = token.as_deref();
    server.handle(Input::Opened { connection, encoding, token });
    socket.set_ping_interval(Some(PING));
    socket.set_idle_timeout(Some(SILENCE));
    let ended = loop {
        let bytes = match socket.recv().await {
            Ok(Message::Binary(bytes)) => bytes,
            Ok(Message::Text(text)) => text.into_bytes(),
            Err(ended) => break ended,
        };
        server.handle(Input::Message { connection, message: Read::read(encoding, &bytes) });
    };
    tracing::debug!(connection, reason = %ended, "DFX client gone");
    server.handle(Input::Closed { connection });
    server.lock().peers.remove(&connection);
    socket.finish().await;
}

async fn call(
    action: Action,
    Shared(server): Shared<Arc<Server>>,
    arguments: RawPathParams,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            let message = format!("The body has more than {} bytes, or is cut", LIMITS.message);
            return refuse(rejection.status(), message);
        }
    };
    let argument = arguments.iter().next().map(|(_, argument)| argument);
    let asked = Asked::read(action, Encoding::Json, &body);
    let asked = Rest { action, argument, query, token: bearer(&headers), asked };
    let mut inner = server.lock();
    let (status, body, outputs) = inner.state.rest(server.clock.now(), asked);
    server.carry_out(&inner, outputs);
    drop(inner);
    reply(status, body)
}

async fn intermediate(
    Shared(server): Shared<Arc<Server>>,
    Path((measurement, chunk)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let Ok(chunk) = chunk.parse() else {
        return refuse(StatusCode::BAD_REQUEST, format!("The chunk is not a number: {chunk}"));
    };
    let now = server.clock.now();
    let (status, body) = server.lock().state.intermediate(now, bearer(&headers), &measurement, chunk);
    reply(status, body)
}

/// What is wrong with a request, as every error is told.
fn refuse(status: StatusCode, message: String) -> Response {
    let code = code::INCORRECT_REQUEST.to_owned();
    let status = Status::new(status.as_u16()).unwrap_or(Status::BAD_REQUEST);
    reply(status, ascii_json(&Failure { code, message, ..Failure::default() }))
}

async fn nothing(OriginalUri(uri): OriginalUri) -> Response {
    refuse(StatusCode::NOT_FOUND, format!("Invalid Route {}", uri.path()))
}

async fn wrong_method(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    refuse(StatusCode::METHOD_NOT_ALLOWED, format!("Invalid Route {method} {}", uri.path()))
}

/// The JavaScript client reads the body when there is a semicolon, and only then: 304 has none. The Python client must
/// be told that it is JSON all the same.
fn reply(status: Status, body: Vec<u8>) -> Response {
    let content = match status {
        Status::NOT_MODIFIED => "application/json",
        _ => "application/json; charset=utf-8",
    };
    let status = StatusCode::from_u16(status.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, content)], body).into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
