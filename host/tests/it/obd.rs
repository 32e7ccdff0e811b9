//! The car over Socket.IO, from a client's point of view.

use std::sync::Arc;
use std::time::Duration;

use cloverleaf::car::descriptions::Descriptions;
use cloverleaf::car::{self, Item, Reading, Supported};
use cloverleaf::config::Options;
use cloverleaf::services::obd::{
    self,
    state::{Body, Input, Output, State, View},
};
use cloverleaf::socketio;
use cloverleaf::transport::Adapter;
use cloverleaf::transport::simulator::{self, Simulator, Timing};
use cloverleaf_core::bus::{Address, Protocol};
use cloverleaf_core::elm327::session::Link;
use cloverleaf_core::obd2::Command;
use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::Server;

/// A car that has been driving for ten minutes and answers at once.
pub(crate) fn instant() -> simulator::Options {
    simulator::Options {
        timing: Timing::None,
        warm: Duration::from_secs(600),
        ..simulator::Options::default()
    }
}

/// A server with this car.
async fn serve(simulator: &Simulator) -> Server {
    let defaults = Options::default();
    let car = obd::CarOptions { adapter: Adapter::Simulated(simulator.clone()), ..defaults.obd.car.clone() };
    let obd = obd::Options { car, ..defaults.obd.clone() };
    Server::start(&Options { obd, ..defaults }).await
}

/// A plain Socket.IO client over WebSocket.
struct Client {
    socket: WebSocketStream<TcpStream>,
    namespace: &'static str,
}

impl Client {
    async fn connect(server: &Server, namespace: &'static str) -> Self {
        let stream = TcpStream::connect(server.address).await.expect("a connection");
        Self::over(stream, server, namespace).await
    }

    async fn over(stream: TcpStream, server: &Server, namespace: &'static str) -> Self {
        Self::presenting(stream, server, namespace, "", "").await
    }

    /// With this in the query string, and this auth payload.
    async fn presenting(
        stream: TcpStream,
        server: &Server,
        namespace: &'static str,
        query: &str,
        auth: &str,
    ) -> Self {
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket{query}", server.address);
        let (socket, _) = client_async(url, stream).await.expect("a WebSocket");
        let mut client = Self { socket, namespace };
        assert!(client.packet().await.starts_with("0{"));
        client.send(format!("40{namespace}{auth}")).await;
        assert!(client.packet().await.starts_with("40"));
        client
    }

    async fn send(&mut self, packet: String) {
        self.socket.send(Message::text(packet)).await.expect("an open socket");
    }

    /// The next packet but for pings, which are answered.
    async fn packet(&mut self) -> String {
        loop {
            let packet = timeout(Duration::from_secs(20), self.socket.next()).await.expect("a packet");
            let packet = packet.expect("an open socket").expect("well-formed").into_text().expect("text");
            if packet != "2" {
                return packet.to_string();
            }
            self.send("3".into()).await;
        }
    }

    /// Sends an event as raw JSON.
    async fn emit_raw(&mut self, event: &str) {
        self.send(format!("42{}{event}", self.namespace)).await;
    }

    async fn emit(&mut self, event: &str, argument: Value) {
        self.emit_raw(&json!([event, argument]).to_string()).await;
    }

    /// The next event, as raw JSON.
    async fn event(&mut self) -> String {
        let packet = self.packet().await;
        let event = packet.strip_prefix("42").unwrap_or_else(|| panic!("an event: {packet}"));
        event.strip_prefix(self.namespace).unwrap_or(event).to_owned()
    }

    /// The argument of the next event of this name; others are passed over.
    async fn next(&mut self, name: &str) -> Value {
        loop {
            let event: Value = serde_json::from_str(&self.event().await).expect("JSON");
            if event[0] == name {
                return event[1].clone();
            }
        }
    }

    async fn ask(&mut self, event: &str, argument: Value) -> Value {
        self.emit(event, argument).await;
        self.next(event).await
    }

    /// Waits until the server has found the car and knows what it supports.
    async fn connected(&mut self) {
        while self.ask("supports", json!("RPM")).await != json!(true) {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn first_light_changing_rpm_reaches_a_client() {
    let server = serve(&Simulator::new(instant())).await;
    let mut client = Client::connect(&server, "").await;
    client.connected().await;
    client.emit("watch", json!(["RPM"])).await;
    let mut values = Vec::new();
    while values.len() < 3 {
        let response = client.next("watching").await;
        assert_eq!(response["command"]["name"], "RPM");
        assert_eq!(response["unit"], "revolutions_per_minute");
        let rpm = response["value"].as_f64().expect("a number");
        assert!((600.0..5_000.0).contains(&rpm), "{rpm}");
        if !values.contains(&response["value"]) {
            values.push(response["value"].clone());
        }
    }
}

/// Digits of a time in milliseconds become `T`, so that packets can be compared whole.
fn timeless(event: &str) -> String {
    match event.split_once(r#""time":"#) {
        Some((before, after)) => {
            let rest = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
            format!(r#"{before}"time":T{rest}"#)
        }
        None => event.to_owned(),
    }
}

#[tokio::test]
async fn every_event_of_the_original_is_answered_in_its_shape() {
    let car = simulator::Options { pace: 0.0, ..instant() };
    for namespace in ["", "/obd,"] {
        let server = serve(&Simulator::new(car.clone())).await;
        let mut client = Client::connect(&server, namespace).await;
        client.connected().await;
        #[rustfmt::skip]
        let exchanges = [
            (r#"["status"]"#,                   r#"["status","Car Connected"]"#),
            (r#"["is_connected"]"#,             r#"["is_connected",true]"#),
            (r#"["port_name"]"#,                r#"["port_name","sim"]"#),
            (r#"["protocol_name"]"#,            r#"["protocol_name","ISO 15765-4 (CAN 11/500)"]"#),
            (r#"["protocol_id"]"#,              r#"["protocol_id","6"]"#),
            (r#"["supports","RPM"]"#,           r#"["supports",true]"#),
            (r#"["supports","EGR_ERROR"]"#,     r#"["supports",false]"#),
            (r#"["supports","BOGUS"]"#,         r#"["supports",false]"#),
            (r#"["supports","rpm"]"#,           r#"["supports",false]"#),
            (r#"["has_name","RPM"]"#,           r#"["has_name",true]"#),
            (r#"["has_name","modes"]"#,         r#"["has_name",false]"#),
            (r#"["query","BOGUS"]"#,            r#"["query",null]"#),
            (r#"["query","RPM"]"#,              r#"["query",{"value":1771.75,"command":{"name":"RPM","desc":"Engine RPM","fast":true,"command":"010C","bytes":"4","ecu":2},"time":T,"unit":"revolutions_per_minute"}]"#),
            (r#"["query","SPEED"]"#,            r#"["query",{"value":24.0,"command":{"name":"SPEED","desc":"Vehicle Speed","fast":true,"command":"010D","bytes":"3","ecu":2},"time":T,"unit":"kilometer_per_hour"}]"#),
            (r#"["query","COOLANT_TEMP"]"#,     r#"["query",{"value":86,"command":{"name":"COOLANT_TEMP","desc":"Engine Coolant Temperature","fast":true,"command":"0105","bytes":"3","ecu":2},"time":T,"unit":"degree_Celsius"}]"#),
            (r#"["query","VIN"]"#,              r#"["query",{"value":[49,67,76,86,82,76,69,65,51,84,77,48,48,48,48,52,50],"command":{"name":"VIN","desc":"Vehicle Identification Number","fast":true,"command":"0902","bytes":"22","ecu":2},"time":T,"unit":"<class 'bytearray'>"}]"#),
            (r#"["query","STATUS"]"#,           r#"["query",{"value":{"MIL":true,"DTC_COUNT":1,"ignition_type":"spark"},"command":{"name":"STATUS","desc":"Status since DTCs cleared","fast":true,"command":"0101","bytes":"6","ecu":2},"time":T,"unit":"<class 'obd.OBDResponse.Status'>"}]"#),
            (r#"["query","GET_DTC"]"#,          r#"["query",{"value":[["P0133","Powertrain, SAE: oxygen sensor, bank 1, sensor 1, slow"]],"command":{"name":"GET_DTC","desc":"Get DTCs","fast":false,"command":"03","bytes":"0","ecu":255},"time":T,"unit":"<class 'list'>"}]"#),
            (r#"["query","O2_SENSORS"]"#,       r#"["query",{"value":[[],[false,false,false,false],[false,false,true,true]],"command":{"name":"O2_SENSORS","desc":"O2 Sensors Present","fast":true,"command":"0113","bytes":"3","ecu":2},"time":T,"unit":"<class 'tuple'>"}]"#),
            (r#"["query","CVN"]"#,              r#"["query",{"value":"1791bc82","command":{"name":"CVN","desc":"Calibration Verification Numbers","fast":true,"command":"0906","bytes":"10","ecu":255},"time":T,"unit":"<class 'str'>"}]"#),
            (r#"["query","ELM_VERSION"]"#,      r#"["query",{"value":"ELM327 v1.5","command":{"name":"ELM_VERSION","desc":"ELM327 version string","fast":false,"command":"ATI","bytes":"0","ecu":1},"time":T,"unit":"<class 'str'>"}]"#),
            (r#"["query","MONITOR_CATALYST_B1"]"#, r#"["query",{"value":[{"tid":128,"name":"Unknown","desc":"Unknown","value":0.375,"min":0.0,"max":1.0,"unit":"ratio","passed":true}],"command":{"name":"MONITOR_CATALYST_B1","desc":"Catalyst Monitor Bank 1","fast":false,"command":"0621","bytes":"0","ecu":255},"time":T,"unit":"<class 'obd.OBDResponse.Monitor'>"}]"#),
        ];
        for (sent, expected) in exchanges {
            client.emit_raw(sent).await;
            assert_eq!(timeless(&client.event().await), expected, "after {sent}");
        }
        let commands = client.ask("supported_commands", Value::Null).await;
        let first = r#"{"bytes":"6","command":"0100","desc":"Supported PIDs [01-20]","ecu":2,"fast":true,"name":"PIDS_A"}"#;
        assert_eq!(commands[0], serde_json::from_str::<Value>(first).unwrap());
        assert!(commands.as_array().unwrap().len() > 100);
    }
}

#[tokio::test]
async fn arguments_of_every_wrong_type_are_answered() {
    let server = serve(&Simulator::new(instant())).await;
    let mut client = Client::connect(&server, "/obd,").await;
    client.connected().await;
    let wrong =
        ["null", "true", "7", "1e400", "[]", "[\"BOGUS\"]", "{}", r#"{"monitor_id":"x"}"#, r#""\u0000""#];
    for argument in wrong {
        for (event, answer) in [("supports", "false"), ("has_name", "false"), ("query", "null")] {
            client.emit_raw(&format!(r#"["{event}",{argument}]"#)).await;
            assert_eq!(client.event().await, format!(r#"["{event}",{answer}]"#), "{argument}");
        }
        for event in ["watch", "unwatch", "unwatch_all", "start", "stop", "no_such_event"] {
            client.emit_raw(&format!(r#"["{event}",{argument}]"#)).await;
        }
    }
    client.emit_raw(r#"["unwatch_all"]"#).await;
    assert_eq!(client.ask("status", Value::Null).await, "Car Connected");
}

#[tokio::test]
async fn what_does_not_only_read_is_neither_queried_nor_watched() {
    let server = serve(&Simulator::new(instant())).await;
    let mut client = Client::connect(&server, "").await;
    client.connected().await;
    assert_eq!(client.ask("query", json!("CLEAR_DTC")).await, Value::Null);
    client.emit("watch", json!(["CLEAR_DTC", "RPM"])).await;
    for _ in 0..3 {
        assert_eq!(client.next("watching").await["command"]["name"], "RPM");
    }
    assert_eq!(
        client.ask("query", json!("GET_DTC")).await["value"][0][0],
        "P0133",
        "the code is still stored"
    );
}

#[tokio::test]
async fn the_car_is_for_those_who_have_its_key() {
    let mut options = Options::default();
    options.obd.obd_key = Some("s3 cret".parse().expect("a key"));
    let server = Server::start(&options).await;
    #[rustfmt::skip]
    let table = [
        ("",      "",                 "",                     false),
        ("/obd,", "",                 "",                     false),
        ("/obd,", "",                 r#"{"token":"guess"}"#, false),
        ("/obd,", "&token=guess",     "",                     false),
        ("",      "",                 r#"{"token":"s3 cret"}"#, true),
        ("/obd,", "",                 r#"{"token":"s3 cret"}"#, true),
        ("/obd,", "&token=s3%20cret", "",                     true),
    ];
    for (namespace, query, auth, admitted) in table {
        let stream = TcpStream::connect(server.address).await.expect("a connection");
        let mut client = Client::presenting(stream, &server, namespace, query, auth).await;
        client.emit_raw(r#"["has_name","RPM"]"#).await;
        let answer = if admitted {
            r#"["has_name",true]"#
        } else {
            r#"["error",{"event":"has_name","message":"Invalid token"}]"#
        };
        assert_eq!(client.event().await, answer, "{namespace} {query} {auth}");
    }
}

#[tokio::test]
async fn large_payloads_are_refused_and_the_server_lives() {
    let server = serve(&Simulator::new(instant())).await;
    let mut client = Client::connect(&server, "").await;
    client.connected().await;
    let large = "x".repeat(900_000);
    assert_eq!(client.ask("supports", json!(large)).await, false);
    client.emit("watch", json!([large, "RPM"])).await;
    assert_eq!(client.next("watching").await["command"]["name"], "RPM");
    // Beyond the limit the connection ends, and only that one.
    client.emit("supports", json!("x".repeat(1_100_000))).await;
    let ended = timeout(Duration::from_secs(20), async {
        while let Some(Ok(packet)) = client.socket.next().await {
            if packet.is_close() {
                break;
            }
        }
    });
    ended.await.expect("the connection ends");
    let mut other = Client::connect(&server, "").await;
    assert_eq!(other.ask("status", Value::Null).await, "Car Connected");
}

#[tokio::test]
async fn each_client_watches_for_itself() {
    let server = serve(&Simulator::new(instant())).await;
    let mut one = Client::connect(&server, "").await;
    let mut two = Client::connect(&server, "/obd,").await;
    one.connected().await;
    // A bad name, a name that the car lacks and one that is no name do not stop the good ones.
    one.emit("watch", json!(["SPEED", "BOGUS", "EGR_ERROR", 7, "RPM"])).await;
    two.emit("watch", json!("COOLANT_TEMP")).await;
    for _ in 0..20 {
        let name = one.next("watching").await["command"]["name"].clone();
        assert!(name == "SPEED" || name == "RPM", "{name}");
        assert_eq!(two.next("watching").await["command"]["name"], "COOLANT_TEMP");
    }
    one.emit("unwatch", json!(["SPEED"])).await;
    one.emit("status", Value::Null).await;
    one.next("status").await;
    for _ in 0..20 {
        assert_eq!(one.next("watching").await["command"]["name"], "RPM");
    }
    // `stop` without an argument, as the original's README has it.
    one.emit_raw(r#"["stop"]"#).await;
    one.emit_raw(r#"["status"]"#).await;
    one.next("status").await;
    two.next("watching").await;
    two.next("watching").await;
    one.emit_raw(r#"["is_connected"]"#).await;
    let next = one.event().await;
    assert_eq!(next, r#"["is_connected",true]"#, "nothing is pushed to a client that has stopped");
    one.emit_raw(r#"["start"]"#).await;
    assert_eq!(one.next("watching").await["command"]["name"], "RPM");
}

/// The replies among what is to be done.
fn replies(outputs: Vec<Output<u64>>) -> Vec<(u64, &'static str, Body)> {
    let reply = |output| match output {
        Output::Reply(id, event, body) => (id, event, body),
        other => panic!("{other:?}"),
    };
    outputs.into_iter().map(reply).collect()
}

#[test]
fn what_is_asked_before_the_car_is_known_is_answered_when_it_is() {
    let find = |name: &str| Command::named(name).map(Item::standard);
    let mut car = car::State { link: Link::CarConnected, ..car::State::default() };
    let known = Some(Arc::new(Supported::default()));
    let mut state = State::new(Duration::ZERO, false);
    let mut handle = |car: &car::State, input: Input<'_, u64>| {
        let view = View { car, adapter: "sim", descriptions: Descriptions::composed(), find: &find };
        replies(state.handle(view, input))
    };
    let answer = |id, is| (id, "supports", Body::Flag(is));
    for id in [1, 2] {
        handle(&car, Input::Connected(id, true));
    }
    assert_eq!(handle(&car, Input::Event(1, "supports", &json!("GET_DTC"))), []);
    // What is no name is none of any car.
    assert_eq!(handle(&car, Input::Event(1, "supports", &json!("BOGUS"))), [answer(1, false)]);
    assert_eq!(handle(&car, Input::Event(2, "supports", &json!("RPM"))), []);
    handle(&car, Input::Disconnected(2));
    assert_eq!(handle(&car, Input::Tick), []);
    car.supported = known;
    assert_eq!(handle(&car, Input::Tick), [answer(1, true)]);
    assert_eq!(handle(&car, Input::Tick), []);

    // Nobody waits for longer than two seconds, and only so many wait.
    car.supported = None;
    for number in 0..70 {
        let now = handle(&car, Input::Event(1, "supports", &json!("GET_DTC")));
        assert_eq!(now.len(), usize::from(number >= 64));
    }
    for _ in 1..40 {
        assert_eq!(handle(&car, Input::Tick), []);
    }
    assert_eq!(handle(&car, Input::Tick).len(), 64);
}

#[test]
fn the_last_values_of_a_car_go_with_it() {
    let codes = Item::standard(Command::named("GET_DTC").unwrap());
    let find = |name: &str| Command::named(name).map(Item::standard);
    let mut state = State::new(Duration::ZERO, false);
    let known = || Some(Arc::new(Supported::default()));
    let mut car = car::State { link: Link::CarConnected, supported: known(), ..car::State::default() };
    let mut handle = |car: &car::State, input: Input<'_, u64>| {
        let view = View { car, adapter: "sim", descriptions: Descriptions::composed(), find: &find };
        state.handle(view, input)
    };
    handle(&car, Input::Connected(1, true));
    handle(&car, Input::Event(1, "watch", &json!("GET_DTC")));
    let messages = vec![(Address(0x7E8), [0x43, 0x00].into())];
    let reading = Reading { item: codes.clone(), time: Timestamp::now(), reply: Ok(messages.into()) };
    handle(&car, Input::Reading(&reading));
    let asked = json!("GET_DTC");
    let outputs = handle(&car, Input::Event(1, "query", &asked));
    assert!(matches!(&outputs[..], [Output::Reply(1, "query", Body::Response(Some(_)))]), "{outputs:?}");
    // It was away meanwhile, perhaps for less than a tick.
    car.supported = known();
    assert_eq!(handle(&car, Input::Event(1, "query", &asked)), [Output::Query(1, codes)]);
}

#[test]
fn a_rate_can_be_given_for_each_name() {
    let shortest = Duration::from_millis(10);
    let mut state = State::new(shortest, false);
    let supported = ["RPM", "SPEED", "ENGINE_LOAD"].map(|name| Command::named(name).unwrap());
    let car = car::State { link: Link::CarConnected, ..car::State::default() };
    let find = |name: &str| supported.into_iter().find(|command| command.name == name).map(Item::standard);
    let view = View { car: &car, adapter: "sim", descriptions: Descriptions::composed(), find: &find };
    let wanted = json!([{ "name": "RPM", "rate": 20 }, { "name": "SPEED", "rate": 2 }, { "name": "ENGINE_LOAD", "rate": 0 }]);
    state.handle(view, Input::Connected(1, true));
    let outputs = state.handle(view, Input::Event(1, "watch", &wanted));
    let [Output::Watch(items)] = &outputs[..] else { panic!("{outputs:?}") };
    let period = |name: &str| items.iter().find(|(item, _)| item.name() == name).unwrap().1;
    assert_eq!(period("RPM"), Duration::from_millis(50));
    assert_eq!(period("SPEED"), Duration::from_millis(500));
    // No rate at all is as often as possible.
    assert_eq!(period("ENGINE_LOAD"), shortest);

    // Another client has them read every ten milliseconds.
    let mut counts = std::collections::HashMap::new();
    for millis in (0..2_000).step_by(10) {
        for command in supported {
            let data = [&[0x41][..], &command.request()[1..], &[0x10, 0x20]].concat();
            let messages =
                vec![(Address(0x7E8), data[..2 + usize::from(command.data_length().unwrap())].into())];
            let time = Timestamp::from_millisecond(1_700_000_000_000 + millis).unwrap();
            let reading = Reading { item: Item::standard(command), time, reply: Ok(messages.into()) };
            for output in state.handle(view, Input::Reading(&reading)) {
                let Output::Push(1, response) = output else { panic!("{output:?}") };
                *counts.entry(response.command.name.clone()).or_insert(0) += 1;
            }
        }
    }
    // A tenth early is not too early.
    assert_eq!((counts["RPM"], counts["SPEED"], counts["ENGINE_LOAD"]), (40, 5, 200));
}

#[tokio::test]
async fn close_tells_everyone_and_start_connects_again() {
    let server = serve(&Simulator::new(instant())).await;
    let mut one = Client::connect(&server, "").await;
    let mut two = Client::connect(&server, "/obd,").await;
    one.connected().await;
    one.emit_raw(r#"["close"]"#).await;
    assert_eq!(one.event().await, r#"["obd_closed"]"#);
    assert_eq!(two.event().await, r#"["obd_closed"]"#);
    while two.ask("status", Value::Null).await != "Not Connected" {}
    for (event, answer) in [
        ("is_connected", json!(false)),
        ("port_name", json!("")),
        ("protocol_name", json!("")),
        ("protocol_id", json!("")),
        ("supported_commands", json!([])),
    ] {
        assert_eq!(two.ask(event, Value::Null).await, answer, "{event}");
    }
    assert_eq!(two.ask("query", json!("RPM")).await, Value::Null);
    two.emit_raw(r#"["start"]"#).await;
    two.connected().await;
}

#[tokio::test]
async fn an_acknowledgement_follows_the_answer() {
    let server = serve(&Simulator::new(instant())).await;
    let mut client = Client::connect(&server, "").await;
    client.send(r#"427["is_connected"]"#.into()).await;
    assert!(client.packet().await.starts_with(r#"42["is_connected","#));
    assert_eq!(client.packet().await, "437[]");
}

#[tokio::test]
async fn clients_of_the_older_protocol_are_served() {
    let server = serve(&Simulator::new(instant())).await;
    let url = format!("ws://{}/socket.io/?EIO=3&transport=websocket", server.address);
    let stream = TcpStream::connect(server.address).await.expect("a connection");
    let (socket, _) = client_async(url, stream).await.expect("a WebSocket");
    let mut client = Client { socket, namespace: "" };
    assert!(client.packet().await.starts_with("0{"));
    assert_eq!(client.packet().await, "40");
    client.connected().await;
    client.emit("watch", json!(["RPM"])).await;
    assert_eq!(client.next("watching").await["command"]["name"], "RPM");
}

#[tokio::test]
async fn a_client_that_does_not_read_gets_the_newest_values_later() {
    let server = serve(&Simulator::new(instant())).await;
    let narrow = TcpSocket::new_v4().expect("a socket");
    narrow.set_recv_buffer_size(4_096).expect("a small buffer");
    let stream = narrow.connect(server.address).await.expect("a connection");
    let mut slow = Client::over(stream, &server, "").await;
    let mut quick = Client::connect(&server, "").await;
    quick.connected().await;
    slow.emit("watch", json!(["RPM", "SPEED"])).await;
    quick.emit("watch", json!(["RPM"])).await;
    // More values than the slow client's queue and socket hold; the quick one is not held up.
    for _ in 0..socketio::MAX_QUEUE + 2_000 {
        quick.next("watching").await;
    }
    quick.emit_raw(r#"["unwatch_all"]"#).await;
    let last = quick.ask("query", json!("RPM")).await["time"].as_i64().unwrap();
    loop {
        let response = slow.next("watching").await;
        if response["time"].as_i64().unwrap() >= last {
            break;
        }
    }
}

#[tokio::test]
async fn a_lorry_that_was_connected_to_is_connected() {
    let (defaults, protocol) = (Options::default(), Some(Protocol::J1939));
    let adapter = Adapter::Simulated(Simulator::new(instant())).with_protocol(protocol);
    let car = obd::CarOptions { adapter, protocol, ..defaults.obd.car.clone() };
    let obd = obd::Options { car, obd_onboardpi: true, ..defaults.obd.clone() };
    let server = Server::start(&Options { obd, ..defaults }).await;
    let mut client = Client::connect(&server, "").await;
    assert_eq!(client.ask("connect_obd", Value::Null).await, true);
    assert_eq!(client.ask("is_connected", Value::Null).await, true);
    assert_eq!(client.ask("protocol_id", Value::Null).await, "A");
    assert_eq!(client.ask("query", json!("ELM_VOLTAGE")).await["command"]["name"], "ELM_VOLTAGE");
}

#[tokio::test]
async fn the_events_of_onboardpi_are_there_when_asked_for() {
    let simulator = Simulator::new(instant());
    let plain = serve(&simulator).await;
    let mut client = Client::connect(&plain, "").await;
    client.emit_raw(r#"["all_protocols"]"#).await;
    client.emit_raw(r#"["is_connected"]"#).await;
    assert!(client.event().await.starts_with(r#"["is_connected""#));

    let defaults = Options::default();
    let car = obd::CarOptions { adapter: Adapter::Simulated(simulator), ..defaults.obd.car.clone() };
    let obd = obd::Options { car, obd_onboardpi: true, ..defaults.obd.clone() };
    let server = Server::start(&Options { obd, ..defaults }).await;
    let mut client = Client::connect(&server, "").await;
    client.connected().await;
    assert_eq!(
        client.ask("all_protocols", Value::Null).await[5],
        json!({"id":"6","name":"ISO 15765-4 (CAN 11/500)"})
    );
    assert_eq!(client.ask("get_command", json!("RPM")).await["command"], "010C");
    assert_eq!(client.ask("get_command", json!("BOGUS")).await, Value::Null);
    assert!(client.ask("available_ports", Value::Null).await.is_array());
    let services = client.ask("all_commands", Value::Null).await;
    assert_eq!(services[0][0]["name"], "PIDS_A");
    assert_eq!(services[1][0x0C]["name"], "RPM");
    assert_eq!((&services[6][0x11], &services[9][2]["name"]), (&Value::Null, &json!("VIN")));
    let codes = client.ask("all_dtcs", Value::Null).await;
    assert_eq!(codes["P0301"], "Powertrain, SAE: misfire, cylinder 1");
    assert_eq!(client.ask("injector_state", json!("oap")).await, json!({}));
    assert_eq!(client.ask("connect_obd", Value::Null).await, true);
    assert_eq!(client.ask("connect_obd", json!("/dev/ttyUSB7")).await, false);
    assert_eq!(client.ask("clear_dtc", Value::Null).await, true);
    assert_eq!(client.ask("query", json!("GET_DTC")).await["value"], json!([]));
    client.emit_raw(r#"7["clear_dtc"]"#).await;
    assert_eq!(client.next("clear_dtc").await, true);
    assert_eq!(client.packet().await, "437[true]", "acknowledged once it is done");
    client.emit_raw(r#"["kill"]"#).await;
    assert_eq!(client.ask("is_connected", Value::Null).await, true, "a client does not end the program");
}

#[tokio::test]
async fn onboardpi_starts_and_stops_a_simulated_car_for_others() {
    let simulator = Simulator::new(instant());
    let defaults = Options::default();
    let car = obd::CarOptions { adapter: Adapter::Simulated(simulator), ..defaults.obd.car.clone() };
    let obd = obd::Options { car, obd_onboardpi: true, ..defaults.obd.clone() };
    let server = Server::start(&Options { obd, ..defaults }).await;
    let mut client = Client::connect(&server, "/obd,").await;
    client.emit_raw(r#"["start_emulator"]"#).await;
    let port = client.next("emulator_port").await;
    let address =
        port.as_str().and_then(|port| port.strip_prefix("socket://")).expect("an address").to_owned();
    assert!(TcpStream::connect(&address).await.is_ok());
    client.emit_raw(r#"["start_emulator"]"#).await;
    assert_eq!(client.next("emulator_port").await, port, "one is enough");
    client.emit_raw(r#"["stop_emulator"]"#).await;
    assert_eq!(client.event().await, r#"["stop_emulator"]"#);
}
