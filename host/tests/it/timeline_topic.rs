//! `timeline:*` on the hub, as a Phoenix client of version 2 sees it.

use std::time::Duration;

use cloverleaf::config::Options;
use cloverleaf::services::hub::timeline::PENDING;
use cloverleaf::timeline::{Source, Value};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::dfx::pulse;

const PATIENCE: Duration = Duration::from_secs(20);

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(address: std::net::SocketAddr) -> Self {
        let url = format!("ws://{address}/socket/websocket?vsn=2.0.0");
        Self(connect_async(url).await.expect("a hub").0)
    }

    async fn next(&mut self) -> serde_json::Value {
        let message =
            timeout(PATIENCE, self.0.next()).await.expect("in time").expect("open").expect("no error");
        serde_json::from_str(message.to_text().expect("text")).expect("JSON")
    }

    /// The event and payload of the next push.
    async fn event(&mut self) -> (String, serde_json::Value) {
        let message = self.next().await;
        (message[3].as_str().expect("an event").to_owned(), message[4].clone())
    }

    /// The status and response.
    async fn join(&mut self, topic: &str, payload: serde_json::Value) -> (String, serde_json::Value) {
        let join = json!(["1", "1", topic, "phx_join", payload]);
        self.0.send(Message::text(join.to_string())).await.expect("sent");
        let (event, reply) = self.event().await;
        assert_eq!(event, "phx_reply");
        (reply["status"].as_str().expect("a status").to_owned(), reply["response"].clone())
    }
}

/// A server and the bus its services publish on.
async fn serve(options: &Options) -> (std::net::SocketAddr, cloverleaf::timeline::Bus) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let app = cloverleaf::app::App::new(options).await.expect("good options");
    let bus = app.timeline().clone();
    tokio::spawn(app.serve(listener, std::future::pending()));
    (address, bus)
}

fn bpm(value: f64) -> Value {
    Value::Quantity { value, unit: "bpm" }
}

#[tokio::test]
async fn the_drivers_heart_rate_is_told_to_who_joined() {
    let (address, _) = serve(&Options::default()).await;
    let mut client = Client::connect(address).await;
    let joined = client.join("timeline:driver", json!({ "topics": ["heart_rate", "analysis"] })).await;
    assert_eq!(joined, ("ok".into(), json!({ "entries": [] })));
    let http = reqwest::Client::new();
    let post = async |path: String, body: serde_json::Value| -> serde_json::Value {
        let request = http.post(format!("http://{address}{path}")).bearer_auth("t").json(&body);
        request.send().await.expect("answered").json().await.expect("JSON")
    };
    let created = post("/measurements".into(), json!({})).await;
    let payload = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pulse(66.0, 5.0));
    let path = format!("/measurements/{}/data", created["ID"].as_str().expect("an id"));
    post(path, json!({ "Action": "LAST::PROCESS", "Payload": payload })).await;
    let (event, entry) = client.event().await;
    assert_eq!(
        (event.as_str(), &entry["source"], &entry["topic"]),
        ("event", &json!("driver"), &json!("heart_rate"))
    );
    assert_eq!(entry["value"]["unit"], "bpm");
    assert!((entry["value"]["value"].as_f64().expect("a number") - 66.0).abs() < 1.0, "{entry}");
    let (event, entry) = client.event().await;
    assert_eq!(
        (event.as_str(), &entry["topic"], &entry["value"]),
        ("event", &json!("analysis"), &json!("OK"))
    );
    // Who comes later is told the present at once.
    let mut late = Client::connect(address).await;
    let (status, response) = late.join("timeline:all", json!({ "topics": ["heart_*"] })).await;
    assert_eq!(status, "ok");
    assert_eq!(response["entries"].as_array().expect("a list").len(), 1);
    assert_eq!(response["entries"][0]["topic"], "heart_rate");
}

#[tokio::test]
async fn quantities_conflate_and_what_is_lost_is_said() {
    let (address, bus) = serve(&Options::default()).await;
    let mut client = Client::connect(address).await;
    assert_eq!(client.join("timeline:driver", json!({})).await.0, "ok");
    // In one go, between two turns of the server's tasks.
    for count in 0..PENDING + 3 {
        bus.publish(Source::Driver, "heart_rate", bpm(count as f64));
        bus.publish(Source::Driver, "analysis", Value::Text(count.to_string()));
        bus.publish(Source::Crew, "room:lobby/shout", Value::Text("not asked for".into()));
    }
    let (mut rates, mut words, mut missed) = (Vec::new(), Vec::new(), 0);
    while words.last().is_none_or(|word| *word != (PENDING + 2).to_string()) {
        let (event, payload) = client.event().await;
        match (event.as_str(), payload["topic"].as_str()) {
            ("missed", _) => missed += payload["count"].as_u64().expect("a number"),
            ("event", Some("heart_rate")) => {
                rates.push(payload["value"]["value"].as_f64().expect("a number"));
            }
            ("event", Some("analysis")) => words.push(payload["value"].as_str().expect("text").to_owned()),
            other => panic!("{other:?} {payload}"),
        }
    }
    assert!(rates.len() < PENDING / 2, "{} of {PENDING} heart rates were told", rates.len());
    assert!(words.len() as u64 + missed >= (PENDING + 3) as u64, "{} told, {missed} missed", words.len());
}

#[tokio::test]
async fn who_may_not_see_it_is_told_why() {
    let mut options = Options::default();
    options.dashboard.dashboard_key = Some("secret".parse().expect("a key"));
    let (address, _) = serve(&options).await;
    let key = json!({ "key": "secret" });
    let many: Vec<String> = (0..101).map(|count| count.to_string()).collect();
    for (topic, payload, status, reason) in [
        ("timeline:driver", key.clone(), "ok", ""),
        ("timeline:all", key.clone(), "ok", ""),
        ("timeline:driver", json!({}), "error", "--dashboard-key"),
        ("timeline:driver", json!({ "key": "wrong" }), "error", "--dashboard-key"),
        ("timeline:weather", key.clone(), "error", "timeline:car, road"),
        ("timeline:", key, "error", "timeline:car, road"),
        ("timeline:driver", json!({ "key": "secret", "topics": "RPM" }), "error", "join with"),
        ("timeline:driver", json!({ "key": "secret", "topics": many }), "error", "join with"),
    ] {
        let mut client = Client::connect(address).await;
        let (found, response) = client.join(topic, payload).await;
        assert_eq!(found, status, "{topic}: {response}");
        assert!(response["reason"].as_str().unwrap_or_default().contains(reason), "{topic}: {response}");
    }
}
