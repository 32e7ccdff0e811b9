//! Megabytes of payload a second, one chunk after the other: the next is sent when the one before has been acknowledged.

use std::time::Instant;

use bytes::Bytes;
use cloverleaf::services::dfx::client::{Connect, DfxClient, Protocol};
use cloverleaf::services::dfx::events::{Body, ChunkAction, Create, Data, Encoding, Params};
use cloverleaf::services::dfx::state::Signal;
use cloverleaf_core::dfx::{Action, Id, Request};
use tokio_tungstenite::tungstenite::Message;

use super::Bare;
use super::load::{self, Server};

const ROUNDS: usize = 5;

/// Bytes of payload in a round.
const ROUND: usize = 96 << 20;

/// Bytes of a chunk.
const SIZES: [usize; 3] = [256 << 10, 1 << 20, 4 << 20];

/// Samples a second of the payloads: as many as can be said, so that a measurement of two minutes takes many bytes.
const RATE: u16 = u16::MAX;

/// Whether a result is wanted: without one the server only unpacks the chunk, with one it looks for the pulse, too.
const ACTIONS: [&str; 2] = ["CHUNK::IGNORE", "CHUNK::PROCESS"];

enum Uploader {
    Ours(DfxClient),
    Bare(Box<Bare>, Encoding),
}

impl Uploader {
    async fn upload(&mut self, action: ChunkAction, payload: &Bytes) -> f64 {
        let chunks = ROUND / payload.len();
        // Two minutes at most, and not quite.
        let most = 110 * usize::from(RATE) * 2 / payload.len();
        let started = Instant::now();
        match self {
            Self::Ours(client) => {
                let mut left = chunks;
                while left > 0 {
                    let measurement = client.create_measurement(&Create::default()).await.expect("created");
                    for number in 0..left.min(most) {
                        let ack =
                            client.add_data(&measurement, action, payload.clone()).await.expect("added");
                        assert_eq!(ack.id, format!("{measurement}:{number}"));
                    }
                    left -= left.min(most);
                }
            }
            Self::Bare(socket, encoding) => {
                // The same bytes, but encoded once.
                let params = Params { id: uuid::Uuid::new_v4().to_string() };
                let data = Data { params, payload: payload.clone(), ..Data::default() };
                let body = Data { action: action.as_str().into(), ..data }.encode(*encoding);
                let id = Id::new(*b"0506000000");
                let header = Request { action: Action::DATA, id, body: &[] }.header();
                let request = Bytes::from([&header, &body[..]].concat());
                for _ in 0..chunks {
                    let reply = socket.ask(Message::Binary(request.clone())).await;
                    assert!(reply.starts_with(b"0506000000200"));
                }
            }
        }
        (chunks * payload.len()) as f64 / 1e6 / started.elapsed().as_secs_f64()
    }
}

pub(super) async fn measure() {
    let ours = Server::start("dfx", "cloverleaf").await.expect("our server");
    let bare = Server::start("dfx", "bare").await.expect("a bare server");
    for (protocol, encoding, name) in
        [(Protocol::Proto, Encoding::Proto, "proto"), (Protocol::Json, Encoding::Json, "json")]
    {
        let url = format!("ws://127.0.0.1:{}/dfx", ours.port);
        let client = Connect { protocol, deflate: false, ..Connect::new(&url, "bench") };
        let client = client.connect().await.expect("connected");
        let socket = Bare::connect(bare.port, name).await;
        let mut uploaders =
            [("cloverleaf", Uploader::Ours(client)), ("bare", Uploader::Bare(Box::new(socket), encoding))];
        for action in ACTIONS {
            for size in SIZES {
                let beat = |at: usize| (std::f64::consts::TAU * 1.2 * at as f64 / f64::from(RATE)).sin();
                let samples = (0..(size - 6) / 2).map(beat).collect();
                let payload = Bytes::from(Signal { rate: RATE.into(), samples }.to_payload());
                let what = format!("upload, {name:5} {action:14} {:4} KiB", size >> 10);
                let action = action.parse().expect("an action");
                load::rounds(&what, "MB/s", ROUNDS, &mut uploaders, async |it: &mut Uploader| {
                    it.upload(action, &payload).await
                })
                .await;
            }
        }
    }
}
