//! The server as a whole.

use std::io::ErrorKind;
use std::time::Duration;

use cloverleaf::app::App;
use cloverleaf::config::Options;
use tokio::net::TcpListener;

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

/// One policy for all: open to this machine, closed to the network unless there is a key or the option says so.
#[tokio::test]
async fn every_service_says_whom_it_lets_in() {
    let services = ["obd", "octane", "relay", "hub", "dfx", "dashboard"];
    let told = async |options: &Options| App::new(options).await.expect("good options").summary().join("\n");
    let here = told(&Options::default()).await;
    assert!(!here.contains("closed") && !here.contains("key"), "{here}");

    let network = Options { listen: "0.0.0.0:0".parse().expect("an address"), ..Options::default() };
    let closed = told(&network).await;
    for service in services {
        let lines = closed.lines().filter(|line| line.contains(&format!("--{service}-open"))).count();
        assert_eq!(lines, 1, "{service} is closed: {closed}");
    }

    let key = || Some("secret".parse().expect("a key"));
    let mut keyed = network.clone();
    (keyed.obd.obd_key, keyed.hub.hub_key, keyed.dfx.dfx_key) = (key(), key(), key());
    (keyed.octane.keys, keyed.dashboard.dashboard_key) = (key().into_iter().collect(), key());
    keyed.relay.relay_user_key = vec!["user".parse().expect("a key")];
    keyed.relay.relay_monitor_key = vec!["monitor".parse().expect("a key")];
    let keyed = told(&keyed).await;
    assert_eq!(keyed.lines().filter(|line| line.contains(" · with its key")).count(), 6, "{keyed}");

    let mut open = network.clone();
    (open.obd.obd_open, open.hub.hub_open, open.dfx.dfx_open) = (true, true, true);
    (open.octane.open, open.relay.relay_open, open.dashboard.dashboard_open) = (true, true, true);
    assert_eq!(told(&open).await, here);
}

#[tokio::test]
async fn what_is_told_to_be_tried_works_on_any_port() {
    for (listen, server) in [("127.0.0.1:5000", ""), ("127.0.0.1:5001", " --server http://127.0.0.1:5001")] {
        let mut options = Options { listen: listen.parse().expect("an address"), ..Options::default() };
        options.relay.relay_car = true;
        let told = App::new(&options).await.expect("good options").summary().join("\n");
        let id = told.split("the car is monitor ").nth(1).and_then(|rest| rest.lines().next());
        let hint = format!("try: cloverleaf relay user --id {}{server} help", id.expect("an id"));
        assert!(told.contains(&hint), "{told}");
    }
}

#[tokio::test]
async fn a_server_without_keys_admits_nobody_from_the_network() {
    let server = Server::start(&Options { listen: "0.0.0.0:0".parse().unwrap(), ..Options::default() }).await;
    let token = "?token=guess&key=guess";
    for (path, status) in [
        ("/timeline", 401),
        ("/c/lobby", 403),
        ("/socket/websocket", 403),
        ("/measurements", 401),
        ("/api/gate/1", 401),
    ] {
        let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==";
        let request = format!("GET {path}{token} HTTP/1.1\r\nhost: bench\r\n{upgrade}\r\n\r\n");
        let (_, head, _) = exchange(server.address, &request).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{path}: {head}");
    }
}

#[tokio::test]
async fn a_server_built_for_this_machine_does_not_serve_the_network() {
    let app = App::new(&Options::default()).await.expect("good options");
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    let error = app.serve(listener, std::future::ready(())).await.expect_err("it would be open");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("--listen"), "{error}");
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
    assert_eq!(error, format!("--static: {} is not a directory", folder.display()));
}
