//! Sockets of the local server: carries out what its [`State`] says.
//!
//! **Bounds:** a message has at most [`LIMITS`] bytes, inflated, else the connection is closed with 1009; [`QUEUE`] bytes
//! may wait for one client, else it is closed with 1013. As many chunks as there are cores are worked on at once, each
//! client's one by one, and only those of clients whose token is good. Meanwhile nothing of that client is read, pings neither, so that one message of each may wait here,
//! and the rest in its socket. A client that is silent is pinged every [`PING`] and given up after [`SILENCE`]; that is
//! long, because programs that are busy with their camera answer late.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::available_parallelism;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use cloverleaf_core::dfx::{Action, Status};
use cloverleaf_core::driver::Clock;
use tokio::sync::{Notify, Semaphore};
use tokio::task::spawn_blocking;

use super::events::{Encoding, Failure, Outcome};
use super::state::{Analysed, Analysis, Asked, ConnectionId, Input, Message as Read, Output, Rest, State};
use crate::clock::TokioClock;
use crate::timeline::{Bus, Source, Value};
use crate::ws::{Flush, Frame, Limits, Message, Outbox, Refused, Socket, Upgrade};

/// The longest message: 16 MiB and a header.
pub(super) const LIMITS: Limits = Limits { frame: (16 << 20) + 64, message: 16 << 20 };

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
    /// How a chunk is analysed.
    analyse: fn(Analysis) -> Analysed,
    /// A permit for each chunk that may be worked on.
    work: Arc<Semaphore>,
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
    pub(super) fn start(state: State, timeline: Bus, analyse: fn(Analysis) -> Analysed) -> Arc<Self> {
        let inner = Inner { state, peers: HashMap::new(), next: 0 };
        let deadline = Arc::new(Notify::new());
        let server = Arc::new(Self {
            inner: Mutex::new(inner),
            clock: TokioClock::start(),
            timeline,
            deadline: Arc::clone(&deadline),
            analyse,
            work: Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZero::get))),
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

    /// Gives the state an input, and analyses what that is about, without holding anybody up: see [`Self::aside`].
    fn handle(&self, input: Input<'_>) {
        let analyses = {
            let mut inner = self.lock();
            let outputs = inner.state.handle(self.clock.now(), input);
            self.carry_out(&inner, outputs)
        };
        self.analyse(analyses);
    }

    /// What a client that has no WebSocket asks for: the status and the body of the answer.
    pub(super) fn rest(&self, asked: Rest<'_>) -> (Status, Vec<u8>) {
        let (status, body, analyses) = {
            let mut inner = self.lock();
            let (status, body, outputs) = inner.state.rest(self.clock.now(), asked);
            (status, body, self.carry_out(&inner, outputs))
        };
        self.analyse(analyses);
        (status, body)
    }

    /// See [`State::intermediate`].
    pub(super) fn intermediate(
        &self,
        token: Option<&str>,
        measurement: &str,
        chunk: u32,
    ) -> (Status, Vec<u8>) {
        self.lock().state.intermediate(self.clock.now(), token, measurement, chunk)
    }

    /// See [`State::check`].
    pub(super) fn check(&self, action: Action, token: Option<&str>) -> Result<(), Failure> {
        self.lock().state.check(self.clock.now(), action, token)
    }

    /// See [`State::admits`].
    fn admits(&self, connection: ConnectionId, action: Action) -> bool {
        self.lock().state.admits(self.clock.now(), connection, action)
    }

    fn analyse(&self, analyses: Vec<Analysis>) {
        for analysis in analyses {
            self.handle(Input::Analysed((self.analyse)(analysis)));
        }
    }

    /// Does what takes long, as everything about a chunk, on a thread of its own when it is its turn. `None` when the server
    /// ends, or the work fails.
    pub(super) async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let permit = Arc::clone(&self.work).acquire_owned().await.ok()?;
        let server = Arc::clone(self);
        let done = spawn_blocking(move || {
            let done = work(&server);
            drop(permit);
            done
        });
        done.await.ok()
    }

    /// Under the lock, so that frames leave in the order in which they were decided on. Gives what is to be analysed.
    fn carry_out(&self, inner: &Inner, outputs: Vec<Output>) -> Vec<Analysis> {
        let mut flush = Flush::new();
        let mut analyses = Vec::new();
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
                Output::Analyse(analysis) => analyses.push(*analysis),
                Output::Measured(outcome) => self.publish(&outcome),
            }
        }
        if inner.state.deadline().is_some() {
            self.deadline.notify_one();
        }
        analyses
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

/// The WebSocket at `/dfx`.
pub(super) fn routes(server: &Arc<Server>) -> Router {
    Router::new().route("/dfx", any(upgrade)).with_state(Arc::clone(server))
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
        let bytes = Bytes::from(bytes);
        match Read::read(&bytes) {
            Read::Request { action: action @ Action::DATA, id, asked: Asked::Body(body) }
                if server.admits(connection, action) =>
            {
                let body = bytes.slice_ref(body);
                let work = move |server: &Server| {
                    let message = Read::Request { action, id, asked: Asked::read(action, encoding, &body) };
                    server.handle(Input::Message { connection, message });
                };
                if socket.meanwhile(server.aside(work)).await.is_none() {
                    socket.outbox().close(1011);
                }
            }
            message => server.handle(Input::Message { connection, message }),
        }
    };
    tracing::debug!(connection, reason = %ended, "DFX client gone");
    server.handle(Input::Closed { connection });
    server.lock().peers.remove(&connection);
    socket.finish().await;
}

/// The token of the `Authorization` header.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;

    use futures_util::{FutureExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;
    use crate::auth::Guard;
    use crate::services::dfx::client::{CallError, DfxClient};
    use crate::services::dfx::events::Create;
    use crate::services::dfx::state::{Access, Rules};

    const TIMEOUT: Duration = Duration::from_secs(20);

    /// Whether chunks may be analysed.
    static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    fn at_the_gate(analysis: Analysis) -> Analysed {
        let (open, opened) = &GATE;
        let waited = opened.wait_timeout_while(open.lock().unwrap(), TIMEOUT, |open| !*open).unwrap();
        assert!(!waited.1.timed_out(), "the analysis held up who should have opened the gate");
        analysis.run()
    }

    /// Where the server listens, by WebSocket and REST.
    async fn listen(server: &Arc<Server>) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = routes(server).merge(crate::services::dfx::rest::routes(server));
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    #[tokio::test]
    async fn a_chunk_without_a_good_token_is_refused_before_its_turn_and_its_body() {
        let guard = Guard::Keyed("secret".parse().unwrap());
        let access = Access::new(guard, cloverleaf_core::time::Duration::from_secs(60));
        let server = Server::start(State::new(Rules::default(), access, 0), Bus::new(), Analysis::run);
        let address = listen(&server).await;
        let all = u32::try_from(server.work.available_permits()).unwrap();
        let _busy = server.work.acquire_many(all).await.unwrap();
        let client = DfxClient::connect(&format!("ws://{address}/dfx"), "wrong").await.unwrap();
        let refused = client.add_data("any", "LAST::PROCESS".parse().unwrap(), vec![7; 150]);
        let refused = timeout(TIMEOUT, refused).await.expect("in time").unwrap_err();
        assert!(matches!(refused, CallError::Refused { status: Status::UNAUTHORIZED, .. }), "{refused}");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = "POST /measurements/any/data HTTP/1.1\r\nHost: x\r\nContent-Length: 16000000\r\n";
        stream.write_all(format!("{head}Expect: 100-continue\r\n\r\n").as_bytes()).await.unwrap();
        let mut status = [0; 12];
        timeout(TIMEOUT, stream.read_exact(&mut status)).await.expect("in time").unwrap();
        assert_eq!(&status, b"HTTP/1.1 401");
    }

    /// With one thread for all tasks, whatever blocks it blocks everybody.
    #[tokio::test]
    async fn a_slow_analysis_holds_up_neither_its_reply_nor_another_connection() {
        let access = Access::new(Guard::Open, cloverleaf_core::time::Duration::from_secs(60));
        let server = Server::start(State::new(Rules::default(), access, 0), Bus::new(), at_the_gate);
        let url = format!("ws://{}/dfx", listen(&server).await);
        let measuring = DfxClient::connect(&url, "t").await.unwrap();
        let measurement = measuring.create_measurement(&Create::default()).await.unwrap();
        let mut results = measuring.subscribe(&measurement).await.unwrap();
        measuring.add_data(&measurement, "LAST::PROCESS".parse().unwrap(), vec![7; 150]).await.unwrap();
        let other = DfxClient::connect(&url, "t").await.unwrap();
        other.call(Action::STATUS, b"{}").await.unwrap();
        other.create_measurement(&Create::default()).await.unwrap();
        assert!(results.next().now_or_never().is_none(), "nobody has opened the gate");

        *GATE.0.lock().unwrap() = true;
        GATE.1.notify_all();
        let outcome = timeout(TIMEOUT, results.next()).await.expect("in time").expect("open").unwrap();
        assert_eq!(outcome.measurement_id, measurement);
    }
}
