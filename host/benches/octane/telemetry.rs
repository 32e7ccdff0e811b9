//! Seven sources at ten messages a second for a thousand readers, of whom one does not read: how late the others are told,
//! and how much memory that takes.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::load::{Server, Socket};
use super::{SUBSCRIBERS, join};

const SOURCES: usize = 7;
const PERIOD: Duration = Duration::from_millis(100);
const LASTS: Duration = Duration::from_secs(20);
/// About as long as a SPaT.
const PADDING: usize = 3000;

pub(super) async fn measure(name: &str) {
    let Some(server) = Server::start("octane", name).await else { return };
    let began = Instant::now();
    let mut readers = JoinSet::new();
    let stopped = listen(&server, name).await;
    for _ in 1..SUBSCRIBERS {
        let mut socket = listen(&server, name).await;
        readers.spawn(async move {
            let mut late = Vec::new();
            loop {
                let packet = socket.hear().await;
                let now = began.elapsed();
                let Some((_, sent)) = packet.split_once("\"sent\":") else { continue };
                let digits: String = sent.chars().take_while(char::is_ascii_digit).collect();
                match digits.parse().expect("microseconds") {
                    0 => return late,
                    sent => late.push(now.saturating_sub(Duration::from_micros(sent))),
                }
            }
        });
    }
    let before = server.memory();
    let mut speaker = join(&server, name).await;
    let mut rhythm = tokio::time::interval(PERIOD);
    rhythm.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let end = began.elapsed() + LASTS;
    while began.elapsed() < end {
        tokio::select! {
            // It has heartbeats to answer; only waiting for a frame may be cut short.
            _ = speaker.hear() => continue,
            _ = rhythm.tick() => {}
        }
        let sent = began.elapsed().as_micros();
        speaker.say_all((0..SOURCES).map(|source| message(source, sent))).await;
    }
    let after = server.memory();
    speaker.say(message(0, 0)).await;
    let mut late: Vec<Duration> = readers.join_all().await.into_iter().flatten().collect();
    late.sort_unstable();
    let percentile = |percent: usize| late[(late.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    let grown = before.zip(after).map_or_else(String::new, |(before, after)| {
        format!(", {:+.1} MB of memory", (after as f64 - before as f64) / 1e6)
    });
    println!(
        "telemetry, {SUBSCRIBERS} readers of whom one is stopped  {name:10} half within {:.1} ms, 99 % within {:.1} ms{grown}",
        percentile(50),
        percentile(99),
    );
    // Until now it was there, and did not read.
    drop(stopped);
}

/// A reader of all sources. Those of the road itself are not among them.
async fn listen(server: &Server, name: &str) -> Socket {
    let mut socket = join(server, name).await;
    if name == "cloverleaf" {
        for source in 0..SOURCES {
            socket.say(format!("42/octane,[\"join\",{{\"channel\":\"v2x_obu_s{source}_parsed\"}}]")).await;
            while !socket.hear().await.contains("\"join\"") {}
        }
    }
    socket
}

fn message(source: usize, sent: u128) -> String {
    let padding = "-".repeat(PADDING);
    format!(
        "42/octane,[\"v2x_BSM\",{{\"payload\":{{\"id\":\"s{source}\",\"sent\":{sent},\"padding\":\"{padding}\"}}}}]"
    )
}
