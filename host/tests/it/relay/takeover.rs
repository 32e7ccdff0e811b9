//! Whose a monitor's id is: when its holder goes, and when another asks for it.

use std::time::Duration;

use cloverleaf::auth::Exposure;
use cloverleaf::services::relay::state::Counts;
use serde_json::json;
use tokio::time::Instant;

use super::fixture::*;
use crate::octane::player::{Way, Wire};

#[tokio::test]
async fn an_id_is_free_as_soon_as_its_monitor_is_gone_however_it_goes() {
    let relay = Alone::start(|options| options.relay_probe = Duration::ZERO, Exposure::Loopback).await;
    let con = format!("42/relay,[\"con\",{{\"monitor_id\":\"{A}\"}}]");
    for way in ["goodbye", "close", "reset"] {
        let mut monitor = Raw::join(relay.address, "40/relay,").await;
        monitor.say(&con).await;
        monitor.expect(&[r#"42/relay,["con ok",{"reason":"Connection ok"}]"#]).await;
        let mut second = Raw::join(relay.address, "40/relay,").await;
        second.say(&con).await;
        second
            .expect(&[r#"42/relay,["con failed",{"reason":"monitor_id already registered"}]"#, "41/relay,"])
            .await;
        let gone = Instant::now();
        match way {
            "goodbye" => monitor.say("41/relay,").await,
            "close" => monitor.socket.close(None).await.unwrap(),
            _ => monitor.reset(),
        }
        relay.becomes(Counts::default()).await;
        // The heartbeat would need 25 seconds to ask and 20 to give up.
        assert!(gone.elapsed() < Duration::from_secs(20), "{way} took {:?}", gone.elapsed());
    }
}

/// In virtual time, which stands still as long as anything can happen.
#[tokio::test(start_paused = true)]
async fn an_id_is_free_at_once_if_its_monitor_goes_and_after_the_heartbeat_if_it_falls_silent() {
    // The server pings every 25 seconds and waits 20 for the answer.
    for (way, seconds) in [("goodbye", 0), ("close", 0), ("reset", 0), ("silence", 45)] {
        let (relay, router, timeline, _io) = alone(|_| (), Exposure::Loopback);
        let mut timeline = timeline.subscribe();
        let mut monitor = Wire::open(Way::Within(router), "EIO=4").await;
        monitor.send("40/relay,").await;
        while !monitor.receive().await.starts_with("40/relay,") {}
        monitor.send(&format!("42/relay,[\"con\",{{\"monitor_id\":\"{A}\"}}]")).await;
        assert_eq!(monitor.receive().await, r#"42/relay,["con ok",{"reason":"Connection ok"}]"#);
        let mut presence = async || {
            let entry = timeline.next().await.expect("a timeline").expect("nothing is missed");
            serde_json::to_value(&entry.value).expect("JSON")["connected"].clone()
        };
        assert_eq!(presence().await, true);
        let begin = Instant::now();
        match way {
            "goodbye" => monitor.send("41/relay,").await,
            "close" => monitor.socket.close(None).await.expect("open"),
            "reset" => drop(monitor),
            _ => {}
        }
        assert_eq!(presence().await, false);
        assert_eq!((begin.elapsed().as_secs(), relay.counts().monitors), (seconds, 0), "{way}");
    }
}

#[tokio::test]
async fn a_second_con_is_decided_by_whether_the_first_monitor_lives() {
    let relay =
        Alone::start(|options| options.relay_probe = Duration::from_secs(60), Exposure::Loopback).await;
    let con = format!("42/relay,[\"con\",{{\"monitor_id\":\"{A}\"}}]");
    let refused = [r#"42/relay,["con failed",{"reason":"monitor_id already registered"}]"#, "41/relay,"];
    let mut holder = Raw::join(relay.address, "40/relay,").await;
    holder.say(&con).await;
    holder.expect(&[r#"42/relay,["con ok",{"reason":"Connection ok"}]"#]).await;
    // One that says something meanwhile, and one that does not: the ping that comes along is answered by every WebSocket.
    for speaks in [true, false] {
        let mut claimant = Raw::join(relay.address, "40/relay,").await;
        claimant.say(&con).await;
        assert_eq!(holder.hear().await, r#"42/relay,["relay probe"]"#);
        if speaks {
            holder.say(r#"42/relay,["command done",{}]"#).await;
            claimant.expect(&refused).await;
        } else {
            // Reading is what answers the ping.
            tokio::select! {
                () = claimant.expect(&refused) => {}
                packet = holder.hear() => panic!("{packet}"),
            }
        }
    }
    // A holder that goes during the probe loses it.
    let mut claimant = Raw::join(relay.address, "40/relay,").await;
    claimant.say(&con).await;
    holder.reset();
    claimant.expect(&[r#"42/relay,["con ok",{"reason":"Connection ok"}]"#]).await;
}

#[tokio::test]
async fn who_answers_no_ping_is_a_ghost_and_loses_its_id() {
    let relay =
        Alone::start(|options| options.relay_probe = Duration::from_secs(3), Exposure::Loopback).await;
    let con = format!("[\"con\",{{\"monitor_id\":\"{A}\"}}]");
    // Both connections stand, but nothing comes through them any more: nobody reads, nobody polls.
    let mut ghost = Raw::join(relay.address, "40/relay,").await;
    ghost.say(&format!("42/relay,{con}")).await;
    ghost.expect(&[r#"42/relay,["con ok",{"reason":"Connection ok"}]"#]).await;
    let (user, mut replies) = introduced(relay.client(), "query", A).await;
    user.emit("command send", &[json!({"command": "wake up"})]).await.unwrap();
    assert_eq!(message(&mut replies).await.0, "command ok");
    let mut polling = Polling::open(relay.address).await;
    polling.post(&format!("42/relay,{con}")).await;
    let gone = ("command failed".to_owned(), json!({"reason": "Monitor disconnected"}));
    assert_eq!(message(&mut replies).await, gone);
    polling.expect(r#"42/relay,["con ok",{"reason":"Connection ok"}]"#).await;
    let mut heir = Raw::join(relay.address, "40/relay,").await;
    heir.say(&format!("42/relay,{con}")).await;
    heir.expect(&[r#"42/relay,["con ok",{"reason":"Connection ok"}]"#]).await;
    // The heir reads, and keeps what it has.
    let claimant = async {
        let mut claimant = Polling::open(relay.address).await;
        claimant.post(&format!("42/relay,{con}")).await;
        claimant.expect(r#"42/relay,["con failed",{"reason":"monitor_id already registered"}]"#).await;
    };
    tokio::select! {
        () = claimant => {}
        packet = async { heir.hear().await; heir.hear().await } => panic!("{packet}"),
    }
}

#[tokio::test]
async fn a_monitor_that_polls_and_lives_keeps_its_id() {
    let relay =
        Alone::start(|options| options.relay_probe = Duration::from_secs(60), Exposure::Loopback).await;
    let con = format!("42/relay,[\"con\",{{\"monitor_id\":\"{A}\"}}]");
    let mut holder = Polling::open(relay.address).await;
    holder.post(&con).await;
    holder.expect(r#"42/relay,["con ok",{"reason":"Connection ok"}]"#).await;
    let mut claimant = Raw::join(relay.address, "40/relay,").await;
    claimant.say(&con).await;
    let refused = [r#"42/relay,["con failed",{"reason":"monitor_id already registered"}]"#];
    tokio::select! {
        () = claimant.expect(&refused) => {}
        () = holder.expect("nothing of the kind") => {}
    }
}
