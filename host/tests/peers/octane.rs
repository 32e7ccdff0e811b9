//! The road with the clients that its users have, from 2019 to today.

use cloverleaf::app::App;
use cloverleaf::config::Options;
use tokio::net::TcpListener;

use crate::support::{Peer, node, python, script};

/// A server on a free port, for as long as the test's runtime.
async fn serve() -> String {
    let mut options = Options::default();
    options.octane.keys = vec!["goodkey".parse().expect("a key")];
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound address"));
    let app = App::new(&options).await.expect("the options are good");
    tokio::spawn(app.serve(listener, std::future::pending()));
    url
}

/// What the notebook printed.
const NOTEBOOK: [&str; 7] = [
    "Channel information {'channels': [{'name': 'facility', 'subscribed': True}, {'name': 'user', 'subscribed': True}, {'name': 'v2x', 'subscribed': False}, {'name': 'crosswalk', 'subscribed': False}, {'name': 'gate', 'subscribed': False}, {'name': 'railcrossing', 'subscribed': False}, {'name': 'signal', 'subscribed': False}, {'name': 'intersection', 'subscribed': False}]}",
    "Joining: {'join': 'crosswalk'}",
    "Channel information {'channels': [{'name': 'facility', 'subscribed': True}, {'name': 'user', 'subscribed': True}, {'name': 'v2x', 'subscribed': False}, {'name': 'crosswalk', 'subscribed': True}, {'name': 'gate', 'subscribed': False}, {'name': 'railcrossing', 'subscribed': False}, {'name': 'signal', 'subscribed': False}, {'name': 'intersection', 'subscribed': False}]}",
    "Leaving: {'leave': 'crosswalk'}",
    "Channel information {'channels': [{'name': 'facility', 'subscribed': True}, {'name': 'user', 'subscribed': True}, {'name': 'v2x', 'subscribed': False}, {'name': 'crosswalk', 'subscribed': False}, {'name': 'gate', 'subscribed': False}, {'name': 'railcrossing', 'subscribed': False}, {'name': 'signal', 'subscribed': False}, {'name': 'intersection', 'subscribed': False}]}",
    "User Message: {'message': 'Testing messaging'}",
    "Disconnected from server",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_notebook_prints_what_it_printed() {
    let url = serve().await;
    for environment in ["socketio-4.0.0", "socketio-5.8.0", "socketio-5.18.1"] {
        for transports in ["default", "polling", "websocket"] {
            let mut command = python(environment, "python");
            command.arg(script("octane/notebook.py")).args([&url, "goodkey", transports]);
            let mut printed = Peer::start(command).finish().await;
            assert_eq!(printed.pop().as_deref(), Some("end False"), "{environment} {transports} came back");
            assert_eq!(printed, NOTEBOOK, "{environment} {transports}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scripts_of_users_get_what_they_wait_for() {
    let url = serve().await;
    #[rustfmt::skip]
    let scripts: [(&str, &[&str]); 5] = [
        ("trigger", &["heard {'type': 'TRIGGER', 'payload': {'id': 1, 'triggerType': 'software', 'state': {'activated': True}}}"]),
        ("robot",   &["robot {'id': 1, 'type': 'estop'}", "commander {'id': 1, 'type': 'goal_result', 'data': '{}'}"]),
        ("v2x",     &["listings 1"]),
        ("beacon",  &["beacon 42.3 True"]),
        ("bad_key", &["refused 100"]),
    ];
    for (what, expected) in scripts {
        let mut command = python("socketio-5.8.0", "python");
        command.arg(script("octane/scripts.py")).args([&url, "goodkey", what]);
        let printed = Peer::start(command).finish().await;
        let printed: Vec<_> = printed.iter().filter(|line| !line.starts_with("auth_fail")).collect();
        assert_eq!(printed, expected.iter().collect::<Vec<_>>(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_clients_of_all_ages_log_in_their_way() {
    let url = serve().await;
    for module in ["socket.io-client-2", "socket.io-client-4.0", "socket.io-client"] {
        for how in ["event", "query", "namespace"] {
            for transports in ["default", "polling", "websocket"] {
                let mut command = node(&script("octane/session.mjs"));
                command.args([module, &url, "goodkey", how, transports]);
                let printed = Peer::start(command).finish().await;
                let expected = [
                    "connect",
                    r#"auth_ok [{"message":"OK"}]"#,
                    r#"join [{"join":"user"}]"#,
                    r#"join [{"join":"facility"}]"#,
                    "channels 8",
                    r#"join [{"join":"crosswalk"}]"#,
                    r#"leave [{"leave":"crosswalk"}]"#,
                    r#"user_message [{"message":"hi from js"}]"#,
                    "disconnect io server disconnect",
                ];
                assert_eq!(printed, expected, "{module} {how} {transports}");
            }
        }
    }
}
