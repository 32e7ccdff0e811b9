//! The client, against this server; and real controllers, by their datagrams.

use std::sync::Arc;
use std::time::Duration;

use cloverleaf::app::App;
use cloverleaf::services::octane::client::{ConnectError, Event, Events, Options, connect};
use cloverleaf::services::octane::source::Feed;
use cloverleaf::socketio_client::Backoff;
use cloverleaf_core::tscbm::{Message, Phases};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use super::player::options;
use super::rest::ask;
use crate::support::Server;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The argument of the next `event`.
async fn next(events: &mut Events, event: &str) -> Value {
    let found = async {
        loop {
            match events.next().await.expect("not the end") {
                Event::Message { name, data, .. } if name == event => return data,
                _ => {}
            }
        }
    };
    tokio::time::timeout(TIMEOUT, found).await.unwrap_or_else(|_| panic!("no {event} in time"))
}

#[tokio::test]
async fn it_logs_in_joins_listens_and_speaks() {
    let server = Server::start(&options()).await;
    let channels = vec!["v2x_rsu_0124_parsed".into()];
    let (client, mut events) =
        connect(Options { channels, ..Options::new(&server.url(), "goodkey") }).await.unwrap();
    assert_eq!(next(&mut events, "v2x_SPaT").await["id"], "0124");
    client.leave("v2x_rsu_0124_parsed").await.unwrap();
    client.join("ipc").await.unwrap();
    let trigger = json!({"type": "TRIGGER", "payload": {"id": 1}});
    client.emit("ipc_message", std::slice::from_ref(&trigger)).await.unwrap();
    assert_eq!(next(&mut events, "ipc_message").await, trigger);
    let hello = [json!({"message": "hello"})];
    let confirming = client.emit_with_ack("user_message", &hello, TIMEOUT);
    let (confirmed, heard) = tokio::join!(confirming, next(&mut events, "user_message"));
    confirmed.unwrap();
    assert_eq!(heard, json!({"message": "hello"}));
    client.disconnect().await;
}

#[tokio::test]
async fn a_robot_returns_what_it_is_asked_for() {
    let server = Server::start(&options()).await;
    let channels = vec!["robot".into()];
    let (_client, mut events) =
        connect(Options { channels, ..Options::new(&server.url(), "goodkey") }).await.unwrap();
    while next(&mut events, "join").await["join"] != "robot" {}
    let asked = ask(&server, Method::POST, "/api/robot/1/proxy", Some(r#"{"type":"get_batt"}"#));
    let robot = async {
        loop {
            if let Some(Event::Message { name, data, reply: Some(reply) }) = events.next().await
                && name == "robot_proxy"
            {
                assert_eq!(data, json!({"id": 1, "type": "get_batt"}));
                return reply.send(&[json!({"percent": 87})]).await.unwrap();
            }
        }
    };
    let robot = tokio::time::timeout(TIMEOUT, robot);
    let ((status, body), obeyed) = tokio::join!(asked, robot);
    obeyed.expect("a command in time");
    assert_eq!((status, body), (StatusCode::OK, json!({"answer": {"percent": 87}})));
}

#[tokio::test]
async fn a_bad_key_is_an_error_with_the_servers_words() {
    let server = Server::start(&options()).await;
    match connect(Options::new(&server.url(), "badkey")).await {
        Err(ConnectError::Refused(why)) => assert_eq!(why, "API key is missing or invalid"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_comes_back_to_a_server_that_went_away_logs_in_and_joins_again() {
    let server = Server::start(&options()).await;
    let address = server.address;
    let backoff = Backoff { first: Duration::from_millis(5), max: Duration::from_millis(50), attempts: None };
    let channels = vec!["ipc".into()];
    let usual = Options::new(&server.url(), "goodkey");
    let (client, mut events) =
        connect(Options { channels, reconnect: Some(backoff), ..usual }).await.unwrap();
    client.join("gate").await.unwrap();
    while next(&mut events, "join").await["join"] != "gate" {}
    server.stop().await;
    let mut happened = async || events.next().await.expect("not the end");
    loop {
        match happened().await {
            Event::Disconnected { retrying, .. } => break assert!(retrying, "it tries again"),
            event => assert!(matches!(event, Event::Message { .. }), "{event:?}"),
        }
    }
    let app = App::new(&options()).await.unwrap();
    let road = Arc::clone(app.road());
    let _server = Server::serve_at(address, app).await;
    // Attempts that found nobody are not told of.
    assert!(matches!(happened().await, Event::Connected));
    let mut said = async || match happened().await {
        Event::Message { name, data, .. } => (name, data),
        event => panic!("{event:?}"),
    };
    assert_eq!(said().await, ("auth_ok".into(), json!({"message": "OK"})));
    for channel in ["user", "facility"] {
        assert_eq!(said().await, ("join".into(), json!({"join": channel})));
    }
    assert_eq!(said().await.0, "channels");
    for channel in ["gate", "ipc"] {
        while said().await != ("join".into(), json!({"join": channel})) {}
        assert_eq!(road.look(|state| state.subscribers(channel)), 1);
    }
}

#[tokio::test]
async fn a_controllers_datagrams_become_the_intersections_state() {
    let mut options = options();
    let probe = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let listen = probe.local_addr().unwrap();
    drop(probe);
    options.octane.feeds = vec![Feed { intersection: 4, listen }];
    let server = Server::start(&options).await;
    let channels = vec!["v2x_rsu_0124_parsed".into()];
    let (_client, mut events) =
        connect(Options { channels, ..Options::new(&server.url(), "goodkey") }).await.unwrap();
    while next(&mut events, "join").await["join"] != "v2x_rsu_0124_parsed" {}
    let controller = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let message = Message { green: Phases::of(&[3, 7]), sequence: 9, ..Message::default() };
    // What is not a TSCBM before it changes nothing.
    for datagram in [&b"noise"[..], &message.emit()[..244], &message.emit()] {
        controller.send_to(datagram, listen).await.unwrap();
    }
    let said = next(&mut events, "v2x_SPaT").await;
    assert_eq!((&said["id"], &said["green"]), (&json!("0124"), &json!("0000000001000100")));
}

#[test]
fn a_feed_is_an_intersection_and_an_address() {
    let feed: Feed = "4=0.0.0.0:6054".parse().unwrap();
    assert_eq!((feed.intersection, feed.listen.port()), (4, 6054));
    for bad in ["", "4", "4=", "x=0.0.0.0:1", "4=0.0.0.0"] {
        assert!(bad.parse::<Feed>().is_err(), "{bad}");
    }
}
