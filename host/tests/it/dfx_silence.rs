//! Connections on which nothing comes any more: virtual time, real sockets, nothing else in the process that waits.

use std::time::Duration;

use cloverleaf::auth::Exposure;
use cloverleaf::config::Options;
use cloverleaf::services::Context;
use cloverleaf::services::dfx::Dfx;
use cloverleaf::services::dfx::client::{CallError, Connect, ResultError};
use cloverleaf::services::dfx::events::{Body, Encoding, Token};
use cloverleaf::timeline::Bus;
use cloverleaf_core::dfx::{Action, Request};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, advance};
use tokio_tungstenite::tungstenite::Message;

use crate::dfx_deflate::{frame, masked};
use crate::dfx_hostile::{self, Hostile, Ws, asked};
use crate::support::exchange;

/// Time that stands still, but for [`advance`]: what waits for the other side of a socket does not make it jump.
struct Frozen {
    _running: std::sync::mpsc::Sender<()>,
}

impl Frozen {
    fn start() -> Self {
        tokio::time::pause();
        let (sender, receiver) = std::sync::mpsc::channel();
        // As long as a blocking task runs. It ends when the sender is dropped.
        tokio::task::spawn_blocking(move || receiver.recv());
        Self { _running: sender }
    }
}

#[tokio::test]
async fn a_client_gives_up_a_server_that_is_silent() {
    let hostile = Hostile::start(async |mut ws: Ws| {
        let (_, id, _) = asked(&mut ws).await.expect("a request");
        ws.send(dfx_hostile::frame(id, 200, b"{}")).await.expect("sent");
        // Its program hangs: pings are not read, the socket stays open.
        std::future::pending::<()>().await;
    })
    .await;
    let client = hostile.client().await;
    let mut results = client.subscribe("m").await.unwrap();
    tokio::time::pause();
    let start = Instant::now();
    let ended = results.next().await;
    let Some(Err(ResultError::Closed(reason))) = ended else { panic!("{ended:?}") };
    assert!(reason.contains("said nothing for 60s"), "{reason}");
    assert!(start.elapsed() >= Duration::from_secs(60));
    assert!(matches!(client.call(Action::STATUS, b"{}").await, Err(CallError::Closed(_))));
}

#[tokio::test]
async fn a_server_that_answers_pings_may_be_silent_for_ever() {
    let hostile = Hostile::start(async |mut ws: Ws| {
        let mut pings = 0;
        loop {
            match ws.next().await.expect("open").expect("good frames") {
                // Answered by the library.
                Message::Ping(_) => pings += 1,
                Message::Binary(bytes) => {
                    assert!(pings >= 3, "{pings} pings");
                    let id = Request::parse(&bytes).expect("a request").id;
                    return ws.send(dfx_hostile::frame(id, 200, b"{}")).await.expect("sent");
                }
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    let client = hostile.client().await;
    let frozen = Frozen::start();
    for _ in 0..30 {
        advance(Duration::from_secs(21)).await;
        // Both sides of the socket get their turns.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    }
    client.call(Action::STATUS, b"{}").await.expect("still there");
    drop(frozen);
    hostile.finish().await;
}

/// A server of DFX and nothing else, so that time passes only where it is waited for.
async fn serve() -> std::net::SocketAddr {
    let context = Context { timeline: Bus::new(), exposure: Exposure::Loopback };
    let dfx = Dfx::new(&Options::default().dfx, &context).expect("good options");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let router = dfx.routes();
        axum::serve(listener, router).await
    });
    address
}

/// A client by hand, which the server has begun to serve.
async fn connected() -> TcpStream {
    let address = serve().await;
    let request = format!(
        "GET /dfx HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let (mut stream, _, _) = exchange(address, &request).await;
    stream.write_all(b"\x89\x80\0\0\0\0").await.unwrap();
    assert_eq!(stream.read_u16().await.unwrap(), PONG);
    stream
}

/// Of pings, and a little: timers are rounded up.
const INTERVAL: Duration = Duration::from_secs(31);

const PING: u16 = 0x8900;
const PONG: u16 = 0x8A00;

#[tokio::test]
async fn a_server_pings_a_silent_client_and_gives_it_up() {
    let mut stream = connected().await;
    let _frozen = Frozen::start();
    for _ in 0..3 {
        advance(INTERVAL).await;
        assert_eq!(stream.read_u16().await.unwrap(), PING);
    }
    advance(INTERVAL).await;
    let mut goodbye = [0; 4];
    stream.read_exact(&mut goodbye).await.unwrap();
    assert_eq!(goodbye, [0x88, 2, 0x03, 0xEA], "closed with 1002");
}

#[tokio::test]
async fn a_client_that_answers_pings_may_be_silent_for_ever() {
    let mut stream = connected().await;
    let _frozen = Frozen::start();
    for _ in 0..20 {
        advance(INTERVAL).await;
        assert_eq!(stream.read_u16().await.unwrap(), PING);
        // A pong; and a ping, whose answer tells that both have been read.
        stream.write_all(b"\x8A\x80\0\0\0\0\x89\x80\0\0\0\0").await.unwrap();
        assert_eq!(stream.read_u16().await.unwrap(), PONG);
    }
}

#[tokio::test]
async fn places_beyond_what_a_connection_can_have_are_refused() {
    for (in_flight, subscriptions) in [(usize::MAX, 1), (0, 1), (1, usize::MAX)] {
        let refused =
            Connect { in_flight, subscriptions, ..Connect::new("ws://127.0.0.1:1", "t") }.connect().await;
        let refused = refused.expect_err("out of range").to_string();
        assert!(refused.contains("1 to 65536"), "{refused}");
    }
}

/// The time for goodbyes does not run out here, however long the client takes.
#[tokio::test]
async fn a_client_that_does_not_read_is_told_to_come_again_later() {
    const CALLS: usize = 1000;
    let mut stream = connected().await;
    // So that less is needed to fill it.
    socket2::SockRef::from(&stream).set_recv_buffer_size(16 << 10).unwrap();
    let _frozen = Frozen::start();
    // The reply to a login is as long as the token.
    let token = Token { token: "t".repeat(16_000) }.encode(Encoding::Proto);
    let login = masked(0x82, &[b"0718call000001", &token[..]].concat());
    for _ in 0..CALLS {
        stream.write_all(&login).await.expect("the server reads on");
    }
    let mut replies = 0;
    let goodbye = loop {
        match frame(&mut stream).await {
            (0x82, reply) => {
                assert!(reply.starts_with(b"call000001200"));
                replies += 1;
            }
            goodbye => break goodbye,
        }
    };
    assert_eq!(goodbye, (0x88, 1013_u16.to_be_bytes().into()));
    assert!(replies < CALLS, "{replies}");
}
