//! The relay's state: conversations as text, and numbers of users and monitors that no socket test reaches.
//!
//! ```text
//! u > command send {"command":"x"}    what u sends; a socket opens with its first line
//! u < command ok {"reason":"..."}     what must follow, all of it and in this order
//! u closes | u opens TOKEN | u alive  other inputs          u closed | u probed   other outputs
//! at 5                                seconds since the start; timers run
//! ```

use std::collections::HashMap;
use std::time::Duration;

use cloverleaf::services::relay::events::Request;
use cloverleaf::services::relay::state::{Access, Census, Input, Moment, Output, Settings, State};
use serde_json::value::RawValue;

fn settings() -> Settings {
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

/// So many seconds after the start, by clocks that agree.
fn at(seconds: f64) -> Moment {
    Moment { elapsed: Duration::from_secs_f64(seconds), wall: 1_000_000.0 + seconds * 1000.0 }
}

/// Play a conversation and compare every output. `$A` stands for thirty-two times `A`.
fn play(settings: Settings, text: &str) {
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

fn pair(settings: Settings, rest: &str) {
    play(settings, &format!("{PAIR}{rest}"));
}

#[test]
fn a_command_goes_to_the_monitor_and_its_completion_back() {
    pair(
        settings(),
        r#"
        u > command send {"command":"lights on","extra":1}
        m < command do {"command":"lights on"}
        u < command ok {"reason":"Command ok"}
        m > command done {}
        u < command finish {"reason":"Command finish"}
        "#,
    );
}

#[test]
fn completions_without_data_complete_too() {
    pair(
        settings(),
        r#"
        u > command send {"command":"a"}
        m < command do {"command":"a"}
        u < command ok {"reason":"Command ok"}
        m > command done
        u < command finish {"reason":"Command finish"}
        "#,
    );
}

#[test]
fn what_came_of_a_command_reaches_its_sender_as_a_string() {
    for (sent, output) in [(r#""42\n""#, r#""42\n""#), ("[1,2]", r#""[1,2]""#)] {
        pair(
            settings(),
            &format!(
                r#"
                u > command send {{"command":"a"}}
                m < command do {{"command":"a"}}
                u < command ok {{"reason":"Command ok"}}
                m > command done {{"output":{sent}}}
                u < command finish {{"reason":"Command finish","output":{output}}}
                "#
            ),
        );
    }
}

#[test]
fn errors_reach_the_user_as_strings() {
    let max = format!("\"{}\"", "x".repeat(100));
    let table = [
        (r#"{"reason":"jam"}"#, r#""jam""#),
        (r#"{"reason":"half \ud83d"}"#, r#""half \ud83d""#),
        (r#"{"reason":5}"#, r#""5""#),
        (r#"{"reason":{"a":[1]}}"#, r#""{\"a\":[1]}""#),
        (r#"{"reason":null}"#, r#""Command failed""#),
        ("{}", r#""Command failed""#),
        ("", r#""Command failed""#),
        (&format!("{{\"reason\":\"{}\"}}", "x".repeat(1000)), max.as_str()),
    ];
    for (sent, reason) in table {
        pair(
            settings(),
            &format!(
                r#"
                u > command send {{"command":"a"}}
                m < command do {{"command":"a"}}
                u < command ok {{"reason":"Command ok"}}
                m > command error {sent}
                u < command failed {{"reason":{reason}}}
                "#
            ),
        );
    }
}

#[test]
fn bad_introductions_are_refused_and_closed() {
    for data in ["", "{}", r#"{"monitor_id":"short"}"#, r#"{"monitor_id":"$Ax"}"#, r#"["$A"]"#, r#""$A""#] {
        for event in ["query", "con"] {
            let text = format!(
                r#"
                p > {event} {data}
                p < {event} failed {{"reason":"Invalid monitor_id"}}
                p closed
                # Whatever else was on its way is nobody's.
                p > command send {{"command":"x"}}
                "#
            );
            play(settings(), &text);
        }
    }
}

#[test]
fn bad_commands_are_refused_and_the_connection_kept() {
    let long = "x".repeat(101);
    let table = [
        (r#"{"command":""}"#.to_owned(), "Invalid command"),
        (r#"{"command":5}"#.to_owned(), "Invalid command"),
        (String::new(), "Invalid command"),
        (r#""command""#.to_owned(), "Invalid command"),
        (format!(r#"{{"command":"{long}"}}"#), "Payload too large"),
    ];
    for (data, reason) in table {
        pair(
            settings(),
            &format!(
                r#"
                u > command send {data}
                u < command failed {{"reason":"{reason}"}}
                u > command send {{"command":"still here"}}
                m < command do {{"command":"still here"}}
                u < command ok {{"reason":"Command ok"}}
                "#
            ),
        );
    }
}

#[test]
fn a_command_before_its_query_is_refused() {
    play(
        settings(),
        r#"
        u > command send {"command":"x"}
        u < command failed {"reason":"Not queried"}
        "#,
    );
}

#[test]
fn an_absent_monitor_is_never_silence() {
    play(
        settings(),
        r#"
        u > query {"monitor_id":"$A"}
        u < query ok {"reason":"Query ok"}
        u > command send {"command":"x"}
        u < command ok {"reason":"Command ok"}
        u < command failed {"reason":"Monitor not connected"}
        "#,
    );
}

#[test]
fn each_user_hears_of_its_own_commands_oldest_first() {
    pair(
        settings(),
        r#"
        v > query {"monitor_id":"$A"}
        v < query ok {"reason":"Query ok"}
        u > command send {"command":"1"}
        m < command do {"command":"1"}
        u < command ok {"reason":"Command ok"}
        v > command send {"command":"2"}
        m < command do {"command":"2"}
        v < command ok {"reason":"Command ok"}
        m > command error {"reason":"jam"}
        u < command failed {"reason":"jam"}
        m > command done
        v < command finish {"reason":"Command finish"}
        m > command done
        "#,
    );
}

#[test]
fn in_broadcast_every_user_of_the_monitor_hears_of_every_command() {
    pair(
        Settings { broadcast: true, ..settings() },
        r#"
        v > query {"monitor_id":"$A"}
        v < query ok {"reason":"Query ok"}
        w > query {"monitor_id":"$B"}
        w < query ok {"reason":"Query ok"}
        u > command send {"command":"1"}
        m < command do {"command":"1"}
        u < command ok {"reason":"Command ok"}
        m > command done
        u < command finish {"reason":"Command finish"}
        v < command finish {"reason":"Command finish"}
        v closes
        u > command send {"command":"2"}
        m < command do {"command":"2"}
        u < command ok {"reason":"Command ok"}
        m > command done
        u < command finish {"reason":"Command finish"}
        "#,
    );
}

#[test]
fn echoed_ids_complete_out_of_order() {
    pair(
        settings(),
        r#"
        u > command send {"command":"1","id":"a"}
        m < command do {"command":"1","id":"a"}
        u < command ok {"reason":"Command ok","id":"a","times":{"accepted":1000000.0}}
        at 1
        u > command send {"command":"2","id":{"n":2},"sent":1000500.5}
        m < command do {"command":"2","id":{"n":2}}
        u < command ok {"reason":"Command ok","id":{"n":2},"times":{"sent":1000500.5,"accepted":1001000.0}}
        u > command send {"command":"3"}
        m < command do {"command":"3"}
        u < command ok {"reason":"Command ok"}
        at 2
        m > command done {"id":{"n":2}}
        u < command finish {"reason":"Command finish","id":{"n":2},"times":{"sent":1000500.5,"accepted":1001000.0,"dispatched":1001000.0,"finished":1002000.0}}
        # An id that nobody gave is nobody's.
        m > command error {"id":77,"reason":"no"}
        m > command done {"id":"a"}
        u < command finish {"reason":"Command finish","id":"a","times":{"accepted":1000000.0,"dispatched":1000000.0,"finished":1002000.0}}
        m > command done {"id":"a"}
        m > command error {"reason":"no"}
        u < command failed {"reason":"no"}
        "#,
    );
}

/// Python escapes what JavaScript does not, and JavaScript has one kind of number.
#[test]
fn an_id_is_echoed_in_the_words_of_another_library() {
    let table = [
        (r#""\u00fc \/""#, r#""ü /""#),
        ("1.0", "1"),
        ("1e3", "1000"),
        ("-0.5", "-5e-1"),
        (r#"{"b":[1,"\u0041"],"a":null}"#, r#"{ "a": null, "b": [1, "A"] }"#),
        (r#""half \ud83d""#, r#""half \ud83d""#),
    ];
    for (given, echoed) in table {
        let times = r#""times":{"accepted":1000000.0"#;
        pair(
            settings(),
            &format!(
                r#"
                v > query {{"monitor_id":"$A"}}
                v < query ok {{"reason":"Query ok"}}
                v > command send {{"command":"another's"}}
                m < command do {{"command":"another's"}}
                v < command ok {{"reason":"Command ok"}}
                u > command send {{"command":"x","id":{given}}}
                m < command do {{"command":"x","id":{given}}}
                u < command ok {{"reason":"Command ok","id":{given},{times}}}}}
                m > command done {{"id":{echoed}}}
                u < command finish {{"reason":"Command finish","id":{given},{times},"dispatched":1000000.0,"finished":1000000.0}}}}
                "#
            ),
        );
    }
}

#[test]
fn times_follow_the_clock_on_the_wall_and_limits_do_not() {
    let mut state: State<&str> =
        State::new(Settings { timeout: Some(Duration::from_secs(10)), ..settings() });
    let mut out = Vec::new();
    let id = "A".repeat(32);
    // After the command was accepted the machine sleeps for eight hours.
    let awake = Moment { elapsed: Duration::from_secs(1), wall: 28_801_000.0 };
    for (now, peer, event, data) in [
        (at(0.0), "m", "con", format!(r#"{{"monitor_id":"{id}"}}"#)),
        (at(0.0), "u", "query", format!(r#"{{"monitor_id":"{id}"}}"#)),
        (at(0.0), "u", "command send", r#"{"command":"x"}"#.to_owned()),
        (awake, "m", "command done", "{}".to_owned()),
    ] {
        if event != "command send" && event != "command done" {
            state.handle(now, peer, Input::Opened { token: None, audible: true }, &mut out);
        }
        state.handle_timeout(now, &mut out);
        let data: Box<RawValue> = serde_json::from_str(&data).unwrap();
        let request = Request::parse(event, &data).unwrap();
        state.handle(now, peer, Input::Request(request), &mut out);
    }
    let record = out.iter().find_map(|output| match output {
        Output::Record(record) => Some(record),
        _ => None,
    });
    let record = record.expect("the command is over");
    assert_eq!(record.failed, None, "a second is no timeout");
    assert_eq!((record.times.accepted, record.times.finished), (1_000_000.0, Some(28_801_000.0)));
}

#[test]
fn a_monitor_that_goes_fails_what_it_was_given_in_order() {
    pair(
        settings(),
        r#"
        u > command send {"command":"1","id":1}
        m < command do {"command":"1","id":1}
        u < command ok {"reason":"Command ok","id":1,"times":{"accepted":1000000.0}}
        u > command send {"command":"2"}
        m < command do {"command":"2"}
        u < command ok {"reason":"Command ok"}
        m closes
        u < command failed {"reason":"Monitor disconnected","id":1,"times":{"accepted":1000000.0,"dispatched":1000000.0,"finished":1000000.0}}
        u < command failed {"reason":"Monitor disconnected"}
        u > command send {"command":"3"}
        u < command ok {"reason":"Command ok"}
        u < command failed {"reason":"Monitor not connected"}
        n > con {"monitor_id":"$A"}
        n < con ok {"reason":"Connection ok"}
        u > command send {"command":"4"}
        n < command do {"command":"4"}
        u < command ok {"reason":"Command ok"}
        "#,
    );
}

#[test]
fn a_user_that_goes_leaves_its_command_to_the_monitor() {
    pair(
        settings(),
        r#"
        u > command send {"command":"1"}
        m < command do {"command":"1"}
        u < command ok {"reason":"Command ok"}
        u closes
        v > query {"monitor_id":"$A"}
        v < query ok {"reason":"Query ok"}
        v > command send {"command":"2"}
        m < command do {"command":"2"}
        v < command ok {"reason":"Command ok"}
        # The first completion is of the command of the user that left.
        m > command done
        m > command done
        v < command finish {"reason":"Command finish"}
        "#,
    );
}

#[test]
fn introductions_can_be_repeated_and_changed() {
    pair(
        settings(),
        r#"
        m > con {"monitor_id":"$A"}
        m < con ok {"reason":"Connection ok"}
        u > command send {"command":"1"}
        m < command do {"command":"1"}
        u < command ok {"reason":"Command ok"}
        # Another id releases the first, at once and with everything that waited for it.
        m > con {"monitor_id":"$B"}
        u < command failed {"reason":"Monitor disconnected"}
        m < con ok {"reason":"Connection ok"}
        n > con {"monitor_id":"$A"}
        n < con ok {"reason":"Connection ok"}
        u > query {"monitor_id":"$B"}
        u < query ok {"reason":"Query ok"}
        u > command send {"command":"2"}
        m < command do {"command":"2"}
        u < command ok {"reason":"Command ok"}
        # One socket may be both.
        u > con {"monitor_id":"$C"}
        u < con ok {"reason":"Connection ok"}
        u > query {"monitor_id":"$C"}
        u < query ok {"reason":"Query ok"}
        u > command send {"command":"3"}
        u < command do {"command":"3"}
        u < command ok {"reason":"Command ok"}
        u > command done
        u < command finish {"reason":"Command finish"}
        "#,
    );
}

#[test]
fn reports_of_who_is_no_monitor_are_ignored() {
    pair(
        settings(),
        r#"
        u > command done {}
        u > command error {"reason":"x"}
        x > command done
        m > command done
        "#,
    );
}

#[test]
fn strictly_a_taken_id_is_refused_at_once() {
    pair(
        settings(),
        r#"
        n > con {"monitor_id":"$A"}
        n < con failed {"reason":"monitor_id already registered"}
        n closed
        u > command send {"command":"1"}
        m < command do {"command":"1"}
        u < command ok {"reason":"Command ok"}
        "#,
    );
}

#[test]
fn a_claim_is_decided_by_what_becomes_of_the_holder() {
    let probing = Settings { probe: Some(Duration::from_secs(1)), ..settings() };
    let claim = r#"
        u > command send {"command":"1"}
        m < command do {"command":"1"}
        u < command ok {"reason":"Command ok"}
        n > con {"monitor_id":"$A"}
        m probed
        # Meanwhile nobody else may claim, and asking twice changes nothing.
        n > con {"monitor_id":"$A"}
        o > con {"monitor_id":"$A"}
        o < con failed {"reason":"monitor_id already registered"}
        o closed
    "#;
    let refused = r#"
        n < con failed {"reason":"monitor_id already registered"}
        n closed
    "#;
    let taken = r#"
        u < command failed {"reason":"Monitor disconnected"}
        n < con ok {"reason":"Connection ok"}
        u > command send {"command":"2"}
        n < command do {"command":"2"}
        u < command ok {"reason":"Command ok"}
    "#;
    pair(probing.clone(), &format!("{claim} m alive {refused}"));
    pair(
        probing.clone(),
        &format!("{claim} m > command send {{}} {refused} m < command failed {{\"reason\":\"Not queried\"}}"),
    );
    pair(probing.clone(), &format!("{claim} at 0.9 \n at 1 \n m closed {taken}"));
    pair(probing.clone(), &format!("{claim} m closes {taken}"));
    pair(
        probing.clone(),
        &format!(
            "{claim} m > con {{\"monitor_id\":\"$B\"}} {refused} \n {}",
            r#"
        u < command failed {"reason":"Monitor disconnected"}
        m < con ok {"reason":"Connection ok"}"#
        ),
    );
    // A claimant that leaves or changes its mind.
    pair(probing.clone(), &format!("{claim} n closes \n m alive \n at 5"));
    pair(
        probing,
        &format!(
            "{claim} n > con {{\"monitor_id\":\"$B\"}} \n n < con ok {{\"reason\":\"Connection ok\"}} \n m closes \n u < command failed {{\"reason\":\"Monitor disconnected\"}}"
        ),
    );
}

#[test]
fn who_cannot_be_heard_keeps_its_id() {
    play(
        Settings { probe: Some(Duration::from_secs(1)), ..settings() },
        r#"
        deaf > con {"monitor_id":"$A"}
        deaf < con ok {"reason":"Connection ok"}
        n > con {"monitor_id":"$A"}
        deaf probed
        at 1
        n < con failed {"reason":"monitor_id already registered"}
        n closed
        "#,
    );
}

#[test]
fn a_command_without_report_times_out_and_its_late_report_is_not_the_next_ones() {
    let timed = Settings { timeout: Some(Duration::from_secs(10)), ..settings() };
    let late = r#"
        u > command send {"command":"1"}
        m < command do {"command":"1"}
        u < command ok {"reason":"Command ok"}
        at 9.9
        u > command send {"command":"2"}
        m < command do {"command":"2"}
        u < command ok {"reason":"Command ok"}
        at 10
        u < command failed {"reason":"Command timed out"}
    "#;
    // The monitor was slow.
    pair(
        timed.clone(),
        &format!(
            "{late} {}",
            r#"
        m > command error {"reason":"late"}
        m > command done
        u < command finish {"reason":"Command finish"}
    "#
        ),
    );
    // The monitor has forgotten the first, and does not put the others out of step for ever.
    pair(
        timed,
        &format!(
            "{late} {}",
            r#"
        at 19.9
        u < command failed {"reason":"Command timed out"}
        at 29.9
        u > command send {"command":"3"}
        m < command do {"command":"3"}
        u < command ok {"reason":"Command ok"}
        m > command done
        u < command finish {"reason":"Command finish"}
    "#
        ),
    );
}

#[test]
fn a_window_holds_back_what_a_serial_monitor_has_no_room_for() {
    let serial = Settings { window: 1, timeout: Some(Duration::from_secs(10)), ..settings() };
    pair(
        serial,
        r#"
        u > command send {"command":"1"}
        m < command do {"command":"1"}
        u < command ok {"reason":"Command ok"}
        u > command send {"command":"2"}
        u < command ok {"reason":"Command ok"}
        at 5
        u > command send {"command":"3"}
        u < command ok {"reason":"Command ok"}
        m > command done
        u < command finish {"reason":"Command finish"}
        m < command do {"command":"2"}
        at 10
        u < command failed {"reason":"Command timed out"}
        m > command done
        m < command do {"command":"3"}
        m > command done
        u < command finish {"reason":"Command finish"}
        "#,
    );
}

#[test]
fn unfinished_commands_and_commands_a_second_are_limited() {
    pair(
        Settings { max_pending: 1, ..settings() },
        r#"
        u > command send {"command":"1"}
        m < command do {"command":"1"}
        u < command ok {"reason":"Command ok"}
        u > command send {"command":"2"}
        u < command failed {"reason":"Too many pending commands"}
        v > query {"monitor_id":"$A"}
        v < query ok {"reason":"Query ok"}
        v > command send {"command":"3"}
        v < command failed {"reason":"Too many pending commands"}
        m > command done
        u < command finish {"reason":"Command finish"}
        v > command send {"command":"4"}
        m < command do {"command":"4"}
        v < command ok {"reason":"Command ok"}
        "#,
    );
    play(
        Settings { rate: 2, ..settings() },
        r#"
        u > query {"monitor_id":"$A"}
        u < query ok {"reason":"Query ok"}
        u > command send {"command":"1"}
        u < command ok {"reason":"Command ok"}
        u < command failed {"reason":"Monitor not connected"}
        u > command send {"command":"2"}
        u < command ok {"reason":"Command ok"}
        u < command failed {"reason":"Monitor not connected"}
        u > command send {"command":"3"}
        u < command failed {"reason":"Too many commands per second"}
        at 0.5
        u > command send {"command":"4"}
        u < command ok {"reason":"Command ok"}
        u < command failed {"reason":"Monitor not connected"}
        u > command send {"command":"5"}
        u < command failed {"reason":"Too many commands per second"}
        "#,
    );
}

#[test]
fn keys_are_asked_of_each_role() {
    let access = Access::new(&["user".parse().unwrap()], &["monitor".parse().unwrap()], false);
    play(
        Settings { access, hex_ids: true, ..settings() },
        r#"
        m opens monitor
        m > con {"monitor_id":"$A"}
        m < con ok {"reason":"Connection ok"}
        u > query {"monitor_id":"$A","token":"user"}
        u < query ok {"reason":"Query ok"}
        n > con {"monitor_id":"$B"}
        n < con failed {"reason":"Invalid token"}
        n closed
        v opens monitor
        v > query {"monitor_id":"$A"}
        v < query failed {"reason":"Invalid token"}
        v closed
        w > query {"monitor_id":"$z"}
        w < query failed {"reason":"Invalid monitor_id"}
        w closed
        "#,
    );
    play(
        Settings { access: Access::new(&[], &[], false), ..settings() },
        r#"
        u > query {"monitor_id":"$A"}
        u < query failed {"reason":"Relay closed: the server has no keys"}
        u closed
        "#,
    );
}

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

fn request(state: &mut State<usize>, from: usize, event: &str, json: &str, out: &mut Vec<Output<usize>>) {
    let data: Box<RawValue> = serde_json::from_str(json).unwrap();
    let request = Request::parse(event, &data).unwrap();
    state.handle(at(0.0), from, Input::Request(request), out);
}

#[test]
fn a_thousand_users_and_monitors_never_hear_of_each_others_commands() {
    const COUNT: usize = 1000;
    let mut state = State::new(Settings { max_pending: usize::MAX, ..settings() });
    let (mut random, mut out) = (Random(7), Vec::new());
    // Monitors are the sockets from 0, users those from COUNT; user n commands a monitor of its choice.
    let mut target = vec![0; COUNT];
    for peer in 0..2 * COUNT {
        state.handle(at(0.0), peer, Input::Opened { token: None, audible: true }, &mut out);
        if peer < COUNT {
            request(&mut state, peer, "con", &format!("{{\"monitor_id\":\"{peer:032}\"}}"), &mut out);
        }
    }
    let mut sent = vec![0_usize; COUNT];
    let mut finished = vec![0_usize; COUNT];
    // What each monitor still has to do: (user, number).
    let mut tasks = vec![std::collections::VecDeque::new(); COUNT];
    out.clear();
    for step in 0..200_000 {
        let user = random.below(COUNT);
        if sent[user] == 0 || (step % 10 == 0 && sent[user] == finished[user]) {
            target[user] = random.below(COUNT);
            let json = format!("{{\"monitor_id\":\"{:032}\"}}", target[user]);
            request(&mut state, COUNT + user, "query", &json, &mut out);
            out.clear();
        }
        let json = format!("{{\"command\":\"{user} {}\"}}", sent[user]);
        request(&mut state, COUNT + user, "command send", &json, &mut out);
        sent[user] += 1;
        let monitor = random.below(COUNT);
        if !tasks[monitor].is_empty() {
            request(&mut state, monitor, "command done", "null", &mut out);
        }
        for output in out.drain(..) {
            let Output::Emit(to, message) = output else { continue };
            match message.event {
                "command do" => {
                    let text = message.payload.command.unwrap();
                    let text: String = serde_json::from_str(text.0.get()).unwrap();
                    let (user, number) = text.split_once(' ').unwrap();
                    let user: usize = user.parse().unwrap();
                    assert_eq!(target[user], to, "a command for another monitor");
                    tasks[to].push_back((user, number.parse::<usize>().unwrap()));
                }
                "command finish" => {
                    let (user, number) = tasks[monitor].pop_front().unwrap();
                    assert_eq!((COUNT + user, number), (to, finished[user]), "a completion of another user");
                    finished[user] += 1;
                }
                "command ok" => assert_eq!(to, COUNT + user),
                other => panic!("{other}"),
            }
        }
    }
    assert!(finished.iter().sum::<usize>() > 50_000);
    let unfinished = sent.iter().sum::<usize>() - finished.iter().sum::<usize>();
    assert_eq!(state.census(), Census { sockets: 2 * COUNT, monitors: COUNT, commands: unfinished });
}

#[test]
fn a_hundred_thousand_reconnects_leave_nothing_behind() {
    let mut state =
        State::new(Settings { broadcast: true, probe: Some(Duration::from_secs(1)), ..settings() });
    let mut out = Vec::new();
    let id = format!("{{\"monitor_id\":\"{}\"}}", "a".repeat(32));
    for peer in 0..100_000 {
        state.handle(at(0.0), peer, Input::Opened { token: None, audible: true }, &mut out);
        request(&mut state, peer, "con", &id, &mut out);
        request(&mut state, peer, "query", &id, &mut out);
        request(&mut state, peer, "command send", "{\"command\":\"x\"}", &mut out);
        assert!(matches!(&out[0], Output::Emit(_, message) if message.event == "con ok"), "{peer}");
        state.handle(at(0.0), peer, Input::Closed, &mut out);
        out.clear();
    }
    assert_eq!(state.census(), Census::default());
    assert!(state.is_idle());
}
