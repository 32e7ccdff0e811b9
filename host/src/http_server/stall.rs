//! A connection that is given up when nobody reads it.
//!
//! Whoever stops reading (a stopped process, a laptop asleep) lets the kernel's buffers fill, and a write then waits for
//! as long as TCP keeps the connection, which may be for ever: what waits with it is never freed. So writes have to
//! make progress.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream that fails, for good and in both directions, once a write has waited too long.
pub(crate) struct StallGuard<S> {
    stream: S,
    timeout: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    given_up: bool,
    /// Who waits to read, and would not hear of the end otherwise.
    reader: Option<Waker>,
}

impl<S> StallGuard<S> {
    pub(super) fn new(stream: S, timeout: Duration) -> Self {
        Self { stream, timeout, stalled: None, given_up: false, reader: None }
    }

    /// The stream alone, for who sees to it that writes make progress.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    fn check(&self) -> io::Result<()> {
        if self.given_up { Err(ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl<S: Unpin> StallGuard<S> {
    /// Writes or flushes, unless that has waited too long.
    fn poll_moving<T>(
        &mut self,
        cx: &mut Context<'_>,
        work: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.check()?;
        if let Poll::Ready(done) = work(Pin::new(&mut self.stream), cx) {
            self.stalled = None;
            return Poll::Ready(done);
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.timeout)));
        if stalled.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.given_up = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallGuard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_pending() && !self.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
            self.reader = Some(cx.waker().clone());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallGuard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_moving(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_moving(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_moving(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(45);

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_reads_ends_both_directions_for_good() {
        let (stream, mut peer) = duplex(64);
        let (mut reading, mut writing) = split(StallGuard::new(stream, TIMEOUT));
        let reader = tokio::spawn(async move { reading.read_u8().await });
        assert_eq!(writing.write_all(&[0; 65]).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(reader.await.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
        peer.read_exact(&mut [0; 64]).await.unwrap();
        assert_eq!(writing.write_u8(0).await.unwrap_err().kind(), ErrorKind::TimedOut, "too late");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_a_byte_now_and_then_is_waited_for() {
        let (stream, mut peer) = duplex(64);
        let mut stream = StallGuard::new(stream, TIMEOUT);
        let reading = tokio::spawn(async move {
            for _ in 0..20 {
                sleep(TIMEOUT - Duration::from_secs(1)).await;
                peer.read_u8().await.unwrap();
            }
            peer
        });
        stream.write_all(&[0; 64 + 20]).await.unwrap();
        reading.await.unwrap();
    }
}
