//! The DFX client against servers that misbehave.

use std::time::Duration;

use cloverleaf::services::dfx::client::{CallError, Connect, DfxClient, ResultError, UNREAD};
use cloverleaf::services::dfx::events::ascii_json;
use cloverleaf_core::dfx::{Action, Id, ParseError, Request, Response, Status};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request as Handshake, Response as Answer};

use crate::dfx_client::{TIMEOUT, last, next, study};
use crate::dfx_deflate::{self, accept};

pub(crate) struct Hostile {
    url: String,
    task: JoinHandle<()>,
}

pub(crate) type Ws = WebSocketStream<TcpStream>;

impl Hostile {
    pub(crate) async fn start<F>(serve: impl FnOnce(Ws) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("ws://{}", listener.local_addr().expect("bound"));
        let task = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a client");
            #[allow(clippy::result_large_err, reason = "the signature is tungstenite's")]
            let choose = |request: &Handshake, mut answer: Answer| {
                if let Some(offered) = request.headers().get("sec-websocket-protocol") {
                    answer.headers_mut().insert("sec-websocket-protocol", offered.clone());
                }
                Ok(answer)
            };
            serve(tokio_tungstenite::accept_hdr_async(stream, choose).await.expect("a handshake")).await;
        });
        Self { url, task }
    }

    pub(crate) async fn client(&self) -> DfxClient {
        DfxClient::connect(&self.url, "t").await.expect("connected")
    }

    /// Fails if the server's own expectations were not met.
    pub(crate) async fn finish(self) {
        timeout(TIMEOUT, self.task).await.expect("in time").expect("the server is content");
    }
}

/// The next request of the client: action, id, body.
pub(crate) async fn asked(ws: &mut Ws) -> Option<(Action, Id, Vec<u8>)> {
    loop {
        match ws.next().await? {
            Ok(Message::Binary(bytes)) => {
                let Request { action, id, body } = Request::parse(&bytes).expect("a request");
                return Some((action, id, body.to_vec()));
            }
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

pub(crate) fn frame(id: Id, status: u16, body: &[u8]) -> Message {
    let status = Status::new(status).expect("a status");
    Message::binary([&Response { id, status, body }.header(), body].concat())
}

#[tokio::test]
async fn a_thousand_measurements_share_a_connection_whose_replies_are_shuffled() {
    const COUNT: usize = 1000;
    let hostile = Hostile::start(async |mut ws: Ws| {
        // Four rounds: create, subscribe, add, result. Each is answered when all have asked, in another order.
        for round in 0..3 {
            let mut waiting = Vec::new();
            while waiting.len() < COUNT {
                waiting.push(asked(&mut ws).await.expect("a request"));
            }
            for step in 0..COUNT {
                let (action, id, body) = &waiting[(step * 617 + 31) % COUNT];
                let body: serde_json::Value = serde_json::from_slice(body).expect("JSON");
                let reply = match round {
                    0 => {
                        assert_eq!(*action, Action::CREATE);
                        serde_json::json!({ "ID": body["StudyID"] })
                    }
                    1 => {
                        let measurement = body["Params"]["ID"].as_str().expect("an id");
                        let id = Id::padded(body["RequestID"].as_str().expect("an id")).expect("ten bytes");
                        // The result overtakes the reply.
                        let result = serde_json::json!({
                            "MeasurementID": measurement, "MeasurementDataID": format!("{measurement}:0"),
                            "MeasurementResultID": "r", "Multiplier": 1, "Error": { "Code": "OK" },
                        });
                        ws.feed(frame(id, 200, &ascii_json(&result))).await.expect("sent");
                        serde_json::json!({})
                    }
                    _ => serde_json::json!({ "ID": format!("{}:0", body["Params"]["ID"].as_str().expect("an id")) }),
                };
                ws.feed(frame(*id, 200, &ascii_json(&reply))).await.expect("sent");
            }
            ws.flush().await.expect("sent");
        }
        assert!(asked(&mut ws).await.is_none());
    })
    .await;
    let client = hostile.client().await;
    let measure = |number: usize| {
        let client = client.clone();
        async move {
            let name = format!("m{number}");
            let measurement = client.create_measurement(&study(&name)).await.unwrap();
            assert_eq!(measurement, name);
            let mut results = client.subscribe(&measurement).await.unwrap();
            assert_eq!(next(&mut results).await.measurement_id, name);
            let ack = client.add_data(&measurement, last(), vec![1]).await.unwrap();
            assert_eq!(ack.id, format!("{name}:0"));
        }
    };
    let all = futures_util::future::join_all((0..COUNT).map(measure));
    timeout(TIMEOUT, all).await.expect("in time");
    assert_eq!((client.unknown_count(), client.open_count()), (0, 0));
    client.close().await;
    hostile.finish().await;
}

#[tokio::test]
async fn garbage_harms_no_call() {
    let hostile = Hostile::start(async |mut ws: Ws| {
        while let Some((_, id, _)) = asked(&mut ws).await {
            for len in 0..13 {
                ws.send(Message::binary(vec![b'2'; len])).await.expect("sent");
            }
            let raw = |text: &[u8]| Message::binary([&b"nobody's_1"[..], text].concat());
            for bad in [&b"2x0{}"[..], b"+20", b"000", b"   "] {
                ws.send(raw(bad)).await.expect("sent");
            }
            ws.send(Message::text("not a frame at all")).await.expect("sent");
            ws.send(Message::binary(b"\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe200".to_vec()))
                .await
                .expect("sent");
            for number in 0..1000 {
                let never = Id::padded(&format!("no{number}")).expect("short");
                ws.send(frame(never, 200, b"{}")).await.expect("sent");
            }
            ws.send(frame(id, 200, b"{\"ID\":\"good\"}")).await.expect("sent");
        }
    })
    .await;
    let client = hostile.client().await;
    assert_eq!(client.create_measurement(&study("s")).await.unwrap(), "good");
    assert_eq!(client.malformed_count(), 13 + 4 + 1);
    assert_eq!(client.unknown_count(), 1001);
    assert_eq!(client.open_count(), 0);
    client.close().await;
    hostile.finish().await;
}

#[tokio::test]
async fn odd_replies_are_typed_errors() {
    let hostile = Hostile::start(async |mut ws: Ws| {
        let odd: [(u16, &[u8]); 9] = [
            (200, b"\xff\xfe"),
            (200, b""),
            (999, b"\xff\xfe"),
            (429, br#"{"Code":"RATE_LIMIT","Message":"slow down"}"#),
            (404, br#"{"Code":"INVALID_MEASUREMENT","Message":"gone"}"#),
            // Errors as the real service has them, in no shape of their own: the code must not get lost.
            (400, br#"{"Code":"MEASUREMENT_CLOSED","Message":null,"Errors":{"Status":[["VALID_PROPERTIES",["OK"]]]}}"#),
            (401, br#"{"Code":"TOKEN_EXPIRED","Message":"","Errors":null}"#),
            (429, br#"{"Code":"RATE_LIMIT","Message":"","Errors":["slow"],"RetryAfterMs":70}"#),
            (400, br#"{"Code":"VALIDATION_ERROR","Message":"","Errors":{"ID":{"msgs":["bad"]},"Of":{"msgs":7}}}"#),
        ];
        for (status, body) in odd {
            let (_, id, _) = asked(&mut ws).await.expect("a request");
            ws.send(frame(id, status, body)).await.expect("sent");
        }
    })
    .await;
    let client = hostile.client().await;
    let add = || client.add_data("m", last(), vec![1]);
    assert!(matches!(add().await, Err(CallError::BadReply(_))));
    assert!(matches!(add().await, Err(CallError::BadReply(_))), "an acknowledgement without an id");
    assert!(matches!(add().await, Err(CallError::Refused { status, .. }) if status.code() == 999));
    let limited = add().await;
    assert!(
        matches!(limited, Err(CallError::RateLimited { retry_after, .. }) if retry_after == Duration::from_secs(5))
    );
    assert!(
        matches!(add().await, Err(CallError::Refused { failure, .. }) if failure.code == "INVALID_MEASUREMENT")
    );
    let closed = add().await;
    let Err(CallError::MeasurementClosed(failure)) = closed else { panic!("{closed:?}") };
    assert_eq!(failure.errors["Status"].msgs, [r#"[["VALID_PROPERTIES",["OK"]]]"#]);
    assert!(matches!(add().await, Err(CallError::TokenExpired(_))));
    let limited = add().await;
    assert!(
        matches!(limited, Err(CallError::RateLimited { retry_after, .. }) if retry_after == Duration::from_millis(70))
    );
    let refused = add().await;
    let Err(CallError::Refused { failure, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(failure.errors["ID"].msgs, ["bad"]);
    assert_eq!(failure.errors["Of"].msgs, [r#"{"msgs":7}"#]);
    hostile.finish().await;
}

#[tokio::test]
async fn an_unanswered_call_times_out_alone() {
    let hostile = Hostile::start(async |mut ws: Ws| {
        let mut unanswered = None;
        while let Some((action, id, _)) = asked(&mut ws).await {
            if action == Action::STATUS {
                unanswered = Some(id);
                continue;
            }
            ws.send(frame(id, 200, b"{}")).await.expect("sent");
            // Too late, if it has timed out.
            if let Some(id) = unanswered.take() {
                ws.send(frame(id, 200, b"{}")).await.expect("sent");
            }
        }
    })
    .await;
    let client = hostile.client().await;
    let short = Duration::from_millis(100);
    let hasty = client.with_timeout(short);
    assert_eq!(hasty.call(Action::STATUS, b"{}").await, Err(CallError::TimedOut(short)));
    assert_eq!(client.open_count(), 0);
    client.call(Action::LIST, b"{}").await.unwrap();
    client.call(Action::LIST, b"{}").await.unwrap();
    assert_eq!(client.unknown_count(), 1);
}

#[tokio::test]
async fn ten_thousand_cancelled_calls_leave_nothing_behind() {
    let hostile = Hostile::start(async |mut ws: Ws| {
        while let Some((_, id, _)) = asked(&mut ws).await {
            ws.send(frame(id, 200, b"{}")).await.expect("sent");
        }
    })
    .await;
    let client = Connect { in_flight: 8, subscriptions: 0, ..Connect::new(&hostile.url, "t") }
        .connect()
        .await
        .unwrap();
    for round in 0..10_000 {
        let mut call = Box::pin(client.call(Action::STATUS, b"{}"));
        // Polled once, so that it is under way in every stage it can be in; then dropped.
        let _ = call.as_mut().now_or_never();
        drop(call);
        if round % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(client.open_count(), 0);
    timeout(TIMEOUT, client.call(Action::STATUS, b"{}")).await.expect("the reader is alive").unwrap();
    client.close().await;
    hostile.finish().await;
}

#[tokio::test]
async fn a_connection_that_ends_fails_everything_that_waits() {
    let hostile = Hostile::start(async |mut ws: Ws| {
        let (action, id, _) = asked(&mut ws).await.expect("a request");
        assert_eq!(action, Action::SUBSCRIBE_RESULTS);
        ws.send(frame(id, 200, b"{}")).await.expect("sent");
        asked(&mut ws).await.expect("a request");
        // Gone without a word.
    })
    .await;
    let client = hostile.client().await;
    let mut results = client.subscribe("m").await.unwrap();
    let lost = client.call(Action::STATUS, b"{}").await;
    assert!(matches!(lost, Err(CallError::Closed(_))), "{lost:?}");
    assert!(matches!(timeout(TIMEOUT, results.next()).await.unwrap(), Some(Err(ResultError::Closed(_)))));
    assert!(matches!(client.call(Action::STATUS, b"{}").await, Err(CallError::Closed(_))));
    assert!(matches!(client.subscribe("m").await, Err(CallError::Closed(_))));
    assert_eq!(client.open_count(), 0);
    timeout(TIMEOUT, client.close()).await.expect("closing what is closed takes no time");
}

#[tokio::test]
async fn a_message_that_is_too_long_fails_only_its_call() {
    const LIMIT: usize = 1 << 20;
    let hostile = Hostile::start(async |mut ws: Ws| {
        let (_, call, body) = asked(&mut ws).await.expect("a request");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let subscription = Id::padded(body["RequestID"].as_str().expect("an id")).expect("ten bytes");
        ws.send(frame(call, 200, b"{}")).await.expect("sent");
        let (_, first, _) = asked(&mut ws).await.expect("a request");
        let (_, second, _) = asked(&mut ws).await.expect("a request");
        for id in [first, subscription, Id::new(*b"never-gave")] {
            ws.send(frame(id, 200, &vec![b' '; 100 << 20])).await.expect("the client reads it");
        }
        ws.send(frame(subscription, 200, br#"{"MeasurementDataID":"m:1","Error":{"Code":"OK"}}"#))
            .await
            .expect("sent");
        ws.send(frame(second, 200, b"{}")).await.expect("sent");
        assert!(asked(&mut ws).await.is_none());
    })
    .await;
    let client = Connect { max_message: LIMIT, ..Connect::new(&hostile.url, "t") }.connect().await.unwrap();
    let mut results = client.subscribe("m").await.unwrap();
    let (first, second) = tokio::join!(client.call(Action::STATUS, b"{}"), client.call(Action::LIST, b"{}"));
    assert_eq!(first, Err(CallError::TooLong(LIMIT)));
    assert_eq!(second.expect("unharmed").body, b"{}");
    assert_eq!(results.next().await, Some(Err(ResultError::TooLong(LIMIT))));
    assert_eq!(next(&mut results).await.chunk(), Some(1));
    assert_eq!(client.unknown_count(), 1);
    client.close().await;
    hostile.finish().await;
}

#[tokio::test]
async fn more_subscriptions_than_allowed_are_refused_as_that() {
    let hostile = Hostile::start(async |mut ws: Ws| {
        while let Some((_, id, _)) = asked(&mut ws).await {
            ws.send(frame(id, 200, b"{}")).await.expect("sent");
        }
    })
    .await;
    let client = Connect { in_flight: 1, subscriptions: 1, ..Connect::new(&hostile.url, "t") };
    let client = client.connect().await.unwrap();
    let first = client.subscribe("m").await.unwrap();
    assert!(matches!(client.subscribe("n").await, Err(CallError::Full(_))));
    client.call(Action::STATUS, b"{}").await.expect("calls have a place of their own");
    drop(first);
    client.subscribe("n").await.unwrap();
}

#[tokio::test]
async fn results_that_nobody_reads_are_bounded_and_counted() {
    let hostile = Hostile::start(async |mut ws: Ws| {
        let (_, call, body) = asked(&mut ws).await.expect("a request");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let id = Id::padded(body["RequestID"].as_str().expect("an id")).expect("ten bytes");
        for number in 0..UNREAD + 3 {
            let result =
                serde_json::json!({ "MeasurementDataID": format!("m:{number}"), "Error": { "Code": "OK" } });
            ws.send(frame(id, 200, &ascii_json(&result))).await.expect("sent");
        }
        ws.send(frame(call, 200, b"{}")).await.expect("sent");
        // Repeated, broken, then the end.
        let again = serde_json::json!({ "MeasurementDataID": "m:9", "Error": { "Code": "OK" } });
        let (_, call, _) = asked(&mut ws).await.expect("a request");
        ws.send(frame(id, 200, &ascii_json(&again))).await.expect("sent");
        ws.send(frame(id, 200, b"{")).await.expect("sent");
        ws.send(frame(id, 500, br#"{"Code":"WORKER_ERROR","Message":""}"#)).await.expect("sent");
        ws.send(frame(call, 200, b"{}")).await.expect("sent");
        asked(&mut ws).await;
    })
    .await;
    let client = hostile.client().await;
    let mut results = client.subscribe("m").await.unwrap();
    assert_eq!(results.next().await, Some(Err(ResultError::Missed(3))));
    for number in 3..UNREAD + 3 {
        assert_eq!(next(&mut results).await.chunk(), Some(number as u32));
    }
    client.call(Action::STATUS, b"{}").await.unwrap();
    assert!(matches!(results.next().await, Some(Err(ResultError::BadResult(_)))));
    assert!(matches!(results.next().await, Some(Err(ResultError::Ended(_)))));
    assert_eq!(results.next().await, None);
    assert_eq!(results.repeated_count(), 1);
    drop(results);
    assert_eq!(client.open_count(), 0);
}

#[tokio::test]
async fn a_reply_with_a_bad_status_fails_its_call_at_once() {
    let hostile = Hostile::start(async |mut ws: Ws| {
        let (_, call, body) = asked(&mut ws).await.expect("a request");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let results = Id::padded(body["RequestID"].as_str().expect("an id")).expect("ten bytes");
        ws.send(frame(call, 200, b"{}")).await.expect("sent");
        let raw = |id: Id, text: &[u8]| Message::binary([id.as_bytes(), text].concat());
        let (_, id, _) = asked(&mut ws).await.expect("a request");
        ws.send(raw(id, b"2x0{}")).await.expect("sent");
        ws.send(raw(results, b"2x0{}")).await.expect("sent");
        ws.send(frame(results, 200, br#"{"MeasurementDataID":"m:1","Channels":null,"Error":null}"#))
            .await
            .expect("sent");
        asked(&mut ws).await;
    })
    .await;
    let client = hostile.client().await.with_timeout(Duration::MAX);
    let mut results = client.subscribe("m").await.unwrap();
    let error = ParseError::BadStatus(*b"2x0");
    assert_eq!(client.call(Action::STATUS, b"{}").await, Err(CallError::BadFrame(error)));
    assert_eq!(results.next().await, Some(Err(ResultError::BadFrame(error))));
    assert_eq!(next(&mut results).await.chunk(), Some(1), "the stream goes on");
    assert_eq!((client.malformed_count(), client.open_count()), (2, 1));
}

/// A peer by hand, so that it sees the fragments: it pings when the first is there, and the pong must come before the last.
#[tokio::test]
async fn pings_are_answered_while_an_upload_is_under_way() {
    const UPLOAD: usize = 40 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        accept(&mut stream, "Sec-WebSocket-Protocol: json\r\n").await;
        let (mut uploaded, mut pongs) = (0, 0);
        loop {
            let (first, payload) = dfx_deflate::frame(&mut stream).await;
            match first {
                0x8A => {
                    assert_eq!(payload, b"are you there?");
                    pongs += 1;
                }
                // The beginning, more, and the end.
                0x02 => {
                    uploaded += payload.len();
                    let ping = [&[0x89, 14][..], b"are you there?"].concat();
                    stream.write_all(&ping).await.expect("sent");
                }
                0x00 => uploaded += payload.len(),
                0x80 => {
                    assert_eq!((uploaded + payload.len(), pongs), (Request::HEADER + UPLOAD, 1));
                    return stream.write_all(b"\x82\x0f0506000000200{}").await.expect("sent");
                }
                other => panic!("{other:#x}"),
            }
        }
    });
    let client = Connect { deflate: false, ..Connect::new(&url, "t") }.connect().await.unwrap();
    client.call(Action::DATA, &vec![b' '; UPLOAD]).await.unwrap();
    timeout(TIMEOUT, peer).await.expect("in time").expect("the peer is content");
}
