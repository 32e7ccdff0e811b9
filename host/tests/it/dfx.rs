//! DFX: the local server.
//!
//! What a client and a server of DFX must do, and the tests of it; `peers` runs the clients of others, `core` has tests of
//! its own for all frames.
//!
//! | case | what | tests |
//! |---|---|---|
//! | D1 | the class of the snippets, without a subprotocol | `peers::dfx::the_class_of_the_snippets_measures_two_chunks` |
//! | D2 | PyPI dfx-apiv2-client, text frames | `peers::dfx::dfx_apiv2_client_measures_three_chunks` |
//! | D3 | npm dfx-api-client, logged in by 0718 | `peers::dfx::the_javascript_client_logs_in_subscribes_and_measures` |
//! | D4 | the C++ client: FIRST always, one stream id | `dfx_first_clients::the_habits_of_the_cpp_client_are_served_in_both_encodings` |
//! | D5 | golden frames, malformed ones | `core::dfx::golden_frames_parse_and_emit_the_same_bytes`, `dfx_cli::decodes_every_golden_frame_value_by_value` |
//! | D6 | an unknown action | [`what_cannot_be_done_is_said_under_the_id`], `dfx_bad_input` |
//! | D7 | chunks to no measurement, after the last, out of order, too fast | the same, [`a_measurement_ends_after_two_minutes_of_chunks`], `dfx_state::chunks_faster_than_real_time_are_told_when_to_come_again` |
//! | D8 | results early, late, twice; many subscriptions, many connections | [`results_find_their_subscribers`], `dfx_state`, `dfx_client::faults_of_the_rules_file_reach_the_client_as_what_they_are` |
//! | D9 | the client against a hostile server | `dfx_hostile`, `dfx_silence` |
//! | D10 | calls cancelled in the middle | `dfx_hostile::ten_thousand_cancelled_calls_leave_nothing_behind` |
//! | D11 | a thousand measurements on one socket | `dfx_hostile::a_thousand_measurements_share_a_connection_whose_replies_are_shuffled` |
//! | D12 | pings during an upload | `dfx_hostile::pings_are_answered_while_an_upload_is_under_way` |
//! | D13 | subprotocols | [`subprotocols_are_negotiated`], `dfx_deflate::handshakes_that_are_no_answer_are_refused` |
//! | D14 | text that is not ASCII | [`json_is_ascii_for_clients_that_take_bytes_for_characters`] |
//! | D15 | a token that runs out | `dfx_client::an_expired_token_is_said_and_a_renewed_one_reconnects` |

use cloverleaf::config::Options;
use cloverleaf::services::dfx::events::{
    Body, Data, DataAck, Encoding, Failure, Outcome, Params, ServerStatus, Subscribe,
};
use cloverleaf::services::dfx::state::Signal;
use cloverleaf_core::dfx::{Action, Id, Request, Response};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::Server;

type Ws = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A client of nothing but WebSocket.
pub(crate) struct Raw {
    socket: Ws,
    encoding: Encoding,
    chosen: Option<String>,
}

impl Raw {
    pub(crate) async fn connect(
        server: &Server,
        path: &str,
        protocols: &[&str],
        token: Option<&str>,
    ) -> Self {
        Self::try_connect(server, path, protocols, token).await.expect("a WebSocket")
    }

    async fn try_connect(
        server: &Server,
        path: &str,
        protocols: &[&str],
        token: Option<&str>,
    ) -> Result<Self, tokio_tungstenite::tungstenite::Error> {
        let mut request = format!("ws://{}{path}", server.address).into_client_request()?;
        let headers = request.headers_mut();
        if !protocols.is_empty() {
            headers.insert("Sec-WebSocket-Protocol", protocols.join(", ").parse().expect("a header"));
        }
        if let Some(token) = token {
            headers.insert("Authorization", format!("Bearer {token}").parse().expect("a header"));
        }
        let (socket, response) = tokio_tungstenite::connect_async(request).await?;
        let chosen = response.headers().get("Sec-WebSocket-Protocol");
        let chosen = chosen.map(|value| value.to_str().expect("text").to_owned());
        let encoding = Encoding::of_subprotocol(chosen.as_deref()).expect("one of ours");
        Ok(Self { socket, encoding, chosen })
    }

    pub(crate) async fn send(&mut self, action: Action, id: &[u8; 10], body: &impl Body) {
        let body = body.encode(self.encoding);
        let header = Request { action, id: Id::new(*id), body: &body }.header();
        self.socket.send(Message::binary([&header, &body[..]].concat())).await.expect("sent");
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).await.expect("sent");
    }

    /// The id, status and body of the next frame.
    pub(crate) async fn next(&mut self) -> (String, u16, Vec<u8>) {
        match self.socket.next().await.expect("a message").expect("no error") {
            Message::Binary(bytes) => {
                let Response { id, status, body } = Response::parse(&bytes).expect("a frame");
                (id.as_str().expect("ASCII").to_owned(), status.code(), body.to_vec())
            }
            other => panic!("not a binary message: {other:?}"),
        }
    }

    pub(crate) async fn expect<T: Body>(&mut self, id: &str, status: u16) -> T {
        let (found, code, body) = self.next().await;
        assert_eq!((found.as_str(), code), (id, status), "{}", String::from_utf8_lossy(&body));
        T::decode(self.encoding, &body).expect("the expected body")
    }
}

pub(crate) async fn created(server: &Server, token: &str) -> String {
    let client = reqwest::Client::new();
    let url = format!("{}/measurements", server.url());
    let body = serde_json::json!({ "StudyID": "study", "Resolution": 0 });
    let response = client.post(url).bearer_auth(token).json(&body).send().await.expect("a response");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
    let created: serde_json::Value = response.json().await.expect("JSON");
    created["ID"].as_str().expect("an id").to_owned()
}

pub(crate) fn pulse(bpm: f64, seconds: f64) -> Vec<u8> {
    let rate = 30.0;
    let beat = |index: usize| (std::f64::consts::TAU * bpm / 60.0 * index as f64 / rate).sin();
    Signal { rate, samples: (0..(rate * seconds) as usize).map(beat).collect() }.to_payload()
}

pub(crate) fn chunk(measurement: &str, action: &str, payload: Vec<u8>) -> Data {
    let params = Params { id: measurement.into() };
    Data { params, action: action.into(), payload: payload.into(), ..Data::default() }
}

pub(crate) fn subscribe(measurement: &str, request_id: &str) -> Subscribe {
    Subscribe { params: Params { id: measurement.into() }, request_id: request_id.into() }
}

/// A server with these rules.
pub(crate) async fn server_with(rules: &str) -> Server {
    let file = std::env::temp_dir().join(format!("cloverleaf-{}.toml", uuid::Uuid::new_v4()));
    std::fs::write(&file, rules).expect("a writable folder");
    let mut options = Options::default();
    options.dfx.dfx_rules = Some(file.clone());
    let server = Server::start(&options).await;
    std::fs::remove_file(file).expect("written before");
    server
}

#[tokio::test]
async fn a_pulse_in_the_chunks_comes_back_as_heart_rate_in_both_encodings() {
    let server = Server::start(&Options::default()).await;
    for (path, protocols) in [("/", &["json"][..]), ("/dfx", &["proto"]), ("/", &[])] {
        let measurement = created(&server, "t").await;
        let mut raw = Raw::connect(&server, path, protocols, Some("t")).await;
        raw.send(Action::SUBSCRIBE_RESULTS, b"call000001", &subscribe(&measurement, "RESULTS001")).await;
        let (id, status, body) = raw.next().await;
        assert_eq!((id.as_str(), status), ("call000001", 200));
        assert_eq!(body, if raw.encoding == Encoding::Json { &b"{}"[..] } else { b"" });
        for (number, action) in ["FIRST::PROCESS", "CHUNK::PROCESS", "LAST::PROCESS"].into_iter().enumerate()
        {
            raw.send(Action::DATA, b"call000002", &chunk(&measurement, action, pulse(72.0, 5.0))).await;
            let ack: DataAck = raw.expect("call000002", 200).await;
            assert_eq!(ack, DataAck { id: format!("{measurement}:{number}"), chunk_order: number as u32 });
            let outcome: Outcome = raw.expect("RESULTS001", 200).await;
            assert_eq!(outcome.error.code, "OK");
            assert_eq!(outcome.data_id, ack.id);
            let bpm = outcome.values("HR_BPM").next().expect("a heart rate");
            assert!((bpm - 72.0).abs() < 1.5, "{bpm}");
        }
        raw.send(Action::DATA, b"call000003", &chunk(&measurement, "LAST::PROCESS", vec![1])).await;
        let failure: Failure = raw.expect("call000003", 400).await;
        assert_eq!(failure.code, "MEASUREMENT_CLOSED");
    }
}

#[tokio::test]
async fn subprotocols_are_negotiated() {
    let server = Server::start(&Options::default()).await;
    let chosen = [
        (&["json"][..], Some("json")),
        (&["proto"], Some("proto")),
        (&[], None),
        (&["proto", "json"], Some("proto")),
        (&["v2", "json"], Some("json")),
    ];
    for (offered, expected) in chosen {
        let raw = Raw::connect(&server, "/", offered, None).await;
        assert_eq!(raw.chosen.as_deref(), expected, "{offered:?}");
    }
    assert!(Raw::try_connect(&server, "/dfx", &["v2"], None).await.is_err());
    // The page at the same place is still there.
    let page = reqwest::get(server.url()).await.unwrap();
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
}

#[tokio::test]
async fn nothing_is_done_without_a_good_token() {
    let mut options = Options::default();
    options.dfx.dfx_key = Some("secret".parse().unwrap());
    let server = Server::start(&options).await;
    let measurement = created(&server, "secret").await;
    let unauthorized =
        reqwest::Client::new().post(format!("{}/measurements", server.url())).send().await.unwrap();
    assert_eq!(unauthorized.status(), 401);
    for token in [None, Some("wrong")] {
        let mut raw = Raw::connect(&server, "/", &["json"], token).await;
        raw.send(Action::SUBSCRIBE_RESULTS, b"call000001", &subscribe(&measurement, "RESULTS001")).await;
        let failure: Failure = raw.expect("call000001", 401).await;
        assert_eq!(failure.code, "INVALID_TOKEN");
        raw.send_bytes(br#"0718call000002{"Token":"secret"}"#).await;
        assert_eq!(raw.next().await, ("call000002".into(), 200, br#"{"Token":"secret"}"#.to_vec()));
        raw.send(Action::SUBSCRIBE_RESULTS, b"call000003", &subscribe(&measurement, "RESULTS001")).await;
        assert_eq!(raw.next().await, ("call000003".into(), 200, b"{}".to_vec()));
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_said_under_the_id() {
    let server = Server::start(&Options::default()).await;
    let measurement = created(&server, "t").await;
    let mut raw = Raw::connect(&server, "/", &["json"], Some("t")).await;
    for short in [&b""[..], b"0", b"0506", b"0506call00000"] {
        raw.send_bytes(short).await;
    }
    raw.send_bytes(b"9999call000001{}").await;
    let failure: Failure = raw.expect("call000001", 400).await;
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str()),
        ("INCORRECT_REQUEST", "Invalid Route Number 9999")
    );
    raw.send_bytes(b"05x6call000002{}").await;
    assert!(raw.expect::<Failure>("call000002", 400).await.message.starts_with("Invalid Route Number"));
    raw.send_bytes(b"0506\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe{").await;
    let Some(Ok(Message::Binary(bytes))) = raw.socket.next().await else { panic!("an answer") };
    assert!(
        bytes.starts_with(b"\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe400{"),
        "the id is echoed byte for byte"
    );
    let deep = [b"0506call000003".to_vec(), b"[".repeat(100_000)].concat();
    raw.send_bytes(&deep).await;
    assert_eq!(raw.expect::<Failure>("call000003", 400).await.code, "INCORRECT_REQUEST");
    raw.send(Action::DATA, b"call000004", &chunk("nowhere", "LAST::PROCESS", vec![1])).await;
    assert_eq!(raw.expect::<Failure>("call000004", 404).await.code, "INVALID_MEASUREMENT");
    raw.send(Action::DATA, b"call000005", &chunk(&measurement, "MIDDLE::PROCESS", vec![1])).await;
    let failure: Failure = raw.expect("call000005", 400).await;
    assert_eq!(failure.code, "VALIDATION_ERROR");
    assert!(failure.errors.contains_key("Action"));
    raw.send(Action::DATA, b"call000006", &chunk(&measurement, "FIRST::PROCESS", vec![])).await;
    assert_eq!(raw.expect::<Failure>("call000006", 400).await.code, "UNPACKER_RPC_ERROR");
    raw.send(Action::SUBSCRIBE_RESULTS, b"call000007", &subscribe(&measurement, "elevenbytes")).await;
    assert_eq!(raw.expect::<Failure>("call000007", 400).await.code, "INCORRECT_REQUEST");
    let numbered =
        |order| Data { chunk_order: Some(order), ..chunk(&measurement, "CHUNK::PROCESS", vec![1; 150]) };
    raw.send(Action::DATA, b"call000008", &numbered(0)).await;
    raw.expect::<DataAck>("call000008", 200).await;
    raw.send(Action::DATA, b"call000009", &numbered(2)).await;
    assert_eq!(raw.expect::<Failure>("call000009", 400).await.code, "MISALIGNED_CHUNK");
}

#[tokio::test]
async fn a_measurement_ends_after_two_minutes_of_chunks() {
    let server = Server::start(&Options::default()).await;
    let measurement = created(&server, "t").await;
    let mut raw = Raw::connect(&server, "/", &["proto"], Some("t")).await;
    for _ in 0..24 {
        raw.send(Action::DATA, b"call000001", &chunk(&measurement, "CHUNK::IGNORE", pulse(60.0, 5.0))).await;
        raw.expect::<DataAck>("call000001", 200).await;
    }
    raw.send(Action::DATA, b"call000002", &chunk(&measurement, "CHUNK::IGNORE", pulse(60.0, 5.0))).await;
    assert_eq!(raw.expect::<Failure>("call000002", 400).await.code, "MEASUREMENT_CLOSED");
}

#[tokio::test]
async fn results_find_their_subscribers() {
    let server = Server::start(&Options::default()).await;
    let (first, second) = (created(&server, "t").await, created(&server, "t").await);
    let mut raw = Raw::connect(&server, "/", &["json"], Some("t")).await;
    // A result that was ready before anyone subscribed is kept for the first who does.
    raw.send(Action::DATA, b"call000001", &chunk(&first, "CHUNK::PROCESS", pulse(60.0, 5.0))).await;
    raw.expect::<DataAck>("call000001", 200).await;
    raw.send(Action::SUBSCRIBE_RESULTS, b"call000002", &subscribe(&first, "A")).await;
    assert_eq!(raw.next().await.0, "call000002");
    assert_eq!(raw.expect::<Outcome>("A         ", 200).await.measurement_id, first);
    // Two subscriptions on one connection, and one of them on two connections.
    raw.send(Action::SUBSCRIBE_RESULTS, b"call000003", &subscribe(&second, "B")).await;
    assert_eq!(raw.next().await.0, "call000003");
    let mut other = Raw::connect(&server, "/dfx", &["proto"], Some("t")).await;
    other.send(Action::SUBSCRIBE_RESULTS, b"call000001", &subscribe(&second, "C")).await;
    assert_eq!(other.next().await.0, "call000001");
    raw.send(Action::DATA, b"call000004", &chunk(&second, "CHUNK::PROCESS", pulse(60.0, 5.0))).await;
    raw.expect::<DataAck>("call000004", 200).await;
    assert_eq!(raw.expect::<Outcome>("B         ", 200).await.measurement_id, second);
    assert_eq!(other.expect::<Outcome>("C         ", 200).await.measurement_id, second);
    // The same RequestID again: the last subscription wins.
    raw.send(Action::SUBSCRIBE_RESULTS, b"call000005", &subscribe(&second, "A")).await;
    assert_eq!(raw.next().await.0, "call000005");
    raw.send(Action::DATA, b"call000006", &chunk(&first, "LAST::PROCESS", pulse(60.0, 5.0))).await;
    raw.expect::<DataAck>("call000006", 200).await;
    // Nobody subscribed to the first any more, but it can be fetched when it is ready: before the connection is read on.
    raw.send_bytes(b"0100call000007{}").await;
    raw.expect::<ServerStatus>("call000007", 200).await;
    let url = format!("{}/measurements/{first}/results/1", server.url());
    let client = reqwest::Client::new();
    let outcome: serde_json::Value =
        client.get(url).bearer_auth("t").send().await.unwrap().json().await.unwrap();
    assert_eq!(outcome["MeasurementDataID"], format!("{first}:1"));
    let url = format!("{}/measurements/{first}?ExpandResults=true", server.url());
    let whole: serde_json::Value =
        client.get(url).bearer_auth("t").send().await.unwrap().json().await.unwrap();
    assert_eq!(whole["StatusID"], "COMPLETE");
    assert_eq!(whole["Results"]["HR_BPM"][0]["Data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn json_is_ascii_for_clients_that_take_bytes_for_characters() {
    let server = server_with("note = \"Größe 😀\"").await;
    let measurement = created(&server, "t").await;
    let mut raw = Raw::connect(&server, "/", &["json"], Some("t")).await;
    raw.send(Action::SUBSCRIBE_RESULTS, b"call000001", &subscribe(&measurement, "A")).await;
    raw.next().await;
    raw.send(Action::DATA, b"call000002", &chunk(&measurement, "LAST::PROCESS", pulse(60.0, 5.0))).await;
    raw.next().await;
    let (_, _, body) = raw.next().await;
    assert!(body.is_ascii());
    let outcome = Outcome::decode(Encoding::Json, &body).unwrap();
    assert_eq!(outcome.channels["HR_BPM"].notes, ["Größe 😀"]);
    // Latin-1, as the JavaScript client would send it.
    raw.send_bytes(b"0504call000003{\"StudyID\":\"Gr\xf6\xdfe\"}").await;
    assert_eq!(raw.next().await.1, 200);
}

#[tokio::test]
async fn a_message_beyond_the_limit_ends_only_its_own_connection() {
    let server = Server::start(&Options::default()).await;
    let mut other = Raw::connect(&server, "/", &["json"], Some("t")).await;
    let mut raw = Raw::connect(&server, "/", &["json"], Some("t")).await;
    // The server may close before all of it is sent.
    let _ = raw.socket.send(Message::binary(vec![b'0'; 20 << 20])).await;
    let ended = loop {
        match raw.socket.next().await {
            Some(Ok(Message::Close(Some(frame)))) => break Some(u16::from(frame.code)),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => break None,
        }
    };
    assert!(ended.is_none_or(|code| code == 1009), "{ended:?}");
    other.send_bytes(b"0100call000001{}").await;
    assert_eq!(other.expect::<ServerStatus>("call000001", 200).await.status_id, "ACTIVE");
}

#[tokio::test]
async fn results_are_on_the_timeline() {
    use cloverleaf::timeline::{Source, Value};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = cloverleaf::app::App::new(&Options::default()).await.unwrap();
    let mut timeline = app.timeline().subscribe();
    let serving = tokio::spawn(app.serve(listener, std::future::pending()));
    let client = reqwest::Client::new();
    let post = async |path: &str, body: serde_json::Value| -> serde_json::Value {
        let request = client.post(format!("http://{address}{path}")).bearer_auth("t").json(&body);
        request.send().await.unwrap().json().await.unwrap()
    };
    let created = post("/measurements", serde_json::json!({})).await;
    let path = format!("/dfx/measurements/{}/data", created["ID"].as_str().unwrap());
    use base64::Engine;
    let payload = base64::engine::general_purpose::STANDARD.encode(pulse(66.0, 5.0));
    let ack = post(&path, serde_json::json!({ "Action": "LAST::PROCESS", "Payload": payload })).await;
    assert_eq!(ack["ChunkOrder"], 0);
    let rate = async {
        loop {
            let entry = timeline.next().await.expect("a timeline").expect("nothing missed");
            if entry.source == Source::Driver && entry.topic == "heart_rate" {
                break entry.value.clone();
            }
        }
    };
    let rate = tokio::time::timeout(std::time::Duration::from_secs(10), rate).await.expect("in time");
    assert!(matches!(rate, Value::Quantity { value, unit: "bpm" } if (value - 66.0).abs() < 1.0), "{rate:?}");
    serving.abort();
}
