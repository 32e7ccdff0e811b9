//! What stands on the road, as it is told of and controlled, without a socket or a clock.

use std::time::Duration;

use cloverleaf::services::octane::keys::Scopes;
use cloverleaf::services::octane::resource::Kind;
use cloverleaf::services::octane::state::{Input, Output, Settings};
use cloverleaf::services::octane::view::{IdsAs, PhasesAs};
use cloverleaf_core::tscbm;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::bench::{Bench, grant};

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
    let head = bench.state.items(Kind::Signal).into_iter().find(|it| it["state"]["left"]["color"].is_null());
    let head = head.expect("one without a left turn")["id"].to_string();
    let error = bench.control(Kind::Signal, &head, r#"{"state":{"left":{"color":"GREEN"}}}"#).unwrap_err();
    assert_eq!(error, format!("left: signal {head} has no left turn"));
}

#[test]
fn what_is_asked_of_all_is_done_by_all_or_by_none() {
    let mut bench = Bench::new();
    let by = grant(Scopes::USER);
    let ask = |bench: &mut Bench, patch: &str| {
        let patch = RawValue::from_string(patch.to_owned()).unwrap();
        bench.state.control_all(Kind::Intersection, || "number".into(), &by, &patch)
    };
    let held = |bench: &Bench| {
        let items = bench.state.items(Kind::Intersection);
        items.iter().filter(|item| item["state"]["hold"] != "00000000").count()
    };
    let stages = |item: &Value| item["stages"].as_array().unwrap().len();
    let most = bench.state.items(Kind::Intersection).iter().map(stages).max().unwrap();
    let least = bench.state.items(Kind::Intersection).iter().map(stages).min().unwrap();
    assert!(least < most, "or nobody would refuse");
    let error = ask(&mut bench, &format!(r#"{{"state":{{"hold":"{most}"}}}}"#)).unwrap_err();
    assert!(error.to_string().contains("there is no stage"), "{error}");
    assert_eq!(held(&bench), 0);
    let failed = bench.state.records.failed(&by, Some("intersection"));
    assert_eq!(failed.iter().map(|it| it.description.clone()).collect::<Vec<_>>(), [error.to_string()]);
    let (numbers, outputs) = ask(&mut bench, r#"{"state":{"hold":"1"}}"#).unwrap();
    assert_eq!((numbers.len(), outputs.len(), held(&bench)), (11, 22, 11));
}

#[test]
fn an_intersection_that_is_not_enabled_listens_to_nothing() {
    let mut bench = Bench::new();
    bench.control(Kind::Intersection, "1", r#"{"state":{"enabled":false}}"#).unwrap();
    bench.control(Kind::Signal, "11", r#"{"state":{"straight":{"color":"GREEN"}}}"#).unwrap();
    bench.control(Kind::Crosswalk, "11", r#"{"state":{"callPedestrian":true}}"#).unwrap();
    let item = bench.state.item(Kind::Intersection, "1").unwrap();
    assert_eq!(
        (&item["state"]["hold"], &item["state"]["callPedestrian"]),
        (&json!("00000000"), &json!("00000000"))
    );
    bench.control(Kind::Intersection, "6", r#"{"state":{"enabled":false}}"#).unwrap();
    let patch = RawValue::from_string(r#"{"state":{"enabled":true}}"#.into()).unwrap();
    bench.state.preempt("6", "1", &patch).unwrap();
    assert_eq!(bench.state.road.intersections[&6].preempt, None);
    bench.control(Kind::Intersection, "6", r#"{"state":{"enabled":true}}"#).unwrap();
    bench.state.preempt("6", "1", &patch).unwrap();
    assert_eq!(bench.state.road.intersections[&6].preempt, Some(1));
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
fn whatever_is_due_is_told_however_late_time_passes() {
    let mut bench = Bench::new();
    let mut told = 0;
    // Never a whole second after the start.
    for count in 0..60 {
        bench.later(Duration::from_millis(if count == 0 { 100 } else { 200 }));
        let outputs = bench.handle(Input::Tick);
        let is_it = |it: &&Output| matches!(it, Output::Publish(it) if it.event == "intersection_update");
        told += outputs.iter().filter(is_it).count();
    }
    assert_eq!(told, 11 * 11, "eleven intersections, in 11.9 s");
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
fn nothing_is_sent_through_a_radio_that_is_off() {
    let mut bench = Bench::new();
    bench.member(1);
    bench.control(Kind::V2x, "4", r#"{"state":{"enabled":false}}"#).unwrap();
    for (event, rsu) in [("v2x_BSM", r#""0124""#), ("v2x_PSM", "4"), ("v2x_PSM", r#""4""#)] {
        let name = rsu.trim_matches('"');
        let refused = format!(r#"emit 1 error {{"event":"{event}","message":"rsu {name} is not enabled"}}"#);
        let data = format!(r#"{{"id":{rsu},"payload":{{"id":"beef0001","speed":1.0}}}}"#);
        assert_eq!(bench.event(1, event, &data), [refused, "ack".into()]);
    }
    assert!(bench.state.item(Kind::V2x, "beef0001").is_none());
    let through_another = r#"{"id":"0125","payload":{"id":"beef0001"}}"#;
    assert_eq!(bench.event(1, "v2x_BSM", through_another).len(), 3, "v2x_new, the message, ack");
    bench.control(Kind::V2x, "4", r#"{"state":{"enabled":true}}"#).unwrap();
    assert_eq!(bench.event(1, "v2x_BSM", r#"{"id":"0124","payload":{"id":"beef0001"}}"#).len(), 2);
}

#[test]
fn a_radio_of_a_client_is_told_of_while_it_is_heard_and_once_when_it_falls_silent() {
    let mut bench = Bench::new();
    bench.member(1);
    bench.event(1, "join", r#"{"channel":"v2x"}"#);
    bench.event(1, "v2x_BSM", r#"{"id":"0124","payload":{"id":"beef0001","speed":3.5}}"#);
    bench.event(1, "v2x_PSM", r#"{"id":"0124","payload":{"id":"beef0002","speed":1.5}}"#);
    let its = |said: Vec<Value>, name: &str| {
        said.into_iter().filter(|said| said["state"]["name"] == name).collect::<Vec<_>>()
    };
    let said = its(bench.pass(1, "v2x_update"), "beef0001");
    assert_eq!((said.len(), &said[0]["state"]["state"]["speed"]), (1, &json!(3.5)));
    assert!(said[0].get("stale").is_none());
    let said = bench.pass(10, "v2x_update");
    assert_eq!(its(said.clone(), "beef0002"), [] as [Value; 0], "the original tells of no pedestrians");
    let stale: Vec<_> = its(said, "beef0001").iter().map(|said| said["stale"] == true).collect();
    assert_eq!(stale, [false, true]);
    assert_eq!(bench.state.item(Kind::V2x, "beef0001").unwrap()["stale"], true);
    bench.event(1, "v2x_BSM", r#"{"id":"0124","payload":{"id":"beef0001","speed":0.5}}"#);
    assert_eq!(its(bench.pass(1, "v2x_update"), "beef0001").len(), 1, "heard again");
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
    let place = |bench: &Bench| {
        let robot = &bench.state.item(Kind::Robot, "1").unwrap()["state"];
        (robot["latitude"].clone(), robot["longitude"].clone())
    };
    let at_first = place(&bench);
    bench.control(Kind::Robot, "1", r#"{"state":{"activated":true}}"#).unwrap();
    assert_eq!(bench.pass(1, "light_update").len(), 1);
    bench.pass(5, "");
    assert_ne!(place(&bench), at_first, "it has moved");
    bench.control(Kind::Robot, "1", r#"{"state":{"enabled":false}}"#).unwrap();
    let outputs = bench.state.reset_facility();
    let lines = bench.lines(outputs);
    assert!(lines[0].starts_with(r#"publish [facility] facility_request {"id":1"#), "{lines:?}");
    assert!(lines[1].starts_with(r#"publish [facility] facility_update {"id":1"#), "{lines:?}");
    assert_eq!(bench.pass(1, "light_update")[0]["state"]["dimLevel"], 100);
    assert_eq!(bench.state.item(Kind::Light, "1").unwrap()["state"]["dimLevel"], 100);
    assert_eq!(bench.state.item(Kind::Gate, "1").unwrap()["state"]["gateCall"], false);
    assert_eq!(bench.state.item(Kind::Intersection, "1").unwrap()["state"]["hold"], "00000000");
    let robot = &bench.state.item(Kind::Robot, "1").unwrap()["state"];
    assert_eq!((&robot["scenario"]["id"], &robot["enabled"]), (&json!(1), &json!(true)));
    assert_eq!(place(&bench), at_first, "where it stands when it is switched on");
    bench.control(Kind::Robot, "1", r#"{"state":{"scenario":{"id":2}}}"#).unwrap();
    bench.state.reset_facility();
    assert_eq!(bench.state.item(Kind::Robot, "1").unwrap()["state"]["scenario"]["id"], 1);
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
    bench.state.road.intersections.get_mut(&4).unwrap().feed_by_datagrams();
    bench.state.records.polling = false;
    let spoken = bench.pass(2, "facility_message");
    assert_eq!(spoken.len(), 1, "that it is silent is told although intersections are left alone");
    bench.state.records.polling = true;
    let of_fourth = |said: Vec<Value>| said.into_iter().filter(|said| said["id"] == 4).collect::<Vec<_>>();
    assert_eq!(of_fourth(bench.pass(2, "intersection_update")), [] as [Value; 0], "it has not said anything");
    let message = tscbm::Message {
        green: tscbm::Phases::of(&[3, 7]),
        seconds: 8 * 3600 + 2,
        milliseconds: 74,
        ..tscbm::Message::default()
    };
    bench.handle(Input::Heard { intersection: 4, message: Box::new(message) });
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

/// What is answered to whoever asks something of an intersection with a real controller.
const REFUSED: &str = "intersection 4 has a controller of its own, which is only listened to";

#[test]
fn before_a_real_controller_says_anything_all_of_its_intersection_is_there_and_stale() {
    let mut bench = Bench::new();
    bench.state.road.intersections.get_mut(&4).unwrap().feed_by_datagrams();
    let changes = bench.pass(1, "signal_update");
    assert!(changes.iter().all(|said| said["id"].as_u64().unwrap() / 10 != 4), "nothing to tell of yet");
    for (kind, id, patch) in [
        (Kind::Intersection, "4", "{}"),
        (Kind::Signal, "41", "{}"),
        (Kind::Crosswalk, "41", r#"{"callPedestrian":true}"#),
    ] {
        let item = bench.state.item(kind, id).unwrap();
        assert_eq!((&item["state"], &item["stale"]), (&Value::Null, &json!(true)), "{kind:?}");
        let error = bench.control(kind, id, &format!(r#"{{"state":{patch}}}"#)).unwrap_err();
        assert_eq!(error, REFUSED, "{kind:?}");
    }
}

#[test]
fn a_real_controller_is_passed_on_datagram_by_datagram_and_only_listened_to() {
    let mut bench = Bench::new();
    bench.member(1);
    bench.event(1, "join", r#"{"channel":"v2x_rsu_4_parsed"}"#);
    bench.event(1, "join", r#"{"channel":"v2x_rsu_4_raw"}"#);
    bench.state.road.intersections.get_mut(&4).unwrap().feed_by_datagrams();
    let message = tscbm::Message {
        green: tscbm::Phases::of(&[2, 6]),
        pedestrian_latched: tscbm::Phases::of(&[4]),
        ..tscbm::Message::default()
    };
    let heard = |bench: &mut Bench| {
        let input = Input::Heard { intersection: 4, message: Box::new(message) };
        let outputs = bench.handle(input);
        bench.lines(outputs)
    };
    for _ in 0..3 {
        let lines = heard(&mut bench);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("v2x_SPaT") && lines[1].contains("v2x_raw"), "{lines:?}");
    }
    assert_eq!(bench.pass(60, "v2x_SPaT"), [] as [Value; 0], "said once");
    heard(&mut bench);
    let refused = REFUSED;
    for (kind, id, patch) in [
        (Kind::Intersection, "4", r#"{"state":{"hold":"00100010"}}"#),
        (Kind::Signal, "41", r#"{"state":{"straight":{"color":"GREEN"}}}"#),
        (Kind::Crosswalk, "41", r#"{"state":{"callPedestrian":true}}"#),
    ] {
        assert_eq!(bench.control(kind, id, patch).unwrap_err(), refused);
    }
    let patch = RawValue::from_string(r#"{"state":{"enabled":true}}"#.into()).unwrap();
    let error = bench.state.preempt("4", "1", &patch).unwrap_err().to_string();
    assert!(error == refused || error.starts_with("there is no preemption"), "{error}");
    let state = &bench.state.item(Kind::Intersection, "4").unwrap()["state"];
    assert_eq!((&state["callVehicle"], &state["callPedestrian"]), (&json!("00000000"), &json!("00001000")));
    assert_eq!(state["hold"], "00000000");
}
