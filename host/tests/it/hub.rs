//! The hub against what a real Phoenix was recorded to do, and against clients that mean no good.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use cloverleaf::auth::Key;
use cloverleaf::config::Options;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::support::{Server, exchange};

/// How long the server may take to say something it has to say.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client sees: a message of the server (JSON, or hex of binary), or the end.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Json(Value),
    Binary(String),
    Closed(u16),
}

/// A client of the tests; a task reads for it.
struct Client {
    sink: futures_util::stream::SplitSink<WebSocketStream<TcpStream>, Message>,
    seen: mpsc::UnboundedReceiver<Seen>,
    task: tokio::task::JoinHandle<()>,
}

impl Client {
    async fn connect(server: &Server, path: &str) -> Self {
        Self::request(server, path, None, None)
            .await
            .unwrap_or_else(|(status, _)| panic!("{path}: {status}"))
            .0
    }

    /// Connects with an origin and subprotocols; answers the chosen subprotocol too. The error is status and body.
    async fn request(
        server: &Server,
        path: &str,
        origin: Option<&str>,
        offered: Option<&str>,
    ) -> Result<(Self, Option<String>), (u16, String)> {
        // By hand: tungstenite insists on being answered a subprotocol, Phoenix does not always.
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", server.address);
        for (name, value) in [("Origin", origin), ("Sec-WebSocket-Protocol", offered)] {
            if let Some(value) = value {
                request += &format!("{name}: {value}\r\n");
            }
        }
        request += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let (stream, head, body) = exchange(server.address, &request).await;
        let field = |name: &str| {
            head.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
        };
        let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).expect("a status");
        if status != 101 {
            return Err((status, body));
        }
        let stream = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        let (sink, mut source) = stream.split();
        let (tell, seen) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Some(Ok(message)) = source.next().await {
                let _ = tell.send(match message {
                    Message::Text(text) => {
                        Seen::Json(serde_json::from_str(&text).expect("JSON of the server"))
                    }
                    Message::Binary(bytes) => {
                        Seen::Binary(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
                    }
                    Message::Close(frame) => Seen::Closed(frame.map_or(1005, |frame| frame.code.into())),
                    _ => continue,
                });
            }
        });
        Ok((Self { sink, seen, task }, field("sec-websocket-protocol:")))
    }

    async fn send(&mut self, text: impl Into<String>) {
        self.sink.send(Message::text(text.into())).await.expect("the connection is open");
    }

    async fn next(&mut self) -> Seen {
        tokio::time::timeout(PATIENCE, self.seen.recv())
            .await
            .expect("something in time")
            .expect("not the end")
    }

    /// A reply to this ref, whatever else comes before.
    async fn reply(&mut self, reference: &str) -> Value {
        loop {
            if let Seen::Json(message) = self.next().await
                && message[1] == reference
                && message[3] == "phx_reply"
            {
                return message[4].clone();
            }
        }
    }

    /// Everything up to the answer of a heartbeat sent now.
    async fn settle(&mut self) -> Vec<Seen> {
        self.send(r#"[null,"settled","phoenix","heartbeat",{}]"#).await;
        let mut seen = Vec::new();
        loop {
            match self.next().await {
                Seen::Json(message) if message[1] == "settled" => return seen,
                other => seen.push(other),
            }
        }
    }
}

/// Cuts without a close frame.
impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn replayed() -> Options {
    let mut options = Options::default();
    options.hub.hub_test_channels = true;
    options.hub.strict_phoenix = true;
    options
}

/// Replays one recording step by step: each connection must see the same frames in each step, `phx_ref`s renamed
/// consistently, and its own replies in the same order.
async fn replay(name: &str, text: &str, rename: impl Fn(&str) -> String) {
    let server = Server::start(&replayed()).await;
    let lines: Vec<String> = text.lines().filter(|line| !line.starts_with('#')).map(rename).collect();
    let mut clients: HashMap<String, Client> = HashMap::new();
    let mut refs = Refs::default();
    let mut index = 0;
    while index < lines.len() {
        // A step: actions up to the next one that waits for answers, then what each connection sees.
        let start = index;
        loop {
            act(name, &server, &mut clients, &lines[index]).await;
            index += 1;
            let right_behind = lines
                .get(index)
                .is_some_and(|line| line.split(' ').nth(1).is_some_and(|mark| mark.starts_with('+')));
            if !right_behind {
                break;
            }
        }
        let mut expected: BTreeMap<&str, Vec<Seen>> = BTreeMap::new();
        while let Some(seen) = lines.get(index).and_then(|line| answer(line)) {
            let (connection, _) = lines[index].split_once(' ').unwrap();
            expected.entry(connection).or_default().push(seen);
            index += 1;
        }
        for (connection, expected) in expected {
            let client = clients.get_mut(connection).unwrap();
            let mut seen = Vec::new();
            for _ in &expected {
                seen.push(client.next().await);
            }
            let context = || {
                format!(
                    "{name}: after {:?}, {connection} sees\n{seen:#?}\ninstead of\n{expected:#?}",
                    &lines[start]
                )
            };
            assert!(refs.same(&seen, &expected), "{}", context());
            let replies =
                |frames: &[Seen]| frames.iter().filter(|seen| !is_diff(seen)).map(shape).collect::<Vec<_>>();
            assert_eq!(replies(&seen), replies(&expected), "{}", context());
        }
        // And nothing else: whoever is still there has nothing more to say.
        if lines.get(index).is_none_or(|line| !line.contains(" closed ")) {
            for (connection, client) in &mut clients {
                if let Ok(extra) = client.seen.try_recv() {
                    panic!("{name}: after {:?}, {connection} also sees {extra:?}", &lines[start]);
                }
            }
        }
    }
    // What was not asked about within the steps has had time to come.
    tokio::time::sleep(Duration::from_millis(20)).await;
    for (connection, client) in &mut clients {
        if let Ok(extra) = client.seen.try_recv() {
            panic!("{name}: at the end {connection} also sees {extra:?}");
        }
    }
}

/// Carries out one line of a client.
async fn act(name: &str, server: &Server, clients: &mut HashMap<String, Client>, line: &str) {
    let (connection, rest) = line.split_once(' ').unwrap();
    let (mark, data) = rest.split_once(' ').unwrap_or((rest, ""));
    let mark = mark.trim_start_matches('+');
    if mark == "open" {
        let mut words = data.split(' ');
        let (path, status) = (words.next().unwrap(), words.next().unwrap().parse::<u16>().unwrap());
        let options: HashMap<&str, &str> = words.filter_map(|word| word.split_once('=')).collect();
        let origin = options.get("origin").map(|origin| serde_json::from_str::<String>(origin).unwrap());
        let offered = options.get("offered").copied();
        match Client::request(server, path, origin.as_deref(), offered).await {
            Ok((client, chosen)) => {
                assert_eq!(status, 101, "{name}: {line}");
                assert_eq!(chosen.as_deref(), options.get("subprotocol").copied(), "{name}: {line}");
                clients.insert(connection.to_owned(), client);
            }
            Err((refused, body)) => {
                assert_eq!(refused, status, "{name}: {line}");
                let expected =
                    data.split_once("body=").map(|(_, body)| serde_json::from_str::<String>(body).unwrap());
                assert_eq!(body, expected.unwrap_or_default(), "{name}: {line}");
            }
        }
        return;
    }
    if mark == "http" {
        let mut parts = serde_json::Deserializer::from_str(data).into_iter::<Value>();
        let mut part = || parts.next().unwrap().unwrap();
        let (request, status, body) = (part(), part(), part());
        let request = request.as_str().unwrap();
        let (_, head, got) = exchange(server.address, request).await;
        assert_eq!(head.split(' ').nth(1), Some(status.to_string().as_str()), "{name}: {line}\n{head}");
        assert_eq!(got, body.as_str().unwrap(), "{name}: {line}");
        return;
    }
    let client = clients.get_mut(connection).unwrap_or_else(|| panic!("{name}: {line}"));
    match mark {
        ">" => client.send(data).await,
        ">x" => client.send(String::from_utf8(unhex(data)).unwrap()).await,
        ">>" => client.sink.send(Message::binary(unhex(data))).await.unwrap(),
        "close" => {
            client.sink.send(Message::Close(Some(close_frame(data)))).await.unwrap();
            assert_eq!(client.next().await, Seen::Closed(1000), "{name}: {line}");
            clients.remove(connection);
        }
        "abort" => drop(clients.remove(connection)),
        _ => panic!("{name}: {line}"),
    }
}

fn close_frame(code: &str) -> tungstenite::protocol::CloseFrame {
    tungstenite::protocol::CloseFrame { code: code.parse::<u16>().unwrap().into(), reason: "".into() }
}

/// What a line says that a connection sees.
fn answer(line: &str) -> Option<Seen> {
    let mut words = line.splitn(3, ' ');
    let (_, mark, data) = (words.next()?, words.next()?, words.next()?);
    match mark {
        "<" => Some(Seen::Json(serde_json::from_str(data).expect("JSON in the transcript"))),
        "<<" => Some(Seen::Binary(data.to_owned())),
        "closed" => Some(Seen::Closed(data.parse().expect("a code"))),
        _ => None,
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Presence diffs are the only frames whose place among the others Phoenix leaves open.
fn is_diff(seen: &Seen) -> bool {
    matches!(seen, Seen::Json(message) if message[3] == "presence_diff" || message["event"] == "presence_diff")
}

/// A frame without its `phx_ref`s.
fn shape(seen: &Seen) -> String {
    let Seen::Json(message) = seen else { return format!("{seen:?}") };
    let mut message = message.clone();
    visit_refs(&mut message, &mut |text| "*".clone_into(text));
    message.to_string()
}

fn visit_refs(value: &mut Value, visit: &mut impl FnMut(&mut String)) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(|element| visit_refs(element, visit)),
        Value::Object(members) => {
            for (key, member) in members {
                match member {
                    Value::String(text) if key.starts_with("phx_ref") => visit(text),
                    _ => visit_refs(member, visit),
                }
            }
        }
        _ => {}
    }
}

/// Which of our `phx_ref`s stands for which recorded one.
#[derive(Default)]
struct Refs {
    ours: HashMap<String, String>,
}

impl Refs {
    /// Whether both are the same frames in any order.
    fn same(&mut self, seen: &[Seen], expected: &[Seen]) -> bool {
        let sorted = |frames: &[Seen]| {
            let mut frames = frames.to_vec();
            frames.sort_by_key(shape);
            frames
        };
        sorted(seen).into_iter().zip(sorted(expected)).all(|(seen, expected)| {
            if shape(&seen) != shape(&expected) {
                return false;
            }
            let refs = |seen: Seen| {
                let mut refs = Vec::new();
                if let Seen::Json(mut message) = seen {
                    visit_refs(&mut message, &mut |text| refs.push(text.clone()));
                }
                refs
            };
            refs(seen)
                .into_iter()
                .zip(refs(expected))
                .all(|(ours, theirs)| *self.ours.entry(ours).or_insert_with(|| theirs.clone()) == theirs)
        })
    }
}

fn recordings() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/transcripts/phoenix");
    let mut recordings: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| {
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                std::fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    recordings.sort();
    assert!(recordings.len() >= 31, "where are the recordings?");
    recordings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_conversations_are_replayed_frame_by_frame() {
    for (name, text) in recordings() {
        replay(&name, &text, str::to_owned).await;
        if name.ends_with(".v1") {
            // Without `vsn` everything is the same.
            replay(&name, &text, |line| line.replace("?vsn=1.0.0", "")).await;
        }
    }
}

#[tokio::test]
async fn a_username_that_is_no_key_is_refused_and_nobody_else_notices() {
    let server = Server::start(&Options::default()).await;
    let mut robin = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
    robin.send(r#"["1","1","room:lobby","phx_join",{"username":"robin"}]"#).await;
    assert_eq!(robin.reply("1").await["status"], "ok");
    robin.settle().await;
    let mut attacker = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
    for (reference, username) in [("1", "{}"), ("2", "[]"), ("3", r#"{"a":1}"#)] {
        attacker
            .send(format!(
                r#"["{reference}","{reference}","room:lobby","phx_join",{{"username":{username}}}]"#
            ))
            .await;
        let reply = attacker.reply(reference).await;
        assert_eq!(reply["status"], "error");
        assert!(reply["response"]["reason"].as_str().is_some_and(|reason| reason.contains("username")));
    }
    assert_eq!(robin.settle().await, []);
    for (reference, username, key) in [("4", "123", "123"), ("5", "true", "true"), ("6", "null", "")] {
        attacker
            .send(format!(
                r#"["{reference}","{reference}","room:lobby","phx_join",{{"username":{username}}}]"#
            ))
            .await;
        assert_eq!(attacker.reply(reference).await["status"], "ok");
        let diffs = robin.settle().await;
        let Some(Seen::Json(diff)) = diffs.last() else { panic!("{diffs:?}") };
        let username: Value = serde_json::from_str(username).unwrap();
        assert_eq!(diff[4]["joins"][key]["metas"][0]["username"], username);
    }
}

#[tokio::test]
async fn a_shout_that_cannot_be_sent_to_all_is_answered_and_the_channel_lives() {
    let server = Server::start(&Options::default()).await;
    let mut robin = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
    robin.send(r#"["1","1","room:lobby","phx_join",{"username":"robin"}]"#).await;
    robin.send(r#"["1","2","room:lobby","shout",[1,2]]"#).await;
    assert_eq!(
        robin.reply("2").await,
        json!({"status": "error", "response": {"reason": "payload must be an object"}})
    );
    robin.send(r#"["1","3","room:lobby","shout",{"a":"still here"}]"#).await;
    assert_eq!(
        robin.settle().await,
        [Seen::Json(json!([null, null, "room:lobby", "shout", {"a": "still here"}]))]
    );
}

#[tokio::test]
async fn channels_of_one_connection_are_limited() {
    let mut options = Options::default();
    options.hub.hub_channels = 2;
    let server = Server::start(&options).await;
    let mut client = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
    for (reference, status) in [("1", "ok"), ("2", "ok"), ("3", "error")] {
        client
            .send(format!(
                r#"["{reference}","{reference}","room:{reference}","phx_join",{{"username":"u"}}]"#
            ))
            .await;
        assert_eq!(client.reply(reference).await["status"], status);
    }
    // Joining again what is joined is no further channel.
    client.send(r#"["4","4","room:1","phx_join",{"username":"u"}]"#).await;
    assert_eq!(client.reply("4").await["status"], "ok");
}

#[tokio::test]
async fn a_shutdown_tells_clients_to_come_back() {
    let server = Server::start(&Options::default()).await;
    let mut client = Client::connect(&server, "/socket/websocket").await;
    server.stop().await;
    assert_eq!(client.next().await, Seen::Closed(1012));
}

/// Connects and answers the chosen subprotocol, or the status and body of the refusal.
async fn asks(server: &Server, path: &str, origin: Option<&str>, offered: Option<&str>) -> String {
    match Client::request(server, path, origin, offered).await {
        Ok((_, protocol)) => protocol.unwrap_or_else(|| "none".to_owned()),
        Err((status, body)) => format!("{status} {body}").trim_end().to_owned(),
    }
}

#[tokio::test]
async fn a_token_lets_in_by_subprotocol_or_parameter() {
    let mut options = Options::default();
    options.hub.hub_key = Some(Key::new("s3cret?>"));
    let server = Server::start(&options).await;
    let path = "/socket/websocket?vsn=2.0.0";
    for (path, offered, answer) in [
        (path, Some("phoenix, base64url.bearer.phx.czNjcmV0Pz4"), "phoenix"),
        (path, Some("phoenix, base64url.bearer.phx.czNjcmV0Pz4="), "phoenix"),
        (path, Some("base64url.bearer.phx.czNjcmV0Pz4"), "none"),
        ("/socket/websocket?vsn=2.0.0&token=s3cret%3F%3E", Some("phoenix"), "phoenix"),
        ("/socket/websocket?vsn=2.0.0&token=s3cret%3F%3E", None, "none"),
        ("/socket/websocket?vsn=2.0.0&token=secret", None, "403"),
        (path, None, "403"),
        (path, Some("phoenix"), "403"),
        (path, Some("phoenix, base64url.bearer.phx.c2VjcmV0"), "403"),
        (path, Some("other, base64url.bearer.phx.czNjcmV0Pz4"), "403"),
        (path, Some("phoenix, base64url.bearer.phx.!!"), "400 the token is not base64"),
    ] {
        assert_eq!(asks(&server, path, None, offered).await, answer, "{path} {offered:?}");
    }
}

#[tokio::test]
async fn pages_of_other_hosts_are_kept_out() {
    let mut options = Options::default();
    options.hub.hub_origin = vec!["example.com".to_owned(), "*.example.org".to_owned()];
    let server = Server::start(&options).await;
    for (origin, answer) in [
        (None, "none"),
        (Some("http://example.com"), "none"),
        (Some("https://EXAMPLE.com:8443"), "none"),
        (Some("https://example.org"), "none"),
        (Some("https://a.b.example.org"), "none"),
        (Some("https://notexample.org"), "403"),
        (Some("https://example.com.evil.net"), "403"),
        (Some("http://localhost"), "403"),
        (Some("null"), "403"),
        (Some(""), "403"),
        (Some("example.com"), "403"),
        (Some("http://"), "403"),
    ] {
        assert_eq!(asks(&server, "/socket/websocket", origin, None).await, answer, "{origin:?}");
    }
}

#[tokio::test]
async fn a_silent_client_is_closed_whatever_others_say_to_it() {
    let mut options = Options::default();
    assert_eq!(options.hub.hub_idle, 45, "seconds, as the original");
    options.hub.hub_idle = 1;
    options.hub.hub_test_channels = true;
    let server = Server::start(&options).await;
    let mut silent = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
    let mut loud = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
    for client in [&mut silent, &mut loud] {
        client.send(r#"["1","1","fan:idle","phx_join",{}]"#).await;
    }
    let code = loop {
        tokio::select! {
            seen = silent.next() => if let Seen::Closed(code) = seen { break code },
            () = tokio::time::sleep(Duration::from_millis(50)) => {
                loud.send(r#"["1","2","fan:idle","shout",{"a":1}]"#).await;
            }
        }
    };
    assert_eq!(code, 1002);
    loud.settle().await;
}

#[tokio::test]
async fn a_flood_is_read_slowly_and_delays_nobody_else() {
    const FLOOD: usize = 300;
    let mut options = Options::default();
    options.hub.hub_rate = 10;
    let server = Server::start(&options).await;
    let mut flood = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
    let mut robin = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
    for _ in 0..FLOOD {
        flood.send(r#"[null,"1","phoenix","heartbeat",{}]"#).await;
    }
    flood.next().await;
    // All of the flood would take 29 s.
    robin.settle().await;
    let mut answered = 1;
    while flood.seen.try_recv().is_ok() {
        answered += 1;
    }
    assert!(answered < FLOOD, "{answered} were answered at once");
    assert!(matches!(flood.next().await, Seen::Json(_)), "and it goes on");
}
