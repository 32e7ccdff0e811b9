//! The relay's clients: as a library, and as `cloverleaf relay`.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use cloverleaf::app::App;
use cloverleaf::auth::Exposure;
use cloverleaf::config::Options as ServerOptions;
use cloverleaf::services::relay::client::{ClientError, Membership, Notice, User, run_monitor};
use cloverleaf::services::relay::events::MonitorId;
use cloverleaf::services::relay::state::Counts;
use cloverleaf::socketio_client::{Backoff, Options};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{Notify, mpsc, oneshot};

use super::fixture::{A, Alone, PATIENCE, introduced, message};

fn membership(relay: &Alone) -> Membership {
    let mut connection = relay.client();
    let (first, max) = (Duration::from_millis(5), Duration::from_millis(50));
    connection.reconnect = Some(Backoff { first, max, attempts: None });
    Membership { connection, monitor_id: MonitorId::new(A).unwrap(), token: None }
}

/// A monitor that does what it is told, but for "jam"; its notices.
fn obedient(membership: Membership) -> mpsc::UnboundedReceiver<Notice> {
    let (sender, notices) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let execute = async |command: &str| {
            if command == "jam" { Err("it jams".to_owned()) } else { Ok(command.to_owned()) }
        };
        run_monitor(&membership, execute, |notice| sender.send(notice).unwrap_or_default()).await
    });
    notices
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

#[tokio::test]
async fn a_user_hears_what_became_of_each_command_and_when() {
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let mut notices = obedient(membership(&relay));
    assert_eq!(within(notices.recv()).await, Some(Notice::Registered));
    let mut user = User::connect(membership(&relay)).await.unwrap();
    for (command, failed) in
        [("go", None), ("jam", Some("it jams")), ("", Some("Invalid command")), ("go", None)]
    {
        let outcome = user.command(command, PATIENCE).await.unwrap();
        assert_eq!(outcome.failed.as_deref(), failed, "{command}");
        assert_eq!(outcome.output, if failed.is_none() { command } else { "" });
        assert_eq!(outcome.accepted.is_some(), !command.is_empty());
        if let (Some(dispatched), Some(finished)) = (outcome.times.dispatched, outcome.times.finished) {
            let accepted = outcome.times.accepted.expect("it was accepted");
            assert!(accepted <= dispatched && dispatched <= finished);
        } else {
            assert_eq!(outcome.times.accepted, None, "it was not accepted");
            assert!(command.is_empty(), "{:?}", outcome.times);
        }
    }
    user.close().await;
}

#[tokio::test]
async fn both_sides_come_back_when_the_relay_does() {
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let mut notices = obedient(membership(&relay));
    assert_eq!(within(notices.recv()).await, Some(Notice::Registered));
    let mut user = User::connect(membership(&relay)).await.unwrap();
    assert_eq!(user.command("go", PATIENCE).await.unwrap().failed, None);
    let _relay = relay.restart().await;
    assert!(matches!(within(notices.recv()).await, Some(Notice::Lost(_))));
    assert_eq!(within(notices.recv()).await, Some(Notice::Registered));
    assert_eq!(user.command("go", PATIENCE).await.unwrap().failed, None);
}

#[tokio::test]
async fn a_monitor_whose_id_is_taken_is_told_so() {
    let relay =
        Alone::start(|options| options.relay_probe = Duration::from_secs(60), Exposure::Loopback).await;
    let mut notices = obedient(membership(&relay));
    assert_eq!(within(notices.recv()).await, Some(Notice::Registered));
    // The first answers the relay's probe, so this takes no second.
    let second = within(run_monitor(&membership(&relay), async |_: &str| Ok(String::new()), |_| ())).await;
    match second {
        Err(ClientError::Refused(reason)) => assert_eq!(reason, "monitor_id already registered"),
        other => panic!("expected to be refused, got {other:?}"),
    }
}

fn cloverleaf(relay: &Alone, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloverleaf"));
    let url = format!("http://{}/relay", relay.address);
    command.arg("relay").arg(arguments[0]).args(["--id", A, "--server", &url]).args(&arguments[1..]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// `cloverleaf relay monitor --json --exec sh -- -c SCRIPT`, registered.
async fn monitor(relay: &Alone, limits: &[&str], script: &str) -> (Child, Lines<BufReader<ChildStdout>>) {
    let arguments = [&["monitor", "--json", "--exec", "sh"], limits, &["--", "-c", script]].concat();
    let mut child = cloverleaf(relay, &arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let notice = within(lines.next_line()).await.unwrap().unwrap();
    assert_eq!(notice, format!("{{\"notice\":\"registered as {A}\"}}"));
    (child, lines)
}

#[tokio::test]
async fn the_program_gets_the_command_and_its_exit_code_becomes_the_outcome() {
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let script = "read line; echo got $line; [ \"$line\" != jam ] || { echo it jams >&2; exit 3; }";
    let (_monitor, mut lines) = monitor(&relay, &[], script).await;
    let table = [
        ("lights on", 0, None, "got lights on\n"),
        ("jam", 3, Some("exit status: 3: it jams"), "got jam\nit jams\n"),
    ];
    for (command, code, reason, output) in table {
        let user = within(cloverleaf(&relay, &["user", "--json", command]).output()).await.unwrap();
        assert_eq!(user.status.code(), Some(i32::from(code != 0)), "{command}");
        let told: Value = serde_json::from_slice(&user.stdout).unwrap();
        assert_eq!(told["reason"].as_str(), reason);
        assert_eq!(told["output"], if code == 0 { output } else { "" });
        for time in ["sent", "accepted", "dispatched", "finished"] {
            assert!(told["times"][time].is_f64(), "{time} in {told}");
        }
        let done: Value = serde_json::from_str(&within(lines.next_line()).await.unwrap().unwrap()).unwrap();
        assert_eq!(done["exit_code"], code);
        assert_eq!((done["command"].as_str(), done["output"].as_str()), (Some(command), Some(output)));
    }
}

#[tokio::test]
async fn a_program_without_end_is_killed_and_reported() {
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let table = [
        (["--time-limit", "0.2"], "exec sleep 100", "killed after 0.2 s"),
        (["--output-limit", "1000"], "exec yes", "killed after 1000 bytes of output"),
        (["--time-limit", "60"], "kill -9 $$", "signal: 9 (SIGKILL)"),
    ];
    for (limits, script, reason) in table {
        let (monitor, _lines) = monitor(&relay, &limits, script).await;
        let user = within(cloverleaf(&relay, &["user", "go"]).output()).await.unwrap();
        assert_eq!(user.status.code(), Some(1));
        let said = String::from_utf8(user.stderr).unwrap();
        assert!(said.trim_end().ends_with(reason), "{said}");
        // The next one may have the id as soon as this one is gone.
        drop(monitor);
    }
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_an_error_and_not_a_wait() {
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let command = cloverleaf(&relay, &["user", "go"]).output();
    let absent = within(command).await.unwrap();
    assert_eq!(String::from_utf8(absent.stderr).unwrap().split(": ").nth(1), Some("Monitor not connected\n"));
    let mut command = cloverleaf(&relay, &["user", "go"]);
    command.env("CLOVERLEAF_RELAY_SERVER", "").args(["--server", "http://127.0.0.1:1"]);
    let usage = within(command.output()).await.unwrap();
    assert_eq!(usage.status.code(), Some(2), "--server twice");
    drop(relay);
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloverleaf"));
    command.args(["relay", "user", "--id", A, "--server", "http://127.0.0.1:1", "go"]);
    let gone = within(command.output()).await.unwrap();
    assert_eq!(gone.status.code(), Some(3));
    assert!(String::from_utf8(gone.stderr).unwrap().starts_with("cloverleaf: cannot connect: "));
}

#[tokio::test]
async fn of_output_without_end_the_beginning_reaches_the_user() {
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let ours = membership(&relay);
    let (ready, registered) = oneshot::channel();
    let mut ready = Some(ready);
    tokio::spawn(async move {
        // Longer as JSON than any message may be.
        let execute = async |command: &str| match command {
            "plain" => Ok("x".repeat(1_020_000)),
            "control" => Ok("\u{1}".repeat(200_000)),
            _ => Err("ü".repeat(1_000_000)),
        };
        run_monitor(&ours, execute, |_| ready.take().map_or(Ok(()), |ready| ready.send(())).unwrap()).await
    });
    within(registered).await.unwrap();
    let mut user = User::connect(membership(&relay)).await.unwrap();
    for (command, output, reason) in
        [("plain", 65_534, None), ("control", 65_534 / 6, None), ("fail", 0, Some(65_534))]
    {
        let outcome = user.command(command, PATIENCE).await.unwrap();
        assert_eq!(
            (outcome.output.len(), outcome.failed.map(|why| why.len())),
            (output, reason),
            "{command}"
        );
    }
}

#[tokio::test]
async fn commands_of_a_lost_connection_are_not_carried_out() {
    let relay =
        Alone::start(|options| options.relay_probe = Duration::from_secs(60), Exposure::Loopback).await;
    let ours = membership(&relay);
    let (happened, mut happens) = mpsc::unbounded_channel();
    let go = Notify::new();
    let execute = async |command: &str| {
        happened.send(command.to_owned()).unwrap();
        go.notified().await;
        Ok(String::new())
    };
    let notice = |notice: Notice| happened.send(format!("{notice:?}")).unwrap();
    let script = async {
        assert_eq!(within(happens.recv()).await.unwrap(), "Registered");
        let (user, mut replies) = introduced(relay.client(), "query", A).await;
        for command in ["first", "second"] {
            user.emit("command send", &[json!({"command": command})]).await.unwrap();
            assert_eq!(message(&mut replies).await.0, "command ok");
        }
        assert_eq!(within(happens.recv()).await.unwrap(), "first");
        // The monitor's side answers a ping that is sent behind the second command.
        let other = within(run_monitor(&membership(&relay), async |_: &str| Ok(String::new()), |_| ())).await;
        assert!(matches!(other, Err(ClientError::Refused(_))));
        user.disconnect().await;
        let relay = relay.restart().await;
        relay.becomes(Counts { sockets: 1, ..Counts::default() }).await;
        go.notify_one();
        for expected in ["Unreported", "Skipped"] {
            assert_eq!(within(happens.recv()).await.unwrap(), expected);
        }
        assert!(within(happens.recv()).await.unwrap().starts_with("Lost"));
        assert_eq!(within(happens.recv()).await.unwrap(), "Registered");
    };
    tokio::select! {
        end = run_monitor(&ours, execute, notice) => panic!("{end:?}"),
        () = script => {}
    }
}

#[tokio::test]
async fn who_is_told_of_everybodys_commands_waits_for_its_own() {
    let relay = Alone::start(|options| options.relay_broadcast = true, Exposure::Loopback).await;
    let (monitor, mut tasks) = introduced(relay.client(), "con", A).await;
    let (other, mut replies) = introduced(relay.client(), "query", A).await;
    other.emit("command send", &[json!({"command": "theirs"})]).await.unwrap();
    assert_eq!(message(&mut replies).await.0, "command ok");
    let mut user = User::connect(membership(&relay)).await.unwrap();
    let monitor = async {
        assert_eq!(message(&mut tasks).await.1["command"], "theirs");
        let ours = message(&mut tasks).await.1;
        assert_eq!(ours["command"], "ours");
        monitor.emit("command done", &[json!({"output": "not for us"})]).await.unwrap();
        monitor.emit("command done", &[json!({"id": ours["id"], "output": "for us"})]).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(user.command("ours", PATIENCE), monitor);
    assert_eq!(outcome.unwrap().output, "for us");
}

#[tokio::test]
async fn users_of_one_monitor_give_different_ids() {
    for relay_broadcast in [false, true] {
        let relay =
            Alone::start(|options| options.relay_broadcast = relay_broadcast, Exposure::Loopback).await;
        let (monitor, mut tasks) = introduced(relay.client(), "con", A).await;
        let mut first = User::connect(membership(&relay)).await.unwrap();
        let mut second = User::connect(membership(&relay)).await.unwrap();
        let monitor = async {
            let both = [message(&mut tasks).await.1, message(&mut tasks).await.1];
            for task in both.iter().rev() {
                let report = json!({"id": task["id"], "output": task["command"]});
                monitor.emit("command done", &[report]).await.unwrap();
            }
        };
        let (one, two, ()) =
            tokio::join!(first.command("one", PATIENCE), second.command("two", PATIENCE), monitor);
        assert_eq!([one.unwrap().output, two.unwrap().output], ["one", "two"], "{relay_broadcast}");
    }
}

#[tokio::test]
async fn what_a_program_leaves_running_is_not_waited_for() {
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let (_monitor, _lines) = monitor(&relay, &[], "echo started; sleep 1000 &").await;
    let user = within(cloverleaf(&relay, &["user", "go"]).output()).await.unwrap();
    assert_eq!((user.status.code(), &*user.stdout), (Some(0), &b"started\n"[..]));
}

/// Whether a process runs: it may have ended without anybody having asked for its end.
fn runs(id: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    status
        .rsplit(')')
        .next()
        .is_some_and(|rest| !matches!(rest.trim_start().chars().next(), None | Some('Z' | 'X')))
}

#[tokio::test]
async fn a_program_that_is_killed_takes_along_what_it_started() {
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    for limited in [true, false] {
        let limits: &[&str] = if limited { &["--time-limit", "2s"] } else { &[] };
        let file = std::env::temp_dir().join(format!("cloverleaf-relay-{}-{limited}", std::process::id()));
        let script = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let (mut monitor, _lines) = monitor(&relay, limits, &script).await;
        let mut user = cloverleaf(&relay, &["user", "go"]).spawn().unwrap();
        let id = within(async {
            loop {
                match std::fs::read_to_string(&file) {
                    Ok(id) => break id.trim().to_owned(),
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        })
        .await;
        std::fs::remove_file(&file).unwrap();
        if !limited {
            // As a supervisor ends a service.
            let monitor = monitor.id().and_then(|id| Pid::from_raw(id.cast_signed())).unwrap();
            kill_process(monitor, Signal::TERM).unwrap();
        }
        assert_eq!(within(user.wait()).await.unwrap().code(), Some(1));
        within(async {
            while runs(&id) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        if !limited {
            assert_eq!(within(monitor.wait()).await.unwrap().code(), Some(0));
        }
        let _ = monitor.kill().await;
        relay.becomes(Counts::default()).await;
    }
}

#[tokio::test]
async fn a_monitor_whose_output_nobody_reads_any_more_ends() {
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let (mut monitor, lines) = monitor(&relay, &[], "true").await;
    drop(lines);
    let user = within(cloverleaf(&relay, &["user", "go"]).output()).await.unwrap();
    assert!(matches!(user.status.code(), Some(0 | 1)), "the report may have been sent before the end or not");
    let mut said = String::new();
    within(monitor.stderr.take().unwrap().read_to_string(&mut said)).await.unwrap();
    assert_eq!((within(monitor.wait()).await.unwrap().code(), &*said), (Some(0), ""));
}

#[tokio::test]
async fn a_part_of_the_program_is_a_monitor_until_its_task_ends() {
    let relay = Alone::start(|_| (), Exposure::Loopback).await;
    let id = MonitorId::new(A).unwrap();
    let (begun, mut begins) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let gate = Arc::clone(&go);
    let execute = move |command: String| {
        begun.send(command.clone()).unwrap();
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            if command == "jam" { Err("it jams".to_owned()) } else { Ok(command) }
        }
    };
    let task = relay.service.attach(id.clone(), execute).expect("the id is free");
    assert!(relay.service.attach(id, async |_| Ok(String::new())).is_none(), "it is taken");
    let (user, mut replies) = introduced(relay.client(), "query", A).await;
    for command in ["go", "jam", "never"] {
        user.emit("command send", &[json!({"command": command})]).await.unwrap();
        assert_eq!(message(&mut replies).await.0, "command ok");
    }
    for (command, event, reply) in [
        ("go", "command finish", json!({"reason": "Command finish", "output": "go"})),
        ("jam", "command failed", json!({"reason": "it jams"})),
    ] {
        assert_eq!(within(begins.recv()).await.as_deref(), Some(command));
        assert!(begins.try_recv().is_err(), "one at a time");
        go.notify_one();
        assert_eq!(message(&mut replies).await, (event.to_owned(), reply));
    }
    task.abort();
    let gone = json!({"reason": "Monitor disconnected"});
    assert_eq!(message(&mut replies).await, ("command failed".to_owned(), gone));
    relay.becomes(Counts { sockets: 1, ..Counts::default() }).await;
}

#[tokio::test]
async fn the_car_is_a_monitor_that_only_reads() {
    let mut options = ServerOptions::default();
    options.relay.relay_car = true;
    let app = App::new(&options).await.unwrap();
    let line = app.summary().iter().find_map(|line| line.split("the car is monitor ").nth(1));
    let id = line.expect("the id is told").split(' ').next().unwrap().parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connection = Options::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(app.serve(listener, std::future::pending()));
    let mut user = User::connect(Membership { connection, monitor_id: id, token: None }).await.unwrap();
    let rpm = within(async {
        loop {
            let outcome = user.command("obd query RPM", PATIENCE).await.unwrap();
            match outcome.failed {
                None => return outcome.output,
                // The simulated car takes as long to connect as a real one.
                Some(reason) => assert!(reason.starts_with("not connected"), "{reason}"),
            }
        }
    })
    .await;
    let rpm: Value = serde_json::from_str(&rpm).unwrap();
    assert_eq!(rpm["unit"], "rpm");
    assert!(rpm["value"].is_f64());
    // What the car supports may be known a little later than that it is there.
    within(async { while user.command("obd supports RPM", PATIENCE).await.unwrap().output != "true\n" {} })
        .await;
    let table = [
        ("obd supports NONSENSE", "unknown name: NONSENSE"),
        ("obd query NONSENSE", "unknown name: NONSENSE"),
        ("obd query CLEAR_DTC", "CLEAR_DTC does not only read"),
        ("rm -rf /", "unknown command; try: "),
    ];
    for (command, want) in table {
        let outcome = user.command(command, PATIENCE).await.unwrap();
        let reason = outcome.failed.unwrap_or_else(|| panic!("{command}: {}", outcome.output));
        assert!(reason.starts_with(want), "{command}: {reason}");
    }
    let codes = user.command("obd dtc", PATIENCE).await.unwrap();
    assert!(codes.output.starts_with('['), "{codes:?}");
}
