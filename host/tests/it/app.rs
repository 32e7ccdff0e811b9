//! The server as a whole.

use std::time::Duration;

use cloverleaf::app::App;
use cloverleaf::config::Options;

use crate::support::{Server, exchange};

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
async fn shutdown_does_not_wait_for_streams_that_never_end() {
    let server = Server::start(&Options::default()).await;
    let stream = reqwest::get(format!("{}/timeline", server.url())).await.unwrap();
    assert_eq!(stream.status(), 200);
    tokio::time::timeout(Duration::from_secs(20), server.stop()).await.expect("stops while somebody looks");
    drop(stream);
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

#[tokio::test]
async fn a_folder_of_static_files_is_served_where_no_service_is() {
    let folder = std::env::temp_dir().join(format!("cloverleaf-static-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("gauges")).expect("a temporary folder");
    std::fs::write(folder.join("gauges/index.html"), "<p>gauges</p>").expect("a temporary file");
    let server = Server::start(&Options { static_files: Some(folder.clone()), ..Options::default() }).await;
    let (_, head, body) = exchange(server.address, "GET /gauges/ HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(head.starts_with("http/1.1 200") && head.contains("text/html"), "{head}");
    assert_eq!(body, "<p>gauges</p>");
    let (_, page, _) = exchange(server.address, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(page.starts_with("http/1.1 200"), "the dashboard stays: {page}");
    for path in ["/nothing.html", "/../Cargo.toml", "/%2e%2e/Cargo.toml", "//etc/passwd"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let (_, head, _) = exchange(server.address, &request).await;
        assert!(head.starts_with("http/1.1 404"), "{path}: {head}");
    }
    std::fs::remove_dir_all(&folder).expect("the temporary folder");
    let gone = App::new(&Options { static_files: Some(folder.clone()), ..Options::default() }).await;
    let error = gone.expect_err("no folder").to_string();
    assert_eq!(error, format!("--static: {} is no folder", folder.display()));
}
