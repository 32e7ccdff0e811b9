//! The hub's kept messages in a real PostgreSQL, started by the test in a folder of its own, reached by its socket.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use cloverleaf::services::hub::Shout;
use cloverleaf::services::hub::history::{History, KEPT_FOR};
use jiff::{SignedDuration, Timestamp};
use tokio::process::Command;

use crate::support::Peer;

/// A database server whose data are gone with it.
struct Postgres {
    folder: PathBuf,
}

impl Postgres {
    async fn create() -> Self {
        let folder = std::env::temp_dir().join(format!("cloverleaf-postgres-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).expect("a folder for the data");
        if let Some((user, group)) = unprivileged() {
            chown(&folder, Some(user), Some(group)).expect("root may");
        }
        let postgres = Self { folder };
        let mut initialise = unprivileged_command(&program("initdb"));
        initialise.args(["--username=hub", "--auth=trust", "--encoding=UTF8", "--no-sync", "--pgdata"]);
        initialise.arg(postgres.folder.join("data"));
        Peer::start(initialise).finish().await;
        postgres
    }

    /// Starts the server and waits until it says that it is ready; it ends when the peer is dropped.
    async fn start(&self) -> Peer {
        let data = self.folder.join("data");
        // What it logs goes to standard output, which is read.
        let mut command = unprivileged_command(Path::new("sh"));
        command.args(["-c", "exec \"$@\" 2>&1", "sh"]).arg(program("postgres")).arg("-D").arg(data);
        // Only the socket, no port.
        command.arg("-k").arg(&self.folder).args(["-c", "listen_addresses=", "-c", "fsync=off"]);
        let mut server = Peer::start(command);
        server.line_with("ready to accept connections").await;
        server
    }

    fn url(&self) -> String {
        format!("postgres://hub@localhost/postgres?host={}", self.folder.display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // What is left of it is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// One of PostgreSQL's programs, which Debian keeps out of the path.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is missing: run .ci/peers, which installs PostgreSQL"))
}

/// PostgreSQL refuses to run as root.
fn unprivileged_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = unprivileged() {
        command.uid(user).gid(group);
    }
    command.current_dir("/");
    command
}

/// The user `postgres`, if we are root.
fn unprivileged() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    if Path::new("/proc/self").metadata().ok()?.uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("a list of users");
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("Debian's user of PostgreSQL");
    let mut fields = line.split(':').skip(2);
    let mut number = || fields.next().and_then(|field| field.parse().ok()).expect("a number");
    Some((number(), number()))
}

fn shout(body: &str) -> Shout {
    Shout { name: "robin".into(), body: body.into(), channel: "lobby".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_kept_in_postgresql() {
    let postgres = Postgres::create().await;
    let server = postgres.start().await;
    let now = Timestamp::now();
    let ago = |minutes| now - SignedDuration::from_mins(minutes);

    let history = History::open(&postgres.url()).await.expect("a database");
    history.keep_at(ago(61), shout("old"));
    history.keep_at(ago(59), shout("young"));
    // PostgreSQL has no NUL; a message with one takes none of the others with it.
    for body in ["gr\u{fc}n \u{1f340}", "'; DROP TABLE hub_messages; --", "nul\0"] {
        history.keep_at(now, shout(body));
    }
    history.keep_at(now, Shout { channel: "other".into(), ..shout("elsewhere") });
    let bodies = |shouts: Vec<Shout>| shouts.into_iter().map(|shout| shout.body).collect::<Vec<_>>();
    let kept = ["young", "gr\u{fc}n \u{1f340}", "'; DROP TABLE hub_messages; --", "nul\u{fffd}"];
    assert_eq!(bodies(history.recent("lobby").await), kept);
    history.sweep(now + SignedDuration::from_mins(2)).await;
    assert_eq!(bodies(history.recent("lobby").await), kept[1..]);
    assert_eq!(bodies(history.recent("other").await), ["elsewhere"]);
    history.sweep(now + SignedDuration::try_from(KEPT_FOR).expect("an hour")).await;
    assert_eq!(bodies(history.recent("lobby").await), [""; 0]);

    // A second hub finds the table there; what one keeps the other shows.
    let second = History::open(&postgres.url()).await.expect("a database");
    history.keep(shout("hello"));
    assert_eq!(bodies(history.recent("lobby").await), ["hello"]);
    assert_eq!(bodies(second.recent("lobby").await), ["hello"]);

    // A database that goes away loses what is said meanwhile, and is used again once it is back.
    server.stop("INT").await;
    history.keep(shout("lost"));
    assert_eq!(bodies(history.recent("lobby").await), [""; 0]);
    let _server = postgres.start().await;
    history.keep(shout("back"));
    assert_eq!(bodies(history.recent("lobby").await), ["hello", "back"]);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_an_error_that_names_it() {
    let error = History::open("postgres://hub:secret@localhost/none?host=/nowhere").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("postgres://\u{2026}@localhost/none") && !text.contains("secret"), "{text}");
}
