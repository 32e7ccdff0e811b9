//! `cloverleaf relay monitor`: run a program per command.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::cli::{interrupted, say};
use crate::config::duration;
use crate::services::relay::client::{Notice, run_monitor};

/// Bytes of a reason that are reported to the user.
const MAX_REASON: usize = 1000;

/// How long output is still read once the program has ended: what it left running may hold its pipes for ever.
const LINGER: Duration = Duration::from_secs(1);

/// Be a monitor that runs a program for every command
///
/// The program gets the command on its standard input, one command at a time. Exit code 0 reports the command done;
/// any other reports an error with the last line that the program wrote. What it writes goes back to the user (the first
/// 64 KiB of it). A program that is killed takes along what it started. Comes back after a lost connection; ends with
/// Ctrl-C.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    relay: super::Relay,

    /// The program, found as a shell would
    #[arg(long, value_name = "PROGRAM")]
    exec: PathBuf,

    /// Kill the program after this time and report an error
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    time_limit: Duration,

    /// Kill the program when it has written this much and report an error
    #[arg(long, value_name = "BYTES", default_value = "1048576")]
    output_limit: u64,

    /// Print one JSON object per line: what happens, and each command with its output
    #[arg(long)]
    json: bool,

    /// Arguments of the program
    #[arg(last = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

/// What a run of the program came to.
#[derive(Debug)]
struct Run {
    result: Result<(), String>,
    code: Option<i32>,
    output: String,
}

impl Command {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let program = Program {
            path: self.exec,
            arguments: self.arguments,
            time_limit: self.time_limit,
            output_limit: self.output_limit,
        };
        let membership = self.relay.membership()?;
        let id = membership.monitor_id.clone();
        // What became of the first line that nobody took.
        let (unread, mut unreadable) = watch::channel(None);
        let print = |printed: std::io::Result<()>| {
            if let Err(error) = printed {
                unread.send_replace(Some(error));
            }
        };
        let execute = async |command: &str| {
            let began = Instant::now();
            let run = program.run(command).await;
            if self.json {
                let line = json!({
                    "command": command,
                    "outcome": if run.result.is_ok() { "done" } else { "failed" },
                    "reason": run.result.as_ref().err(),
                    "exit_code": run.code,
                    "output": run.output,
                    "ms": (began.elapsed().as_secs_f64() * 1e6).round() / 1000.0,
                });
                print(say!("{line}"));
            } else {
                print(std::io::stdout().write_all(run.output.as_bytes()));
                let verdict = run.result.as_ref().map_or_else(String::as_str, |()| "done");
                eprintln!("{command:?}: {verdict}");
            }
            run.result.map(|()| run.output)
        };
        let notice = |notice: Notice| {
            let text = match notice {
                Notice::Registered => format!("registered as {id}"),
                Notice::Lost(reason) => format!("the connection is lost: {reason}"),
                Notice::Refused(reason) => format!("refused, trying again: {reason}"),
                Notice::Skipped => "a command came too late: its connection is lost".to_owned(),
                Notice::Unreported => "the last report was lost with its connection".to_owned(),
            };
            if self.json {
                print(say!("{}", json!({"notice": text})));
            } else {
                eprintln!("{text}");
            }
        };
        tokio::select! {
            end = run_monitor(&membership, execute, notice) => match end.map_err(super::failed)? {},
            _ = unreadable.changed() => match unread.send_replace(None) {
                Some(error) => Err(error.into()),
                None => Ok(ExitCode::SUCCESS),
            },
            () = interrupted() => Ok(ExitCode::SUCCESS),
        }
    }
}

/// The program and its bounds.
#[derive(Debug)]
struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    time_limit: Duration,
    output_limit: u64,
}

impl Program {
    async fn run(&self, command: &str) -> Run {
        match timeout(self.time_limit, self.run_to_end(command)).await {
            Ok(Ok(run)) => run,
            Ok(Err(error)) => Run::failed(format!("cannot run {}: {error}", self.path.display())),
            // Dropping the group has killed it.
            Err(_) => Run::failed(format!("killed after {} s", self.time_limit.as_secs_f64())),
        }
    }

    async fn run_to_end(&self, command: &str) -> std::io::Result<Run> {
        let child = tokio::process::Command::new(&self.path)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let mut group = Group(child);
        let mut stdin = group.0.stdin.take();
        let feed = async {
            if let Some(stdin) = &mut stdin {
                // A program may end, or close its input, without having read the command.
                let _ = stdin.write_all(command.as_bytes()).await;
            }
            drop(stdin);
            Ok(())
        };
        let (stdout, stderr) = (group.0.stdout.take(), group.0.stderr.take());
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let read = {
            let limit = self.output_limit;
            let reading = async {
                tokio::try_join!(feed, read(stdout, limit, &mut output), read(stderr, limit, &mut errors))
            };
            let mut reading = pin!(reading);
            tokio::select! {
                read = &mut reading => read,
                _ = group.0.wait() => timeout(LINGER, reading).await.unwrap_or(Ok(((), (), ()))),
            }
        };
        let status = match read {
            Err(error) if error.kind() == ErrorKind::FileTooLarge => None,
            read => {
                read?;
                Some(group.0.wait().await?)
            }
        };
        let mut text = String::from_utf8_lossy(&output).into_owned();
        let errors = String::from_utf8_lossy(&errors);
        let result = match status {
            None => Err(format!("killed after {} bytes of output", self.output_limit)),
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(match last_line(&errors).or_else(|| last_line(&text)) {
                Some(line) => format!("{status}: {line}"),
                None => status.to_string(),
            }),
        };
        text.push_str(&errors);
        Ok(Run { result, code: status.and_then(|status| status.code()), output: text })
    }
}

/// A program with what it started. Dropped before it has ended, all of that is killed.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // It has an id until its end was waited for.
        let id = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(id) = id {
            // Fails when it has just ended.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Run {
    fn failed(reason: String) -> Self {
        Self { result: Err(reason), code: None, output: String::new() }
    }
}

/// Read to the end, or until there is more than `limit`, which is [`ErrorKind::FileTooLarge`].
async fn read(pipe: Option<impl AsyncRead + Unpin>, limit: u64, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    if let Some(pipe) = pipe {
        pipe.take(limit.saturating_add(1)).read_to_end(bytes).await?;
    }
    if bytes.len() as u64 > limit { Err(ErrorKind::FileTooLarge.into()) } else { Ok(()) }
}

fn last_line(text: &str) -> Option<&str> {
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(&line[..line.floor_char_boundary(MAX_REASON)])
}
