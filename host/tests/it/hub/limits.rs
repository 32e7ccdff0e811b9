//! Clients that say too much, too little, or what cannot be passed on.

use std::time::Duration;

use cloverleaf::auth::Exposure;
use cloverleaf::config::Options;
use cloverleaf::origin::Origins;
use cloverleaf::services::Context;
use cloverleaf::services::hub::channel::Payload;
use cloverleaf::services::hub::{self, Hub, Topics};
use cloverleaf::timeline::Bus;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Client, Seen};
use crate::support::{Server, exchange};

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

#[tokio::test]
async fn a_silent_client_is_closed_whatever_others_say_to_it() {
    let mut options = Options::default();
    assert_eq!(options.hub.hub_idle, Duration::from_secs(45), "as the original");
    options.hub.hub_idle = Duration::from_secs(1);
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

/// A room whose frames are larger than what may wait for a client.
async fn roomy() -> Server {
    let mut options = Options::default();
    options.hub.hub_queue = 64 * 1024;
    options.hub.hub_test_channels = true;
    Server::start(&options).await
}

fn large(event: &str, topic: &str, reference: u32) -> String {
    let body = "x".repeat(1_100_000);
    format!(r#"["1","{reference}","{topic}","{event}",{{"b":"{body}"}}]"#)
}

/// The event of the next message and its size in round numbers: what is large is 1.
fn sized(seen: &Seen) -> (String, usize) {
    let Seen::Json(message) = seen else { panic!("{seen:?}") };
    (message[3].as_str().expect("an event").to_owned(), message.to_string().len() / 1_000_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_larger_than_the_queue_get_to_whoever_reads() {
    let server = roomy().await;
    let mut ann = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
    ann.send(r#"["1","1","test:x","phx_join",{}]"#).await;
    ann.reply("1").await;
    // The broadcast and the reply behind it, in one batch.
    ann.send(large("broadcast", "test:x", 2)).await;
    assert_eq!(sized(&ann.next().await), ("bcast".into(), 1));
    assert_eq!(sized(&ann.next().await), ("phx_reply".into(), 0));
    // A small shout right behind a large one.
    let mut ben = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
    for client in [&mut ann, &mut ben] {
        client.send(r#"["1","3","fan:x","phx_join",{}]"#).await;
        client.reply("3").await;
    }
    let shout = large("shout", "fan:x", 4);
    ann.send_all([shout.as_str(), r#"["1","5","fan:x","shout",{"small":1}]"#, shout.as_str()]).await;
    for client in [&mut ann, &mut ben] {
        for size in [1, 0, 1] {
            assert_eq!(sized(&client.next().await), ("shout".into(), size));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presence_larger_than_the_queue_lets_others_join() {
    let mut options = Options::default();
    options.hub.hub_queue = 16 * 1024;
    let server = Server::start(&options).await;
    let mut crowd = Vec::new();
    for index in 0..60 {
        let mut client = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
        let name = format!("{index:04}{}", "x".repeat(1000));
        client.send(format!(r#"["1","1","room:lobby","phx_join",{{"username":"{name}"}}]"#)).await;
        assert_eq!(client.reply("1").await["status"], "ok");
        let Seen::Json(state) = client.next().await else { panic!("closed") };
        assert_eq!(state[4].as_object().expect("a state").len(), index);
        crowd.push(client);
    }
}

#[tokio::test]
async fn what_everybody_would_be_sent_again_and_again_is_short() {
    let server = Server::start(&Options::default()).await;
    let mut ann = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
    let (longest, long) = ("x".repeat(1022), "x".repeat(1023));
    let topic = "t".repeat(256);
    for (topic, username, reason) in [
        ("room:a", long.as_str(), "username must be at most 1024 bytes long"),
        (topic.as_str(), "ann", "unmatched topic"),
        (&format!("room:{}", &topic[..251]), "ann", "topic must be at most 255 bytes long"),
        (&format!("room:{}", &topic[..250]), "ann", ""),
        ("room:a", longest.as_str(), ""),
    ] {
        ann.send(json!(["1", "1", topic, "phx_join", { "username": username }]).to_string()).await;
        let reply = ann.reply("1").await;
        let expected = if reason.is_empty() { json!({}) } else { json!({ "reason": reason }) };
        assert_eq!(reply["response"], expected, "{topic}");
        ann.settle().await;
    }
    let typing = json!(["1", "2", "room:a", "user:typing", {"username": "ann", "typing": long}]);
    ann.send(typing.to_string()).await;
    assert_eq!(ann.reply("2").await["status"], "error");
}

#[tokio::test]
async fn a_leave_is_carried_out_whatever_else_the_client_sends() {
    use futures_util::SinkExt;
    use tokio_tungstenite::tungstenite::Message;
    let server = Server::start(&Options::default()).await;
    let mut ann = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
    ann.send(r#"["1","1","room:a","phx_join",{"username":"ann"}]"#).await;
    ann.reply("1").await;
    ann.settle().await;
    ann.send(r#"["1","2","room:a","phx_leave",{}]"#).await;
    // Bytes come all the time, and no message.
    let left = async {
        loop {
            ann.sink.send(Message::Ping(vec![1].into())).await.expect("an open connection");
            tokio::select! {
                seen = ann.seen.recv() => return seen,
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
        }
    };
    let seen = tokio::time::timeout(super::PATIENCE, left).await.expect("in time").expect("a reply");
    assert_eq!(sized(&seen).0, "phx_reply");
    // A leave, then something other than a join.
    ann.send(r#"["3","3","room:a","phx_join",{"username":"ann"}]"#).await;
    ann.reply("3").await;
    ann.settle().await;
    ann.send_all([
        r#"["3","4","room:a","phx_leave",{}]"#,
        r#"["5","5","room:b","phx_join",{"username":"ann"}]"#,
    ])
    .await;
    ann.reply("5").await;
    assert_eq!(ann.reply("4").await["status"], "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_closed_with_1013() {
    let context = Context { timeline: Bus::new(), exposure: Exposure::Loopback };
    let options = hub::Options { hub_test_channels: true, ..hub::Options::default() };
    let hub = Hub::new(&options, &context, Topics::new()).await.expect("no database to fail");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let router = hub.router(&Origins::new(&[], Exposure::Loopback));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let request = "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let (mut deaf, head, _) = exchange(address, request).await;
    assert!(head.contains(" 101 "), "{head}");
    let join = br#"["1","1","fan:x","phx_join",{}]"#;
    let mut frame = vec![0x81, 0x80 | join.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(join);
    deaf.write_all(&frame).await.expect("an open connection");
    let payload = Payload::of(&json!({ "b": "x".repeat(500_000) }));
    let said = async {
        while hub.census().is_empty() {
            tokio::task::yield_now().await;
        }
        let mut said = 0;
        while !hub.census().is_empty() {
            hub.broadcast("fan:x", "shout", &payload).expect("an object");
            said += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        said
    };
    let said = tokio::time::timeout(super::PATIENCE, said).await.expect("the client is closed");
    let mut all = Vec::new();
    tokio::time::timeout(super::PATIENCE, deaf.read_to_end(&mut all))
        .await
        .expect("in time")
        .expect("an end");
    assert!(all.ends_with(&[0x88, 2, 0x03, 0xF5]), "1013 behind the frame that was being written");
    assert!(all.len() < said * 500_000, "what waited was dropped");
}
