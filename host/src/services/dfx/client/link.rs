//! The two tasks of a connection: one reads, one writes. Nobody else touches the socket.

use std::sync::Arc;
use std::time::Duration;

use cloverleaf_core::dfx::{Action, Id, Request};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame, coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::table::Table;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Sink = SplitSink<Socket, Message>;

/// Longer messages are sent in pieces of this size, so that pings are answered in between.
const PIECE: usize = 256 << 10;

/// How long the server may take to close after we did.
const LINGER: Duration = Duration::from_secs(5);

/// How long the server may take to read one piece before the connection is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be sent.
#[derive(Debug)]
pub(super) enum Outgoing {
    Frame { action: Action, id: Id, body: Vec<u8> },
    Close,
}

/// Runs both tasks. They end, and the table with them, when the connection does; and the connection ends when no
/// client is left to send anything.
pub(super) fn spawn(socket: Socket, table: Arc<Table>, frames: mpsc::Receiver<Outgoing>) {
    let (sink, stream) = socket.split();
    tokio::spawn(async move {
        let reading = read(stream, &table);
        tokio::pin!(reading);
        let reason = tokio::select! {
            reason = &mut reading => reason,
            reason = write(sink, frames) => {
                // The close has been sent; what the server still has to say is read for a while.
                match timeout(LINGER, reading).await {
                    Ok(theirs) => reason.unwrap_or(theirs),
                    Err(_) => reason.unwrap_or_else(|| "the server did not close".into()),
                }
            }
        };
        table.close(&reason);
    });
}

async fn read(mut stream: SplitStream<Socket>, table: &Table) -> String {
    loop {
        match stream.next().await {
            Some(Ok(Message::Binary(bytes))) => table.receive(&bytes),
            // No server sends text, but nothing is lost by reading it.
            Some(Ok(Message::Text(text))) => table.receive(text.as_bytes()),
            Some(Ok(Message::Close(Some(frame)))) => {
                return format!(
                    "by the server with code {}, {:?}",
                    u16::from(frame.code),
                    frame.reason.as_str()
                );
            }
            Some(Ok(Message::Close(None))) => return "by the server".into(),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Err(Error::ConnectionClosed)) | None => return "closed".into(),
            Some(Err(error)) => return error.to_string(),
        }
    }
}

/// Why writing ended; `None` when we closed.
async fn write(mut sink: Sink, mut frames: mpsc::Receiver<Outgoing>) -> Option<String> {
    while let Some(Outgoing::Frame { action, id, body }) = frames.recv().await {
        if let Err(reason) = send(&mut sink, action, id, body).await {
            return Some(reason);
        }
    }
    let close = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    // The only error is that the connection has gone already.
    let _ = put(&mut sink, Message::Close(Some(close))).await;
    None
}

async fn send(sink: &mut Sink, action: Action, id: Id, body: Vec<u8>) -> Result<(), String> {
    let header = Request { action, id, body: &[] }.header();
    if body.len() + header.len() <= PIECE {
        return put(sink, Message::binary([&header, &body[..]].concat())).await;
    }
    // The header is a piece of its own: the body is not copied.
    let first = Frame::message(header.to_vec(), OpCode::Data(Data::Binary), false);
    put(sink, Message::Frame(first)).await?;
    let mut rest = bytes::Bytes::from(body);
    while !rest.is_empty() {
        let piece = rest.split_to(PIECE.min(rest.len()));
        let piece = Frame::message(piece, OpCode::Data(Data::Continue), rest.is_empty());
        put(sink, Message::Frame(piece)).await?;
    }
    Ok(())
}

async fn put(sink: &mut Sink, message: Message) -> Result<(), String> {
    match timeout(PATIENCE, sink.send(message)).await {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the server has read nothing for {PATIENCE:?}")),
    }
}
