//! What is sent to a server, masked.

use std::io;

use bytes::Buf;
use tokio::io::{AsyncWrite, AsyncWriteExt, BufWriter};

use crate::ws::deflate;
use crate::ws::frame::{
    BINARY, CLOSE, COMPRESSED, CONTINUATION, FIN, MASKED, PING, PONG, put_length, unmask,
};

/// The sending half of a connection.
#[derive(Debug)]
pub struct Writer<W> {
    io: BufWriter<W>,
    deflates: bool,
}

/// Where a frame stands in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The message begins with it.
    pub first: bool,
    /// The message ends with it.
    pub last: bool,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(super) fn new(io: W, deflates: bool) -> Self {
        Self { io: BufWriter::new(io), deflates }
    }

    /// Sends one frame of a binary message: `head` and then `body`, which is left masked. What is small may wait for
    /// [`flush`](Self::flush). Once it has begun it must not be dropped while it waits, or the connection is of no more use.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, place: Place, head: &[u8], body: &mut [u8]) -> io::Result<()> {
        let opcode = if place.first { BINARY } else { CONTINUATION };
        self.frame(if place.last { FIN | opcode } else { opcode }, head, body).await
    }

    /// A whole message compressed, if the server takes that and it makes the message shorter; else nothing is sent. It may
    /// wait for [`flush`](Self::flush), too.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_deflated(&mut self, head: &[u8], body: &[u8]) -> io::Result<bool> {
        if !self.deflates {
            return Ok(false);
        }
        let Some(mut compressed) = deflate::deflate(&[head, body].concat()) else { return Ok(false) };
        self.frame(FIN | COMPRESSED | BINARY, &[], &mut compressed).await.map(|()| true)
    }

    /// Sends what waits, so that small frames can share a packet.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.io.flush().await
    }

    /// Asks whether the server is still there.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn ping(&mut self) -> io::Result<()> {
        self.frame(FIN | PING, &[], &mut []).await?;
        self.flush().await
    }

    /// Answers a ping.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn pong(&mut self, payload: &[u8]) -> io::Result<()> {
        self.frame(FIN | PONG, payload, &mut []).await?;
        self.flush().await
    }

    /// Says goodbye, or answers that; nothing may be sent after it.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn close(&mut self, code: u16) -> io::Result<()> {
        self.frame(FIN | CLOSE, &code.to_be_bytes(), &mut []).await?;
        self.flush().await
    }

    async fn frame(&mut self, first: u8, head: &[u8], body: &mut [u8]) -> io::Result<()> {
        // A mask must not be guessed by what runs in a browser (RFC 6455, 5.3).
        let mut mask = getrandom::u32().map_err(io::Error::other)?.to_be_bytes();
        let mut start = Vec::with_capacity(14 + head.len());
        start.push(first);
        put_length(&mut start, MASKED, head.len() + body.len());
        start.extend(mask);
        let masked = start.len();
        start.extend(head);
        unmask(start.get_mut(masked..).unwrap_or_default(), mask);
        mask.rotate_left(head.len() % 4);
        unmask(body, mask);
        self.io.write_all_buf(&mut Buf::chain(start.as_slice(), &*body)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::{Decoder, Incoming, Limits};

    #[tokio::test]
    async fn a_server_reads_what_the_writer_sends() {
        for length in [0, 1, 111, 112, 65_521, 65_522, 300_000] {
            let body: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut writer = Writer::new(Vec::new(), true);
            writer
                .send(Place { first: true, last: true }, b"0506abcdefghij", &mut body.clone())
                .await
                .unwrap();
            writer.send(Place { first: true, last: false }, b"head", &mut body.clone()).await.unwrap();
            writer.pong(b"p").await.unwrap();
            writer.send(Place { first: false, last: true }, b"", &mut body.clone()).await.unwrap();
            writer.close(1000).await.unwrap();
            let mut decoder = Decoder::new(Limits { frame: 400_000, message: 700_000 });
            decoder.feed(writer.io.get_ref());
            let whole = [b"0506abcdefghij", &body[..]].concat();
            let twice = [b"head", &body[..], &body[..]].concat();
            assert_eq!(decoder.decode(), Ok(Some(Incoming::Binary((&whole).into()))), "{length}");
            assert_eq!(decoder.decode(), Ok(Some(Incoming::Pong)), "{length}");
            assert_eq!(decoder.decode(), Ok(Some(Incoming::Binary((&twice).into()))), "{length}");
            assert_eq!(decoder.decode(), Ok(Some(Incoming::Close(Some(1000)))), "{length}");
        }
        let mut writer = Writer::new(Vec::new(), true);
        assert!(writer.send_deflated(b"0506abcdefghij", &[b' '; 1000]).await.unwrap());
        assert!(!writer.send_deflated(b"0506abcdefghij", b"short").await.unwrap());
        writer.flush().await.unwrap();
        assert!(writer.io.get_ref().len() < 100);
        let mut decoder = Decoder::new(Limits::default()).deflating(true);
        decoder.feed(writer.io.get_ref());
        let whole = [&b"0506abcdefghij"[..], &[b' '; 1000]].concat();
        assert_eq!(decoder.decode(), Ok(Some(Incoming::Binary((&whole).into()))));
    }
}
