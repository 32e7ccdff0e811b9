//! Conversations with the relay's state, as text.
//!
//! ```text
//! u > command send {"command":"x"}    what u sends; a socket opens with its first line
//! u < command ok {"reason":"..."}     what must follow, all of it and in this order
//! u closes | u opens TOKEN | u alive  other inputs          u closed | u probed   other outputs
//! car attaches $A                     a part of the program is a monitor
//! at 5                                seconds since the start; timers run
//! ```

use std::collections::HashMap;
use std::time::Duration;

use cloverleaf::clock::Moment;
use cloverleaf::services::relay::events::{MonitorId, Request};
use cloverleaf::services::relay::state::{Access, Input, Output, Settings, State};
use jiff::Timestamp;
use serde_json::value::RawValue;

pub(super) fn settings() -> Settings {
    Settings {
        access: Access::open(),
        hex_ids: false,
        broadcast: false,
        max_command: 100,
        max_pending: 100,
        rate: 1_000_000,
        window: usize::MAX,
        timeout: None,
        probe: None,
    }
}

/// So many seconds after the start, by clocks that agree; the start is a million milliseconds after 1970.
pub(super) fn at(seconds: f64) -> Moment {
    let elapsed = Duration::from_secs_f64(seconds);
    Moment { elapsed, wall: Timestamp::UNIX_EPOCH + Duration::from_secs(1000) + elapsed }
}

/// Play a conversation and compare every output. `$A` stands for thirty-two times `A`.
pub(super) fn play(settings: Settings, text: &str) {
    let mut state: State<&str> = State::new(settings);
    let (mut now, mut out) = (at(0.0), Vec::new());
    let mut known = HashMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let expanded = expand(line);
        let (name, rest) = line.split_once(' ').expect("a name and more");
        let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if matches!(verb, "<" | "closed" | "probed") {
            assert!(!out.is_empty(), "nothing came, expected: {line}");
            assert_eq!(show(&out.remove(0)), expanded, "in:{text}");
            continue;
        }
        assert!(out.is_empty(), "before {line:?} came unexpected {:?} in:{text}", show(&out[0]));
        if name == "at" {
            now = at(verb.parse().expect("seconds"));
            state.handle_timeout(now, &mut out);
        } else {
            let token = (verb == "opens").then(|| rest.to_owned());
            if known.insert(name, ()).is_none() || verb == "opens" {
                let audible = name != "deaf";
                state.handle(now, name, Input::Opened { token, audible }, &mut out);
            }
            match verb {
                ">" => {
                    let rest = expand(rest);
                    let (event, json) = rest.split_at(rest.find(['{', '[', '"']).unwrap_or(rest.len()));
                    let data: Box<RawValue> =
                        serde_json::from_str(if json.is_empty() { "null" } else { json }).unwrap();
                    let request = Request::parse(event.trim(), &data).expect("an event of the relay");
                    state.handle(now, name, Input::Request(request), &mut out);
                }
                "attaches" => {
                    let id = MonitorId::new(&expand(rest)).expect("an id");
                    assert!(state.attach(name, id, &mut out), "it is free");
                }
                "alive" => state.handle(now, name, Input::Alive, &mut out),
                "closes" => {
                    state.handle(now, name, Input::Closed, &mut out);
                    known.remove(name);
                }
                "opens" => {}
                _ => panic!("{line}"),
            }
        }
        out.retain(|output| !matches!(output, Output::Record(_) | Output::Presence(..)));
    }
    assert!(out.is_empty(), "at the end came unexpected {:?} in:{text}", show(&out[0]));
}

fn expand(text: &str) -> String {
    let mut parts = text.split('$');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (letter, rest) = part.split_at(1);
        whole += &letter.repeat(32);
        whole += rest;
    }
    whole
}

fn show(output: &Output<&str>) -> String {
    match output {
        Output::Emit(to, message) => {
            format!("{to} < {} {}", message.event, serde_json::to_string(&message.payload).unwrap())
        }
        Output::Close(peer) => format!("{peer} closed"),
        Output::Probe(peer) => format!("{peer} probed"),
        Output::Presence(..) | Output::Record(_) => String::new(),
    }
}

/// User `u` and monitor `m` of `$A`, introduced.
const PAIR: &str = r#"
    m > con {"monitor_id":"$A"}
    m < con ok {"reason":"Connection ok"}
    u > query {"monitor_id":"$A"}
    u < query ok {"reason":"Query ok"}
"#;

pub(super) fn pair(settings: Settings, rest: &str) {
    play(settings, &format!("{PAIR}{rest}"));
}
