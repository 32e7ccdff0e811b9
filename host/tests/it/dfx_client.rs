//! The DFX client against the local server.

use std::sync::Arc;
use std::time::Duration;

use cloverleaf::config::Options;
use cloverleaf::services::dfx::client::{
    CallError, Connect, ConnectError, DfxClient, Login, Measurement, Pace, Protocol, ResultError,
};
use cloverleaf::services::dfx::events::{ChunkAction, Create, Outcome};
use cloverleaf_core::dfx::{Action, ParseError, Request};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::dfx::{pulse, server_with};
use crate::dfx_hostile::frame;
use crate::support::Server;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

fn url(server: &Server) -> String {
    format!("ws://{}/dfx", server.address)
}

pub(crate) fn study(name: &str) -> Create {
    Create { study_id: name.into(), ..Create::default() }
}

pub(crate) fn last() -> ChunkAction {
    ChunkAction::of(0, 1)
}

pub(crate) async fn next(
    results: &mut (impl futures_util::Stream<Item = Result<Outcome, ResultError>> + Unpin),
) -> Outcome {
    timeout(TIMEOUT, results.next()).await.expect("in time").expect("a result").expect("a good result")
}

/// A server that does what `serve` does with its one connection.
#[tokio::test]
async fn measures_with_every_protocol_and_login() {
    let server = Server::start(&Options::default()).await;
    for protocol in [Protocol::Json, Protocol::Proto, Protocol::Unnamed] {
        for login in [Login::Header, Login::FirstMessage] {
            let client =
                Connect { protocol, login, ..Connect::new(&url(&server), "t") }.connect().await.unwrap();
            let measurement = client.create_measurement(&study("s")).await.unwrap();
            let mut results = client.subscribe(&measurement).await.unwrap();
            for chunk in 0..3 {
                let ack =
                    client.add_data(&measurement, ChunkAction::of(chunk, 3), pulse(90.0, 5.0)).await.unwrap();
                assert_eq!(ack.chunk_order, chunk as u32);
                let outcome = next(&mut results).await;
                assert_eq!(outcome.chunk(), Some(chunk as u32));
                let bpm = outcome.values("HR_BPM").next().expect("a heart rate");
                assert!((bpm - 90.0).abs() < 1.5, "{protocol:?} {login:?}: {bpm}");
            }
            let closed = client.add_data(&measurement, last(), pulse(90.0, 5.0)).await;
            assert!(matches!(closed, Err(CallError::MeasurementClosed(_))), "{closed:?}");
            assert_eq!((client.unknown_count(), client.malformed_count()), (0, 0));
            client.close().await;
            let ended = timeout(TIMEOUT, results.next()).await.unwrap();
            assert!(matches!(ended, Some(Err(ResultError::Closed(_)))), "{ended:?}");
            assert_eq!(results.next().await, None);
        }
    }
}

#[tokio::test]
async fn faults_of_the_rules_file_reach_the_client_as_what_they_are() {
    let server = server_with(
        r#"
        results_first = true
        [[fault]]
        action = "0506"
        chunk = 1
        do = "error"
        status = 429
        code = "RATE_LIMIT"
        [[fault]]
        on = "result"
        chunk = 0
        do = "duplicate"
        [[fault]]
        action = "0100"
        do = "drop"
        [[fault]]
        action = "0100"
        after = 1
        do = "wrong_id"
        [[fault]]
        action = "0100"
        after = 2
        do = "truncate"
        [[fault]]
        action = "0100"
        after = 3
        do = "bad_status"
        [[fault]]
        action = "0101"
        do = "close"
        "#,
    )
    .await;
    let client = DfxClient::connect(&url(&server), "t").await.unwrap();
    let measurement = client.create_measurement(&study("s")).await.unwrap();
    let mut results = client.subscribe(&measurement).await.unwrap();
    let add = |action: &str| client.add_data(&measurement, action.parse().unwrap(), pulse(60.0, 5.0));
    add("FIRST::PROCESS").await.unwrap();
    assert!(matches!(add("CHUNK::PROCESS").await, Err(CallError::RateLimited { .. })));
    assert_eq!(add("CHUNK::PROCESS").await.unwrap().chunk_order, 1, "the refused chunk was not taken");
    assert_eq!(next(&mut results).await.chunk(), Some(0));
    assert_eq!(next(&mut results).await.chunk(), Some(1));
    assert_eq!(results.repeated_count(), 1);
    // The server answers in order: a call that has no reply when a later one has will get none.
    for fault in ["drop", "wrong_id", "truncate"] {
        let mut lost = Box::pin(client.call(Action::STATUS, b"{}"));
        assert!(lost.as_mut().now_or_never().is_none());
        client.call(Action::LIST, b"{}").await.unwrap();
        let lost = lost.as_mut().now_or_never();
        match fault {
            // Its id is there, if nothing else.
            "truncate" => {
                assert!(matches!(lost, Some(Err(CallError::BadFrame(ParseError::TooShort { .. })))));
            }
            _ => assert_eq!(lost, None, "{fault}"),
        }
    }
    let bad = client.call(Action::STATUS, b"{}").await;
    assert_eq!(bad, Err(CallError::BadFrame(ParseError::BadStatus(*b"2x0"))));
    assert_eq!((client.unknown_count(), client.malformed_count()), (1, 2));
    client.call(Action::STATUS, b"{}").await.unwrap();
    assert!(matches!(client.call(Action::MIME_TYPES, b"{}").await, Err(CallError::Closed(_))));
}

#[tokio::test]
async fn a_recording_rolls_over_to_a_new_measurement_when_one_is_full() {
    let server = Server::start(&Options::default()).await;
    let client = DfxClient::connect(&url(&server), "t").await.unwrap();
    let mut measurement = Measurement::start(client, study("s"), Pace::AtOnce).await.unwrap();
    let first = measurement.id().to_owned();
    for chunk in 0..30 {
        measurement.add(pulse(75.0, 5.0), Duration::from_secs(5), chunk == 29).await.unwrap();
    }
    assert_eq!((measurement.added_count(), measurement.measurement_count()), (30, 2));
    let mut of_first = 0;
    for _ in 0..30 {
        let outcome = timeout(TIMEOUT, measurement.next()).await.unwrap().unwrap().unwrap();
        of_first += usize::from(outcome.measurement_id == first);
    }
    assert_eq!(of_first, 24, "two minutes of chunks of five seconds");
}

#[tokio::test]
async fn a_recording_keeps_the_pace_of_a_server_that_insists_on_it() {
    let server = server_with("real_time = true").await;
    let client = DfxClient::connect(&url(&server), "t").await.unwrap();
    // Two minutes are not over before the next chunk is there, however slow the machine.
    let mut hasty = Measurement::start(client.clone(), study("s"), Pace::AtOnce).await.unwrap();
    hasty.add(pulse(75.0, 60.0), Duration::from_secs(60), false).await.unwrap();
    let limited = hasty.add(pulse(75.0, 60.0), Duration::from_secs(60), false).await;
    let Err(CallError::RateLimited { retry_after, .. }) = limited else { panic!("{limited:?}") };
    assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_secs(54), "{retry_after:?}");
    let length = Duration::from_millis(200);
    let payload = pulse(75.0, 0.2);
    let mut paced = Measurement::start(client, study("s"), Pace::RealTime).await.unwrap();
    for chunk in 0..4 {
        paced.add(payload.clone(), length, chunk == 3).await.unwrap();
    }
}

#[tokio::test]
async fn an_expired_token_is_said_and_a_renewed_one_reconnects() {
    let server = Server::start(&Options::default()).await;
    let http = reqwest::Client::new();
    let post = async |path: &str, body: serde_json::Value| -> serde_json::Value {
        let response = http.post(format!("{}{path}", server.url())).json(&body).send().await.unwrap();
        response.json().await.unwrap()
    };
    let tokens =
        post("/organizations/licenses", serde_json::json!({ "Key": "k", "TokenExpiresIn": 1 })).await;
    let token = tokens["Token"].as_str().unwrap();
    // The token in the header is looked at when something is asked for.
    let client = DfxClient::connect(&url(&server), token).await.unwrap();
    let create = study("s");
    // The server's clock decides; ask until it has moved on.
    let expired = async {
        loop {
            match client.create_measurement(&create).await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => break error,
            }
        }
    };
    assert!(matches!(timeout(TIMEOUT, expired).await.unwrap(), CallError::TokenExpired(_)));
    let connect = Connect { login: Login::FirstMessage, ..Connect::new(&url(&server), token) };
    let refused = connect.connect().await;
    assert!(matches!(refused, Err(ConnectError::Login(CallError::TokenExpired(_)))), "{refused:?}");
    let renewed = post("/auths/renew", tokens).await;
    let client = client.reconnect(renewed["Token"].as_str().unwrap()).await.unwrap();
    client.create_measurement(&study("s")).await.unwrap();
}

#[tokio::test]
async fn a_recording_goes_on_over_another_connection() {
    let server = Server::start(&Options::default()).await;
    let client = DfxClient::connect(&url(&server), "t").await.unwrap();
    let mut measurement = Measurement::start(client.clone(), study("s"), Pace::AtOnce).await.unwrap();
    measurement.add(pulse(60.0, 5.0), Duration::from_secs(5), false).await.unwrap();
    timeout(TIMEOUT, measurement.next()).await.unwrap().unwrap().unwrap();
    let again = client.reconnect("t").await.unwrap();
    client.close().await;
    let lost = measurement.add(pulse(60.0, 5.0), Duration::from_secs(5), false).await;
    assert!(matches!(lost, Err(CallError::Closed(_))));
    measurement.resume(again).await.unwrap();
    let ack = measurement.add(pulse(60.0, 5.0), Duration::from_secs(5), true).await.unwrap();
    assert_eq!(ack.chunk_order, 1);
    assert_eq!(timeout(TIMEOUT, measurement.next()).await.unwrap().unwrap().unwrap().chunk(), Some(1));
}

#[tokio::test]
async fn tls_is_spoken_and_certificates_are_checked() {
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    let task = tokio::spawn(async move {
        for _ in 0..2 {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let Ok(mut ws) = tokio_tungstenite::accept_async(stream).await else { continue };
            while let Some(Ok(Message::Binary(bytes))) = ws.next().await {
                let id = Request::parse(&bytes).unwrap().id;
                ws.send(frame(id, 200, b"")).await.unwrap();
            }
        }
    });
    let connect = Connect { protocol: Protocol::Unnamed, ..Connect::new(&url, "t") };
    let refused = connect.clone().connect().await;
    assert!(
        matches!(refused, Err(ConnectError::Transport(_))),
        "nobody vouches for the certificate: {refused:?}"
    );
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = Connect { roots: Some(roots), ..connect }.connect().await.unwrap();
    client.call(Action::STATUS, b"").await.unwrap();
    client.close().await;
    timeout(TIMEOUT, task).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_no_dfx_server_is_said() {
    let server = Server::start(&Options::default()).await;
    let refused = DfxClient::connect(&format!("ws://{}/status", server.address), "t").await;
    assert!(matches!(refused, Err(ConnectError::Refused(status)) if status == 200), "{refused:?}");
    let invalid = DfxClient::connect("ftp://127.0.0.1:1", "t").await;
    assert!(matches!(invalid, Err(ConnectError::Invalid(_))), "{invalid:?}");
    let invalid = DfxClient::connect("ws://127.0.0.1:1", "line\nbreak").await;
    assert!(matches!(invalid, Err(ConnectError::Invalid(_))), "{invalid:?}");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = DfxClient::connect(&format!("ws://{nobody}"), "t").await;
    assert!(matches!(nobody, Err(ConnectError::Transport(_))), "{nobody:?}");
}

#[tokio::test]
async fn a_server_that_goes_away_says_so() {
    let server = Server::start(&Options::default()).await;
    let client = DfxClient::connect(&url(&server), "t").await.unwrap();
    let measurement = client.create_measurement(&study("s")).await.unwrap();
    let mut results = client.subscribe(&measurement).await.unwrap();
    server.stop().await;
    let ended = timeout(TIMEOUT, results.next()).await.unwrap();
    assert!(
        matches!(&ended, Some(Err(ResultError::Closed(reason))) if reason.contains("1001")),
        "not a cut: {ended:?}"
    );
}
