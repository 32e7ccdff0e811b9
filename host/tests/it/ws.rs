//! The WebSocket server under clients that follow the protocol, break it, or do not read.

use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum::routing::any;
use cloverleaf::ws::{Closed, Limits, Message, Refused, Upgrade};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite;

use crate::support::exchange;

/// An echo server whose connections report how they ended. `flood` makes it send without being asked.
async fn serve(idle: Option<Duration>) -> (std::net::SocketAddr, mpsc::UnboundedReceiver<Closed>) {
    let (ended, ends) = mpsc::unbounded_channel();
    let handler = move |upgrade: Result<Upgrade, Refused>| async move {
        let upgrade = upgrade?.queue(1 << 20);
        let protocol = upgrade.protocols().find(|offered| *offered == "echo").map(str::to_owned);
        let limits = Limits { frame: 200_000, message: 150_000 };
        Ok::<Response, Refused>(upgrade.accept(protocol.as_deref(), limits, move |mut socket| async move {
            socket.set_idle_timeout(idle);
            let end = loop {
                match socket.recv().await {
                    Ok(Message::Text(text)) if text == "flood" => {
                        for _ in 0..1000 {
                            socket.send(&Message::Binary(vec![0; 100_000]));
                        }
                    }
                    Ok(message) => socket.send(&message),
                    Err(end) => break end,
                }
            };
            socket.finish().await;
            let _ = ended.send(end);
        }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", any(handler))).await });
    (address, ends)
}

/// A handshake by hand, with something sent right behind it; the answer's head has been read.
async fn raw(address: std::net::SocketAddr, after: &[u8]) -> (TcpStream, String) {
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[request.as_bytes(), after].concat()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(head).unwrap())
}

#[tokio::test]
async fn messages_are_echoed_and_closes_answered() {
    let (address, mut ends) = serve(None).await;
    let (mut client, _) = connect_async(format!("ws://{address}/")).await.unwrap();
    let large = "x".repeat(140_000);
    for text in ["hello", "", "gr\u{fc}n \u{1f340}", large.as_str()] {
        client.send(tungstenite::Message::text(text)).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), tungstenite::Message::text(text));
    }
    client.send(tungstenite::Message::Ping("p".into())).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), tungstenite::Message::Pong("p".into()));
    client.close(None).await.unwrap();
    while let Some(Ok(_)) = client.next().await {}
    assert_eq!(ends.recv().await, Some(Closed::ByClient(None)));
}

#[tokio::test]
async fn bytes_sent_with_the_handshake_are_not_lost() {
    let (address, _ends) = serve(None).await;
    let (mut stream, head) = raw(address, &[0x81, 0x81, 0, 0, 0, 0, b'x']).await;
    assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    let mut echo = [0; 3];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(echo, [0x81, 1, b'x']);
}

#[tokio::test]
async fn a_frame_over_the_limit_is_refused_before_it_has_come() {
    let (address, mut ends) = serve(None).await;
    let (mut stream, _) = raw(address, &[0x82, 0xFF, 0, 0, 0, 0, 0xFF, 0, 0, 0, 1, 2, 3, 4]).await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, [0x88, 2, 0x03, 0xF1], "close 1009");
    drop(stream);
    assert_eq!(
        ends.recv().await.map(|end| end.to_string()),
        Some("a message is larger than the limit".into())
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_with_1013_and_gets_no_torn_frame() {
    let (address, mut ends) = serve(None).await;
    let (mut client, _) = connect_async(format!("ws://{address}/")).await.unwrap();
    client.send(tungstenite::Message::text("flood")).await.unwrap();
    // The server fills the buffers of the system (a few MB), then its own, and gives up.
    let mut frames = 0;
    let mut code = None;
    let end = tokio::spawn(async move { ends.recv().await });
    while let Some(Ok(message)) = client.next().await {
        match message {
            tungstenite::Message::Binary(bytes) => {
                assert_eq!(bytes.len(), 100_000);
                frames += 1;
            }
            tungstenite::Message::Close(Some(close)) => code = Some(u16::from(close.code)),
            other => panic!("{other:?}"),
        }
    }
    assert!(frames < 1000, "all of it fitted somewhere");
    assert_eq!(code, Some(1013));
    assert_eq!(end.await.unwrap(), Some(Closed::ByServer));
}

#[tokio::test]
async fn a_silent_client_is_closed_with_1002_and_pings_count_as_sound() {
    let (address, mut ends) = serve(Some(Duration::from_millis(300))).await;
    let (mut client, _) = connect_async(format!("ws://{address}/")).await.unwrap();
    let start = tokio::time::Instant::now();
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..6 {
        beat.tick().await;
        client.send(tungstenite::Message::Ping("".into())).await.unwrap();
    }
    let mut code = None;
    while let Some(Ok(message)) = client.next().await {
        if let tungstenite::Message::Close(Some(close)) = message {
            code = Some(u16::from(close.code));
        }
    }
    assert_eq!(code, Some(1002));
    assert!(start.elapsed() >= Duration::from_millis(800), "the last ping came after 500 ms");
    assert_eq!(ends.recv().await, Some(Closed::Idle));
}

#[tokio::test]
async fn handshakes_that_are_none_get_400_and_the_reason() {
    let (address, _ends) = serve(None).await;
    for (request, reason) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n", "'connection' header must contain 'upgrade', got []"),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
            "'upgrade' header must contain 'websocket', got [\"h2c\"]",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
            "'sec-websocket-key' header is absent",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\
             Sec-WebSocket-Version: 8\r\n",
            "'sec-websocket-version' header must equal '13', got [\"8\"]",
        ),
        ("GET / HTTP/1.0\r\nHost: x\r\nConnection: Upgrade\r\n", "HTTP version HTTP/1.0 unsupported"),
        ("GET / HTTP/1.1\r\nConnection: close\r\n", ""),
        ("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", ""),
    ] {
        let (_, head, body) = exchange(address, &format!("{request}\r\n")).await;
        assert!(head.contains(" 400 "), "{head}");
        assert_eq!(body, reason, "{request}");
    }
}

#[tokio::test]
async fn the_first_subprotocol_that_both_speak_is_chosen() {
    use tungstenite::client::IntoClientRequest;
    let (address, _ends) = serve(None).await;
    let mut request = format!("ws://{address}/").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "other, echo".parse().unwrap());
    let (_, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "echo");
}
