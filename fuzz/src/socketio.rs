#![allow(dead_code, unreachable_pub, reason = "more of this file is used where it belongs")]

#[path = "../../host/src/socketio/connect_query.rs"]
mod connect_query;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};

use connect_query::{ConnectQueryStream, rewrite_payload};

/// As the service has it.
const MAX_MESSAGE: usize = 1_000_000;

/// Some bytes, at most so many at once, and then the end.
struct Pieces<'a>(&'a [u8], usize);

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.1.min(self.0.len()).min(buf.remaining());
        let (piece, rest) = self.0.split_at(count);
        buf.put_slice(piece);
        self.0 = rest;
        Poll::Ready(Ok(()))
    }
}

/// Frames are rewritten in the same way in whatever pieces they come, and what is rewritten needs no rewriting. The first
/// byte says how long the pieces are.
pub fn connect_query(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let whole = rewritten(bytes, bytes.len().max(1));
    assert_eq!(rewritten(bytes, 1 + usize::from(*first)), whole, "in pieces");
    assert_eq!(rewritten(&whole, whole.len().max(1)), whole, "again");
    if let Some(payload) = std::str::from_utf8(bytes).ok().and_then(rewrite_payload) {
        assert_eq!(rewrite_payload(&payload), None, "{payload}");
    }
}

fn rewritten(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut stream = ConnectQueryStream::new(Pieces(bytes, length));
    let (mut all, mut buf) = (Vec::new(), [0; 64]);
    loop {
        let mut buf = ReadBuf::new(&mut buf);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(
            Pin::new(&mut stream).poll_read(cx, &mut buf).is_ready(),
            "there is always something to read"
        );
        if buf.filled().is_empty() {
            return all;
        }
        all.extend_from_slice(buf.filled());
    }
}
