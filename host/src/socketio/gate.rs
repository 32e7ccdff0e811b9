//! From the first packet of a socket to the member it becomes, without losing one.

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socketioxide::SocketIo;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use tokio::time::Instant;

use super::Incoming;

/// What a service keeps of one connected socket.
pub trait Member: Send + Sync + 'static {
    /// Handles an event before returning.
    fn handle(&self, incoming: Incoming);

    /// The socket is gone.
    fn leave(&self);
}

/// How many events may come before their socket counts as connected; a client that sends more has not waited to be
/// let in, and they are dropped.
const EARLY: usize = 64;

/// How long a socket may take to count as connected once it is let in.
const CONNECTING: Duration = Duration::from_secs(10);

/// The way of a socket's events to its member.
enum Gate<M> {
    /// Not connected yet: events wait.
    Early(Vec<Incoming>),
    Open(M),
    Gone,
}

/// Serves a namespace: every socket `join`s, then its events go to the member it has become, in their order.
///
/// socketioxide tells a client that it is connected before it runs the handler of the connection, so the first event
/// of a quick client can come before anybody listens, and an answer to it would be refused. Therefore events are
/// received from before the client is told, and wait until the socket can be answered.
pub fn serve<M: Member>(
    io: &SocketIo,
    namespace: &'static str,
    join: impl Fn(&SocketRef, serde_json::Value) -> M + Clone + Send + Sync + 'static,
) {
    let before = move |socket: SocketRef, TryData(auth): TryData<serde_json::Value>| {
        let gate = Arc::new(Mutex::new(Gate::<M>::Early(Vec::new())));
        let entering = Arc::clone(&gate);
        socket.on_fallback(move |incoming: Incoming| {
            match &mut *lock(&entering) {
                Gate::Open(member) => member.handle(incoming),
                Gate::Early(waiting) if waiting.len() < EARLY => waiting.push(incoming),
                Gate::Early(_) | Gate::Gone => {}
            }
            ready(())
        });
        let leaving = Arc::clone(&gate);
        // As a task: whoever disconnects the socket may be holding the gate.
        socket.on_disconnect(move || async move {
            if let Gate::Open(member) = std::mem::replace(&mut *lock(&leaving), Gate::Gone) {
                member.leave();
            }
        });
        tokio::spawn(open(socket, auth.unwrap_or_default(), gate, join));
        ready(Ok::<(), Infallible>(()))
    };
    io.ns(namespace, (|| ready(())).with(before));
}

/// Opens the gate as soon as the socket can be answered.
async fn open<M: Member>(
    socket: SocketRef,
    auth: serde_json::Value,
    gate: Arc<Mutex<Gate<M>>>,
    join: impl Fn(&SocketRef, serde_json::Value) -> M,
) {
    let deadline = Instant::now() + CONNECTING;
    while !socket.connected() {
        if Instant::now() > deadline || matches!(*lock(&gate), Gate::Gone) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut gate = lock(&gate);
    if let Gate::Early(waiting) = &mut *gate {
        let waiting = std::mem::take(waiting);
        let member = join(&socket, auth);
        for incoming in waiting {
            member.handle(incoming);
        }
        *gate = Gate::Open(member);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
