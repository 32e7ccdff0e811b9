//! What every Socket.IO service builds on: events arrive whole and in order, and what is emitted is exact.

use std::future::ready;
use std::time::Duration;

use axum::Router;
use cloverleaf::config::Options;
use cloverleaf::http_server::{Timeouts, serve};
use cloverleaf::socketio::{self, Incoming, Member};
use futures_util::{SinkExt, StreamExt};
use socketioxide::extract::SocketRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::custom_events;
use crate::support::{Server, exchange};

/// Echoes every event's first argument, and acknowledges with nothing.
struct Echo(SocketRef);

impl Member for Echo {
    fn handle(&self, incoming: Incoming<'_>) {
        self.0.emit(&incoming.event, incoming.data).expect("room in the queue");
        if let Some(ack) = incoming.ack {
            ack.send(&socketio::NOTHING).expect("room in the queue");
        }
    }

    fn leave(&self) {}
}

/// A client of a server that echoes.
async fn echo() -> WebSocketStream<MaybeTlsStream<TcpStream>> {
    let (layer, io) = socketio::server();
    socketio::serve(&io, "/", |socket, _| Echo(socket.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, Router::new().layer(layer)).into_future());
    let (mut client, _) =
        connect_async(format!("ws://{address}/socket.io/?EIO=4&transport=websocket")).await.unwrap();
    assert!(receive(&mut client).await.starts_with("0{"));
    client.send(Message::text("40")).await.unwrap();
    assert!(receive(&mut client).await.starts_with("40{"));
    client
}

/// The next packet but for pings, which are answered.
async fn receive(client: &mut WebSocketStream<MaybeTlsStream<TcpStream>>) -> String {
    loop {
        let packet = client.next().await.expect("open").expect("well-formed").into_text().expect("text");
        if packet != "2" {
            return packet.to_string();
        }
        client.send(Message::text("3")).await.expect("open");
    }
}

#[tokio::test]
async fn arguments_arrive_and_leave_as_they_are() {
    #[rustfmt::skip]
    let exchanges: &[(&str, &[&str])] = &[
        (r#"42["x",{"b":1,"a":1.0,"c":1e3}]"#,         &[r#"42["x",{"b":1,"a":1.0,"c":1e3}]"#]),
        (r#"42["x"]"#,                                 &[r#"42["x",null]"#]),
        (r#"42["x",null]"#,                            &[r#"42["x",null]"#]),
        (r#"42["x","\ud83d\ude02 \u2028","rest"]"#,    &[r#"42["x","\ud83d\ude02 \u2028"]"#]),
        (r#"42["x",["array"]]"#,                       &[r#"42["x",["array"]]"#]),
        (r#"427["with a space",{}]"#,                  &[r#"42["with a space",{}]"#, "437[]"]),
    ];
    let mut client = echo().await;
    for (sent, expected) in exchanges {
        client.send(Message::text(*sent)).await.unwrap();
        for expected in *expected {
            assert_eq!(receive(&mut client).await, *expected, "after {sent}");
        }
    }
}

#[tokio::test]
async fn events_of_one_client_are_handled_in_order() {
    let mut client = echo().await;
    for count in 0..2000 {
        client.feed(Message::text(format!(r#"42["x",{count}]"#))).await.unwrap();
    }
    client.flush().await.unwrap();
    for count in 0..2000 {
        assert_eq!(receive(&mut client).await, format!(r#"42["x",{count}]"#));
    }
}

#[tokio::test]
async fn a_session_whose_websocket_breaks_before_it_has_moved_there_ends() {
    let server = Server::start(&Options::default()).await;
    for (version, sids) in [(4, "0{"), (3, ":0{")] {
        let poll = format!("{}/socket.io/?EIO={version}&transport=polling", server.url());
        let open = reqwest::get(&poll).await.unwrap().text().await.unwrap();
        assert!(open.contains(sids), "{open}");
        let sid = open.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap();
        let websocket = poll.replace("http", "ws").replace("polling", "websocket");
        let (mut client, _) = connect_async(format!("{websocket}&sid={sid}")).await.unwrap();
        client.send(Message::text("2probe")).await.unwrap();
        assert_eq!(receive(&mut client).await, "3probe");
        drop(client);
        let poll = format!("{poll}&sid={sid}");
        tokio::time::timeout(Duration::from_secs(60), async {
            while reqwest::get(&poll).await.unwrap().status() == 200 {}
        })
        .await
        .unwrap_or_else(|_| panic!("the session lasts with version {version}"));
    }
}

#[tokio::test]
async fn a_session_that_polled_moves_to_a_websocket() {
    let server = Server::start(&Options::default()).await;
    let poll = format!("{}/socket.io/?EIO=4&transport=polling", server.url());
    let open = reqwest::get(&poll).await.unwrap().text().await.unwrap();
    let sid = open.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap();
    let websocket = poll.replace("http", "ws").replace("polling", "websocket");
    let (mut client, _) = connect_async(format!("{websocket}&sid={sid}")).await.unwrap();
    client.send(Message::text("2probe")).await.unwrap();
    assert_eq!(receive(&mut client).await, "3probe");
    client.send(Message::text("5")).await.unwrap();
    client.send(Message::text("40/octane,")).await.unwrap();
    while !receive(&mut client).await.starts_with("40/octane,") {}
}

/// So many bytes, this many times, are more than the buffers of a connection hold and less than a client is given up for.
const FLOOD: [usize; 2] = [100_000, 35];

#[tokio::test]
async fn who_reads_nothing_more_is_let_go() {
    let (layer, io) = socketio::server();
    let (leave, mut left) = mpsc::unbounded_channel();
    io.ns("/", move |socket: SocketRef| {
        let leave = leave.clone();
        socket.on_disconnect(async move || leave.send(()).expect("somebody waits"));
        let [length, packets] = FLOOD;
        let text = "-".repeat(length);
        (0..packets).for_each(|_| socket.emit("x", &text).expect("room in the queue"));
        ready(())
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", listener.local_addr().unwrap());
    let timeouts = Timeouts { stall: Duration::from_millis(200), ..Timeouts::default() };
    tokio::spawn(serve(listener, socketio::attach(Router::new(), layer), timeouts, std::future::pending()));
    let (mut client, _) = connect_async(url).await.unwrap();
    client.send(Message::text("40")).await.unwrap();
    // The heartbeat is not what finds it out: its pings are waited for longer than that.
    tokio::time::timeout(Duration::from_secs(20), left.recv()).await.expect("it is given up");
}

#[tokio::test]
async fn the_server_ends_although_a_client_does_not_read() {
    let server = Server::start(&Options::default()).await;
    let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", server.address);
    let join = async || {
        let (mut client, _) = connect_async(&url).await.unwrap();
        client.send(Message::text("40/octane,")).await.unwrap();
        while !receive(&mut client).await.starts_with("40/octane,") {}
        // The first event of a client lets it in.
        client.send(Message::text(r#"42/octane,["join",{"channel":"ipc"}]"#)).await.unwrap();
        while receive(&mut client).await != r#"42/octane,["join",{"join":"ipc"}]"# {}
        client
    };
    let (mut stuck, mut reader) = (join().await, join().await);
    let [length, packets] = FLOOD;
    let text = "-".repeat(length);
    for _ in 0..packets {
        // Everybody on the channel hears it, also who says it.
        stuck.send(Message::text(format!(r#"42/octane,["ipc_message","{text}"]"#))).await.unwrap();
        while !receive(&mut reader).await.contains("ipc_message") {}
    }
    tokio::time::timeout(Duration::from_secs(30), server.stop()).await.expect("it ends");
}

#[tokio::test]
async fn who_leaves_a_namespace_and_comes_back_at_once_is_let_in() {
    let server = Server::start(&Options::default()).await;
    let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", server.address);
    #[rustfmt::skip]
    let namespaces = [
        ("/",       "41",         "40",         r#"427["command send",{}]"#,                "43"),
        ("/obd",    "41/obd,",    "40/obd,",    r#"42/obd,7["status"]"#,                   "43/obd,"),
        ("/relay",  "41/relay,",  "40/relay,",  r#"42/relay,7["command send",{}]"#,         "43/relay,"),
        ("/octane", "41/octane,", "40/octane,", r#"42/octane,7["join",{"channel":"ipc"}]"#, "43/octane,"),
    ];
    for (namespace, leave, join, event, answer) in namespaces {
        let (mut client, _) = connect_async(&url).await.unwrap();
        client.send(Message::text(join)).await.unwrap();
        while !receive(&mut client).await.starts_with(join) {}
        for round in 0..50 {
            client.feed(Message::text(leave)).await.unwrap();
            client.send(Message::text(join)).await.unwrap();
            let timeout = Duration::from_secs(20);
            let comes = async { while !receive(&mut client).await.starts_with(join) {} };
            let back = tokio::time::timeout(timeout, comes).await;
            back.unwrap_or_else(|_| panic!("{namespace} ignores who comes back, round {round}"));
            client.send(Message::text(event)).await.unwrap();
            let comes = async { while !receive(&mut client).await.starts_with(answer) {} };
            let heard = tokio::time::timeout(timeout, comes).await;
            heard.unwrap_or_else(|_| panic!("{namespace} does not answer who came back, round {round}"));
        }
    }
}

#[tokio::test]
async fn the_example_with_an_event_of_its_own_lets_no_foreign_page_in() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = custom_events::router().unwrap();
    tokio::spawn(serve(listener, router, Timeouts::default(), std::future::pending()));
    let foreign = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nhost: localhost\r\n\
                   origin: https://elsewhere.example\r\n\r\n";
    let (_, head, _) = exchange(address, foreign).await;
    assert!(head.starts_with("http/1.1 403"), "{head}");
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
    let (mut client, _) = connect_async(url).await.unwrap();
    client.send(Message::text("40")).await.unwrap();
    client.send(Message::text(r#"42["shift_light"]"#)).await.unwrap();
    while !receive(&mut client).await.starts_with(r#"42["shift_light","#) {}
}
