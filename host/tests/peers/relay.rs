//! The relay with the clients that its users have.

use cloverleaf::app::App;
use cloverleaf::config::Options;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Peer, node, python, script};

/// A server on a free port, for as long as the test's runtime.
async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound address"));
    let app = App::new(&Options::default()).await.expect("the options are good");
    tokio::spawn(app.serve(listener, std::future::pending()));
    url
}

/// What both scripts print, in this order. `disconnect` is how the client names a namespace closed by the server.
fn expected(burst: usize, disconnect: Option<&str>) -> Vec<Value> {
    let reason = |reason: &str| json!({"reason": reason});
    let heard = |who: &str, event: &str, text: &str| json!([who, event, reason(text)]);
    let task = |text: &str| json!(["monitor", "command do", {"command": text}]);
    let gone = |who: &str| match disconnect {
        Some(reason) => json!([who, "disconnect", reason]),
        None => json!([who, "disconnect"]),
    };
    let mut lines = vec![heard("monitor", "con ok", "Connection ok"), heard("user", "query ok", "Query ok")];
    for (text, report) in [("lights on", None), ("ünï \u{2028} \"\\ 🚗", None), ("door open", Some("jam"))]
    {
        lines.extend([task(text), heard("user", "command ok", "Command ok")]);
        lines.push(match report {
            None => heard("user", "command finish", "Command finish"),
            Some(reason) => heard("user", "command failed", reason),
        });
    }
    lines.extend([task("ack"), heard("user", "command ok", "Command ok"), json!(["user", "ack", []])]);
    lines.push(heard("user", "command finish", "Command finish"));
    lines.extend([heard("second", "con failed", "monitor_id already registered"), gone("second")]);
    for _ in 0..6 {
        lines.extend([heard("stranger", "query failed", "Invalid monitor_id"), gone("stranger")]);
    }
    lines.push(json!(["burst", [burst, burst, burst], 0]));
    lines.push(json!([
        "user",
        "command failed",
        ["Monitor disconnected", "Monitor disconnected", "Monitor disconnected"]
    ]));
    lines
}

/// Where the relay answers.
const NAMESPACES: [&str; 2] = ["/", "/relay"];

/// The transports a client can be told to use, and how many commands to send at once over them.
const TRANSPORTS: [(&str, usize); 3] =
    [(r#"["polling","websocket"]"#, 1000), (r#"["polling"]"#, 200), (r#"["websocket"]"#, 10_000)];

async fn check(peer: Peer, want: Vec<Value>, what: &str) {
    let printed = peer.finish().await;
    // A promise may be told of two sockets' events in either order: `command do` and `command ok` of one command.
    let mut heard: Vec<Value> =
        printed.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for at in 1..heard.len() {
        if heard[at][1] == "command do" && heard[at - 1][1] == "command ok" {
            heard.swap(at - 1, at);
        }
    }
    assert_eq!(heard.len(), want.len(), "{what}: {heard:#?}");
    for (heard, want) in heard.iter().zip(&want) {
        assert_eq!(heard, want, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_clients_of_both_protocols_are_users_and_monitors() {
    for module in ["socket.io-client-4.0", "socket.io-client-2"] {
        for namespace in NAMESPACES {
            for (transports, burst) in TRANSPORTS {
                let url = serve().await;
                let mut command = node(&script("relay/session.mjs"));
                command.args([module, &url, namespace, transports, &burst.to_string()]);
                let want = expected(burst, Some("io server disconnect"));
                check(Peer::start(command), want, &format!("{module} {namespace} {transports}")).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_socketio_clients_are_users_and_monitors() {
    for namespace in NAMESPACES {
        for (transports, burst) in TRANSPORTS {
            // By polling this client takes at most 16 packets at once and gives up the connection for one more.
            let burst = if transports == TRANSPORTS[1].0 { 5 } else { burst };
            let url = serve().await;
            let mut command = python("socketio-5.18.1", "python");
            command.arg(script("relay/session.py")).args([&url, namespace, transports, &burst.to_string()]);
            check(Peer::start(command), expected(burst, None), &format!("python {namespace} {transports}"))
                .await;
        }
    }
}
