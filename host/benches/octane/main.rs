//! Fan-out: one client says something, a thousand hear it. This service, the simplest with bare socketioxide, and the
//! simplest with Node's socket.io (if `.ci/peers` has installed it).
//!
//! ```sh
//! cargo bench -p cloverleaf --bench octane             # all, in interleaved rounds; only ratios of one run count
//! ```
//!
//! Each server is a process of its own; the load is raw WebSocket frames from this one. Every subscriber counts what it
//! hears: a lost, doubled or reordered message ends the run.

use std::process::Stdio;
use std::time::Instant;

use axum::Router;
use cloverleaf::app::App;
use cloverleaf::config::Options;
use cloverleaf::socketio;
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::Value;
use socketioxide::SocketIo;
use socketioxide::extract::{Data, SocketRef};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const SUBSCRIBERS: usize = 1000;
const ROUNDS: usize = 5;
const MESSAGES: usize = 200;
/// How many messages are on their way at once.
const IN_FLIGHT: [usize; 2] = [1, 16];
const KEY: &str = "benchmark";

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match arguments.next().as_deref() {
        Some("--serve") => runtime.block_on(serve(&arguments.next().expect("which"))),
        _ => runtime.block_on(compare()),
    }
}

async fn serve(which: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("bound").port());
    if which == "bare" {
        let (layer, io) = socketio::server();
        bare(&io);
        let listener =
            axum::serve::ListenerExt::tap_io(listener, |stream| stream.set_nodelay(true).unwrap_or_default());
        axum::serve(listener, Router::new().layer(layer)).await.expect("serves");
    } else {
        let mut options = Options::default();
        options.octane.keys = vec![KEY.parse().expect("a key")];
        let app = App::new(&options).await.expect("good options");
        app.serve(listener, std::future::pending()).await.expect("serves");
    }
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
        socket.join("user");
        socket.emit("channels", &0).expect("room");
        std::future::ready(())
    });
}

/// A server in a process of its own.
struct Server {
    _child: Child,
    port: u16,
}

impl Server {
    async fn start(name: &str) -> Option<Self> {
        let mut command = if name == "node" {
            let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/peers/node");
            let script = format!("{modules}/octane-bench.cjs");
            std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/octane/node.cjs"), &script).ok()?;
            let mut command = Command::new("node");
            command.arg(script).current_dir(modules);
            command
        } else {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.args(["--serve", name]);
            command
        };
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().ok()?;
        let mut lines = BufReader::new(child.stdout.take()?).lines();
        let port = lines.next_line().await.ok()??.parse().ok()?;
        Some(Self { _child: child, port })
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A client that is in: `channels` is the last that is said on entry.
async fn join(port: u16) -> Socket {
    let url = format!("ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket&X-API-KEY={KEY}");
    let (mut socket, _) = connect_async(url).await.expect("a connection");
    socket.send(Message::text("40/octane,")).await.expect("sent");
    while !hear(&mut socket).await.contains("\"channels\"") {}
    socket
}

async fn hear(socket: &mut Socket) -> String {
    loop {
        match socket.next().await.expect("open").expect("good frames") {
            Message::Text(text) if text == "2" => socket.send(Message::text("3")).await.expect("sent"),
            Message::Text(text) => return text.to_string(),
            _ => {}
        }
    }
}

fn message(number: usize) -> String {
    format!("42/octane,[\"user_message\",{{\"number\":{number},\"padding\":\"{:-<64}\"}}]", "")
}

/// A subscriber that always reads, answers heartbeats, and reports each message after the one before it.
fn subscribe(mut socket: Socket, heard: mpsc::UnboundedSender<()>) {
    tokio::spawn(async move {
        let mut number = 0;
        loop {
            assert_eq!(hear(&mut socket).await, message(number), "lost, doubled or out of order");
            number += 1;
            if heard.send(()).is_err() {
                return;
            }
        }
    });
}

/// A server with its subscribers.
struct Contender {
    name: &'static str,
    _server: Server,
    speak: mpsc::UnboundedSender<Vec<String>>,
    heard: mpsc::UnboundedReceiver<()>,
    next: usize,
}

impl Contender {
    async fn start(name: &'static str) -> Option<Self> {
        let server = Server::start(name).await?;
        let (report, heard) = mpsc::unbounded_channel();
        for _ in 0..SUBSCRIBERS {
            subscribe(join(server.port).await, report.clone());
        }
        let (speak, mut spoken) = mpsc::unbounded_channel::<Vec<String>>();
        let mut publisher = join(server.port).await;
        tokio::spawn(async move {
            loop {
                // It hears itself, too, and has to answer heartbeats; only waiting for a frame may be cut short.
                tokio::select! {
                    texts = spoken.recv() => {
                        let Some(texts) = texts else { return };
                        for text in texts {
                            publisher.feed(Message::text(text)).await.expect("sent");
                        }
                        publisher.flush().await.expect("sent");
                    }
                    frame = publisher.next() => {
                        if frame.expect("open").expect("good frames") == Message::text("2") {
                            publisher.send(Message::text("3")).await.expect("sent");
                        }
                    }
                }
            }
        });
        Some(Self { name, _server: server, speak, heard, next: 0 })
    }

    /// Deliveries a second.
    async fn measure(&mut self, in_flight: usize) -> f64 {
        let started = Instant::now();
        for _ in 0..MESSAGES / in_flight {
            self.speak.send((self.next..self.next + in_flight).map(message).collect()).expect("it speaks");
            self.next += in_flight;
            for _ in 0..in_flight * SUBSCRIBERS {
                self.heard.recv().await.expect("everybody still listens");
            }
        }
        (MESSAGES / in_flight * in_flight * SUBSCRIBERS) as f64 / started.elapsed().as_secs_f64()
    }
}

async fn compare() {
    let mut contenders = Vec::new();
    for name in ["cloverleaf", "bare", "node"] {
        match Contender::start(name).await {
            Some(contender) => contenders.push(contender),
            None => println!("{name} is not installed: run .ci/peers"),
        }
    }
    for in_flight in IN_FLIGHT {
        let mut results: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
        for _ in 0..ROUNDS {
            for (contender, results) in contenders.iter_mut().zip(&mut results) {
                results.push(contender.measure(in_flight).await);
            }
        }
        let medians: Vec<f64> = results
            .iter_mut()
            .map(|results| {
                results.sort_by(f64::total_cmp);
                results[results.len() / 2]
            })
            .collect();
        for (contender, median) in contenders.iter().zip(&medians) {
            let (name, ratio) = (contender.name, median / medians.get(1).unwrap_or(median));
            println!(
                "{SUBSCRIBERS} subscribers, {in_flight:2} in flight: {name:10} {median:9.0} deliveries/s, {ratio:.2} of bare"
            );
        }
    }
}
