//! Round trips a second, user → server → monitor → server → user: this relay, the simplest relay with bare
//! socketioxide, and the simplest with Node's socket.io (if `.ci/peers` has installed it).
//!
//! ```sh
//! cargo bench -p cloverleaf --bench relay              # all, in interleaved rounds; only ratios of one run count
//! ```
//!
//! Each server is a process of its own; the load is raw WebSocket frames from this one, one command at a time per
//! pair. Every reply is compared with what it must be, so a lost, doubled or misdirected one ends the run.

use std::collections::HashMap;
use std::future::ready;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use cloverleaf::config::{Exposure, Options};
use cloverleaf::services::Context;
use cloverleaf::services::relay::Relay;
use cloverleaf::socketio;
use cloverleaf::timeline::{Bus, Latest};
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use socketioxide::SocketIo;
use socketioxide::extract::{Data, SocketRef};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const PAIRS: [usize; 2] = [1, 50];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match arguments.next().as_deref() {
        Some("--serve") => runtime.block_on(serve(&arguments.next().expect("which"))),
        _ => runtime.block_on(compare()),
    }
}

async fn serve(which: &str) {
    let (layer, io) = socketio::server();
    let timeline = Bus::new();
    let latest = Latest::follow(&timeline);
    if which == "bare" {
        bare(&io);
    } else {
        let context = Context { timeline, exposure: Exposure::Loopback };
        Relay::new(&Options::default().relay, &context).mount(&io);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("bound").port());
    let listener =
        axum::serve::ListenerExt::tap_io(listener, |stream| stream.set_nodelay(true).unwrap_or_default());
    axum::serve(listener, Router::new().layer(layer)).await.expect("serves");
    drop(latest);
}

#[derive(Deserialize)]
struct Id {
    monitor_id: String,
}

#[derive(Serialize, Deserialize)]
struct Task {
    command: String,
}

#[derive(Serialize)]
struct Reason {
    reason: &'static str,
}

/// A relay without any of the promises: no limits, no order, no failures.
fn bare(io: &SocketIo) {
    type Pair = (SocketRef, Arc<Mutex<Option<SocketRef>>>);
    let monitors: Arc<Mutex<HashMap<String, Pair>>> = Arc::default();
    io.ns("/relay", move |socket: SocketRef| {
        let known = monitors.clone();
        socket.on("con", move |socket: SocketRef, Data(id): Data<Id>| {
            let user: Arc<Mutex<Option<SocketRef>>> = Arc::default();
            known.lock().expect("whole").insert(id.monitor_id, (socket.clone(), user.clone()));
            socket.on("command done", move |_: SocketRef| {
                if let Some(user) = &*user.lock().expect("whole") {
                    user.emit("command finish", &Reason { reason: "Command finish" }).expect("room");
                }
                ready(())
            });
            socket.emit("con ok", &Reason { reason: "Connection ok" }).expect("room");
            ready(())
        });
        socket.on("query", move |socket: SocketRef, Data(id): Data<Id>| {
            let (monitor, user) = monitors.lock().expect("whole")[&id.monitor_id].clone();
            *user.lock().expect("whole") = Some(socket.clone());
            socket.on("command send", move |socket: SocketRef, Data(task): Data<Task>| {
                monitor.emit("command do", &task).expect("room");
                socket.emit("command ok", &Reason { reason: "Command ok" }).expect("room");
                ready(())
            });
            socket.emit("query ok", &Reason { reason: "Query ok" }).expect("room");
            ready(())
        });
        ready(())
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
            let script = format!("{modules}/relay-bench.cjs");
            std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/relay/node.cjs"), &script).ok()?;
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

async fn join(port: u16) -> Socket {
    let url = format!("ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket");
    let (mut socket, _) = connect_async(url).await.expect("a connection");
    hear(&mut socket).await;
    say(&mut socket, "40/relay,").await;
    hear(&mut socket).await;
    socket
}

async fn say(socket: &mut Socket, text: &'static str) {
    socket.send(Message::Text(Utf8Bytes::from_static(text))).await.expect("a server that reads");
}

async fn hear(socket: &mut Socket) -> Utf8Bytes {
    loop {
        match socket.next().await.expect("open").expect("good frames") {
            Message::Text(text) if text == "2" => say(socket, "3").await,
            Message::Text(text) => return text,
            _ => {}
        }
    }
}

async fn expect(socket: &mut Socket, text: &str) {
    let heard = hear(socket).await;
    assert_eq!(heard, text);
}

/// Round trips a second with this many pairs, each with one command at a time.
async fn measure(port: u16, pairs: usize) -> f64 {
    static SERIAL: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let mut users = Vec::new();
    for _ in 0..pairs {
        let id = format!("{:032}", SERIAL.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let (mut monitor, mut user) = (join(port).await, join(port).await);
        monitor
            .send(Message::text(format!("42/relay,[\"con\",{{\"monitor_id\":\"{id}\"}}]")))
            .await
            .expect("sent");
        expect(&mut monitor, r#"42/relay,["con ok",{"reason":"Connection ok"}]"#).await;
        user.send(Message::text(format!("42/relay,[\"query\",{{\"monitor_id\":\"{id}\"}}]")))
            .await
            .expect("sent");
        expect(&mut user, r#"42/relay,["query ok",{"reason":"Query ok"}]"#).await;
        tokio::spawn(async move {
            while let Some(Ok(frame)) = monitor.next().await {
                match frame.to_text() {
                    Ok("2") => say(&mut monitor, "3").await,
                    Ok(text) if text.starts_with("42") => {
                        assert_eq!(text, r#"42/relay,["command do",{"command":"lights on"}]"#);
                        say(&mut monitor, r#"42/relay,["command done",{}]"#).await;
                    }
                    _ => {}
                }
            }
        });
        users.push(user);
    }
    let end = Instant::now() + ROUND;
    let tasks: Vec<_> = users
        .into_iter()
        .map(|mut user| {
            tokio::spawn(async move {
                let mut trips = 0_u32;
                while Instant::now() < end {
                    say(&mut user, r#"42/relay,["command send",{"command":"lights on"}]"#).await;
                    expect(&mut user, r#"42/relay,["command ok",{"reason":"Command ok"}]"#).await;
                    expect(&mut user, r#"42/relay,["command finish",{"reason":"Command finish"}]"#).await;
                    trips += 1;
                }
                trips
            })
        })
        .collect();
    let mut trips = 0;
    for task in tasks {
        trips += task.await.expect("only expected replies");
    }
    f64::from(trips) / ROUND.as_secs_f64()
}

async fn compare() {
    let mut servers = Vec::new();
    for name in ["cloverleaf", "bare", "node"] {
        match Server::start(name).await {
            Some(server) => servers.push((name, server)),
            None => println!("{name}: not installed, see .ci/peers"),
        }
    }
    for pairs in PAIRS {
        let mut rates: Vec<Vec<f64>> = vec![Vec::new(); servers.len()];
        // The first round warms up.
        for round in 0..=ROUNDS {
            for (rates, (_, server)) in rates.iter_mut().zip(&servers) {
                let rate = measure(server.port, pairs).await;
                if round > 0 {
                    rates.push(rate);
                }
            }
        }
        let median = |rates: &[f64]| {
            let mut rates = rates.to_vec();
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        };
        for (at, (name, _)) in servers.iter().enumerate() {
            let ratios: Vec<f64> =
                rates[0].iter().zip(&rates[at]).map(|(ours, theirs)| ours / theirs).collect();
            let rate = median(&rates[at]);
            println!(
                "{pairs:3} pairs  {name:10} {rate:9.0} round trips/s   cloverleaf is {:.2} x",
                median(&ratios)
            );
        }
    }
}
