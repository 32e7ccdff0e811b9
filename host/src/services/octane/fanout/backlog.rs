//! What waits for a slow reader.

use std::collections::{BTreeMap, VecDeque};

use serde_json::value::RawValue;
use socketioxide::extract::AckSender;

/// How many messages wait for a slow reader before its connection ends.
pub(super) const MAX_WAITING: usize = 16_384;
/// How many signals are remembered for a slow reader.
pub(super) const MAX_SIGNALS: usize = 1024;
/// How many bytes of messages, and how many of signals, wait for a slow reader.
pub(super) const MAX_BYTES: usize = 4_194_304;

/// Something that must not be lost.
pub(super) enum Waiting {
    Event(&'static str, Box<RawValue>),
    Ack(AckSender),
}

impl Waiting {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Event(_, data) => data.get().len(),
            Self::Ack(_) => 0,
        }
    }
}

/// What is to be sent next; `signal` is whose value it is, if it is one.
pub(super) struct Next {
    pub(super) what: Waiting,
    pub(super) signal: Option<String>,
}

/// Messages in their order, and the newest value of each signal.
#[derive(Default)]
pub(super) struct Backlog {
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    latest: BTreeMap<String, (&'static str, Box<RawValue>)>,
    latest_bytes: usize,
}

impl Backlog {
    /// Puts something behind what waits; answers whether there was room.
    pub(super) fn wait(&mut self, what: Waiting) -> bool {
        let bytes = self.waiting_bytes + what.bytes();
        // One message alone always has room, however long it is.
        let room = self.waiting.len() < MAX_WAITING && (bytes <= MAX_BYTES || self.waiting.is_empty());
        if room {
            self.waiting_bytes = bytes;
            self.waiting.push_back(what);
        }
        room
    }

    /// Keeps a value instead of an older one of the same signal. If there is no room for it, neither stays: an old
    /// value would be taken for the newest.
    pub(super) fn remember(&mut self, signal: &str, event: &'static str, data: Box<RawValue>) {
        self.drop_value(signal);
        let bytes = self.latest_bytes + data.get().len();
        if self.latest.len() < MAX_SIGNALS && bytes <= MAX_BYTES {
            self.latest_bytes = bytes;
            self.latest.insert(signal.to_owned(), (event, data));
        }
    }

    /// Takes out what is to be sent next: messages first.
    pub(super) fn next(&mut self) -> Option<Next> {
        if let Some(what) = self.waiting.pop_front() {
            self.waiting_bytes -= what.bytes();
            return Some(Next { what, signal: None });
        }
        let (signal, (event, data)) = self.latest.pop_first()?;
        self.latest_bytes -= data.get().len();
        Some(Next { what: Waiting::Event(event, data), signal: Some(signal) })
    }

    /// Puts back what could not be sent.
    pub(super) fn put_back(&mut self, next: Next) {
        match next {
            Next { what: Waiting::Event(event, data), signal: Some(signal) } => {
                self.remember(&signal, event, data);
            }
            Next { what, .. } => {
                self.waiting_bytes += what.bytes();
                self.waiting.push_front(what);
            }
        }
    }

    fn drop_value(&mut self, signal: &str) {
        if let Some((_, data)) = self.latest.remove(signal) {
            self.latest_bytes -= data.get().len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Box<RawValue> {
        RawValue::from_string(format!("\"{}\"", "-".repeat(bytes - 2))).unwrap()
    }

    fn message(bytes: usize) -> Waiting {
        Waiting::Event("user_message", text(bytes))
    }

    #[test]
    fn messages_wait_up_to_a_number_and_up_to_their_bytes() {
        let mut many = Backlog::default();
        assert!((0..MAX_WAITING).all(|_| many.wait(message(2))) && !many.wait(message(2)));
        let mut long = Backlog::default();
        assert!((0..4).all(|_| long.wait(message(MAX_BYTES / 4))) && !long.wait(message(2)));
        assert!(long.next().is_some() && long.wait(message(2)), "there is room again");
        assert!(Backlog::default().wait(message(2 * MAX_BYTES)), "one alone is never too long");
    }

    #[test]
    fn of_each_signal_the_newest_value_waits_within_a_number_and_bytes() {
        let mut backlog = Backlog::default();
        for _ in 0..1000 {
            backlog.remember("a", "v2x_BSM", text(1000));
        }
        assert_eq!((backlog.latest.len(), backlog.latest_bytes), (1, 1000));
        for count in 0..2 * MAX_SIGNALS {
            backlog.remember(&count.to_string(), "v2x_BSM", text(1000));
        }
        assert_eq!((backlog.latest.len(), backlog.latest_bytes), (MAX_SIGNALS, MAX_SIGNALS * 1000));
        backlog.remember("a", "v2x_BSM", text(MAX_BYTES));
        assert!(!backlog.latest.contains_key("a"), "the old value does not pass for the newest");
        while backlog.next().is_some() {}
        assert_eq!((backlog.latest_bytes, backlog.waiting_bytes), (0, 0));
    }

    #[test]
    fn messages_go_before_values_and_what_did_not_fit_goes_first() {
        let mut backlog = Backlog::default();
        backlog.remember("a", "v2x_BSM", text(4));
        assert!(backlog.wait(message(3)) && backlog.wait(message(5)));
        let first = backlog.next().unwrap();
        assert_eq!((first.what.bytes(), &first.signal), (3, &None));
        backlog.put_back(first);
        let lengths = std::iter::from_fn(|| backlog.next()).map(|next| next.what.bytes());
        assert_eq!(lengths.collect::<Vec<_>>(), [3, 5, 4]);
    }
}
