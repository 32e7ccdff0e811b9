//! What all commands have in common.

use std::process::{Command, Output, Stdio};

use clap::Parser;
use cloverleaf::config::Options;

fn program(arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cloverleaf"));
    program.args(arguments).stdin(Stdio::null());
    program
}

fn run(arguments: &[&str]) -> Output {
    program(arguments).output().expect("our own program")
}

const ID: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn a_server_that_is_not_there_is_exit_code_3_and_its_cause_is_told_once() {
    let nowhere = "http://127.0.0.1:1";
    let file = std::env::temp_dir().join(format!("cloverleaf-cli-{}", std::process::id()));
    std::fs::write(&file, "pulse").expect("a temporary file");
    let path = file.to_str().expect("UTF-8");
    for arguments in [
        &["octane", "listen", "--server", nowhere, "intersection"][..],
        &["relay", "user", "--server", nowhere, "--id", ID, "go"],
        &["relay", "monitor", "--server", nowhere, "--id", ID, "--exec", "true"],
        &["hub", "chat", "--server", nowhere, "--name", "bench"],
        &["dfx", "measure", "--server", nowhere, "--input", path],
    ] {
        let output = run(arguments);
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {said}");
        assert_eq!(said.matches("Connection refused").count(), 1, "{arguments:?}: {said}");
    }
    std::fs::remove_file(&file).expect("the temporary file");
}

#[test]
fn a_time_that_is_none_is_wrong_usage() {
    for arguments in [
        &["relay", "user", "--id", ID, "--timeout", "-1", "go"][..],
        &["relay", "monitor", "--id", ID, "--exec", "true", "--time-limit", "nan"],
        &["obd", "query", "--timeout", "soon", "RPM"],
        &["simulator", "--delay", "1 fortnight"],
        &["serve", "--octane-silent-after", "nan"],
        &["serve", "--hub-idle", ""],
    ] {
        let output = run(arguments);
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains("expected a time such as") || said.contains("unexpected argument"), "{said}");
    }
}

#[test]
fn output_that_nobody_reads_ends_a_command_quietly() {
    for arguments in [&["octane", "facility"][..], &["obd", "commands", "--all"]] {
        let mut child = program(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("our own program");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("an end");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn options_go_by_their_other_names_too() {
    #[derive(Parser)]
    struct Serve {
        #[command(flatten)]
        options: Options,
    }
    let parsed = |arguments: &[&str]| {
        let serve = Serve::try_parse_from([&["serve"], arguments].concat()).expect("good options");
        format!("{:?} {:?}", serve.options.dfx, serve.options.hub)
    };
    for (name, other) in [
        (&["--dfx-key", "secret"][..], &["--dfx-token", "secret"][..]),
        (&["--hub-strict"], &["--strict-phoenix"]),
    ] {
        assert_eq!(parsed(name), parsed(other));
        assert_ne!(parsed(name), parsed(&[]), "{name:?}");
    }
}
