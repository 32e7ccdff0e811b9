//! Finds the installed peers and runs them as child processes that end with the test.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a peer may take for any one step before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A path in this folder: `script("octane/notebook.py")`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name)
}

/// Something that `.ci/peers` installed.
fn installed(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers").join(path);
    assert!(path.exists(), "{} is missing: run .ci/peers, which installs it", path.display());
    path.canonicalize().expect("it exists")
}

/// A program of the Python environment that `python/NAME.txt` describes: `python("socketio-5.8.0", "python")`.
pub(crate) fn python(environment: &str, program: &str) -> Command {
    // Not canonicalised: a virtual environment is recognised by the path of its interpreter.
    let bin = installed(environment).join("bin").join(program);
    assert!(bin.exists(), "{} is missing: run .ci/peers, which installs it", bin.display());
    let mut command = Command::new(bin);
    // Some write a log where they are.
    command.current_dir(installed(environment));
    command
}

/// Node with the modules of `node/package.json` in reach.
pub(crate) fn node(file: &Path) -> Command {
    // ECMAScript modules are resolved beside the importing file, so the script is run from beside the modules.
    let modules = installed("node");
    // Under a name of its own: `hub/client.mjs` becomes `hub-client.mjs`.
    let name = file.strip_prefix(script("")).expect("a script of ours").to_string_lossy().replace('/', "-");
    let copy = modules.join(name);
    std::fs::copy(file, &copy).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut command = Command::new("node");
    command.arg(copy).current_dir(modules);
    command
}

/// A running peer.
pub(crate) struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    name: String,
}

impl Peer {
    /// Starts a peer that hears nothing; it is killed when dropped.
    pub(crate) fn start(command: Command) -> Self {
        Self::spawn(command, Stdio::null())
    }

    /// Starts a peer that can be [told](Self::tell) something.
    pub(crate) fn start_listening(command: Command) -> Self {
        Self::spawn(command, Stdio::piped())
    }

    fn spawn(mut command: Command, stdin: Stdio) -> Self {
        let name = format!("{command:?}");
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let stdin = child.stdin.take();
        Self { child, stdin, lines, name }
    }

    /// Writes a line to the peer.
    pub(crate) async fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("started listening, and not finished");
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// The next line the peer prints.
    pub(crate) async fn line(&mut self) -> String {
        match timeout(PATIENCE, self.lines.next_line()).await {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) => {
                let complaint = self.complaint().await;
                panic!("{} ended early: {complaint}", self.name)
            }
            Ok(Err(error)) => panic!("{}: {error}", self.name),
            Err(_) => panic!("{} printed nothing for {PATIENCE:?}", self.name),
        }
    }

    /// Waits until the peer prints a line that contains `text`, and returns it.
    pub(crate) async fn line_with(&mut self, text: &str) -> String {
        loop {
            let line = self.line().await;
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits for the peer to end well and returns what else it printed.
    pub(crate) async fn finish(mut self) -> Vec<String> {
        self.stdin = None;
        let mut rest = Vec::new();
        let all = async {
            while let Some(line) = self.lines.next_line().await.expect("UTF-8 output") {
                rest.push(line);
            }
            self.child.wait().await.expect("a child that can be waited for")
        };
        let status = timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("{} did not end", self.name));
        let complaint = self.complaint().await;
        assert!(status.success(), "{} failed: {status}\n{}\n{complaint}", self.name, rest.join("\n"));
        rest
    }

    /// Sends the peer a signal by its name, and waits for its end.
    pub(crate) async fn stop(mut self, signal: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().await;
        assert!(sent.expect("kill").success(), "{} has ended already", self.name);
        timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("a child that can be waited for");
    }

    /// What the peer wrote to standard error.
    async fn complaint(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            // It has ended or is of no more use; what it said so far will do.
            let _ = timeout(Duration::from_secs(1), stderr.read_to_string(&mut text)).await;
        }
        text
    }
}
