//! Unmodified DFX clients against the local server.

use std::net::SocketAddr;

use cloverleaf::app::App;
use cloverleaf::config::Options;
use cloverleaf::services::dfx::client::{Connect, DfxClient};
use cloverleaf::services::dfx::events::{ChunkAction, Create};
use cloverleaf::services::dfx::state::Signal;
use cloverleaf_core::dfx::Action;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::{Peer, node, python, script};

/// Serves with these rules until the test ends.
async fn serve(rules: &str) -> SocketAddr {
    let file = std::env::temp_dir().join(format!("cloverleaf-{}.toml", uuid::Uuid::new_v4()));
    std::fs::write(&file, rules).expect("a writable folder");
    let mut options = Options::default();
    options.dfx.dfx_rules = Some(file.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let app = App::new(&options).await.expect("good options");
    std::fs::remove_file(file).expect("written before");
    tokio::spawn(app.serve(listener, std::future::pending()));
    address
}

/// Runs a peer to its end and gives the JSON it printed.
async fn run(mut command: Command, address: SocketAddr) -> Vec<Value> {
    command.arg(format!("ws://{address}")).arg(format!("http://{address}"));
    let lines = Peer::start(command).finish().await;
    lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn python_script(name: &str) -> Command {
    let mut command = python("dfx", "python");
    command.arg(script(name));
    command
}

fn near(value: &Value, bpm: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - bpm).abs() < 1.5)
}

/// Our client against an echo of another WebSocket library.
async fn compress(command: Command) {
    let mut peer = Peer::start(command);
    let url = peer.line().await;
    for deflate in [true, false] {
        let client = Connect { deflate, ..Connect::new(&url, "t") }.connect().await.expect("connected");
        let bodies = [10, 255, 300, 70_000, 262_000, 300_000, 2 << 20].map(|length| vec![b' '; length]);
        let calls = bodies.iter().map(|body| client.call(Action::STATUS, body));
        let replies = futures_util::future::join_all(calls).await;
        for (reply, body) in replies.into_iter().zip(&bodies) {
            assert!(reply.expect("a reply").body == *body, "{} bytes", body.len());
        }
        client.close().await;
        let ended: Value = serde_json::from_str(&peer.line().await).expect("JSON");
        let extensions = if deflate { json!(["permessage-deflate"]) } else { ended["extensions"].clone() };
        assert_eq!(ended, json!({ "extensions": extensions, "requests": 7 }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_compresses_with_websockets_of_python() {
    compress(python_script("dfx/deflate.py")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_compresses_with_ws_of_node() {
    compress(node(&script("dfx/deflate.mjs"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_class_of_the_snippets_measures_two_chunks() {
    let address = serve("latency = 100").await;
    let mut said = run(python_script("dfx/seed.py"), address).await;
    assert_eq!(said.len(), 5, "{said:?}");
    assert_eq!(
        said.remove(0),
        json!({"extensions": ["permessage-deflate"]}),
        "the library offers it, the class does not know"
    );
    assert_eq!(said[..2], [json!({"ack": true, "status": 200}), json!({"ack": true, "status": 200})]);
    for (chunk, result) in said[2..].iter().enumerate() {
        assert_eq!(result["result"], chunk.to_string());
        assert!(result["status"] == 200 && result["id"] == true && result["code"] == "OK", "{result}");
        assert!(near(&result["bpm"], 84.0), "{result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dfx_apiv2_client_measures_three_chunks() {
    let address = serve("latency = 50\nshuffle = 2").await;
    let said = run(python_script("dfx/client.py"), address).await;
    let of = |step: &str| said.iter().filter(|line| line["step"] == step).cloned().collect::<Vec<_>>();
    assert_eq!(of("status"), [json!({"step": "status", "status": 200, "active": "ACTIVE"})]);
    assert_eq!(of("register"), [json!({"step": "register", "status": 200, "device": true})]);
    assert_eq!(of("connect"), [json!({"step": "connect", "protocol": "json"})]);
    assert_eq!(of("auth"), [json!({"step": "auth", "status": 200})]);
    assert_eq!(of("subscribe"), [json!({"step": "subscribe", "status": 200, "same": true, "body": {}})]);
    assert_eq!(of("data"), vec![json!({"step": "data", "status": 200, "right": true}); 3]);
    let results = of("result");
    assert_eq!(results.len(), 3);
    assert!(results.iter().all(|result| near(&result["bpm"], 66.0)), "{results:?}");
    assert_eq!(of("short"), [json!({"step": "short", "status": 200, "same": true})]);
    assert!(of("unknown")[0]["error"].as_str().expect("text").contains("INCORRECT_REQUEST"));
    assert_eq!(of("retrieve"), [json!({"step": "retrieve", "chunks": 3})]);
    assert_eq!(of("intermediate"), [json!({"step": "intermediate", "chunk": "1"})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_client_logs_in_subscribes_and_measures() {
    let address = serve("note = \"Größe\"").await;
    let said = run(node(&script("dfx/client.mjs")), address).await;
    let steps: Vec<&str> = said.iter().filter_map(|line| line["step"].as_str()).collect();
    assert_eq!(steps, ["register", "create", "login", "subscribe", "data", "result", "close"], "{said:?}");
    assert!(said[..5].iter().all(|line| line["status"] == "200"), "{said:?}");
    assert!(near(&said[5]["bpm"], 108.0) && said[5]["action"] == "0510", "{said:?}");
    assert_eq!(said[5]["notes"], json!(["Größe"]), "text survives a client that takes bytes for characters");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_phoenix_client_hears_the_heart_rate() {
    let address = serve("").await;
    let mut command = node(&script("dfx/timeline.mjs"));
    command.arg(format!("ws://{address}"));
    let mut peer = Peer::start(command);
    let refused: Value = serde_json::from_str(&peer.line().await).expect("JSON");
    assert!(refused["value"].as_str().expect("a reason").contains("timeline:car"), "{refused}");
    assert_eq!(peer.line().await, r#"{"step":"joined","value":{"entries":[]}}"#);
    let client = DfxClient::connect(&format!("ws://{address}"), "t").await.expect("connected");
    let measurement = client.create_measurement(&Create::default()).await.expect("created");
    let beat = |index: usize| (std::f64::consts::TAU * 1.1 * index as f64 / 30.0).sin();
    let payload = Signal { rate: 30.0, samples: (0..150).map(beat).collect() }.to_payload();
    client.add_data(&measurement, ChunkAction::of(0, 1), payload).await.expect("added");
    let said: Value = serde_json::from_str(&peer.line().await).expect("JSON");
    let entry = &said["value"];
    assert!(entry["topic"] == "heart_rate" && entry["source"] == "driver", "{said}");
    assert!(near(&entry["value"]["value"], 66.0) && entry["value"]["unit"] == "bpm", "{said}");
    peer.finish().await;
}
