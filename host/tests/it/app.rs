//! The server as a whole.

use std::time::Duration;

use cloverleaf::config::Options;

use crate::support::Server;

#[tokio::test]
async fn shutdown_does_not_wait_for_polling_clients() {
    let server = Server::start(&Options::default()).await;
    let url = format!("{}/socket.io/?EIO=4&transport=polling", server.url());
    let open = reqwest::get(&url).await.unwrap().text().await.unwrap();
    let sid: serde_json::Value = serde_json::from_str(&open[1..]).unwrap();
    let poll = tokio::spawn(reqwest::get(format!("{url}&sid={}", sid["sid"].as_str().unwrap())));
    tokio::time::timeout(Duration::from_secs(10), server.stop()).await.expect("stops while a poll hangs");
    let _ = poll.await.unwrap();
}

#[tokio::test]
async fn foreign_pages_are_told_why_they_are_refused() {
    let server = Server::start(&Options::default()).await;
    let url = format!("{}/socket.io/?EIO=4&transport=polling", server.url());
    let get = |origin| reqwest::Client::new().get(&url).header("origin", origin).send();
    let page = get("http://localhost:3000").await.unwrap();
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["access-control-allow-origin"], "http://localhost:3000");
    let foreign = get("https://elsewhere.example").await.unwrap();
    assert_eq!(foreign.status(), 403);
    assert!(foreign.text().await.unwrap().contains("--allow-origin"));
}
