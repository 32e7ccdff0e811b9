//! `cloverleaf octane …`, as a person or a script uses it.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use cloverleaf::app::App;
use cloverleaf::auth::Key;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::player::{TIMEOUT, options};
use crate::support::Server;

fn program(arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cloverleaf"));
    program.arg("octane").args(arguments).stdin(Stdio::null());
    program
}

/// A command against a server with a key, run to its end.
async fn run(server: &Server, arguments: &[&str]) -> Output {
    let url = server.url();
    let mut arguments = arguments.to_vec();
    for (option, value) in [("--server", url.as_str()), ("--key", "goodkey")] {
        if !arguments.contains(&option) {
            arguments.splice(1..1, [option, value]);
        }
    }
    arguments.insert(1, "--json");
    let mut program = program(&arguments);
    tokio::task::spawn_blocking(move || program.output().expect("our own program")).await.expect("no panic")
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_joined_and_messages_sent_and_heard() {
    let app = App::new(&options()).await.unwrap();
    let road = Arc::clone(app.road());
    let server = Server::serve(app).await;
    let joined = run(&server, &["join", "gate", "ipc"]).await;
    assert!(joined.status.success(), "{joined:?}");
    assert_eq!(lines(&joined)[0]["joined"], json!(["user", "facility", "gate", "ipc"]));

    let heard = run(&server, &["listen", "--count", "1", "ipc"]);
    let sent = async {
        let listens = async {
            while road.look(|state| state.subscribers("ipc")) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(TIMEOUT, listens).await.expect("it listens");
        let sent = run(&server, &["send", "ipc_message", r#"{"type":"POI"}"#]).await;
        assert!(sent.status.success(), "{sent:?}");
    };
    let (heard, ()) = tokio::join!(heard, sent);
    assert!(heard.status.success(), "{heard:?}");
    assert_eq!(lines(&heard), [json!({"event": "ipc_message", "data": {"type": "POI"}})]);

    let said = run(&server, &["user-message", "--user", "me", "hello"]).await;
    assert_eq!(lines(&said), [json!({"sent": "user_message"})]);
}

/// What is asked, the exit code, and what is said about it.
#[rustfmt::skip]
const FAILURES: [(&[&str], i32, &str); 10] = [
    (&["join", "gate", "nowhere"],                       4, "there is no channel nowhere"),
    (&["listen", "nowhere", "gate"],                     4, "there is no channel nowhere"),
    (&["listen", "--count", "1", "nowhere"],             4, "there is no channel nowhere"),
    (&["send", "beacon_message", r#"{"id":"B1"}"#],      4, "the server refuses beacon_message: state, which may be within payload, is an object"),
    (&["send", "ipc_message", "{"],                      2, "DATA is not JSON"),
    (&["join", "--key", "badkey", "gate"],               3, "the server refuses the key: API key is missing or invalid"),
    (&["join", "--namespace", "/nope", "gate"],          3, "the server refused: Invalid namespace"),
    (&["join", "--server", "ftp://localhost", "gate"],   2, "expected http://, https://, ws:// or wss:// and a host"),
    (&["join", "--server", "http://127.0.0.1:1", "gate"], 3, "cannot connect to http://127.0.0.1:1: Connection refused"),
    (&["join", "--server", "WEB", "gate"],               3, "no Socket.IO there: the answer is 404 Not Found"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_said_with_an_exit_code() {
    let server = Server::start(&options()).await;
    let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", web.local_addr().unwrap());
    tokio::spawn(axum::serve(web, axum::Router::new()).into_future());
    for (arguments, code, said) in FAILURES {
        let arguments: Vec<&str> =
            arguments.iter().map(|word| if *word == "WEB" { url.as_str() } else { *word }).collect();
        let output = run(&server, &arguments).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.starts_with("cloverleaf: ") && error.contains(said), "{arguments:?}: {error}");
    }
}

#[test]
fn a_key_is_hashed_from_standard_input_whatever_is_in_it() {
    let mut hashing = program(&["hash"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    hashing.stdin.take().unwrap().write_all(b"a,b\n").unwrap();
    let output = hashing.wait_with_output().unwrap();
    let expected = format!("sha256 = \"{}\"\n", Key::new("a,b").sha256());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn output_may_be_cut_off_by_its_reader() {
    let mut printing = program(&["facility"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Its reader has had enough before it began.
    drop(printing.stdout.take());
    let output = printing.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
