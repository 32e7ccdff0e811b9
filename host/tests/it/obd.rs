//! The car over Socket.IO, from a client's point of view.

use std::time::Duration;

use cloverleaf::config::Options;
use cloverleaf::services::obd;
use cloverleaf::transport::Adapter;
use cloverleaf::transport::simulator::{self, Simulator, Timing};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

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
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    namespace: &'static str,
}

impl Client {
    async fn connect(server: &Server, namespace: &'static str) -> Self {
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", server.address);
        let (socket, _) = connect_async(url).await.expect("a WebSocket");
        let mut client = Self { socket, namespace };
        assert!(client.packet().await.starts_with("0{"));
        client.send(format!("40{namespace}")).await;
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
