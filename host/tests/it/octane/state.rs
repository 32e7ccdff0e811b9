//! Who gets in and who hears what, decided without a socket or a clock.

use cloverleaf::road::Road;
use cloverleaf::road::facility::{BUILT_IN, Facility};
use cloverleaf::services::octane::keys::{Grant, Scopes};
use cloverleaf::services::octane::resource::Kind;
use cloverleaf::services::octane::state::{
    ClientId, Input, MAX_CHANNELS, MAX_POSTED, MAX_REPORT, Output, PARTING, Publication, Settings, State,
};
use cloverleaf::services::octane::view::{IdsAs, PhasesAs};
use cloverleaf_core::tscbm;
use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;
use serde_json::{Value, json};

const LISTING: &str = r#"{"channels":[{"name":"facility","subscribed":true},{"name":"user","subscribed":true},{"name":"v2x","subscribed":false},{"name":"crosswalk","subscribed":false},{"name":"gate","subscribed":false},{"name":"railcrossing","subscribed":false},{"name":"signal","subscribed":false},{"name":"intersection","subscribed":false}]}"#;

/// What the key store knows of a key.
fn grant(scopes: Scopes) -> Grant {
    Grant { name: "somebody".into(), scopes, from: None, until: None }
}

/// A service with a key store that knows a few keys.
struct Bench {
    state: State,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let now: Timestamp = "2024-05-06T12:00:00Z".parse().unwrap();
        let road = Road::new(Facility::parse(BUILT_IN).unwrap(), now);
        Self { state: State::new(settings, road), now }
    }

    /// What is done, a line each: `emit 1 join {…}`, `join 1 user`, `publish user user_message {…}`, `ack`, `bye 1`.
    fn lines(&mut self, outputs: Vec<Output>) -> Vec<String> {
        let mut lines = Vec::new();
        for output in outputs {
            match output {
                Output::Check { client, key } => {
                    let device = Scopes { device: true, ..Scopes::default() };
                    let soon = Some(self.now + SignedDuration::from_secs(10));
                    let grant = match key.as_str() {
                        "goodkey" => Some(grant(Scopes::USER)),
                        "devicekey" => Some(grant(device)),
                        "shortkey" => Some(Grant { until: soon, ..grant(Scopes::USER) }),
                        _ => None,
                    };
                    let outputs = self.state.handle(self.now, Input::Verdict { client, grant });
                    lines.extend(self.lines(outputs));
                }
                Output::Emit { client, event, data } => lines.push(format!("emit {client} {event} {data}")),
                Output::Acknowledge => lines.push("ack".into()),
                Output::Publish(Publication { channels, except, event, data, .. }) => {
                    let except = except.map_or_else(String::new, |client| format!(" but {client}"));
                    lines.push(format!("publish {channels:?}{except} {event} {data}"));
                }
                Output::Join { client, channel } => lines.push(format!("join {client} {channel:?}")),
                Output::Leave { client, channel } => lines.push(format!("leave {client} {channel:?}")),
                Output::Disconnect { client } => lines.push(format!("bye {client}")),
                Output::Note { topic, value } => lines.push(format!("note {topic} {value}")),
            }
        }
        lines
    }

    fn open(&mut self, client: ClientId, key: Option<&str>) -> Vec<String> {
        let outputs = self.state.handle(self.now, Input::Opened { client, key: key.map(str::to_owned) });
        self.lines(outputs)
    }

    fn event(&mut self, client: ClientId, name: &str, data: &str) -> Vec<String> {
        let data = RawValue::from_string(data.to_owned()).unwrap();
        let outputs = self.state.handle(self.now, Input::Event { client, name, data: &data });
        self.lines(outputs)
    }

    /// A client that is in.
    fn member(&mut self, client: ClientId) {
        self.open(client, Some("goodkey"));
    }

    /// Lets time pass at once, and keeps what is said to clients alone.
    fn wait(&mut self, time: SignedDuration) -> Vec<String> {
        self.now += time;
        let outputs = self.state.handle(self.now, Input::Tick);
        let lines = self.lines(outputs);
        lines.into_iter().filter(|line| line.starts_with("emit") || line.starts_with("bye")).collect()
    }

    /// Lets seconds pass, a tenth at a time, and keeps what is said on one event.
    fn pass(&mut self, seconds: i64, event: &str) -> Vec<Value> {
        let mut said = Vec::new();
        for _ in 0..seconds * 10 {
            self.now += SignedDuration::from_millis(100);
            for output in self.state.handle(self.now, Input::Tick) {
                if let Output::Publish(publication) = output
                    && publication.event == event
                {
                    said.push(serde_json::from_str(publication.data.get()).unwrap());
                }
            }
        }
        said
    }

    fn control(&mut self, kind: Kind, id: &str, patch: &str) -> Result<Vec<String>, String> {
        let patch = RawValue::from_string(patch.to_owned()).unwrap();
        let outputs = self.state.control(kind, id, &patch).map_err(|error| error.to_string())?;
        Ok(self.lines(outputs))
    }
}

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
        assert_eq!(bench.wait(PARTING - SignedDuration::from_millis(1)), [] as [&str; 0], "time to hear it");
        assert_eq!(bench.wait(SignedDuration::from_millis(1)), ["bye 1"]);
        assert_eq!(bench.event(1, "auth", r#"{"x-api-key":"goodkey"}"#), [] as [&str; 0], "gone is gone");
    }
}

#[test]
fn a_slow_key_store_keeps_nobody_waiting_and_outlasts_the_grace() {
    let mut bench = Bench::new();
    let outputs = bench.state.handle(bench.now, Input::Opened { client: 1, key: Some("goodkey".into()) });
    assert!(matches!(&outputs[..], [Output::Check { client: 1, key }] if key == "goodkey"));
    bench.now += SignedDuration::from_secs(600);
    assert!(
        !bench.state.handle(bench.now, Input::Tick).iter().any(|it| matches!(it, Output::Disconnect { .. }))
    );
    let verdict = Input::Verdict { client: 1, grant: Some(grant(Scopes::USER)) };
    let outputs = bench.state.handle(bench.now, verdict);
    assert_eq!(bench.lines(outputs), entry(1));
}

#[test]
fn without_a_key_a_client_stays_for_the_grace_and_no_longer() {
    let mut bench = Bench::new();
    bench.open(1, None);
    assert_eq!(bench.wait(SignedDuration::from_secs(59)), [] as [&str; 0]);
    assert_eq!(
        bench.wait(SignedDuration::from_secs(1)),
        [r#"emit 1 auth_fail {"message":"No API key within the time allowed"}"#]
    );
    assert_eq!(bench.wait(PARTING), ["bye 1"]);
}

#[test]
fn a_key_that_ends_takes_its_client_along() {
    let mut bench = Bench::new();
    bench.open(1, Some("shortkey"));
    bench.event(1, "join", r#"{"channel":"gate"}"#);
    assert_eq!(bench.wait(SignedDuration::from_secs(9)), [] as [&str; 0]);
    assert_eq!(
        bench.wait(SignedDuration::from_secs(1)),
        [r#"emit 1 auth_fail {"message":"API key has expired"}"#]
    );
    assert_eq!(bench.event(1, "user_message", "1"), [] as [&str; 0], "and is not heard any more");
    assert_eq!(bench.wait(PARTING), ["bye 1"]);
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
    let mut bench = Bench::with(Settings { open: true, ..Settings::default() });
    bench.open(1, None);
    let mut expected = entry(1);
    expected.extend([r#"emit 1 join {"join":"gate"}"#.into(), "join 1 gate".into(), "ack".into()]);
    assert_eq!(bench.event(1, "join", r#"{"channel":"gate"}"#), expected);
    bench.open(2, None);
    bench.now += SignedDuration::from_secs(60);
    let outputs = bench.state.handle(bench.now, Input::Tick);
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
fn what_is_no_channel_is_acknowledged_and_nothing_else() {
    let mut bench = Bench::new();
    bench.member(1);
    for data in [
        "null",
        "7",
        "{}",
        "[]",
        r#""crosswalk""#,
        r#"{"channel":7}"#,
        r#"{"channel":"Crosswalk"}"#,
        r#"{"channel":"nowhere"}"#,
        r#"{"channel":"v2x_rsu__parsed"}"#,
    ] {
        assert_eq!(bench.event(1, "join", data), ["ack"], "{data}");
        assert_eq!(bench.event(1, "leave", data), ["ack"], "{data}");
    }
}

#[test]
fn a_client_cannot_join_without_end() {
    let mut bench = Bench::new();
    bench.member(1);
    let joined = (0..2 * MAX_CHANNELS)
        .filter(|id| {
            !bench
                .event(1, "join", &format!(r#"{{"channel":"v2x_rsu_{id}_raw"}}"#))
                .starts_with(&["ack".into()])
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
    assert_eq!(bench.event(1, "disconnect_request", "null"), ["bye 1", "ack"]);
    let mut bench = Bench::with(Settings { echo_disconnect: true, ..Settings::default() });
    bench.member(1);
    assert_eq!(
        bench.event(1, "disconnect_request", "null"),
        [r#"emit 1 disconnect_request {"message":"Disconnected"}"#, "bye 1", "ack"]
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
        assert_eq!(bench.event(1, "beacon_message", bad), ["ack"], "{bad}");
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
    for count in 0..MAX_POSTED + 100 {
        bench.now += SignedDuration::from_millis(1);
        bench.event(1, "beacon_message", &format!(r#"{{"id":"B{count}","state":{{}}}}"#));
    }
    let beacons = bench.state.items(Kind::Beacon);
    let posted =
        beacons.iter().filter(|it| it["id"].as_str().unwrap().starts_with('B') && it["id"] != "BIKE01");
    assert_eq!(posted.count(), MAX_POSTED);
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
        assert_eq!(bench.event(1, "v2x_BSM", bad), ["ack"], "{bad}");
    }
}

#[test]
fn phases_and_ids_are_written_as_the_clients_want_them() {
    let mut bench = Bench::new();
    let said = bench.pass(1, "intersection_update");
    assert_eq!(said.len(), 11);
    let fourth = said.iter().find(|said| said["id"] == 4).expect("a number");
    assert_eq!(fourth["state"]["phases"][0]["phase"], 1);
    assert!(fourth.get("stale").is_none());

    let settings = Settings { phases_as: PhasesAs::Map, ids_as: IdsAs::String, ..Settings::default() };
    let said = Bench::with(settings).pass(1, "intersection_update");
    let fourth = said.iter().find(|said| said["id"] == "4").expect("text");
    assert_eq!(fourth["state"]["phases"]["8"]["phase"], 8);
}

#[test]
fn an_intersection_obeys_and_everybody_hears_of_the_request_and_of_the_state() {
    let mut bench = Bench::new();
    bench.pass(1, "");
    let patch = r#"{"state":{"reset":true,"omit":"01110111","hold":"10001000","forceOff":"01110111"}}"#;
    let lines = bench.control(Kind::Intersection, "1", patch).unwrap();
    let said = |line: &str, start: &str| {
        serde_json::from_str::<Value>(line.strip_prefix(start).expect(start)).unwrap()
    };
    let request = said(&lines[0], "publish [intersection] intersection_request ");
    assert_eq!((&request["id"], &request["state"]["hold"]), (&json!(1), &json!("10001000")));
    let update = said(&lines[1], "publish [intersection] intersection_update ");
    assert_eq!((&update["id"], &update["state"]["omit"]), (&json!(1), &json!("01110111")));

    let said = bench.pass(120, "intersection_update");
    let last = said.iter().rfind(|said| said["id"] == 1).unwrap();
    let green: Vec<_> =
        last["state"]["phases"].as_array().unwrap().iter().filter(|it| it["color"] == "GREEN").collect();
    assert_eq!(green.iter().map(|it| it["phase"].as_u64().unwrap()).collect::<Vec<_>>(), [4, 8]);

    bench.control(Kind::Intersection, "1", r#"{"state":{"reset":true,"hold":"2"}}"#).unwrap();
    assert_eq!(bench.state.item(Kind::Intersection, "1").unwrap()["state"]["hold"], "00100010", "stage 2");
    bench.control(Kind::Intersection, "1", r#"{"state":{"timeClearControl":5}}"#).unwrap();
    bench.pass(6, "");
    assert_eq!(
        bench.state.item(Kind::Intersection, "1").unwrap()["state"]["hold"],
        "00000000",
        "forgotten after 5 s"
    );
}

#[test]
fn what_cannot_be_done_says_why_and_changes_nothing() {
    let mut bench = Bench::new();
    let mut refused = |kind, id: &str, patch: &str, reason: &str| {
        let error = bench.control(kind, id, patch).unwrap_err();
        assert!(error.contains(reason), "{patch}: {error}");
    };
    refused(Kind::Intersection, "99", r#"{"state":{}}"#, "there is no intersection 99");
    refused(Kind::Intersection, "x", r#"{"state":{}}"#, "there is no intersection x");
    refused(Kind::Intersection, "1", r#"{"state":{"omit":"012"}}"#, "eight characters");
    refused(Kind::Intersection, "1", r#"{"state":{"hold":"9"}}"#, "there is no stage 9");
    refused(Kind::Intersection, "1", r#"{"state":{"flash":"yes"}}"#, "expected a boolean");
    refused(Kind::Intersection, "1", "{}", "missing field `state`");
    refused(Kind::Light, "1", r#"{"state":{"dimLevel":101}}"#, "0 to 100");
    refused(Kind::Light, "1", r#"{"state":{"dimLevel":-1}}"#, "u8");
    refused(Kind::Gate, "1", r#"{"state":{}}"#, "gateCall");
    refused(Kind::Robot, "1", r#"{"state":{"scenario":{"id":7}}}"#, "there is no scenario 7");
    refused(Kind::V2x, "4711", r#"{"state":{"enabled":false}}"#, "there is no v2x 4711");
    refused(Kind::Beacon, "PED001", r#"{"state":{}}"#, "cannot be controlled");
}

#[test]
fn a_gate_is_told_of_when_it_starts_and_when_it_arrives() {
    let mut bench = Bench::new();
    bench.pass(1, "");
    bench.control(Kind::Gate, "1", r#"{"state":{"gateCall":true}}"#).unwrap();
    let open: Vec<_> =
        bench.pass(30, "gate_update").iter().map(|said| said["state"]["open"].clone()).collect();
    assert_eq!(open, [Value::Null, json!(true)]);
}

#[test]
fn a_crosswalk_call_is_served_with_a_countdown() {
    let mut bench = Bench::new();
    bench.pass(1, "");
    bench.control(Kind::Crosswalk, "42", r#"{"state":{"callPedestrian":true}}"#).unwrap();
    let said = bench.pass(120, "crosswalk_update");
    let phases: Vec<_> =
        said.iter().filter(|it| it["id"] == 42).map(|it| it["state"]["phase"].clone()).collect();
    assert!(phases.contains(&json!("steady-walking-man")), "{phases:?}");
    let countdown =
        said.iter().filter(|it| it["id"] == 42).filter_map(|it| it["state"]["countdownTime"].as_u64());
    let countdown: Vec<_> = countdown.take(11).collect();
    assert_eq!(countdown, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
}

#[test]
fn a_spat_is_what_the_controller_says_for_those_who_listen() {
    let mut bench = Bench::new();
    assert_eq!(bench.pass(1, "v2x_SPaT"), [] as [Value; 0], "nobody listens");
    bench.member(1);
    bench.event(1, "join", r#"{"channel":"v2x_rsu_0124_parsed"}"#);
    let said = bench.pass(10, "v2x_SPaT");
    assert_eq!(said.len(), 100, "ten a second, of one radio");
    let last = said.last().unwrap();
    assert_eq!((&last["id"], &last["messageSet"]), (&json!("0124"), &json!("NTCIP")));
    assert_eq!(last["green"], "0000000000100010");
    assert_eq!(last["phases"][1]["color"], "GREEN");
    assert_eq!(last["phases"][15]["color"], "RED", "what is not in use is red");
    assert_eq!(last["timeSystem"], "28811.000", "08:00:11 at the facility");
    assert_eq!(last["phases"][1]["vehTimeMin"], 1.0, "green since 6.0 s, for 6.0 s at least");
}

#[test]
fn a_radio_goes_by_its_number_too_and_is_silent_while_it_is_off() {
    let mut bench = Bench::new();
    bench.member(1);
    bench.event(1, "join", r#"{"channel":"v2x_rsu_4_parsed"}"#);
    bench.event(1, "join", r#"{"channel":"v2x"}"#);
    let said = bench.pass(1, "v2x_SPaT");
    assert!(said.len() == 10 && said.iter().all(|said| said["id"] == "0124"));
    let lines = bench.control(Kind::V2x, "0124", r#"{"state":{"enabled":false}}"#).unwrap();
    assert!(lines[0].starts_with("publish [v2x] v2x_request ") && lines[1].contains(r#""enabled":false"#));
    assert_eq!(bench.pass(1, "v2x_SPaT"), [] as [Value; 0]);
    let said = bench.pass(1, "v2x_update");
    let kinds: std::collections::BTreeSet<_> =
        said.iter().map(|it| it["state"]["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["OBU", "RSU"]);
}

#[test]
fn a_robot_plays_the_scenario_that_is_selected_and_moves() {
    let mut bench = Bench::new();
    bench.pass(1, "");
    bench.member(1);
    bench.event(1, "robot_activate", r#"{"id":1,"payload":{"activated":true,"scenario":{"id":2}}}"#);
    let said = bench.pass(5, "robot_update");
    let (first, last) = (&said[0]["state"], &said[said.len() - 1]["state"]);
    assert_eq!(
        (&first["status"], &first["scenario"]["name"]),
        (&json!("running"), &json!("Walk along Main Street"))
    );
    assert!(last["longitude"].as_f64() < first["longitude"].as_f64(), "it walks west");
    bench.event(1, "robot_activate", r#"{"id":1,"payload":{"activated":false}}"#);
    let stopped = bench.state.item(Kind::Robot, "1").unwrap()["state"].clone();
    bench.pass(5, "");
    assert_eq!(bench.state.item(Kind::Robot, "1").unwrap()["state"]["longitude"], stopped["longitude"]);
}

#[test]
fn a_reset_puts_everything_back_and_tells_of_it() {
    let mut bench = Bench::new();
    bench.pass(1, "");
    bench.control(Kind::Light, "1", r#"{"state":{"dimLevel":5}}"#).unwrap();
    bench.control(Kind::Gate, "1", r#"{"state":{"gateCall":true}}"#).unwrap();
    bench.control(Kind::Intersection, "1", r#"{"state":{"hold":"00000010"}}"#).unwrap();
    assert_eq!(bench.pass(1, "light_update").len(), 1);
    let outputs = bench.state.reset_facility();
    let lines = bench.lines(outputs);
    assert!(lines[0].starts_with(r#"publish [facility] facility_request {"id":1"#), "{lines:?}");
    assert!(lines[1].starts_with(r#"publish [facility] facility_update {"id":1"#), "{lines:?}");
    assert_eq!(bench.pass(1, "light_update")[0]["state"]["dimLevel"], 100);
    assert_eq!(bench.state.item(Kind::Light, "1").unwrap()["state"]["dimLevel"], 100);
    assert_eq!(bench.state.item(Kind::Gate, "1").unwrap()["state"]["gateCall"], false);
    assert_eq!(bench.state.item(Kind::Intersection, "1").unwrap()["state"]["hold"], "00000000");
}

#[test]
fn intersections_can_be_left_alone() {
    let mut bench = Bench::new();
    bench.state.records.polling = false;
    assert_eq!(bench.pass(2, "intersection_update"), [] as [Value; 0]);
    bench.state.records.polling = true;
    assert_eq!(bench.pass(1, "intersection_update").len(), 11);
}

#[test]
fn a_real_controller_is_told_of_by_its_own_words_and_marked_when_it_falls_silent() {
    let mut bench = Bench::new();
    bench.state.road.junctions.get_mut(&4).unwrap().feed_by_datagrams();
    let of_fourth = |said: Vec<Value>| said.into_iter().filter(|said| said["id"] == 4).collect::<Vec<_>>();
    assert_eq!(of_fourth(bench.pass(2, "intersection_update")), [] as [Value; 0], "it has not said anything");
    let message = tscbm::Message {
        green: tscbm::Phases::of(&[3, 7]),
        seconds: 8 * 3600 + 2,
        milliseconds: 74,
        ..tscbm::Message::default()
    };
    bench.state.handle(bench.now, Input::Heard { intersection: 4, message: Box::new(message) });
    let said = of_fourth(bench.pass(1, "intersection_update")).remove(0);
    assert_eq!(said["state"]["updated"], "2024-05-06T08:00:02.074-04:00");
    assert_eq!(said["state"]["phases"][2]["color"], "GREEN");
    assert!(said.get("stale").is_none());
    let spoken = bench.pass(5, "facility_message");
    assert!(
        spoken[0]["message"].as_str().unwrap().contains("Intersection 4 (Main / State) is silent"),
        "{spoken:?}"
    );
    assert_eq!(spoken.len(), 1);
    let said = of_fourth(bench.pass(1, "intersection_update")).remove(0);
    assert_eq!(said["stale"], true);
    assert_eq!(said["state"]["updated"], "2024-05-06T08:00:02.074-04:00", "never re-stamped");
}
