//! What has come for one call or one subscription and waits to be read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use cloverleaf_core::dfx::{ParseError, Status};
use futures_util::task::AtomicWaker;

/// How many results may wait to be read; of more, the oldest are dropped and counted.
pub const UNREAD: usize = 256;

/// How many bytes of results may wait to be read; one alone may be longer. Of more, the oldest are dropped and counted.
pub const UNREAD_BYTES: usize = 32 << 20;

/// One message.
#[derive(Debug)]
pub(super) enum Unread {
    Message(Status, Vec<u8>),
    /// Longer than this many bytes.
    TooLong(usize),
    /// For this reader, but no response.
    Malformed(ParseError),
}

impl Unread {
    fn size(&self) -> usize {
        match self {
            Self::Message(_, body) => body.len(),
            Self::TooLong(_) | Self::Malformed(_) => 0,
        }
    }
}

/// What a reader gets.
#[derive(Debug)]
pub(super) enum Next {
    Unread(Unread),
    /// So many messages were dropped before the next.
    Missed(u64),
    Closed(Arc<str>),
}

/// A bounded queue with one reader.
#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    reader: AtomicWaker,
}

#[derive(Debug, Default)]
struct Inner {
    unread: VecDeque<Unread>,
    /// The size of all that is in `unread`.
    bytes: usize,
    missed: u64,
    closed: Option<Arc<str>>,
}

impl Inner {
    fn pop(&mut self) -> Option<Unread> {
        let unread = self.unread.pop_front()?;
        self.bytes -= unread.size();
        Some(unread)
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, unread: Unread) {
        let mut inner = self.lock();
        let size = unread.size();
        while inner.unread.len() >= UNREAD || inner.bytes + size > UNREAD_BYTES {
            if inner.pop().is_none() {
                break;
            }
            inner.missed += 1;
        }
        inner.bytes += size;
        inner.unread.push_back(unread);
        drop(inner);
        self.reader.wake();
    }

    pub(super) fn close(&self, reason: Arc<str>) {
        self.lock().closed = Some(reason);
        self.reader.wake();
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Next> {
        self.reader.register(cx.waker());
        let mut inner = self.lock();
        if inner.missed > 0 {
            return Poll::Ready(Next::Missed(std::mem::take(&mut inner.missed)));
        }
        match (inner.pop(), &inner.closed) {
            (Some(unread), _) => Poll::Ready(Next::Unread(unread)),
            (None, Some(reason)) => Poll::Ready(Next::Closed(Arc::clone(reason))),
            (None, None) => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_in_bytes_but_one_message_alone_may_be_longer() {
        // The sizes of messages that come, in MiB, how many are missed at the end, and the sizes of those that are left.
        let table: [(&[usize], u64, &[usize]); 5] = [
            (&[16, 16], 0, &[16, 16]),
            (&[16, 16, 1], 1, &[16, 1]),
            (&[1, 1, 1, 31], 2, &[1, 31]),
            (&[1, 40], 1, &[40]),
            (&[40, 0, 1], 1, &[0, 1]),
        ];
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        for (sizes, missed, left) in table {
            let queue = Queue::default();
            for size in sizes {
                queue.push(Unread::Message(Status::OK, vec![0; size << 20]));
            }
            let (mut count, mut found) = (0, Vec::new());
            while let Poll::Ready(next) = queue.poll(cx) {
                match next {
                    Next::Missed(more) => count += more,
                    Next::Unread(unread) => found.push(unread.size() >> 20),
                    Next::Closed(_) => unreachable!("nobody closed it"),
                }
            }
            assert_eq!((count, &found[..]), (missed, left), "{sizes:?}");
            assert_eq!(queue.lock().bytes, 0);
        }
    }
}
