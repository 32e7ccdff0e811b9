//! Namespaces with a query: what clients of Socket.IO 2 send and its successors do not.
//!
//! Such a client puts the query of a namespace's URL into the CONNECT packet: `40/octane?X-API-KEY=secret,`. The
//! server below takes all of that for the namespace's name. Here the query becomes the payload of CONNECT,
//! `40/octane,{"X-API-KEY":"secret"}`, before the server sees it: in polling bodies and in the frames of WebSockets, for
//! as long as those last, because a client opens further namespaces whenever it likes. Everything else passes untouched,
//! and clients of Engine.IO 4 are not looked at.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::MAX_MESSAGE;
use crate::ws::frame::{self, Header, MASKED, put_length, unmask};

/// A longer frame is passed on as it comes: a CONNECT packet is short.
const MAX_FRAME: u64 = 4096;

/// Passes on a polling body, with its CONNECT packets rewritten.
pub(super) async fn polled(request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_MESSAGE).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let rewritten = std::str::from_utf8(&body).ok().and_then(rewrite_payload);
    let body = match rewritten {
        Some(rewritten) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Body::from(rewritten)
        }
        None => Body::from(body),
    };
    next.run(Request::from_parts(parts, body)).await
}

// payload = *( length ":" packet )      the length counts characters
pub(super) fn rewrite_payload(payload: &str) -> Option<String> {
    let (mut rest, mut rewritten, mut changed) = (payload, String::with_capacity(payload.len()), false);
    while !rest.is_empty() {
        let (length, packets) = rest.split_once(':')?;
        let length: usize = length.parse().ok()?;
        let end = packets.char_indices().map(|(at, _)| at).chain([packets.len()]).nth(length)?;
        let (packet, behind) = packets.split_at_checked(end)?;
        let better = rewrite(packet);
        changed |= better.is_some();
        let packet = better.as_deref().unwrap_or(packet);
        rewritten.push_str(&format!("{}:{packet}", packet.chars().count()));
        rest = behind;
    }
    changed.then_some(rewritten)
}

// connect = "40" namespace "?" query [ "," ]
fn rewrite(packet: &str) -> Option<String> {
    let (namespace, rest) = packet.strip_prefix("40")?.split_once('?')?;
    let query = rest.strip_suffix(',').unwrap_or(rest);
    if !namespace.starts_with('/') || namespace.contains(',') || query.contains(',') {
        return None;
    }
    let uri: Uri = format!("/?{query}").parse().ok()?;
    let Query(pairs) = Query::<serde_json::Map<String, serde_json::Value>>::try_from_uri(&uri).ok()?;
    Some(format!("40{namespace},{}", serde_json::Value::Object(pairs)))
}

/// A client's stream of WebSocket frames, in which CONNECT packets with a query are rewritten.
pub(super) struct ConnectQueryStream<S> {
    stream: S,
    /// Bytes that have come and are not a whole frame yet.
    raw: Vec<u8>,
    /// Bytes to be read, from `taken` on.
    ready: Vec<u8>,
    taken: usize,
    /// Bytes of a long frame that are still to come.
    passing: u64,
    /// These are no frames of a client, or there are no more of them.
    blind: bool,
}

impl<S> ConnectQueryStream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, raw: Vec::new(), ready: Vec::new(), taken: 0, passing: 0, blind: false }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        while !self.blind {
            let here = self.raw.len().min(usize::try_from(self.passing).unwrap_or(usize::MAX));
            self.passing -= here as u64;
            self.ready.extend(self.raw.drain(..here));
            let Some(header) = Header::parse(&self.raw) else { return };
            let length = header.payload.saturating_add(header.length as u64);
            if !header.masked {
                // Clients must mask; whoever does not is the server's to refuse.
                self.blind = true;
            } else if length > MAX_FRAME {
                self.passing = length;
            } else if length > self.raw.len() as u64 {
                return;
            } else {
                let frame: Vec<u8> = self.raw.drain(..length as usize).collect();
                self.ready.extend(rewrite_frame(&frame, header).unwrap_or(frame));
            }
        }
        self.ready.append(&mut self.raw);
    }
}

fn rewrite_frame(frame: &[u8], header: Header) -> Option<Vec<u8>> {
    const TEXT: u8 = frame::FIN | frame::TEXT;
    if *frame.first()? != TEXT {
        return None;
    }
    let (head, payload) = frame.split_at_checked(header.length)?;
    let mask = head.last_chunk()?;
    let mut payload = payload.to_vec();
    unmask(&mut payload, *mask);
    let mut packet = rewrite(std::str::from_utf8(&payload).ok()?)?.into_bytes();
    unmask(&mut packet, *mask);
    let mut rewritten = vec![TEXT];
    put_length(&mut rewritten, MASKED, packet.len());
    Some([&rewritten, &mask[..], &packet].concat())
}

impl<S: AsyncRead + Unpin> AsyncRead for ConnectQueryStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let this = &mut *self;
            if this.taken < this.ready.len() {
                let count = buf.remaining().min(this.ready.len() - this.taken);
                buf.put_slice(&this.ready[this.taken..this.taken + count]);
                this.taken += count;
                if this.taken == this.ready.len() {
                    // Nothing is kept for the rest of a long connection.
                    (this.ready, this.taken) = (Vec::new(), 0);
                }
                return Poll::Ready(Ok(()));
            }
            if this.blind {
                return Pin::new(&mut this.stream).poll_read(cx, buf);
            }
            let mut chunk = [0; 1024];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                // The end: what is left of a frame is passed on as it is.
                this.blind = true;
                this.ready.append(&mut this.raw);
                if this.ready.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            let bytes = chunk.filled().to_vec();
            this.take(&bytes);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ConnectQueryStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked_frame(text: &str) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![0x81];
        match text.len() {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length @ 126..=0xFFFF => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(text.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[test]
    fn a_query_becomes_the_payload_of_connect() {
        let cases = [
            ("40/octane?X-API-KEY=goodkey,", Some(r#"40/octane,{"X-API-KEY":"goodkey"}"#)),
            ("40/octane?X-API-KEY=a%20b", Some(r#"40/octane,{"X-API-KEY":"a b"}"#)),
            ("40/octane,", None),
            ("40/octane", None),
            ("40", None),
            (r#"42/octane,["auth",{"x":"?"}]"#, None),
            (r#"40/octane,{"x":"?"}"#, None),
        ];
        for (packet, expected) in cases {
            assert_eq!(rewrite(packet).as_deref(), expected, "{packet}");
        }
    }

    #[test]
    fn polling_bodies_keep_their_other_packets() {
        assert_eq!(
            rewrite_payload(r#"1:228:40/octane?X-API-KEY=goodkey,9:42["ю",1]"#).as_deref(),
            Some(r#"1:233:40/octane,{"X-API-KEY":"goodkey"}9:42["ю",1]"#)
        );
        for same in ["", "1:2", "10:40/octane,", "99:40", "x", "3:40", ":"] {
            assert_eq!(rewrite_payload(same), None, "{same}");
        }
    }

    #[tokio::test]
    async fn frames_are_rewritten_however_they_are_cut() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let long =
            [300, 5_000, 70_000].map(|length| masked_frame(&format!("42[\"{}\"]", "x".repeat(length))));
        let pings = masked_frame("2").repeat(20);
        let exchange = |connect: &str| {
            let connect = masked_frame(connect);
            [&*masked_frame("2probe"), &*connect, &*long.concat(), &*pings, &*connect].concat()
        };
        let sent = exchange("40/octane?X-API-KEY=goodkey,");
        let expected = exchange(r#"40/octane,{"X-API-KEY":"goodkey"}"#);
        for size in [1, 2, 7, 64, sent.len()] {
            let (mut client, server) = tokio::io::duplex(200_000);
            for piece in sent.chunks(size) {
                client.write_all(piece).await.unwrap();
            }
            drop(client);
            let mut received = Vec::new();
            ConnectQueryStream::new(server).read_to_end(&mut received).await.unwrap();
            assert!(received == expected, "in pieces of {size}");
        }
    }

    #[tokio::test]
    async fn what_is_no_connect_passes_untouched() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let huge = masked_frame(&"y".repeat(5000));
        for sent in
            [huge, b"\x81\x05hello".to_vec(), vec![0x81], vec![0x88, 0x80, 1, 2, 3, 4], vec![0xFF; 40]]
        {
            let (mut client, server) = tokio::io::duplex(8192);
            client.write_all(&sent).await.unwrap();
            drop(client);
            let mut received = Vec::new();
            ConnectQueryStream::new(server).read_to_end(&mut received).await.unwrap();
            assert_eq!(received, sent);
        }
    }
}
