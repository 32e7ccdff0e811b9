//! The wire against frames recorded from a real Phoenix, and against the vectors of its own tests.

use std::fs;
use std::path::Path;

use cloverleaf_core::phoenix::session::{Route, route};
use cloverleaf_core::phoenix::wire::{
    Body, EmitError, Message, Opcode, ParseError, Payload, Token, Version, parse_binary_of_client,
    parse_binary_of_server, parse_text,
};

/// Every frame of every transcript: (version, line's mark, bytes, whether the server closed at once).
fn recorded(mut check: impl FnMut(&str, Version, &str, &[u8], bool)) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/phoenix");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let mut versions = std::collections::HashMap::new();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        for (index, line) in lines.iter().enumerate() {
            let (connection, rest) = line.split_once(' ').unwrap();
            let (mark, data) = rest.split_once(' ').unwrap_or((rest, ""));
            if mark == "open" {
                let version = if data.contains("vsn=2.") { Version::V2 } else { Version::V1 };
                versions.insert(connection, version);
                continue;
            }
            let mark = mark.trim_start_matches('+');
            let bytes = match mark {
                ">" | "<" => data.as_bytes().to_vec(),
                ">x" | ">>" | "<<" => unhex(data),
                _ => continue,
            };
            let closed = lines
                .get(index + 1)
                .is_some_and(|next| next.starts_with(&format!("{connection} closed 1011")));
            check(&name, versions[connection], mark, &bytes, closed);
            count += 1;
        }
    }
    count
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn to_client(message: &Message<'_>, version: Version) -> Result<(Opcode, Vec<u8>), EmitError> {
    let mut bytes = Vec::new();
    let opcode = message.emit_to_client(version, &mut |piece| bytes.extend_from_slice(piece))?;
    Ok((opcode, bytes))
}

fn to_server(message: &Message<'_>, version: Version) -> Result<(Opcode, Vec<u8>), EmitError> {
    let mut bytes = Vec::new();
    let opcode = message.emit_to_server(version, &mut |piece| bytes.extend_from_slice(piece))?;
    Ok((opcode, bytes))
}

#[test]
fn recorded_frames_of_the_server_are_emitted_byte_for_byte() {
    let count = recorded(|name, version, mark, frame, _| {
        let (message, opcode) = match mark {
            "<" => (parse_text(version, frame), Opcode::Text),
            "<<" => (parse_binary_of_server(frame), Opcode::Binary),
            _ => return,
        };
        let message = message.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(to_client(&message, version), Ok((opcode, frame.to_vec())), "{name}");
        if let Some((status, response)) = message.reply() {
            // Put together from its parts it is the same frame.
            let again = Message { payload: Payload::Reply { status, response }, ..message };
            assert_eq!(to_client(&again, version), Ok((opcode, frame.to_vec())), "{name}");
        }
    });
    assert!(count > 600, "{count}");
}

#[test]
fn recorded_frames_of_clients_are_refused_exactly_where_phoenix_closed() {
    recorded(|name, version, mark, frame, closed| {
        let message = match mark {
            ">" | ">x" => parse_text(version, frame),
            ">>" => parse_binary_of_client(frame),
            _ => return,
        };
        assert_eq!(message.is_err(), closed, "{name}: {:?}", String::from_utf8_lossy(frame));
        let Ok(message) = message else { return };
        let (_, again) = to_server(&message, version).unwrap();
        if mark == ">>" {
            assert_eq!(again, frame, "{name}");
        } else {
            let again = parse_text(version, &again).unwrap();
            for (one, other) in [
                (message.join_ref, again.join_ref),
                (message.reference, again.reference),
                (message.topic, again.topic),
                (message.event, again.event),
            ] {
                assert!(one.same(other), "{name}: {one:?} {other:?}");
            }
            assert_eq!(message.body(), again.body());
        }
    });
}

#[test]
fn binary_frames_are_those_of_phoenix_own_tests() {
    let push = b"\x00\x02\x03\x05\x0512123topiceventefg";
    let message = parse_binary_of_client(push).unwrap();
    assert!(message.join_ref.is("12") && message.reference.is("123") && message.topic.is("topic"));
    assert!(message.event.is("event"));
    assert_eq!(message.body(), Body::Binary(b"efg"));
    assert_eq!(to_server(&message, Version::V2), Ok((Opcode::Binary, push.to_vec())));

    let text = Token::text;
    let reply = Message {
        join_ref: text("12"),
        reference: text("123"),
        topic: text("topic"),
        event: text("phx_reply"),
        payload: Payload::Reply { status: text("ok"), response: Body::Binary(b"efg") },
    };
    assert_eq!(to_client(&reply, Version::V2).unwrap().1, b"\x01\x02\x03\x05\x0212123topicokefg");
    let event = Message { event: text("event"), payload: Payload::Event(Body::Binary(b"efg")), ..reply };
    assert_eq!(to_client(&event, Version::V2).unwrap().1, b"\x00\x02\x05\x0512topiceventefg");
    let broadcast = Message { join_ref: Token::NULL, ..event };
    assert_eq!(to_client(&broadcast, Version::V2).unwrap().1, b"\x02\x05\x05topiceventefg");

    // What has no place in a binary frame.
    let long = "x".repeat(256);
    assert_eq!(to_client(&event, Version::V1), Err(EmitError::BinaryInV1));
    assert_eq!(to_client(&Message { topic: text(&long), ..event }, Version::V2), Err(EmitError::TooLong));
    assert_eq!(
        to_client(&Message { reference: Token::Json(b"5"), ..reply }, Version::V2),
        Err(EmitError::NotText)
    );
    let escaped = Message { reference: Token::Json(br#""\u00fc""#), ..reply };
    assert_eq!(to_client(&escaped, Version::V2).unwrap().1, "\x01\x02\x02\x05\x0212ütopicokefg".as_bytes());
}

#[test]
fn version_2_sends_events_only_with_objects() {
    for payload in [&b"[1]"[..], b"null", b"12", b"\"x\"", b"true"] {
        let event = Message {
            join_ref: Token::NULL,
            reference: Token::NULL,
            topic: Token::text("a"),
            event: Token::text("e"),
            payload: Payload::Event(Body::Json(payload)),
        };
        assert_eq!(to_client(&event, Version::V2), Err(EmitError::NotObject));
        assert!(to_client(&event, Version::V1).is_ok() && to_server(&event, Version::V2).is_ok());
        let payload = Payload::Reply { status: Token::text("ok"), response: Body::Json(payload) };
        assert!(to_client(&Message { payload, ..event }, Version::V2).is_ok());
    }
}

#[test]
fn a_server_treats_phoenix_as_a_topic_like_any_but_for_the_heartbeat() {
    for (event, found) in [
        ("heartbeat", Route::Heartbeat),
        ("phx_leave", Route::LeaveNothing),
        ("phx_join", Route::Join),
        ("echo", Route::Unmatched),
    ] {
        let frame = format!(r#"["1","2","phoenix","{event}",{{}}]"#);
        assert_eq!(route(&parse_text(Version::V2, frame.as_bytes()).unwrap(), None), found, "{event}");
    }
}

#[test]
fn cut_or_unknown_binary_frames_are_refused() {
    let push = b"\x00\x01\x01\x01\x01abcd";
    for end in 0..push.len() {
        assert_eq!(parse_binary_of_client(&push[..end]).unwrap_err(), ParseError::Truncated, "{end}");
    }
    assert_eq!(parse_binary_of_client(push).unwrap().body(), Body::Binary(b""));
    for kind in 1..=255 {
        assert_eq!(parse_binary_of_client(&[kind, 0, 0, 0, 0]).unwrap_err(), ParseError::Kind(kind));
    }
    assert!(parse_binary_of_client(&[0; 5]).unwrap().topic.is(""));
    assert_eq!(parse_binary_of_server(&[3, 0]).unwrap_err(), ParseError::Kind(3));
    assert_eq!(parse_binary_of_server(&[]).unwrap_err(), ParseError::Truncated);
}

#[test]
fn version_1_takes_keys_in_any_order_and_the_first_of_equals() {
    let frame = br#"{"x":1,"ref":7,"payload":"text","topic":"a","topic":"b","join_ref":null,"\u0065vent":"e","event":"E"}"#;
    let message = parse_text(Version::V1, frame).unwrap();
    assert!(message.topic.is("a") && message.join_ref.is_null());
    assert!(message.reference.same(Token::Json(b"7")) && !message.reference.is("7"));
    assert_eq!(message.body(), Body::Json(b"\"text\""));
    assert!(message.event.is("e"));
}

#[test]
fn vsn_is_a_whole_semantic_version() {
    for (vsn, version) in [
        ("1.0.0", Some(Version::V1)),
        ("1.0.1", Some(Version::V1)),
        ("2.0.0", Some(Version::V2)),
        ("2.0.13", Some(Version::V2)),
        ("2.0.1-dev", Some(Version::V2)),
        ("1.0.1-rc.1", Some(Version::V1)),
        ("2.0.0+build", Some(Version::V2)),
        ("2.0.1-0.x-1+007.a", Some(Version::V2)),
    ] {
        assert_eq!(Version::of(vsn), version);
    }
    for vsn in [
        "",
        "2",
        "1.0",
        "1.1.0",
        "0.9.0",
        "2.1.0",
        "3.0.0",
        "123.1.1",
        "2.0.0-dev",
        "abc",
        "2.0.",
        "2.0.x",
        "2.0.01",
        "2.0.0.0",
        "2.0.0-dev+build",
        "2.1.0-dev",
        "2.0.1-",
        "2.0.1-01",
        "2.0.1-a..b",
        "2.0.1-ü",
        "2.0.0+",
        "2.0.0+a+b",
    ] {
        assert_eq!(Version::of(vsn), None, "{vsn}");
    }
}
