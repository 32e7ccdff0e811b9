//! What the benches of the services share: servers as processes of their own (ours is the program itself), clients of
//! raw WebSocket frames, and rounds that take turns, because on a machine with neighbours only ratios of one run count.
//!
//! Servers run on one core and the load on another, if `taskset` is there.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use futures_util::{SinkExt, StreamExt};
use socketioxide::layer::SocketIoLayer;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// What is compared. The first is ours, the second is the measure.
pub(crate) const CONTENDERS: [&str; 3] = ["cloverleaf", "bare", "node"];

const SERVERS: &str = "0";
const LOAD: &str = "1";

/// Bytes that a client reads at once.
const READ_BUFFER: usize = 2048;

/// Runs the bench, or one of the servers it is compared with if that is what the arguments say.
pub(crate) fn main(compare: impl Future<Output = ()>, serve: impl AsyncFnOnce(&str)) {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    if let Some("--serve") = arguments.next().as_deref() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        return runtime.block_on(serve(&arguments.next().expect("which")));
    }
    pin();
    tokio::runtime::Runtime::new().expect("a runtime").block_on(compare);
}

/// Keeps the load to its core.
pub(crate) fn pin() {
    let pinned = std::process::Command::new("taskset")
        .args(["-cp", LOAD, &std::process::id().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !pinned.is_ok_and(|status| status.success()) {
        println!("not pinned to cores: taskset, or a second core, is missing");
    }
}

/// Listens and tells the parent where.
pub(crate) async fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("bound").port());
    listener
}

/// Serves nothing but Socket.IO, as its documentation does.
pub(crate) async fn serve_bare(layer: SocketIoLayer) {
    let listener = listen().await.tap_io(|stream| stream.set_nodelay(true).expect("a socket"));
    axum::serve(listener, Router::new().layer(layer)).await.expect("serves");
}

/// A server in a process of its own, for as long as it is kept.
pub(crate) struct Server {
    child: Child,
    /// Where it listens on the loopback interface.
    pub(crate) port: u16,
}

impl Server {
    /// Starts a contender of the bench in this folder. None if it is Node and is not installed.
    pub(crate) async fn start(bench: &str, name: &str) -> Option<Self> {
        let program = std::env::current_exe().expect("this program");
        let mut line = vec![program.into_os_string(), "--serve".into(), name.into()];
        let mut folder = std::env::current_dir().expect("a folder");
        if name == CONTENDERS[0] {
            line =
                [env!("CARGO_BIN_EXE_cloverleaf"), "serve", "--listen", "127.0.0.1:0"].map(Into::into).into();
        } else if name == "node" {
            // Modules are found from where the script is.
            folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/peers/node").into();
            let script = folder.join(format!("{bench}-bench.cjs"));
            let original = format!("{}/benches/{bench}/node.cjs", env!("CARGO_MANIFEST_DIR"));
            if std::fs::copy(original, &script).is_err() {
                println!("node is left out: .ci/peers has not installed it");
                return None;
            }
            line = vec!["node".into(), script.into_os_string()];
        }
        let pinned = [&["taskset".into(), "-c".into(), SERVERS.into()], &line[..]].concat();
        for line in [pinned, line] {
            let mut command = Command::new(&line[0]);
            command
                .args(&line[1..])
                .current_dir(&folder)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .kill_on_drop(true);
            let Ok(mut child) = command.spawn() else { continue };
            let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            // The port alone, or `listening on http://127.0.0.1:PORT`.
            if let Ok(Some(line)) = lines.next_line().await
                && let Some(port) = line.rsplit(':').next()
            {
                return Some(Self { child, port: port.parse().expect("a port") });
            }
        }
        println!("{name} is left out: it does not start");
        None
    }
}

impl Server {
    /// How much memory it has, in bytes; none where that is not told.
    pub(crate) fn memory(&self) -> Option<u64> {
        let told = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id()?)).ok()?;
        Some(told.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
    }
}

/// A client over a WebSocket.
pub(crate) struct Socket {
    frames: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Joins a namespace, with something more in the query if need be: `&X-API-KEY=…`.
    pub(crate) async fn join(port: u16, namespace: &str, query: &str) -> Self {
        let url = format!("ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket{query}");
        // The whole buffer is cleared before every read: as large as it is by itself, that would be most of the load's work.
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
        let (frames, _) = connect_async_with_config(url, Some(config), false).await.expect("a connection");
        let mut socket = Self { frames };
        socket.hear().await;
        socket.say(format!("40{namespace},")).await;
        while !socket.hear().await.starts_with("40") {}
        socket
    }

    /// Sends a packet.
    pub(crate) async fn say(&mut self, packet: impl Into<Utf8Bytes>) {
        self.say_all([packet]).await;
    }

    /// Sends packets together.
    pub(crate) async fn say_all(&mut self, packets: impl IntoIterator<Item = impl Into<Utf8Bytes>>) {
        for packet in packets {
            self.frames.feed(Message::Text(packet.into())).await.expect("a server that reads");
        }
        self.frames.flush().await.expect("a server that reads");
    }

    /// The next packet; heartbeats are answered.
    pub(crate) async fn hear(&mut self) -> Utf8Bytes {
        loop {
            match self.frames.next().await.expect("open").expect("good frames") {
                Message::Text(text) if text == "2" => self.say(Utf8Bytes::from_static("3")).await,
                Message::Text(text) => return text,
                _ => {}
            }
        }
    }

    /// The next packet must be this one.
    pub(crate) async fn expect(&mut self, packet: &str) {
        assert_eq!(self.hear().await, packet, "lost, doubled or out of order");
    }
}

/// Measures every contender in turn, `rounds` times after one to warm up, and prints the median of each with the median
/// of its ratios to the second.
pub(crate) async fn rounds<T>(
    what: &str,
    unit: &str,
    rounds: usize,
    contenders: &mut [(&str, T)],
    mut measure: impl AsyncFnMut(&mut T) -> f64,
) {
    let mut results: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        for ((_, contender), results) in contenders.iter_mut().zip(&mut results) {
            let result = measure(contender).await;
            if round > 0 {
                results.push(result);
            }
            // What is still on its way belongs to nobody's round.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    for ((name, _), theirs) in contenders.iter().zip(&results) {
        let ratios = theirs.iter().zip(results.get(1).unwrap_or(theirs)).map(|(it, measure)| it / measure);
        println!(
            "{what}  {name:10} {:9.0} {unit}, {:.2} of bare",
            median(theirs.clone()),
            median(ratios.collect())
        );
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
