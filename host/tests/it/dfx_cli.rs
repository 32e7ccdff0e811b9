//! `cloverleaf dfx …` as a program.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use cloverleaf::config::Options;
use serde_json::{Value, json};

use crate::dfx::{pulse, server_with};
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

/// The golden frames in the order of their expected decodings: name, direction, hex.
fn golden() -> Vec<[String; 3]> {
    let frames = include_str!("../../../core/tests/transcripts/dfx/frames.txt");
    let frames = frames.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        [fields[0], fields[1], fields[4].trim_matches('-')].map(str::to_owned)
    };
    frames.map(row).collect()
}

#[test]
fn decodes_every_golden_frame_value_by_value() {
    // What the original's own protobuf classes and a JSON parser make of the same bytes.
    let expected = include_str!("../../../core/tests/transcripts/dfx/decoded.jsonl");
    let expected: Vec<Value> =
        expected.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let rows = golden();
    assert_eq!((rows.len(), expected.len()), (27, 27));
    let input: Vec<String> = rows
        .iter()
        .map(|[_, direction, hex]| json!({ "direction": direction, "hex": hex }).to_string())
        .collect();
    let output = run(&["dfx", "decode", "--json"], &input.join("\n"));
    assert!(output.status.success());
    let decoded = objects(&output);
    assert_eq!(decoded.len(), rows.len(), "an answer for every line");
    for (([name, direction, hex], expected), decoded) in rows.iter().zip(&expected).zip(&decoded) {
        assert_eq!((&decoded["direction"], &expected["name"]), (&json!(direction), &json!(name)));
        for (key, value) in expected.as_object().expect("an object").iter().filter(|(key, _)| *key != "name")
        {
            assert_eq!(&decoded[key], value, "{name}: {key}");
        }
        if expected["kind"].is_string() {
            assert!(decoded["error"].is_string() && decoded.get("id").is_none(), "{name}");
            continue;
        }
        assert!(decoded.get("error").is_none(), "{name}");
        let id = decoded["id_hex"].as_str().expect("hex");
        let body = decoded["body_hex"].as_str().expect("hex");
        assert!(id.len() == 20 && hex.contains(id) && hex.ends_with(body), "{name}");
    }
    assert_eq!(decoded[0]["name"], "Measurements.SubscribeResults");
}

#[test]
fn fields_that_came_later_are_shown_and_a_result_of_an_error_alone_is_one() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let create = hex(b"0504abcdefghij\x0a\x01s\x22\x012\x2a\x04note\x32\x08DISCRETE");
    let failed = hex(b"RESULTS001200\x0a\x01m\x32\x08\x0a\x06BROKEN");
    // The snippets' class uses one id for all calls: what was asked last is not what is answered.
    let login = hex(b"0718abcdefghij\x0a\x01t");
    let register = hex(b"0705registered\x0a\x01k");
    let registered = hex(b"registered200\x0a\x01d\x12\x01t\x1a\x01r");
    let lines = [
        json!({ "direction": "request", "hex": create }),
        json!({ "direction": "response", "hex": failed }),
        json!({ "direction": "request", "hex": login }),
        json!({ "direction": "response", "hex": hex(b"abcdefghij200\x0a\x03m:1\x10\x01") }),
        json!({ "direction": "request", "hex": register }),
        json!({ "direction": "response", "hex": registered }),
    ];
    let output = run(&["dfx", "decode", "--json"], &lines.map(|line| line.to_string()).join("\n"));
    let decoded = objects(&output);
    let body = |index: usize| &decoded[index]["body"];
    assert_eq!(
        (&body(0)["DeviceVersion"], &body(0)["Notes"], &body(0)["Mode"]),
        (&json!("2"), &json!("note"), &json!("DISCRETE"))
    );
    assert_eq!((&body(1)["MeasurementID"], &body(1)["Error"]["Code"]), (&json!("m"), &json!("BROKEN")));
    assert_eq!(body(3), &json!({ "ID": "m:1", "ChunkOrder": 1 }));
    assert_eq!((&body(5)["DeviceID"], &body(5)["RefreshToken"]), (&json!("d"), &json!("r")));
}

#[test]
fn ids_do_not_reach_the_terminal_raw() {
    let output = run(&["dfx", "decode", "1b5b324a0a7878787878323030"], "");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(text.trim_end(), r"response \u{1b}[2J\nxxxxx 200");
}

#[test]
fn frames_come_from_arguments_files_lines_and_documents() {
    let rows = golden();
    let file = std::env::temp_dir().join(format!("cloverleaf-{}.txt", uuid::Uuid::new_v4()));
    let responses: Vec<&str> = rows
        .iter()
        .filter(|[_, direction, hex]| direction == "response" && !hex.is_empty())
        .map(|row| row[2].as_str())
        .collect();
    std::fs::write(&file, responses.join("\n")).unwrap();
    let path = file.to_str().expect("UTF-8");
    let named = objects(&run(&["dfx", "decode", "--json", path], ""));
    assert_eq!(named, objects(&run(&["dfx", "decode", "--json", "--file", path], "")));
    assert_eq!(named, objects(&run(&["dfx", "decode", "--json"], &responses.join("\n"))));
    assert_eq!(named, objects(&run(&[&["dfx", "decode", "--json"][..], &responses].concat(), "")));
    assert_eq!(named.len(), responses.len());
    // As the vectors are kept: one document over many lines, directions by name.
    let vectors: Vec<Value> = rows.iter().map(|[name, _, hex]| json!({ "name": name, "hex": hex })).collect();
    let document = serde_json::to_string_pretty(&json!({ "vectors": vectors })).expect("JSON");
    std::fs::write(&file, &document).unwrap();
    let from_file = objects(&run(&["dfx", "decode", "--json", path], ""));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(from_file, objects(&run(&["dfx", "decode", "--json"], &document)));
    assert_eq!((from_file.len(), &from_file[0]["direction"]), (27, &json!("request")));
}

#[test]
fn mutated_frames_are_decoded_or_refused_and_never_more() {
    let mut seed = 0x2545_f491_u32;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed as usize
    };
    let mut input = Vec::new();
    for [_, direction, hex] in golden() {
        for _ in 0..40 {
            let mut bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[at * 2..][..2], 16).expect("hex"))
                .collect();
            for _ in 0..=next() % 3 {
                let at = next() % (bytes.len() + 1);
                match next() % 3 {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at, next() as u8),
                    _ => drop(bytes.get_mut(at).map(|byte| *byte = next() as u8)),
                }
            }
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            input.push((direction.clone(), bytes, hex));
        }
    }
    let lines: Vec<String> = input
        .iter()
        .map(|(direction, _, hex)| json!({ "direction": direction, "hex": hex }).to_string())
        .collect();
    let output = run(&["dfx", "decode", "--json"], &lines.join("\n"));
    assert!(output.status.success());
    let decoded = objects(&output);
    assert_eq!(decoded.len(), input.len());
    for ((direction, bytes, hex), decoded) in input.iter().zip(&decoded) {
        let digits = |range: std::ops::Range<usize>| {
            bytes.get(range).is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
        };
        let good = match direction.as_str() {
            "request" => bytes.len() >= 14 && digits(0..4),
            _ => bytes.len() >= 13 && digits(10..13) && bytes[10] != b'0',
        };
        assert_eq!(decoded.get("error").is_none(), good, "{hex}: {decoded}");
        assert_eq!(decoded.get("id").is_some() && decoded.get("body").is_some(), good, "{hex}: {decoded}");
    }
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
    let missing = run(&["dfx", "decode", "no-such-file.txt"], "");
    assert_eq!(missing.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&missing.stderr);
    assert!(complaint.contains("cannot read no-such-file.txt"), "{complaint}");
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
    let text = std::fs::read_to_string(&file).unwrap();
    let measure = move |input: &str, extra: &[&str]| {
        let mut arguments = vec!["dfx", "measure", "--at-once", "--server", &url, "--input", input];
        arguments.extend(extra);
        run(&arguments, &text)
    };
    let measured = tokio::task::spawn_blocking(move || {
        let output = measure(&path, &["--json", "--protocol", "proto"]);
        (output, measure(&path, &[]), measure("-", &[]))
    });
    let (output, plain, piped) = measured.await.unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = objects(&output);
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| (row["heart_rate"].as_f64().unwrap() - 78.0).abs() < 1.0), "{rows:?}");
    let [plain, piped] = [plain, piped].map(|output| String::from_utf8(output.stdout).unwrap());
    assert!(plain.contains("heart rate") && plain.contains('⠀'), "{plain}");
    assert!(plain.contains("20.0 s (plotted: the first 10 s)"), "{plain}");
    let without_name = |text: &str| text.split_once(" · ").expect("a title").1.to_owned();
    assert_eq!(without_name(&plain), without_name(&piped), "standard input is a file like others");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_measured_before_a_failure_is_shown() {
    let rules = "[[fault]]\naction = \"0506\"\nafter = 1\ndo = \"close\"";
    let server = server_with(rules).await;
    let file = std::env::temp_dir().join(format!("cloverleaf-{}", uuid::Uuid::new_v4()));
    std::fs::write(&file, pulse(78.0, 5.0)).unwrap();
    let url = format!("ws://{}/dfx", server.address);
    let path = file.to_str().expect("UTF-8").to_owned();
    let measure =
        move || run(&["dfx", "measure", "--chunk", "0.2s", "--server", &url, "--input", &path, &path], "");
    let output = tokio::task::spawn_blocking(measure).await.unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (out, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(out.contains("78.0 bpm"), "{out}");
    assert!(complaint.contains("1011"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_result_costs_no_other() {
    let server = server_with("[[fault]]\non = \"result\"\nchunk = 0\ndo = \"truncate\"").await;
    let file = std::env::temp_dir().join(format!("cloverleaf-{}", uuid::Uuid::new_v4()));
    std::fs::write(&file, pulse(78.0, 5.0)).unwrap();
    let url = format!("ws://{}/dfx", server.address);
    let path = file.to_str().expect("UTF-8").to_owned();
    let measure = move || {
        run(&["dfx", "measure", "--at-once", "--json", "--server", &url, "--input", &path, &path, &path], "")
    };
    let output = tokio::task::spawn_blocking(measure).await.unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(output.status.code(), Some(1), "not every chunk gave a result");
    let rows = objects(&output);
    assert_eq!(rows.iter().map(|row| &row["chunk"]).collect::<Vec<_>>(), [1, 2], "{rows:?}");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("a result is no frame") && complaint.lines().count() == 1, "{complaint}");
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let frames = "6162636465666768696a323030\n".repeat(100_000);
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloverleaf"));
    command.args(["dfx", "decode"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    drop(child.stdout.take());
    // Fails when the program ends first, as it should.
    let _ = child.stdin.take().expect("piped").write_all(frames.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn what_cannot_be_measured_is_said() {
    let missing = run(&["dfx", "measure", "--input", "/nonexistent"], "");
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nonexistent"));
    assert!(missing.stdout.is_empty());
    let empty = std::env::temp_dir().join(format!("cloverleaf-{}", uuid::Uuid::new_v4()));
    std::fs::write(&empty, "").unwrap();
    let nothing = run(&["dfx", "measure", "--input", empty.to_str().expect("UTF-8")], "");
    std::fs::remove_file(&empty).unwrap();
    assert_eq!(nothing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("is empty"));
    let usage = run(&["dfx", "measure", "--input", "x", "--chunk", "soon"], "");
    assert_eq!(usage.status.code(), Some(2));
}
