//! From the first packet of a socket to the member it becomes, without losing one.

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socketioxide::SocketIo;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::{ConnectHandler, DisconnectHandler, FromConnectParts, MessageHandler};
use socketioxide::socket::{DisconnectReason, Socket};
use socketioxide_core::Value;

use super::Incoming;

/// What a service keeps of one connected socket.
pub trait Member: Send + Sync + 'static {
    /// Handles an event before returning: whatever is left to a task loses its place in the order.
    fn handle(&self, incoming: Incoming<'_>);

    /// The socket is gone.
    fn leave(&self);
}

/// How many events may come before their socket counts as connected; a client that sends more has not waited to be
/// let in, and is sent away.
const EARLY: usize = 64;

/// The way of a socket's events to its member.
struct Gate<M> {
    stage: Mutex<Stage<M>>,
}

enum Stage<M> {
    /// Not connected yet: packets wait, as they are, with the numbers of their acknowledgements.
    Early(Vec<(Value, Option<i64>)>),
    /// Too many waited.
    Flooded,
    In(M),
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
    let before = |socket: SocketRef| {
        let gate = Arc::new(Gate::<M> { stage: Mutex::new(Stage::Early(Vec::new())) });
        socket.on_fallback(OnEvent(Arc::clone(&gate)));
        socket.on_disconnect(OnDisconnect(Arc::clone(&gate)));
        socket.extensions.insert(gate);
        ready(Ok::<(), Infallible>(()))
    };
    let connected =
        move |ArcSocket(it): ArcSocket, socket: SocketRef, TryData(auth): TryData<serde_json::Value>| {
            if let Some(gate) = socket.extensions.get::<Arc<Gate<M>>>() {
                gate.open(&it, || join(&socket, auth.unwrap_or_default()));
            }
            ready(())
        };
    io.ns(namespace, connected.with(before));
}

impl<M: Member> Gate<M> {
    fn lock(&self) -> MutexGuard<'_, Stage<M>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, socket: &Arc<Socket>, join: impl FnOnce() -> M) {
        let mut stage = self.lock();
        match std::mem::replace(&mut *stage, Stage::Gone) {
            Stage::Early(waiting) => {
                let member = join();
                for (mut packet, ack) in waiting {
                    member.handle(Incoming::new(socket, &mut packet, ack));
                }
                *stage = Stage::In(member);
            }
            Stage::Flooded => {
                tracing::debug!(id = %socket.id, "a client sends without waiting to be let in");
                // It is on its way out; a failure to say so changes nothing.
                let _ = Arc::clone(socket).disconnect();
            }
            other @ (Stage::In(_) | Stage::Gone) => *stage = other,
        }
    }
}

/// A socket as acknowledgements need it.
struct ArcSocket(Arc<Socket>);

impl FromConnectParts<LocalAdapter> for ArcSocket {
    type Error = Infallible;

    fn from_connect_parts(socket: &Arc<Socket>, _: &Option<Value>) -> Result<Self, Infallible> {
        Ok(Self(Arc::clone(socket)))
    }
}

/// Takes a socket's events.
struct OnEvent<M>(Arc<Gate<M>>);

// Not a closure: socketioxide would spawn what that returns, for each event.
impl<M: Member> MessageHandler<LocalAdapter, ()> for OnEvent<M> {
    fn call(&self, socket: Arc<Socket>, mut packet: Value, ack: Option<i64>) {
        let mut stage = self.0.lock();
        match &mut *stage {
            Stage::In(member) => member.handle(Incoming::new(&socket, &mut packet, ack)),
            Stage::Early(waiting) if waiting.len() < EARLY => waiting.push((packet, ack)),
            Stage::Early(_) => *stage = Stage::Flooded,
            Stage::Flooded | Stage::Gone => {}
        }
    }
}

/// Hears of a socket's end.
struct OnDisconnect<M>(Arc<Gate<M>>);

impl<M: Member> DisconnectHandler<LocalAdapter, ()> for OnDisconnect<M> {
    fn call_with_defer(&self, socket: Arc<Socket>, _: DisconnectReason, remove: fn(Arc<Socket>)) {
        // At once: a client may connect again right behind, and while the old socket is there that is ignored.
        remove(socket);
        let gate = Arc::clone(&self.0);
        // As a task: whoever ends the connection may be holding what the member locks.
        tokio::spawn(async move {
            if let Stage::In(member) = std::mem::replace(&mut *gate.lock(), Stage::Gone) {
                member.leave();
            }
        });
    }
}
