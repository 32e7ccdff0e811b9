//! What is of the wrong type, too large, too deep or missing: every field of every event and of every request, replaced
//! by everything that it is not.

use cloverleaf::services::octane::state::MAX_CHANNELS;
use serde_json::{Value, json};

use super::bench::Bench;
use super::player::{member, options};
use crate::support::Server;

/// What a value may be replaced by, each with the letter of its type. `h` is a number that no float holds, `d` is deeper
/// than anybody nests, `l` is a long text, and `m` is nothing at all: the field is missing.
fn replacements() -> [(char, String); 9] {
    [
        ('z', "null".into()),
        ('b', "true".into()),
        ('n', "7".into()),
        ('h', "1e999".into()),
        ('s', r#""NaN""#.into()),
        ('l', format!("\"{}\"", "x".repeat(20_000))),
        ('a', "[]".into()),
        ('o', "{}".into()),
        ('d', "[".repeat(200) + &"]".repeat(200)),
    ]
}

fn letter(value: &Value) -> char {
    match value {
        Value::Null => 'z',
        Value::Bool(_) => 'b',
        Value::Number(_) => 'n',
        Value::String(_) => 's',
        Value::Array(_) => 'a',
        Value::Object(_) => 'o',
    }
}

/// The paths of a value and of all within it.
fn paths(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, it)| paths(it, &format!("{path}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, it)| paths(it, &format!("{path}/{at}"), found));
        }
        _ => {}
    }
}

/// Whether a path may hold such a type: `allowed` are paths with letters, such as `/id ns`; `.` is the
/// whole, and a path that ends in `*` stands for all that begin so.
fn is_allowed(allowed: &str, path: &str, letter: char) -> bool {
    let mut words = allowed.split_whitespace();
    while let (Some(pattern), Some(letters)) = (words.next(), words.next()) {
        let pattern = if pattern == "." { "" } else { pattern };
        let fits = pattern.strip_suffix('*').map_or(pattern == path, |start| path.starts_with(start));
        if fits && letters.contains(letter) {
            return true;
        }
    }
    false
}

/// Every wrong form of a good text: where it is wrong, and the text.
fn wrong_forms(good: &str, allowed: &str) -> Vec<(String, String)> {
    const MARK: &str = "\u{1}";
    let value: Value = serde_json::from_str(good).expect("a good text");
    let mut all = Vec::new();
    paths(&value, "", &mut all);
    let mut forms = Vec::new();
    for path in all {
        let its = letter(value.pointer(&path).expect("a path"));
        for (letter, text) in replacements() {
            if letter == its || letter == 'l' && its == 's' || is_allowed(allowed, &path, letter) {
                continue;
            }
            let mut wrong = value.clone();
            *wrong.pointer_mut(&path).expect("a path") = json!(MARK);
            let wrong = wrong.to_string().replace(&json!(MARK).to_string(), &text);
            forms.push((format!("{path} is {}", &text[..text.len().min(20)]), wrong));
        }
        let Some((parent, name)) = path.rsplit_once('/') else { continue };
        if !is_allowed(allowed, &path, 'm') {
            let mut wrong = value.clone();
            if let Some(parent) = wrong.pointer_mut(parent).and_then(Value::as_object_mut) {
                parent.remove(name);
                forms.push((format!("{path} is missing"), wrong.to_string()));
            }
        }
    }
    forms
}

/// Whether a message says where something is wrong, or what it should have been, in few words whatever was sent.
fn names(message: &str, place: &str) -> bool {
    let path = place.split(' ').next().unwrap_or_default();
    let field = path.rsplit('/').find(|name| name.parse::<u32>().is_err()).unwrap_or_default();
    let mut words = [field, "expected", "there is no", "at most", "out of range", "an object", "trailing"]
        .into_iter()
        .filter(|word| !word.is_empty());
    message.chars().count() <= 301 && words.any(|word| message.contains(word))
}

/// Each event with a good argument, and what may be otherwise in it. Events that take anything are not here.
#[rustfmt::skip]
const EVENTS: [(&str, &str, &str); 6] = [
    ("join",           r#"{"channel":"gate"}"#, ""),
    ("leave",          r#"{"channel":"gate"}"#, ""),
    ("beacon_message", r#"{"id":"B1","payload":{"state":{"dynamics":{"longitude":-83.69,"latitude":42.3,"heading":1.0,"velocity":2.0,"acceleration":0.0,"elevation":250.0,"updated":"2022-10-20T13:09:21.422+00:00"}}}}"#,
                       "/id n /payload/state/dynamics m /payload/state/dynamics/* zm"),
    ("v2x_BSM",        r#"{"id":"0129","payload":{"id":"beef0001","longitude":-83.69,"latitude":42.3,"elevation":250.0,"speed":3.5,"heading":90.0,"angle":0.0}}"#,
                       "/id zbnhslaodm /payload m /payload/id nm /payload/* zm"),
    ("v2x_PSM",        r#"{"id":"23","longitude":-83.69,"latitude":42.3,"elevation":250.0,"speed":1.5,"heading":90.0}"#,
                       "/id nm /* zm"),
    ("robot_activate", r#"{"id":1,"payload":{"activated":true,"scenario":{"id":1}}}"#,
                       "/payload/activated zm /payload/scenario zm"),
];

#[test]
fn an_event_with_something_wrong_in_it_is_answered_and_disturbs_nobody() {
    for (event, good, allowed) in EVENTS {
        let mut bench = Bench::new();
        bench.member(1);
        assert!(!bench.event(1, event, good)[0].contains(" error "), "{event} {good}");
        for (place, wrong) in wrong_forms(good, allowed) {
            let lines = bench.event(1, event, &wrong);
            let context = format!("{event}: {place}: {lines:.200?}");
            let [error, ack] = &lines[..] else { panic!("{context}") };
            assert_eq!(ack, "ack", "{context}");
            let start = "emit 1 error ";
            let said: Value =
                serde_json::from_str(error.strip_prefix(start).expect(&context)).expect(&context);
            assert_eq!(said["event"], event, "{context}");
            assert!(names(said["message"].as_str().expect(&context), &place), "{context}");
        }
    }
}

#[test]
fn what_cannot_be_joined_is_named() {
    let mut bench = Bench::new();
    bench.member(1);
    let mut said = |data: &str| bench.event(1, "join", data)[0].clone();
    assert_eq!(
        said(r#"{"channel":"nowhere"}"#),
        r#"emit 1 error {"event":"join","message":"there is no channel nowhere"}"#
    );
    assert_eq!(
        said("7"),
        r#"emit 1 error {"event":"join","message":"invalid type: integer `7`, expected an object at line 1 column 1"}"#
    );
    let last =
        (0..MAX_CHANNELS).map(|id| said(&format!(r#"{{"channel":"v2x_rsu_{id}_raw"}}"#))).last().unwrap();
    assert_eq!(last, r#"emit 1 error {"event":"join","message":"no more than 256 channels"}"#);
}

/// Each request with a good body, and what may be otherwise in it.
#[rustfmt::skip]
const REQUESTS: &[(&str, &str, &str, &str)] = &[
    ("PATCH", "/api/intersection/1",             r#"{"state":{"reset":false,"enabled":true,"omit":"00000000","hold":"00000000","forceOff":"00000000","omitPedestrian":"00000000","callVehicle":"00000000","callPedestrian":"00000000","flash":false,"timePaused":false,"timeClearControl":0}}"#,
                                                 "/state/reset m /state/enabled zm /state/omit zm /state/hold zm /state/forceOff zm /state/omitPedestrian zm /state/call* zm /state/flash zm /state/time* zm /state o"),
    ("PATCH", "/api/intersections",              r#"{"state":{"timeClearControl":0}}"#,              "/state/timeClearControl zm"),
    ("PATCH", "/api/intersection/6/preempt/1",   r#"{"state":{"enabled":false}}"#,                   ""),
    ("PATCH", "/api/signal/42",                  r#"{"state":{"reset":false,"flash":false,"straight":{"color":"GREEN"}}}"#, "/state/reset m /state/flash zm /state/straight zm"),
    ("PATCH", "/api/railcrossing/1",             r#"{"state":{"manualCall":false,"activated":false,"manualCallTimeOverride":9}}"#, "/state/* zm"),
    ("PATCH", "/api/crosswalk/1",                r#"{"state":{"callPedestrian":true}}"#,             "/state/callPedestrian m"),
    ("PATCH", "/api/gate/1",                     r#"{"state":{"gateCall":false}}"#,                  ""),
    ("PATCH", "/api/garage/north",               r#"{"state":{"open":false}}"#,                      ""),
    ("PATCH", "/api/light/1",                    r#"{"state":{"enabled":true,"dimLevel":50}}"#,      "/state/* zm"),
    ("PATCH", "/api/lights",                     r#"{"state":{"enabled":true,"dimLevel":50}}"#,      "/state/* zm"),
    ("PATCH", "/api/sensor/cam-4",               r#"{"state":{"enabled":true}}"#,                    ""),
    ("PATCH", "/api/sensors",                    r#"{"state":{"enabled":true}}"#,                    ""),
    ("PATCH", "/api/sensors/cameras",            r#"{"state":{"enabled":true}}"#,                    ""),
    ("PATCH", "/api/sensor/camera/cam-4",        r#"{"state":{"enabled":true}}"#,                    ""),
    ("PATCH", "/api/v2x/4",                      r#"{"state":{"enabled":true}}"#,                    ""),
    ("PATCH", "/api/v2x/rsus",                   r#"{"state":{"enabled":true}}"#,                    ""),
    ("PATCH", "/api/v2x/rsu/4",                  r#"{"state":{"enabled":true}}"#,                    ""),
    ("PATCH", "/api/robot/1",                    r#"{"state":{"enabled":true,"activated":false,"scenario":{"id":1}}}"#, "/state/enabled zm /state/activated zm /state/scenario zm"),
    ("POST",  "/api/robot/1/scenario",           r#"{"name":"n","description":"d","category":"other","type":"path","lock":false,"path":[{"longitude":-83.7,"latitude":42.3,"velocity":1.0,"acceleration":0.0}]}"#,
                                                 "/description m /category m /type m /lock m /path/0/velocity m /path/0/acceleration m"),
    ("POST",  "/api/beacon",                     r#"{"id":"B1","state":{"dynamics":{"latitude":42.3,"updated":"2022-10-20T13:09:21.422+00:00"}}}"#, "/state m /state/dynamics m /state/dynamics/* zm"),
    ("PATCH", "/api/beacon/B1",                  r#"{"state":{"dynamics":{"latitude":42.3}}}"#,      "/state/dynamics m /state/dynamics/* zm"),
    ("POST",  "/api/v2x/rsu/0124/bsm",           r#"{"id":"beef0001","latitude":42.3,"speed":3.5}"#, ". a /id nm /latitude zm /speed zm"),
    ("POST",  "/api/v2x/rsu/0124/bsms",          r#"[{"id":"beef0001","latitude":42.3}]"#,           ". o /0/id nm /0/latitude zm"),
    ("POST",  "/api/v2x/rsu/0124/psm",           r#"{"id":"23","heading":90.0}"#,                    ". a /id nm /heading zm"),
    ("POST",  "/api/facility/chat",              r#"{"message":"hello","user":"me"}"#,               "/* zbnhslaodm"),
    ("POST",  "/api/facility/notification",      r#"{"message":"hello","type":"NOTIFY"}"#,           "/type m"),
    ("PATCH", "/api/safety/equipment/cone-1",    r#"{"state":{"placed":true,"latitude":42.3,"longitude":-83.7}}"#, "/state/* zm"),
    ("PATCH", "/api/maintenance/lawnmower/1",    r#"{"state":{"mowerCall":"PARK"}}"#,                ""),
    ("POST",  "/api/scenario",                   r#"{"scenario":{"name":"n","workspace":"w"}}"#,     "/scenario/workspace m"),
    ("POST",  "/api/session",                    r#"{"email":"e","dateValid":"2001-01-01T00:00:00Z","dateExpire":"2101-01-01T00:00:00Z"}"#, "/dateValid zm"),
    ("POST",  "/api/management/favorite",        r#"{"moduleName":"gate","favoriteID":1}"#,          ""),
    ("PATCH", "/api/management/polling/intersections", r#"{"state":{"enabled":true}}"#,              ""),
    ("POST",  "/api/management/facility/reset",  r#"{"state":{"confirm":true}}"#,                    ""),
    ("POST",  "/api/management/device/callback", r#"{"data":"d","event":"e","coreid":"c","published_at":"p"}"#, "/data zbnsalo /published_at m"),
];

#[tokio::test]
async fn a_request_with_something_wrong_in_it_is_refused_in_the_one_shape_and_disturbs_nobody() {
    let server = Server::start(&options()).await;
    let mut other = member(&server).await;
    let http = reqwest::Client::new();
    let ask = async |method: &str, path: &str, body: Vec<u8>| {
        let request = http.request(method.parse().unwrap(), format!("{}{path}", server.url()));
        let response = request.header("X-API-KEY", "goodkey").body(body).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let mut not_answered = Vec::new();
    for (method, path, good, allowed) in REQUESTS {
        let (status, body) = ask(method, path, (*good).into()).await;
        assert_eq!(status, 200, "{path}: {body}");
        let mut forms: Vec<(String, Vec<u8>)> =
            wrong_forms(good, allowed).into_iter().map(|(place, text)| (place, text.into())).collect();
        forms.extend([
            ("the body is empty".into(), Vec::new()),
            ("the body is cut off".into(), good.as_bytes()[..good.len() - 1].into()),
            ("something follows".into(), format!("{good} {good}").into()),
            ("the body is not text".into(), vec![0xFF, 0xFE]),
        ]);
        for (place, wrong) in forms {
            let (status, body) = ask(method, path, wrong).await;
            let is_answered = matches!(status, 400 | 404)
                && body["httpStatusCode"] == status
                && body["status"] == status
                && body["message"].as_str().is_some_and(|message| names(message, &place));
            if !is_answered {
                not_answered.push(format!("{method} {path}: {place}: {status} {body:.300}"));
            }
        }
    }
    assert!(not_answered.is_empty(), "{not_answered:#?}");
    // What was good was heard, and nothing else.
    loop {
        let packet = other.receive().await;
        if packet == r#"42/octane,["user_message",{"message":"hello","user":"me"}]"# {
            break;
        }
        assert!(packet.starts_with(r#"42/octane,["facility_"#), "{packet}");
    }
    other.expect_answer().await;
}
