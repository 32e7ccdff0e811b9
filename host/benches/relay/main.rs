//! Round trips a second, user → server → monitor → server → user: this relay, the simplest relay with bare
//! socketioxide, and the simplest with Node's socket.io (if `.ci/peers` has installed it).
//!
//! ```sh
//! cargo bench -p cloverleaf --bench relay              # all, in turns; about a minute and a half
//! ```
//!
//! One command at a time per pair. Every reply is compared with what it must be, so a lost, doubled or misdirected one
//! ends the run. Ours is `cloverleaf serve` as it is: the simulated road runs, and every command is on the timeline.

#[path = "../load/mod.rs"]
mod load;

use std::collections::HashMap;
use std::future::ready;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloverleaf::socketio;
use load::{CONTENDERS, Server, Socket};
use serde::{Deserialize, Serialize};
use socketioxide::SocketIo;
use socketioxide::extract::{Data, SocketRef};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Utf8Bytes;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const PAIRS: [usize; 2] = [1, 50];

fn main() {
    load::main(compare(), serve);
}

async fn serve(_: &str) {
    let (layer, io) = socketio::server();
    bare(&io);
    load::serve_bare(layer).await;
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
    /// Of a user its monitor, of a monitor its user.
    type Other = Arc<Mutex<Option<SocketRef>>>;
    let monitors: Arc<Mutex<HashMap<String, (SocketRef, Other)>>> = Arc::default();
    io.ns("/relay", move |socket: SocketRef| {
        // All are registered here: a handler that registers another waits for itself.
        let (other, known) = (Other::default(), monitors.clone());
        let users = other.clone();
        socket.on("con", move |socket: SocketRef, Data(id): Data<Id>| {
            known.lock().expect("whole").insert(id.monitor_id, (socket.clone(), users.clone()));
            socket.emit("con ok", &Reason { reason: "Connection ok" }).expect("room");
            ready(())
        });
        let (known, mine) = (monitors.clone(), other.clone());
        socket.on("query", move |socket: SocketRef, Data(id): Data<Id>| {
            let (monitor, user) = known.lock().expect("whole")[&id.monitor_id].clone();
            *user.lock().expect("whole") = Some(socket.clone());
            *mine.lock().expect("whole") = Some(monitor);
            socket.emit("query ok", &Reason { reason: "Query ok" }).expect("room");
            ready(())
        });
        let monitor = other.clone();
        socket.on("command send", move |socket: SocketRef, Data(task): Data<Task>| {
            if let Some(monitor) = &*monitor.lock().expect("whole") {
                monitor.emit("command do", &task).expect("room");
                socket.emit("command ok", &Reason { reason: "Command ok" }).expect("room");
            }
            ready(())
        });
        socket.on("command done", move |_: SocketRef| {
            if let Some(user) = &*other.lock().expect("whole") {
                user.emit("command finish", &Reason { reason: "Command finish" }).expect("room");
            }
            ready(())
        });
        ready(())
    });
}

const SEND: &str = r#"42/relay,["command send",{"command":"lights on"}]"#;
const DO: &str = r#"42/relay,["command do",{"command":"lights on"}]"#;
const OK: &str = r#"42/relay,["command ok",{"reason":"Command ok"}]"#;
const DONE: &str = r#"42/relay,["command done",{}]"#;
const FINISH: &str = r#"42/relay,["command finish",{"reason":"Command finish"}]"#;

/// Users, and monitors that do everything at once, for as long as this is kept.
#[derive(Default)]
struct Pairs {
    users: Vec<Socket>,
    monitors: JoinSet<()>,
}

impl Pairs {
    async fn join(port: u16, count: usize) -> Self {
        let mut pairs = Self::default();
        for _ in 0..count {
            let (user, monitor) = pair(port).await;
            pairs.users.push(user);
            pairs.monitors.spawn(obey(monitor));
        }
        pairs
    }

    /// Round trips a second of all users together.
    async fn measure(&mut self) -> f64 {
        let started = Instant::now();
        let mut trips = 0;
        let tasks: Vec<_> = self.users.drain(..).map(|user| tokio::spawn(command(user, started))).collect();
        for task in tasks {
            let (user, count) = task.await.expect("only expected replies");
            self.users.push(user);
            trips += count;
        }
        f64::from(trips) / started.elapsed().as_secs_f64()
    }
}

async fn obey(mut monitor: Socket) {
    loop {
        monitor.expect(DO).await;
        monitor.say(Utf8Bytes::from_static(DONE)).await;
    }
}

async fn command(mut user: Socket, started: Instant) -> (Socket, u32) {
    let mut trips = 0;
    while started.elapsed() < ROUND {
        user.say(Utf8Bytes::from_static(SEND)).await;
        user.expect(OK).await;
        user.expect(FINISH).await;
        trips += 1;
    }
    (user, trips)
}

/// A user and its monitor.
async fn pair(port: u16) -> (Socket, Socket) {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let id = SERIAL.fetch_add(1, Ordering::Relaxed);
    let (mut monitor, mut user) =
        (Socket::join(port, "/relay", "").await, Socket::join(port, "/relay", "").await);
    // Bare socketioxide tells a client that it is in before it listens to it, and loses what comes at once.
    tokio::time::sleep(Duration::from_millis(50)).await;
    monitor.say(format!("42/relay,[\"con\",{{\"monitor_id\":\"{id:032}\"}}]")).await;
    monitor.expect(r#"42/relay,["con ok",{"reason":"Connection ok"}]"#).await;
    user.say(format!("42/relay,[\"query\",{{\"monitor_id\":\"{id:032}\"}}]")).await;
    user.expect(r#"42/relay,["query ok",{"reason":"Query ok"}]"#).await;
    (user, monitor)
}

async fn compare() {
    let mut servers = Vec::new();
    for name in CONTENDERS {
        servers.extend(Server::start("relay", name).await.map(|server| (name, server)));
    }
    for pairs in PAIRS {
        let mut contenders = Vec::new();
        for (name, server) in &servers {
            contenders.push((*name, Pairs::join(server.port, pairs).await));
        }
        let what = format!("{pairs:2} pairs");
        load::rounds(&what, "round trips/s", ROUNDS, &mut contenders, Pairs::measure).await;
    }
}
