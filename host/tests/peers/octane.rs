//! The road with the clients that its users have, from 2019 to today.

use cloverleaf::app::App;
use cloverleaf::config::Options;
use cloverleaf::services::octane::view::PhasesAs;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::{Peer, node, python, script};

/// A server on a free port, for as long as the test's runtime.
async fn serve(phases: PhasesAs) -> String {
    let mut options = Options::default();
    options.octane.keys = vec!["goodkey".parse().expect("a key")];
    options.octane.phases = phases;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound address"));
    let app = App::new(&options).await.expect("the options are good");
    tokio::spawn(app.serve(listener, std::future::pending()));
    url
}

/// Clients in Python, from 2019 to today.
const PYTHONS: [&str; 3] = ["socketio-4.0.0", "socketio-5.8.0", "socketio-5.18.1"];
/// Clients in JavaScript, from 2019 to today.
const MODULES: [&str; 3] = ["socket.io-client-2", "socket.io-client-4.0", "socket.io-client"];
/// The transports that a client can be told to use; by default it polls and then moves to a WebSocket.
const TRANSPORTS: [&str; 3] = ["default", "polling", "websocket"];

/// What the notebook printed, cell by cell.
const NOTEBOOK: [&str; 21] = [
    "In [2]",
    "In [3]",
    "In [4]",
    "In [5]",
    "In [6]",
    "Channel information {'channels': [{'name': 'facility', 'subscribed': True}, {'name': 'user', 'subscribed': True}, {'name': 'v2x', 'subscribed': False}, {'name': 'crosswalk', 'subscribed': False}, {'name': 'gate', 'subscribed': False}, {'name': 'railcrossing', 'subscribed': False}, {'name': 'signal', 'subscribed': False}, {'name': 'intersection', 'subscribed': False}]}",
    "In [7]",
    "Joining: {'join': 'crosswalk'}",
    "In [8]",
    "Channel information {'channels': [{'name': 'facility', 'subscribed': True}, {'name': 'user', 'subscribed': True}, {'name': 'v2x', 'subscribed': False}, {'name': 'crosswalk', 'subscribed': True}, {'name': 'gate', 'subscribed': False}, {'name': 'railcrossing', 'subscribed': False}, {'name': 'signal', 'subscribed': False}, {'name': 'intersection', 'subscribed': False}]}",
    "In [9]",
    "Leaving: {'leave': 'crosswalk'}",
    "In [10]",
    "Channel information {'channels': [{'name': 'facility', 'subscribed': True}, {'name': 'user', 'subscribed': True}, {'name': 'v2x', 'subscribed': False}, {'name': 'crosswalk', 'subscribed': False}, {'name': 'gate', 'subscribed': False}, {'name': 'railcrossing', 'subscribed': False}, {'name': 'signal', 'subscribed': False}, {'name': 'intersection', 'subscribed': False}]}",
    "In [11]",
    "In [12]",
    "User Message: {'message': 'Testing messaging'}",
    "In [13]",
    "In [14]",
    "Disconnected from server",
    "end False",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_notebook_prints_what_it_printed() {
    let url = serve(PhasesAs::Array).await;
    for environment in PYTHONS {
        for transports in TRANSPORTS {
            let mut command = python(environment, "python");
            command.arg(script("octane/notebook.py")).args([&url, "goodkey", transports]);
            assert_eq!(Peer::start(command).finish().await, NOTEBOOK, "{environment} {transports}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scripts_of_users_get_what_they_wait_for() {
    let (array, map) = (serve(PhasesAs::Array).await, serve(PhasesAs::Map).await);
    #[rustfmt::skip]
    let scripts: [(&str, &str, &[&str]); 9] = [
        ("trigger",                    &array, &["heard {'type': 'TRIGGER', 'payload': {'id': 1, 'triggerType': 'software', 'state': {'activated': True}}}"]),
        ("robot",                      &array, &["robot {'id': 1, 'type': 'estop'}", "commander {'id': 1, 'type': 'goal_result', 'data': '{}'}"]),
        ("robot_returns",              &array, &["answer {'percent': 87}", "answer False"]),
        ("query",                      &array, &["auth_ok {'message': 'OK'}", "channels {'channels': [{'name'", "join {'join': 'facility'}", "join {'join': 'user'}"]),
        ("v2x",                        &array, &["listings 1"]),
        ("listen_intersections",       &array, &["intersection 1 T"]),
        ("listen_intersection_poller", &map,   &["intersection 1 T"]),
        ("beacon",                     &array, &["beacon 42.3 True"]),
        ("bad_key",                    &array, &["refused 12"]),
    ];
    for (what, url, expected) in scripts {
        for environment in PYTHONS {
            for transports in TRANSPORTS {
                let mut command = python(environment, "python");
                command.arg(script("octane/scripts.py")).args([url, "goodkey", what, transports]);
                assert_eq!(
                    Peer::start(command).finish().await,
                    expected,
                    "{what} {environment} {transports}"
                );
            }
        }
    }
}

/// What somebody with a good key hears, and somebody with a bad one.
const SESSIONS: [(&str, &[&str]); 2] = [
    (
        "goodkey",
        &[
            "connect",
            r#"auth_ok [{"message":"OK"}]"#,
            r#"join [{"join":"user"}]"#,
            r#"join [{"join":"facility"}]"#,
            "channels 8",
            r#"join [{"join":"crosswalk"}]"#,
            r#"leave [{"leave":"crosswalk"}]"#,
            r#"user_message [{"message":"hi from js"}]"#,
            "disconnect io server disconnect",
        ],
    ),
    (
        "badkey",
        &[
            "connect",
            r#"auth_fail [{"message":"API key is missing or invalid"}]"#,
            "disconnect io server disconnect",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn javascript_clients_of_all_ages_log_in_their_way_or_are_told_why_not() {
    let url = serve(PhasesAs::Array).await;
    for module in MODULES {
        for how in ["event", "query", "namespace"] {
            for transports in TRANSPORTS {
                for (key, expected) in SESSIONS {
                    let mut command = node(&script("octane/session.mjs"));
                    command.args([module, &url, key, how, transports]);
                    let printed = Peer::start(command).finish().await;
                    assert_eq!(printed, expected, "{module} {how} {transports} {key}");
                }
            }
        }
    }
}

/// The program of this package, as a person runs it against a server.
fn octane(url: &str, arguments: &[&str]) -> Peer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloverleaf"));
    let (verb, rest) = arguments.split_first().expect("a verb");
    command.args(["octane", verb, "--server", url, "--key", "goodkey", "--json"]).args(rest);
    Peer::start(command)
}

/// An OCTANE server of another make, and its URL.
async fn other_make(port: &str) -> (Peer, String) {
    let mut command = python("socketio-5.18.1", "python");
    command.arg(script("octane/server.py")).args(["goodkey", port]);
    let mut server = Peer::start_listening(command);
    let url = server.line().await;
    (server, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_speaks_with_a_server_of_another_make_and_comes_back_to_it() {
    let (mut server, url) = other_make("0").await;
    let joined = octane(&url, &["join", "gate"]).finish().await;
    assert!(joined[0].contains(r#""joined":["user","facility","gate"]"#), "{joined:?}");
    let mut listener = octane(&url, &["listen", "--count", "3", "ipc", "user"]);
    server.line_with(r#"join {"channel": "user"}"#).await;
    for text in ["before", "after"] {
        let said = octane(&url, &["user-message", text]).finish().await;
        assert_eq!(said, [r#"{"sent":"user_message"}"#]);
        assert_eq!(
            listener.line().await,
            format!(r#"{{"data":{{"message":"{text}"}},"event":"user_message"}}"#)
        );
        if text == "before" {
            server.stop("KILL").await;
            let port = url.rsplit(':').next().expect("a port");
            server = other_make(port).await.0;
            server.line_with("auth True").await;
            server.line_with(r#"join {"channel": "user"}"#).await;
        }
    }
    octane(&url, &["send", "ipc_message", r#"{"type":"POI"}"#]).finish().await;
    assert_eq!(listener.finish().await, [r#"{"data":{"type":"POI"},"event":"ipc_message"}"#]);
}
