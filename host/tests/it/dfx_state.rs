//! The DFX server's state in virtual time: no sockets, no clock.

use std::collections::{HashMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloverleaf::auth::Guard;
use cloverleaf::services::dfx::events::Encoding;
use cloverleaf::services::dfx::state::{
    Access, Asked, BadRules, DELAYED, ISSUED, Input, MEASUREMENTS, Message, Output, Rest, Rules, SUBSCRIBERS,
    SUBSCRIPTIONS, State,
};
use cloverleaf_core::dfx::Action;
use cloverleaf_core::time::{Duration, Instant};
use serde_json::{Value, json};

use crate::dfx::pulse;

pub(crate) fn state(rules: &str) -> State {
    let rules = Rules::parse(rules).expect("good rules");
    let lifetime = Duration::from_secs(rules.token_ttl);
    State::new(rules, Access::new(Guard::Open, lifetime), 1_700_000_000)
}

pub(crate) fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Plays a script. `@MS CLIENT open`, `close`, or `> FRAME` goes in at that time, `@MS tick` lets time pass. Then all that
/// comes out must be there: `CLIENT < HEAD PART` (a frame whose id and status are HEAD, and in whose body is PART),
/// `CLIENT text HEAD PART` or `CLIENT closes CODE`. `$PULSE` is a chunk of five seconds; a name such as `$A` stands for the
/// id that the server gave where it is first met.
fn check(rules: &str, script: &str) {
    let mut state = state(rules);
    let mut names = HashMap::from([("$PULSE".to_owned(), STANDARD.encode(pulse(60.0, 5.0)))]);
    let mut outputs = VecDeque::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let line =
            names.iter().fold(line.to_owned(), |line, (name, value)| line.replace(name.as_str(), value));
        if let Some(input) = line.strip_prefix('@') {
            assert!(outputs.is_empty(), "before {line}: {outputs:?}");
            let (now, input) = input.split_once(' ').expect("a time");
            outputs.extend(measured(&mut state, now.parse().expect("milliseconds"), input));
            outputs.retain(|output| !matches!(output, Output::Measured(_)));
            continue;
        }
        let mut words = line.splitn(4, ' ');
        let (client, how, head) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let part = words.next().unwrap_or_default();
        let output = outputs.pop_front().unwrap_or_else(|| panic!("nothing came: {line}"));
        let (to, frame) = match (how, &output) {
            ("closes", Output::Close { connection, code }) => (*connection, code.to_string().into_bytes()),
            ("<", Output::Send { connection, frame }) | ("text", Output::SendText { connection, frame }) => {
                (*connection, frame.clone())
            }
            _ => panic!("{line}: {output:?}"),
        };
        let frame = String::from_utf8(frame).expect("JSON is ASCII");
        assert!(to.to_string() == client && frame.starts_with(head), "{line}: to {to} {frame}");
        let body = &frame[head.len()..];
        match part.strip_prefix("{\"ID\":\"$") {
            Some(name) => {
                let body: Value = serde_json::from_str(body).expect("JSON");
                names.insert(format!("${}", &name[..1]), body["ID"].as_str().expect("an id").to_owned());
            }
            None => assert!(body.contains(part), "{line}: {frame}"),
        }
    }
    assert!(outputs.is_empty(), "at the end: {outputs:?}");
}

/// What comes of an input when chunks are analysed at once.
fn measured(state: &mut State, millis: u64, input: &str) -> Vec<Output> {
    let mut outputs = Vec::new();
    for output in put(state, millis, input) {
        match output {
            Output::Analyse(analysis) => {
                outputs.extend(state.handle(at(millis), Input::Analysed(analysis.run())));
            }
            output => outputs.push(output),
        }
    }
    outputs
}

pub(crate) fn put(state: &mut State, millis: u64, input: &str) -> Vec<Output> {
    if input == "tick" {
        return state.handle(at(millis), Input::Tick);
    }
    let (client, what) = input.split_once(' ').expect("a client");
    let connection = client.parse().expect("a number");
    let encoding = Encoding::Json;
    let input = match what.strip_prefix("> ") {
        Some(frame) => {
            let message = match Message::read(frame.as_bytes()) {
                Message::Request { action, id, asked: Asked::Body(body) } => {
                    Message::Request { action, id, asked: Asked::read(action, encoding, body) }
                }
                other => other,
            };
            return state.handle(at(millis), Input::Message { connection, message });
        }
        None if what == "open" => Input::Opened { connection, encoding, token: Some("t") },
        None => Input::Closed { connection },
    };
    state.handle(at(millis), input)
}

/// One client has created a measurement and subscribed to its results.
const MEASURING: &str = r#"
    @0 1 open
    @0 1 > 0504create0001{"StudyID":"s"}
    1 < create0001200 {"ID":"$A"}
    @0 1 > 0510subscribe1{"Params":{"ID":"$A"},"RequestID":"RESULTS00A"}
    1 < subscribe1200 {}
"#;

fn check_measuring(rules: &str, script: &str) {
    check(rules, &[MEASURING, script].concat());
}

#[test]
fn first_starts_again_only_where_it_says_so() {
    let twice = |second: &str, order: &str, number: u32| {
        format!(
            r#"
            @0 1 > 0506chunk00001{{"Params":{{"ID":"$A"}},"Action":"FIRST::PROCESS","Payload":"$PULSE"}}
            1 < chunk00001200 "ChunkOrder":0
            1 < RESULTS00A200 "MeasurementDataID":"$A:0"
            @0 1 > 0506chunk00002{{"Params":{{"ID":"$A"}},"Action":"{second}",{order}"Payload":"$PULSE"}}
            1 < chunk00002200 "ChunkOrder":{number}
            1 < RESULTS00A200 "MeasurementDataID":"$A:{number}"
            "#
        )
    };
    check_measuring("", &twice("FIRST::PROCESS", "", 1));
    check_measuring("", &twice("FIRST::PROCESS", "\"ChunkOrder\":0,", 0));
    check_measuring("first_resets = true", &twice("FIRST::PROCESS", "", 0));
    check_measuring("first_resets = true", &twice("CHUNK::PROCESS", "", 1));
}

#[test]
fn an_ignored_chunk_has_no_result_and_the_last_closes() {
    check_measuring(
        "",
        r#"
        @0 1 > 0506chunk00001{"Params":{"ID":"$A"},"Action":"FIRST::IGNORE","Payload":"$PULSE"}
        1 < chunk00001200 "ChunkOrder":0
        @0 1 > 0500retrieve01{"Params":{"ID":"$A"}}
        1 < retrieve01200 "StatusID":"CAPTURING"
        @0 1 > 0506chunk00002{"Params":{"ID":"$A"},"Action":"LAST::IGNORE","Payload":"$PULSE"}
        1 < chunk00002200 "ChunkOrder":1
        @7000 1 > 0506chunk00003{"Params":{"ID":"$A"},"Action":"LAST::IGNORE","Payload":"$PULSE"}
        1 < chunk00003400 {"Code":"MEASUREMENT_CLOSED","Message":"closed"}
        @9000 1 > 0500retrieve02{"Params":{"ID":"$A"}}
        1 < retrieve02200 "Mode":"DISCRETE","Created":1700000000,"Updated":1700000000
        "#,
    );
}

#[test]
fn results_take_as_long_as_the_rules_say_and_the_measurement_is_processing_meanwhile() {
    check_measuring(
        "latency = 400",
        r#"
        @1000 1 > 0506chunk00001{"Params":{"ID":"$A"},"Action":"LAST::PROCESS","Payload":"$PULSE"}
        1 < chunk00001200 "ChunkOrder":0
        @1399 1 > 0500retrieve01{"Params":{"ID":"$A"}}
        1 < retrieve01200 "StatusID":"PROCESSING"
        @1400 tick
        1 < RESULTS00A200 "Code":"OK"
        @1400 1 > 0500retrieve02{"Params":{"ID":"$A"}}
        1 < retrieve02200 "StatusID":"COMPLETE"
        "#,
    );
}

#[test]
fn results_are_shuffled_within_their_measurement_and_held_for_a_second_at_most() {
    check_measuring(
        "shuffle = 3",
        r#"
        @0 2 open
        @0 2 > 0504create0002{}
        2 < create0002200 {"ID":"$B"}
        @0 2 > 0510subscribe2{"Params":{"ID":"$B"},"RequestID":"RESULTS00B"}
        2 < subscribe2200 {}
        @0 1 > 0506chunk00001{"Params":{"ID":"$A"},"Action":"FIRST::PROCESS","Payload":"$PULSE"}
        1 < chunk00001200 "ChunkOrder":0
        @300 2 > 0506chunk00002{"Params":{"ID":"$B"},"Action":"FIRST::PROCESS","Payload":"$PULSE"}
        2 < chunk00002200 "ChunkOrder":0
        # The last of B lets B go, in reverse, and leaves A alone.
        @600 2 > 0506chunk00003{"Params":{"ID":"$B"},"Action":"LAST::PROCESS","Payload":"$PULSE"}
        2 < chunk00003200 "ChunkOrder":1
        2 < RESULTS00B200 "MeasurementDataID":"$B:1"
        2 < RESULTS00B200 "MeasurementDataID":"$B:0"
        @999 tick
        @1000 tick
        1 < RESULTS00A200 "MeasurementDataID":"$A:0"
        "#,
    );
}

#[test]
fn results_that_take_their_time_are_shuffled_when_the_last_of_them_is_ready() {
    check_measuring(
        "latency = 400\nshuffle = 3",
        r#"
        @0 1 > 0506chunk00001{"Params":{"ID":"$A"},"Action":"FIRST::PROCESS","Payload":"$PULSE"}
        1 < chunk00001200 "ChunkOrder":0
        @100 1 > 0506chunk00002{"Params":{"ID":"$A"},"Action":"CHUNK::PROCESS","Payload":"$PULSE"}
        1 < chunk00002200 "ChunkOrder":1
        @200 1 > 0506chunk00003{"Params":{"ID":"$A"},"Action":"LAST::PROCESS","Payload":"$PULSE"}
        1 < chunk00003200 "ChunkOrder":2
        @500 tick
        @600 tick
        1 < RESULTS00A200 "MeasurementDataID":"$A:2"
        1 < RESULTS00A200 "MeasurementDataID":"$A:1"
        1 < RESULTS00A200 "MeasurementDataID":"$A:0"
        "#,
    );
}

#[test]
fn a_second_of_being_held_back_counts_from_the_first_of_each_batch() {
    check_measuring(
        "shuffle = 2",
        r#"
        @0 1 > 0506chunk00001{"Params":{"ID":"$A"},"Action":"FIRST::PROCESS","Payload":"$PULSE"}
        1 < chunk00001200 "ChunkOrder":0
        @500 1 > 0506chunk00002{"Params":{"ID":"$A"},"Action":"CHUNK::PROCESS","Payload":"$PULSE"}
        1 < chunk00002200 "ChunkOrder":1
        1 < RESULTS00A200 "MeasurementDataID":"$A:1"
        1 < RESULTS00A200 "MeasurementDataID":"$A:0"
        @900 1 > 0506chunk00003{"Params":{"ID":"$A"},"Action":"CHUNK::PROCESS","Payload":"$PULSE"}
        1 < chunk00003200 "ChunkOrder":2
        @1000 tick
        @1900 tick
        1 < RESULTS00A200 "MeasurementDataID":"$A:2"
        "#,
    );
}

#[test]
fn a_result_comes_before_the_reply_to_its_chunk_when_the_rules_say_so() {
    check_measuring(
        "results_first = true",
        r#"
        @0 1 > 0506chunk00001{"Params":{"ID":"$A"},"Action":"LAST::PROCESS","Payload":"$PULSE"}
        1 < RESULTS00A200 "MeasurementDataID":"$A:0"
        1 < chunk00001200 "ChunkOrder":0
        "#,
    );
}

#[test]
fn chunks_faster_than_real_time_are_told_when_to_come_again() {
    check_measuring(
        "real_time = true",
        r#"
        @1000 1 > 0506chunk00001{"Params":{"ID":"$A"},"Action":"FIRST::IGNORE","Payload":"$PULSE"}
        1 < chunk00001200 "ChunkOrder":0
        # A tenth of the five seconds is let pass, for clocks.
        @5499 1 > 0506chunk00002{"Params":{"ID":"$A"},"Action":"CHUNK::IGNORE","Payload":"$PULSE"}
        1 < chunk00002429 {"Code":"RATE_LIMIT","Message":"1 ms early","RetryAfterMs":1}
        @5500 1 > 0506chunk00003{"Params":{"ID":"$A"},"Action":"CHUNK::IGNORE","Payload":"$PULSE"}
        1 < chunk00003200 "ChunkOrder":1
        "#,
    );
}

#[test]
fn faults_befall_what_they_are_for() {
    let rules = |effect: &str| format!("[[fault]]\naction = \"0100\"\ndo = {effect}\ndelay = 500\nafter = 1");
    let second = |outcome: &str| {
        format!(
            "@0 1 open\n@0 1 > 0100call000001{{}}\n1 < call000001200 ACTIVE\n@0 1 > 0100call000002{{}}\n{outcome}\n\
             @600 1 > 0100call000003{{}}\n1 < call000003200 ACTIVE"
        )
    };
    for (effect, outcome) in [
        ("\"drop\"", ""),
        ("\"duplicate\"", "1 < call000002200 ACTIVE\n1 < call000002200 ACTIVE"),
        ("\"delay\"", "@499 tick\n@500 tick\n1 < call000002200 ACTIVE"),
        ("\"error\"", "1 < call000002500 INTERNAL_ERROR"),
        ("\"error\"\nstatus = 999\ncode = \"ODD\"", "1 < call000002999 ODD"),
        ("\"close\"", "1 closes 1011"),
        ("\"truncate\"", "1 < call000002"),
        ("\"wrong_id\"", "1 < nobodys-id200 ACTIVE"),
        ("\"bad_status\"", "1 < call0000022x0 ACTIVE"),
        ("\"text\"", "1 text call000002200 ACTIVE"),
    ] {
        check(&rules(effect), &second(outcome));
    }
    // Of results, by their chunk.
    check_measuring(
        "[[fault]]\non = \"result\"\nchunk = 1\ndo = \"error\"\ncode = \"WORKER_ERROR\"",
        r#"
        @0 1 > 0506chunk00001{"Params":{"ID":"$A"},"Action":"FIRST::PROCESS","Payload":"$PULSE"}
        1 < chunk00001200 "ChunkOrder":0
        1 < RESULTS00A200 "Code":"OK"
        @0 1 > 0506chunk00002{"Params":{"ID":"$A"},"Action":"LAST::PROCESS","Payload":"$PULSE"}
        1 < chunk00002200 "ChunkOrder":1
        1 < RESULTS00A500 "WORKER_ERROR"
        "#,
    );
}

#[test]
fn who_is_gone_gets_nothing_and_the_next_to_subscribe_gets_what_was_missed() {
    check_measuring(
        "",
        r#"
        @0 1 close
        @0 2 open
        @0 2 > 0506chunk00001{"Params":{"ID":"$A"},"Action":"FIRST::PROCESS","Payload":"$PULSE"}
        2 < chunk00001200 "ChunkOrder":0
        @0 2 > 0510subscribe2{"Params":{"ID":"$A"},"RequestID":"RESULTS00B"}
        2 < subscribe2200 {}
        2 < RESULTS00B200 "MeasurementDataID":"$A:0"
        # It has been told of: a third gets only what comes from now on.
        @0 3 open
        @0 3 > 0510subscribe3{"Params":{"ID":"$A"}}
        3 < subscribe3200 {}
        @0 2 > 0507remove0001{"Params":{"ID":"$A"}}
        2 < remove0001200 {}
        @0 2 > 0500retrieve01{"Params":{"ID":"$A"}}
        2 < retrieve01404 INVALID_MEASUREMENT
        "#,
    );
}

#[test]
fn rules_that_cannot_be_followed_are_refused_by_name() {
    let table = [
        ("shufle = 3", "shufle"),
        ("latency = 400\nresults_first = true", "results_first needs latency = 0"),
        ("shuffle = 3\nresults_first = true", "and no shuffle"),
        (
            "[[fault]]\ndo = \"drop\"\n[[fault]]\non = \"result\"\naction = \"0506\"\ndo = \"drop\"",
            "fault 2: action",
        ),
        ("[[fault]]\naction = \"Data\"\ndo = \"drop\"", "action is the number"),
        ("[[fault]]\naction = 12345\ndo = \"drop\"", "action is the number"),
        ("[[fault]]\nstatus = 20\ndo = \"error\"", "status is 100 to 999"),
        ("[[fault]]\ndo = \"explode\"", "explode"),
    ];
    for (rules, complaint) in table {
        let refused: BadRules = Rules::parse(rules).expect_err(rules);
        assert!(refused.to_string().contains(complaint), "{rules}: {refused}");
    }
    for action in ["\"0506\"", "506", "\"506\"", "\"Measurements.Data\""] {
        let rules = Rules::parse(&format!("[[fault]]\naction = {action}\ndo = \"drop\"")).expect(action);
        assert_eq!(rules.fault[0].action, Some(Action::DATA));
    }
}

#[test]
fn a_result_of_before_a_fresh_start_is_not_delivered() {
    check_measuring(
        "latency = 400",
        r#"
        @0 1 > 0506chunk00001{"Params":{"ID":"$A"},"Action":"FIRST::PROCESS","Payload":"$PULSE"}
        1 < chunk00001200 "ChunkOrder":0
        @100 1 > 0506chunk00002{"Params":{"ID":"$A"},"Action":"FIRST::PROCESS","ChunkOrder":0,"Payload":"$PULSE"}
        1 < chunk00002200 "ChunkOrder":0
        @499 tick
        @500 tick
        1 < RESULTS00A200 "MeasurementDataID":"$A:0"
        "#,
    );
}

#[test]
fn a_refused_first_chunk_drops_nothing() {
    check_measuring(
        "first_resets = true",
        r#"
        @0 1 > 0506chunk00001{"Params":{"ID":"$A"},"Action":"FIRST::PROCESS","Payload":"$PULSE"}
        1 < chunk00001200 "ChunkOrder":0
        1 < RESULTS00A200 "MeasurementDataID":"$A:0"
        @0 1 > 0506chunk00002{"Params":{"ID":"$A"},"Action":"FIRST::PROCESS","ChunkOrder":3,"Payload":"$PULSE"}
        1 < chunk00002400 {"Code":"MISALIGNED_CHUNK","Message":"expected chunk 1"}
        @0 1 > 0500retrieve01{"Params":{"ID":"$A"}}
        1 < retrieve01200 "HR_BPM"
        "#,
    );
}

#[test]
fn more_delayed_replies_than_are_kept_go_out_at_once() {
    let mut state = state("[[fault]]\naction = \"0100\"\ndo = \"delay\"\ndelay = 1000\ntimes = 0");
    put(&mut state, 0, "1 open");
    for _ in 0..DELAYED {
        assert_eq!(put(&mut state, 0, "1 > 0100call000001{}"), []);
    }
    let [Output::Send { frame, .. }] = &put(&mut state, 0, "1 > 0100call000002{}")[..] else {
        panic!("nothing")
    };
    assert!(frame.starts_with(b"call000002200"));
    assert_eq!(state.handle(at(999), Input::Tick), []);
    assert_eq!(state.handle(at(1000), Input::Tick).len(), DELAYED);
}

/// Asks without a WebSocket.
fn rest(state: &mut State, now: Instant, token: &str, action: Action, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let asked = Asked::read(action, Encoding::Json, body.as_bytes());
    let rest = Rest { action, argument: None, query: Vec::new(), token: Some(token), asked };
    let (status, body, _) = state.rest(now, rest);
    (status.code(), serde_json::from_slice(&body).expect("JSON"))
}

#[test]
fn tokens_are_good_for_as_long_as_was_asked_for_and_allowed() {
    // What is allowed, what is asked for, when the token runs out, and what renews it.
    let table = [
        ("", json!({}), 86_400, 30 * 86_400),
        ("", json!({ "TokenExpiresIn": 60, "RefreshTokenExpiresIn": 90 }), 60, 90),
        ("", json!({ "TokenExpiresIn": 0, "RefreshTokenExpiresIn": null }), 86_400, 30 * 86_400),
        ("token_ttl = 50", json!({ "TokenExpiresIn": 86400, "RefreshTokenExpiresIn": 2592000 }), 50, 1500),
    ];
    for (rules, mut login, seconds, refresh_seconds) in table {
        for millis in [0_u64, 1] {
            let mut state = state(rules);
            login["Password"] = "p".into();
            let (status, tokens) = rest(&mut state, at(0), "", Action::USER_LOGIN, &login);
            assert_eq!(status, 200);
            let token = tokens["Token"].as_str().expect("a token");
            let now = at(seconds * 1000 + millis - 1);
            let (status, answer) = rest(&mut state, now, token, Action::VERIFY_TOKEN, &json!({}));
            let expected = if millis == 0 { (200, Value::Null) } else { (401, json!("TOKEN_EXPIRED")) };
            assert_eq!((status, &answer["Code"]), (expected.0, &expected.1), "{rules} {login}");
            let now = at(refresh_seconds * 1000 + millis - 1);
            let (status, _) = rest(&mut state, now, "", Action::RENEW_TOKEN, &tokens);
            assert_eq!(status, if millis == 0 { 200 } else { 401 }, "{rules} {login}");
        }
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let mut state = state("");
    let create = |state: &mut State| {
        rest(state, at(0), "t", Action::CREATE, &json!({})).1["ID"].as_str().unwrap().to_owned()
    };
    let ids: Vec<String> = (0..=MEASUREMENTS).map(|_| create(&mut state)).collect();
    let retrieve = |state: &mut State, id: &str| {
        rest(state, at(0), "t", Action::RETRIEVE, &json!({ "Params": { "ID": id } })).0
    };
    assert_eq!(
        (retrieve(&mut state, &ids[0]), retrieve(&mut state, &ids[1])),
        (404, 200),
        "the oldest is gone"
    );

    put(&mut state, 0, "1 open");
    put(&mut state, 0, "2 open");
    // As many of each measurement as there may be, beginning with the oldest.
    let subscribe = |state: &mut State, client: u64, number: usize| {
        let id = &ids[1 + number / SUBSCRIBERS];
        let body = json!({ "Params": { "ID": id }, "RequestID": format!("r{number}") });
        let outputs = put(state, 0, &format!("{client} > 0510call000001{body}"));
        let Some(Output::Send { frame, .. }) = outputs.first() else { panic!("{outputs:?}") };
        String::from_utf8(frame.clone()).unwrap()
    };
    let refused = |subscribed: String| subscribed.starts_with("call000001400{");
    for number in 0..SUBSCRIPTIONS {
        assert_eq!(subscribe(&mut state, 1, number), "call000001200{}");
    }
    let next = SUBSCRIPTIONS;
    assert!(refused(subscribe(&mut state, 1, next)), "one too many");
    assert_eq!(subscribe(&mut state, 1, 7), "call000001200{}", "the same again is no more");
    assert!(refused(subscribe(&mut state, 2, 7)), "one too many of this measurement");
    // Those of a measurement that is removed, by its client or by newer ones, make room for others.
    let remove = json!({ "Params": { "ID": ids[1] } });
    put(&mut state, 0, &format!("1 > 0507call000001{remove}"));
    for number in next..next + SUBSCRIBERS {
        assert_eq!(subscribe(&mut state, 1, number), "call000001200{}");
    }
    let next = next + SUBSCRIBERS;
    assert!(refused(subscribe(&mut state, 1, next)), "one too many again");
    create(&mut state);
    create(&mut state);
    assert_eq!(retrieve(&mut state, &ids[2]), 404);
    assert_eq!(subscribe(&mut state, 1, next), "call000001200{}");

    let mut log_in = || rest(&mut state, at(0), "", Action::USER_LOGIN, &json!({ "Password": "p" })).1;
    let oldest = log_in();
    for _ in 0..ISSUED / 2 {
        log_in();
    }
    let renewed = rest(&mut state, at(0), "", Action::RENEW_TOKEN, &oldest);
    assert_eq!(renewed.0, 401, "the oldest tokens are forgotten");
}
