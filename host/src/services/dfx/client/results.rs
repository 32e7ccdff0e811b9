//! The results of one measurement, as a stream.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cloverleaf_core::dfx::{Id, ParseError};
use futures_util::Stream;

use super::CallError;
use super::queue::{Next, Queue, Unread};
use super::table::Table;
use crate::services::dfx::events::{BadBody, Body, Encoding, Outcome};

/// How many results are remembered, to tell a repeated one from a new one.
const REMEMBERED: usize = 256;

/// What came instead of a result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ResultError {
    /// This many of the oldest results were dropped, because nobody read them. The stream goes on.
    #[error("{0} results were dropped because they were not read")]
    Missed(u64),
    /// The server ended the measurement. The stream ends.
    #[error("the measurement was ended")]
    Ended(#[source] CallError),
    /// A result is longer than the connection takes ([`Connect::max_message`](super::Connect::max_message)). The
    /// stream goes on.
    #[error("a result is longer than {0} bytes")]
    TooLong(usize),
    /// What came for the subscription is no frame. The stream goes on.
    #[error("a result is no frame: {0}")]
    BadFrame(ParseError),
    /// The connection is gone. The stream ends.
    #[error("the connection is closed: {0}")]
    Closed(Arc<str>),
    /// A result is not what it should be. The stream goes on.
    #[error("the result is {0}")]
    BadResult(#[from] BadBody),
}

/// The results of one measurement, in the order in which they came; [`Outcome::chunk`] tells which chunk each is
/// about. A result that the server repeats is given once. Dropping the stream ends the subscription on this side.
#[derive(Debug)]
pub struct Results {
    table: Arc<Table>,
    id: Id,
    queue: Arc<Queue>,
    encoding: Encoding,
    seen: VecDeque<u64>,
    repeated: u64,
    ended: bool,
}

impl Results {
    pub(super) fn new(table: Arc<Table>, id: Id, queue: Arc<Queue>, encoding: Encoding) -> Self {
        Self { table, id, queue, encoding, seen: VecDeque::new(), repeated: 0, ended: false }
    }

    /// The RequestID of the subscription.
    pub fn id(&self) -> Id {
        self.id
    }

    /// How many results came more than once.
    pub fn repeated_count(&self) -> u64 {
        self.repeated
    }

    fn is_new(&mut self, outcome: &Outcome) -> bool {
        let mut hasher = DefaultHasher::new();
        (&outcome.data_id, &outcome.result_id).hash(&mut hasher);
        let hash = hasher.finish();
        if self.seen.contains(&hash) {
            self.repeated += 1;
            return false;
        }
        if self.seen.len() >= REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(hash);
        true
    }

    /// Nothing for a result that came before.
    fn read(&mut self, unread: Unread) -> Option<Result<Outcome, ResultError>> {
        let (status, body) = match unread {
            Unread::Message(status, body) => (status, body),
            Unread::TooLong(limit) => return Some(Err(ResultError::TooLong(limit))),
            Unread::Malformed(error) => return Some(Err(ResultError::BadFrame(error))),
        };
        if status.is_error() {
            self.ended = true;
            return Some(Err(ResultError::Ended(CallError::of(self.encoding, status, &body))));
        }
        match Outcome::decode(self.encoding, &body) {
            Ok(outcome) => self.is_new(&outcome).then_some(Ok(outcome)),
            Err(error) => Some(Err(error.into())),
        }
    }
}

impl Stream for Results {
    type Item = Result<Outcome, ResultError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(self.queue.poll(cx)) {
                Next::Missed(count) => return Poll::Ready(Some(Err(ResultError::Missed(count)))),
                Next::Unread(unread) => {
                    if let Some(result) = self.read(unread) {
                        return Poll::Ready(Some(result));
                    }
                }
                Next::Closed(reason) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(ResultError::Closed(reason))));
                }
            }
        }
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        self.table.release(self.id);
    }
}
