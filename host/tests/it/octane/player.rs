//! Plays transcripts to a server: what a client of any age sent, and what must come back.
//!
//! ```text
//!  # …                   a remark; where our answer differs on purpose from what was recorded, it says so
//!  open polling QUERY    a first poll: what it brings is for GET       POST …   a packet is posted, which must be taken
//!  open websocket QUERY  a WebSocket                                  GET …    the next packet that polls bring
//!  upgrade               a WebSocket of the session that polls         > …      a packet goes over the WebSocket
//!  close                 the WebSocket is closed                      < …      the next packet on the WebSocket
//!  end                   the WebSocket has ended
//! ```
//!
//! In what must come `*` stands for any text. Pings of Engine.IO 4 that a transcript does not speak of are answered.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use cloverleaf::config::Options;
use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, duplex};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::{Server, exchange_over};

/// How long a server may take to say what it has to say: longer than it waits between two pings.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn options() -> Options {
    let mut options = Options::default();
    options.octane.keys = vec!["goodkey".parse().unwrap()];
    options
}

/// A stream that leads to a server.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// How a server is reached.
#[derive(Clone)]
pub(crate) enum Way {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Within the process, so that time may be virtual.
    Within(Router),
}

impl From<&Server> for Way {
    fn from(server: &Server) -> Self {
        Self::Tcp(server.address)
    }
}

impl Way {
    async fn dial(&self) -> Box<dyn Stream> {
        match self {
            Self::Tcp(address) => Box::new(TcpStream::connect(address).await.expect("the server listens")),
            Self::Within(router) => {
                let (ours, theirs) = duplex(65_536);
                let service = TowerToHyperService::new(router.clone().into_service::<Incoming>());
                let serving = Builder::new().serve_connection(TokioIo::new(theirs), service).with_upgrades();
                // A client that goes away is an error to it.
                tokio::spawn(async move { serving.await.unwrap_or_default() });
                Box::new(ours)
            }
        }
    }
}

/// One Engine.IO connection over WebSocket that answers pings and shows the rest.
pub(crate) struct Wire {
    pub(crate) socket: WebSocketStream<Box<dyn Stream>>,
}

impl Wire {
    /// A new session.
    pub(crate) async fn open(way: impl Into<Way>, query: &str) -> Self {
        let mut wire = Self::connect(way, query).await;
        assert!(wire.receive().await.starts_with("0{"));
        wire
    }

    /// A WebSocket, of a new session or of the one that the query names.
    pub(super) async fn connect(way: impl Into<Way>, query: &str) -> Self {
        let url = format!("ws://localhost/socket.io/?transport=websocket&{query}");
        Self::request(way, url.into_client_request().expect("a URL")).await
    }

    /// The same with headers of one's own.
    pub(super) async fn request(way: impl Into<Way>, request: http::Request<()>) -> Self {
        let stream = way.into().dial().await;
        Self { socket: client_async(request, stream).await.expect("a WebSocket").0 }
    }

    pub(crate) async fn send(&mut self, packet: &str) {
        self.socket.send(Message::text(packet)).await.expect("open");
    }

    /// The next packet but for pings, which are answered.
    pub(crate) async fn receive(&mut self) -> String {
        loop {
            match self.next().await.expect("open") {
                ping if ping == "2" => self.send("3").await,
                packet => return packet,
            }
        }
    }

    /// The next packet; none when the WebSocket has ended.
    pub(super) async fn next(&mut self) -> Option<String> {
        match tokio::time::timeout(TIMEOUT, self.socket.next()).await.expect("a packet in time") {
            Some(Ok(Message::Text(text))) => Some(text.to_string()),
            None | Some(Err(_) | Ok(Message::Close(_))) => None,
            other => panic!("unexpected {other:?}"),
        }
    }

    /// Asks something that is always answered, and shows that nothing else was said before.
    pub(super) async fn expect_silence(&mut self) {
        self.send(r#"42/octane,["leave",{"channel":"gate"}]"#).await;
        assert_eq!(self.receive().await, r#"42/octane,["leave",{"leave":"gate"}]"#);
    }

    /// Asks something that is always answered, and passes over whatever else is said.
    pub(super) async fn expect_answer(&mut self) {
        self.send(r#"42/octane,["leave",{"channel":"gate"}]"#).await;
        while self.receive().await != r#"42/octane,["leave",{"leave":"gate"}]"# {}
    }
}

/// One Engine.IO session that polls.
pub(super) struct Polls {
    way: Way,
    pub(super) query: String,
    /// What polls have brought.
    packets: VecDeque<String>,
}

impl Polls {
    /// A new session, of which the first packet is still to be looked at.
    pub(super) async fn open(way: Way, query: &str) -> Self {
        let mut polls = Self { way, query: query.to_owned(), packets: VecDeque::new() };
        assert_eq!(polls.poll().await, 200);
        let open = polls.packets.front().expect("the first packet");
        let session = open.split_once(r#""sid":""#).expect("an id").1.split_once('"').expect("its end").0;
        polls.query = format!("{query}&sid={session}");
        polls
    }

    async fn request(&self, method: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let request = format!(
            "{method} /socket.io/?transport=polling&{} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\
             content-type: text/plain;charset=UTF-8\r\nconnection: close\r\n\r\n{body}",
            self.query
        );
        let mut stream = self.way.dial().await;
        let exchange = exchange_over(&mut stream, &request);
        let (head, body) = tokio::time::timeout(TIMEOUT, exchange).await.expect("an answer in time");
        (head.split(' ').nth(1).expect("a status").parse().expect("a number"), body)
    }

    fn is_old(&self) -> bool {
        self.query.contains("EIO=3")
    }

    /// Polls once, and answers the status.
    pub(super) async fn poll(&mut self) -> u16 {
        let (status, body) = self.request("GET", "").await;
        if status == 200 && self.is_old() {
            let mut rest = body.as_str();
            while let Some((length, payload)) = rest.split_once(':') {
                // Of characters, not of bytes.
                let length = length.parse().expect("a length");
                self.packets.push_back(payload.chars().take(length).collect());
                rest = payload.char_indices().nth(length).map_or("", |(at, _)| &payload[at..]);
            }
        } else if status == 200 {
            self.packets.extend(body.split('\x1e').map(str::to_owned));
        }
        status
    }

    /// The next packet that polls bring but for pings, which are answered.
    pub(super) async fn receive(&mut self) -> String {
        loop {
            match self.next().await.expect("a session") {
                ping if ping == "2" => assert_eq!(self.post("3").await, 200, "a pong"),
                packet => return packet,
            }
        }
    }

    /// The next packet that polls bring; none when the session has ended.
    pub(super) async fn next(&mut self) -> Option<String> {
        if self.packets.is_empty() && self.poll().await != 200 {
            return None;
        }
        self.packets.pop_front()
    }

    /// Posts a packet, and answers the status.
    pub(super) async fn post(&self, packet: &str) -> u16 {
        let old = format!("{}:{packet}", packet.chars().count());
        self.request("POST", if self.is_old() { &old } else { packet }).await.0
    }
}

/// A member that has heard everything said on entry.
pub(super) async fn member(way: impl Into<Way>) -> Wire {
    let mut wire = Wire::open(way, "EIO=4&X-API-KEY=goodkey").await;
    wire.send("40/octane,").await;
    for expected in ["40/octane,*", "*auth_ok*", "*user*", "*facility*", "*channels*"] {
        let packet = wire.receive().await;
        assert!(matches(&packet, expected), "expected {expected}\n     got {packet}");
    }
    wire
}

/// The transcripts of a folder beside this file, by their names.
pub(super) fn transcripts(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/octane").join(folder);
    let files = std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("a file").path());
    let mut all: Vec<_> = files
        .filter(|path| path.is_file())
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).expect("text")))
        .collect();
    all.sort_unstable();
    assert!(all.len() >= 3, "transcripts are missing in {}", folder.display());
    all
}

/// Plays a transcript.
pub(super) async fn play(way: &Way, name: &str, transcript: &str) {
    let (mut polls, mut wire): (Option<Polls>, Option<Wire>) = (None, None);
    for line in transcript.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let context = format!("{name}: {line}");
        match (what, rest.split_once(' '), &mut polls, &mut wire) {
            ("open", Some(("polling", query)), ..) => polls = Some(Polls::open(way.clone(), query).await),
            ("open", Some(("websocket", query)), ..) => wire = Some(Wire::connect(way.clone(), query).await),
            ("upgrade", _, Some(polls), _) => wire = Some(Wire::connect(way.clone(), &polls.query).await),
            ("POST", _, Some(polls), _) => assert_eq!(polls.post(rest).await, 200, "{context}"),
            ("GET", _, Some(polls), _) => {
                let packet =
                    if rest == "2" { polls.next().await.expect(&context) } else { polls.receive().await };
                assert!(matches(&packet, rest), "{context}\ngot {packet}");
            }
            (">", _, _, Some(wire)) => wire.send(rest).await,
            ("<", _, _, Some(wire)) => {
                let packet =
                    if rest == "2" { wire.next().await.expect(&context) } else { wire.receive().await };
                assert!(matches(&packet, rest), "{context}\ngot {packet}");
            }
            ("close", _, _, Some(wire)) => wire.socket.close(None).await.expect(&context),
            ("end", _, _, Some(wire)) => assert_eq!(wire.next().await, None, "{context}"),
            _ => panic!("{context}: not a line of a transcript, or too early"),
        }
    }
}

/// Whether `packet` is `expected`, in which `*` stands for any text.
fn matches(packet: &str, expected: &str) -> bool {
    match expected.split_once('*') {
        None => packet == expected,
        Some((head, rest)) => packet.strip_prefix(head).is_some_and(|packet| {
            packet.char_indices().map(|(at, _)| &packet[at..]).chain([""]).any(|packet| matches(packet, rest))
        }),
    }
}
