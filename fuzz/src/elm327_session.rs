use cloverleaf_core::elm327::session::{Event, Filter, Physical, Request, Session, Settings, Target};
use cloverleaf_core::time::Duration;

use crate::adapter::Adapter;
use crate::laws::{Link, Step, Watched, hold};

type Elm = Session<4, 64>;

/// A session keeps the laws of machines whatever happens to it, and afterwards a good adapter brings it back to
/// the car and to right answers. The input is a series of steps: input, time, or something the owner asks.
pub fn elm327_session(data: &[u8]) {
    let [flags, rest @ ..] = data else {
        return;
    };
    let settings = Settings {
        protocol: None,
        probe: flags & 1 == 0,
        stn: flags & 4 != 0,
        repeat: flags & 8 != 0,
        keep_alive: (flags & 16 != 0).then_some(Duration::from_secs(5)),
        ..Settings::default()
    };
    let make = || Elm::new(settings);
    let script = script(rest);
    hold(Link::Stream, make, &script, show);

    let mut elm = Watched::new(make(), show);
    let mut sleeps = false;
    elm.machine.connect(elm.now);
    for step in &script {
        let outputs = match step {
            Step::Ask(ask) => {
                ask(&mut elm.machine, elm.now);
                elm.drain().0
            }
            Step::Input(bytes) => elm.input(bytes, usize::MAX),
            Step::Pass(span) => elm.pass(*span),
        };
        sleeps |= outputs.iter().any(|output| output == "> ATLP\\r");
    }
    // The adapter is at its defaults, whatever the session was told before: it must find out by itself.
    let mut adapter = Adapter::new(1);
    elm.machine.stop(elm.now);
    if sleeps {
        elm.machine.connect(elm.now);
    }
    for _ in 0..60 {
        if adapter.asleep {
            // Who puts it to sleep must wake it.
            elm.machine.connect(elm.now);
        }
        let asked = elm.machine.request(elm.now, &Request::new(&[0x01, 0x0C])).is_ok();
        for event in elm.converse(&mut adapter, Duration::from_secs(2)) {
            // What else is in an answer, a stray line of before, is for whoever matches it to the request.
            let messages = event.strip_prefix("Reply ").unwrap_or_default().split(' ');
            let mut values = messages.filter(|message| asked && message.contains(":410C"));
            if let Some(value) = values.next() {
                assert_eq!(value, "7E8:410C0C0C", "a wrong value");
                return;
            }
        }
    }
    panic!("no answer from a good adapter in two minutes");
}

fn show(event: Event<'_, 4, 64>) -> String {
    match event {
        Event::Reply(Ok(answer)) => {
            let messages = answer.messages().map(|message| {
                let data: String = message.data.iter().map(|byte| format!("{byte:02X}")).collect();
                format!("{}:{data}", message.source)
            });
            format!("Reply {}", messages.collect::<Vec<_>>().join(" "))
        }
        other => format!("{other:?}"),
    }
}

/// Reads steps: a byte of what, and what belongs to it.
fn script(mut rest: &[u8]) -> Vec<Step<Elm>> {
    let mut script = Vec::new();
    while let [what, tail @ ..] = rest
        && script.len() < 64
    {
        let len = usize::from(what >> 3).min(tail.len());
        let (bytes, tail) = tail.split_at(len);
        rest = tail;
        let owned = bytes.to_vec();
        script.push(match what & 7 {
            0 | 1 => Step::Input(owned),
            2 => Step::Input([&owned[..], b"\r\r>"].concat()),
            3 => Step::Pass(Duration::from_millis(50 << (what >> 3).min(10))),
            // Refusals are as good as answers here.
            4 => Step::Ask(Box::new(move |elm: &mut Elm, now| {
                let target = match owned.get(7) {
                    Some(ecu) => Target::Physical(Physical::new(0x7E0 + u32::from(ecu & 7))),
                    None => Target::Functional,
                };
                let lines = owned.get(1).copied();
                let data = &owned[..owned.len().min(7)];
                let bare = owned.get(8).is_some();
                let _ = elm.request(now, &Request { data, target, lines, timeout: None, bare });
            })),
            5 => Step::Ask(Box::new(move |elm: &mut Elm, now| {
                let _ = elm.command(now, &owned, None);
            })),
            6 => Step::Ask(Box::new(move |elm: &mut Elm, now| match owned.len() {
                0 => elm.stop(now),
                1 => drop(elm.monitor(now, Filter::All)),
                2 => drop(elm.monitor(now, Filter::Pass { pattern: 0x7E8, mask: 0x7F8 })),
                _ => drop(elm.switch_baud(now, 38_400, 115_200)),
            })),
            _ => Step::Ask(Box::new(move |elm: &mut Elm, now| match owned.len() {
                0..3 => elm.connect(now),
                _ => drop(elm.sleep(now)),
            })),
        });
    }
    script
}
