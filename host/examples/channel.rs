//! A channel of one's own beside all that `serve` has: `counter:*` counts for everybody who joins.
//!
//! `cargo run -p cloverleaf --example channel`, then connect any Phoenix client to `ws://127.0.0.1:4000/socket`, join
//! `counter:clicks` and push `add` with a number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cloverleaf::app::App;
use cloverleaf::config::Options;
use cloverleaf::services::hub::Topics;
use cloverleaf::services::hub::channel::{Answer, Channel, Join, Member, Payload, Peer, Refusal, Topic};
use cloverleaf_core::phoenix::wire::Body;
use serde_json::json;
use tokio::net::TcpListener;

/// All counters by their topics.
#[derive(Clone, Default)]
struct Counters(Arc<Mutex<HashMap<String, i64>>>);

impl Counters {
    fn add(&self, topic: &str, by: i64) -> i64 {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.entry(topic.to_owned()).or_default();
        *counter = counter.saturating_add(by);
        *counter
    }
}

impl Topic for Counters {
    fn join(&self, topic: &str, _params: Body<'_>, _peer: &Peer) -> Result<Join, Refusal> {
        if topic == "counter:" {
            return Err(Refusal::reason("a counter needs a name"));
        }
        let response = Payload::of(&json!({ "count": self.add(topic, 0) }));
        Ok(Join { member: Box::new(Clicker(self.clone())), response })
    }
}

/// One client of one counter.
struct Clicker(Counters);

impl Member for Clicker {
    fn handle<'a>(&mut self, channel: &mut Channel<'_>, event: &str, body: Body<'a>) -> Answer<'a> {
        let by = match body {
            Body::Json(json) => serde_json::from_slice::<i64>(json).ok(),
            Body::Binary(_) => None,
        };
        match (event, by) {
            ("add", Some(by)) => {
                let count = Payload::of(&json!({ "count": self.0.add(channel.topic(), by) }));
                // Everybody hears of it before the answer.
                let _ = channel.broadcast("count", &count);
                Answer::ok(count)
            }
            ("add", None) => Answer::error("add a number"),
            _ => Answer::Fail("no such event"),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let topics = Topics::new().with("counter:*", Counters::default());
    let app = App::with_topics(&Options::default(), topics).await?;
    let listener = TcpListener::bind("127.0.0.1:4000").await?;
    println!("ws://{}/socket/websocket", listener.local_addr()?);
    app.serve(listener, async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}
