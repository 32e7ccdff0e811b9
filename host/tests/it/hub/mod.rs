//! The hub: what its clients see.

mod admission;
mod limits;
mod longpoll;
mod proxy;
mod replay;
mod rooms;
mod strict;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::{Server, exchange};

/// How long the server may take to say something it has to say.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client sees: a message of the server (JSON, or hex of binary), or the end.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Json(Value),
    Binary(String),
    Closed(u16),
}

/// A client of the tests; a task reads for it.
struct Client {
    sink: futures_util::stream::SplitSink<WebSocketStream<TcpStream>, Message>,
    seen: mpsc::UnboundedReceiver<Seen>,
    task: tokio::task::JoinHandle<()>,
}

impl Client {
    async fn connect(server: &Server, path: &str) -> Self {
        Self::request(server, path, None, None)
            .await
            .unwrap_or_else(|(status, _)| panic!("{path}: {status}"))
            .0
    }

    /// Connects with an origin and subprotocols; answers the chosen subprotocol too. The error is status and body.
    async fn request(
        server: &Server,
        path: &str,
        origin: Option<&str>,
        offered: Option<&str>,
    ) -> Result<(Self, Option<String>), (u16, String)> {
        // By hand: tungstenite insists on being answered a subprotocol, Phoenix does not always.
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", server.address);
        for (name, value) in [("Origin", origin), ("Sec-WebSocket-Protocol", offered)] {
            if let Some(value) = value {
                request += &format!("{name}: {value}\r\n");
            }
        }
        request += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let (stream, head, body) = exchange(server.address, &request).await;
        let field = |name: &str| {
            head.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
        };
        let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).expect("a status");
        if status != 101 {
            return Err((status, body));
        }
        let stream = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        let (sink, mut source) = stream.split();
        let (tell, seen) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Some(Ok(message)) = source.next().await {
                let _ = tell.send(match message {
                    Message::Text(text) => {
                        Seen::Json(serde_json::from_str(&text).expect("JSON of the server"))
                    }
                    Message::Binary(bytes) => {
                        Seen::Binary(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
                    }
                    Message::Close(frame) => Seen::Closed(frame.map_or(1005, |frame| frame.code.into())),
                    _ => continue,
                });
            }
        });
        Ok((Self { sink, seen, task }, field("sec-websocket-protocol:")))
    }

    async fn send(&mut self, text: impl Into<String>) {
        self.sink.send(Message::text(text.into())).await.expect("the connection is open");
    }

    /// Sends several messages in one write.
    async fn send_all<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        for text in texts {
            self.sink.feed(Message::text(text.to_owned())).await.expect("the connection is open");
        }
        self.sink.flush().await.expect("the connection is open");
    }

    async fn next(&mut self) -> Seen {
        tokio::time::timeout(PATIENCE, self.seen.recv())
            .await
            .expect("something in time")
            .expect("not the end")
    }

    /// A reply to this ref, whatever else comes before.
    async fn reply(&mut self, reference: &str) -> Value {
        loop {
            if let Seen::Json(message) = self.next().await
                && message[1] == reference
                && message[3] == "phx_reply"
            {
                return message[4].clone();
            }
        }
    }

    /// Everything up to the answer of a heartbeat sent now.
    async fn settle(&mut self) -> Vec<Seen> {
        self.send(r#"[null,"settled","phoenix","heartbeat",{}]"#).await;
        let mut seen = Vec::new();
        loop {
            match self.next().await {
                Seen::Json(message) if message[1] == "settled" => return seen,
                other => seen.push(other),
            }
        }
    }
}

/// Cuts without a close frame.
impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}
