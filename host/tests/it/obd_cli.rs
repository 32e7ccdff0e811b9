//! `cloverleaf obd …` with the simulated car, as a person or a script uses it.

use std::io::Read;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::support::adapter;

const MEADOW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signals/meadow.json");

fn program(arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cloverleaf"));
    program.arg("obd").args(arguments).stdin(Stdio::null());
    program
}

fn run(arguments: &[&str]) -> Output {
    program(arguments).output().expect("our own program")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8")
}

#[test]
fn a_query_is_a_name_or_a_request_with_or_without_a_header() {
    let output = run(&["query", "VIN", "0902", "22F190", "7E0.22F190", "7E0.7E8.221234", "--json"]);
    let lines: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [vin, same, read, addressed, refused] = lines.as_slice() else { panic!("five lines: {lines:?}") };
    assert_eq!(vin["value"], "1CLVRLEA3TM000042");
    assert_eq!((&same["name"], &same["value"]), (&vin["name"], &vin["value"]), "0902 is VIN");
    assert_eq!((&read["ecu"], &read["text"]), (&"7E8".into(), &vin["value"]));
    assert_eq!((&addressed["name"], &addressed["text"]), (&"7E0.22F190".into(), &vin["value"]));
    assert!(refused["error"].is_string(), "{refused}");
    assert_eq!(output.status.code(), Some(4), "one of them has no answer");

    let several = run(&["query", "010C0D", "--json"]);
    let lines = stdout(&several).lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let lines: Vec<_> = lines
        .filter(|line| line["ecu"] == "7E8")
        .map(|mut line| (line["command"].take(), line["unit"].take()))
        .collect();
    assert_eq!(lines, [("RPM".into(), "rpm".into()), ("SPEED".into(), "km/h".into())]);
    assert_eq!(several.status.code(), Some(0));

    let header = run(&["query", "--header", "7E0", "22F190"]);
    assert!(stdout(&header).starts_with("22F190 7E8: 31434C56"), "{}", stdout(&header));
    assert_eq!(header.status.code(), Some(0));
}

#[test]
fn wrong_usage_says_what_was_expected_and_prints_nothing() {
    for (arguments, code, expected) in [
        (&["query", "NOPE"][..], 2, "`NOPE` is unknown; `cloverleaf obd commands --all` lists every name"),
        (&["query", "COOLANT_TMEP"], 2, "`COOLANT_TMEP` is unknown, did you mean COOLANT_TEMP?"),
        (&["query", "--signals", MEADOW, "MEADOW_ODOM"], 2, "did you mean MEADOW_ODO?"),
        (&["query", "--header", "7E0", "RPM"], 2, "--header is for requests in hexadecimal, not for `RPM`"),
        (
            &["query", "--header", "XYZ", "22F190"],
            2,
            "`XYZ` is not an address of 3, 4, 6 or 8 hexadecimal digits",
        ),
        (&["query", "--adapter", "/no/such/port", "RPM"], 3, "/no/such/port"),
        (&["dtc", "--dtc-table", "no/such/table.csv"], 1, "no/such/table.csv: "),
        (&["query", "--signals", "no/such/set.json", "RPM"], 1, "no/such/set.json: "),
        (&["query", "CLEAR_DTC"], 2, "`CLEAR_DTC` does not only read; `cloverleaf obd clear-dtc` clears"),
        (&["query", "04"], 2, "`04` does not only read"),
        (&["query", "7E0.2EF19000"], 2, "`7E0.2EF19000` does not only read"),
        (&["watch", "CLEAR_DTC"], 2, "`CLEAR_DTC` does not only read"),
        (&["clear-dtc"], 2, "say --yes where nobody can be asked"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
}

#[test]
fn trouble_codes_have_the_words_of_the_users_table() {
    let file = std::env::temp_dir().join(format!("cloverleaf-dtc-{}.csv", std::process::id()));
    std::fs::write(&file, "P0133,Front oxygen sensor is tired\n").expect("a temporary file");
    let path = file.to_str().expect("UTF-8");
    let output = run(&["dtc", "--dtc-table", path]);
    let decoded = run(&["decode", "--dtc-table", path, "03", "7E8 04 43 01 01 33"]);
    std::fs::remove_file(&file).expect("the temporary file");
    assert!(
        stdout(&output).starts_with("stored:\n  P0133  Front oxygen sensor is tired\n"),
        "{}",
        stdout(&output)
    );
    assert!(stdout(&decoded).contains("Front oxygen sensor is tired"), "{}", stdout(&decoded));
}

#[test]
fn signals_of_a_set_are_listed_with_the_commands() {
    let output = run(&["commands", "--all", "--signals", MEADOW]);
    let odometer = stdout(&output).lines().find(|line| line.starts_with("MEADOW_ODO ")).expect("the signal");
    assert!(odometer.ends_with(" 7E0.7E8.221001 Distance driven"), "{odometer}");
    let output = run(&["commands", "--all", "--signals", MEADOW, "--json"]);
    let last: Value = serde_json::from_str(stdout(&output).lines().last().expect("a line")).expect("JSON");
    assert_eq!((&last["name"], &last["unit"]), (&"SHRTFT1".into(), &"%".into()));
}

#[test]
fn a_connection_that_is_lost_meanwhile_is_no_answer() {
    for (command, last) in [
        ("dtc", "07"),
        ("scan", "03"),
        ("monitors", "0601"),
        ("readiness", "0101"),
        ("freeze-frame", "020C00"),
    ] {
        let pulled = Arc::new(AtomicBool::new(false));
        let pull = pulled.clone();
        let adapter = adapter(move |request| {
            // A response count may follow the request.
            let asks = |known: &str| request.strip_prefix(known).is_some_and(|count| count.len() < 2);
            let answer = match request {
                _ if asks(last) => {
                    pull.store(true, Ordering::SeqCst);
                    return None;
                }
                _ if asks("0100") => "7E806410080100000",
                _ if asks("0600") => "7E8064600C0000000",
                _ if asks("03") => "7E8024300",
                _ if asks("020000") => "7E80742000000100000",
                _ => "NO DATA",
            };
            Some(answer.to_owned())
        });
        let output = run(&[command, "--adapter", &adapter]);
        assert_eq!(output.status.code(), Some(3), "{command}: {}{}", stdout(&output), stderr(&output));
        assert!(pulled.load(Ordering::SeqCst), "{command} was asked: {}", stderr(&output));
    }
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let mut program = program(&["commands", "--all"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("our own program");
    let mut first = [0; 1];
    program.stdout.take().expect("a pipe").read_exact(&mut first).expect("a first byte");
    let output = program.wait_with_output().expect("an end");
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
}

#[test]
fn a_lorry_is_listened_to() {
    // Everything that it says in the first 120 ms, the trouble codes in several frames last.
    let output = run(&["monitor", "--protocol", "A", "--count", "20", "--json"]);
    let lines: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((output.status.code(), lines.len()), (Some(0), 20), "{}", stderr(&output));
    let values: Vec<_> =
        lines.iter().filter_map(|line| line["message"]["parameters"].as_array()).flatten().collect();
    for (name, unit, least, most) in [
        ("engine speed", "rpm", 600.0, 7_000.0),
        ("wheel-based vehicle speed", "km/h", 0.0, 130.0),
        ("coolant temperature", "°C", 10.0, 100.0),
        ("fuel rate", "L/h", 0.1, 30.0),
        ("fuel level", "%", 5.0, 99.0),
        ("battery voltage", "V", 13.0, 15.0),
    ] {
        let value =
            values.iter().find(|value| value["name"] == name).unwrap_or_else(|| panic!("{name}: {lines:?}"));
        assert_eq!(value["unit"], unit, "{value}");
        assert!((least..=most).contains(&value["value"].as_f64().expect("a number")), "{value}");
    }
    let codes = lines.iter().find(|line| line["message"]["pgn"] == 0xFECA).expect("DM1");
    assert_eq!(codes["message"]["lamps"], serde_json::json!(["warning"]));
    let expected =
        serde_json::json!([{ "spn": 110, "fmi": 0, "count": 1 }, { "spn": 100, "fmi": 1, "count": 3 }]);
    assert_eq!(codes["message"]["codes"], expected);
    assert!(lines.iter().any(|line| line.get("message").is_none()), "parts of a message are shown, too");

    let output = run(&["monitor", "--protocol", "A", "--count", "1", "--filter", "18FEEEXX"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}
