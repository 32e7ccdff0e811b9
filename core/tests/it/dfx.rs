//! DFX: golden frames, bodies, the ledger and the session.

use cloverleaf_core::dfx::body::{ChunkAction, json, proto};
use cloverleaf_core::dfx::{
    Action, BufferTooSmall, Event, Full, Id, Ledger, ParseError, ROUTES, Received, Request, RequestError,
    Response, Session, Slot, Status, Waiting,
};
use cloverleaf_core::machine::{Machine, Output};
use cloverleaf_core::time::{Duration, Instant};

use crate::laws::{Ask, Link, Step, hold};

const MEASUREMENT: &str = "155e020e-f43d-4add-921b-456f06763401";
const CALL: Id = Id::new(*b"abcdefghij");
const SUBSCRIPTION: Id = Id::new(*b"RESULTS001");

struct Golden {
    name: &'static str,
    request: bool,
    outcome: &'static str,
    bytes: Vec<u8>,
}

fn golden() -> Vec<Golden> {
    let text = include_str!("../transcripts/dfx/frames.txt");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let frames: Vec<Golden> = lines
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [name, direction, _encoding, outcome, hex] = fields[..] else {
                panic!("five columns: {line}")
            };
            let digits = if hex == "-" { "" } else { hex };
            let bytes =
                (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[at * 2..][..2], 16).unwrap());
            Golden { name, request: direction == "request", outcome, bytes: bytes.collect() }
        })
        .collect();
    assert_eq!(frames.len(), 27);
    frames
}

fn frame(name: &str) -> Vec<u8> {
    golden().into_iter().find(|golden| golden.name == name).expect(name).bytes
}

fn emitted(emit: impl FnOnce(&mut [u8]) -> Result<usize, BufferTooSmall>) -> Vec<u8> {
    let mut buf = vec![0; 4096];
    let len = emit(&mut buf).expect("fits");
    buf.truncate(len);
    buf
}

fn after(seconds: u64) -> Option<Instant> {
    Some(Instant::ZERO + Duration::from_secs(seconds))
}

#[test]
fn golden_frames_parse_and_emit_the_same_bytes() {
    for Golden { name, request, outcome, bytes } in golden() {
        let outcome_of = |error| match error {
            ParseError::TooShort { .. } => "too_short",
            ParseError::BadStatus(_) => "bad_status",
            ParseError::BadAction(_) => "bad_action",
        };
        let (found, again) = if request {
            match Request::parse(&bytes) {
                Ok(request) => ("ok", emitted(|buf| request.emit(buf))),
                Err(e) => (outcome_of(e), bytes.clone()),
            }
        } else {
            match Response::parse(&bytes) {
                Ok(response) => ("ok", emitted(|buf| response.emit(buf))),
                Err(e) => (outcome_of(e), bytes.clone()),
            }
        };
        assert_eq!((found, again), (outcome, bytes), "{name}");
    }
}

#[test]
fn headers_are_what_the_bytes_say() {
    let bytes = frame("req_login_token_json");
    let request = Request::parse(&bytes).unwrap();
    assert_eq!((request.action, request.id), (Action::LOGIN_WITH_TOKEN, CALL));
    assert_eq!(request.body, br#"{"Token": "DEVTOK"}"#);
    let bytes = frame("bad_rid_multibyte_split");
    assert_eq!(Response::parse(&bytes).unwrap().id.as_bytes(), "ééééé".as_bytes());
    assert_eq!(Response::parse(&bytes).unwrap().id.as_str(), None);
    let bytes = frame("padded_rid");
    assert_eq!(Some(Response::parse(&bytes).unwrap().id), Id::padded("abc"));
    assert_eq!(Response::parse(&frame("status_999")).unwrap().status.code(), 999);
}

#[test]
fn every_length_below_a_header_is_too_short() {
    let bytes = [b'2'; 14];
    for have in 0..14 {
        assert_eq!(Request::parse(&bytes[..have]), Err(ParseError::TooShort { need: 14, have }));
    }
    for have in 0..13 {
        assert_eq!(Response::parse(&bytes[..have]), Err(ParseError::TooShort { need: 13, have }));
    }
    assert!(Request::parse(&bytes).is_ok() && Response::parse(&bytes).is_ok());
}

#[test]
fn numbers_that_lenient_parsers_take_are_refused() {
    for status in [b"+20", b" 20", b"20 ", b"2x0", b"0x1", b"099", b"000", b"-01", b"\xff00"] {
        let mut bytes = *b"abcdefghij___{}";
        bytes[10..13].copy_from_slice(status);
        assert_eq!(Response::parse(&bytes), Err(ParseError::BadStatus(*status)));
    }
    for action in [b"+506", b" 506", b"05 6", b"0x1f", b"\xd9\xa0\xd9\xa1"] {
        let mut bytes = *b"____abcdefghij";
        bytes[..4].copy_from_slice(action);
        assert_eq!(Request::parse(&bytes), Err(ParseError::BadAction(*action)));
    }
}

#[test]
fn a_frame_is_written_whole_or_not_at_all() {
    let response = Response { id: CALL, status: Status::OK, body: b"{}" };
    let mut buf = [7; 14];
    assert_eq!(response.emit(&mut buf), Err(BufferTooSmall { need: 15, have: 14 }));
    assert_eq!(buf, [7; 14]);
}

#[test]
fn routes_are_sorted_unique_and_found() {
    assert!(ROUTES.is_sorted_by(|a, b| a.number < b.number));
    for route in ROUTES {
        let action = Action::new(route.number).unwrap();
        assert_eq!(action.route(), Some(route));
        assert!(route.path.starts_with('/') && route.name.contains('.'), "{route:?}");
        assert!(["GET", "POST", "PATCH", "DELETE", "CONNECT"].contains(&route.method), "{route:?}");
    }
    assert_eq!(Action::SUBSCRIBE_RESULTS.name(), Some("Measurements.SubscribeResults"));
    assert_eq!(Action::new(10_000), None);
}

#[test]
fn protobuf_bodies_read_and_write_the_golden_bytes() {
    let bytes = frame("req_subscribe_proto");
    let body = Request::parse(&bytes).unwrap().body;
    let subscribe: proto::Subscribe = proto::decode(body).unwrap();
    assert_eq!(subscribe.params.as_ref().unwrap().id, MEASUREMENT);
    assert_eq!(subscribe.request_id, "RESULTS001");
    assert_eq!(proto::encode(&subscribe, &mut [0; 256]).unwrap(), body);

    let bytes = frame("req_adddata_proto_first");
    let body = Request::parse(&bytes).unwrap().body;
    let data: proto::Data = proto::decode(body).unwrap();
    assert_eq!(data.action.parse(), Ok(ChunkAction::of(0, 2)));
    assert_eq!((data.chunk_order, data.start_time, data.duration), (0, 0, 5.0));
    assert_eq!((data.payload.len(), data.meta), (16, &br#"{"Order":0}"#[..]));
    assert_eq!(proto::encode(&data, &mut [0; 256]).unwrap(), body);

    let bytes = frame("resp_adddata_ack_proto_11");
    let ack: proto::DataAck = proto::decode(Response::parse(&bytes).unwrap().body).unwrap();
    assert_eq!((ack.id, ack.chunk_order), (format!("{MEASUREMENT}:11").as_str(), 11));

    let bytes = frame("resp_error_proto_short");
    let failure: proto::Failure = proto::decode(Response::parse(&bytes).unwrap().body).unwrap();
    assert_eq!((failure.code, failure.message), ("MEASUREMENT_CLOSED", "closed"));

    let bytes = frame("resp_result_proto");
    let response = Response::parse(&bytes).unwrap();
    let outcome: proto::Outcome = proto::decode(response.body).unwrap();
    assert_eq!(response.id, SUBSCRIPTION);
    assert_eq!((outcome.measurement_id, outcome.multiplier), (MEASUREMENT, 1000));
    assert_eq!(outcome.error.as_ref().unwrap().code, "OK");
    let channels: Vec<_> = outcome.channels.iter().map(Result::unwrap).collect();
    assert_eq!((channels.len(), channels[0].name), (1, "HR_BPM"));
    let channel = channels[0].channel.as_ref().unwrap();
    let data: Vec<i32> = channel.data.iter().map(Result::unwrap).collect();
    assert_eq!((data, channel.channel), (vec![72_000, 72_100, -5], "HR_BPM"));
    assert_eq!(proto::encode(&outcome, &mut [0; 256]).unwrap(), response.body);
}

#[test]
fn unknown_protobuf_fields_are_skipped_and_broken_ones_refused() {
    let ack: proto::DataAck =
        proto::decode(b"\x9a\x06\x03new\x0a\x01x\xa5\x06\0\0\0\0\xa1\x06\0\0\0\0\0\0\0\0").unwrap();
    assert_eq!(ack.id, "x");
    for broken in [
        &b"\x0a\x05abc"[..],
        b"\x0a",
        b"\x10",
        b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x0a\x01\xff",
    ] {
        assert!(proto::decode::<proto::DataAck>(broken).is_err(), "{broken:02x?}");
    }
}

#[test]
fn json_bodies_read_the_golden_bytes() {
    let bytes = frame("resp_adddata_ack_json");
    let ack: json::DataAck = json::decode(Response::parse(&bytes).unwrap().body).unwrap();
    assert_eq!((ack.id, ack.chunk_order), (format!("{MEASUREMENT}:0").as_str(), Some(0)));

    let bytes = frame("resp_error_json_unknown_action");
    let failure: json::Failure = json::decode(Response::parse(&bytes).unwrap().body).unwrap();
    assert_eq!(failure.code, "INCORRECT_REQUEST");
    assert!(failure.message.unwrap().starts_with("Invalid Route Number"));

    let bytes = frame("resp_result_json");
    let body = Response::parse(&bytes).unwrap().body;
    let outcome: json::Outcome<4, 8> = json::decode(body).unwrap();
    assert_eq!((outcome.measurement_id, outcome.multiplier), (MEASUREMENT, Some(1000)));
    assert_eq!(outcome.channels["HR_BPM"].data, [72_000, 72_100, -5]);
    assert_eq!(outcome.error.code, "OK");
    assert_eq!(json::decode::<json::Outcome<4, 2>>(body).unwrap_err(), json::DecodeError::Unexpected);
}

#[test]
fn json_requests_are_what_other_clients_send() {
    let bytes = frame("req_adddata_json");
    let theirs = Request::parse(&bytes).unwrap().body;
    let payload: Vec<u8> = (0..16).collect();
    let data = json::Data {
        params: json::Params { id: MEASUREMENT },
        action: ChunkAction::of(0, 2).as_str(),
        payload: &payload,
    };
    let mut buf = [0; 256];
    let without_spaces: Vec<u8> = theirs.iter().copied().filter(|byte| *byte != b' ').collect();
    assert_eq!(json::encode(&data, &mut buf).unwrap(), without_spaces);
    assert_eq!(json::encode(&data, &mut [0; 10]), Err(json::TooLong));
}

#[test]
fn deep_json_is_refused_before_it_is_read() {
    let deep = format!(r#"{{"x":{}1{},"ID":"a"}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(json::decode::<json::Created>(deep.as_bytes()), Err(json::DecodeError::TooDeep));
    let brackets_in_text = format!(r#"{{"x":"\"{}","ID":"a"}}"#, "[".repeat(100));
    assert_eq!(json::decode::<json::Created>(brackets_in_text.as_bytes()).unwrap().id, "a");
}

#[test]
fn depth_is_not_hidden_by_what_is_no_json() {
    // To a parser that skips to the next comma the quote after the 1 opens nothing.
    let deep = format!(r#"{{"a":1","b":{}"#, "[".repeat(100_000));
    assert_eq!(json::decode::<json::Created>(deep.as_bytes()), Err(json::DecodeError::Unexpected));
    for not_json in
        [&br#"{"ID":"a"} x"#[..], br#"{"ID":"a","b":nul}"#, br#"{"ID":"\x"}"#, b"", b"{\"ID\":\"\xff\"}"]
    {
        assert_eq!(json::decode::<json::Created>(not_json), Err(json::DecodeError::Unexpected));
    }
}

#[test]
fn a_reply_that_cannot_be_read_ends_its_call() {
    let mut ledger = Ledger::new([Slot::default(); 3]);
    let call = ledger.call(Action::DATA, after(1), ()).unwrap();
    let subscription = ledger.subscribe(()).unwrap();
    let bad = |id: Id| [&id.as_bytes()[..], b"2x0{}"].concat();
    let error = ParseError::BadStatus(*b"2x0");
    assert_eq!(ledger.receive(&bad(Id::new(*b"nobody's_1"))), Err(error));
    assert_eq!(
        ledger.receive(&bad(call)),
        Ok(Received::Malformed(call, Waiting::Call(Action::DATA, ()), error))
    );
    assert_eq!(ledger.receive(&bad(call)), Err(error), "it is over");
    let short = ParseError::TooShort { need: 13, have: 10 };
    let cut = ledger.receive(subscription.as_bytes());
    assert_eq!(cut, Ok(Received::Malformed(subscription, Waiting::Subscription(()), short)));
    assert_eq!(ledger.release(subscription), Some(Waiting::Subscription(())), "it goes on");
}

#[test]
fn replies_reach_their_calls_in_any_order() {
    let mut ledger = Ledger::new(vec![Slot::default(); 1000]);
    let ids: Vec<Id> = (0..1000).map(|_| ledger.call(Action::DATA, after(9), ()).unwrap()).collect();
    assert_eq!(ledger.call(Action::DATA, None, ()), Err(Full));
    // 617 and 1000 are coprime: a permutation of all calls.
    for at in (0..1000).map(|step| step * 617 % 1000) {
        let reply = emitted(|buf| Response { id: ids[at], status: Status::OK, body: b"{}" }.emit(buf));
        assert!(
            matches!(ledger.receive(&reply), Ok(Received::Reply(Action::DATA, r, ())) if r.id == ids[at])
        );
    }
    assert_eq!((ledger.open_count(), ledger.unknown_count()), (0, 0));
}

#[test]
fn ids_wrap_without_meeting_one_that_is_pending() {
    let mut ledger = Ledger::new([Slot::default(); 3]);
    let held = ledger.call(Action::CREATE, after(1), ()).unwrap();
    for _ in 0..1_000_010 {
        let id = ledger.call(Action::CREATE, after(1), ()).unwrap();
        assert_ne!(id, held);
        assert_eq!(ledger.release(id), Some(Waiting::Call(Action::CREATE, ())));
    }
    assert_eq!(ledger.release(held), Some(Waiting::Call(Action::CREATE, ())));
    assert_eq!(ledger.release(held), None);
}

#[test]
fn a_free_slot_is_found_where_the_counter_wraps() {
    // 1 000 000 is no multiple of three: at the wrap the counter passes slot 0 twice and slot 1 only then.
    let mut ledger = Ledger::new([Slot::default(); 3]);
    let call =
        |ledger: &mut Ledger<[Slot; 3]>| ledger.call(Action::CREATE, after(1), ()).expect("a slot is free");
    let (_held, turn, _held_too) = (call(&mut ledger), call(&mut ledger), call(&mut ledger));
    ledger.release(turn);
    for _ in 0..1_000_010 {
        let turn = call(&mut ledger);
        ledger.release(turn);
    }
    assert_eq!(ledger.open_count(), 2);
}

#[test]
fn a_result_may_come_before_the_reply_to_its_subscription() {
    let mut ledger = Ledger::new([Slot::default(); 2]);
    let subscription = ledger.subscribe(()).unwrap();
    let call = ledger.call(Action::SUBSCRIBE_RESULTS, after(1), ()).unwrap();
    assert_ne!(subscription, call);
    let message = |id| emitted(|buf| Response { id, status: Status::OK, body: b"" }.emit(buf));
    assert!(matches!(ledger.receive(&message(subscription)), Ok(Received::Result(..))));
    assert!(matches!(ledger.receive(&message(call)), Ok(Received::Reply(Action::SUBSCRIBE_RESULTS, ..))));
    assert!(matches!(ledger.receive(&message(subscription)), Ok(Received::Result(..))));
    ledger.release(subscription);
    assert!(matches!(ledger.receive(&message(subscription)), Ok(Received::Unknown(_))));
    assert_eq!((ledger.open_count(), ledger.unknown_count()), (0, 1));
}

#[test]
fn a_closed_connection_ends_everything_that_waits() {
    let mut ledger = Ledger::new([Slot::default(); 4]);
    let call = ledger.call(Action::DATA, after(1), ()).unwrap();
    let subscription = ledger.subscribe(()).unwrap();
    assert_eq!(ledger.drain(), Some((call, Waiting::Call(Action::DATA, ()))));
    assert_eq!(ledger.drain(), Some((subscription, Waiting::Subscription(()))));
    assert_eq!((ledger.drain(), ledger.open_count()), (None, 0));
}

#[test]
fn a_session_sends_answers_and_times_out() {
    let (mut rx, mut tx) = ([0; 64], [0; 64]);
    let mut session = Session::new([Slot::default(); 2], &mut rx, &mut tx);
    let at = Instant::from_millis;
    let second = Duration::from_secs(1);
    let first = session.request(at(0), Action::STATUS, b"{}", second).unwrap();
    assert_eq!(session.request(at(0), Action::STATUS, b"{}", second), Err(RequestError::Busy));
    assert_eq!(session.poll(), Output::Transmit(b"01000100000000{}"));
    assert_eq!(session.poll(), Output::Wait(Some(at(1000))));
    let second_call = session.request(at(10), Action::RETRIEVE, b"", Duration::from_secs(2)).unwrap();
    assert_eq!(session.poll(), Output::Transmit(b"05000500000001"));
    assert_eq!(session.request(at(10), Action::LIST, b"", second), Err(RequestError::Full));

    session.handle_timeout(at(1000));
    assert_eq!(session.poll(), Output::Event(Event::TimedOut { id: first, action: Action::STATUS }));
    assert_eq!(session.poll(), Output::Wait(Some(at(2010))));
    session.handle_input(at(1001), b"0100000000200{}");
    assert_eq!(session.poll(), Output::Event(Event::Unknown { id: first, status: Status::OK }));
    session.handle_input(at(1002), b"0500000001404{}");
    let reply =
        Event::Reply { id: second_call, action: Action::RETRIEVE, status: Status::NOT_FOUND, body: b"{}" };
    assert_eq!(session.poll(), Output::Event(reply));
    session.handle_timeout(at(5000));
    assert_eq!(session.poll(), Output::Wait(None));
}

#[test]
fn a_session_keeps_the_laws_of_machines() {
    type Two = Session<'static, [Slot; 2]>;
    let ask = |ask: fn(&mut Two, Instant)| Step::Ask(Box::new(ask) as Ask<Two>);
    let call = |action| {
        Step::Ask(Box::new(move |session: &mut Two, now| {
            session.request(now, action, b"{}", Duration::from_secs(1)).unwrap();
        }) as Ask<Two>)
    };
    let script = [
        call(Action::STATUS),
        Step::Input(b"0100000000200{}".to_vec()),
        call(Action::STATUS),
        ask(|session, _| {
            session.subscribe().unwrap();
        }),
        Step::Pass(Duration::from_secs(2)),
        Step::Input(b"no frame".to_vec()),
        Step::Input(b"rslt000002200[1]".to_vec()),
        Step::Input(b"0100000001200{}".to_vec()),
        Step::Input(vec![b'2'; 100]),
    ];
    let buffer = || Box::leak(Box::new([0; 64]));
    let make = || Session::new([Slot::default(); 2], buffer(), buffer());
    let said = hold(Link::Messages, make, &script, |event| format!("{event:?}"));
    let told = |word: &str| said.iter().filter(|output| output.contains(word)).count();
    for word in ["Reply", "TimedOut", "Malformed", "Result", "Unknown", "TooLong"] {
        assert_eq!(told(word), 1, "{word}: {said:#?}");
    }
}

#[test]
fn a_session_lets_nothing_past_an_unanswered_login() {
    let (mut rx, mut tx) = ([0; 64], [0; 64]);
    let mut session = Session::new([Slot::default(); 2], &mut rx, &mut tx);
    let second = Duration::from_secs(1);
    session.request(Instant::ZERO, Action::LOGIN_WITH_TOKEN, br#"{"Token":"t"}"#, second).unwrap();
    assert!(matches!(session.poll(), Output::Transmit(_)));
    let early = session.request(Instant::ZERO, Action::CREATE, b"{}", second);
    assert_eq!(early, Err(RequestError::LoginPending));
    session.handle_input(Instant::ZERO, b"0718000000200{}");
    assert!(matches!(session.poll(), Output::Event(Event::Reply { .. })));
    assert!(session.request(Instant::ZERO, Action::CREATE, b"{}", second).is_ok());
}

#[test]
fn messages_that_are_no_frames_harm_nobody() {
    let (mut rx, mut tx) = ([0; 16], [0; 16]);
    let mut session = Session::new([Slot::default(); 1], &mut rx, &mut tx);
    let id = session.request(Instant::ZERO, Action::STATUS, b"", Duration::from_secs(1)).unwrap();
    assert!(matches!(session.poll(), Output::Transmit(_)));
    session.handle_input(Instant::ZERO, b"");
    let too_short = ParseError::TooShort { need: 13, have: 0 };
    assert_eq!(session.poll(), Output::Event(Event::Malformed { error: too_short, of: None }));
    assert_eq!(session.handle_input(Instant::ZERO, &[b'2'; 100]), 100);
    assert_eq!(session.handle_input(Instant::ZERO, b"again"), 0, "the one before has not been polled out");
    assert_eq!(session.poll(), Output::Event(Event::TooLong { len: 100 }));
    let too_long = session.request(Instant::ZERO, Action::STATUS, b"{}", Duration::from_secs(1));
    assert_eq!(too_long, Err(RequestError::Full));
    session.handle_input(Instant::ZERO, b"0100000000200");
    assert!(matches!(session.poll(), Output::Event(Event::Reply { id: replied, .. }) if replied == id));
    let too_long = session.request(Instant::ZERO, Action::STATUS, b"{} ", Duration::from_secs(1));
    assert_eq!(too_long, Err(RequestError::TooLong(BufferTooSmall { need: 17, have: 16 })));
    assert_eq!(session.ledger().open_count(), 0, "a request that does not fit takes no slot");
}
