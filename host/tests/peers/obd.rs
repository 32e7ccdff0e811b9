//! Cloverleaf on an adapter of others, beside python-OBD on the same one; and the usual Socket.IO clients on
//! Cloverleaf.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cloverleaf::app::App;
use cloverleaf::car::{self, Car, Item};
use cloverleaf::config::Options;
use cloverleaf::services::obd::events::Response;
use cloverleaf::timeline::Bus;
use cloverleaf_core::obd2::Command;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command as Program};

use crate::support::{Peer, node, python, script};

const EMULATOR: &str = "elm327-emulator-4.0.0";
const SOCKETIO: &str = "socketio-5.18.1";

/// What the emulated car answers, so that two readers of it can be compared: name, frame, python-OBD's value.
#[rustfmt::skip]
const ANSWERS: &[(&str, &str, &str)] = &[
    ("RPM",             "<header>7E8</header><size>04</size><data>41 0C 17 70</data>",       r#"[1500.0,"revolutions_per_minute"]"#),
    ("SPEED",           "<header>7E8</header><size>03</size><data>41 0D 3C</data>",          r#"[60.0,"kilometer_per_hour"]"#),
    ("COOLANT_TEMP",    "<header>7E8</header><size>03</size><data>41 05 7B</data>",          r#"[83,"degree_Celsius"]"#),
    ("THROTTLE_POS",    "<header>7E8</header><size>03</size><data>41 11 33</data>",          r#"[20.0,"percent"]"#),
    ("INTAKE_PRESSURE", "<header>7E8</header><size>03</size><data>41 0B 21</data>",          r#"[33,"kilopascal"]"#),
    ("MAF",             "<header>7E8</header><size>04</size><data>41 10 01 90</data>",       r#"[4.0,"gps"]"#),
    ("RUN_TIME",        "<header>7E8</header><size>04</size><data>41 1F 0E 10</data>",       r#"[3600.0,"second"]"#),
];

/// A running ELM327-emulator; killed when dropped.
struct Emulator {
    _process: Child,
    _folder: Folder,
    port: String,
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Best effort: it lies below the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Emulator {
    /// Starts the scenario `car`, on a TCP port or on a pseudo-terminal, with [`ANSWERS`].
    async fn start(tcp: bool) -> Self {
        let unique = format!("cloverleaf-emulator-{}-{tcp}-{:?}", std::process::id(), Instant::now());
        let folder = std::env::temp_dir().join(unique.replace([' ', '{', '}', ':'], ""));
        std::fs::create_dir_all(&folder).unwrap();
        let log = folder.join("out.txt");
        let mut commands = std::fs::File::create(folder.join("commands.txt")).unwrap();
        for (name, answer, _) in ANSWERS {
            writeln!(commands, "emulator.answer['{name}']='{answer}'").unwrap();
        }
        let mut program: Program = python(EMULATOR, "elm");
        program.args(["-s", "car", "-b"]).arg(&log).current_dir(&folder).kill_on_drop(true);
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        if tcp {
            program.args(["-n", &free.to_string()]);
        }
        let input = std::fs::File::open(folder.join("commands.txt")).unwrap();
        let process = program.stdin(input).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        let text = loop {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if text.contains("End of batch commands.") {
                break text;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "the emulator does not start: {text}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let port = if tcp {
            while TcpStream::connect(("127.0.0.1", free)).await.is_err() {
                assert!(begun.elapsed() < Duration::from_secs(60), "the emulator does not listen");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            format!("socket://127.0.0.1:{free}")
        } else {
            text.lines().next().unwrap_or_default().trim().to_owned()
        };
        Self { _process: process, _folder: Folder(folder), port }
    }
}

async fn python_obd(port: &str) -> Value {
    let mut program = python("obd-0.7.3", "python");
    program.arg(script("obd/drive.py")).arg(port);
    program.args(ANSWERS.iter().map(|(name, ..)| name));
    let lines = Peer::start(program).finish().await;
    serde_json::from_str(lines.last().expect("a line")).expect("JSON")
}

async fn ours(port: &str) -> (Value, Duration) {
    let adapter = port.parse().unwrap();
    let begun = Instant::now();
    let car = Car::connect(car::Options { adapter, ..car::Options::default() }, Bus::new());
    car.wait_connected(Duration::from_secs(30)).await.expect("a car");
    let connected = begun.elapsed();
    let mut values = serde_json::Map::new();
    for (name, ..) in ANSWERS {
        let item = Item::standard(Command::named(name).unwrap());
        let reading = car.query(&item).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let response = serde_json::to_value(Response::of(&reading)).unwrap();
        values.insert((*name).into(), json!([response["value"], response["unit"]]));
    }
    let state = car.state();
    let supported: BTreeSet<_> = state.supported.unwrap().commands().map(|command| command.name).collect();
    let report = json!({
        "status": state.link.as_str(),
        "protocol": state.protocol.map(|protocol| protocol.id().to_string()),
        "supported": supported,
        "values": values,
    });
    (report, connected)
}

/// Both read one emulator each; the answers are fixed.
async fn agrees_with_python_obd(tcp: bool) {
    let (one, two) = (Emulator::start(tcp).await, Emulator::start(tcp).await);
    let theirs = python_obd(&one.port).await;
    let (ours, connected) = ours(&two.port).await;
    for key in ["status", "protocol", "values"] {
        assert_eq!(ours[key], theirs[key], "{key}");
    }
    for (name, _, value) in ANSWERS {
        assert_eq!(theirs["values"][name], serde_json::from_str::<Value>(value).unwrap(), "{name}");
    }
    let names = |report: &Value| -> BTreeSet<String> {
        serde_json::from_value(report["supported"].clone()).expect("a list of names")
    };
    let missing: Vec<_> = names(&theirs).difference(&names(&ours)).cloned().collect();
    assert!(missing.is_empty(), "python-OBD supports more: {missing:?}");
    // The emulator itself takes 0.5 s for ATZ, 1.5 s for the first request and 0.5 s for ATDPN.
    assert!(connected < Duration::from_millis(2_500 + 1_000), "connecting took {connected:?}");
    println!("connect: {connected:?}, python-OBD {} s", theirs["connect_seconds"]);
}

#[tokio::test]
async fn elm327_emulator_over_tcp_reads_as_with_python_obd() {
    agrees_with_python_obd(true).await;
}

#[tokio::test]
async fn elm327_emulator_on_a_pty_reads_as_with_python_obd() {
    agrees_with_python_obd(false).await;
}

/// A server with the simulated car, on a free port; it ends with the test.
async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = App::new(&Options::default()).await.unwrap();
    tokio::spawn(app.serve(listener, std::future::pending()));
    url
}

async fn reads_changing_rpm(program: Program) {
    let lines = Peer::start(program).finish().await;
    assert_eq!(lines[0], "vin 1CLVRLEA3TM000042");
    assert_eq!(lines[1].split(' ').count(), 6, "{lines:?}");
}

#[tokio::test]
async fn python_socketio_reads_changing_rpm() {
    let url = serve().await;
    for (namespace, transport) in [("/", "websocket"), ("/", "polling"), ("/obd", "websocket")] {
        let mut program = python(SOCKETIO, "python");
        program.arg(script("obd/client.py")).args([&url, namespace, transport]);
        reads_changing_rpm(program).await;
    }
}

#[tokio::test]
async fn socket_io_client_reads_changing_rpm() {
    let url = serve().await;
    for (namespace, transports) in [("/", "websocket"), ("/", "polling"), ("/obd", "polling,websocket")] {
        let mut program = node(&script("obd/client.mjs"));
        program.args([&url, namespace, transports]);
        reads_changing_rpm(program).await;
    }
}
