//! Who is still there, and who reads: in virtual time, so that nothing depends on how busy the machine is.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use cloverleaf::auth::Exposure;
use cloverleaf::services::octane::handlers::Octane;
use cloverleaf::services::octane::state::Input;
use cloverleaf::services::{Context, octane};
use cloverleaf::socketio;
use cloverleaf::timeline::Bus;
use cloverleaf_core::tscbm;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::player::{Polls, Way, Wire, member, options, play, transcripts};

/// The road within the process, where it says nothing on `facility` by itself.
async fn within() -> (Arc<Octane>, Way) {
    let (layer, io) = socketio::server();
    // Old clients are on the root namespace before they ask for anything.
    io.ns("/", async || ());
    let context = Context { timeline: Bus::with_latest(), exposure: Exposure::Loopback };
    let road = octane::start(&options().octane, &context, &io).await.unwrap();
    let calmed = road.with(|state| {
        state.road.facility.weather_alerts.clear();
        Ok::<_, Infallible>(((), Vec::new()))
    });
    calmed.unwrap();
    (road, Way::Within(socketio::attach(Router::new(), layer)))
}

fn users(road: &Octane) -> usize {
    road.look(|state| state.subscribers("user"))
}

#[tokio::test(start_paused = true)]
async fn recorded_heartbeats_go_as_they_went() {
    let (_road, way) = within().await;
    for (name, transcript) in transcripts("transcripts/heartbeat") {
        play(&way, &name, &transcript).await;
    }
}

/// How a client stays silent: its version, how many pings it answers, and after how many seconds it is let go. The
/// server pings at once and every 25 seconds, and waits 20 seconds for an answer; of old clients it expects a ping
/// within both together.
const SILENT: [(&str, usize, u64); 3] = [("EIO=4", 0, 20), ("EIO=4", 1, 45), ("EIO=3", 0, 45)];

#[tokio::test(start_paused = true)]
async fn who_is_silent_on_a_websocket_is_let_go() {
    for (version, answers, seconds) in SILENT {
        let (road, way) = within().await;
        let mut wire = Wire::open(way, &format!("{version}&X-API-KEY=goodkey")).await;
        let begin = Instant::now();
        wire.send("40/octane,").await;
        let mut pings = 0;
        while let Some(packet) = wire.next().await {
            pings += usize::from(packet == "2");
            if packet == "2" && pings <= answers {
                wire.send("3").await;
            }
        }
        assert_eq!((begin.elapsed().as_secs(), users(&road)), (seconds, 0), "{version}, {answers} answers");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_between_polls_is_let_go() {
    for (version, answers, seconds) in SILENT {
        let (road, way) = within().await;
        let mut polls = Polls::open(way, &format!("{version}&X-API-KEY=goodkey")).await;
        let begin = Instant::now();
        polls.post("40/octane,").await;
        let mut pings = 0;
        while let Some(packet) = polls.next().await {
            pings += usize::from(packet == "2");
            if packet == "2" && pings <= answers {
                polls.post("3").await;
            }
        }
        assert_eq!((begin.elapsed().as_secs(), users(&road)), (seconds, 0), "{version}, {answers} answers");
    }
}

#[tokio::test(start_paused = true)]
async fn what_follows_the_close_of_a_websocket_is_ignored() {
    /// A frame of a client, masked with zeros.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
    }
    let (road, way) = within().await;
    let (wire, mut other) = (member(way.clone()).await, member(way).await);
    let mut stream = wire.socket.into_inner();
    let said = br#"42/octane,["user_message","too late"]"#;
    stream
        .write_all(&[frame(0x88, &[0x03, 0xE8]), frame(0x81, said), frame(0x81, b"1")].concat())
        .await
        .unwrap();
    while users(&road) > 1 {
        tokio::task::yield_now().await;
    }
    other.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn seven_sources_reach_all_readers_at_once_although_one_of_them_stalls() {
    const READERS: usize = 100;
    const ROUNDS: u8 = 100;
    let (road, way) = within().await;
    let mut readers = Vec::new();
    for _ in 0..=READERS {
        let mut wire = member(way.clone()).await;
        wire.send(r#"42/octane,["join",{"channel":"v2x_rsu_parsed"}]"#).await;
        assert_eq!(wire.receive().await, r#"42/octane,["join",{"join":"v2x_rsu_parsed"}]"#);
        readers.push(wire);
    }
    let mut stalled = readers.pop().unwrap();
    /// Which source, and which of its datagrams: its milliseconds count them.
    fn parts(packet: &str) -> Option<(String, String)> {
        let id = packet.strip_prefix(r#"42/octane,["v2x_SPaT",{"id":""#)?.split_once('"')?.0;
        let time = packet.split_once(r#""timeSystem":""#)?.1.split_once('"')?.0;
        Some((id.to_owned(), time.to_owned()))
    }
    let begin = Instant::now();
    for round in 0..ROUNDS {
        for intersection in 1..=7 {
            let message = tscbm::Message { milliseconds: round.into(), ..tscbm::Message::default() };
            road.handle(Input::Heard { intersection, message: Box::new(message) });
        }
        for reader in &mut readers {
            let mut sources = Vec::new();
            while sources.len() < 7 {
                // What the intersections without a source of their own show comes between.
                if let Some((id, time)) = parts(&reader.receive().await)
                    && time == format!("0.{round:03}")
                {
                    sources.push(id);
                }
            }
            let expected = ["0121", "0122", "0123", "0124", "0125", "0126", "0127"];
            assert_eq!(sources, expected, "round {round}");
        }
    }
    assert_eq!(begin.elapsed(), Duration::ZERO, "nobody waited for anything");

    let (mut newest, mut heard) = (std::collections::BTreeMap::new(), 0);
    while newest.values().filter(|time| **time == format!("0.{:03}", ROUNDS - 1)).count() < 7 {
        let (id, time) = parts(&stalled.receive().await).unwrap();
        let before = newest.insert(id.clone(), time.clone());
        assert!(before.is_none_or(|before| before < time), "{id} went back to {time}");
        heard += 1;
    }
    // What the pipe and two windows hold, and the newest of each source.
    assert!(heard < usize::from(ROUNDS) * 7 / 4, "{heard} values were kept for one that does not read");
}
