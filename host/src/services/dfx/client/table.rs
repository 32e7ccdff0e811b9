//! Who waits for what: the core's ledger, with the queue of each call and subscription in its slot.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloverleaf_core::dfx::{Action, Full, Id, Ledger, Received, Response, Slot, Waiting};
use tokio::sync::watch;

use super::queue::{Next, Queue, Unread};
use super::results::Results;
use super::{CallError, Connect, Reply};
use crate::services::dfx::events::Encoding;

#[derive(Debug)]
pub(super) struct Table {
    inner: Mutex<Inner>,
    closed: watch::Sender<bool>,
}

#[derive(Debug)]
struct Inner {
    ledger: Ledger<Vec<Slot<Arc<Queue>>>, Arc<Queue>>,
    /// How many subscriptions are open, and may be.
    subscriptions: usize,
    max_subscriptions: usize,
    /// The longest message that is taken.
    max_message: usize,
    malformed: u64,
    closed: Option<Arc<str>>,
}

impl Table {
    pub(super) fn new(connect: &Connect) -> Self {
        let inner = Inner {
            ledger: Ledger::new(vec![Slot::default(); connect.in_flight + connect.subscriptions]),
            subscriptions: 0,
            max_subscriptions: connect.subscriptions,
            max_message: connect.max_message,
            malformed: 0,
            closed: None,
        };
        Self { inner: Mutex::new(inner), closed: watch::Sender::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a call; dropping what it gives ends it.
    pub(super) fn call(self: &Arc<Self>, action: Action) -> Result<Call, CallError> {
        let mut inner = self.lock();
        inner.check_open()?;
        let queue = Arc::new(Queue::default());
        // Deadlines are kept by tokio's clock, around the call.
        let id = inner.ledger.call(action, None, Arc::clone(&queue))?;
        Ok(Call { table: Arc::clone(self), id, queue })
    }

    pub(super) fn subscribe(self: &Arc<Self>, encoding: Encoding) -> Result<Results, CallError> {
        let mut inner = self.lock();
        inner.check_open()?;
        if inner.subscriptions >= inner.max_subscriptions {
            return Err(Full.into());
        }
        let queue = Arc::new(Queue::default());
        let id = inner.ledger.subscribe(Arc::clone(&queue))?;
        inner.subscriptions += 1;
        Ok(Results::new(Arc::clone(self), id, queue, encoding))
    }

    pub(super) fn release(&self, id: Id) {
        let mut inner = self.lock();
        if let Some(Waiting::Subscription(_)) = inner.ledger.release(id) {
            inner.subscriptions -= 1;
        }
    }

    /// Hands a message to whom it is for.
    pub(super) fn receive(&self, message: &[u8]) {
        self.hand_on(message, |_, Response { status, body, .. }| Unread::Message(status, body.to_vec()));
    }

    /// Tells whom a message is for that it was too long to be taken; only its beginning is there.
    pub(super) fn receive_head(&self, head: &[u8]) {
        self.hand_on(head, |inner, _| Unread::TooLong(inner.max_message));
    }

    fn hand_on(&self, message: &[u8], unread: impl FnOnce(&Inner, Response<'_>) -> Unread) {
        let mut inner = self.lock();
        match inner.ledger.receive(message) {
            Ok(Received::Reply(_, response, queue) | Received::Result(response, queue)) => {
                queue.push(unread(&inner, response));
            }
            Ok(Received::Malformed(id, waiting, error)) => {
                inner.malformed += 1;
                tracing::debug!(%id, %error, "not a DFX frame");
                waiting.waiter().push(Unread::Malformed(error));
            }
            Ok(Received::Unknown(response)) => {
                tracing::debug!(id = %response.id, status = %response.status, "nobody waits for this DFX frame");
            }
            Err(error) => {
                inner.malformed += 1;
                tracing::debug!(%error, "not a DFX frame");
            }
        }
    }

    /// Ends everything that waits.
    pub(super) fn close(&self, reason: &str) {
        let mut inner = self.lock();
        let reason: Arc<str> = reason.into();
        inner.closed.get_or_insert_with(|| Arc::clone(&reason));
        while let Some((_, waiting)) = inner.ledger.drain() {
            waiting.waiter().close(Arc::clone(&reason));
        }
        inner.subscriptions = 0;
        drop(inner);
        self.closed.send_replace(true);
    }

    /// Why nothing can be sent any more.
    pub(super) fn closed(&self) -> CallError {
        CallError::Closed(self.lock().closed.clone().unwrap_or_else(|| "closing".into()))
    }

    pub(super) async fn wait_closed(&self) {
        // The sender is in `self`: it cannot be gone.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    pub(super) fn open_count(&self) -> usize {
        self.lock().ledger.open_count()
    }

    pub(super) fn unknown_count(&self) -> u64 {
        self.lock().ledger.unknown_count()
    }

    pub(super) fn malformed_count(&self) -> u64 {
        self.lock().malformed
    }
}

impl Inner {
    fn check_open(&self) -> Result<(), CallError> {
        self.closed.clone().map_or(Ok(()), |reason| Err(CallError::Closed(reason)))
    }
}

/// A pending call.
#[derive(Debug)]
pub(super) struct Call {
    table: Arc<Table>,
    id: Id,
    queue: Arc<Queue>,
}

impl Call {
    pub(super) fn id(&self) -> Id {
        self.id
    }

    pub(super) async fn reply(self) -> Result<Reply, CallError> {
        match poll_fn(|cx| self.queue.poll(cx)).await {
            Next::Unread(Unread::Message(status, body)) => Ok(Reply { status, body }),
            Next::Unread(Unread::TooLong(limit)) => Err(CallError::TooLong(limit)),
            Next::Unread(Unread::Malformed(error)) => Err(CallError::BadFrame(error)),
            Next::Closed(reason) => Err(CallError::Closed(reason)),
            // A call has one reply at most.
            Next::Missed(_) => Err(self.table.closed()),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.table.release(self.id);
    }
}
