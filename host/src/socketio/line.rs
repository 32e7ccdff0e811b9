//! What is known of one client's connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use socketioxide::extract::SocketRef;

use super::flow::Flow;
use super::pulse::Pulse;

/// A connection: whether it lives, and how much is on its way.
#[derive(Debug, Default)]
pub struct Line {
    /// Its signs of life.
    pub pulse: Pulse,
    /// Its window.
    pub flow: Flow,
}

impl Line {
    /// The line of a socket that came through [`attach`](super::attach()).
    pub fn of(socket: &SocketRef) -> Option<Arc<Self>> {
        socket.req_parts().extensions.get().cloned()
    }

    /// Counts a short packet that a service sends without asking for room: others on the same connection ask.
    pub fn charge(socket: &SocketRef) {
        if let Some(line) = socket.req_parts().extensions.get::<Arc<Self>>() {
            line.flow.charge(0);
        }
    }
}

/// The lines of the sessions that began by polling, by session id.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    sessions: Arc<Mutex<Sessions>>,
}

#[derive(Debug, Default)]
struct Sessions {
    lines: HashMap<String, Weak<Line>>,
    /// With so many, those that are over are forgotten.
    sweep_at: usize,
}

impl Lines {
    /// The line of a session, as long as that lasts.
    pub(super) fn of(&self, session: &str) -> Option<Arc<Line>> {
        self.lock().lines.get(session)?.upgrade()
    }

    /// Remembers the line of a session, which keeps it itself.
    pub(super) fn remember(&self, session: &str, line: &Arc<Line>) {
        let mut sessions = self.lock();
        if sessions.lines.len() >= sessions.sweep_at {
            sessions.lines.retain(|_, line| line.strong_count() > 0);
            sessions.sweep_at = 2 * sessions.lines.len() + 64;
        }
        sessions.lines.insert(session.to_owned(), Arc::downgrade(line));
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
        let lines = Lines::default();
        let lasting = Arc::<Line>::default();
        lines.remember("lasting", &lasting);
        for number in 0..10_000 {
            lines.remember(&number.to_string(), &Arc::default());
        }
        assert!(lines.of("lasting").is_some() && lines.of("9999").is_none());
        assert!(lines.lock().lines.len() < 200);
    }
}
