//! `permessage-deflate` between the DFX client, the local server, and peers written by hand.

use cloverleaf::config::Options;
use cloverleaf::services::dfx::client::{CallError, Connect, ConnectError, DfxClient, Protocol};
use cloverleaf::services::dfx::events::Create;
use cloverleaf_core::dfx::Action;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::dfx::pulse;
use crate::dfx_client::{TIMEOUT, last, next};
use crate::support::{Server, exchange};

fn compressed(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 100);
    let mut compress = Compress::new(Compression::best(), false);
    compress.compress_vec(message, &mut bytes, FlushCompress::Sync).expect("compressed");
    bytes.truncate(bytes.len() - 4);
    bytes
}

fn inflated(compressed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 << 20);
    let whole = [compressed, &[0, 0, 0xFF, 0xFF]].concat();
    Decompress::new(false).decompress_vec(&whole, &mut bytes, FlushDecompress::Sync).expect("deflate");
    bytes
}

/// One frame: its first byte, and the payload without its mask.
pub(crate) async fn frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let (first, second) =
        (stream.read_u8().await.expect("a frame"), stream.read_u8().await.expect("a frame"));
    let length = match second & 0x7F {
        126 => stream.read_u16().await.expect("a length").into(),
        127 => usize::try_from(stream.read_u64().await.expect("a length")).expect("it fits"),
        short => short.into(),
    };
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        stream.read_exact(&mut mask).await.expect("a mask");
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.expect("a payload");
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    (first, payload)
}

/// A frame of a client, under a mask of zeros.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_be_bytes();
    [&[first, 0x80 | 127], &length[..], &[0; 4], payload].concat()
}

#[tokio::test]
async fn the_server_takes_and_sends_compressed_messages_if_that_was_offered() {
    let server = Server::start(&Options::default()).await;
    for (offer, answer) in [
        ("permessage-deflate; client_max_window_bits", true),
        ("permessage-deflate; server_max_window_bits=9", false),
        ("x-unheard-of", false),
    ] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: json\r\nAuthorization: Bearer t\r\n\
             Sec-WebSocket-Extensions: {offer}\r\n\r\n",
            server.address
        );
        let (mut stream, head, _) = exchange(server.address, &request).await;
        assert_eq!(head.contains("sec-websocket-extensions: permessage-deflate"), answer, "{offer}: {head}");
        // An error that names a field is long enough to be worth it.
        let padding = " ".repeat(500);
        let request =
            format!("0504abcdefghij{{\"StudyID\":\"s\",{padding}\"Resolution\":\"{}\"}}", "x".repeat(300));
        let sent = if answer {
            masked(0xC2, &compressed(request.as_bytes()))
        } else {
            masked(0x82, request.as_bytes())
        };
        stream.write_all(&sent).await.unwrap();
        let (first, payload) = timeout(TIMEOUT, frame(&mut stream)).await.expect("in time");
        let payload = if first & 0x40 != 0 { inflated(&payload) } else { payload };
        assert_eq!(first, if answer { 0xC2 } else { 0x82 }, "{offer}: {}", String::from_utf8_lossy(&payload));
        assert!(payload.starts_with(b"abcdefghij400{"), "{offer}: {}", String::from_utf8_lossy(&payload));
        // Without having been asked for, or when it is none, it ends the connection.
        stream.write_all(&masked(0xC2, &[0xFF; 100])).await.unwrap();
        let code: u16 = if answer { 1007 } else { 1002 };
        assert_eq!(
            timeout(TIMEOUT, frame(&mut stream)).await.expect("in time"),
            (0x88, code.to_be_bytes().into())
        );
    }
}

#[tokio::test]
async fn a_bomb_ends_only_its_own_connection() {
    let server = Server::start(&Options::default()).await;
    let client = DfxClient::connect(&format!("ws://{}/dfx", server.address), "t").await.unwrap();
    let request = format!(
        "GET /dfx HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        server.address
    );
    let (mut stream, _, _) = exchange(server.address, &request).await;
    let bomb = compressed(&vec![b' '; 40 << 20]);
    stream.write_all(&masked(0xC2, &bomb)).await.unwrap();
    let goodbye = timeout(TIMEOUT, frame(&mut stream)).await.expect("in time");
    assert_eq!(goodbye, (0x88, 1009_u16.to_be_bytes().into()));
    client.call(Action::STATUS, b"{}").await.unwrap();
}

#[tokio::test]
async fn client_and_server_measure_with_and_without_it() {
    let server = Server::start(&Options::default()).await;
    for protocol in [Protocol::Json, Protocol::Proto] {
        for deflate in [true, false] {
            let connect =
                Connect { protocol, deflate, ..Connect::new(&format!("ws://{}", server.address), "t") };
            let client = connect.connect().await.unwrap();
            let measurement = client.create_measurement(&Create::default()).await.unwrap();
            let mut results = client.subscribe(&measurement).await.unwrap();
            client.add_data(&measurement, last(), pulse(90.0, 5.0)).await.unwrap();
            let bpm = next(&mut results).await.values("HR_BPM").next().expect("a heart rate");
            assert!((bpm - 90.0).abs() < 1.5, "{protocol:?} {deflate}: {bpm}");
        }
    }
}

/// Reads a handshake and answers it with these lines, and a good key unless they have one. Gives its head.
pub(crate) async fn accept(stream: &mut TcpStream, lines: &str) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8(head).expect("text");
    let accept = derive_accept_key(field(&head, "Sec-WebSocket-Key").as_bytes());
    let key =
        if lines.contains("Accept") { String::new() } else { format!("Sec-WebSocket-Accept: {accept}\r\n") };
    let answer =
        format!("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}{lines}\r\n");
    stream.write_all(answer.as_bytes()).await.expect("sent");
    head
}

/// A header of a head.
fn field<'h>(head: &'h str, name: &str) -> &'h str {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).expect("the header").1
}

/// A server by hand: answers the handshake with these lines (and a good key, unless they have one) and the first
/// request with `reply`. Gives its URL, and the first byte and payload of that request.
async fn by_hand(lines: &'static str, reply: Vec<u8>) -> (String, JoinHandle<(u8, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let head = accept(&mut stream, lines).await;
        let offer = field(&head, "Sec-WebSocket-Extensions");
        assert!(offer.starts_with("permessage-deflate; server_no_context_takeover"), "{offer}");
        let request = frame(&mut stream).await;
        stream.write_all(&reply).await.expect("sent");
        // Until the client goes.
        while stream.read_u8().await.is_ok() {}
        request
    });
    (url, task)
}

/// The reply to the first call, a thousand spaces in JSON, as a compressed frame.
fn reply() -> Vec<u8> {
    let compressed = compressed(&[b"0504000000200".as_slice(), &[b' '; 1000], b"{\"ID\":\"m\"}"].concat());
    [&[0xC2, u8::try_from(compressed.len()).expect("short")], &compressed[..]].concat()
}

#[tokio::test]
async fn the_client_compresses_when_the_server_agrees() {
    let agreed = "Sec-WebSocket-Protocol: json\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";
    for (lines, deflates) in [(agreed, true), ("Sec-WebSocket-Protocol: json\r\n", false)] {
        let (url, task) = by_hand(lines, reply()).await;
        let client = DfxClient::connect(&url, "t").await.unwrap();
        let created =
            client.create_measurement(&Create { study_id: "s".repeat(1000), ..Create::default() }).await;
        client.close().await;
        let (first, payload) = timeout(TIMEOUT, task).await.expect("in time").expect("no panic");
        let request = if deflates { inflated(&payload) } else { payload };
        assert_eq!(first, if deflates { 0xC2 } else { 0x82 });
        assert!(
            request.starts_with(b"0504") && request.ends_with(b"}"),
            "{}",
            String::from_utf8_lossy(&request)
        );
        match created {
            Ok(id) => assert!(deflates && id == "m"),
            // Nobody agreed to what the server sends.
            Err(error) => assert!(!deflates && matches!(error, CallError::Closed(_)), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn handshakes_that_are_no_answer_are_refused() {
    for lines in [
        "",
        "Sec-WebSocket-Protocol: proto\r\n",
        "Sec-WebSocket-Protocol: json\r\nSec-WebSocket-Accept: bm90IHRoZSBhbnN3ZXI=\r\n",
        "Sec-WebSocket-Protocol: json\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
        "Sec-WebSocket-Protocol: json\r\nSec-WebSocket-Extensions: permessage-bzip2\r\n",
    ] {
        let (url, task) = by_hand(lines, Vec::new()).await;
        let refused = DfxClient::connect(&url, "t").await;
        assert!(matches!(refused, Err(ConnectError::Wrong(_))), "{lines}: {refused:?}");
        task.abort();
    }
}
