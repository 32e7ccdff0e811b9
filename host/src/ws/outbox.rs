//! What waits to be written to one client: a bounded queue that any task may fill, and that is written at once,
//! from that task, as long as the client reads.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::net::{TcpStream, UnixStream};

use super::frame::Frame;

/// The most frames one write call carries.
const COALESCED: usize = 64;

/// A queue that grew beyond this many frames in a burst gives its memory back when it is empty again.
const KEPT: usize = 16;

/// The socket itself. `Unix` is one end of a pair whose other end is copied to and from a connection that is
/// not plain TCP (TLS, or a test).
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(buffer),
            Self::Unix(stream) => stream.try_read(buffer),
        }
    }

    fn try_write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write_vectored(parts),
            Self::Unix(stream) => stream.try_write_vectored(parts),
        }
    }

    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
        }
    }

    fn shutdown(&self, how: Shutdown) {
        // The only error is that the client has gone already.
        let _ = match self {
            Self::Tcp(stream) => socket2::SockRef::from(stream).shutdown(how),
            Self::Unix(stream) => socket2::SockRef::from(stream).shutdown(how),
        };
    }
}

/// The frames on their way to one client.
///
/// **Bound:** a client is too slow for one more frame when more than `limit` bytes wait behind the frame that is being
/// written: then everything that waits (but the rest of a half-written frame) is dropped and replaced by a close with
/// code 1013, *try again later*. So at most `limit` and two frames wait, and a frame of any size gets to a client
/// that reads.
#[derive(Debug)]
pub struct Outbox {
    stream: Option<Stream>,
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    queue: VecDeque<Frame>,
    /// Bytes in `queue`.
    waiting: usize,
    /// How much of the first frame has been written.
    written: usize,
    /// Somebody has promised to call [`Outbox::flush`].
    promised: bool,
    /// The client's buffers are full: the connection's own task writes on when they are not.
    blocked: bool,
    phase: Phase,
    /// The connection's task.
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// A close frame is the last in the queue; nothing may follow it.
    Closing,
    /// The connection is gone: frames are dropped.
    Gone,
}

impl Outbox {
    pub(super) fn new(stream: Stream, limit: usize) -> Arc<Self> {
        Arc::new(Self { stream: Some(stream), limit, inner: Mutex::new(Inner::new()) })
    }

    /// A queue without a connection, for whoever fetches its frames with [`take`](Self::take).
    pub fn detached(limit: usize) -> Arc<Self> {
        Arc::new(Self { stream: None, limit, inner: Mutex::new(Inner::new()) })
    }

    /// Queues a frame; it is written when `flush` runs. Frames to a closing connection are dropped.
    pub fn push(self: &Arc<Self>, frame: Frame, flush: &mut Flush) {
        let mut inner = self.lock();
        if inner.phase != Phase::Open {
            return;
        }
        let mut wake = false;
        if inner.backlog() > self.limit
            && !inner.blocked
            && let Some(stream) = &self.stream
        {
            // Perhaps the client reads, and has only not been written to in this batch.
            inner.write(stream);
            wake = inner.blocked || inner.phase == Phase::Gone;
        }
        if inner.backlog() > self.limit {
            inner.close(1013);
            wake = true;
        } else {
            inner.append(frame);
        }
        if wake && let Some(waker) = inner.waker.take() {
            waker.wake();
        }
        if !inner.promised && !inner.blocked {
            inner.promised = true;
            flush.promised.push(Arc::clone(self));
        }
    }

    /// Ends the connection with a close frame of this code, behind what is queued.
    pub fn close(&self, code: u16) {
        let mut inner = self.lock();
        if inner.phase == Phase::Open {
            inner.append(Frame::close(code));
            inner.phase = Phase::Closing;
        }
        let waker = inner.waker.take();
        drop(inner);
        self.flush();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes all frames that wait, with the code of the close frame if that was the last.
    pub fn take(&self, waker: &Waker) -> (Vec<Frame>, bool) {
        let mut inner = self.lock();
        inner.promised = false;
        inner.waiting = 0;
        inner.waker = Some(waker.clone());
        (inner.queue.drain(..).collect(), inner.phase != Phase::Open)
    }

    /// How many bytes may wait.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a close frame has been queued or the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.lock().phase != Phase::Open
    }

    /// Nobody reads any more.
    pub(crate) fn abandon(&self) {
        let mut inner = self.lock();
        inner.phase = Phase::Gone;
        inner.queue = VecDeque::new();
        inner.waiting = 0;
        inner.waker = None;
        drop(inner);
        // Whoever still holds this queue must not keep the connection open.
        if let Some(stream) = &self.stream {
            stream.shutdown(Shutdown::Both);
        }
    }

    /// Writes what the client takes now; the rest is left to the connection's task.
    fn flush(&self) {
        let mut inner = self.lock();
        inner.promised = false;
        if inner.blocked {
            return;
        }
        let Some(stream) = &self.stream else {
            let waker = inner.waker.take();
            drop(inner);
            if let Some(waker) = waker {
                waker.wake();
            }
            return;
        };
        inner.write(stream);
        if inner.blocked || inner.phase != Phase::Open {
            let waker = inner.waker.take();
            drop(inner);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// The connection task's part: remembers whom to wake, writes on when the client reads again.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Progress {
        let mut inner = self.lock();
        let Some(stream) = &self.stream else { return Progress::Gone };
        while inner.blocked {
            match stream.poll_write_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => inner.phase = Phase::Gone,
                Poll::Ready(Ok(())) => {}
            }
            inner.blocked = false;
            inner.write(stream);
        }
        if !inner.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            inner.waker = Some(cx.waker().clone());
        }
        match inner.phase {
            Phase::Open => Progress::Open,
            Phase::Closing if inner.queue.is_empty() => {
                stream.shutdown(Shutdown::Write);
                Progress::Closed
            }
            Phase::Closing => Progress::Closing,
            Phase::Gone => Progress::Gone,
        }
    }

    pub(super) fn stream(&self) -> Option<&Stream> {
        self.stream.as_ref()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while the lock is held.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a connection's output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Open,
    /// The close frame has not been written yet.
    Closing,
    /// The close frame has been written and the sending half is shut.
    Closed,
    Gone,
}

impl Inner {
    const fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            waiting: 0,
            written: 0,
            promised: false,
            blocked: false,
            phase: Phase::Open,
            waker: None,
        }
    }

    /// How many bytes wait behind the first frame.
    fn backlog(&self) -> usize {
        self.waiting - self.queue.front().map_or(0, Frame::len)
    }

    fn append(&mut self, frame: Frame) {
        self.waiting += frame.len();
        self.queue.push_back(frame);
    }

    /// Drops what waits, except a frame that is half on the wire, and says goodbye.
    fn close(&mut self, code: u16) {
        self.queue.truncate(usize::from(self.written > 0));
        self.waiting = self.queue.iter().map(Frame::len).sum();
        self.append(Frame::close(code));
        self.phase = Phase::Closing;
    }

    /// Writes until the queue is empty or the client takes no more.
    fn write(&mut self, stream: &Stream) {
        while !self.queue.is_empty() && self.phase != Phase::Gone {
            let mut parts = [IoSlice::new(&[]); COALESCED];
            let mut count = 0;
            let mut skip = self.written;
            'fill: for frame in &self.queue {
                for part in frame.parts() {
                    let unwritten = part.get(skip..).unwrap_or_default();
                    skip = skip.saturating_sub(part.len());
                    if unwritten.is_empty() {
                        continue;
                    }
                    let Some(slot) = parts.get_mut(count) else { break 'fill };
                    *slot = IoSlice::new(unwritten);
                    count += 1;
                }
            }
            match stream.try_write(parts.get(..count).unwrap_or_default()) {
                Ok(0) => self.phase = Phase::Gone,
                Ok(written) => self.consume(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.phase = Phase::Gone,
            }
        }
        if self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
    }

    fn consume(&mut self, written: usize) {
        self.written += written;
        while let Some(length) = self.queue.front().map(Frame::len) {
            if self.written < length {
                break;
            }
            self.written -= length;
            self.waiting -= length;
            self.queue.pop_front();
        }
    }
}

/// Queues that have something to write. One batch of input fills many queues; each is then written once.
/// Dropping a `Flush` runs it.
#[derive(Debug, Default)]
pub struct Flush {
    promised: Vec<Arc<Outbox>>,
}

impl Flush {
    /// A batch that nothing has been queued in.
    pub const fn new() -> Self {
        Self { promised: Vec::new() }
    }

    /// Writes what has been queued.
    pub fn run(&mut self) {
        for outbox in self.promised.drain(..) {
            outbox.flush();
        }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.run();
    }
}
