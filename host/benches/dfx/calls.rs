//! Calls a second of a thousand measurements on one socket, whose replies come in another order than they were asked for.

use std::collections::HashMap;
use std::time::Instant;

use cloverleaf::services::dfx::client::{Connect, DfxClient};
use cloverleaf::services::dfx::events::{Body, ChunkAction, Data, DataAck, Encoding, Params};
use cloverleaf_core::dfx::{Action, Id, Request, Response, Status};
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::Bare;
use super::load::{self, Server};

const MEASUREMENTS: usize = 1000;
const ROUNDS: usize = 5;
/// How often each measurement asks in a round.
const CALLS: usize = 50;

/// Waits until all measurements have asked, then acknowledges each chunk with the number that is in it; a prime apart.
pub(super) async fn shuffle(mut socket: WebSocketStream<TcpStream>) {
    let mut waiting = Vec::new();
    while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
        let Request { id, body, .. } = Request::parse(&bytes).expect("a request");
        let Data { params, payload, .. } = Data::decode(Encoding::Json, body).expect("a chunk");
        let number = u32::from_le_bytes((&payload[..]).try_into().expect("a number"));
        let ack = DataAck { id: format!("{}:{number}", params.id), chunk_order: number };
        let body = ack.encode(Encoding::Json);
        let header = Response { id, status: Status::OK, body: &[] }.header();
        waiting.push(Message::binary([&header, &body[..]].concat()));
        if waiting.len() < MEASUREMENTS {
            continue;
        }
        for at in 0..MEASUREMENTS {
            socket.feed(waiting[(at * 617 + 31) % MEASUREMENTS].clone()).await.expect("a client that reads");
        }
        socket.flush().await.expect("a client that reads");
        waiting.clear();
    }
}

fn last() -> ChunkAction {
    ChunkAction::of(0, 1)
}

/// Whether the reply is the one to this chunk.
fn check(ack: &DataAck, measurement: &str, number: u32) {
    let expected = DataAck { id: format!("{measurement}:{number}"), chunk_order: number };
    assert_eq!(*ack, expected, "misdelivered");
}

enum Caller {
    Ours(DfxClient),
    Bare(Box<Bare>),
}

impl Caller {
    async fn call(&mut self) -> f64 {
        let started = Instant::now();
        match self {
            Self::Ours(client) => {
                let tasks = (0..MEASUREMENTS).map(|measurement| {
                    let client = client.clone();
                    tokio::spawn(async move {
                        let measurement = format!("measurement{measurement:04}");
                        for number in 0..CALLS as u32 {
                            let payload = number.to_le_bytes().to_vec();
                            let ack = client.add_data(&measurement, last(), payload).await.expect("added");
                            check(&ack, &measurement, number);
                        }
                    })
                });
                join_all(tasks).await.into_iter().for_each(|task| task.expect("every reply was right"));
                assert_eq!((client.unknown_count(), client.malformed_count()), (0, 0));
            }
            Self::Bare(socket) => {
                for number in 0..CALLS as u32 {
                    let mut waiting = HashMap::new();
                    for at in 0..MEASUREMENTS {
                        let id = Id::padded(&format!("0506{at:06}")).expect("ten bytes");
                        let measurement = format!("measurement{at:04}");
                        let params = Params { id: measurement.clone() };
                        let payload = number.to_le_bytes().to_vec().into();
                        let action = last().as_str().into();
                        let body = Data { params, action, payload, ..Data::default() }.encode(Encoding::Json);
                        let header = Request { action: Action::DATA, id, body: &[] }.header();
                        socket.0.feed(Message::binary([&header, &body[..]].concat())).await.expect("fed");
                        waiting.insert(id, measurement);
                    }
                    socket.0.flush().await.expect("a server that reads");
                    while !waiting.is_empty() {
                        let bytes = socket.hear().await;
                        let Response { id, body, .. } = Response::parse(&bytes).expect("a response");
                        let measurement = waiting.remove(&id).expect("asked for");
                        let ack = DataAck::decode(Encoding::Json, body).expect("an acknowledgement");
                        check(&ack, &measurement, number);
                    }
                }
            }
        }
        (MEASUREMENTS * CALLS) as f64 / started.elapsed().as_secs_f64()
    }
}

pub(super) async fn measure() {
    let server = Server::start("dfx", "shuffling").await.expect("a server");
    let url = format!("ws://127.0.0.1:{}/dfx", server.port);
    let client = Connect { deflate: false, ..Connect::new(&url, "bench") };
    let mut callers = [
        ("cloverleaf", Caller::Ours(client.connect().await.expect("connected"))),
        ("bare", Caller::Bare(Box::new(Bare::connect(server.port, "json").await))),
    ];
    let what = format!("{MEASUREMENTS} measurements, shuffled");
    load::rounds(&what, "calls/s", ROUNDS, &mut callers, Caller::call).await;
}
