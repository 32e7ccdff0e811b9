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
use std::time::{Duration, Instant};

use axum::Router;
use cloverleaf::app::App;
use cloverleaf::config::Options;
use cloverleaf::socketio;
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use socketioxide::SocketIo;
use socketioxide::extract::{Data, SocketRef};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
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
        socket.on("user_message", async |socket: SocketRef, Data(data): Data<Value>| {
            socket.within("user").emit("user_message", &data).await.expect("room");
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

/// Deliveries a second.
async fn measure(publisher: &mut Socket, subscribers: &mut [Socket], in_flight: usize) -> f64 {
    let started = Instant::now();
    for first in (0..MESSAGES).step_by(in_flight) {
        let batch = first..(first + in_flight).min(MESSAGES);
        for number in batch.clone() {
            publisher.feed(Message::text(message(number))).await.expect("sent");
        }
        publisher.flush().await.expect("sent");
        let heard = subscribers.iter_mut().chain([&mut *publisher]).map(async |socket| {
            for number in batch.clone() {
                assert_eq!(hear(socket).await, message(number), "lost, doubled or out of order");
            }
        });
        join_all(heard).await;
    }
    (MESSAGES * (subscribers.len() + 1)) as f64 / started.elapsed().as_secs_f64()
}

async fn compare() {
    let mut servers = Vec::new();
    for name in ["cloverleaf", "bare", "node"] {
        match Server::start(name).await {
            Some(server) => {
                let mut subscribers = Vec::with_capacity(SUBSCRIBERS);
                for _ in 1..SUBSCRIBERS {
                    subscribers.push(join(server.port).await);
                }
                let publisher = join(server.port).await;
                servers.push((name, server, publisher, subscribers));
            }
            None => println!("{name} is not installed: run .ci/peers"),
        }
    }
    for in_flight in IN_FLIGHT {
        let mut results: Vec<Vec<f64>> = vec![Vec::new(); servers.len()];
        for _ in 0..ROUNDS {
            for ((_, _, publisher, subscribers), results) in servers.iter_mut().zip(&mut results) {
                results.push(measure(publisher, subscribers, in_flight).await);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        let medians: Vec<f64> = results
            .iter_mut()
            .map(|results| {
                results.sort_by(f64::total_cmp);
                results[results.len() / 2]
            })
            .collect();
        for ((name, ..), median) in servers.iter().zip(&medians) {
            let ratio = median / medians.get(1).unwrap_or(median);
            println!(
                "{SUBSCRIBERS} subscribers, {in_flight:2} in flight: {name:10} {median:9.0} deliveries/s, {ratio:.2} of bare"
            );
        }
    }
}
