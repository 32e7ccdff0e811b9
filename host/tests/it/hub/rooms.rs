//! The hub's rooms beyond what was recorded: kept messages, the page, our own client, large rooms,
//! and channels that fail.

use std::process::Stdio;
use std::time::Duration;

use cloverleaf::auth::{Exposure, Key};
use cloverleaf::config::Options;
use cloverleaf::services::Context;
use cloverleaf::services::hub::channel::{Answer, Channel, Join, Member, Payload, Peer, Refusal, Topic};
use cloverleaf::services::hub::client::{Chat, ChatEvent, ConnectError};
use cloverleaf::services::hub::history::{History, KEPT, TRIMMED_EVERY};
use cloverleaf::services::hub::{self, Hub, Shout, Topics};
use cloverleaf::timeline::Bus;
use cloverleaf_core::phoenix::presence::Presence;
use cloverleaf_core::phoenix::wire::Body;
use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::{Server, exchange};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(server: &Server) -> Client {
    connect_async(format!("ws://{}/socket/websocket?vsn=2.0.0", server.address)).await.expect("a hub").0
}

async fn send(client: &mut Client, message: Value) {
    client.send(Message::text(message.to_string())).await.expect("an open connection");
}

/// The next message with this event, whatever comes before.
async fn expect(client: &mut Client, event: &str) -> Value {
    let search = async {
        loop {
            let message = client.next().await.expect("not the end").expect("no error");
            if let Message::Text(text) = message {
                let message: Value = serde_json::from_str(&text).expect("JSON");
                if message[3] == event {
                    return message;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("no {event}"))
}

fn shout(name: &str, body: &str) -> Shout {
    Shout { name: name.into(), body: body.into(), channel: "lobby".into() }
}

#[tokio::test]
async fn valid_messages_are_kept_shown_and_replayed() {
    let mut options = Options::default();
    options.hub.hub_replay = true;
    let server = Server::start(&options).await;
    let mut robin = connect(&server).await;
    send(&mut robin, json!(["1", "1", "room:lobby", "phx_join", {"username": "robin"}])).await;
    for payload in [
        json!({"name": "robin", "body": "<b>hey</b>", "channel": "lobby"}),
        json!({"name": "robin", "body": "  ", "channel": "lobby"}),
        json!({"name": "robin", "channel": "lobby"}),
        json!({"name": "robin", "body": "elsewhere", "channel": "other"}),
        json!({"message": "hello"}),
    ] {
        send(&mut robin, json!(["1", null, "room:lobby", "shout", payload])).await;
        assert_eq!(expect(&mut robin, "shout").await[4], payload, "kept or not, it is sent to all");
    }
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let (_, head, page) = exchange(server.address, &get("/c/lobby")).await;
    assert!(head.contains(" 200 ") && head.contains("text/html"), "{head}");
    assert!(page.contains("<li><b>robin</b> &lt;b&gt;hey&lt;/b&gt;</li>"), "{page}");
    assert!(!page.contains("elsewhere") && !page.contains("hello"));
    for path in ["/c", "/c/empty"] {
        assert!(exchange(server.address, &get(path)).await.1.contains(" 200 "), "{path}");
    }
    let mut late = connect(&server).await;
    send(&mut late, json!(["1", "1", "room:lobby", "phx_join", {"username": "late"}])).await;
    assert_eq!(
        expect(&mut late, "shout").await,
        json!(["1", null, "room:lobby", "shout", {"name": "robin", "body": "<b>hey</b>", "channel": "lobby"}])
    );
}

#[tokio::test]
async fn messages_are_kept_for_an_hour() {
    let history = History::open("sqlite::memory:").await.unwrap();
    let now = Timestamp::now();
    let ago = |minutes: i64| now - jiff::SignedDuration::from_mins(minutes);
    history.keep_at(ago(61), shout("a", "old"));
    history.keep_at(ago(59), shout("a", "young"));
    history.keep_at(now, shout("a", "now"));
    assert_eq!(history.recent("lobby").await, [shout("a", "young"), shout("a", "now")]);
    history.sweep(now + jiff::SignedDuration::from_mins(2)).await;
    assert_eq!(history.recent("lobby").await, [shout("a", "now")]);
}

#[tokio::test]
async fn no_more_is_kept_than_there_is_room_for() {
    let history = History::open("sqlite::memory:").await.unwrap();
    let now = Timestamp::now();
    let (kept, spare) = (usize::try_from(KEPT).unwrap(), TRIMMED_EVERY);
    for index in 0..kept + 2 * spare {
        let time = now - jiff::SignedDuration::from_millis((kept + 2 * spare - index) as i64);
        history.keep_at(time, Shout { channel: (index / spare).to_string(), ..shout("a", "b") });
        // The queue is bounded: wait for what is in it.
        if index % 1000 == 0 {
            history.recent("none").await;
        }
    }
    let mut found = Vec::new();
    for channel in 0..kept / spare + 2 {
        found.push(history.recent(&channel.to_string()).await.len());
    }
    assert_eq!(found[..2], [0, 0], "the oldest have been deleted, without waiting to be swept");
    assert_eq!(found[2..].iter().sum::<usize>(), kept);
}

#[tokio::test]
async fn what_is_too_long_to_be_kept_is_still_said() {
    let server = Server::start(&Options::default()).await;
    let mut robin = connect(&server).await;
    send(&mut robin, json!(["1", "1", "room:lobby", "phx_join", {"username": "robin"}])).await;
    let spare = Shout::LONGEST - r#""robin""lobby""""#.len();
    for (length, body) in [(spare, "a"), (spare + 1, "b")] {
        let payload = json!({"name": "robin", "body": body.repeat(length), "channel": "lobby"});
        send(&mut robin, json!(["1", null, "room:lobby", "shout", payload])).await;
        assert_eq!(expect(&mut robin, "shout").await[4], payload);
    }
    let get = "GET /c/lobby HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let page = exchange(server.address, get).await.2;
    assert!(page.contains("aaa") && !page.contains("bbb"));
}

#[tokio::test]
async fn of_many_kept_messages_the_newest_are_replayed_as_far_as_the_queue_goes() {
    let mut options = Options::default();
    options.hub.hub_replay = true;
    options.hub.hub_queue = 16 * 1024;
    let server = Server::start(&options).await;
    let mut robin = connect(&server).await;
    send(&mut robin, json!(["1", "1", "room:lobby", "phx_join", {"username": "robin"}])).await;
    for index in 0..40 {
        let body = format!("{index:0>1000}");
        let payload = json!({"name": "robin", "body": body, "channel": "lobby"});
        send(&mut robin, json!(["1", null, "room:lobby", "shout", payload])).await;
        expect(&mut robin, "shout").await;
    }
    let mut late = connect(&server).await;
    send(&mut late, json!(["1", "1", "room:lobby", "phx_join", {"username": "late"}])).await;
    let mut replayed = Vec::new();
    while replayed.last() != Some(&39) {
        let said = expect(&mut late, "shout").await;
        replayed.push(said[4]["body"].as_str().unwrap().parse::<u32>().unwrap());
    }
    assert_eq!(replayed, (35..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_database_file_outlives_the_hub() {
    let file = std::env::temp_dir().join(format!("cloverleaf-{}.db", uuid::Uuid::new_v4()));
    let url = format!("sqlite://{}", file.display());
    let history = History::open(&url).await.unwrap();
    history.keep(shout("a", "hello"));
    assert_eq!(history.recent("lobby").await.len(), 1);
    drop(history);
    let again = History::open(&url).await.unwrap();
    assert_eq!(again.recent("lobby").await, [shout("a", "hello")]);
    std::fs::remove_file(file).unwrap();
    assert!(History::open("sqlite:///no/such/folder/x.db").await.is_err());
}

/// What a chat tells, until something in particular.
async fn until(chat: &mut Chat, wanted: &ChatEvent) {
    let search = async { while chat.next().await.expect("not the end") != *wanted {} };
    tokio::time::timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("no {wanted:?}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_says_much_before_it_reads_is_not_held_up() {
    const LINES: usize = 2000;
    let server = Server::start(&Options::default()).await;
    let url = format!("ws://{}", server.address);
    let mut ann = Chat::connect(&url, "lobby", "ann", None).await.expect("a hub");
    until(&mut ann, &ChatEvent::Joined).await;
    let mut ben = Chat::connect(&url, "lobby", "ben", None).await.expect("a hub");
    until(&mut ben, &ChatEvent::Joined).await;
    // More than may wait to be read is on its way to Ann.
    for line in 0..LINES {
        let body = line.to_string();
        ben.say(&body).await;
        until(&mut ben, &ChatEvent::Shout { name: "ben".into(), body, kept: false }).await;
    }
    let say = async {
        for line in 0..LINES {
            ann.say(&line.to_string()).await;
        }
    };
    tokio::time::timeout(PATIENCE, say).await.expect("nothing waits for what is not read");
    let (mut heard, mut own) = (0, 0);
    let listen = async {
        while (heard, own) != (LINES, LINES) {
            match ann.next().await.expect("not the end") {
                ChatEvent::Shout { name, .. } if name == "ben" => heard += 1,
                ChatEvent::Shout { .. } => own += 1,
                ChatEvent::Unsent { body } => panic!("{body} was given back"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, listen).await.expect("everything is said");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_chats_and_comes_back_after_a_restart() {
    let server = Server::start(&Options::default()).await;
    let address = server.address;
    let url = format!("ws://{address}");
    let mut ann = Chat::connect(&url, "lobby", "ann", None).await.expect("a hub");
    until(&mut ann, &ChatEvent::Joined).await;
    let mut ben = Chat::connect(&url, "lobby", "ben", None).await.expect("a hub");
    until(&mut ann, &ChatEvent::MemberJoined { name: "ben".into() }).await;
    until(&mut ben, &ChatEvent::Joined).await;
    ben.typing(true).await;
    until(&mut ann, &ChatEvent::Typing { name: "ben".into(), typing: true }).await;
    ben.say("hello").await;
    until(&mut ann, &ChatEvent::Shout { name: "ben".into(), body: "hello".into(), kept: false }).await;
    ben.leave().await;
    until(&mut ann, &ChatEvent::MemberLeft { name: "ben".into() }).await;
    server.stop().await;
    let offline = async { while !matches!(ann.next().await, Some(ChatEvent::Offline { .. })) {} };
    tokio::time::timeout(PATIENCE, offline).await.expect("the cut is told");
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let app = cloverleaf::app::App::new(&Options::default()).await.unwrap();
    let server = tokio::spawn(app.serve(listener, std::future::pending()));
    until(&mut ann, &ChatEvent::Joined).await;
    ann.say("back").await;
    until(&mut ann, &ChatEvent::Shout { name: "ann".into(), body: "back".into(), kept: false }).await;
    server.abort();
}

#[tokio::test]
async fn our_client_presents_a_token_and_says_why_it_cannot_connect() {
    let mut options = Options::default();
    options.hub.hub_key = Some(Key::new("s3cret?>"));
    let server = Server::start(&options).await;
    let url = server.url();
    let mut ann = Chat::connect(&url, "lobby", "ann", Some("s3cret?>")).await.expect("a token that is right");
    until(&mut ann, &ChatEvent::Joined).await;
    let by_parameter = format!("{url}?token=s3cret%3F%3E");
    let mut ben = Chat::connect(&by_parameter, "lobby", "ben", None).await.expect("the same in the URL");
    until(&mut ben, &ChatEvent::Joined).await;
    for token in [None, Some("secret")] {
        let error = Chat::connect(&url, "lobby", "ann", token).await.unwrap_err();
        assert!(matches!(error, ConnectError::Refused(status) if status == 403), "{error}");
    }
    let address = server.address;
    server.stop().await;
    let error = Chat::connect(&format!("ws://{address}"), "lobby", "ann", None).await.unwrap_err();
    assert!(matches!(error, ConnectError::Transport(_)), "{error}");
}

/// What `hub chat` says on its standard output or error, and its exit code, after it was given a line to say.
async fn chat(url: &str) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_cloverleaf"));
    command.args(["hub", "chat", "--name", "ann", "--server", url]).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program of this package");
    // It may have ended by then.
    let _ = child.stdin.take().expect("a pipe").write_all(b"hi\n").await;
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends");
    let output = output.expect("an exit code");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("text"))
}

#[tokio::test]
async fn a_chat_in_a_pipe_ends_with_its_input_and_fails_without_a_hub() {
    let server = Server::start(&Options::default()).await;
    let url = server.url();
    let (code, said) = chat(&url).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("you are in lobby"), "{said}");
    server.stop().await;
    for (url, failure, reason) in
        [(url.as_str(), 3, "no connection"), ("ftp://localhost", 1, "no URL of a hub")]
    {
        let (code, said) = chat(url).await;
        assert_eq!(code, Some(failure), "{said}");
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn our_client_does_not_wait_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let error = Chat::connect(&url, "lobby", "ann", None).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_joins_and_leaves_at_once_is_seen_alike_by_all() {
    const CROWD: usize = 150;
    let server = Server::start(&Options::default()).await;
    let mut members = Vec::new();
    for index in 0..CROWD {
        let mut client = connect(&server).await;
        members.push(tokio::spawn(async move {
            let join = json!(["1", "1", "room:crowd", "phx_join", {"username": format!("user{index}")}]);
            send(&mut client, join).await;
            // Every third leaves again, every third types.
            if index % 3 == 0 {
                send(&mut client, json!(["1", "2", "room:crowd", "phx_leave", {}])).await;
                return None;
            }
            if index % 3 == 1 {
                let typing = json!({"username": format!("user{index}"), "typing": true});
                send(&mut client, json!(["1", "2", "room:crowd", "user:typing", typing])).await;
            }
            let mut presence = Box::new(Presence::<256, 128, 131_072>::new());
            let settled = |presence: &Presence<256, 128, 131_072>| {
                presence.is_known()
                    && presence.keys().count() == CROWD - CROWD / 3
                    && (0..CROWD).filter(|index| index % 3 == 1).all(|index| {
                        let key = format!("user{index}");
                        let meta = presence.metas(&key).next().map(<[u8]>::to_vec).unwrap_or_default();
                        String::from_utf8_lossy(&meta).contains(r#""typing":true"#)
                    })
            };
            while !settled(&presence) {
                let message = tokio::time::timeout(PATIENCE, client.next()).await.expect("more to come");
                let Message::Text(text) = message.expect("not the end").expect("no error") else { continue };
                let message: Value = serde_json::from_str(&text).expect("JSON");
                let payload = message[4].to_string();
                match message[3].as_str() {
                    Some("presence_state") => presence.handle_state(payload.as_bytes(), &mut |_| {}).unwrap(),
                    Some("presence_diff") => presence.handle_diff(payload.as_bytes(), &mut |_| {}).unwrap(),
                    _ => {}
                }
            }
            Some(client)
        }));
    }
    for member in members {
        member.await.expect("a member that settles");
    }
}

/// Serves a hub with topics of its own.
async fn serve(topics: Topics) -> (Hub, String) {
    let context = Context { timeline: Bus::new(), exposure: Exposure::Loopback };
    let hub = Hub::new(&hub::Options::default(), &context, topics).await.unwrap();
    let origins = cloverleaf::origin::Origins::new(&[], Exposure::Loopback);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/socket/websocket?vsn=2.0.0", listener.local_addr().unwrap());
    let router = hub.router(&origins);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (hub, url)
}

/// A channel that tells who its client is, and takes its time to answer.
struct Thoughtful;

impl Topic for Thoughtful {
    fn join(&self, _topic: &str, _params: Body<'_>, peer: &Peer) -> Result<Join, Refusal> {
        match peer.parameter("name") {
            Some(name) => Ok(Join { response: Payload::of(&name), ..Join::new(Self) }),
            None => Err(Refusal::reason("who are you?")),
        }
    }
}

impl Member for Thoughtful {
    fn joined(&mut self, channel: &mut Channel<'_>) {
        assert!(channel.replier().is_none(), "nothing has been asked");
    }

    fn handle<'a>(&mut self, channel: &mut Channel<'_>, _event: &str, _body: Body<'a>) -> Answer<'a> {
        let replier = channel.replier().expect("an event");
        tokio::spawn(async move { replier.reply("ok", &Payload::of(&"at last")) });
        Answer::Silence
    }
}

#[tokio::test]
async fn a_channel_knows_its_client_and_may_answer_later() {
    let (_hub, url) = serve(Topics::new().with("*", Thoughtful)).await;
    let (mut nobody, _) = connect_async(&url).await.unwrap();
    send(&mut nobody, json!(["1", "1", "phoenix", "phx_join", {}])).await;
    assert_eq!(expect(&mut nobody, "phx_reply").await[4]["response"]["reason"], "who are you?");
    let (mut ann, _) = connect_async(format!("{url}&name=ann")).await.unwrap();
    send(&mut ann, json!(["1", "1", "phoenix", "phx_join", {}])).await;
    assert_eq!(expect(&mut ann, "phx_reply").await[4]["response"], "ann");
    send(&mut ann, json!(["1", 2, "phoenix", "why", {}])).await;
    let answer = json!(["1", 2, "phoenix", "phx_reply", {"response": "at last", "status": "ok"}]);
    assert_eq!(expect(&mut ann, "phx_reply").await, answer);
}

/// A channel that panics wherever it is told to, and when it ends.
struct Careless(bool);

impl Drop for Careless {
    fn drop(&mut self) {
        assert!(!self.0, "told to");
    }
}

impl Topic for Careless {
    fn join(&self, _topic: &str, params: Body<'_>, _: &Peer) -> Result<Join, Refusal> {
        assert_ne!(params, Body::Json(b"1"), "told to");
        Ok(Join::new(Self(true)))
    }
}

impl Member for Careless {
    fn joined(&mut self, channel: &mut Channel<'_>) {
        channel.track("careless", b"{}");
    }

    fn handle<'a>(&mut self, channel: &mut Channel<'_>, event: &str, _body: Body<'a>) -> Answer<'a> {
        channel.track("second", b"{\"a\":1}");
        assert_ne!(event, "panic", "told to");
        Answer::ok(Payload::of(&channel.topic()))
    }
}

#[tokio::test]
async fn a_channel_that_panics_fails_alone() {
    let (hub, url) = serve(Topics::new().with("careless:*", Careless(false))).await;
    let (mut client, _) = connect_async(&url).await.unwrap();
    send(&mut client, json!(["1", "1", "careless:a", "phx_join", 1])).await;
    assert_eq!(expect(&mut client, "phx_reply").await[4]["response"]["reason"], "join crashed");
    send(&mut client, json!(["2", "2", "careless:a", "phx_join", {}])).await;
    assert_eq!(expect(&mut client, "phx_reply").await[4]["status"], "ok");
    send(&mut client, json!(["2", "3", "careless:a", "panic", {}])).await;
    assert_eq!(
        expect(&mut client, "phx_error").await,
        json!(["2", "2", "careless:a", "phx_error", {"reason": "channel_crash"}])
    );
    assert_eq!(hub.census(), [], "nothing of it is left");
    send(&mut client, json!(["4", "4", "careless:a", "phx_join", {}])).await;
    expect(&mut client, "presence_diff").await;
    send(&mut client, json!(["4", "5", "careless:a", "topic", {}])).await;
    assert_eq!(expect(&mut client, "phx_reply").await[4]["response"], "careless:a");
    hub.broadcast("careless:a", "news", &Payload::of(&json!({"a": 1}))).unwrap();
    assert_eq!(expect(&mut client, "news").await, json!([null, null, "careless:a", "news", {"a": 1}]));
    // It panics once more when its client has gone.
    drop(client);
    let gone = async {
        while !hub.census().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("nothing of it is left");
}
