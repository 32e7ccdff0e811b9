//! The whole relay over real sockets: raw frames where the bytes matter, the client elsewhere.

use std::collections::HashMap;
use std::net::SocketAddr;

use cloverleaf::auth::Exposure;
use cloverleaf::services::relay;
use cloverleaf::services::relay::state::Counts;
use cloverleaf::socketio_client::{self, Disconnect, Event, Options};
use cloverleaf::timeline::Source;
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, client_async};

use super::fixture::*;

/// The recorded session with the original (transcript 20), packet for packet, with the corrections of the
/// table of differences marked.
#[tokio::test]
async fn the_recorded_session_of_the_original_with_its_corrections() {
    let server = server().await;
    let id = format!("{{\"monitor_id\":\"{A}\"}}");
    let con = format!("42[\"con\",{id}]");
    let query = format!("42[\"query\",{id}]");
    let failed = |reason: &str| format!("42[\"command failed\",{{\"reason\":\"{reason}\"}}]");
    let ok = "42[\"command ok\",{\"reason\":\"Command ok\"}]".to_owned();
    let finish = "42[\"command finish\",{\"reason\":\"Command finish\"}]".to_owned();
    let query_ok = "42[\"query ok\",{\"reason\":\"Query ok\"}]".to_owned();
    let con_ok = "42[\"con ok\",{\"reason\":\"Connection ok\"}]".to_owned();
    let taken = "42[\"con failed\",{\"reason\":\"monitor_id already registered\"}]".to_owned();
    let bad_id = "42[\"query failed\",{\"reason\":\"Invalid monitor_id\"}]".to_owned();
    let (f, e) = ("f".repeat(32), "e".repeat(32));
    let step = |who: &'static str, says: &str, heard: &[(&'static str, String)]| {
        (who, says.to_owned(), heard.to_vec())
    };
    let steps = [
        step("u1", &query, &[("u1", query_ok.clone())]),
        // Corrected: the absent monitor is reported.
        step(
            "u1",
            r#"42["command send",{"command":"x"}]"#,
            &[("u1", ok.clone()), ("u1", failed("Monitor not connected"))],
        ),
        step("m", &con, &[("m", con_ok.clone())]),
        // Corrected: who is refused is disconnected. The holder is asked whether it lives.
        step("m2", &con, &[("m", r#"42["relay probe"]"#.into()), ("m2", taken.clone()), ("m2", "41".into())]),
        step("u2", &query, &[("u2", query_ok.clone())]),
        step(
            "u1",
            r#"42["command send",{"command":"water on","extra":1}]"#,
            &[("m", r#"42["command do",{"command":"water on"}]"#.into()), ("u1", ok.clone())],
        ),
        // Corrected: only the sender hears of its command.
        step("m", r#"42["command done",{}]"#, &[("u1", finish.clone())]),
        // Nothing waits, nothing happens; without data, too. (The acknowledgement is the test's.)
        step("m", r#"422["command done"]"#, &[("m", "432[]".into())]),
        step(
            "u1",
            r#"42["command send",{"command":"again"}]"#,
            &[("m", r#"42["command do",{"command":"again"}]"#.into()), ("u1", ok.clone())],
        ),
        // Corrected: failures reach the user.
        step("m", r#"42["command error",{"reason":"jam"}]"#, &[("u1", failed("jam"))]),
        step("u3", r#"42["query",{"monitor_id":"short"}]"#, &[("u3", bad_id.clone()), ("u3", "41".into())]),
        // Corrected: neither missing data nor a command before its query is met with silence.
        step("u4", r#"42["query"]"#, &[("u4", bad_id), ("u4", "41".into())]),
        step("u5", r#"42["command send",{"command":"x"}]"#, &[("u5", failed("Not queried"))]),
        step("u1", r#"42["command send",{"command":""}]"#, &[("u1", failed("Invalid command"))]),
        step("u1", r#"42["command send",{"command":5}]"#, &[("u1", failed("Invalid command"))]),
        step("u2", r#"423["command done",{}]"#, &[("u2", "433[]".into())]),
        step(
            "u1",
            r#"421["command send",{"command":"ack?"}]"#,
            &[
                ("m", r#"42["command do",{"command":"ack?"}]"#.into()),
                ("u1", ok.clone()),
                ("u1", "431[]".into()),
            ],
        ),
        step("m", r#"42["command done",{}]"#, &[("u1", finish)]),
        step("u2", &format!(r#"42["query",{{"monitor_id":"{f}"}}]"#), &[("u2", query_ok)]),
        step(
            "u2",
            r#"42["command send",{"command":"to other"}]"#,
            &[("u2", ok.clone()), ("u2", failed("Monitor not connected"))],
        ),
        // Corrected: another id releases the first at once.
        step("m", &format!(r#"42["con",{{"monitor_id":"{e}"}}]"#), &[("m", con_ok.clone())]),
        step(
            "u1",
            r#"42["command send",{"command":"slow"}]"#,
            &[("u1", ok.clone()), ("u1", failed("Monitor not connected"))],
        ),
        step("m", "41", &[]),
        step("m3", &con, &[("m3", con_ok.clone())]),
        step("m4", &format!(r#"42["con",{{"monitor_id":"{e}"}}]"#), &[("m4", con_ok)]),
        // What comes next shows that nothing comes of it.
        step("u1", r#"42["unheard of",{}]"#, &[]),
        step(
            "u1",
            r#"424["command send",{"command":"heard of"}]"#,
            &[
                ("m3", r#"42["command do",{"command":"heard of"}]"#.into()),
                ("u1", ok),
                ("u1", "434[]".into()),
            ],
        ),
    ];
    let mut clients: HashMap<&str, Raw> = HashMap::new();
    for (who, says, heard) in steps {
        if !clients.contains_key(who) {
            clients.insert(who, Raw::join(server.address, "40").await);
        }
        clients.get_mut(who).unwrap().say(&says).await;
        for (listener, packet) in heard {
            let listened = clients.get_mut(listener).unwrap().hear().await;
            assert_eq!(listened, packet, "{listener} after {who} said {says}");
        }
        if says == "41" {
            // A goodbye needs a moment; the ids are free once an order behind it has been answered.
            clients.remove(who);
        }
    }
}

#[tokio::test]
async fn bad_introductions_are_answered_then_closed_in_both_namespaces() {
    let server = server().await;
    let bad = [
        format!(",{{\"monitor_id\":\"{}\"}}", &A[..31]),
        format!(",{{\"monitor_id\":\"{A}0\"}}"),
        ",{}".to_owned(),
        ",{\"monitor_id\":null}".to_owned(),
        ",7".to_owned(),
        String::new(),
        format!(",[\"{A}\"]"),
        format!(",\"{A}\""),
    ];
    for (join, prefix) in [("40", "42"), ("40/relay,", "42/relay,")] {
        for event in ["query", "con"] {
            for data in &bad {
                if prefix == "42" && event == "query" && data.starts_with(",\"") {
                    // A string on `/` is an OBD command.
                    continue;
                }
                let answer = format!("{prefix}[\"{event} failed\",{{\"reason\":\"Invalid monitor_id\"}}]");
                let [goodbye, ack] = ["41", "43"].map(|kind| prefix.replace("42", kind));
                let mut raw = Raw::join(server.address, join).await;
                raw.say(&format!("{prefix}[\"{event}\"{data}]")).await;
                raw.expect(&[&answer, &goodbye]).await;
                // Whoever waits for an acknowledgement gets it while it is still there.
                let mut raw = Raw::join(server.address, join).await;
                raw.say(&format!("{prefix}1[\"{event}\"{data}]")).await;
                raw.expect(&[&answer, &format!("{ack}1[]"), &goodbye]).await;
            }
        }
    }
}

#[tokio::test]
async fn any_text_arrives_as_it_was_sent() {
    let server = server().await;
    let mut monitor = Raw::join(server.address, "40").await;
    monitor.say(&format!("42[\"con\",{{\"monitor_id\":\"{A}\"}}]")).await;
    monitor.hear().await;
    let mut user = Raw::join(server.address, "40").await;
    user.say(&format!("42[\"query\",{{\"monitor_id\":\"{A}\"}}]")).await;
    user.hear().await;
    let big = "x".repeat(65_536);
    let texts = [
        "ünï \u{1f697}",
        r#"quotes \" and \\ and \/"#,
        "\u{2028}\u{2029}",
        r"\u2028 \u0000",
        r"half \ud83d of a pair",
        &big,
    ];
    for text in texts {
        user.say(&format!("42[\"command send\",{{\"command\":\"{text}\"}}]")).await;
        monitor.expect(&[&format!("42[\"command do\",{{\"command\":\"{text}\"}}]")]).await;
        user.expect(&[r#"42["command ok",{"reason":"Command ok"}]"#]).await;
        monitor.say(&format!("42[\"command error\",{{\"reason\":\"{text}\"}}]")).await;
        user.expect(&[&format!("42[\"command failed\",{{\"reason\":\"{text}\"}}]")]).await;
    }
    user.say(&format!("42[\"command send\",{{\"command\":\"{big}x\"}}]")).await;
    user.expect(&[r#"42["command failed",{"reason":"Payload too large"}]"#]).await;
}

#[tokio::test]
async fn a_broken_packet_disturbs_nobody_else() {
    let server = server().await;
    let options = Options::new(&server.url()).unwrap();
    let (_monitor, mut tasks) = introduced(options.clone(), "con", A).await;
    let (user, mut replies) = introduced(options, "query", A).await;
    for packet in ["4", "42", "42[", "42{}", "4xyz", "45-[]", "9", "42[1]", "b!!!"] {
        let mut raw = Raw::join(server.address, "40").await;
        raw.say(packet).await;
        // Of its own session it is the end.
        while raw.next().await.is_some() {}
    }
    user.emit("command send", &[json!({"command": "still there?"})]).await.unwrap();
    assert_eq!(message(&mut tasks).await, ("command do".into(), json!({"command": "still there?"})));
    assert_eq!(message(&mut replies).await.0, "command ok");
}

#[tokio::test]
async fn one_connection_can_be_of_the_relay_and_on_the_road() {
    let server = server().await;
    let mut raw = Raw::join(server.address, "40").await;
    raw.say("40/octane,").await;
    assert!(raw.hear().await.starts_with("40/octane,"));
    raw.say(&format!("42[\"con\",{{\"monitor_id\":\"{A}\"}}]")).await;
    raw.expect(&[r#"42["con ok",{"reason":"Connection ok"}]"#]).await;
    raw.say(r#"42/octane,["channels"]"#).await;
    // On entry and when asked: the road says it twice.
    for _ in 0..2 {
        while !raw.hear().await.starts_with(r#"42/octane,["channels","#) {}
    }
    raw.say(&format!("42[\"query\",{{\"monitor_id\":\"{A}\"}}]")).await;
    raw.expect(&[r#"42["query ok",{"reason":"Query ok"}]"#]).await;
    raw.say("41/octane,").await;
    raw.say(r#"42["command send",{"command":"self"}]"#).await;
    raw.expect(&[r#"42["command ok",{"reason":"Command ok"}]"#, r#"42["command do",{"command":"self"}]"#])
        .await;
}

#[tokio::test]
async fn one_connection_can_be_user_on_one_namespace_and_monitor_on_the_other() {
    let server = server().await;
    let mut raw = Raw::join(server.address, "40").await;
    raw.say("40/relay,").await;
    assert!(raw.hear().await.starts_with("40/relay,"));
    raw.say(&format!("42/relay,[\"con\",{{\"monitor_id\":\"{A}\"}}]")).await;
    raw.expect(&[r#"42/relay,["con ok",{"reason":"Connection ok"}]"#]).await;
    raw.say(&format!("42[\"query\",{{\"monitor_id\":\"{A}\"}}]")).await;
    raw.expect(&[r#"42["query ok",{"reason":"Query ok"}]"#]).await;
    raw.say(r#"42["command send",{"command":"self"}]"#).await;
    // A receipt waits a little for what comes next on its namespace.
    raw.expect(&[
        r#"42/relay,["command do",{"command":"self"}]"#,
        r#"42["command ok",{"reason":"Command ok"}]"#,
    ])
    .await;
    // Leaving one namespace is leaving that role only.
    raw.say("41/relay,").await;
    raw.expect(&[r#"42["command failed",{"reason":"Monitor disconnected"}]"#]).await;
    raw.say(r#"42["command send",{"command":"x"}]"#).await;
    raw.expect(&[
        r#"42["command ok",{"reason":"Command ok"}]"#,
        r#"42["command failed",{"reason":"Monitor not connected"}]"#,
    ])
    .await;
}

#[tokio::test]
async fn polling_alone_and_engine_io_3_are_served() {
    let server = server().await;
    let url = format!("{}/socket.io/?EIO=4&transport=polling", server.url());
    let http = reqwest::Client::new();
    let open = http.get(&url).send().await.unwrap().text().await.unwrap();
    let sid: Value = serde_json::from_str(&open[1..]).unwrap();
    let url = format!("{url}&sid={}", sid["sid"].as_str().unwrap());
    let post =
        async |body: String| http.post(&url).body(body).send().await.unwrap().error_for_status().unwrap();
    post("40".into()).await;
    let mut heard = String::new();
    // Refused and closed in one flush, also for a client that can only be told when it asks.
    post("42[\"con\",{\"monitor_id\":\"short\"}]".into()).await;
    while !heard.contains("]\u{1e}41") {
        let body = http.get(&url).send().await.unwrap().text().await.unwrap();
        heard = format!("{heard}\u{1e}{body}");
    }
    assert!(heard.contains("42[\"con failed\",{\"reason\":\"Invalid monitor_id\"}]\u{1e}"), "{heard:?}");

    let mut old = Raw::open(server.address, "EIO=3&transport=websocket").await;
    // Engine.IO 3 joins `/` unasked.
    assert_eq!(old.hear().await, "40");
    old.say(&format!("42[\"con\",{{\"monitor_id\":\"{A}\"}}]")).await;
    old.expect(&[r#"42["con ok",{"reason":"Connection ok"}]"#]).await;
}

#[tokio::test]
async fn tokens_are_taken_from_auth_query_string_and_payload() {
    let keys = |options: &mut relay::Options| {
        options.relay_user_key = vec!["u".parse().unwrap(), format!("{A}=ua").parse().unwrap()];
        options.relay_monitor_key = vec!["m".parse().unwrap()];
    };
    let relay = Alone::start(keys, Exposure::Network).await;
    let with_auth = Options { auth: Some(json!({"token": "m"})), ..relay.client() };
    let _monitor = introduced(with_auth, "con", A).await;
    let with_query = Options { query: vec![("token".into(), "ua".into())], ..relay.client() };
    let _user = introduced(with_query, "query", A).await;
    let (client, mut events) = socketio_client::connect(relay.client()).await.unwrap();
    client.emit("query", &[json!({"monitor_id": id_of(5), "token": "u"})]).await.unwrap();
    assert_eq!(message(&mut events).await.0, "query ok");
    client.emit("query", &[json!({"monitor_id": A, "token": "u"})]).await.unwrap();
    assert_eq!(message(&mut events).await, ("query failed".into(), json!({"reason": "Invalid token"})));
    assert!(matches!(events.next().await, Some(Event::Disconnected { reason: Disconnect::Server, .. })));

    let closed = Alone::start(|_| (), Exposure::Network).await;
    let (client, mut events) = socketio_client::connect(closed.client()).await.unwrap();
    client.emit("con", &[json!({"monitor_id": A})]).await.unwrap();
    let why = json!({"reason": "Relay closed: the server has no keys"});
    assert_eq!(message(&mut events).await, ("con failed".into(), why));
    let told = Alone::start(|options| options.relay_open = true, Exposure::Network).await;
    let _monitor = introduced(told.client(), "con", A).await;
}

#[tokio::test]
async fn ten_thousand_commands_arrive_in_order_and_each_ok_before_its_finish() {
    const COUNT: usize = 10_000;
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let (monitor, mut tasks) = introduced(relay.client(), "con", A).await;
    let (user, mut replies) = introduced(relay.client(), "query", A).await;
    let send = async {
        for number in 0..COUNT {
            user.emit("command send", &[json!({"command": number.to_string()})]).await.unwrap();
        }
    };
    let work = async {
        for number in 0..COUNT {
            let want = json!({"command": number.to_string()});
            assert_eq!(message(&mut tasks).await, ("command do".into(), want));
            monitor.emit("command done", &[]).await.unwrap();
        }
    };
    let listen = async {
        let (mut accepted, mut finished) = (0, 0);
        while finished < COUNT {
            match message(&mut replies).await.0.as_str() {
                "command ok" => accepted += 1,
                "command finish" => finished += 1,
                other => panic!("{other} after {accepted} and {finished}"),
            }
            assert!(finished <= accepted);
        }
        assert_eq!(accepted, COUNT);
    };
    tokio::join!(send, work, listen);
    assert_eq!(relay.service.counts(), Counts { sockets: 2, monitors: 1, commands: 0 });
}

#[tokio::test]
async fn fifty_users_and_monitors_hear_only_their_own() {
    const COUNT: usize = 50;
    const EACH: usize = 20;
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let mut monitors = Vec::new();
    for number in 0..COUNT {
        let (client, mut tasks) = introduced(relay.client(), "con", &id_of(number)).await;
        monitors.push(tokio::spawn(async move {
            for task in 0..EACH {
                let (_, data) = message(&mut tasks).await;
                assert_eq!(data["command"], json!(format!("{number}/{task}")), "a command of another user");
                client.emit("command error", &[json!({"reason": data["command"]})]).await.unwrap();
            }
            (client, tasks)
        }));
    }
    let users: Vec<_> = (0..COUNT)
        .map(|number| {
            let options = relay.client();
            tokio::spawn(async move {
                let (client, mut replies) = introduced(options, "query", &id_of(number)).await;
                for task in 0..EACH {
                    let command = format!("{number}/{task}");
                    client.emit("command send", &[json!({"command": command})]).await.unwrap();
                    assert_eq!(message(&mut replies).await.0, "command ok");
                    let want = ("command failed".to_owned(), json!({"reason": command}));
                    assert_eq!(message(&mut replies).await, want, "an answer to another user");
                }
            })
        })
        .collect();
    for user in users {
        user.await.unwrap();
    }
    for monitor in monitors {
        monitor.await.unwrap();
    }
}

#[tokio::test]
async fn a_thousand_reconnects_leave_nothing_behind() {
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let con = format!("42/relay,[\"con\",{{\"monitor_id\":\"{A}\"}}]");
    let before = tasks();
    for round in 0..1000 {
        let mut monitor = Raw::join(relay.address, "40/relay,").await;
        monitor.say(&con).await;
        monitor.expect(&[r#"42/relay,["con ok",{"reason":"Connection ok"}]"#]).await;
        if round % 2 == 0 {
            monitor.reset();
        } else {
            monitor.socket.close(None).await.unwrap();
        }
        relay.becomes(Counts::default()).await;
    }
    // A connection's tasks own all that it takes: when none of them is left, nothing is.
    tokio::time::timeout(PATIENCE, async {
        while tasks() > before || !relay.io.of("/relay").expect("the namespace").sockets().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{} tasks, {before} before", tasks()));
}

#[tokio::test]
async fn the_way_of_a_command_is_on_the_timeline() {
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let mut timeline = relay.timeline.subscribe();
    let (monitor, mut tasks) = introduced(relay.client(), "con", A).await;
    let (user, mut replies) = introduced(relay.client(), "query", A).await;
    user.emit("command send", &[json!({"command": "lights on", "sent": 5.0})]).await.unwrap();
    assert_eq!(message(&mut tasks).await.0, "command do");
    monitor.emit("command done", &[]).await.unwrap();
    assert_eq!(message(&mut replies).await.0, "command ok");
    assert_eq!(message(&mut replies).await.0, "command finish");
    let mut entries = Vec::new();
    for _ in 0..2 {
        let entry = timeline.next().await.unwrap().unwrap();
        assert_eq!(entry.source, Source::Device);
        entries.push((entry.topic.clone(), serde_json::to_value(&entry.value).unwrap()));
    }
    assert_eq!(entries[0], (format!("monitor/{A}"), json!({"monitor_id": A, "connected": true})));
    let (topic, value) = &entries[1];
    assert_eq!(topic, &format!("command/{A}"));
    let way = ["monitor_id", "command", "outcome", "reason"].map(|name| value[name].as_str());
    assert_eq!(way, [Some(A), Some("lights on"), Some("done"), Some("Command finish")]);
    let time = |name: &str| value["times"][name].as_f64().unwrap_or_else(|| panic!("{name} in {value}"));
    assert_eq!(time("sent"), 5.0);
    assert!(time("accepted") <= time("dispatched") && time("dispatched") <= time("finished"));
}

#[tokio::test]
async fn on_the_timeline_texts_are_whole_characters_and_not_too_long() {
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let mut timeline = relay.timeline.subscribe();
    let mut user = Raw::join(relay.address, "40/relay,").await;
    user.say(&format!("42/relay,[\"query\",{{\"monitor_id\":\"{A}\"}}]")).await;
    let table = [
        (r"half \ud83d of a pair".to_owned(), "half \u{FFFD} of a pair".to_owned()),
        (r#"a \"quote\""#.to_owned(), r#"a "quote""#.to_owned()),
        ("ü".repeat(1000), "ü".repeat(200)),
    ];
    for (sent, shown) in table {
        user.say(&format!("42/relay,[\"command send\",{{\"command\":\"{sent}\"}}]")).await;
        let entry = timeline.next().await.unwrap().unwrap();
        let value = serde_json::to_value(&entry.value).unwrap();
        assert_eq!((value["command"].as_str(), value["outcome"].as_str()), (Some(&*shown), Some("failed")));
        assert_eq!(value["reason"], "Monitor not connected");
        assert!(value["times"].get("dispatched").is_none(), "{value}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_hold_up_the_others() {
    // Of long commands, and of short ones with long ids, this many are 2 MiB.
    for (command, id, most) in [(60_000, 1, 40), (100, 250, 4200)] {
        let relay = Alone::start(|options| options.relay_max_pending = 1_000_000, Exposure::Loopback).await;
        let _deaf = narrow(relay.address, "con").await;
        let (user, mut replies) = introduced(relay.client(), "query", A).await;
        let (_other, _tasks) = introduced(relay.client(), "con", &id_of(1)).await;
        let flood = tokio::spawn(async move {
            let command = json!({"command": "x".repeat(command), "id": "i".repeat(id)});
            while user.emit("command send", std::slice::from_ref(&command)).await.is_ok() {}
        });
        // The user is told that there are too many instead of the server growing, and of the monitor being given up.
        loop {
            match message(&mut replies).await.1["reason"].as_str() {
                Some("Command ok") => {}
                reason => break assert_eq!(reason, Some("Too many pending commands")),
            }
        }
        flood.abort();
        let counts = relay.service.counts();
        assert!(counts.commands < most && counts.monitors == 2, "{counts:?}");
        let (_second, _replies) = introduced(relay.client(), "query", &id_of(1)).await;
    }
}

/// A socket whose client takes little at a time, and has introduced itself.
async fn narrow(address: SocketAddr, event: &str) -> Raw {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = MaybeTlsStream::Plain(socket.connect(address).await.unwrap());
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
    let (socket, _) = client_async(url, stream).await.unwrap();
    let mut raw = Raw { socket };
    assert!(raw.hear().await.starts_with("0{"), "opened");
    raw.say("40/relay,").await;
    assert!(raw.hear().await.starts_with("40"), "joined");
    raw.say(&format!("42/relay,[\"{event}\",{{\"monitor_id\":\"{A}\"}}]")).await;
    assert!(raw.hear().await.starts_with(&format!("42/relay,[\"{event} ok\"")));
    raw
}

#[tokio::test]
async fn whoever_reads_late_gets_every_reply_and_acknowledgement_in_order() {
    // Many times what its connection holds, and less than may wait.
    const COUNT: usize = 5000;
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let mut user = narrow(relay.address, "query").await;
    for number in 0..COUNT {
        user.say(&format!("42/relay,{number}[\"command send\",{{\"command\":\"x\"}}]")).await;
    }
    for number in 0..COUNT {
        user.expect(&[
            r#"42/relay,["command ok",{"reason":"Command ok"}]"#,
            r#"42/relay,["command failed",{"reason":"Monitor not connected"}]"#,
            &format!("43/relay,{number}[]"),
        ])
        .await;
    }
}

#[tokio::test]
async fn whoever_does_not_read_at_all_is_given_up() {
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let mut user = narrow(relay.address, "query").await;
    let id = "i".repeat(200);
    let mut sent = 0;
    tokio::time::timeout(PATIENCE, async {
        while relay.service.counts() != Counts::default() {
            sent += 1;
            let command = format!("42/relay,[\"command send\",{{\"command\":\"x\",\"id\":\"{id}\"}}]");
            // Fails once the connection has ended.
            let _ = user.socket.send(Frame::text(command)).await;
        }
    })
    .await
    .expect("its place is free");
    // What may wait holds a few thousand replies. The heartbeat would let it say many times more.
    assert!(sent < 50_000, "{sent} commands");
}
