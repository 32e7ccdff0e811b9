//! An end of the cable between a program and the simulated adapter: bytes, and the serial rate at which they travel.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// The serial rate of the program's end, in bits per second; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Rate(Arc<AtomicU32>);

impl Rate {
    pub(super) fn new(baud: u32) -> Self {
        Self(Arc::new(AtomicU32::new(baud)))
    }

    pub(super) fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One end of a cable. At first both ends have the same rate.
#[derive(Debug)]
pub struct Cable {
    bytes: DuplexStream,
    rate: Rate,
}

impl Cable {
    pub(super) const fn new(bytes: DuplexStream, rate: Rate) -> Self {
        Self { bytes, rate }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate.clone()
    }

    /// The rate of the program's end, in bits per second.
    pub fn baud(&self) -> u32 {
        self.rate.get()
    }

    /// Changes the rate of the program's end. What the adapter sends at another rate arrives garbled.
    pub fn set_baud(&self, baud: u32) {
        self.rate.0.store(baud, Ordering::Relaxed);
    }
}

impl AsyncRead for Cable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(cx)
    }
}
