//! Unmodified Phoenix clients against the hub.

use std::net::SocketAddr;

use cloverleaf::app::App;
use cloverleaf::config::Options;
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Peer, node, python, script};

/// Serves on this address until told to stop.
async fn serve(address: &str) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let mut options = Options::default();
    options.hub.hub_test_channels = true;
    let listener = loop {
        // After a restart the port may still be closing.
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    };
    let address = listener.local_addr().expect("bound");
    let app = App::new(&options).await.expect("good options");
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        app.serve(listener, stopped).await.expect("a good listener");
    });
    (address, stop, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn npm_phoenix_joins_pushes_leaves_and_survives_our_restart() {
    let (address, stop, server) = serve("127.0.0.1:0").await;
    let mut command = node(&script("hub/client.mjs"));
    command.arg(format!("ws://{address}"));
    let mut peer = Peer::start(command);
    let mut said = serde_json::Map::new();
    loop {
        let line: Value = serde_json::from_str(&peer.line().await).expect("JSON");
        let step = line["step"].as_str().expect("a step").to_owned();
        if step == "restart" {
            break;
        }
        said.insert(step, line["value"].clone());
    }
    let ok = |response: Value| json!({"status": "ok", "response": response});
    let expected = json!({
        "join": ok(json!({})),
        // The state from before ann herself was tracked.
        "present": [],
        "shout": {"name": "ann", "body": "hey", "channel": "js"},
        "typing": ok(json!({})),
        "typing seen": [["ann", true]],
        "join with reply": ok(json!({"mode": "reply", "n": 1})),
        "echo": ok(json!({"a": [1, null, "ü"]})),
        "err": {"status": "error", "response": {"reason": "bad"}},
        "binary": ok(json!([0, 1, 254, 255])),
        "binary broadcast": [0, 1, 254, 255],
        "failed": "errored",
        "left": ok(json!({})),
        "joined again": ok(json!({})),
    });
    for (step, value) in expected.as_object().expect("an object") {
        if step != "left" {
            assert_eq!(&said[step], value, "{step}");
        }
    }
    let _ = stop.send(());
    server.await.expect("the server does not panic");
    let (_, stop, server) = serve(&address.to_string()).await;
    assert_eq!(peer.line().await, r#"{"step":"closed","value":1012}"#);
    assert_eq!(peer.line().await, r#"{"step":"rejoined","value":"joined"}"#);
    peer.finish().await;
    let _ = stop.send(());
    server.await.expect("the server does not panic");
}

/// Of the clients on PyPI this one is kept up and keeps the protocol; it cannot send anything but joins and leaves.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_pypi_joins_hears_and_leaves_in_both_versions() {
    let (address, _stop, _server) = serve("127.0.0.1:0").await;
    let url = format!("ws://{address}");
    let (mut robin, _) =
        connect_async(format!("{url}/socket/websocket?vsn=2.0.0")).await.expect("the hub listens");
    robin.send(Message::text(r#"["1","1","fan:py","phx_join",{}]"#)).await.expect("an open connection");
    for version in ["V1", "V2"] {
        let mut command = python("hub-channels", "python");
        command.arg(script("hub/channels.py")).arg(&url).arg(version);
        let mut peer = Peer::start(command);
        assert_eq!(peer.line().await, "refused True", "{version}");
        assert_eq!(peer.line().await, "joined", "{version}");
        let shout = r#"["1","2","fan:py","shout",{"body":"hello"}]"#;
        robin.send(Message::text(shout)).await.expect("an open connection");
        if version == "V1" {
            assert_eq!(peer.line().await, "shout hello");
        }
        assert_eq!(peer.line().await, "left", "{version}");
        peer.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_of_the_originals_guide_chat() {
    let (address, _stop, _server) = serve("127.0.0.1:0").await;
    let start = |name: &str| {
        let mut command = python("hub", "python");
        command.arg(script("hub/seed.py")).arg(format!("ws://{address}")).arg(name).arg("2");
        Peer::start(command)
    };
    let mut robin = start("robin");
    assert_eq!(robin.line().await, "< connected");
    assert_eq!(robin.line().await, "robin has joined");
    let second = start("robin2").finish().await;
    let first = robin.finish().await;
    assert!(first.contains(&"robin2 has joined".to_owned()), "{first:?}");
    for said in [&first, &second] {
        for line in
            ["< robin says : hello from robin", "< robin2 says : hello from robin2", "robin is typing"]
        {
            assert!(said.iter().any(|said| said == line), "{line}: {said:?}");
        }
    }
}
