//! The Socket.IO client: against socketioxide, and against a scripted server for what socketioxide never does.

use std::time::Duration;

use axum::Router;
use cloverleaf::socketio_client::{
    self, Backoff, CallError, Client, ConnectError, Disconnect, EmitError, Event, Events, Malformed, Options,
};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef, TryData};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A socketioxide server with an echo on `/`; it ends with the test.
struct Echo {
    url: String,
    io: SocketIo,
    task: JoinHandle<()>,
}

impl Echo {
    async fn start() -> Self {
        let (layer, io) = SocketIo::new_layer();
        io.ns("/", async |socket: SocketRef, Data(auth): Data<Value>| {
            socket.emit("welcome", &(auth, socket.req_parts().uri.query())).unwrap();
            socket.on("same", async |socket: SocketRef, TryData(data): TryData<Value>| {
                socket.emit("same", &data.unwrap_or(Value::Null)).unwrap();
            });
            socket.on("ask", async |ack: AckSender, Data(data): Data<Value>| ack.send(&data).unwrap());
            socket.on("mute", async || {});
            socket.on("leave", async |socket: SocketRef| {
                socket.emit("bye", "bye").unwrap();
                socket.disconnect().unwrap();
            });
            socket.on("ask me", async |socket: SocketRef| {
                let answer = socket.emit_with_ack::<_, Value>("question", &7).unwrap().await.unwrap();
                socket.emit("answered", &answer).unwrap();
            });
            socket.on("binary", async |socket: SocketRef| {
                socket.emit("blob", &bytes::Bytes::from_static(b"\x00\xff")).unwrap();
            });
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().layer(layer);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, io, task }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn quick(url: &str) -> Options {
    let backoff =
        Backoff { first: Duration::from_millis(5), max: Duration::from_millis(50), attempts: Some(100) };
    Options { reconnect: Some(backoff), ..Options::new(url).unwrap() }
}

async fn next(events: &mut Events) -> Event {
    tokio::time::timeout(TIMEOUT, events.next()).await.expect("an event in time").expect("not the end")
}

async fn message(events: &mut Events) -> (String, Vec<Value>) {
    match next(events).await {
        Event::Message(message) => (message.event, message.args),
        other => panic!("expected a message, got {other:?}"),
    }
}

#[tokio::test]
async fn events_auth_and_query_reach_the_server_and_come_back_in_order() {
    let server = Echo::start().await;
    let mut options = quick(&server.url);
    options.auth = Some(json!({"token": "t"}));
    options.query = vec![("X-API-KEY".into(), "a b".into())];
    let (client, mut events) = socketio_client::connect(options).await.unwrap();
    assert!(!events.sid().is_empty() && client.connected());
    let (name, args) = message(&mut events).await;
    assert_eq!((name.as_str(), &args[0]), ("welcome", &json!({"token": "t"})));
    assert!(args[1].as_str().unwrap().contains("X-API-KEY=a%20b"));
    for number in 0..2000 {
        // Answered one by one: this server's handlers are tasks and may run in any order.
        client.emit("same", &[json!({"n": number, "text": "ü\u{2028}\"\\"})]).await.unwrap();
        let want = json!({"n": number, "text": "ü\u{2028}\"\\"});
        assert_eq!(message(&mut events).await, ("same".to_owned(), vec![want]));
    }
}

#[tokio::test]
async fn calls_are_answered_or_time_out() {
    let server = Echo::start().await;
    let (client, _events) = socketio_client::connect(quick(&server.url)).await.unwrap();
    let calls = (0..100).map(|n| {
        let client = client.clone();
        async move { client.call("ask", &[json!(n)], TIMEOUT).await }
    });
    let answers = futures_util::future::join_all(calls).await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer, Ok(vec![json!(n)]));
    }
    assert_eq!(client.call("mute", &[], Duration::from_millis(20)).await, Err(CallError::Timeout));
}

#[tokio::test]
async fn no_more_calls_wait_than_the_queue_has_room_for() {
    let server = Echo::start().await;
    let options = Options { queue: 2, ..quick(&server.url) };
    let (client, _events) = socketio_client::connect(options).await.unwrap();
    let calls = [(); 3].map(|()| Box::pin(client.call("mute", &[], TIMEOUT)));
    let (first, _, waiting) = futures_util::future::select_all(calls).await;
    assert_eq!(first, Err(CallError::TooMany));
    drop(waiting);
    assert_eq!(client.call("ask", &[json!(1)], TIMEOUT).await, Ok(vec![json!(1)]));
}

#[tokio::test]
async fn the_server_is_answered_when_it_asks() {
    let server = Echo::start().await;
    let (client, mut events) = socketio_client::connect(quick(&server.url)).await.unwrap();
    assert_eq!(message(&mut events).await.0, "welcome");
    client.emit("ask me", &[]).await.unwrap();
    let Event::Message(question) = next(&mut events).await else { panic!("a question") };
    assert_eq!((question.event.as_str(), question.data()), ("question", &json!(7)));
    question.reply.expect("an answer is wanted").send(&[json!({"so": 42})]).await.unwrap();
    assert_eq!(message(&mut events).await, ("answered".to_owned(), vec![json!({"so": 42})]));
}

#[tokio::test]
async fn binary_attachments_arrive_with_their_event() {
    let server = Echo::start().await;
    let (client, mut events) = socketio_client::connect(quick(&server.url)).await.unwrap();
    assert_eq!(message(&mut events).await.0, "welcome");
    client.emit("binary", &[]).await.unwrap();
    let Event::Message(blob) = next(&mut events).await else { panic!("a blob") };
    assert_eq!(blob.data(), &json!({"_placeholder": true, "num": 0}));
    assert_eq!(blob.attachments, [&b"\x00\xff"[..]]);
}

#[tokio::test]
async fn a_refused_namespace_is_an_error_with_the_servers_words() {
    let server = Echo::start().await;
    let mut options = quick(&server.url);
    options.namespace = "/nowhere".into();
    let error = socketio_client::connect(options).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Refused { message, .. } if message == "Invalid namespace"));
    assert!(error.is_final());
}

#[tokio::test]
async fn a_namespace_closed_by_the_server_is_the_end_unless_asked_otherwise() {
    let server = Echo::start().await;
    for return_after_close in [false, true] {
        let options = Options { return_after_close, ..quick(&server.url) };
        let (client, mut events) = socketio_client::connect(options).await.unwrap();
        assert_eq!(message(&mut events).await.0, "welcome");
        client.emit("leave", &[]).await.unwrap();
        assert_eq!(message(&mut events).await.0, "bye");
        let Event::Disconnected { reason, retrying } = next(&mut events).await else { panic!("the end") };
        assert_eq!((reason, retrying), (Disconnect::Server, return_after_close));
        if return_after_close {
            assert!(matches!(next(&mut events).await, Event::Connected { sid } if sid != events.sid()));
            client.emit("same", &[json!("still here")]).await.unwrap();
        } else {
            assert!(events.next().await.is_none());
            assert_eq!(client.emit("same", &[]).await, Err(EmitError::Closed));
        }
    }
}

#[tokio::test]
async fn disconnect_sends_what_was_queued_and_tells_the_server_at_once() {
    let server = Echo::start().await;
    let (client, mut events) = socketio_client::connect(quick(&server.url)).await.unwrap();
    assert_eq!(message(&mut events).await.0, "welcome");
    for _ in 0..50 {
        client.emit("mute", &[]).await.unwrap();
    }
    client.disconnect().await;
    assert!(matches!(
        next(&mut events).await,
        Event::Disconnected { reason: Disconnect::Client, retrying: false }
    ));
    assert!(events.next().await.is_none());
    tokio::time::timeout(TIMEOUT, async {
        while !server.io.sockets().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the server has forgotten the socket");
}

/// One side of a scripted connection.
type Peer = WebSocketStream<TcpStream>;

/// A server whose every move the test makes.
struct Scripted {
    listener: TcpListener,
    url: String,
}

impl Scripted {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, url }
    }

    /// Accept a connection and let it join `/`, with heartbeats of `interval` + 500 ms.
    async fn accept(&self, interval: u64) -> Peer {
        let (stream, _) = self.listener.accept().await.unwrap();
        let mut peer = tokio_tungstenite::accept_async(stream).await.unwrap();
        let open = json!({"sid": "e", "upgrades": [], "pingInterval": interval, "pingTimeout": 500});
        say(&mut peer, &format!("0{open}")).await;
        assert_eq!(hear(&mut peer).await, "40");
        say(&mut peer, r#"40{"sid":"s"}"#).await;
        peer
    }

    async fn client(&self, options: Options, interval: u64) -> (Client, Events, Peer) {
        let (connected, peer) = tokio::join!(socketio_client::connect(options), self.accept(interval));
        let (client, events) = connected.unwrap();
        (client, events, peer)
    }
}

async fn say(peer: &mut Peer, text: &str) {
    peer.send(Frame::text(text)).await.unwrap();
}

async fn hear(peer: &mut Peer) -> String {
    let frame = tokio::time::timeout(TIMEOUT, peer.next()).await.expect("a frame in time");
    frame.expect("not the end").expect("no error").into_text().unwrap().to_string()
}

#[tokio::test]
async fn a_broken_link_is_reported_and_made_again_and_nothing_old_is_sent() {
    let server = Scripted::start().await;
    let (client, mut events, peer) = server.client(quick(&server.url), 25_000).await;
    let pending = tokio::spawn({
        let client = client.clone();
        async move { client.call("never", &[], TIMEOUT).await }
    });
    let mut peer = peer;
    assert_eq!(hear(&mut peer).await, r#"420["never"]"#);
    drop(peer);
    assert!(matches!(next(&mut events).await, Event::Disconnected { retrying: true, .. }));
    assert_eq!(pending.await.unwrap(), Err(CallError::Disconnected));
    assert_eq!(client.emit("lost", &[]).await, Err(EmitError::NotConnected));
    let mut peer = server.accept(25_000).await;
    assert!(matches!(next(&mut events).await, Event::Connected { .. }));
    client.emit("fresh", &[]).await.unwrap();
    assert_eq!(hear(&mut peer).await, r#"42["fresh"]"#);
}

#[tokio::test]
async fn heartbeats_are_answered_and_a_silent_server_is_dead() {
    let server = Scripted::start().await;
    let options = Options { reconnect: None, ..quick(&server.url) };
    let (_client, mut events, mut peer) = server.client(options, 500).await;
    say(&mut peer, "2").await;
    assert_eq!(hear(&mut peer).await, "3");
    let Event::Disconnected { reason, retrying } = next(&mut events).await else { panic!("the end") };
    assert_eq!((reason, retrying), (Disconnect::Silent, false));
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_reader_that_stalls_loses_the_connection_but_no_event_it_was_given() {
    let server = Scripted::start().await;
    let options = Options { queue: 2, reconnect: None, ..quick(&server.url) };
    let (_client, mut events, mut peer) = server.client(options, 500).await;
    for n in 0..5 {
        say(&mut peer, &format!("42[\"e\",{n}]")).await;
    }
    // The link closes by itself: that is what the test waits for.
    while let Some(Ok(_)) = tokio::time::timeout(TIMEOUT, peer.next()).await.expect("closed in time") {}
    for n in 0..3 {
        assert_eq!(message(&mut events).await, ("e".to_owned(), vec![json!(n)]));
    }
    assert!(matches!(next(&mut events).await, Event::Disconnected { reason: Disconnect::Stalled, .. }));
}

#[tokio::test]
async fn what_a_server_must_not_send_ends_the_connection_and_names_the_reason() {
    let table = [
        ("42{", Disconnect::Malformed(Malformed::Json)),
        ("42[]", Disconnect::Malformed(Malformed::Incomplete)),
        ("9", Disconnect::Malformed(Malformed::Type)),
        ("41", Disconnect::Server),
        ("1", Disconnect::Link("closed by the server".into())),
    ];
    let server = Scripted::start().await;
    for (text, want) in table {
        let options = Options { reconnect: None, ..quick(&server.url) };
        let (_client, mut events, mut peer) = server.client(options, 25_000).await;
        // None of these is for us, and none may disturb.
        for harmless in ["42/other,[\"e\"]", "43999[]", "6", "3", "41/other,"] {
            say(&mut peer, harmless).await;
        }
        say(&mut peer, text).await;
        let Event::Disconnected { reason, .. } = next(&mut events).await else { panic!("the end") };
        assert_eq!(reason, want, "{text}");
    }
}

#[tokio::test]
async fn half_a_surrogate_pair_does_not_cost_the_connection() {
    let server = Scripted::start().await;
    let (_client, mut events, mut peer) = server.client(quick(&server.url), 25_000).await;
    say(&mut peer, r#"42["command do",{"command":"a\ud83d"}]"#).await;
    let want = json!({"command": "a\u{fffd}"});
    assert_eq!(message(&mut events).await, ("command do".to_owned(), vec![want]));
}

#[tokio::test]
async fn what_does_not_answer_as_socket_io_is_an_error_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = quick(&format!("http://{}", silent.local_addr().unwrap()));
    options.connect_timeout = Duration::from_millis(100);
    assert!(matches!(socketio_client::connect(options.clone()).await, Err(ConnectError::Timeout)));
    drop(silent);
    assert!(matches!(socketio_client::connect(options).await, Err(ConnectError::WebSocket(_))));
    let server = Scripted::start().await;
    let (error, ()) = tokio::join!(socketio_client::connect(quick(&server.url)), async {
        let (stream, _) = server.listener.accept().await.unwrap();
        let mut peer = tokio_tungstenite::accept_async(stream).await.unwrap();
        say(&mut peer, "hello").await;
    });
    assert!(matches!(error, Err(ConnectError::Malformed(Malformed::Type))));
}

#[tokio::test]
async fn giving_up_is_the_last_event() {
    let server = Scripted::start().await;
    let backoff =
        Backoff { first: Duration::from_millis(1), max: Duration::from_millis(1), attempts: Some(3) };
    let options = Options { reconnect: Some(backoff), ..quick(&server.url) };
    let (client, mut events, peer) = server.client(options, 25_000).await;
    drop(peer);
    drop(server);
    assert!(matches!(next(&mut events).await, Event::Disconnected { retrying: true, .. }));
    let last = next(&mut events).await;
    assert!(matches!(last, Event::Disconnected { reason: Disconnect::GaveUp(_), retrying: false }));
    assert!(events.next().await.is_none());
    assert!(!client.connected());
}
