//! The client of channels and its presence, in virtual time.

use cloverleaf_core::machine::{Machine, Output};
use cloverleaf_core::phoenix::presence::{Change, Error, Presence};
use cloverleaf_core::phoenix::session::{Client, Event};
use cloverleaf_core::phoenix::wire::{Body, Version};
use cloverleaf_core::time::{Duration, Instant};

use crate::laws::{Ask, Link, Step, hold};

type Small = Client<2, 2, 64, 512, 256>;

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Everything the client wants to send and tell, as text; then when it wants to be woken.
fn drain(client: &mut Small) -> (Vec<String>, Option<Instant>) {
    let mut said = Vec::new();
    loop {
        match client.poll() {
            Output::Transmit(bytes) => said.push(format!("> {}", std::str::from_utf8(bytes).unwrap())),
            Output::Event(event) => said.push(describe(&event)),
            Output::Wait(deadline) => {
                assert!(
                    matches!(client.poll(), Output::Wait(again) if again == deadline),
                    "polling changes nothing"
                );
                return (said, deadline);
            }
        }
    }
}

fn describe(event: &Event<'_>) -> String {
    let text = |body: &Body<'_>| match body {
        Body::Json(bytes) | Body::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    };
    match event {
        Event::Joined { topic, response } => format!("joined {topic} {}", text(response)),
        Event::Refused { topic, response } => format!("refused {topic} {}", text(response)),
        Event::Failed { topic } => format!("failed {topic}"),
        Event::Closed { topic } => format!("closed {topic}"),
        Event::Reply { reference, status, response } => {
            format!("reply {reference} {} {}", status.as_str().unwrap(), text(response))
        }
        Event::Unanswered { reference } => format!("unanswered {reference}"),
        Event::Message { topic, event, payload, personal } => {
            let mark = if *personal { "!" } else { "" };
            format!("{topic} {}{mark} {}", event.as_str().unwrap(), text(payload))
        }
        Event::TooLong { length } => format!("too long {length}"),
        Event::Dead => "dead".to_owned(),
    }
}

fn hear(client: &mut Small, now: Instant, message: &str) -> Vec<String> {
    assert_eq!(client.handle_input(now, message.as_bytes()), message.len());
    drain(client).0
}

/// A client that has joined `room:a` with ref 1.
fn joined() -> Small {
    let mut client = Small::new(Version::V2);
    client.join(at(0), "room:a", b"{}").unwrap();
    assert_eq!(drain(&mut client), (vec![], None), "nothing goes out before there is a connection");
    client.connected(at(0));
    assert_eq!(drain(&mut client).0, [r#"> ["1","1","room:a","phx_join",{}]"#]);
    let reply = r#"["1","1","room:a","phx_reply",{"status":"ok","response":{}}]"#;
    assert_eq!(hear(&mut client, at(1), reply), ["joined room:a {}"]);
    client
}

#[test]
fn a_channel_is_joined_used_and_left() {
    let mut client = joined();
    assert_eq!(client.push(at(2), "room:a", "echo", b"[1]"), Ok(2));
    assert_eq!(drain(&mut client).0, [r#"> ["1","2","room:a","echo",[1]]"#]);
    assert_eq!(hear(&mut client, at(3), r#"[null,null,"room:a","shout",{}]"#), ["room:a shout {}"]);
    assert_eq!(hear(&mut client, at(3), r#"["1",null,"room:a","pushed",{}]"#), ["room:a pushed! {}"]);
    assert_eq!(
        hear(&mut client, at(3), r#"["0",null,"room:a","shout",{}]"#),
        [""; 0],
        "of a channel that is gone"
    );
    let reply = r#"["1","2","room:a","phx_reply",{"status":"maybe","response":[1]}]"#;
    assert_eq!(hear(&mut client, at(3), reply), ["reply 2 maybe [1]"]);
    client.leave(at(4), "room:a").unwrap();
    assert_eq!(drain(&mut client).0, [r#"> ["1","3","room:a","phx_leave",{}]"#]);
    let reply = r#"["1","3","room:a","phx_reply",{"status":"ok","response":{}}]"#;
    assert_eq!(hear(&mut client, at(5), reply), ["closed room:a"]);
    assert_eq!(hear(&mut client, at(5), r#"["1","1","room:a","phx_close",{}]"#), [""; 0]);
}

#[test]
fn the_client_keeps_the_laws_of_machines() {
    let ask = |ask: fn(&mut Small, Instant)| Step::Ask(Box::new(ask) as Ask<Small>);
    let hear = |message: &str| Step::Input(message.into());
    let pass = |millis| Step::Pass(Duration::from_millis(millis));
    let script = [
        ask(|client, now| client.join(now, "room:a", b"{}").unwrap()),
        ask(|client, now| client.connected(now)),
        hear(r#"["1","1","room:a","phx_reply",{"status":"ok","response":{}}]"#),
        ask(|client, now| assert_eq!(client.push(now, "room:a", "echo", b"[1]"), Ok(2))),
        hear("garbage"),
        hear(r#"[null,null,"room:a","shout",{}]"#),
        pass(10_000),
        hear(r#"["1","1","room:a","phx_error",{}]"#),
        pass(1_000),
        hear(r#"["3","3","room:a","phx_reply",{"status":"ok","response":{}}]"#),
        // Two heartbeats, the second without an answer.
        pass(20_000),
        hear(r#"[null,"4","phoenix","phx_reply",{"status":"ok","response":{}}]"#),
        pass(60_000),
        ask(|client, now| client.disconnected(now)),
        ask(|client, now| client.leave(now, "room:a").unwrap()),
    ];
    let said = hold(Link::Messages, || Small::new(Version::V2), &script, |event| describe(&event));
    let expected = [
        r#"> [\"1\",\"1\",\"room:a\",\"phx_join\",{}]"#,
        "= joined room:a {}",
        r#"> [\"1\",\"2\",\"room:a\",\"echo\",[1]]"#,
        "= room:a shout {}",
        "= unanswered 2",
        "= failed room:a",
        r#"> [\"3\",\"3\",\"room:a\",\"phx_join\",{}]"#,
        "= joined room:a {}",
        r#"> [null,\"4\",\"phoenix\",\"heartbeat\",{}]"#,
        r#"> [null,\"5\",\"phoenix\",\"heartbeat\",{}]"#,
        "= dead",
        "= closed room:a",
    ];
    assert_eq!(said, expected);
}

#[test]
fn what_is_not_answered_in_time_is_told() {
    let mut client = joined();
    assert_eq!(client.push(at(1_000), "room:a", "echo", b"{}"), Ok(2));
    let (_, deadline) = drain(&mut client);
    assert_eq!(deadline, Some(at(11_000)));
    client.handle_timeout(at(11_000));
    assert_eq!(drain(&mut client).0, ["unanswered 2"]);
}

#[test]
fn a_channel_that_fails_is_joined_again_after_longer_and_longer() {
    let mut client = joined();
    assert_eq!(hear(&mut client, at(100), r#"["1","1","room:a","phx_error",{}]"#), ["failed room:a"]);
    let mut now = at(100);
    for (try_, wait) in [(2, 1), (3, 2), (4, 5), (5, 10), (6, 10)] {
        let (_, deadline) = drain(&mut client);
        assert_eq!(deadline, Some((now + Duration::from_secs(wait)).min(at(30_000))));
        now = now + Duration::from_secs(wait);
        client.handle_timeout(now);
        let (said, _) = drain(&mut client);
        let join = said.iter().find(|line| line.contains("phx_join")).expect("a join");
        let reference = join.split('"').nth(1).unwrap().to_owned();
        assert!(reference.parse::<u32>().unwrap() >= try_, "{join}: every join has a ref of its own");
        let refusal = format!(
            r#"["{reference}","{reference}","room:a","phx_reply",{{"status":"error","response":{{"reason":"no"}}}}]"#
        );
        assert_eq!(hear(&mut client, now, &refusal), [r#"refused room:a {"reason":"no"}"#]);
        if now >= at(18_000) {
            break;
        }
    }
}

#[test]
fn a_join_without_an_answer_is_taken_back_and_tried_again() {
    let mut client = Small::new(Version::V2);
    client.join(at(0), "room:a", b"{}").unwrap();
    client.connected(at(0));
    drain(&mut client);
    client.handle_timeout(at(10_000));
    assert_eq!(drain(&mut client).0, [r#"> ["1","2","room:a","phx_leave",{}]"#]);
    client.handle_timeout(at(11_000));
    assert_eq!(drain(&mut client).0, [r#"> ["3","3","room:a","phx_join",{}]"#]);
    let late = r#"["1","1","room:a","phx_reply",{"status":"ok","response":{}}]"#;
    assert_eq!(hear(&mut client, at(11_001), late), [""; 0], "the answer to the join that was taken back");
}

#[test]
fn a_new_connection_joins_all_channels_again() {
    let mut client = joined();
    client.push(at(1), "room:a", "echo", b"{}").unwrap();
    client.disconnected(at(2));
    assert_eq!(drain(&mut client), (vec!["unanswered 2".to_owned()], None));
    assert!(client.push(at(3), "room:a", "echo", b"{}").is_err());
    client.connected(at(500));
    assert_eq!(drain(&mut client).0, [r#"> ["3","3","room:a","phx_join",{}]"#]);
}

#[test]
fn a_server_that_misses_a_heartbeat_is_dead() {
    let mut client = joined();
    client.handle_timeout(at(30_000));
    assert_eq!(drain(&mut client).0, [r#"> [null,"2","phoenix","heartbeat",{}]"#]);
    assert_eq!(
        hear(&mut client, at(30_001), r#"[null,"2","phoenix","phx_reply",{"status":"ok","response":{}}]"#),
        [""; 0]
    );
    client.handle_timeout(at(60_001));
    assert_eq!(drain(&mut client).0, [r#"> [null,"3","phoenix","heartbeat",{}]"#]);
    client.handle_timeout(at(90_001));
    let (said, deadline) = drain(&mut client);
    assert_eq!((said, deadline), (vec!["dead".to_owned()], None));
}

#[test]
fn what_does_not_fit_is_refused_and_long_messages_are_told() {
    let mut client = joined();
    client.join(at(1), "room:b", b"{}").unwrap();
    assert!(client.join(at(1), "room:c", b"{}").is_err());
    assert!(client.push(at(1), "room:a", "echo", &[b'1'; 600]).is_err());
    drain(&mut client);
    let long = format!(r#"[null,null,"room:a","shout",["{}"]]"#, "x".repeat(300));
    assert_eq!(hear(&mut client, at(2), &long), [format!("too long {}", long.len())]);
    assert_eq!(hear(&mut client, at(2), "garbage"), [""; 0]);
    assert_eq!(hear(&mut client, at(2), r#"[null,null,"room:a","shout",1]"#), ["room:a shout 1"]);
}

#[test]
fn version_1_is_spoken_without_join_refs_from_the_server() {
    let mut client = Small::new(Version::V1);
    client.join(at(0), "room:a", b"{}").unwrap();
    client.connected(at(0));
    let join = r#"> {"topic":"room:a","event":"phx_join","payload":{},"ref":"1","join_ref":"1"}"#;
    assert_eq!(drain(&mut client).0, [join]);
    let reply = r#"{"event":"phx_reply","payload":{"response":{},"status":"ok"},"ref":"1","topic":"room:a"}"#;
    assert_eq!(hear(&mut client, at(1), reply), ["joined room:a {}"]);
}

#[test]
fn version_1_tells_the_end_of_an_earlier_join_by_its_ref() {
    let mut client = Small::new(Version::V1);
    client.join(at(0), "room:a", b"{}").unwrap();
    client.connected(at(0));
    drain(&mut client);
    // The join is not answered in time, is taken back, and tried again with ref 3.
    client.handle_timeout(at(10_000));
    client.handle_timeout(at(11_000));
    drain(&mut client);
    for end in ["phx_close", "phx_error"] {
        let late = format!(r#"{{"event":"{end}","payload":{{}},"ref":"1","topic":"room:a"}}"#);
        assert_eq!(hear(&mut client, at(11_001), &late), [""; 0], "{end} of the join before");
    }
    let reply = r#"{"event":"phx_reply","payload":{"response":{},"status":"ok"},"ref":"3","topic":"room:a"}"#;
    assert_eq!(hear(&mut client, at(11_002), reply), ["joined room:a {}"]);
    let end = r#"{"event":"phx_close","payload":{},"ref":null,"topic":"room:a"}"#;
    assert_eq!(hear(&mut client, at(11_003), end), ["closed room:a"]);
}

#[test]
fn only_the_answer_to_a_leave_ends_it() {
    let mut client = joined();
    client.cast(at(2), "room:a", "user:typing", b"{}").unwrap();
    client.leave(at(2), "room:a").unwrap();
    drain(&mut client);
    let reply = r#"["1","2","room:a","phx_reply",{"status":"ok","response":{}}]"#;
    assert_eq!(hear(&mut client, at(3), reply), [""; 0], "of the event before");
    let reply = r#"["1","3","room:a","phx_reply",{"status":"ok","response":{}}]"#;
    assert_eq!(hear(&mut client, at(3), reply), ["closed room:a"]);
}

type People = Presence<4, 96, 256>;

/// Changes as text: `+` came first, `±` another session, `~` updated, `-` a session left, `×` the last.
fn told(act: impl FnOnce(&mut dyn FnMut(Change<'_>)) -> Result<(), Error>) -> (String, Result<(), Error>) {
    let mut text = String::new();
    let result = act(&mut |change| {
        text += &match change {
            Change::Joined { key, first: true, .. } => format!("+{key} "),
            Change::Joined { key, .. } => format!("±{key} "),
            Change::Updated { key, .. } => format!("~{key} "),
            Change::Left { key, last: false, .. } => format!("-{key} "),
            Change::Left { key, .. } => format!("×{key} "),
        };
    });
    (text.trim_end().to_owned(), result)
}

fn state(people: &mut People, payload: &str) -> String {
    let (text, result) = told(|mut tell| people.handle_state(payload.as_bytes(), &mut tell));
    result.unwrap();
    text
}

fn diff(people: &mut People, joins: &str, leaves: &str) -> String {
    let payload = format!(r#"{{"joins":{joins},"leaves":{leaves}}}"#);
    let (text, result) = told(|mut tell| people.handle_diff(payload.as_bytes(), &mut tell));
    result.unwrap();
    text
}

#[test]
fn sessions_come_change_and_go() {
    let mut people = People::new();
    assert_eq!(state(&mut people, r#"{"a":{"metas":[{"phx_ref":"1"}]}}"#), "+a");
    assert_eq!(
        diff(&mut people, r#"{"a":{"metas":[{"phx_ref":"2"}]},"b":{"metas":[{"phx_ref":"3"}]}}"#, "{}"),
        "±a +b"
    );
    let update = r#"{"a":{"metas":[{"phx_ref":"4","phx_ref_prev":"1"}]}}"#;
    assert_eq!(diff(&mut people, update, r#"{"a":{"metas":[{"phx_ref":"1"}]}}"#), "~a");
    assert!(people.metas("a").eq([&br#"{"phx_ref":"2"}"#[..], br#"{"phx_ref":"4","phx_ref_prev":"1"}"#]));
    assert_eq!(diff(&mut people, "{}", r#"{"a":{"metas":[{"phx_ref":"2"}]}}"#), "-a");
    assert_eq!(
        diff(&mut people, "{}", r#"{"a":{"metas":[{"phx_ref":"4"}]},"x":{"metas":[{"phx_ref":"9"}]}}"#),
        "×a"
    );
    assert!(people.keys().eq(["b"]));
}

#[test]
fn a_session_that_joins_again_is_replaced_and_goes_behind_the_others() {
    let mut people = People::new();
    state(&mut people, r#"{"a":{"metas":[{"phx_ref":"1"},{"phx_ref":"2"}]}}"#);
    let again = r#"{"a":{"metas":[{"phx_ref":"1","x":1}]}}"#;
    assert_eq!(diff(&mut people, again, "{}"), "~a");
    assert!(people.metas("a").eq([&br#"{"phx_ref":"2"}"#[..], br#"{"phx_ref":"1","x":1}"#]));
    assert_eq!(diff(&mut people, again, "{}"), "", "the same once more changes nothing");
}

#[test]
fn what_the_server_adds_about_a_user_is_told() {
    let entry = r#"{"metas":[{"phx_ref":"1"}],"user":{"name":"Ann"}}"#;
    let mut told = String::new();
    People::new()
        .handle_state(format!(r#"{{"a":{entry}}}"#).as_bytes(), &mut |change| {
            let Change::Joined { entry, .. } = change else { panic!("{change:?}") };
            told += std::str::from_utf8(entry).unwrap();
        })
        .unwrap();
    assert_eq!(told, entry);
}

#[test]
fn diffs_wait_for_the_state_of_the_present_join() {
    let mut people = People::new();
    assert_eq!(diff(&mut people, r#"{"b":{"metas":[{"phx_ref":"2"}]}}"#, "{}"), "");
    assert_eq!(diff(&mut people, "{}", r#"{"a":{"metas":[{"phx_ref":"1"}]}}"#), "");
    assert_eq!(state(&mut people, r#"{"a":{"metas":[{"phx_ref":"1"}]}}"#), "+a +b ×a");
    people.rejoin();
    assert_eq!(diff(&mut people, r#"{"d":{"metas":[{"phx_ref":"5"}]}}"#, "{}"), "");
    assert_eq!(
        state(&mut people, r#"{"b":{"metas":[{"phx_ref":"2"}]},"c":{"metas":[{"phx_ref":"4"}]}}"#),
        "+c +d"
    );
}

#[test]
fn a_rejoin_tells_only_what_changed_meanwhile() {
    let mut people = People::new();
    state(&mut people, r#"{"a":{"metas":[{"phx_ref":"1"}]},"b":{"metas":[{"phx_ref":"2"}]}}"#);
    people.rejoin();
    let again = r#"{"b":{"metas":[{"phx_ref":"2"},{"phx_ref":"3"}]},"c":{"metas":[{"phx_ref":"4"}]}}"#;
    assert_eq!(state(&mut people, again), "±b +c ×a");
    assert_eq!(state(&mut people, again), "", "the same state again changes nothing");
}

#[test]
fn what_presence_has_no_room_for_is_an_error() {
    let mut people = People::new();
    let crowd: String = (0..5).map(|n| format!(r#""{n}":{{"metas":[{{"phx_ref":"{n}"}}]}},"#)).collect();
    let crowd = format!("{{{}}}", crowd.trim_end_matches(','));
    assert_eq!(told(|mut tell| people.handle_state(crowd.as_bytes(), &mut tell)).1, Err(Error::TooMany));
    // Those who fitted are known, and what becomes of them goes on to be told.
    assert!(people.is_known() && people.keys().eq(["0", "1", "2", "3"]));
    assert_eq!(diff(&mut people, "{}", r#"{"1":{"metas":[{"phx_ref":"1"}]}}"#), "×1");
    assert_eq!(diff(&mut people, r#"{"5":{"metas":[{"phx_ref":"5"}]}}"#, "{}"), "+5");
    // A state of other people has room once these have gone.
    assert_eq!(
        state(&mut people, r#"{"7":{"metas":[{"phx_ref":"7"}]},"8":{"metas":[{"phx_ref":"8"}]}}"#),
        "×0 ×2 ×3 ×5 +7 +8"
    );
    let long = format!(r#"{{"a":{{"metas":[{{"phx_ref":"{}"}}]}}}}"#, "x".repeat(100));
    assert_eq!(
        told(|mut tell| People::new().handle_state(long.as_bytes(), &mut tell)).1,
        Err(Error::TooLong)
    );
    let mut early = People::new();
    let payload = format!(r#"{{"joins":{{}},"leaves":{{}},"x":"{}"}}"#, "x".repeat(100));
    let mut result = Ok(());
    for _ in 0..3 {
        result = result.and(told(|mut tell| early.handle_diff(payload.as_bytes(), &mut tell)).1);
    }
    assert_eq!(result, Err(Error::TooEarly));
    assert_eq!(told(|mut tell| People::new().handle_state(b"[]", &mut tell)).1, Err(Error::Malformed));
}
