//! Unmodified DFX clients against the local server.

use std::net::SocketAddr;

use cloverleaf::app::App;
use cloverleaf::config::Options;
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

#[tokio::test(flavor = "multi_thread")]
async fn the_class_of_the_snippets_measures_two_chunks() {
    let address = serve("latency = 100").await;
    let said = run(python_script("dfx/seed.py"), address).await;
    assert_eq!(said.len(), 4, "{said:?}");
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
