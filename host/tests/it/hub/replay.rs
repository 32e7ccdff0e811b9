//! The hub against what a real Phoenix was recorded to do.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use cloverleaf::config::Options;
use futures_util::SinkExt;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::{Client, Seen};
use crate::support::{Server, exchange};

fn replayed() -> Options {
    let mut options = Options::default();
    options.hub.hub_test_channels = true;
    options.hub.hub_strict = true;
    options
}

/// Replays one recording step by step: each connection must see the same frames in each step, `phx_ref`s renamed
/// consistently, and its own replies in the same order.
pub(super) async fn replay(name: &str, text: &str, rename: impl Fn(&str) -> String) {
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
        // What is right behind goes out in one write.
        for client in clients.values_mut() {
            let _ = client.sink.flush().await;
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
        ">" => client.sink.feed(Message::text(data.to_owned())).await.unwrap(),
        ">x" => client
            .sink
            .feed(Message::text(String::from_utf8(hex::decode(data).unwrap()).unwrap()))
            .await
            .unwrap(),
        ">>" => client.sink.feed(Message::binary(hex::decode(data).unwrap())).await.unwrap(),
        "close" => {
            let (code, answer) = data.split_once(' ').unwrap_or((data, "1000"));
            let code = code.parse::<u16>().unwrap().into();
            let close = CloseFrame { code, reason: "".into() };
            client.sink.send(Message::Close(Some(close))).await.unwrap();
            assert_eq!(client.next().await, Seen::Closed(answer.parse().unwrap()), "{name}: {line}");
            clients.remove(connection);
        }
        "abort" => drop(clients.remove(connection)),
        _ => panic!("{name}: {line}"),
    }
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

/// Which of our `phx_ref`s stands for which recorded one, both ways.
#[derive(Default)]
struct Refs {
    ours: HashMap<String, String>,
    theirs: HashMap<String, String>,
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
            refs(seen).into_iter().zip(refs(expected)).all(|(ours, theirs)| {
                *self.ours.entry(ours.clone()).or_insert_with(|| theirs.clone()) == theirs
                    && *self.theirs.entry(theirs).or_insert_with(|| ours.clone()) == ours
            })
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
