//! What the tests over real sockets stand on: clients by hand, and a relay that can be asked for its counts.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use cloverleaf::auth::Exposure;
use cloverleaf::config::Options as ServerOptions;
use cloverleaf::services::Context;
use cloverleaf::services::relay::state::Counts;
use cloverleaf::services::relay::{self, Relay};
use cloverleaf::socketio;
use cloverleaf::socketio_client::{self, Client, Event, Events, Options};
use cloverleaf::timeline::Bus;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use socketioxide::SocketIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::Server;

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A raw Engine.IO 4 connection over a WebSocket.
pub(super) struct Raw {
    pub(super) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Raw {
    /// Connect and join `/` (`join` is `40`) or another namespace.
    pub(super) async fn join(address: SocketAddr, join: &str) -> Self {
        let mut raw = Self::open(address, "EIO=4&transport=websocket").await;
        raw.say(join).await;
        assert!(raw.hear().await.starts_with("40"), "joined");
        raw
    }

    pub(super) async fn open(address: SocketAddr, query: &str) -> Self {
        let (socket, _) = connect_async(format!("ws://{address}/socket.io/?{query}")).await.unwrap();
        let mut raw = Self { socket };
        assert!(raw.hear().await.starts_with("0{"), "opened");
        raw
    }

    pub(super) async fn say(&mut self, text: &str) {
        self.socket.send(Frame::text(text)).await.unwrap();
    }

    /// The next packet but for heartbeats.
    pub(super) async fn hear(&mut self) -> String {
        self.next().await.expect("not the end")
    }

    /// The next packet, or `None` at the end of the connection.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("a packet in time");
            match frame {
                Some(Ok(Frame::Text(text))) if text == "2" => self.say("3").await,
                Some(Ok(Frame::Text(text))) => return Some(text.to_string()),
                Some(Ok(Frame::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    pub(super) async fn expect(&mut self, packets: &[&str]) {
        for packet in packets {
            assert_eq!(self.hear().await, *packet);
        }
    }

    /// Close without any goodbye: the peer sees a reset.
    pub(super) fn reset(self) {
        if let MaybeTlsStream::Plain(stream) = self.socket.get_ref() {
            stream.set_zero_linger().unwrap();
        }
    }
}

/// A client of the relay that only polls.
pub(super) struct Polling {
    http: reqwest::Client,
    url: String,
    heard: std::collections::VecDeque<String>,
}

impl Polling {
    pub(super) async fn open(address: SocketAddr) -> Self {
        let url = format!("http://{address}/socket.io/?EIO=4&transport=polling");
        let http = reqwest::Client::new();
        let open = http.get(&url).send().await.unwrap().text().await.unwrap();
        let open: Value = serde_json::from_str(&open[1..]).unwrap();
        let url = format!("{url}&sid={}", open["sid"].as_str().unwrap());
        let mut polling = Self { http, url, heard: Default::default() };
        polling.post("40/relay,").await;
        while !polling.hear().await.starts_with("40/relay,") {}
        polling
    }

    pub(super) async fn post(&self, packet: &str) {
        let posted = self.http.post(&self.url).body(packet.to_owned()).send();
        posted.await.unwrap().error_for_status().unwrap();
    }

    pub(super) async fn hear(&mut self) -> String {
        loop {
            if let Some(packet) = self.heard.pop_front() {
                return packet;
            }
            let body = self.http.get(&self.url).send().await.unwrap().text().await.unwrap();
            self.heard = body.split('\u{1e}').map(str::to_owned).collect();
        }
    }

    /// Polls until this packet comes.
    pub(super) async fn expect(&mut self, packet: &str) {
        tokio::time::timeout(PATIENCE, async { while self.hear().await != packet {} })
            .await
            .expect("in time");
    }
}

pub(super) const A: &str = "0123456789abcdef0123456789abcdef";

pub(super) fn id_of(number: usize) -> String {
    format!("{number:032x}")
}

pub(super) async fn server() -> Server {
    Server::start(&ServerOptions::default()).await
}

/// The relay alone in a router; the timeline and the server that it uses.
pub(super) fn alone(
    change: impl FnOnce(&mut relay::Options),
    exposure: Exposure,
) -> (Relay, Router, Bus, SocketIo) {
    let mut options = ServerOptions::default().relay;
    change(&mut options);
    let timeline = Bus::new();
    let service = Relay::new(&options, &Context { timeline: timeline.clone(), exposure });
    let (layer, io) = socketio::server();
    service.mount(&io);
    (service, socketio::attach(Router::new(), layer), timeline, io)
}

/// The relay alone on a port, so that its counts can be asked.
pub(super) struct Alone {
    pub(super) service: Relay,
    pub(super) timeline: Bus,
    pub(super) address: SocketAddr,
    pub(super) io: SocketIo,
    task: JoinHandle<()>,
}

impl Alone {
    pub(super) async fn start(change: impl FnOnce(&mut relay::Options), exposure: Exposure) -> Self {
        Self::listen(change, exposure, "127.0.0.1:0".parse().unwrap()).await
    }

    pub(super) async fn listen(
        change: impl FnOnce(&mut relay::Options),
        exposure: Exposure,
        address: SocketAddr,
    ) -> Self {
        let (service, app, timeline, io) = alone(change, exposure);
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { service, timeline, address, io, task }
    }

    /// The same again at the same address, after every connection was lost.
    pub(super) async fn restart(self) -> Self {
        let address = self.address;
        self.io.close().await;
        drop(self);
        // The old listener is gone once its task has been told to end.
        tokio::task::yield_now().await;
        Self::listen(|_| (), Exposure::Loopback, address).await
    }

    pub(super) fn client(&self) -> Options {
        Options::new(&format!("http://{}/relay", self.address)).unwrap()
    }

    /// Wait until the counts are as given; time-outs of connections are not needed for that.
    pub(super) async fn becomes(&self, counts: Counts) {
        tokio::time::timeout(PATIENCE, async {
            while self.service.counts() != counts {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{:?} does not become {counts:?}", self.service.counts()));
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) async fn message(events: &mut Events) -> (String, Value) {
    let event = tokio::time::timeout(PATIENCE, events.next()).await.expect("an event in time");
    match event.expect("not the end") {
        Event::Message(message) => (message.event.clone(), message.data().clone()),
        other => panic!("expected a message, got {other:?}"),
    }
}

/// A client that has introduced itself with `query` or `con` and been accepted.
pub(super) async fn introduced(options: Options, event: &str, id: &str) -> (Client, Events) {
    let (client, mut events) = socketio_client::connect(options).await.unwrap();
    client.emit(event, &[json!({"monitor_id": id})]).await.unwrap();
    let (answer, _) = message(&mut events).await;
    assert_eq!(answer, format!("{event} ok"));
    (client, events)
}
