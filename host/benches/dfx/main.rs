//! DFX: uploads, many measurements on one socket, and idle connections, each beside bare tokio-tungstenite sockets that carry
//! the same bytes.
//!
//! ```sh
//! cargo bench -p cloverleaf --bench dfx             # all, in turns
//! ```
//!
//! Every reply is compared with what it must be: a lost, doubled or misdirected one ends the run.

#[path = "../load/mod.rs"]
mod load;

mod calls;
mod upload;

use cloverleaf_core::dfx::{Request, Response, Status};
use futures_util::{SinkExt, StreamExt};
use load::{CONTENDERS, Server};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request as Handshake, Response as Answer};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_hdr_async, connect_async};

/// How many connections are idle.
const IDLE: usize = 1000;

fn main() {
    load::main(compare(), serve);
}

async fn serve(which: &str) {
    match which {
        "shuffling" => accept(calls::shuffle).await,
        _ => accept(echo).await,
    }
}

/// Serves each client of a bare server.
async fn accept<F: Future<Output = ()> + Send + 'static>(serve: fn(WebSocketStream<TcpStream>) -> F) {
    let listener = load::listen().await;
    loop {
        let (stream, _) = listener.accept().await.expect("a client");
        stream.set_nodelay(true).expect("a socket");
        tokio::spawn(async move {
            #[allow(clippy::result_large_err, reason = "the signature is tungstenite's")]
            let choose = |request: &Handshake, mut answer: Answer| {
                if let Some(offered) = request.headers().get("sec-websocket-protocol") {
                    answer.headers_mut().insert("sec-websocket-protocol", offered.clone());
                }
                Ok(answer)
            };
            serve(accept_hdr_async(stream, choose).await.expect("a handshake")).await;
        });
    }
}

/// Acknowledges whatever comes.
async fn echo(mut socket: WebSocketStream<TcpStream>) {
    while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
        let Request { id, .. } = Request::parse(&bytes).expect("a request");
        let header = Response { id, status: Status::OK, body: &[] }.header();
        if socket.send(Message::binary(header.to_vec())).await.is_err() {
            return;
        }
    }
}

/// A client of nothing but WebSocket.
struct Bare(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Bare {
    async fn connect(port: u16, protocol: &'static str) -> Self {
        let mut request = format!("ws://127.0.0.1:{port}/dfx").into_client_request().expect("a URL");
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", protocol.parse().expect("a header"));
        headers.insert("Authorization", "Bearer bench".parse().expect("a header"));
        let (socket, _) = connect_async(request).await.expect("a connection");
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_nodelay(true).expect("a socket");
        }
        Self(socket)
    }

    async fn ask(&mut self, request: Message) -> Vec<u8> {
        self.0.send(request).await.expect("a server that reads");
        self.hear().await
    }

    async fn hear(&mut self) -> Vec<u8> {
        match self.0.next().await.expect("open").expect("good frames") {
            Message::Binary(bytes) => bytes.into(),
            other => panic!("{other:?}"),
        }
    }
}

async fn compare() {
    upload::measure().await;
    calls::measure().await;
    let bare = idle("bare").await;
    for (name, memory) in [("cloverleaf", idle(CONTENDERS[0]).await), ("bare", bare)] {
        match (memory, bare) {
            (Some(memory), Some(bare)) => {
                println!(
                    "an idle connection  {name:10} {:6.1} kB, {:.2} of bare",
                    memory / 1e3,
                    memory / bare
                );
            }
            _ => println!("an idle connection  {name:10} memory is not told here"),
        }
    }
}

/// Bytes of memory that a connection takes which has asked for something and says nothing more.
async fn idle(name: &str) -> Option<f64> {
    let server = Server::start("dfx", name).await?;
    let status = Message::binary(b"0100idle000000{}".to_vec());
    let ask = async || {
        let mut socket = Bare::connect(server.port, "json").await;
        assert!(socket.ask(status.clone()).await.starts_with(b"idle000000200"));
        socket
    };
    // What is needed once, whoever comes.
    let first = ask().await;
    let before = server.memory()?;
    let mut sockets = vec![first];
    for _ in 0..IDLE {
        sockets.push(ask().await);
    }
    Some((server.memory()? as f64 - before as f64) / IDLE as f64)
}
