//! What clients rely on that do not run here: those of C++, and the first of all.

use cloverleaf::config::Options;
use cloverleaf::services::dfx::events::{
    Body, ById, Create, Created, Data, DataAck, Encoding, Failure, Login, Outcome, Params, RegisterLicense,
    Registered, Retrieved, ServerStatus, Token, Tokens,
};
use cloverleaf_core::dfx::{Action, Response};

use crate::dfx::{Raw, chunk, created, pulse, subscribe};
use crate::support::Server;

/// The habits of the C++ client, frame by frame: binary frames, counted ids, every chunk but the last is FIRST, each
/// reply is waited for, and every stream of results has the same id.
#[tokio::test]
async fn the_habits_of_the_cpp_client_are_served_in_both_encodings() {
    let server = Server::start(&Options::default()).await;
    for protocol in ["json", "proto"] {
        let mut raw = Raw::connect(&server, "/", &[protocol], None).await;
        raw.send(Action::LOGIN_WITH_TOKEN, b"0718000001", &Token { token: "t".into() }).await;
        assert_eq!(raw.expect::<Token>("0718000001", 200).await.token, "t");
        let mut created = Vec::new();
        for number in 2..4 {
            let id = format!("0504{number:06}");
            let create = Create { study_id: "study".into(), ..Create::default() };
            raw.send(Action::CREATE, id.as_bytes().try_into().expect("ten bytes"), &create).await;
            created.push(raw.expect::<Created>(&id, 200).await.id);
        }
        let mut counter = 4;
        for measurement in &created {
            raw.send(Action::SUBSCRIBE_RESULTS, b"0510000004", &subscribe(measurement, "STRM001010")).await;
            let (id, status, body) = raw.next().await;
            assert_eq!((id.as_str(), status), ("0510000004", 200));
            assert_eq!(body, if protocol == "json" { &b"{}"[..] } else { b"" }, "{protocol}");
            for (number, action) in
                ["FIRST::PROCESS", "FIRST::PROCESS", "LAST::PROCESS"].into_iter().enumerate()
            {
                counter += 1;
                let id = format!("0506{counter:06}");
                let chunk = chunk(measurement, action, pulse(72.0, 5.0));
                raw.send(Action::DATA, id.as_bytes().try_into().expect("ten bytes"), &chunk).await;
                let ack: DataAck = raw.expect(&id, 200).await;
                assert_eq!(ack.chunk_order as usize, number, "numbered here, not dropped");
                let outcome: Outcome = raw.expect("STRM001010", 200).await;
                assert_eq!(outcome.data_id, format!("{measurement}:{number}"));
            }
        }
        // It looks at the first twenty characters of the message, and at nothing else, to say "unsupported".
        raw.send(Action::new(9999).expect("four digits"), b"9999000099", &Token::default()).await;
        let failure: Failure = raw.expect("9999000099", 400).await;
        assert_eq!(failure.message.get(..20), Some("Invalid Route Number"), "{protocol}");
    }
}

/// What a program asks for that speaks protobuf and nothing else.
#[tokio::test]
async fn accounts_and_measurements_are_told_of_in_protobuf() {
    let mut options = Options::default();
    options.dfx.dfx_key = Some("secret".parse().unwrap());
    let server = Server::start(&options).await;
    let mut raw = Raw::connect(&server, "/", &["proto"], None).await;
    raw.send(Action::STATUS, b"call000001", &Token::default()).await;
    let status: ServerStatus = raw.expect("call000001", 200).await;
    assert_eq!((status.status_id.as_str(), status.version.is_empty()), ("ACTIVE", false));
    let wrong = RegisterLicense { key: "wrong".into(), ..RegisterLicense::default() };
    raw.send(Action::REGISTER_LICENSE, b"call000002", &wrong).await;
    assert_eq!(raw.expect::<Failure>("call000002", 401).await.code, "INVALID_LICENSE");
    let licence = RegisterLicense { key: "secret".into(), ..RegisterLicense::default() };
    raw.send(Action::REGISTER_LICENSE, b"call000003", &licence).await;
    let registered: Registered = raw.expect("call000003", 200).await;
    assert!(!registered.device_id.is_empty() && !registered.refresh_token.is_empty());
    let login = Login { password: "secret".into(), ..Login::default() };
    for action in [Action::USER_LOGIN, Action::ORGANIZATION_LOGIN] {
        raw.send(action, b"call000004", &login).await;
        let tokens: Tokens = raw.expect("call000004", 200).await;
        raw.send(Action::RENEW_TOKEN, b"call000005", &tokens).await;
        assert_ne!(raw.expect::<Tokens>("call000005", 200).await.token, tokens.token);
    }
    raw.send(Action::VERIFY_TOKEN, b"call000006", &Token::default()).await;
    assert_eq!(raw.expect::<Failure>("call000006", 401).await.code, "INVALID_TOKEN");
    raw.send(Action::LOGIN_WITH_TOKEN, b"call000007", &Token { token: registered.token }).await;
    raw.expect::<Token>("call000007", 200).await;
    raw.send(Action::VERIFY_TOKEN, b"call000008", &Token::default()).await;
    assert_eq!(raw.next().await, ("call000008".into(), 200, Vec::new()), "protobuf has no message for this");
    raw.send(Action::CREATE, b"call000009", &Create { study_id: "study".into(), ..Create::default() }).await;
    let id = raw.expect::<Created>("call000009", 200).await.id;
    raw.send(Action::RETRIEVE, b"call000010", &ById { params: Params { id: id.clone() } }).await;
    let Retrieved { summary, .. } = raw.expect("call000010", 200).await;
    assert_eq!(
        (summary.id, summary.study_id.as_str(), summary.status_id.as_str()),
        (id, "study", "CAPTURING")
    );
    assert!(summary.created > 1_600_000_000, "{}", summary.created);
    // Only in JSON: said so that clients take it for a feature that is not supported.
    raw.send(Action::LIST, b"call000011", &Token::default()).await;
    let failure: Failure = raw.expect("call000011", 400).await;
    assert!(failure.message.starts_with("Invalid Route Number 0501"), "{}", failure.message);
}

/// Where there is no pulse the C++ client walks through `Errors`, whether they are there or not.
#[tokio::test]
async fn a_result_without_a_pulse_says_of_which_signal() {
    let server = Server::start(&Options::default()).await;
    for protocol in ["json", "proto"] {
        let measurement = created(&server, "t").await;
        let mut raw = Raw::connect(&server, "/", &[protocol], Some("t")).await;
        raw.send(Action::SUBSCRIBE_RESULTS, b"call000001", &subscribe(&measurement, "RESULTS001")).await;
        raw.next().await;
        raw.send(Action::DATA, b"call000002", &chunk(&measurement, "LAST::PROCESS", vec![7; 150])).await;
        raw.expect::<DataAck>("call000002", 200).await;
        let outcome: Outcome = raw.expect("RESULTS001", 200).await;
        assert_eq!(outcome.error.code, "LIVENESS_ERROR");
        assert_eq!(outcome.error.errors["HR_BPM"].msgs, ["no pulse in the samples"]);
    }
}

/// The first clients take what has more than 60 bytes for a result, and up to 60 for a reply.
#[tokio::test]
async fn errors_about_chunks_are_short_in_protobuf() {
    let server = Server::start(&Options::default()).await;
    let measurement = created(&server, "t").await;
    let mut raw = Raw::connect(&server, "/", &[], Some("t")).await;
    let numbered = Data { chunk_order: Some(9), ..chunk(&measurement, "CHUNK::PROCESS", vec![1; 150]) };
    raw.send(Action::DATA, b"call000001", &numbered).await;
    let mut errors = vec![raw.next().await];
    raw.send(Action::DATA, b"call000001", &chunk("nowhere", "LAST::PROCESS", vec![1])).await;
    errors.push(raw.next().await);
    raw.send(Action::SUBSCRIBE_RESULTS, b"call000001", &subscribe("nowhere", "RESULTS001")).await;
    errors.push(raw.next().await);
    raw.send(Action::DATA, b"call000001", &chunk(&measurement, "LAST::PROCESS", vec![])).await;
    errors.push(raw.next().await);
    raw.send(Action::DATA, b"call000001", &chunk(&measurement, "LAST::IGNORE", vec![1; 150])).await;
    raw.next().await;
    raw.send(Action::DATA, b"call000001", &chunk(&measurement, "LAST::IGNORE", vec![1; 150])).await;
    errors.push(raw.next().await);
    for (_, status, body) in errors {
        let failure = Failure::decode(Encoding::Proto, &body).unwrap();
        assert!(status >= 400 && Response::HEADER + body.len() <= 60, "{failure:?}");
    }
}
