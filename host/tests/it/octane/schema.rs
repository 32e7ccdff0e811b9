//! The payload of every event against the fields that the description of the original's interface gives it.

use std::collections::BTreeMap;
use std::time::Duration;

use cloverleaf::services::octane::keys::Keys;
use cloverleaf::services::octane::resource::Kind;
use cloverleaf::services::octane::state::{Input, Output};
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;

use super::bench::Bench;

/// Event, field, type. `#` is any element of an array; a `?` behind a type allows null. Types: s text, d date with
/// milliseconds and offset, n number, i integer, b boolean, o object, 8 and 16 bit strings, and words to choose from.
#[rustfmt::skip]
const FIELDS: &[(&str, &str)] = &[
    ("intersection_update",  "id i  serviced d  state/updated d  state/enabled b  state/timePaused b  state/timeClearControl i  state/flash b"),
    ("intersection_update",  "state/callVehicle 8  state/callPedestrian 8  state/omit 8  state/hold 8  state/forceOff 8  state/pedestrianClear 8  state/walkDont 8  state/walk 8"),
    ("intersection_update",  "state/phases/#/phase i  state/phases/#/color GREEN|RED|YELLOW  state/phases/#/vehTimeMin n  state/phases/#/vehTimeMax n  state/phases/#/callVehicle b  state/phases/#/callPedestrian b"),
    ("intersection_update",  "state/phases/#/omit b  state/phases/#/omitPedestrian b  state/phases/#/hold b  state/phases/#/forceOff b  state/phases/#/pedestrianClear b  state/phases/#/walkDont b  state/phases/#/walk b"),
    ("intersection_request", "id i  uri s  name s  url s  longitude n  latitude n  streetMain s  streetCross s  v2xIntersectionId s  style straight|three-way|four-way|five-way  instrument signal"),
    ("intersection_request", "phases/#/number i  phases/#/bound north|south|east|west  phases/#/turn left|right|through  stages/#/name s  stages/#/controlGroup 8"),
    ("signal_update",        "id i  serviced d  state/updated d  state/left/color RED|YELLOW|GREEN?  state/left/status steady|flashing|disabled  state/left/vehTimeMin n  state/left/vehTimeMax n  state/left/updated d"),
    ("signal_update",        "state/right/color RED|YELLOW|GREEN?  state/right/status steady|flashing|disabled  state/straight/color RED|YELLOW|GREEN?  state/straight/status steady|flashing|disabled"),
    ("signal_request",       "id i  name s  state o"),
    ("crosswalk_update",     "id i  serviced d  state/updated d  state/callPedestrian b  state/activated b?  state/countdownTime i?  state/pedestrianClear b  state/walkDont b  state/walk b"),
    ("crosswalk_update",     "state/phase walk-text|do-not-walk-text|steady-upraised-hand|steady-walking-man|flashing-upraised-hand?"),
    ("crosswalk_request",    "id i  name s  state/callPedestrian b"),
    ("railcrossing_update",  "id i  serviced d  state/updated d  state/manualCall b  state/activated b  state/phase presignal|closing|closed|opening|postsignal|open?  state/gate b  state/audible b  state/beacon b"),
    ("railcrossing_request", "id i  name s  state/manualCall b"),
    ("gate_update",          "id i  serviced d  state/updated d  state/gateCall b  state/activated b  state/open b?"),
    ("gate_request",         "id i  name s  state/gateCall b"),
    ("garage_update",        "id s  serviced d  state/updated d  state/open b  state/activated b"),
    ("garage_request",       "id s  name s  state/open b"),
    ("light_update",         "id i  serviced d  state/updated d  state/enabled b  state/dimLevel i"),
    ("light_request",        "id i  name s  state/dimLevel i"),
    ("sensor_update",        "id s  serviced d  state/updated d  state/enabled b"),
    ("sensor_request",       "id s  name s  type PACKAGE|CAMERA|LIDAR|RADAR  state/enabled b"),
    ("robot_update",         "id i  serviced d  state/updated d  state/longitude n  state/latitude n  state/activated b  state/status s  state/enabled b  state/scenario/id i  state/scenario/name s"),
    ("robot_update",         "state/connection/updated d  state/connection/type DSRC|WIFI|CELLULAR|ZIGBEE|ETHERNET|DIRECT  state/connection/strength i  state/connection/network s"),
    ("robot_update",         "state/charge/updated d  state/charge/charging b  state/charge/percent i  state/charge/voltage n"),
    ("robot_request",        "id i  name s  state/activated b"),
    ("beacon_update",        "id s  serviced d  state/dynamics/longitude n?  state/dynamics/latitude n?  state/dynamics/heading n?  state/dynamics/velocity n?  state/dynamics/acceleration n?  state/dynamics/elevation n?  state/dynamics/updated d"),
    ("beacon_update",        "state/v2xCommunication/enabled b  state/v2xCommunication/type pedestrian|bicyclist|worker|animal|vehicle  state/connection/quality i  state/connection/type WIFI|DSRC|CELLULAR|ZIGBEE|ETHERNET|DIRECT  state/charge/percent i"),
    ("weather_alert",        "id s  description s  instruction s  state/event s  state/dateValid d  state/onset d  state/dateExpire d  state/ends d  state/status s  state/severity s  state/certainty s  state/urgency s  state/updated d"),
    ("weather_alert_update", "id s  serviced d  state/event s  state/onset d  state/severity s"),
    ("facility_message",     "message s  type NOTIFY|WEATHER|SCHEDULE  time d"),
    ("facility_request",     "id i  uri s  name s  url s  urlMap s  longitude n  latitude n  contact o  unitDistance s  unitMass s"),
    ("facility_update",      "id i  uri s  name s  url s  urlMap s  longitude n  latitude n  contact o  unitDistance s  unitMass s"),
    ("v2x_update",           "id i  serviced d  state/id i  state/uri s  state/name s  state/longitude n  state/latitude n  state/type OBU|RSU  state/radiosSupported/#/radio DSRC|CV2X  state/radiosSupported/#/messageSet J2735_201603|NTCIP"),
    ("v2x_update",           "state/radiosSupported/#/messageType BSM|PSM|SPaT|MAP|TIM|RTCM  state/radiosSupported/#/rxEnabled b  state/radiosSupported/#/txEnabled b  state/state/enabled b  state/state/updated d"),
    ("v2x_request",          "id i  name s  type OBU|RSU  state/enabled b"),
    ("v2x_new",              "id i  name s  type OBU|VRU  state/updated d  state/longitude n  state/speed n"),
    ("v2x_raw",              "id s  messageSet NTCIP  updated d  data s"),
    ("v2x_SPaT",             "id s  messageSet NTCIP  updated d  timeSystem s  green 16  yellow 16  red 16  walk 16  walkDont 16  pedestrianClear 16  flash 16  overlap/green 16  overlap/yellow 16  overlap/red 16  overlap/flash 16"),
    ("v2x_SPaT",             "phases/#/phase i  phases/#/color GREEN|RED|YELLOW  phases/#/flash b  phases/#/overlap/green b  phases/#/overlap/yellow b  phases/#/overlap/red b  phases/#/overlap/flash b  phases/#/vehTimeMin n  phases/#/vehTimeMax n  phases/#/pedTimeMin n  phases/#/pedTimeMax n"),
    ("v2x_BSM",              "id s  idTemporary s  idFixed s  messageSet J2735_201603  vehicleLength n  vehicleWidth n  updated d  longitude n  latitude n  elevation n  speed n  heading n  angle n"),
    ("v2x_PSM",              "id s  messageSet J2735_201603  updated d  longitude n  latitude n  elevation n  speed n  heading n  type pedestrian|bicyclist|worker|animal|godzilla  size unknown|small|large"),
];

/// The values at a path, of every element where it says `#`.
fn at<'a>(value: &'a Value, path: &str) -> Vec<Option<&'a Value>> {
    match path.split_once("/#/") {
        None => vec![value.pointer(&format!("/{path}"))],
        Some((list, rest)) => match value.pointer(&format!("/{list}")).and_then(Value::as_array) {
            Some(items) => items.iter().flat_map(|item| at(item, rest)).collect(),
            None => vec![None],
        },
    }
}

fn is(value: &Value, kind: &str) -> bool {
    let bits = |count: usize| {
        value.as_str().is_some_and(|it| it.len() == count && it.bytes().all(|bit| matches!(bit, b'0' | b'1')))
    };
    if let Some(kind) = kind.strip_suffix('?') {
        return value.is_null() || is(value, kind);
    }
    match kind {
        "s" => value.is_string(),
        "n" => value.is_number(),
        "i" => value.is_i64() || value.is_u64(),
        "b" => value.is_boolean(),
        "o" => value.is_object(),
        "8" => bits(8),
        "16" => bits(16),
        // 2024-05-06T08:00:01.000-04:00
        "d" => value.as_str().is_some_and(|it| {
            it.len() == 29
                && it.get(19..20) == Some(".")
                && it.get(26..27) == Some(":")
                && it.parse::<Timestamp>().is_ok()
        }),
        words => value.as_str().is_some_and(|it| words.split('|').any(|word| word == it)),
    }
}

/// Everything that is said within a few minutes in which everything is asked of.
fn said() -> BTreeMap<&'static str, Vec<Value>> {
    let mut bench = Bench::new();
    bench.state.keys = Keys::none(true);
    let mut said = BTreeMap::<_, Vec<Value>>::new();
    let mut keep = |outputs: Vec<Output>| {
        for output in outputs {
            if let Output::Publish(publication) = output {
                let data = serde_json::from_str(publication.data.json().get()).unwrap();
                said.entry(publication.event).or_default().push(data);
            }
        }
    };
    keep(bench.handle(Input::Opened { client: 1, key: Some("key".into()) }));
    let radios = ["v2x_rsu_raw", "v2x_rsu_parsed", "v2x_obu_parsed", "v2x_vru_parsed", "v2x"];
    for channel in radios {
        let data = RawValue::from_string(format!(r#"{{"channel":"{channel}"}}"#)).unwrap();
        keep(bench.handle(Input::Event { client: 1, name: "join", data: &data }));
    }
    let pass = |bench: &mut Bench, seconds: u64, keep: &mut dyn FnMut(Vec<Output>)| {
        for _ in 0..seconds * 10 {
            bench.later(Duration::from_millis(100));
            keep(bench.handle(Input::Tick));
        }
    };
    pass(&mut bench, 2, &mut keep);
    #[rustfmt::skip]
    let asked = [
        (Kind::Intersection, "1",     r#"{"state":{"callVehicle":"11111111","callPedestrian":"10101010"}}"#),
        (Kind::Signal,       "42",    r#"{"state":{"straight":{"color":"GREEN"}}}"#),
        (Kind::Crosswalk,    "1",     r#"{"state":{"callPedestrian":true}}"#),
        (Kind::RailCrossing, "1",     r#"{"state":{"manualCall":true,"manualCallTimeOverride":20}}"#),
        (Kind::Gate,         "1",     r#"{"state":{"gateCall":true}}"#),
        (Kind::Garage,       "north", r#"{"state":{"open":true}}"#),
        (Kind::Light,        "1",     r#"{"state":{"dimLevel":30}}"#),
        (Kind::Sensor,       "cam-4", r#"{"state":{"enabled":false}}"#),
        (Kind::Robot,        "1",     r#"{"state":{"activated":true,"scenario":{"id":1}}}"#),
        (Kind::V2x,          "4",     r#"{"state":{"enabled":false}}"#),
    ];
    for (kind, id, patch) in asked {
        keep(bench.state.control(kind, id, &RawValue::from_string(patch.into()).unwrap()).unwrap());
    }
    let data =
        RawValue::from_string(r#"{"id":"beef0001","longitude":-83.7,"latitude":42.3,"speed":3.0}"#.into())
            .unwrap();
    keep(bench.handle(Input::Event { client: 1, name: "v2x_BSM", data: &data }));
    // Passed on as it was said, and so not checked.
    pass(&mut bench, 70, &mut keep);
    keep(bench.state.reset_facility());
    said.entry("v2x_BSM").and_modify(|all| all.retain(|it| it["id"] != "beef0001"));
    said
}

#[test]
fn every_event_has_the_fields_that_clients_expect() {
    let said = said();
    let mut wrong = Vec::new();
    for (event, fields) in FIELDS {
        let all = said.get(event).unwrap_or_else(|| panic!("{event} was never said"));
        let mut fields = fields.split_whitespace();
        while let (Some(path), Some(kind)) = (fields.next(), fields.next()) {
            for value in all.iter().flat_map(|said| at(said, path)) {
                match value {
                    Some(value) if is(value, kind) => {}
                    Some(value) => wrong.push(format!("{event}: {path} is {value}, not {kind}")),
                    None => wrong.push(format!("{event}: {path} is missing")),
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let described = |event: &&&str| FIELDS.iter().any(|(it, _)| it == *event);
    let further: Vec<_> = said.keys().filter(|event| !described(event)).collect();
    assert!(further.is_empty(), "not in the table: {further:?}");
}
