//! The hub against a raw tokio-tungstenite broadcast, in interleaved rounds of one run: only the ratios count.
//!
//! `cargo bench -p cloverleaf --bench hub`. Each server is a process of its own on one core (if `taskset` is there) with
//! one worker; the load is on another. The hub is `cloverleaf serve` as it is: rooms with presence, messages that are kept,
//! a timeline, and a road that is simulated beside it. Every delivery is counted; a round with a lost one does not end.

#[path = "load/mod.rs"]
mod load;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use load::{CONTENDERS, Server, median};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;

/// What is compared.
const HUB: &str = CONTENDERS[0];
const RAW: &str = "raw";

const SUBSCRIBERS: usize = 1000;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("--serve") {
        tokio::runtime::Runtime::new().unwrap().block_on(serve_raw());
    }
    load::pin();
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&load, measure());
}

/// Whatever a client sends goes to all clients, by way of a queue and a task for each.
async fn serve_raw() {
    let listener = load::listen().await;
    let everybody = tokio::sync::broadcast::Sender::<Message>::new(4096);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let everybody = everybody.clone();
        tokio::spawn(async move {
            let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
            let (mut sink, mut source) = socket.split();
            let mut inbox = everybody.subscribe();
            tokio::spawn(async move {
                while let Ok(message) = inbox.recv().await {
                    if sink.feed(message).await.is_err() {
                        return;
                    }
                    while let Ok(message) = inbox.try_recv() {
                        if sink.feed(message).await.is_err() {
                            return;
                        }
                    }
                    if sink.flush().await.is_err() {
                        return;
                    }
                }
            });
            while let Some(Ok(message)) = source.next().await {
                let _ = everybody.send(message);
            }
        });
    }
}

async fn start(which: &str) -> Server {
    Server::start("hub", which).await.expect("a server")
}

/// Resident memory in KiB.
fn memory(server: &Server) -> f64 {
    server.memory().expect("Linux tells") as f64 / 1024.0
}

/// Upgrades to a WebSocket.
async fn connect(server: &Server, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream
}

/// A text frame of a client with a mask of zeros.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        length @ ..=125 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// Waits until nothing comes for a while.
async fn drain(stream: &mut TcpStream, quiet: Duration) {
    let mut buffer = [0; 4096];
    while let Ok(Ok(1..)) = tokio::time::timeout(quiet, stream.read(&mut buffer)).await {}
}

async fn measure() {
    println!("fan-out of 200-byte messages to {SUBSCRIBERS} subscribers, thousand deliveries a second");
    println!("{:>10} {:>10} {:>10} {:>10}", "in flight", "hub", "raw", "ratio");
    let mut summary = Vec::new();
    for in_flight in [1, 16] {
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let hub = fan_out(HUB, in_flight).await;
            let raw = fan_out(RAW, in_flight).await;
            println!("{in_flight:>10} {:>10.0} {:>10.0} {:>10.2}", hub / 1e3, raw / 1e3, hub / raw);
            ratios.push(hub / raw);
        }
        let ratio = median(ratios);
        summary.push(format!(
            "fan-out, {in_flight:>2} in flight: {ratio:.2} of the raw broadcast (aim 0.90 or more)"
        ));
    }
    let idle = idle().await;
    summary.push(format!("a joined idle connection: {idle:.1} kB (aim 10 or less)"));
    println!("{SUBSCRIBERS} members join one room with presence");
    println!("{:>10} {:>10}", "seconds", "MB more");
    let (mut seconds, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (took, more) = storm().await;
        println!("{took:>10.2} {more:>10.1}");
        seconds.push(took);
        memory.push(more);
    }
    summary.push(format!(
        "{SUBSCRIBERS} joiners have settled after {:.2} s (aim 0.50 or less)",
        median(seconds)
    ));
    summary.push(format!("and cost {:.1} MB more memory (aim 30 or less)", median(memory)));
    println!("medians:");
    for line in summary {
        println!("  {line}");
    }
}

/// Deliveries a second with so many messages on their way at any time.
async fn fan_out(which: &str, in_flight: usize) -> f64 {
    let server = start(which).await;
    let hub = which == HUB;
    let body = "x".repeat(140);
    let payload = format!(r#"{{"body":"{body}","channel":"bench","name":"robin"}}"#);
    let shouted = format!(r#"[null,null,"room:bench","shout",{payload}]"#);
    let delivered = 4 + shouted.len();
    let message = if hub { format!(r#"["1","2","room:bench","shout",{payload}]"#) } else { shouted };
    let publish = frame(&message);
    let received = Rc::new(Cell::new(0));
    let wanted = Rc::new(Cell::new(usize::MAX));
    let progress = Rc::new(Notify::new());
    let buffer = Rc::new(RefCell::new(vec![0; 1 << 16]));
    let mut publisher = None;
    let mut readers = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..SUBSCRIBERS {
        streams.push(connect(&server, if hub { "/socket/websocket?vsn=2.0.0" } else { "/" }).await);
    }
    if hub {
        streams = join(streams).await;
        for stream in &mut streams {
            drain(stream, Duration::from_millis(1)).await;
        }
    }
    for (index, stream) in streams.into_iter().enumerate() {
        let (reader, writer) = stream.into_split();
        if index == 0 {
            publisher = Some(writer);
        } else {
            std::mem::forget(writer);
        }
        let (received, wanted, progress, buffer) =
            (Rc::clone(&received), Rc::clone(&wanted), Rc::clone(&progress), Rc::clone(&buffer));
        readers.push(tokio::task::spawn_local(read(reader, received, wanted, progress, buffer)));
    }
    let mut publisher = publisher.unwrap();
    let bytes = SUBSCRIBERS * delivered;
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < ROUND {
        let room = in_flight - (sent - received.get() / bytes).min(in_flight);
        if room == 0 {
            wanted.set((received.get() / bytes + 1) * bytes);
            progress.notified().await;
            continue;
        }
        publisher.write_all(&publish.repeat(room)).await.unwrap();
        sent += room;
    }
    while received.get() < sent * bytes {
        wanted.set(sent * bytes);
        progress.notified().await;
    }
    let rate = (sent * SUBSCRIBERS) as f64 / start.elapsed().as_secs_f64();
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    rate
}

async fn read(
    reader: OwnedReadHalf,
    received: Rc<Cell<usize>>,
    wanted: Rc<Cell<usize>>,
    progress: Rc<Notify>,
    buffer: Rc<RefCell<Vec<u8>>>,
) {
    loop {
        reader.readable().await.unwrap();
        let result = reader.try_read(&mut buffer.borrow_mut());
        match result {
            Ok(0) => return,
            Ok(count) => received.set(received.get() + count),
            Err(_) => continue,
        }
        if received.get() >= wanted.get() {
            wanted.set(usize::MAX);
            progress.notify_one();
        }
    }
}

/// Memory in kB of a connection that has joined and says nothing.
async fn idle() -> f64 {
    const COUNT: usize = 4000;
    let server = start(HUB).await;
    let before = memory(&server);
    let mut streams = Vec::new();
    for index in 0..COUNT {
        let mut stream = connect(&server, "/socket/websocket?vsn=2.0.0").await;
        let join = format!(r#"["1","1","room:{}","phx_join",{{"username":"user{index}"}}]"#, index / 10);
        stream.write_all(&frame(&join)).await.unwrap();
        streams.push(stream);
    }
    for stream in &mut streams {
        drain(stream, Duration::from_millis(1)).await;
    }
    (memory(&server) - before) / COUNT as f64
}

/// Everybody joins one room with presence at once; answers when all know of all.
async fn join(streams: Vec<TcpStream>) -> Vec<TcpStream> {
    let mut readers = Vec::new();
    for (index, mut stream) in streams.into_iter().enumerate() {
        let join = frame(&format!(r#"["1","1","room:bench","phx_join",{{"username":"user{index:04}"}}]"#));
        readers.push(tokio::task::spawn_local(async move {
            stream.write_all(&join).await.unwrap();
            // Everybody is told of once, in the state or in a diff.
            let needle = b"\"phx_ref\"";
            let mut seen = 0;
            let mut carried = 0;
            let mut buffer = vec![0; 1 << 16];
            while seen < SUBSCRIBERS {
                let count = stream.read(&mut buffer[carried..]).await.unwrap();
                assert!(count > 0, "the server closed a connection");
                let filled = carried + count;
                seen += buffer[..filled].windows(needle.len()).filter(|window| window == needle).count();
                let kept = filled.min(needle.len() - 1);
                buffer.copy_within(filled - kept..filled, 0);
                carried = kept;
            }
            assert_eq!(seen, SUBSCRIBERS);
            stream
        }));
    }
    let mut joined = Vec::new();
    for reader in readers {
        joined.push(reader.await.unwrap());
    }
    joined
}

/// Seconds until all who join know of all, and MB of memory.
async fn storm() -> (f64, f64) {
    let server = start(HUB).await;
    let mut streams = Vec::new();
    for _ in 0..SUBSCRIBERS {
        streams.push(connect(&server, "/socket/websocket?vsn=2.0.0").await);
    }
    let before = memory(&server);
    let start = Instant::now();
    let _joined = join(streams).await;
    (start.elapsed().as_secs_f64(), (memory(&server) - before) / 1024.0)
}
