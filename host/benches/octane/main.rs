//! Fan-out: one client says something, a thousand hear it; and telemetry at its usual rate while one of them does not
//! read. This service, the simplest with bare socketioxide, and the simplest with Node's socket.io (if `.ci/peers` has
//! installed it).
//!
//! ```sh
//! cargo bench -p cloverleaf --bench octane             # all, in turns
//! ```
//!
//! Every subscriber counts what it hears: a lost, doubled or reordered message ends the run.

#[path = "../load/mod.rs"]
mod load;
mod telemetry;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use cloverleaf::socketio;
use futures_util::FutureExt;
use load::{CONTENDERS, Server, Socket};
use serde_json::Value;
use socketioxide::SocketIo;
use socketioxide::extract::{Data, SocketRef};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

const SUBSCRIBERS: usize = 1000;
const ROUNDS: usize = 5;
const MESSAGES: usize = 200;
/// How many messages are on their way at once.
const IN_FLIGHT: [usize; 2] = [1, 16];

fn main() {
    load::main(compare(), serve);
}

async fn serve(_: &str) {
    let (layer, io) = socketio::server();
    bare(&io);
    load::serve_bare(layer).await;
}

/// Hello, world: what everybody says goes to everybody.
fn bare(io: &SocketIo) {
    io.ns("/", async || {});
    io.ns("/octane", |socket: SocketRef| {
        // In the synchronous part: a bare async handler would be spawned, and the messages reordered.
        socket.on("user_message", |socket: SocketRef, Data(data): Data<Value>| {
            let sent = socket.within("user").emit("user_message", &data).now_or_never();
            sent.expect("ready at once").expect("room");
            std::future::ready(())
        });
        socket.on("v2x_BSM", |socket: SocketRef, Data(data): Data<Value>| {
            let sent = socket.within("user").emit("v2x_BSM", &data).now_or_never();
            sent.expect("ready at once").expect("room");
            std::future::ready(())
        });
        socket.join("user");
        socket.emit("channels", &0).expect("room");
        std::future::ready(())
    });
}

/// A client that is in: `channels` is the last that is said on entry. The road has news of its own for `facility`.
async fn join(server: &Server, name: &str) -> Socket {
    let mut socket = Socket::join(server.port, "/octane", "&X-API-KEY=benchmark").await;
    while !socket.hear().await.contains("\"channels\"") {}
    if name == "cloverleaf" {
        socket.say("42/octane,[\"leave\",{\"channel\":\"facility\"}]").await;
        while !socket.hear().await.contains("\"leave\"") {}
    }
    socket
}

fn message(number: usize) -> String {
    format!("42/octane,[\"user_message\",{{\"number\":{number},\"padding\":\"{:-<64}\"}}]", "")
}

/// How many messages all subscribers together have received.
#[derive(Default)]
struct Received {
    count: AtomicUsize,
    /// The count that is waited for.
    expected: AtomicUsize,
    complete: Notify,
}

impl Received {
    fn add(&self) {
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 == self.expected.load(Ordering::SeqCst) {
            self.complete.notify_one();
        }
    }

    /// To be called before what is expected can come.
    fn expect(&self, more: usize) -> impl Future<Output = ()> {
        self.expected.store(self.count.load(Ordering::SeqCst) + more, Ordering::SeqCst);
        self.complete.notified()
    }
}

/// A subscriber that always reads, answers heartbeats, and counts each message after the one before it.
async fn subscribe(mut socket: Socket, received: Arc<Received>) {
    for number in 0.. {
        socket.expect(&message(number)).await;
        received.add();
    }
}

/// A server with its subscribers.
struct Contender {
    /// Dropped before the server, whose end would be an error to them.
    _clients: JoinSet<()>,
    _server: Server,
    speak: mpsc::UnboundedSender<Vec<String>>,
    received: Arc<Received>,
    next: usize,
}

impl Contender {
    async fn start(name: &str) -> Option<Self> {
        let server = Server::start("octane", name).await?;
        let received = Arc::<Received>::default();
        let mut clients = JoinSet::new();
        for _ in 0..SUBSCRIBERS {
            clients.spawn(subscribe(join(&server, name).await, Arc::clone(&received)));
        }
        let (speak, mut spoken) = mpsc::unbounded_channel::<Vec<String>>();
        let mut publisher = join(&server, name).await;
        clients.spawn(async move {
            loop {
                // It hears itself, too, and has to answer heartbeats; only waiting for a frame may be cut short.
                tokio::select! {
                    texts = spoken.recv() => {
                        let Some(texts) = texts else { return };
                        publisher.say_all(texts).await;
                    }
                    _ = publisher.hear() => {}
                }
            }
        });
        Some(Self { _clients: clients, _server: server, speak, received, next: 0 })
    }

    /// Deliveries a second.
    async fn measure(&mut self, in_flight: usize) -> f64 {
        let started = Instant::now();
        for _ in 0..MESSAGES / in_flight {
            let received = self.received.expect(in_flight * SUBSCRIBERS);
            self.speak.send((self.next..self.next + in_flight).map(message).collect()).expect("it speaks");
            self.next += in_flight;
            received.await;
        }
        (MESSAGES / in_flight * in_flight * SUBSCRIBERS) as f64 / started.elapsed().as_secs_f64()
    }
}

async fn compare() {
    let mut contenders = Vec::new();
    for name in CONTENDERS {
        contenders.extend(Contender::start(name).await.map(|contender| (name, contender)));
    }
    for in_flight in IN_FLIGHT {
        let what = format!("{SUBSCRIBERS} subscribers, {in_flight:2} in flight");
        load::rounds(&what, "deliveries/s", ROUNDS, &mut contenders, async |it: &mut Contender| {
            it.measure(in_flight).await
        })
        .await;
    }
    drop(contenders);
    for name in CONTENDERS {
        telemetry::measure(name).await;
    }
}
