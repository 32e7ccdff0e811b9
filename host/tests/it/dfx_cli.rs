//! `cloverleaf dfx …` as a program.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use cloverleaf::config::Options;
use serde_json::{Value, json};

use crate::support::Server;

/// Runs the program with this input.
fn run(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloverleaf"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("the program ends");
    // A program that ends before it has read everything is judged by its output.
    let _ = writer.join().expect("no panic");
    output
}

fn objects(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn decodes_every_golden_frame() {
    let frames = include_str!("../../../core/tests/transcripts/dfx/frames.txt");
    let frames = frames.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rows: Vec<Vec<&str>> = frames.map(|line| line.split_whitespace().collect()).collect();
    let line = |row: &Vec<&str>| json!({ "direction": row[1], "hex": row[4].trim_matches('-') }).to_string();
    let input: Vec<String> = rows.iter().map(line).collect();
    let output = run(&["dfx", "decode", "--json"], &input.join("\n"));
    assert!(output.status.success());
    let decoded = objects(&output);
    assert_eq!(decoded.len(), rows.len());
    for (row, decoded) in rows.iter().zip(&decoded) {
        let name = row[0];
        assert_eq!(decoded["direction"], row[1], "{name}");
        if row[3] != "ok" {
            assert_eq!(decoded["kind"], row[3], "{name}");
            assert!(decoded["error"].is_string(), "{name}");
            continue;
        }
        let encoding = match row[2] {
            _ if decoded["body_hex"] == "" => Value::Null,
            encoding => encoding.into(),
        };
        assert_eq!(decoded["encoding"], encoding, "{name}");
        let id = decoded["id_hex"].as_str().expect("hex");
        assert_eq!(id.len(), 20, "{name}");
        assert!(row[4].contains(id), "{name}");
        assert!(row[4].ends_with(decoded["body_hex"].as_str().expect("hex")), "{name}");
    }
    let of = |name: &str| &decoded[rows.iter().position(|row| row[0] == name).expect("a row")];
    let measurement = "155e020e-f43d-4add-921b-456f06763401";
    for name in ["resp_result_proto", "resp_result_json"] {
        assert_eq!(of(name)["body"]["Channels"]["HR_BPM"]["Data"], json!([72000, 72100, -5]), "{name}");
        assert_eq!(of(name)["id"], "RESULTS001");
    }
    for name in ["req_subscribe_proto", "req_subscribe_json"] {
        let body = json!({ "Params": { "ID": measurement }, "RequestID": "RESULTS001" });
        assert_eq!(of(name)["body"], body, "{name}");
        assert_eq!(
            (&of(name)["action"], &of(name)["name"]),
            (&json!("0510"), &json!("Measurements.SubscribeResults"))
        );
    }
    for (name, chunk) in
        [("resp_adddata_ack_proto_0", 0), ("resp_adddata_ack_proto_11", 11), ("resp_adddata_ack_json", 0)]
    {
        assert_eq!(
            of(name)["body"],
            json!({ "ID": format!("{measurement}:{chunk}"), "ChunkOrder": chunk }),
            "{name}"
        );
    }
    assert_eq!(
        of("resp_error_proto_short")["body"],
        json!({ "Code": "MEASUREMENT_CLOSED", "Message": "closed" })
    );
    assert_eq!(of("req_adddata_proto_first")["body"]["Payload"], "AAECAwQFBgcICQoLDA0ODw==");
    assert_eq!(of("bad_rid_multibyte_split")["id"], "c3a9c3a9c3a9c3a9c3a9");
    assert_eq!((&of("padded_rid")["id"], &of("status_999")["status"]), (&json!("abc       "), &json!(999)));
}

#[test]
fn input_that_is_no_frame_is_answered_line_by_line() {
    let input = "zz\n{\"hex\":1}\n{\n\n# a comment\n6162636465666768696a323030\n{\"direction\":\"request\",\"hex\":\"3035\"}";
    let output = run(&["dfx", "decode", "--json"], input);
    assert!(output.status.success());
    let kinds: Vec<Value> = objects(&output).iter().map(|line| line["kind"].clone()).collect();
    assert_eq!(
        kinds,
        [json!("bad_input"), json!("bad_input"), json!("bad_input"), Value::Null, json!("too_short")]
    );
    let output = run(&["dfx", "decode", "6162636465666768696a2b3230"], "");
    assert_eq!(output.status.code(), Some(1), "for people, a malformed frame is a failure");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("malformed: status"));
}

#[tokio::test(flavor = "multi_thread")]
async fn measures_a_file_of_numbers() {
    let server = Server::start(&Options::default()).await;
    let file = std::env::temp_dir().join(format!("cloverleaf-{}.csv", uuid::Uuid::new_v4()));
    let sample = |index: i32| (std::f64::consts::TAU * 1.3 * f64::from(index) / 30.0).sin();
    let lines: Vec<String> = (0..600).map(|index| format!("{index},{:.4}", sample(index))).collect();
    std::fs::write(&file, format!("time,value\n{}\n", lines.join("\n"))).unwrap();
    let url = format!("ws://{}/dfx", server.address);
    let path = file.to_str().unwrap().to_owned();
    let measure = move |extra: &[&str]| {
        let mut arguments = vec!["dfx", "measure", "--at-once", "--url", &url, "--input", &path];
        arguments.extend(extra);
        run(&arguments, "")
    };
    let (output, plain) =
        tokio::task::spawn_blocking(move || (measure(&["--json", "--protocol", "proto"]), measure(&[])))
            .await
            .unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = objects(&output);
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| (row["heart_rate"].as_f64().unwrap() - 78.0).abs() < 1.0), "{rows:?}");
    let plain = String::from_utf8(plain.stdout).unwrap();
    assert!(plain.contains("heart rate") && plain.contains('⠀'), "{plain}");
}

#[test]
fn what_cannot_be_measured_is_said() {
    let missing = run(&["dfx", "measure", "--input", "/nonexistent"], "");
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nonexistent"));
    let usage = run(&["dfx", "measure", "--input", "x", "--chunk", "soon"], "");
    assert_eq!(usage.status.code(), Some(2));
}
