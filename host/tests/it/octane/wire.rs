//! What goes over the wire, frame by frame.

use std::sync::Arc;
use std::time::Duration;

use cloverleaf::app::App;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::player::{Polls, TIMEOUT, Way, Wire, member, options, play, transcripts};
use crate::support::Server;

#[tokio::test]
async fn recorded_exchanges_go_as_they_went() {
    let server = Server::start(&options()).await;
    let way = Way::from(&server);
    for (name, transcript) in transcripts("transcripts") {
        play(&way, &name, &transcript).await;
    }
}

#[tokio::test]
async fn polling_clients_get_the_whole_burst_and_the_reason_before_the_end() {
    let server = Server::start(&options()).await;
    for (key, expected) in [
        (
            "goodkey",
            &["auth_ok", r#"["join",{"join":"user"}]"#, r#"["join",{"join":"facility"}]"#, r#"["channels""#]
                [..],
        ),
        ("badkey", &["auth_fail", "41/octane,"][..]),
    ] {
        let mut polls = Polls::open(Way::from(&server), &format!("EIO=4&X-API-KEY={key}")).await;
        assert!(polls.receive().await.starts_with("0{"));
        polls.post("40/octane,").await;
        assert!(polls.receive().await.starts_with("40/octane,{"));
        for expected in expected {
            let packet = polls.receive().await;
            assert!(packet.contains(expected), "{expected}: {packet}");
        }
    }
}

#[tokio::test]
async fn a_key_may_come_in_a_header_or_with_connect() {
    let server = Server::start(&options()).await;
    let mut wire = Wire::open(&server, "EIO=4").await;
    wire.send(r#"40/octane,{"token":"goodkey"}"#).await;
    assert!(wire.receive().await.starts_with("40/octane,"));
    assert_eq!(wire.receive().await, r#"42/octane,["auth_ok",{"message":"OK"}]"#);

    let mut request = "ws://localhost/socket.io/?transport=websocket&EIO=4".into_client_request().unwrap();
    request.headers_mut().insert("x-api-key", "goodkey".parse().unwrap());
    let mut wire = Wire::request(&server, request).await;
    assert!(wire.receive().await.starts_with("0{"));
    wire.send("40/octane,").await;
    assert!(wire.receive().await.starts_with("40/octane,"));
    assert_eq!(wire.receive().await, r#"42/octane,["auth_ok",{"message":"OK"}]"#);
}

#[tokio::test]
async fn without_a_key_a_client_is_told_why_it_has_to_go() {
    let mut options = options();
    options.octane.grace = Duration::from_millis(100);
    let server = Server::start(&options).await;
    let mut wire = Wire::open(&server, "EIO=4").await;
    wire.send("40/octane,").await;
    assert!(wire.receive().await.starts_with("40/octane,"));
    let why = r#"42/octane,["auth_fail",{"message":"No API key within the time allowed"}]"#;
    assert_eq!(wire.receive().await, why);
    assert_eq!(wire.receive().await, "41/octane,");
}

#[tokio::test]
async fn what_is_malformed_is_answered_and_disturbs_nobody() {
    let server = Server::start(&options()).await;
    let (mut wire, mut other) = (member(&server).await, member(&server).await);
    for (packet, answered) in [
        (r#"42/octane,["join"]"#, true),
        (r#"42/octane,["join",null]"#, true),
        (r#"42/octane,["join",7]"#, true),
        (r#"42/octane,["join",{}]"#, true),
        (r#"42/octane,["join",{"channel":"nowhere"}]"#, true),
        (r#"42/octane,["join",{"channel":"Crosswalk"}]"#, true),
        (r#"42/octane,["leave","a","b","c"]"#, true),
        (r#"42/octane,["testing",{"any":"thing"}]"#, false),
    ] {
        wire.send(packet).await;
        if answered {
            let answer = wire.receive().await;
            assert!(answer.starts_with(r#"42/octane,["error",{"event":""#), "{packet}: {answer}");
        }
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
    // Still there: `/` hears, and answers, what is said to it.
    wire.send(r#"421["has_name","RPM"]"#).await;
    while wire.receive().await != "431[]" {}
    // And a second CONNECT is acknowledged on the same connection.
    wire.send("40/octane,").await;
    assert!(wire.receive().await.starts_with("40/octane,"));
}

#[tokio::test]
async fn who_comes_back_is_let_in_afresh_without_a_ghost() {
    let app = App::new(&options()).await.unwrap();
    let road = Arc::clone(app.road());
    let server = Server::serve(app).await;
    let mut first = member(&server).await;
    first.send(r#"42/octane,["join",{"channel":"ipc"}]"#).await;
    assert_eq!(first.receive().await, r#"42/octane,["join",{"join":"ipc"}]"#);
    assert_eq!(road.look(|state| state.subscribers("ipc")), 1);
    drop(first); // without a word, as when a cable is pulled
    let gone = async {
        while road.look(|state| state.subscribers("ipc") + state.subscribers("user")) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, gone).await.expect("the first is gone");
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
        producer.send(&format!(r#"42/octane,1["v2x_BSM",{{"payload":{payload}}}]"#)).await;
        // It listens, too, or it would be taken for gone on a busy machine.
        while producer.receive().await != "43/octane,1[]" {}
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
    let polls = Polls::open(Way::from(&server), "EIO=3").await;
    let mut wire = Wire::connect(&server, &polls.query).await;
    wire.send("2probe").await;
    assert_eq!(wire.receive().await, "3probe");
    wire.send("5").await;
    for _ in 0..20 {
        wire.send("2").await;
        while wire.receive().await != "3" {}
    }
    wire.send("40/octane?X-API-KEY=goodkey,").await;
    assert!(wire.receive().await.starts_with("40/octane"));
    assert_eq!(wire.receive().await, r#"42/octane,["auth_ok",{"message":"OK"}]"#);
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
