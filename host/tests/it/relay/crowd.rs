//! Numbers of users and monitors that no socket test reaches, in the relay's state.

use std::time::Duration;

use cloverleaf::services::relay::events::Request;
use cloverleaf::services::relay::state::{Counts, Input, Output, Settings, State};
use serde_json::value::RawValue;

use super::script::{at, settings};

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
    assert_eq!(state.counts(), Counts { sockets: 2 * COUNT, monitors: COUNT, commands: unfinished });
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
    assert_eq!(state.counts(), Counts::default());
    assert!(state.is_idle());
}
