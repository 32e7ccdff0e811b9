//! Frames and bodies of DFX: `cargo bench -p cloverleaf-core --bench dfx`.
//!
//! A frame costs its header whatever its body weighs; protobuf results are read in place.

use cloverleaf_core::dfx::body::{json, proto};
use cloverleaf_core::dfx::{Action, Id, Ledger, Received, Request, Response, Slot, Status};
use cloverleaf_core::time::{Duration, Instant};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// A golden frame.
fn golden(name: &str) -> Vec<u8> {
    let frames = include_str!("../tests/transcripts/dfx/frames.txt");
    let line =
        frames.lines().find(|line| line.split_whitespace().next() == Some(name)).expect("a golden frame");
    let hex = line.split_whitespace().last().expect("hex");
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..][..2], 16).expect("hex")).collect()
}

#[divan::bench(args = ["resp_subscribe_ack_proto", "resp_adddata_ack_json", "resp_result_proto"])]
fn parse_response(bencher: Bencher<'_, '_>, name: &str) {
    let frame = golden(name);
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench(|| Response::parse(black_box(&frame)).map(|found| found.body.len()));
}

/// Bytes of frames a second, for frames of this length: a parser looks at 13 bytes of each, so this leaves `copy` behind
/// as soon as frames are longer than a few lines of cache.
#[divan::bench(args = [167, 10 << 10, 100 << 10])]
fn parse_responses(bencher: Bencher<'_, '_>, len: usize) {
    let frame = [&b"0506000001200"[..], &vec![b'x'; len - Response::HEADER]].concat();
    let frames: Vec<Vec<u8>> = vec![frame; 64];
    bencher.counter(BytesCount::new(64 * len)).bench_local(|| {
        let parsed = black_box(&frames).iter().map(|frame| Response::parse(frame).expect("good"));
        parsed.map(|response| response.body.len()).sum::<usize>()
    });
}

#[divan::bench]
fn parse_request(bencher: Bencher<'_, '_>) {
    let frame = golden("req_adddata_json");
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench(|| Request::parse(black_box(&frame)).map(|found| found.body.len()));
}

/// Against a copy of the same bytes: what memory allows.
#[divan::bench(args = [1 << 10, 100 << 10, 10 << 20])]
fn emit_request(bencher: Bencher<'_, '_>, len: usize) {
    let body = vec![b'x'; len];
    let mut buf = vec![0; len + Request::HEADER];
    let request = Request { action: Action::DATA, id: Id::new(*b"0506000001"), body: &body };
    bencher.counter(BytesCount::new(len)).bench_local(|| black_box(&request).emit(black_box(&mut buf)));
}

#[divan::bench(args = [1 << 10, 100 << 10, 10 << 20])]
fn copy(bencher: Bencher<'_, '_>, len: usize) {
    let body = vec![b'x'; len];
    let mut buf = vec![0; len];
    bencher
        .counter(BytesCount::new(len))
        .bench_local(|| black_box(&mut buf).copy_from_slice(black_box(&body)));
}

#[divan::bench]
fn result_from_proto(bencher: Bencher<'_, '_>) {
    let frame = golden("resp_result_proto");
    let body = &frame[Response::HEADER..];
    bencher.counter(BytesCount::new(body.len())).bench(|| {
        let outcome: proto::Outcome<'_> = proto::decode(black_box(body)).expect("good");
        let channels = outcome.channels.iter().flatten().filter_map(|entry| entry.channel);
        channels.flat_map(|channel| channel.data.iter().flatten()).map(i64::from).sum::<i64>()
    });
}

#[divan::bench]
fn result_from_json(bencher: Bencher<'_, '_>) {
    let frame = golden("resp_result_json");
    let body = &frame[Response::HEADER..];
    bencher.counter(BytesCount::new(body.len())).bench(|| {
        let outcome: json::Outcome<'_, 4, 8> = json::decode(black_box(body)).expect("good");
        outcome
            .channels
            .values()
            .flat_map(|channel| channel.data.iter())
            .map(|value| i64::from(*value))
            .sum::<i64>()
    });
}

/// A call and its reply while this many others wait.
#[divan::bench(args = [1, 1000, 100_000])]
fn call_and_reply(bencher: Bencher<'_, '_>, waiting: usize) {
    let mut ledger = Ledger::new(vec![Slot::default(); 2 * waiting + 2]);
    let deadline = Some(Instant::ZERO + Duration::from_secs(9));
    let call = |ledger: &mut Ledger<Vec<Slot>>| ledger.call(Action::DATA, deadline, ());
    for _ in 0..waiting {
        call(&mut ledger).expect("room");
    }
    let mut reply = Response { id: Id::new([0; 10]), status: Status::OK, body: &[] }.header();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let id = call(&mut ledger).expect("room");
        reply[..Id::LEN].copy_from_slice(id.as_bytes());
        assert!(matches!(ledger.receive(black_box(&reply)), Ok(Received::Reply(..))));
    });
}
