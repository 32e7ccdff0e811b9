//! What is known of one client's connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use socketioxide::extract::SocketRef;

use super::liveness::Liveness;
use super::send_window::SendWindow;

/// A connection: whether it lives, and how much is on its way.
#[derive(Debug, Default)]
pub struct Connection {
    /// Its signs of life.
    pub liveness: Liveness,
    /// Its window.
    pub window: SendWindow,
}

impl Connection {
    /// The connection of a socket that came through [`attach`](super::attach()).
    pub fn of(socket: &SocketRef) -> Option<Arc<Self>> {
        socket.req_parts().extensions.get().cloned()
    }

    /// Counts a short packet that a service sends without asking for room: others on the same connection ask.
    pub fn charge(socket: &SocketRef) {
        if let Some(connection) = socket.req_parts().extensions.get::<Arc<Self>>() {
            connection.window.charge(0);
        }
    }
}

/// The connections of the sessions that began by polling, by session id.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    sessions: Arc<Mutex<Sessions>>,
}

#[derive(Debug, Default)]
struct Sessions {
    connections: HashMap<String, Weak<Connection>>,
    /// With so many, those that are over are forgotten.
    sweep_at: usize,
}

impl Connections {
    /// The connection of a session, as long as that lasts.
    pub(super) fn of(&self, session: &str) -> Option<Arc<Connection>> {
        self.lock().connections.get(session)?.upgrade()
    }

    /// Remembers the connection of a session, which keeps it itself.
    pub(super) fn remember(&self, session: &str, connection: &Arc<Connection>) {
        let mut sessions = self.lock();
        if sessions.connections.len() >= sessions.sweep_at {
            sessions.connections.retain(|_, connection| connection.strong_count() > 0);
            sessions.sweep_at = 2 * sessions.connections.len() + 64;
        }
        sessions.connections.insert(session.to_owned(), Arc::downgrade(connection));
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_that_are_over_are_forgotten() {
        let connections = Connections::default();
        let lasting = Arc::<Connection>::default();
        connections.remember("lasting", &lasting);
        for number in 0..10_000 {
            connections.remember(&number.to_string(), &Arc::default());
        }
        assert!(connections.of("lasting").is_some() && connections.of("9999").is_none());
        assert!(connections.lock().connections.len() < 200);
    }
}
