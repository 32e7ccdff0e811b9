//! Who gets in and who hears what, decided without a socket or a clock.

use std::time::Duration;

use cloverleaf::services::octane::keys::Keys;
use cloverleaf::services::octane::resource::Kind;
use cloverleaf::services::octane::state::{
    ClientId, DISCONNECT_DELAY, Input, MAX_CHANNELS, MAX_ID, MAX_REPORT, MAX_REPORTED, Settings,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::bench::Bench;

const LISTING: &str = r#"{"channels":[{"name":"facility","subscribed":true},{"name":"user","subscribed":true},{"name":"v2x","subscribed":false},{"name":"crosswalk","subscribed":false},{"name":"gate","subscribed":false},{"name":"railcrossing","subscribed":false},{"name":"signal","subscribed":false},{"name":"intersection","subscribed":false}]}"#;

fn entry(client: ClientId) -> Vec<String> {
    vec![
        format!(r#"emit {client} auth_ok {{"message":"OK"}}"#),
        format!(r#"emit {client} join {{"join":"user"}}"#),
        format!("join {client} user"),
        format!(r#"emit {client} join {{"join":"facility"}}"#),
        format!("join {client} facility"),
        format!("emit {client} channels {LISTING}"),
    ]
}

#[test]
fn a_good_key_by_event_lets_in_once() {
    let mut bench = Bench::new();
    assert_eq!(bench.open(1, None), [] as [&str; 0]);
    let mut expected = entry(1);
    expected.push("ack".into());
    assert_eq!(bench.event(1, "auth", r#"{"x-api-key":"goodkey"}"#), expected);
    assert_eq!(
        bench.event(1, "auth", r#"{"x-api-key":"goodkey"}"#),
        [r#"emit 1 auth_ok {"message":"OK"}"#, "ack"]
    );
}

#[test]
fn a_good_key_brought_along_lets_in_at_once() {
    assert_eq!(Bench::new().open(1, Some("goodkey")), entry(1));
}

#[test]
fn a_bad_key_is_told_why_before_the_end() {
    for auth in [r#"{"x-api-key":"bad"}"#, r#"{"x-api-key":7}"#, "{}", "null", "[]", "7", r#""goodkey""#] {
        let mut bench = Bench::new();
        bench.open(1, None);
        assert_eq!(
            bench.event(1, "auth", auth),
            [r#"emit 1 auth_fail {"message":"API key is missing or invalid"}"#, "ack"],
            "{auth}"
        );
        assert_eq!(bench.event(1, "auth", r#"{"x-api-key":"goodkey"}"#), [] as [&str; 0], "over is over");
        assert_eq!(
            bench.wait(DISCONNECT_DELAY - Duration::from_millis(1)),
            [] as [&str; 0],
            "time to hear it"
        );
        assert_eq!(bench.wait(Duration::from_millis(1)), ["bye 1"]);
        assert_eq!(bench.event(1, "auth", r#"{"x-api-key":"goodkey"}"#), [] as [&str; 0], "gone is gone");
    }
}

#[test]
fn without_a_key_a_client_stays_for_the_grace_and_no_longer() {
    let mut bench = Bench::new();
    bench.open(1, None);
    assert_eq!(bench.wait(Duration::from_secs(59)), [] as [&str; 0]);
    assert_eq!(
        bench.wait(Duration::from_secs(1)),
        [r#"emit 1 auth_fail {"message":"No API key within the time allowed"}"#]
    );
    assert_eq!(bench.wait(DISCONNECT_DELAY), ["bye 1"]);
}

#[test]
fn however_long_the_grace_is_everybody_may_connect() {
    let mut bench = Bench::with(Settings { grace: Duration::MAX, ..Settings::default() });
    bench.later(Duration::from_secs(1));
    assert_eq!(bench.open(1, None), [] as [&str; 0]);
    assert_eq!(bench.wait(Duration::from_secs(3600)), [] as [&str; 0]);
    assert_eq!(bench.event(1, "auth", r#"{"x-api-key":"goodkey"}"#).len(), 7);
}

#[test]
fn a_clock_that_is_set_neither_shortens_the_grace_nor_keeps_who_has_to_go() {
    let day = SignedDuration::from_hours(24);
    let mut bench = Bench::new();
    bench.open(1, None);
    bench.now.wall += day;
    assert_eq!(bench.wait(Duration::from_secs(59)), [] as [&str; 0], "set forward");
    bench.now.wall -= day * 2;
    assert_eq!(
        bench.wait(Duration::from_secs(1)),
        [r#"emit 1 auth_fail {"message":"No API key within the time allowed"}"#],
        "set back"
    );
    bench.now.wall -= day;
    assert_eq!(bench.wait(DISCONNECT_DELAY), ["bye 1"], "and once more");
}

#[test]
fn a_key_that_ends_takes_its_client_along() {
    let mut bench = Bench::new();
    bench.open(1, Some("shortkey"));
    bench.event(1, "join", r#"{"channel":"gate"}"#);
    assert_eq!(bench.wait(Duration::from_secs(9)), [] as [&str; 0]);
    assert_eq!(bench.wait(Duration::from_secs(1)), [r#"emit 1 auth_fail {"message":"API key has expired"}"#]);
    assert_eq!(bench.event(1, "user_message", "1"), [] as [&str; 0], "and is not heard any more");
    assert_eq!(bench.wait(DISCONNECT_DELAY), ["bye 1"]);
}

#[test]
fn what_a_key_does_not_allow_is_said_and_acknowledged_and_nobody_is_thrown_out() {
    let mut bench = Bench::new();
    bench.open(1, Some("devicekey"));
    let needed = "this needs a key with the scope user or admin";
    for (event, data) in [
        ("user_message", r#"{"message":"hello"}"#),
        ("robot_activate", r#"{"id":1,"payload":{"activated":true}}"#),
    ] {
        let error = format!(r#"emit 1 error {{"event":"{event}","message":"{needed}"}}"#);
        assert_eq!(bench.event(1, event, data), [error, "ack".into()]);
    }
    assert_eq!(bench.event(1, "ipc_message", "1"), ["publish [ipc] ipc_message 1", "ack"]);
    assert_eq!(bench.event(1, "beacon_message", r#"{"id":"B1","state":{}}"#).len(), 2);
    assert_eq!(bench.event(1, "join", r#"{"channel":"gate"}"#).len(), 3);
    bench.event(1, "auth", r#"{"x-api-key":"goodkey"}"#);
    assert_eq!(bench.event(1, "user_message", "1"), ["publish [user] user_message 1", "ack"], "a better key");
}

#[test]
fn before_the_key_everything_is_dropped_and_nobody_is_thrown_out() {
    let mut bench = Bench::new();
    bench.open(1, None);
    for (name, data) in [
        ("beacon_message", r#"{"id":"B7A5A2","payload":{"state":{"dynamics":{}}}}"#),
        ("join", r#"{"channel":"crosswalk"}"#),
        ("user_message", "1"),
        ("disconnect_request", "null"),
        ("channels", "null"),
    ] {
        assert_eq!(bench.event(1, name, data), [] as [&str; 0], "{name}");
    }
    assert_eq!(bench.event(1, "auth", r#"{"x-api-key":"goodkey"}"#).len(), 7);
}

#[test]
fn an_open_server_lets_in_with_the_first_event_or_when_the_grace_is_over() {
    let mut bench = Bench::new();
    bench.state.keys = Keys::none(true);
    bench.open(1, None);
    let mut expected = entry(1);
    expected.extend([r#"emit 1 join {"join":"gate"}"#.into(), "join 1 gate".into(), "ack".into()]);
    assert_eq!(bench.event(1, "join", r#"{"channel":"gate"}"#), expected);
    bench.open(2, None);
    bench.later(Duration::from_secs(60));
    let outputs = bench.handle(Input::Tick);
    let lines = bench.lines(outputs);
    assert!(lines.contains(&r#"emit 2 auth_ok {"message":"OK"}"#.to_owned()), "{lines:?}");
}

#[test]
fn joining_and_leaving_is_echoed_to_the_one_who_does_and_changes_the_listing() {
    let mut bench = Bench::new();
    bench.member(1);
    let listing = |channels: &str| format!("emit 1 channels {channels}");
    assert_eq!(bench.event(1, "channels", "null"), [listing(LISTING), "ack".into()]);
    let echo = r#"emit 1 join {"join":"crosswalk"}"#;
    assert_eq!(bench.event(1, "join", r#"{"channel":"crosswalk"}"#), [echo, "join 1 crosswalk", "ack"]);
    assert_eq!(
        bench.event(1, "join", r#"{"channel":"crosswalk"}"#),
        [echo, "ack"],
        "already in: echoed, nothing else"
    );
    let joined = LISTING.replace(r#""crosswalk","subscribed":false"#, r#""crosswalk","subscribed":true"#);
    assert_eq!(bench.event(1, "channels", "null"), [listing(&joined), "ack".into()]);
    let echo = r#"emit 1 leave {"leave":"crosswalk"}"#;
    assert_eq!(bench.event(1, "leave", r#"{"channel":"crosswalk"}"#), [echo, "leave 1 crosswalk", "ack"]);
    assert_eq!(
        bench.event(1, "leave", r#"{"channel":"crosswalk"}"#),
        [echo, "ack"],
        "not in: echoed, nothing else"
    );
    assert_eq!(bench.event(1, "channels", "null"), [listing(LISTING), "ack".into()]);
}

#[test]
fn what_is_no_channel_is_named_and_acknowledged_and_nothing_else() {
    let mut bench = Bench::new();
    bench.member(1);
    for (data, message) in [
        ("null", "invalid type: null, expected an object"),
        ("7", "invalid type: integer `7`, expected an object"),
        ("{}", "missing field `channel`"),
        ("[]", "invalid type: sequence, expected an object"),
        (r#""crosswalk""#, r#"invalid type: string "crosswalk", expected an object"#),
        (r#"{"channel":7}"#, "channel: invalid type: integer `7`, expected a string"),
        (r#"{"channel":"Crosswalk"}"#, "there is no channel Crosswalk"),
        (r#"{"channel":"nowhere"}"#, "there is no channel nowhere"),
        (r#"{"channel":"v2x_rsu__parsed"}"#, "there is no channel v2x_rsu__parsed"),
    ] {
        for event in ["join", "leave"] {
            let lines = bench.event(1, event, data);
            let [error, ack] = &lines[..] else { panic!("{event} {data}: {lines:?}") };
            let said: Value = serde_json::from_str(error.strip_prefix("emit 1 error ").unwrap()).unwrap();
            assert_eq!((&said["event"], ack.as_str()), (&json!(event), "ack"));
            assert!(said["message"].as_str().unwrap().starts_with(message), "{event} {data}: {said}");
        }
    }
}

#[test]
fn a_client_cannot_join_without_end() {
    let mut bench = Bench::new();
    bench.member(1);
    let joined = (0..2 * MAX_CHANNELS)
        .filter(|id| {
            let lines = bench.event(1, "join", &format!(r#"{{"channel":"v2x_rsu_{id}_raw"}}"#));
            lines[0].starts_with("emit 1 join ")
        })
        .count();
    assert_eq!(joined, MAX_CHANNELS - 2, "user and facility are two of them");
}

#[test]
fn unknown_events_are_ignored_even_if_an_acknowledgement_is_asked_for() {
    let mut bench = Bench::new();
    bench.member(1);
    for name in ["testing", "", "Join", "auth_ok", "intersection_update"] {
        assert_eq!(bench.event(1, name, r#"{"any":"thing"}"#), [] as [&str; 0], "{name}");
    }
}

#[test]
fn messages_are_relayed_as_they_are() {
    let mut bench = Bench::new();
    bench.member(1);
    for data in [
        r#"{"message": "Testing messaging"}"#,
        r#"{"b":1,"a":1.0,"big":12345678901234567890123}"#,
        r#"["ключ","\ud83d\ude02"]"#,
        r#""text""#,
        "null",
    ] {
        assert_eq!(
            bench.event(1, "user_message", data),
            [&format!("publish [user] user_message {data}"), "ack"]
        );
        assert_eq!(
            bench.event(1, "ipc_message", data),
            [&format!("publish [ipc] ipc_message {data}"), "ack"]
        );
        assert_eq!(
            bench.event(1, "robot_proxy", data),
            [&format!("publish [robot] but 1 robot_proxy {data}"), "ack"],
            "not to the one who commands"
        );
    }
}

#[test]
fn asking_to_be_disconnected_is_enough_and_may_be_echoed() {
    let mut bench = Bench::new();
    bench.member(1);
    assert_eq!(bench.event(1, "disconnect_request", "null"), ["ack", "bye 1"], "nothing follows the end");
    let mut bench = Bench::with(Settings { echo_disconnect: true, ..Settings::default() });
    bench.member(1);
    assert_eq!(
        bench.event(1, "disconnect_request", "null"),
        ["ack", r#"emit 1 disconnect_request {"message":"Disconnected"}"#, "bye 1"]
    );
}

#[test]
fn a_beacon_is_told_of_with_its_own_time_or_that_of_its_arrival() {
    let mut bench = Bench::new();
    bench.member(1);
    let update = |bench: &mut Bench, data: &str| {
        let lines = bench.event(1, "beacon_message", data);
        let said = lines.first().and_then(|line| line.strip_prefix("publish [beacon] beacon_update "));
        said.map(|said| serde_json::from_str::<Value>(said).unwrap())
    };
    let dated = r#"{"id":"B7A5A2","payload":{"state":{"dynamics":{"latitude":42.3,"updated":"2022-10-20T13:09:21.422+00:00"}}}}"#;
    let said = update(&mut bench, dated).unwrap();
    assert_eq!(said["id"], "B7A5A2");
    assert_eq!(said["serviced"], "2024-05-06T08:00:00.000-04:00", "the facility is four hours west");
    assert_eq!(said["state"]["dynamics"]["updated"], "2022-10-20T13:09:21.422+00:00");
    let said =
        update(&mut bench, r#"{"id_string":"MAPP01","state":{"dynamics":{"latitude":42.3}}}"#).unwrap();
    assert_eq!(
        said["state"]["dynamics"],
        json!({"latitude": 42.3, "updated": "2024-05-06T08:00:00.000-04:00"})
    );
    for bad in ["null", "{}", r#"{"id":"x"}"#, r#"{"id":"","state":{}}"#, r#"{"id":"x","state":7}"#] {
        let lines = bench.event(1, "beacon_message", bad);
        assert!(lines[0].starts_with("emit 1 error ") && lines[1..] == ["ack"], "{bad}: {lines:?}");
    }
    let long = format!(r#"{{"id":"x","state":{{"note":"{}"}}}}"#, "-".repeat(MAX_REPORT));
    assert_eq!(
        bench.event(1, "beacon_message", &long),
        [
            r#"emit 1 error {"event":"beacon_message","message":"a report of a beacon has 16384 bytes at most"}"#,
            "ack"
        ]
    );
}

#[test]
fn a_beacon_of_the_facility_is_reported_by_nobody_else() {
    let mut bench = Bench::new();
    bench.member(1);
    let refused = r#"emit 1 error {"event":"beacon_message","message":"id PED001 is that of a beacon of the facility"}"#;
    assert_eq!(bench.event(1, "beacon_message", r#"{"id":"PED001","state":{}}"#), [refused, "ack"]);
    let called = |item: &&Value| item["id"] == "PED001";
    assert_eq!(bench.state.items(Kind::Beacon).iter().filter(called).count(), 1);
}

#[test]
fn a_beacon_that_falls_silent_is_marked_once_and_never_re_stamped() {
    let mut bench = Bench::new();
    bench.member(1);
    bench.event(1, "beacon_message", r#"{"id":"B1","payload":{"state":{"dynamics":{"latitude":1.0}}}}"#);
    let told: Vec<_> =
        bench.pass(20, "beacon_update").into_iter().filter(|said| said["id"] == "B1").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["stale"], true);
    assert_eq!(told[0]["state"]["dynamics"]["updated"], "2024-05-06T08:00:00.000-04:00");
}

#[test]
fn beacons_without_end_do_not_fill_the_memory() {
    let mut bench = Bench::new();
    bench.member(1);
    for count in 0..MAX_REPORTED + 100 {
        bench.later(Duration::from_millis(1));
        bench.event(1, "beacon_message", &format!(r#"{{"id":"B{count}","state":{{}}}}"#));
    }
    let beacons = bench.state.items(Kind::Beacon);
    let reported =
        beacons.iter().filter(|it| it["id"].as_str().unwrap().starts_with('B') && it["id"] != "BIKE01");
    assert_eq!(reported.count(), MAX_REPORTED);
    assert!(bench.state.item(Kind::Beacon, "B0").is_none(), "the one unheard for longest is forgotten");
}

#[test]
fn radio_messages_go_to_whoever_listens_to_such_radios_or_to_this_one() {
    let mut bench = Bench::new();
    bench.member(1);
    let bsm = r#"{"id":"beef0001","speed":3.5,"latitude":42.0}"#;
    let send = |bench: &mut Bench| bench.event(1, "v2x_BSM", &format!(r#"{{"id":"0129","payload":{bsm}}}"#));
    let first = send(&mut bench);
    assert!(
        first[0].starts_with(r#"publish [v2x] v2x_new {"id":3203334145,"uri":"/api/v2x/obu/3203334145""#),
        "{first:?}"
    );
    assert_eq!(
        send(&mut bench),
        [&format!("publish [v2x_obu_parsed, v2x_obu_beef0001_parsed] v2x_BSM {bsm}"), "ack"]
    );
    let radio = bench.state.item(Kind::V2x, "beef0001").unwrap();
    assert_eq!((&radio["type"], &radio["state"]["speed"]), (&json!("OBU"), &json!(3.5)));
    let raw = r#"{"id":"23","messageSet":"J2735_201603","data":"0014"}"#;
    assert_eq!(
        bench.event(1, "v2x_PSM", &format!(r#"{{"id":"0129","payload":{raw}}}"#)),
        [&format!("publish [v2x_vru_raw, v2x_vru_23_raw] v2x_raw {raw}"), "ack"]
    );
    for bad in ["null", "7", r#"{"id":"0129","payload":7}"#, "[]"] {
        let lines = bench.event(1, "v2x_BSM", bad);
        assert!(lines[0].starts_with("emit 1 error ") && lines[1..] == ["ack"], "{bad}: {lines:?}");
    }
}

#[test]
fn a_long_id_is_refused_and_not_remembered() {
    let mut bench = Bench::new();
    bench.member(1);
    let long = "f".repeat(MAX_ID + 1);
    for (event, data) in [
        ("v2x_BSM", format!(r#"{{"id":"0129","payload":{{"id":"{long}"}}}}"#)),
        ("v2x_PSM", format!(r#"{{"id":"{long}","latitude":1.0}}"#)),
        ("beacon_message", format!(r#"{{"id":"{long}","state":{{}}}}"#)),
    ] {
        let refused = format!(r#"emit 1 error {{"event":"{event}","message":"id is 1 to 64 bytes"}}"#);
        assert_eq!(bench.event(1, event, &data), [&refused, "ack"]);
    }
    let known = |kind| bench.state.items(kind).iter().any(|item| item["name"] == long);
    assert!(!known(Kind::V2x) && !known(Kind::Beacon));
}

#[test]
fn a_change_to_a_beacon_leaves_the_rest_as_it_was_and_cannot_make_it_too_long() {
    let mut bench = Bench::new();
    bench.member(1);
    bench.event(1, "beacon_message", r#"{"id":"B1","state":{"a":1,"b":2}}"#);
    bench.control(Kind::Beacon, "B1", r#"{"state":{"b":3}}"#).unwrap();
    let state = |bench: &Bench| bench.state.item(Kind::Beacon, "B1").unwrap()["state"].clone();
    assert_eq!(state(&bench), json!({"a": 1, "b": 3}));
    let half = "-".repeat(MAX_REPORT * 2 / 3);
    bench.control(Kind::Beacon, "B1", &format!(r#"{{"state":{{"c":"{half}"}}}}"#)).unwrap();
    let error = bench.control(Kind::Beacon, "B1", &format!(r#"{{"state":{{"d":"{half}"}}}}"#)).unwrap_err();
    assert!(error.contains("16384 bytes at most"), "{error}");
    assert_eq!(state(&bench).as_object().unwrap().len(), 3);
}

#[test]
fn a_change_to_a_beacon_goes_into_what_is_nested_and_has_a_date_of_its_own() {
    let mut bench = Bench::new();
    bench.member(1);
    let report = r#"{"id":"B1","state":{"dynamics":{"latitude":1.0,"heading":90.0,"updated":"2022-10-20T13:09:21.422+00:00"},"charge":{"percent":80,"voltage":4.0}}}"#;
    bench.event(1, "beacon_message", report);
    let mut changed = |patch: &str| {
        bench.control(Kind::Beacon, "B1", &format!(r#"{{"state":{patch}}}"#)).unwrap();
        bench.state.item(Kind::Beacon, "B1").unwrap()["state"].clone()
    };
    let charge = json!({"percent": 79, "voltage": 4.0});
    let dynamics = json!({"latitude": 1.0, "heading": 90.0, "updated": "2022-10-20T13:09:21.422+00:00"});
    assert_eq!(changed(r#"{"charge":{"percent":79}}"#), json!({"dynamics": dynamics, "charge": charge}));
    let dynamics = json!({"latitude": 42.3, "heading": 90.0, "updated": "2024-05-06T08:00:00.000-04:00"});
    assert_eq!(changed(r#"{"dynamics":{"latitude":42.3}}"#), json!({"dynamics": dynamics, "charge": charge}));
    let dynamics = json!({"latitude": 42.3, "heading": 91.0, "updated": "2024-05-06T12:00:00Z"});
    assert_eq!(
        changed(r#"{"dynamics":{"heading":91.0,"updated":"2024-05-06T12:00:00Z"}}"#),
        json!({"dynamics": dynamics, "charge": charge})
    );
}
