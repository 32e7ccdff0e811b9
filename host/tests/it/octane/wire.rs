//! What goes over the wire, frame by frame.

use std::sync::Arc;
use std::time::Duration;

use cloverleaf::app::App;
use cloverleaf::config::Options;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::Server;

pub(super) const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn options() -> Options {
    let mut options = Options::default();
    options.octane.keys = vec!["goodkey".parse().unwrap()];
    options
}

/// One Engine.IO connection over WebSocket that answers pings and shows the rest.
pub(super) struct Wire {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Wire {
    async fn open(server: &Server, query: &str) -> Self {
        let url = format!("ws://{}/socket.io/?transport=websocket&{query}", server.address);
        let mut wire = Self { socket: connect_async(url).await.unwrap().0 };
        assert!(wire.receive().await.starts_with("0{"));
        wire
    }

    pub(super) async fn send(&mut self, packet: &str) {
        self.socket.send(Message::text(packet)).await.unwrap();
    }

    pub(super) async fn receive(&mut self) -> String {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("a packet in time");
            match message.expect("open").expect("well-formed") {
                Message::Text(text) if text.as_str() == "2" => self.send("3").await,
                Message::Text(text) => return text.to_string(),
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// Asks something that is always answered, and shows that nothing else was said before.
    pub(super) async fn expect_silence(&mut self) {
        self.send(r#"42/octane,["leave",{"channel":"gate"}]"#).await;
        assert_eq!(self.receive().await, r#"42/octane,["leave",{"leave":"gate"}]"#);
    }

    /// Asks something that is always answered, and passes over whatever else is said.
    async fn expect_answer(&mut self) {
        self.send(r#"42/octane,["leave",{"channel":"gate"}]"#).await;
        while self.receive().await != r#"42/octane,["leave",{"leave":"gate"}]"# {}
    }

    /// Plays a transcript: `>` lines are sent, `<` lines must come; `*` stands for any text.
    async fn play(&mut self, transcript: &str) {
        for line in transcript.lines() {
            match line.split_once(' ') {
                Some((">", packet)) => self.send(packet).await,
                Some(("<", expected)) => {
                    let packet = self.receive().await;
                    assert!(matches(&packet, expected), "expected {expected}\n     got {packet}");
                }
                _ => assert!(line.is_empty() || line.starts_with('#'), "{line}"),
            }
        }
    }
}

/// Whether `packet` is `expected`, in which `*` stands for any text.
fn matches(packet: &str, expected: &str) -> bool {
    match expected.split_once('*') {
        None => packet == expected,
        Some((head, rest)) => packet.strip_prefix(head).is_some_and(|packet| {
            packet.char_indices().map(|(at, _)| &packet[at..]).chain([""]).any(|packet| matches(packet, rest))
        }),
    }
}

#[tokio::test]
async fn recorded_exchanges_go_as_they_went() {
    #[rustfmt::skip]
    let transcripts = [
        ("EIO=4",                   include_str!("transcripts/notebook.txt")),
        ("EIO=4",                   include_str!("transcripts/bad_key.txt")),
        ("EIO=4&X-API-KEY=goodkey", include_str!("transcripts/query_key.txt")),
        ("EIO=4",                   include_str!("transcripts/trigger_proxy.txt")),
        ("EIO=4",                   include_str!("transcripts/mapp_enable.txt")),
        ("EIO=4",                   include_str!("transcripts/unknown_namespace.txt")),
        ("EIO=3",                   include_str!("transcripts/eio3_notebook.txt")),
    ];
    let server = Server::start(&options()).await;
    for (query, transcript) in transcripts {
        Wire::open(&server, query).await.play(transcript).await;
    }
}

#[tokio::test]
async fn polling_clients_get_the_whole_burst_and_the_reason_before_the_end() {
    let server = Server::start(&options()).await;
    let http = reqwest::Client::new();
    for (key, expected) in [
        (
            "goodkey",
            &["auth_ok", r#"["join",{"join":"user"}]"#, r#"["join",{"join":"facility"}]"#, r#"["channels""#]
                [..],
        ),
        ("badkey", &["auth_fail", "41/octane,"][..]),
    ] {
        let url = format!("{}/socket.io/?EIO=4&transport=polling&X-API-KEY={key}", server.url());
        let open = http.get(&url).send().await.unwrap().text().await.unwrap();
        let sid: serde_json::Value = serde_json::from_str(&open[1..]).unwrap();
        let url = format!("{url}&sid={}", sid["sid"].as_str().unwrap());
        http.post(&url).body("40/octane,").send().await.unwrap();
        let mut packets: Vec<String> = Vec::new();
        while !packets.iter().any(|packet| packet.contains(expected.last().unwrap())) {
            let body = http.get(&url).timeout(PATIENCE).send().await.unwrap().text().await.unwrap();
            packets.extend(body.split('\x1e').map(str::to_owned));
        }
        let mut rest = packets.iter().filter(|packet| packet.as_str() != "2");
        assert!(rest.next().unwrap().starts_with("40/octane,{"));
        for (packet, expected) in rest.by_ref().zip(expected) {
            assert!(packet.contains(expected), "{expected}: {packet}");
        }
    }
}

#[tokio::test]
async fn a_key_may_come_in_a_header_or_with_connect() {
    let server = Server::start(&options()).await;
    let mut wire = Wire::open(&server, "EIO=4").await;
    wire.send(r#"40/octane,{"token":"goodkey"}"#).await;
    wire.play("< 40/octane,*\n< 42/octane,[\"auth_ok\",{\"message\":\"OK\"}]").await;

    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    let url = format!("ws://{}/socket.io/?transport=websocket&EIO=4", server.address);
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("x-api-key", "goodkey".parse().unwrap());
    let mut wire = Wire { socket: connect_async(request).await.unwrap().0 };
    wire.play("< 0{*\n> 40/octane,\n< 40/octane,*\n< 42/octane,[\"auth_ok\",{\"message\":\"OK\"}]").await;
}

/// A member that has heard everything said on entry.
pub(super) async fn member(server: &Server) -> Wire {
    let mut wire = Wire::open(server, "EIO=4&X-API-KEY=goodkey").await;
    wire.play("> 40/octane,\n< 40/octane,*\n< *auth_ok*\n< *user*\n< *facility*\n< *channels*").await;
    wire
}

#[tokio::test]
async fn what_is_malformed_disturbs_nobody() {
    let server = Server::start(&options()).await;
    let (mut wire, mut other) = (member(&server).await, member(&server).await);
    for packet in [
        r#"42/octane,["join"]"#,
        r#"42/octane,["join",null]"#,
        r#"42/octane,["join",7]"#,
        r#"42/octane,["join",{}]"#,
        r#"42/octane,["join",{"channel":"nowhere"}]"#,
        r#"42/octane,["join",{"channel":"Crosswalk"}]"#,
        r#"42/octane,["testing",{"any":"thing"}]"#,
        r#"42/octane,["leave","a","b","c"]"#,
    ] {
        wire.send(packet).await;
        wire.expect_silence().await;
    }
    other.expect_silence().await;
}

#[tokio::test]
async fn messages_reach_every_member_in_order_and_as_they_were() {
    let server = Server::start(&options()).await;
    let (mut sender, mut other) = (member(&server).await, member(&server).await);
    for count in 0..500 {
        sender
            .send(&format!(r#"42/octane,["user_message",{{"n":{count},"ю":"\ud83d\ude02","x":1.0}}]"#))
            .await;
    }
    for wire in [&mut sender, &mut other] {
        for count in 0..500 {
            let expected =
                format!(r#"42/octane,["user_message",{{"n":{count},"ю":"\ud83d\ude02","x":1.0}}]"#);
            assert_eq!(wire.receive().await, expected);
        }
    }
    other.send(r#"42/octane,["leave",{"channel":"user"}]"#).await;
    assert_eq!(other.receive().await, r#"42/octane,["leave",{"leave":"user"}]"#);
    sender.send(r#"42/octane,["user_message",1]"#).await;
    assert_eq!(sender.receive().await, r#"42/octane,["user_message",1]"#);
    other.expect_silence().await;
}

#[tokio::test]
async fn leaving_the_namespace_leaves_the_others_alone() {
    let server = Server::start(&options()).await;
    let mut wire = member(&server).await;
    wire.send("40").await;
    assert!(wire.receive().await.starts_with("40{"));
    wire.send(r#"42/octane,["disconnect_request"]"#).await;
    assert_eq!(wire.receive().await, "41/octane,");
    // Still there: a second CONNECT is acknowledged on the same connection.
    wire.play("> 40/octane,\n< 40/octane,*").await;
}

#[tokio::test]
async fn who_comes_back_is_let_in_afresh_without_a_ghost() {
    let app = App::new(&options()).await.unwrap();
    let road = Arc::clone(app.road());
    let server = Server::serve(app).await;
    let mut first = member(&server).await;
    first.send(r#"42/octane,["join",{"channel":"ipc"}]"#).await;
    assert_eq!(first.receive().await, r#"42/octane,["join",{"join":"ipc"}]"#);
    assert_eq!(road.look(|state| state.audience("ipc")), 1);
    drop(first); // without a word, as when a cable is pulled
    let gone = async {
        while road.look(|state| state.audience("ipc") + state.audience("user")) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the first is gone");
    let mut second = member(&server).await;
    second.send(r#"42/octane,["channels"]"#).await;
    assert!(!second.receive().await.contains("ipc"));
    second.send(r#"42/octane,1["ipc_message",{}]"#).await;
    assert_eq!(second.receive().await, "43/octane,1[]", "not in ipc, so only the acknowledgement");
}

#[tokio::test]
async fn the_signals_of_one_radio_come_ten_times_a_second() {
    let server = Server::start(&options()).await;
    let mut wire = member(&server).await;
    wire.send(r#"42/octane,["join",{"channel":"v2x_rsu_0129_parsed"}]"#).await;
    assert_eq!(wire.receive().await, r#"42/octane,["join",{"join":"v2x_rsu_0129_parsed"}]"#);
    for _ in 0..5 {
        let packet = wire.receive().await;
        assert!(packet.starts_with(r#"42/octane,["v2x_SPaT",{"id":"0129","messageSet":"NTCIP""#), "{packet}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stalls_delays_nobody_and_then_gets_the_newest_of_each_signal() {
    const SENT: usize = 9_000;
    const SIGNALS: usize = 5;
    let server = Server::start(&options()).await;
    let (mut producer, mut reader, mut stalled) =
        (member(&server).await, member(&server).await, member(&server).await);
    for wire in [&mut reader, &mut stalled] {
        wire.send(r#"42/octane,["join",{"channel":"v2x_obu_parsed"}]"#).await;
        assert_eq!(wire.receive().await, r#"42/octane,["join",{"join":"v2x_obu_parsed"}]"#);
    }
    // Far more than the queue and the buffers of the connection hold.
    let padding = "-".repeat(4096);
    /// Signal and number of a message; none for those of the road's own vehicles.
    fn number(packet: &str) -> Option<(usize, usize)> {
        let (id, rest) = packet.strip_prefix(r#"42/octane,["v2x_BSM",{"id":"s"#)?.split_once('"')?;
        let number = rest.strip_prefix(r#","n":"#)?.split_once(',')?.0;
        Some((id.parse().ok()?, number.parse().ok()?))
    }
    for count in 0..SENT {
        let id = count % SIGNALS;
        let payload = format!(r#"{{"id":"s{id}","n":{count},"x":"{padding}"}}"#);
        producer.send(&format!(r#"42/octane,["v2x_BSM",{{"payload":{payload}}}]"#)).await;
        loop {
            if let Some((_, heard)) = number(&reader.receive().await) {
                break assert_eq!(heard, count, "lost, doubled or out of order");
            }
        }
    }

    let (mut newest, mut heard) = ([0; SIGNALS], 0);
    while newest.iter().any(|count| *count < SENT - SIGNALS) {
        if let Some((id, count)) = number(&stalled.receive().await) {
            assert!(count >= newest[id], "signal {id} went back from {} to {count}", newest[id]);
            newest[id] = count;
            heard += 1;
        }
    }
    // The buffers of a connection and two windows, and not thousands of packets.
    assert!(heard < SENT / 4, "{heard} of {SENT} values were kept for one that does not read");
    stalled.expect_answer().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_comes_once_and_in_its_order_however_readers_pause() {
    const SENT: usize = 1500;
    // Within what may wait, and more than the connection and its windows hold.
    const PAUSES: [usize; 3] = [1, 120, 310];
    let server = Server::start(&options()).await;
    let mut sender = member(&server).await;
    sender.send(r#"42/octane,["leave",{"channel":"user"}]"#).await;
    assert_eq!(sender.receive().await, r#"42/octane,["leave",{"leave":"user"}]"#);
    let padding = "-".repeat(8_000);
    let (tell, told) = tokio::sync::watch::channel(0);
    let mut readers = tokio::task::JoinSet::new();
    for pause in PAUSES {
        let (mut reader, mut told, padding) = (member(&server).await, told.clone(), padding.clone());
        readers.spawn(async move {
            let mut heard = 0;
            while heard < SENT {
                let until = (heard + pause).min(SENT);
                told.wait_for(|sent| *sent >= until).await.unwrap();
                while heard < until {
                    let packet = reader.receive().await;
                    if packet.starts_with(r#"42/octane,["facility_message""#) {
                        continue;
                    }
                    let expected = format!(r#"42/octane,["user_message",{{"n":{heard},"x":"{padding}"}}]"#);
                    assert!(packet == expected, "not {heard} but {}", &packet[..packet.len().min(80)]);
                    heard += 1;
                }
            }
        });
    }
    for count in 0..SENT {
        sender.send(&format!(r#"42/octane,1["user_message",{{"n":{count},"x":"{padding}"}}]"#)).await;
        while sender.receive().await != "43/octane,1[]" {}
        tell.send_replace(count + 1);
    }
    readers.join_all().await;
}

#[tokio::test]
async fn an_old_client_may_open_further_namespaces_with_a_query_at_any_time() {
    let server = Server::start(&options()).await;
    let url = format!("{}/socket.io/?EIO=3&transport=polling", server.url());
    let open = reqwest::get(&url).await.unwrap().text().await.unwrap();
    let sid = open.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap();
    let url = format!("ws://{}/socket.io/?EIO=3&transport=websocket&sid={sid}", server.address);
    let mut wire = Wire { socket: connect_async(url).await.unwrap().0 };
    wire.play("> 2probe\n< 3probe\n> 5").await;
    for _ in 0..20 {
        wire.send("2").await;
        while wire.receive().await != "3" {}
    }
    wire.send("40/octane?X-API-KEY=goodkey,").await;
    wire.play("< 40/octane*\n< *auth_ok*").await;
}

#[tokio::test]
async fn what_is_large_waits_until_it_is_read_and_is_then_all_there() {
    const SENT: usize = 100;
    let server = Server::start(&options()).await;
    let (mut sender, mut reader) = (member(&server).await, member(&server).await);
    // Ten times as many bytes as may wait in a queue unread.
    let padding = "-".repeat(400_000);
    let mut heard = 0;
    sender.send(r#"42/octane,["join",{"channel":"ipc"}]"#).await;
    assert_eq!(sender.receive().await, r#"42/octane,["join",{"join":"ipc"}]"#);
    reader.send(r#"42/octane,["join",{"channel":"ipc"}]"#).await;
    assert_eq!(reader.receive().await, r#"42/octane,["join",{"join":"ipc"}]"#);
    for count in 0..SENT {
        sender.send(&format!(r#"42/octane,["ipc_message",{{"n":{count},"x":"{padding}"}}]"#)).await;
        // Both read, the one who sends and the other, a little later than it is sent.
        if count % 8 == 7 {
            while heard <= count {
                let start = format!(r#"42/octane,["ipc_message",{{"n":{heard},"#);
                assert!(sender.receive().await.starts_with(&start));
                assert!(reader.receive().await.starts_with(&start));
                heard += 1;
            }
        }
    }
}

#[tokio::test]
async fn who_does_not_read_what_is_large_is_sent_away_before_it_fills_the_memory() {
    let server = Server::start(&options()).await;
    let (mut sender, mut stalled) = (member(&server).await, member(&server).await);
    stalled.send(r#"42/octane,["join",{"channel":"ipc"}]"#).await;
    assert_eq!(stalled.receive().await, r#"42/octane,["join",{"join":"ipc"}]"#);
    let padding = "-".repeat(400_000);
    // What the queue, the backlog and the connection's own buffers may hold, and more.
    for count in 1..=60 {
        sender.send(&format!(r#"42/octane,{count}["ipc_message",{{"x":"{padding}"}}]"#)).await;
        assert_eq!(sender.receive().await, format!("43/octane,{count}[]"));
    }
    let mut heard = 0;
    loop {
        match stalled.receive().await {
            packet if packet.starts_with(r#"42/octane,["ipc_message""#) => heard += 1,
            packet => break assert_eq!(packet, "41/octane,"),
        }
    }
    assert!(heard < 60, "{heard} messages of 400 kB were kept for one that does not read");
}
