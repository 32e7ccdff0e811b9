//! Who waits for what: the core's ledger, and the channels to those who wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloverleaf_core::dfx::{Action, Full, Id, Ledger, Received, Response, Slot};
use cloverleaf_core::time;
use tokio::sync::{oneshot, watch};

use super::results::{Queue, Results};
use super::{CallError, Connect, Reply};
use crate::services::dfx::events::Encoding;

#[derive(Debug)]
pub(super) struct Table {
    inner: Mutex<Inner>,
    closed: watch::Sender<bool>,
}

#[derive(Debug)]
struct Inner {
    ledger: Ledger<Vec<Slot>>,
    calls: HashMap<Id, oneshot::Sender<Result<Reply, CallError>>>,
    subscriptions: HashMap<Id, Arc<Queue>>,
    /// How many subscriptions may be open.
    max_subscriptions: usize,
    /// The longest message that is taken.
    max_message: usize,
    malformed: u64,
    closed: Option<Arc<str>>,
}

impl Table {
    pub(super) fn new(connect: &Connect) -> Self {
        let slots = connect.in_flight.saturating_add(connect.subscriptions);
        let inner = Inner {
            ledger: Ledger::new(vec![Slot::default(); slots]),
            calls: HashMap::new(),
            subscriptions: HashMap::new(),
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
    pub(super) fn call(self: &Arc<Self>, action: Action, patience: Duration) -> Result<Call, CallError> {
        let mut inner = self.lock();
        inner.check_open()?;
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        // Deadlines are kept by tokio's clock, around the call.
        let opened = inner.ledger.call(time::Instant::ZERO, action, time::Duration::from_millis(patience));
        let id = opened?;
        let (sender, reply) = oneshot::channel();
        inner.calls.insert(id, sender);
        Ok(Call { table: Arc::clone(self), id, reply })
    }

    pub(super) fn subscribe(self: &Arc<Self>, encoding: Encoding) -> Result<Results, CallError> {
        let mut inner = self.lock();
        inner.check_open()?;
        if inner.subscriptions.len() >= inner.max_subscriptions {
            return Err(Full.into());
        }
        let id = inner.ledger.subscribe()?;
        let queue = Arc::new(Queue::default());
        inner.subscriptions.insert(id, Arc::clone(&queue));
        Ok(Results::new(Arc::clone(self), id, queue, encoding))
    }

    pub(super) fn release(&self, id: Id) {
        let mut inner = self.lock();
        inner.ledger.release(id);
        inner.calls.remove(&id);
        inner.subscriptions.remove(&id);
    }

    /// Hands a message to whom it is for.
    pub(super) fn receive(&self, message: &[u8]) {
        self.hand_on(message, |_, response| Ok(response.body.to_vec()));
    }

    /// Tells whom a message is for that it was too long to be taken; only its beginning is there.
    pub(super) fn receive_head(&self, head: &[u8]) {
        self.hand_on(head, |inner, _| Err(inner.max_message));
    }

    /// The body, or the limit that it is beyond.
    fn hand_on(&self, message: &[u8], body: impl FnOnce(&Inner, Response<'_>) -> Result<Vec<u8>, usize>) {
        let mut inner = self.lock();
        match inner.ledger.receive(message) {
            Ok(Received::Reply(_, response)) => {
                let body = body(&inner, response);
                if let Some(call) = inner.calls.remove(&response.id) {
                    let status = response.status;
                    // The only error is that the caller has gone.
                    let _ = call.send(body.map(|body| Reply { status, body }).map_err(CallError::TooLong));
                }
            }
            Ok(Received::Result(response)) => {
                let body = body(&inner, response);
                if let Some(queue) = inner.subscriptions.get(&response.id) {
                    queue.push(response.status, body);
                }
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
        while inner.ledger.drain().is_some() {}
        for (_, call) in inner.calls.drain() {
            let _ = call.send(Err(CallError::Closed(Arc::clone(&reason))));
        }
        for (_, queue) in inner.subscriptions.drain() {
            queue.close(Arc::clone(&reason));
        }
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
    reply: oneshot::Receiver<Result<Reply, CallError>>,
}

impl Call {
    pub(super) fn id(&self) -> Id {
        self.id
    }

    pub(super) async fn reply(mut self) -> Result<Reply, CallError> {
        (&mut self.reply).await.unwrap_or_else(|_| Err(self.table.closed()))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.table.release(self.id);
    }
}
