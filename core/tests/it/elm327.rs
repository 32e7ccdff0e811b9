//! The ELM327 dialect: recorded exchanges, one file per behaviour, replayed line by line.
//!
//! ```text
//! # words                     a remark
//! ? protocol=6 probe=off      settings, before anything else
//! ! request 010C 2            the owner asks; see `ask`
//! > ATZ\r                     the session must send exactly this
//! = link Not Connected        the session must tell exactly this; see `show`
//! < ELM327 v1.5\r\r>          the adapter sends
//! @ 1000                      so many milliseconds pass
//! & connected 6 stn           connect, with the usual exchange, to this protocol; `stn`: the chip is one
//! ```
//!
//! After each `!`, `<` and `@` everything the session does must be written down, in order. Write the inputs of a
//! new one by hand, run once with `REWRITE_TRANSCRIPTS=1`, and read what it says.

use std::path::{Path, PathBuf};

use cloverleaf_core::bus::{Address, Protocol};
use cloverleaf_core::elm327::command::Timing;
use cloverleaf_core::elm327::session::{Event, Filter, Physical, Request, Session, Settings, Target};
use cloverleaf_core::elm327::wire::{Line, Status, is_echo, lines};
use cloverleaf_core::time::Duration;

use crate::adapter::Adapter;
use crate::laws::{Ask, Link, Step, Watched, hold};

type Elm = Session<8, 256>;

/// An event in one line of text.
fn show(event: Event<'_, 8, 256>) -> String {
    match event {
        Event::Link(link) => format!("link {}", link.as_str()),
        Event::Trouble(failure) => format!("trouble {failure}"),
        Event::Reply(Ok(answer)) => {
            let mut text = format!("reply {}", answer.lines);
            for message in answer.messages() {
                text += &format!(" {}:", message.source);
                text.extend(message.data.iter().map(|byte| format!("{byte:02X}")));
            }
            if let Some(fault) = answer.fault {
                text += &format!(" ({fault})");
            }
            text
        }
        Event::Reply(Err(failure)) => format!("failed {failure}"),
        Event::Text(line) => format!("text {}", line.escape_ascii()),
        Event::Done(Ok(())) => "done".into(),
        Event::Done(Err(failure)) => format!("done {failure}"),
        Event::Voltage(millivolts) => format!("voltage {millivolts}"),
        Event::Frame(hex) => format!("frame {}", hex.escape_ascii()),
        Event::Gap => "gap".into(),
        Event::Ready => "ready".into(),
        Event::Alert(status) => format!("alert {}", status.as_str()),
        Event::Baud(baud) => format!("baud {baud}"),
        other => format!("{other:?}"),
    }
}

/// The settings of a `?` line, over those that make transcripts short.
fn settings(line: &str) -> Settings {
    let mut settings = Settings { keep_alive: None, ..Settings::default() };
    for word in line.split_whitespace() {
        let (name, value) = word.split_once('=').expect("name=value");
        match (name, value) {
            ("protocol", id) => settings.protocol = Protocol::from_id(id.chars().next().unwrap()),
            ("probe", on) => settings.probe = on == "on",
            ("stn", on) => settings.stn = on == "on",
            ("repeat", on) => settings.repeat = on == "on",
            ("voltage", on) => settings.check_voltage = on == "on",
            ("keep_alive", millis) => {
                settings.keep_alive = Some(Duration::from_millis(millis.parse().unwrap()));
            }
            other => panic!("{other:?} is no setting"),
        }
    }
    settings
}

/// What a `!` line asks for.
fn ask(line: &str) -> Ask<Elm> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    let hex = |word: &str| u32::from_str_radix(word, 16).unwrap();
    match words[0].as_str() {
        "connect" => Box::new(|elm, now| elm.connect(now)),
        // request DATA [n LINES] [to HEADER] [from ADDRESS] [via EXTENDED] [slow MILLIS] [within MILLIS] [bare on]
        "request" => {
            let data = bytes(&words[1]);
            let mut lines = None;
            let mut timeout = None;
            let mut bare = false;
            let mut physical: Option<Physical> = None;
            for pair in words[2..].chunks(2) {
                let (word, value) = (pair[0].as_str(), pair[1].as_str());
                match word {
                    "n" => lines = Some(value.parse().unwrap()),
                    "within" => timeout = Some(Duration::from_millis(value.parse().unwrap())),
                    "to" => physical = Some(Physical::new(hex(value))),
                    "bare" => bare = value == "on",
                    "from" => physical.as_mut().unwrap().reply = Some(Address(hex(value))),
                    "via" => physical.as_mut().unwrap().extended = Some(hex(value) as u8),
                    "slow" => {
                        let span = Duration::from_millis(value.parse().unwrap());
                        physical.as_mut().unwrap().timeout = Some(span);
                    }
                    other => panic!("{other}?"),
                }
            }
            let target = physical.map_or(Target::Functional, Target::Physical);
            Box::new(move |elm, now| {
                let request = Request { data: &data, target, lines, timeout, bare };
                elm.request(now, &request).expect("the request is taken");
            })
        }
        "refuse" => {
            let (data, why) = (bytes(&words[1]), words[2..].join(" "));
            Box::new(move |elm, now| {
                let refused = elm.request(now, &Request::new(&data)).expect_err("refused");
                assert_eq!(refused.to_string(), why);
            })
        }
        "command" => {
            let text = words[1..].join(" ");
            Box::new(move |elm, now| elm.command(now, text.as_bytes(), None).expect("taken"))
        }
        "monitor" => {
            let filter = match &words[1..] {
                [pattern, mask] => Filter::Pass { pattern: hex(pattern), mask: hex(mask) },
                _ => Filter::All,
            };
            Box::new(move |elm, now| elm.monitor(now, filter).expect("taken"))
        }
        "stop" => Box::new(|elm, now| elm.stop(now)),
        "sleep" => Box::new(|elm, now| elm.sleep(now).expect("taken")),
        "baud" => {
            let (from, to) = (words[1].parse().unwrap(), words[2].parse().unwrap());
            Box::new(move |elm, now| elm.switch_baud(now, from, to).expect("taken"))
        }
        other => panic!("{other}?"),
    }
}

/// `\r`, `\n`, `\\` and `\xHH` in a transcript.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b'x') => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => panic!("\\{other:?}"),
            },
            byte => byte,
        });
    }
    bytes
}

/// The inputs of `& connected PROTOCOL [stn]`: an adapter with nothing to remark, and a car that answers.
fn usual_connection(protocol: Protocol, stn: bool, settings: &Settings) -> Vec<&'static str> {
    let mut answers = vec![r"ELM327 v1.5\r\r>"];
    answers.extend([r"OK\r\r>"; 10]);
    if settings.stn {
        answers.push(if stn { r"STN2256 v5.11.4\r\r>" } else { r"?\r\r>" });
    }
    answers.push(r"12.3V\r\r>");
    answers.push(r"OK\r\r>");
    if settings.probe && protocol != Protocol::J1939 {
        answers.push(match protocol {
            Protocol::Can11Fast | Protocol::Can11Slow => r"7E8064100BE3FA813\r\r>",
            Protocol::Can29Fast | Protocol::Can29Slow => r"18DAF110064100BE3FA813\r\r>",
            Protocol::KwpSlow | Protocol::KwpFast => r"86F1104100BE3EF811CD\r\r>",
            Protocol::Iso9141 => r"486B104100BE3EB811C9\r\r>",
            _ => r"486B104100BE3EB811FA\r\r>",
        });
    }
    if settings.protocol.is_none() {
        answers.push(match protocol {
            Protocol::Can11Fast => r"A6\r\r>",
            Protocol::Can29Fast => r"A7\r\r>",
            other => panic!("write {other:?} down"),
        });
    }
    answers
}

/// Replays one transcript: what comes out must be what is written down. Then plays its inputs to the laws.
fn check(path: &Path) {
    let written = std::fs::read_to_string(path).expect("a readable transcript");
    let mut config = settings("");
    let mut script: Vec<Step<Elm>> = Vec::new();
    let mut watched: Option<Watched<Elm, _>> = None;
    let mut replayed = String::new();
    for line in written.lines() {
        let (sign, rest) = line.split_once(' ').unwrap_or((line, ""));
        if matches!(sign, ">" | "=") {
            continue;
        }
        replayed += line;
        replayed += "\n";
        if sign == "?" {
            config = settings(rest);
        }
        if matches!(sign, "#" | "?" | "") {
            continue;
        }
        let watched = watched.get_or_insert_with(|| Watched::new(Elm::new(config), show));
        let mut play = |step: Step<Elm>| {
            let outputs = match &step {
                Step::Ask(ask) => {
                    ask(&mut watched.machine, watched.now);
                    watched.drain().0
                }
                Step::Input(bytes) => watched.input(bytes, usize::MAX),
                Step::Pass(span) => watched.pass(*span),
            };
            script.push(step);
            outputs
        };
        let outputs = match sign {
            "!" => play(Step::Ask(ask(rest))),
            "<" => play(Step::Input(unescape(rest))),
            "@" => play(Step::Pass(Duration::from_millis(rest.trim().parse().expect("milliseconds")))),
            "&" => {
                let id = rest.strip_prefix("connected ").expect("& connected PROTOCOL");
                let stn = id.ends_with(" stn");
                let protocol = Protocol::from_id(id.chars().next().unwrap()).expect("a protocol");
                play(Step::Ask(ask("connect")));
                for answer in usual_connection(protocol, stn, &config) {
                    play(Step::Input(unescape(answer)));
                }
                assert_eq!(watched.machine.protocol(), Some(protocol));
                assert!(watched.machine.is_ready());
                Vec::new()
            }
            other => panic!("{}: {other:?}", path.display()),
        };
        for output in outputs {
            replayed += &output;
            replayed += "\n";
        }
    }
    if std::env::var_os("REWRITE_TRANSCRIPTS").is_some() {
        std::fs::write(path, &replayed).expect("a writable transcript");
    }
    assert_eq!(written, replayed, "{}", path.display());
    hold(Link::Stream, || Elm::new(config), &script, show);
}

#[test]
fn every_recorded_exchange_replays() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/elm327");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("transcripts").map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 30, "transcripts are missing");
    let mut failed = Vec::new();
    for path in paths {
        if std::panic::catch_unwind(|| check(&path)).is_err() {
            failed.push(path.file_name().unwrap().to_owned());
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// A session and an adapter that talk.
fn two_ends(seed: u64) -> (Watched<Elm, impl Fn(Event<'_, 8, 256>) -> String>, Adapter) {
    let settings = Settings { keep_alive: None, ..Settings::default() };
    (Watched::new(Elm::new(settings), show), Adapter::new(seed))
}

#[test]
fn a_session_reaches_the_car_within_a_second_of_the_adapters_own_delays() {
    let (mut elm, mut adapter) = two_ends(1);
    elm.machine.connect(elm.now);
    let events = elm.converse(&mut adapter, Duration::from_millis(700));
    assert_eq!(events.last().map(String::as_str), Some("link Car Connected"), "{events:?}");
}

#[test]
fn faults_never_become_values_and_are_recovered_from() {
    let mut answered = 0;
    for seed in 0..200 {
        let (mut elm, mut adapter) = two_ends(seed);
        elm.machine.connect(elm.now);
        elm.converse(&mut adapter, Duration::from_secs(2));
        adapter.faults = 100;
        for pid in 1..60 {
            if elm.machine.request(elm.now, &Request::new(&[0x01, pid])).is_err() {
                elm.converse(&mut adapter, Duration::from_secs(1));
                continue;
            }
            let events = elm.converse(&mut adapter, Duration::from_secs(2));
            let outcomes: Vec<&String> = events
                .iter()
                .filter(|event| event.starts_with("reply") || event.starts_with("failed"))
                .collect();
            let [outcome] = outcomes[..] else {
                panic!("seed {seed}: one outcome within two seconds, not {events:?}");
            };
            if outcome.starts_with("reply") {
                answered += 1;
                let wanted = format!("7E8:41{pid:02X}{pid:02X}{pid:02X}");
                assert!(outcome.contains(&wanted), "seed {seed}: {outcome} for {pid:02X}");
            }
        }
        // Once the faults end, all is well within the longest pause between attempts.
        adapter.faults = 0;
        elm.converse(&mut adapter, Duration::from_secs(40));
        assert!(elm.machine.is_ready(), "seed {seed}");
        elm.machine.request(elm.now, &Request::new(&[0x01, 0x0C])).expect("ready");
        let events = elm.converse(&mut adapter, Duration::from_secs(2));
        assert_eq!(events, ["reply 1 7E8:410C0C0C"], "seed {seed}");
    }
    // Of 59 each, two in five exchanges spoiled.
    assert!(answered > 200 * 25, "only {answered} answers");
}

#[test]
fn every_status_is_told_from_data_whatever_its_blanks_and_case() {
    for text in [
        "OK",
        "?",
        "NO DATA",
        "UNABLE TO CONNECT",
        "BUS INIT: ERROR",
        "BUS BUSY",
        "BUS ERROR",
        "CAN ERROR",
        "DATA ERROR",
        "RX ERROR",
        "FB ERROR",
        "BUFFER FULL",
        "STOPPED",
        "LV RESET",
        "ACT ALERT",
        "LP ALERT",
        "OUT OF MEMORY",
        "UART RX OVERFLOW",
        "FC RX TIMEOUT",
        "?WRONG HEXCHAR COUNT",
        "ERROR",
    ] {
        for variant in [text.to_owned(), text.to_lowercase(), text.replace(' ', ""), format!("  {text} \0")] {
            let parts: Vec<Line<'_>> = lines(variant.as_bytes()).collect();
            let [Line::Status(status)] = parts[..] else { panic!("{variant:?} is {parts:?}") };
            assert_eq!(status.as_str(), text);
        }
    }
    for (text, status) in [
        ("<DATA ERROR", None),
        ("!ACT ALERT", Some(Status::ActivityAlert)),
        ("!LP ALERT", Some(Status::LowPowerAlert)),
        ("BUS INIT: ...OK", Some(Status::BusInitOk)),
        ("BUS INIT: ...ERROR", Some(Status::BusInitError)),
        ("ERR94", Some(Status::Internal(94))),
        ("SEARCHING....", Some(Status::Searching)),
    ] {
        let found: Vec<Line<'_>> = lines(text.as_bytes()).collect();
        match status {
            Some(status) => assert_eq!(found, [Line::Status(status)], "{text}"),
            None => assert_eq!(found, [Line::Text(text.as_bytes())]),
        }
    }
}

#[test]
fn lines_of_data_are_told_from_words() {
    let data = |hex: &'static str, fault| Line::Data { hex: hex.as_bytes(), fault };
    for (reply, expected) in [
        ("41 0C 17 70 \r\r>", vec![data("41 0C 17 70", None)]),
        ("410C1770\r\r>", vec![data("410C1770", None)]),
        ("014\r0: 49 02 01\r", vec![data("014", None), data("0: 49 02 01", None)]),
        ("7E8064100BE3FA813...\r", vec![data("7E8064100BE3FA813", None)]),
        ("...7E8064100BE3FA813\r", vec![data("7E8064100BE3FA813", None)]),
        ("SEARCHING...48 6B\r", vec![Line::Status(Status::Searching), data("48 6B", None)]),
        ("BUS INIT: OK 48 6B\r", vec![Line::Status(Status::BusInitOk), data("48 6B", None)]),
        ("7E8 04 41 <DATA ERROR", vec![data("7E8 04 41", Some(Status::DataError))]),
        ("7E8 04 41<RX ERROR", vec![data("7E8 04 41", Some(Status::RxError))]),
        ("7E8 04 41 BUFFER FULL", vec![data("7E8 04 41", Some(Status::BufferFull))]),
        ("7E80441STOPPED", vec![data("7E80441", Some(Status::Stopped))]),
        ("7E8 04 41 CAN ERROR", vec![data("7E8 04 41", Some(Status::CanError))]),
        ("\0\0\0\0ELM327 v1.4b", vec![Line::Text(b"ELM327 v1.4b")]),
        ("12.3V\r\r>", vec![Line::Text(b"12.3V")]),
        ("7E8 0\u{7f}4 41", vec![Line::Text(b"7E8 0\x7f4 41")]),
        ("\r\n \r\n>\0>", vec![]),
    ] {
        assert_eq!(lines(reply.as_bytes()).collect::<Vec<_>>(), expected, "{reply:?}");
    }
}

#[test]
fn an_echo_is_known_by_its_characters() {
    assert!(is_echo(b"010C1", b"010C1"));
    assert!(is_echo(b" 01 0c 1\0", b"010C1"));
    assert!(!is_echo(b"010C", b"010C1"));
    assert!(!is_echo(b"", b""));
}

#[test]
fn no_command_is_longer_than_its_line() {
    use cloverleaf_core::elm327::command::{Command, LINE, baud_divisor};
    let widest = [
        Command::PassLong { pattern: u32::MAX, mask: u32::MAX },
        Command::FlowPairLong { request: u32::MAX, reply: u32::MAX },
        Command::FlowHeaderLong(u32::MAX),
        Command::FlowData(Some(u8::MAX)),
    ];
    for command in widest {
        assert_eq!(command.text(), command.to_string().as_bytes());
        assert!(command.to_string().len() <= LINE);
    }
    let millis = Duration::from_millis;
    for (command, text) in [
        (Command::Timeout(Some(millis(200))), "ATST32"),
        (Command::Timeout(Some(millis(5_000))), "ATSTFF"),
        (Command::Timeout(Some(millis(0))), "ATST01"),
        (Command::Timeout(None), "ATST00"),
        (Command::Timing(Timing::Fixed), "ATAT0"),
        (Command::Timing(Timing::Adaptive), "ATAT1"),
        (Command::Timing(Timing::Eager), "ATAT2"),
        (Command::BaudTimeout(millis(250)), "ATBRT32"),
        (Command::LongHeader(0xF1), "ATSH0000F1"),
        (Command::Responses, "ATR1"),
        (Command::FixedLength, "ATV0"),
        (Command::HideLength, "ATD0"),
    ] {
        assert_eq!(command.to_string(), text);
    }
    let rates = [(38_400, 0x68), (115_200, 0x23), (230_400, 0x11), (500_000, 0x08), (2_000_000, 0x02)];
    for (baud, divisor) in rates {
        assert_eq!(baud_divisor(baud), Some(divisor), "{baud}");
    }
    for baud in [0, 1, 9_600, 3_000_000, u32::MAX] {
        assert_eq!(baud_divisor(baud), None, "{baud}");
    }
}
