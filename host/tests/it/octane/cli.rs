//! `cloverleaf octane …`, as a person or a script uses it.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use cloverleaf::app::App;
use cloverleaf::auth::Key;
use serde_json::{Value, json};

use super::wire::{PATIENCE, options};
use crate::support::Server;

fn program(arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cloverleaf"));
    program.arg("octane").args(arguments).stdin(Stdio::null());
    program
}

/// A command against a server with a key, run to its end.
async fn run(server: &Server, arguments: &[&str]) -> Output {
    let url = server.url();
    let (verb, rest) = arguments.split_first().expect("a verb");
    let arguments = [&[*verb, "--server", &url, "--key", "goodkey", "--json"], rest].concat();
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
    let unknown = run(&server, &["join", "nowhere"]).await;
    assert!(!unknown.status.success() && !unknown.stderr.is_empty(), "{unknown:?}");

    let heard = run(&server, &["listen", "--count", "1", "ipc"]);
    let sent = async {
        let listens = async {
            while road.look(|state| state.audience("ipc")) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, listens).await.expect("it listens");
        let sent = run(&server, &["send", "ipc_message", r#"{"type":"POI"}"#]).await;
        assert!(sent.status.success(), "{sent:?}");
    };
    let (heard, ()) = tokio::join!(heard, sent);
    assert!(heard.status.success(), "{heard:?}");
    assert_eq!(lines(&heard), [json!({"event": "ipc_message", "data": {"type": "POI"}})]);

    let said = run(&server, &["user-message", "--user", "me", "hello"]).await;
    assert_eq!(lines(&said), [json!({"sent": "user_message"})]);
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
