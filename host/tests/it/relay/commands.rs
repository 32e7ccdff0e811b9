//! What becomes of a command, in the relay's state.

use std::time::Duration;

use cloverleaf::clock::Moment;
use cloverleaf::services::relay::events::Request;
use cloverleaf::services::relay::state::{Input, Output, Settings, State};
use serde_json::value::RawValue;

use super::script::{at, pair, play, settings};

#[test]
fn a_command_goes_to_the_monitor_and_its_completion_back() {
    pair(
        settings(),
        r#"
        u > command send {"command":"lights on","extra":1}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"lights on"}
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
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"a"}
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
                u < command ok {{"reason":"Command ok"}}
                m < command do {{"command":"a"}}
                m > command done {{"output":{sent}}}
                u < command finish {{"reason":"Command finish","output":{output}}}
                "#
            ),
        );
    }
}

#[test]
fn errors_reach_the_user_as_strings() {
    let max = format!("\"{}\"", "x".repeat(65_536));
    let table = [
        (r#"{"reason":"jam"}"#, r#""jam""#),
        (r#"{"reason":"half \ud83d"}"#, r#""half \ud83d""#),
        (r#"{"reason":5}"#, r#""5""#),
        (r#"{"reason":{"a":[1]}}"#, r#""{\"a\":[1]}""#),
        (r#"{"reason":null}"#, r#""Command failed""#),
        ("{}", r#""Command failed""#),
        ("", r#""Command failed""#),
        // However short commands must be.
        (&format!("{{\"reason\":\"{}\"}}", "x".repeat(100_000)), max.as_str()),
    ];
    for (sent, reason) in table {
        pair(
            settings(),
            &format!(
                r#"
                u > command send {{"command":"a"}}
                u < command ok {{"reason":"Command ok"}}
                m < command do {{"command":"a"}}
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
                u < command ok {{"reason":"Command ok"}}
                m < command do {{"command":"still here"}}
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
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"1"}
        v > command send {"command":"2"}
        v < command ok {"reason":"Command ok"}
        m < command do {"command":"2"}
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
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"1"}
        m > command done
        u < command finish {"reason":"Command finish"}
        v < command finish {"reason":"Command finish"}
        v closes
        u > command send {"command":"2"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"2"}
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
        u < command ok {"reason":"Command ok","id":"a","times":{"accepted":1000000.0}}
        m < command do {"command":"1","id":"a"}
        at 1
        u > command send {"command":"2","id":{"n":2},"sent":1000500.5}
        u < command ok {"reason":"Command ok","id":{"n":2},"times":{"sent":1000500.5,"accepted":1001000.0}}
        m < command do {"command":"2","id":{"n":2}}
        u > command send {"command":"3"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"3"}
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
        ("1234567890123456789", "1234567890123456800"),
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
                v < command ok {{"reason":"Command ok"}}
                m < command do {{"command":"another's"}}
                u > command send {{"command":"x","id":{given}}}
                u < command ok {{"reason":"Command ok","id":{given},{times}}}}}
                m < command do {{"command":"x","id":{given}}}
                m > command done {{"id":{echoed}}}
                u < command finish {{"reason":"Command finish","id":{given},{times},"dispatched":1000000.0,"finished":1000000.0}}}}
                "#
            ),
        );
    }
}

#[test]
fn long_numbers_that_are_nearly_the_same_are_different_ids() {
    let times = r#""times":{"accepted":1000000.0"#;
    let [first, second] = ["1234567890123456789", "1234567890123456790"];
    let send = |id: &str| {
        format!(
            r#"
            u > command send {{"command":"x","id":{id}}}
            u < command ok {{"reason":"Command ok","id":{id},{times}}}}}
            m < command do {{"command":"x","id":{id}}}
            "#
        )
    };
    let report = |id: &str| {
        format!(
            r#"
            m > command done {{"id":{id}}}
            u < command finish {{"reason":"Command finish","id":{id},{times},"dispatched":1000000.0,"finished":1000000.0}}}}
            "#
        )
    };
    pair(settings(), &[send(first), send(second), report(second), report(first)].concat());
}

#[test]
fn times_follow_the_clock_on_the_wall_and_limits_do_not() {
    let mut state: State<&str> =
        State::new(Settings { timeout: Some(Duration::from_secs(10)), ..settings() });
    let mut out = Vec::new();
    let id = "A".repeat(32);
    // After the command was accepted the machine sleeps for eight hours.
    let awake = Moment { elapsed: Duration::from_secs(1), ..at(27_801.0) };
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
    assert_eq!((record.times.accepted, record.times.finished), (Some(1_000_000.0), Some(28_801_000.0)));
}
