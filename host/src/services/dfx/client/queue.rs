//! What has come for one call or one subscription and waits to be read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use cloverleaf_core::dfx::{ParseError, Status};
use futures_util::task::AtomicWaker;

/// How many results may wait to be read; of more, the oldest are dropped and counted.
pub const UNREAD: usize = 256;

/// One message.
#[derive(Debug)]
pub(super) enum Unread {
    Message(Status, Vec<u8>),
    /// Longer than this many bytes.
    TooLong(usize),
    /// For this reader, but no response.
    Malformed(ParseError),
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
    missed: u64,
    closed: Option<Arc<str>>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, unread: Unread) {
        let mut inner = self.lock();
        if inner.unread.len() >= UNREAD {
            inner.unread.pop_front();
            inner.missed += 1;
        }
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
        match (inner.unread.pop_front(), &inner.closed) {
            (Some(unread), _) => Poll::Ready(Next::Unread(unread)),
            (None, Some(reason)) => Poll::Ready(Next::Closed(Arc::clone(reason))),
            (None, None) => Poll::Pending,
        }
    }
}
