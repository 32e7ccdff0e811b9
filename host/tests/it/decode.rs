//! `cloverleaf obd decode`, as a script uses it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const MEADOW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signals/meadow.json");

fn decode(arguments: &[&str], input: &[u8]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cloverleaf"))
        .args(["obd", "decode"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("our own program");
    let mut stdin = program.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // A program that stops before it has read everything closes the pipe.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = program.wait_with_output().expect("an end");
    writer.join().expect("the writer");
    output
}

fn reports(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn every_line_of_input_has_its_line_of_output() {
    let input = concat!(
        r#"{"request":"010C","protocol":"6","headers":true,"reply":"7E8 04 41 0C 1A F8\r\r>"}"#,
        "\n\n",
        r#"{"car":"x","year":"2019","command":"7E0.0105","response":["7E803410590"],"expected":{"ECT":104}}"#,
        "\n",
        r#"{"request":"010D","protocol":6,"headers":false,"reply":"41 0D 1E"}"#,
        "\r\n",
        r#"{"request":"010C","reply":"7E8 03 7F 01 12"}"#,
        "\nnonsense\n",
        r#"{"request":"010C"}"#,
        "\n",
        r#"{"request":"010C","reply":"NO DATA","protocol":"Z"}"#,
        "\n",
        r#"{"request":"010C","reply":"NO DATA"}"#,
    );
    let output = decode(&["--json"], input.as_bytes());
    assert!(output.status.success(), "{output:?}");
    let reports = reports(&output);
    assert_eq!(reports.len(), 8);
    assert_eq!(reports[0]["command"], "RPM");
    assert_eq!(reports[0]["status"], json!([]));
    assert_eq!(reports[0]["answers"][0]["ecu"], "7E8");
    assert_eq!(reports[0]["answers"][0]["value"], 1726.0);
    assert_eq!(reports[0]["answers"][0]["unit"], "rpm");
    assert_eq!((&reports[1]["command"], &reports[1]["signals"]), (&json!("7E0.0105"), &json!({"ECT": 104})));
    assert_eq!(
        (&reports[2]["answers"][0]["ecu"], &reports[2]["answers"][0]["value"]),
        (&Value::Null, &json!(30.0))
    );
    assert_eq!(reports[3]["answers"][0]["error"]["nrc"], 18);
    assert!(reports[4]["error"].as_str().is_some_and(|error| error.starts_with("not a question")));
    assert!(reports[5]["error"].as_str().is_some_and(|error| error.contains("response")));
    assert_eq!(reports[6]["error"], "protocol: expected one of 1 to 9 or A");
    assert_eq!(reports[7], json!({"command": "RPM", "status": ["NO DATA"], "answers": []}));
}

#[test]
fn who_writes_line_by_line_gets_each_answer_at_once() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cloverleaf"))
        .args(["obd", "decode", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("our own program");
    let (mut stdin, stdout) = (program.stdin.take().expect("a pipe"), program.stdout.take().expect("a pipe"));
    let mut answers = BufReader::new(stdout).lines();
    for speed in [0x1E, 0x1F] {
        writeln!(stdin, r#"{{"command": "010D", "response": "7E8 03 41 0D {speed:02X}"}}"#)
            .expect("a reader");
        let answer: Value =
            serde_json::from_str(&answers.next().expect("a line").expect("UTF-8")).expect("JSON");
        assert_eq!(answer["answers"][0]["value"], f64::from(speed));
    }
    drop(stdin);
    assert!(answers.next().is_none());
    assert!(program.wait().expect("an end").success());
}

#[test]
fn questions_of_the_wrong_shape_say_what_was_expected() {
    for (line, expected) in [
        (r#""010C""#, "expected an object with `command` and `response`"),
        (r#"{"command":"010C","response":[1]}"#, "`response` must be a text or an array of lines"),
        (
            r#"{"command":"010C","response":"NO DATA","year":[]}"#,
            "`year` and `protocol` must be a number or a text",
        ),
        (r#"{"command":7,"response":"NO DATA"}"#, "invalid type: integer `7`, expected a string"),
    ] {
        let reports = reports(&decode(&["--json"], line.as_bytes()));
        let error = reports[0]["error"].as_str().unwrap_or_default();
        assert!(error.starts_with("not a question: ") && error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn a_reply_of_a_megabyte_is_read_in_time() {
    let reply = "7E804410C1770\r".repeat(75_000);
    let line = json!({"command": "010C", "response": reply}).to_string();
    assert_eq!(reports(&decode(&["--json"], line.as_bytes()))[0]["answers"][0]["value"], 1500.0);
}

#[test]
fn a_line_without_end_is_refused_and_the_next_one_read() {
    let mut input = vec![b'x'; 9 << 20];
    input.extend_from_slice(b"\n{\"request\":\"010D\",\"reply\":\"7E8 03 41 0D 1E\"}\n");
    let reports = reports(&decode(&["--json"], &input));
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0]["error"], "a line of more than 4194304 bytes");
    assert_eq!(reports[1]["answers"][0]["value"], 30.0);
}

#[test]
fn signal_sets_add_commands_by_every_name() {
    // As the README prints it.
    let output = decode(&["--json", "--signals", MEADOW, "MEADOW_ODO", "7E8 06 62 10 01 01 E2 40"], b"");
    assert!(output.status.success(), "{output:?}");
    let answer = &reports(&output)[0]["answers"][0];
    assert_eq!((&answer["value"], &answer["unit"]), (&json!(123_456), &json!("km")));

    let question = r#"{"command":"7E0.7E8.221002","year":2017,"response":"7E8 04 62 10 02 64"}"#;
    for arguments in [&["--json", "--signals", MEADOW][..], &["--signals", MEADOW, MEADOW, "--json"]] {
        let output = decode(arguments, question.as_bytes());
        assert_eq!(reports(&output)[0]["signals"], json!({"MEADOW_FUEL": 50}));
    }
}

#[test]
fn arguments_give_words_for_people_and_an_exit_code() {
    let output = decode(&["010C", "7E8 04 41 0C 1A F8"], b"");
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stdout)),
        (Some(0), "7E8      RPM 1726.0 rpm\n".into())
    );
    let output = decode(&["0166", "7E8 07 41 66 01 00 61 00 00"], b"");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "7E8      MAFA 3.03125 g/s\n7E8      MAFA_SUP 1\n7E8      MAFB_SUP 0\n"
    );
    for (arguments, words) in [
        (
            &["1902FF", "7E8 07 59 02 FF 0A 80 1C 09"][..],
            "P0A80-1C Powertrain, SAE: hybrid battery worn out (failing, confirmed)\n",
        ),
        (
            &["06E1", "7E8 10 0A 46 E1 80 0A 00 64", "7E8 21 00 00 00 C8"],
            "passed true, tid 80, unit mV, value 12.2\n",
        ),
        (
            &["--signals", MEADOW, "MEADOW_OIL_T", "7E8 07 62 10 01 00 00 01 FF"],
            "MEADOW_OIL_T not available\n",
        ),
        (&["--signals", MEADOW, "MEADOW_ODO", "7E8 07 62 10 01 00 00 01 FF"], "MEADOW_ODO 1 km\n"),
        (&["22F18C", "7E8 07 62 F1 8C 41 42 43 44"], "22F18C 41424344 \"ABCD\"\n"),
    ] {
        let output = decode(arguments, b"");
        assert!(String::from_utf8_lossy(&output.stdout).ends_with(words), "{arguments:?}: {output:?}");
    }
    let output = decode(&["010C", "7E8 03 7F 01 12"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("(NRC 12)\n"));
    assert_eq!(decode(&["FOO", "7E8"], b"").status.code(), Some(1));
    assert_eq!(decode(&["010C"], b"").status.code(), Some(2), "a request without a reply");
}

#[test]
fn a_bad_signal_set_is_named_and_nothing_is_decoded() {
    let output = decode(&["--json", "--signals", "no/such/set.json", "010C", "7E8"], b"");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no/such/set.json"));
}

#[test]
fn the_shape_of_obd_socketio_is_that_of_its_clients() {
    let vin = ["7E8 10 14 49 02 01 31 43 4C", "7E8 21 56 52 4C 45 41 33 54", "7E8 22 4D 30 30 30 30 34 32"];
    let arguments = [&["--json", "--shape", "obd-socketio", "VIN"][..], &vin].concat();
    let answer = reports(&decode(&arguments, b"")).remove(0)["answers"][0].take();
    assert_eq!((&answer["value"][0], &answer["unit"]), (&json!(0x31), &json!("<class 'bytearray'>")));
    let output = decode(&["--json", "--shape", "obd-socketio", "0105", "7E8 03 41 05 7B"], b"");
    let answer = reports(&output).remove(0)["answers"][0].take();
    assert_eq!(answer["value"].to_string(), "83");
    assert_eq!(answer["unit"], "degree_Celsius");
}
