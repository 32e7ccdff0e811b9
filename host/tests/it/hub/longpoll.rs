//! Long polling: what a client says and hears without a WebSocket.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use cloverleaf::auth::{Exposure, Key};
use cloverleaf::config::Options;
use cloverleaf::origin::Origins;
use cloverleaf::services::Context;
use cloverleaf::services::hub::{self, Hub, Topics};
use cloverleaf::timeline::Bus;
use serde_json::{Value, json};
use tower::Service;

use crate::support::{Server, exchange};

async fn start() -> Server {
    let mut options = Options::default();
    options.hub.hub_longpoll = true;
    Server::start(&options).await
}

/// One request; answers the head, in lower case, and the body.
async fn request(address: SocketAddr, method: &str, query: &str, head: &str, body: &str) -> (String, String) {
    let request = format!(
        "{method} /socket/longpoll?vsn=2.0.0{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (_, head, body) = exchange(address, &request).await;
    (head, body)
}

/// A request that is answered 200 whatever the body says.
async fn call(address: SocketAddr, method: &str, query: &str, head: &str, body: &str) -> Value {
    let (head, body) = request(address, method, query, head, body).await;
    for line in [
        "http/1.1 200 ok",
        "content-type: application/json; charset=utf-8",
        "cache-control: no-store",
        "access-control-allow-origin: *",
    ] {
        assert!(head.contains(line), "{head}");
    }
    serde_json::from_str(&body).expect("JSON")
}

/// Opens a session and answers its token as a parameter.
async fn open(address: SocketAddr) -> String {
    let opened = call(address, "GET", "", "", "").await;
    assert_eq!((&opened["status"], &opened["messages"]), (&json!(410), &json!([])));
    format!("&token={}", opened["token"].as_str().expect("a token"))
}

/// The messages of a poll's answer.
fn messages(answer: &Value) -> Vec<Value> {
    let messages = answer["messages"].as_array().expect("messages");
    messages.iter().map(|text| serde_json::from_str(text.as_str().expect("text")).expect("JSON")).collect()
}

const JOIN: &str = r#"["1","1","room:lp","phx_join",{"username":"ann"}]"#;
const LINES: &str = "Content-Type: application/x-ndjson\r\n";

#[tokio::test]
async fn a_conversation_is_carried() {
    let server = start().await;
    let address = server.address;
    let token = open(address).await;
    assert_eq!(
        call(address, "POST", &token, "Content-Type: text/plain\r\n", JOIN).await,
        json!({"status": 200})
    );
    let lines = "[\"1\",\"2\",\"room:lp\",\"shout\",{\"a\":1}]\n[null,\"3\",\"phoenix\",\"heartbeat\",{}]\n";
    assert_eq!(call(address, "POST", &token, LINES, lines).await["status"], 200);
    let polled = call(address, "GET", &token, "", "").await;
    assert_eq!(polled["status"], 200);
    let events: Vec<Value> = messages(&polled).iter().map(|message| message[3].clone()).collect();
    assert_eq!(events, ["phx_reply", "presence_state", "presence_diff", "shout", "phx_reply"]);
    // The token may also come in a header. A join_ref that is not the channel's is ignored within a batch too.
    let header = format!("X-Phoenix-LongPoll-Token: {}\r\n{LINES}", &token["&token=".len()..]);
    let lines = "[\"9\",\"4\",\"room:lp\",\"shout\",{}]\n[\"1\",\"5\",\"room:lp\",\"phx_leave\",{}]";
    assert_eq!(call(address, "POST", "", &header, lines).await["status"], 200);
    let polled = messages(&call(address, "GET", &token, "", "").await);
    assert_eq!(
        polled[..2],
        [
            json!(["1", "5", "room:lp", "phx_reply", {"response": {}, "status": "ok"}]),
            json!(["1", "1", "room:lp", "phx_close", {}]),
        ]
    );
}

#[tokio::test]
async fn a_line_in_base64_is_a_binary_push() {
    let mut options = Options::default();
    options.hub.hub_test_channels = true;
    let server = Server::start(&options).await;
    let token = open(server.address).await;
    // A join, then `echo` with the byte FF; its answer is binary, which long polling cannot carry.
    let lines = "[\"1\",\"1\",\"test:lp\",\"phx_join\",{}]\nAAEBBwQxMnRlc3Q6bHBlY2hv/w==\n\
                 [\"1\",\"3\",\"test:lp\",\"echo\",{\"still\":\"here\"}]";
    assert_eq!(call(server.address, "POST", &token, LINES, lines).await["status"], 200);
    let polled = messages(&call(server.address, "GET", &token, "", "").await);
    let refs: Vec<&Value> = polled.iter().map(|message| &message[1]).collect();
    assert_eq!(refs, ["1", "3"]);
}

/// A session that has gone: nobody may say anything in it, and whoever polls gets a new one.
async fn assert_gone(address: SocketAddr, token: &str, case: &str) {
    assert_eq!(call(address, "POST", token, "", JOIN).await, json!({"status": 410}), "{case}");
    let gone = call(address, "GET", token, "", "").await;
    assert_eq!((&gone["status"], &gone["messages"]), (&json!(410), &json!([])), "{case}");
    assert_ne!(format!("&token={}", gone["token"].as_str().expect("a token")), token, "{case}");
}

#[tokio::test]
async fn what_is_no_message_is_answered_and_ends_the_session() {
    let server = start().await;
    let address = server.address;
    for token in ["&token=wrong", ""] {
        assert_eq!(call(address, "POST", token, "", JOIN).await, json!({"status": 410}));
    }
    for (head, body) in [("", "garbage"), (LINES, "AQ=="), (LINES, "[]\n")] {
        let token = open(address).await;
        assert_eq!(call(address, "POST", &token, head, body).await, json!({"status": 400}), "{body}");
        assert_gone(address, &token, body).await;
    }
    let token = open(address).await;
    assert_eq!(call(address, "POST", &token, LINES, "!!").await, json!({"status": 400}));
    let lines = "[null,\"1\",\"phoenix\",\"heartbeat\",{}]\n".repeat(101);
    assert_eq!(call(address, "POST", &token, LINES, &lines).await, json!({"status": 200}));
    let polled = call(address, "GET", &token, "", "").await;
    assert_eq!(messages(&polled).len(), 100, "of a batch");
}

#[tokio::test]
async fn strictly_phoenix_is_less_forgiving() {
    let mut options = Options::default();
    options.hub.hub_test_channels = true;
    options.hub.hub_strict = true;
    let server = Server::start(&options).await;
    let address = server.address;
    let heartbeat = "[null,\"1\",\"phoenix\",\"heartbeat\",{}]";
    let with_charset = "Content-Type: application/x-ndjson; charset=utf-8\r\n";
    for (head, body) in [
        ("", "garbage"),
        (LINES, "AQ=="),
        (LINES, &format!("{heartbeat}\n")),
        (with_charset, &format!("{heartbeat}\n{heartbeat}")),
    ] {
        let token = open(address).await;
        assert_eq!(call(address, "POST", &token, head, body).await, json!({"status": 408}), "{body}");
        assert_gone(address, &token, body).await;
    }
    let token = open(address).await;
    assert!(request(address, "POST", &token, LINES, "!!").await.0.contains(" 500 "));
    // A join, then `echo` with what is text and what is none; the answers are binary.
    let lines = "[\"1\",\"1\",\"test:lp\",\"phx_join\",{}]\nAAEBBwQxMnRlc3Q6bHBlY2hvYQ==";
    assert_eq!(call(address, "POST", &token, LINES, lines).await["status"], 200);
    let polled = call(address, "GET", &token, "", "").await;
    assert_eq!(polled["messages"][1], "\u{1}\u{1}\u{1}\u{7}\u{2}12test:lpoka");
    assert_eq!(call(address, "POST", &token, LINES, "AAEBBwQxMnRlc3Q6bHBlY2hv/w==").await["status"], 200);
    assert!(request(address, "GET", &token, "", "").await.0.contains(" 500 "));
    for origin in ["http://localhost", "http://elsewhere.example"] {
        let allowed = origin.ends_with("localhost");
        let head = format!("Origin: {origin}\r\n");
        let (_, body) = request(address, "OPTIONS", "", &head, "").await;
        assert_eq!(body, if allowed { "" } else { "{\"status\":403}" }, "{origin}");
        let (head, _) = request(address, "PUT", "", &head, "").await;
        assert!(head.contains(if allowed { " 400 " } else { " 200 " }), "{origin}: {head}");
    }
}

#[tokio::test]
async fn the_session_of_a_connection_that_is_closed_makes_way_for_a_new_one() {
    let mut options = Options::default();
    options.hub.hub_test_channels = true;
    let server = Server::start(&options).await;
    let token = open(server.address).await;
    let lines = "[\"1\",\"1\",\"test:lp\",\"phx_join\",{}]\n[\"1\",\"2\",\"test:lp\",\"drain\",{}]";
    assert_eq!(call(server.address, "POST", &token, LINES, lines).await["status"], 200);
    assert_eq!(messages(&call(server.address, "GET", &token, "", "").await).len(), 1);
    let closed = call(server.address, "GET", &token, "", "").await;
    assert_eq!((&closed["status"], closed["token"].is_string()), (&json!(410), true));
    assert_gone(server.address, &token, "drained").await;
}

/// A hub whose clients may send so many messages a second.
async fn slow(rate: u32) -> Hub {
    let context = Context { timeline: Bus::new(), exposure: Exposure::Loopback };
    let options = hub::Options {
        hub_longpoll: true,
        hub_database: "none".to_owned(),
        hub_rate: rate,
        ..Default::default()
    };
    Hub::new(&options, &context, Topics::new()).await.expect("no database to fail")
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_slowed_down() {
    let hub = slow(2).await;
    let mut router = hub.router(&Origins::new(&[], Exposure::Loopback));
    let opened = ask(&mut router, Method::GET, "", "").await;
    let token = format!("&token={}", opened["token"].as_str().expect("a token"));
    let start = tokio::time::Instant::now();
    for _ in 0..12 {
        let heartbeat = r#"[null,"1","phoenix","heartbeat",{}]"#;
        assert_eq!(ask(&mut router, Method::POST, &token, heartbeat).await["status"], 200);
    }
    assert_eq!(start.elapsed().as_secs(), 5, "two at once, then two a second");
}

#[tokio::test]
async fn who_may_not_come_in_is_told_403() {
    let mut options = Options::default();
    options.hub.hub_longpoll = true;
    options.hub.hub_origin = vec!["example.org".to_owned()];
    options.hub.hub_key = Some(Key::new("s3cret"));
    let server = Server::start(&options).await;
    let address = server.address;
    let token = "X-Phoenix-AuthToken: s3cret\r\n";
    let opened = |answer: &Value| answer["status"] == 410 && answer["token"].is_string();
    assert!(opened(&call(address, "GET", "", token, "").await));
    assert!(opened(&call(address, "GET", "&token=s3cret", "", "").await));
    for (case, query, head) in [
        ("no token", "", String::new()),
        ("wrong token", "", "X-Phoenix-AuthToken: secret\r\n".to_owned()),
        ("version", "&vsn=3.0.0", token.to_owned()),
        ("origin", "", format!("{token}Origin: http://example.com\r\n")),
    ] {
        assert_eq!(call(address, "GET", query, &head, "").await, json!({"status": 403}), "{case}");
    }
}

#[tokio::test]
async fn browsers_may_ask_first_and_other_methods_are_400() {
    let server = start().await;
    let head = "Access-Control-Request-Headers: x-phoenix-authtoken\r\n";
    let (head, _) = request(server.address, "OPTIONS", "", head, "").await;
    for line in [
        " 200 ",
        "access-control-allow-methods: get, post, options",
        "access-control-max-age: 3600",
        "access-control-allow-headers: x-phoenix-authtoken",
        "access-control-allow-origin: *",
    ] {
        assert!(head.contains(line), "{line}: {head}");
    }
    for method in ["PUT", "DELETE", "PATCH"] {
        assert!(request(server.address, method, "", "", "").await.0.contains(" 400 "), "{method}");
    }
}

/// A request without a network, whose waits take no time.
async fn ask(router: &mut Router, method: Method, query: &str, body: &'static str) -> Value {
    let uri = format!("/socket/longpoll?vsn=2.0.0{query}");
    let request = Request::builder().method(method).uri(uri).body(Body::from(body)).expect("a request");
    let Ok(response) = router.call(request).await;
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    serde_json::from_slice(&body).expect("JSON")
}

#[tokio::test(start_paused = true)]
async fn a_poll_waits_10_s_and_a_session_lives_15_s_without_one() {
    let context = Context { timeline: Bus::new(), exposure: Exposure::Loopback };
    let options = hub::Options { hub_longpoll: true, hub_database: "none".to_owned(), ..Default::default() };
    let hub = Hub::new(&options, &context, Topics::new()).await.expect("no database to fail");
    let mut router = hub.router(&Origins::new(&[], Exposure::Loopback));
    let mut tokens = Vec::new();
    for join in [JOIN, r#"["1","1","room:lp","phx_join",{"username":"ben"}]"#] {
        let opened = ask(&mut router, Method::GET, "", "").await;
        let token = format!("&token={}", opened["token"].as_str().expect("a token"));
        assert_eq!(ask(&mut router, Method::POST, &token, join).await["status"], 200);
        tokens.push(token);
    }
    let [ann, ben] = &*tokens else { panic!("two") };
    let start = tokio::time::Instant::now();
    assert!(!messages(&ask(&mut router, Method::GET, ann, "").await).is_empty());
    let nothing = ask(&mut router, Method::GET, ann, "").await;
    assert_eq!((&nothing["status"], start.elapsed().as_secs()), (&json!(204), 10));
    // Ben has not polled for 15 s by then, and is seen to leave.
    let left = ask(&mut router, Method::GET, ann, "").await;
    assert_eq!(start.elapsed().as_secs(), 15);
    assert!(messages(&left)[0][4]["leaves"]["ben"].is_object(), "{left}");
    assert_eq!(ask(&mut router, Method::GET, ben, "").await["status"], 410);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_turn_when_the_session_ends_joins_nothing() {
    let hub = slow(1).await;
    let router = hub.router(&Origins::new(&[], Exposure::Loopback));
    let opened = ask(&mut router.clone(), Method::GET, "", "").await;
    let token = format!("&token={}", opened["token"].as_str().expect("a token"));
    let post = async |body: &'static str| ask(&mut router.clone(), Method::POST, &token, body).await;
    let heartbeat = r#"[null,"1","phoenix","heartbeat",{}]"#;
    assert_eq!(post(heartbeat).await["status"], 200);
    // The first is made to wait, and the others with it, in this order.
    let (slow, garbage, join) = tokio::join!(post(heartbeat), post("[]"), post(JOIN));
    assert_eq!([&slow["status"], &garbage["status"], &join["status"]], [200, 400, 410]);
    assert_eq!(hub.census(), []);
}

#[tokio::test]
async fn it_is_off_unless_asked_for() {
    let server = Server::start(&Options::default()).await;
    assert!(request(server.address, "GET", "", "", "").await.0.contains(" 404 "));
}
