//! `cloverleaf relay monitor`: run a program per command.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::services::relay::client::{Notice, run_monitor};

/// Bytes of a reason that are reported to the user.
const MAX_REASON: usize = 1000;

/// Be a monitor that runs a program for every command
///
/// The program gets the command on its standard input, one command at a time. Exit code 0 reports the command done;
/// any other reports an error with the last line that the program wrote. What it writes goes back to the user (the first
/// 64 KiB of it). Comes back after a lost connection; ends
/// with Ctrl-C.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    relay: super::Relay,

    /// The program, found as a shell would
    #[arg(long, value_name = "PROGRAM")]
    exec: PathBuf,

    /// Kill the program after this time and report an error
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    time_limit: f64,

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
        let time_limit = Duration::try_from_secs_f64(self.time_limit)?;
        let program = Program {
            path: self.exec,
            arguments: self.arguments,
            time_limit,
            output_limit: self.output_limit,
        };
        let membership = self.relay.membership()?;
        let id = membership.monitor_id.clone();
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
                println!("{line}");
            } else {
                print!("{}", run.output);
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
                Notice::Unreported => "the last report was lost with its connection".to_owned(),
            };
            if self.json {
                println!("{}", json!({"notice": text}));
            } else {
                eprintln!("{text}");
            }
        };
        tokio::select! {
            end = run_monitor(&membership, execute, notice) => match end? {},
            signal = tokio::signal::ctrl_c() => {
                signal?;
                Ok(ExitCode::SUCCESS)
            }
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
        match tokio::time::timeout(self.time_limit, self.run_to_end(command)).await {
            Ok(Ok(run)) => run,
            Ok(Err(error)) => Run::failed(format!("cannot run {}: {error}", self.path.display())),
            // Dropping the child has killed it.
            Err(_) => Run::failed(format!("killed after {} s", self.time_limit.as_secs_f64())),
        }
    }

    async fn run_to_end(&self, command: &str) -> std::io::Result<Run> {
        let mut child = tokio::process::Command::new(&self.path)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take();
        let feed = async {
            if let Some(stdin) = &mut stdin {
                // A program may end, or close its input, without having read the command.
                let _ = stdin.write_all(command.as_bytes()).await;
            }
            drop(stdin);
        };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let ((), output, errors) =
            tokio::join!(feed, read(stdout, self.output_limit), read(stderr, self.output_limit));
        let (output, errors) = (output?, errors?);
        let status = if output.len() as u64 > self.output_limit || errors.len() as u64 > self.output_limit {
            None
        } else {
            Some(child.wait().await?)
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

impl Run {
    fn failed(reason: String) -> Self {
        Self { result: Err(reason), code: None, output: String::new() }
    }
}

/// Read to the end, or one byte more than `limit`.
async fn read(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(limit.saturating_add(1)).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn last_line(text: &str) -> Option<&str> {
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(&line[..line.floor_char_boundary(MAX_REASON)])
}
