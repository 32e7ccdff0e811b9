//! The newest value of each signal, for a slow reader.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::HashMap;

use crate::services::octane::state::Publication;

/// How many signals are remembered for a slow reader.
pub(super) const MAX_SIGNALS: usize = 1024;
/// How many bytes of values, and of the names of their signals, are remembered for a slow reader.
pub(super) const MAX_BYTES: usize = 4_194_304;

/// Values that wait, in the order in which their signals began to.
#[derive(Debug, Default)]
pub(super) struct Latest {
    values: HashMap<Arc<str>, Arc<Publication>>,
    /// Whose turn it is. A newer value keeps the turn of the one before, or signals that change often would keep the
    /// others from their turn.
    turns: VecDeque<Arc<str>>,
    bytes: usize,
}

impl Latest {
    /// Keeps a value instead of an older one of the same signal. If there is no room for it, neither stays: an old
    /// value would be taken for the newest.
    pub(super) fn remember(&mut self, signal: &Arc<str>, value: &Arc<Publication>) {
        let replaced = self.values.remove(signal);
        self.bytes -= replaced.as_ref().map_or(0, |value| bytes(signal, value));
        let grown = self.bytes + bytes(signal, value);
        if self.values.len() < MAX_SIGNALS && grown <= MAX_BYTES {
            self.bytes = grown;
            self.values.insert(Arc::clone(signal), Arc::clone(value));
            if replaced.is_none() {
                self.turns.push_back(Arc::clone(signal));
            }
        } else if replaced.is_some() {
            self.turns.retain(|it| it != signal);
        }
    }

    /// Forgets all values but these.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&Publication) -> bool) {
        let Self { values, turns, bytes: sum } = self;
        values.retain(|signal, value| {
            let kept = is_kept(value);
            *sum -= if kept { 0 } else { bytes(signal, value) };
            kept
        });
        turns.retain(|signal| values.contains_key(signal));
    }

    /// The value whose turn it is.
    pub(super) fn first(&self) -> Option<&Arc<Publication>> {
        self.values.get(self.turns.front()?)
    }

    /// Takes out the value whose turn it is.
    pub(super) fn pop(&mut self) {
        if let Some(signal) = self.turns.pop_front()
            && let Some(value) = self.values.remove(&signal)
        {
            self.bytes -= bytes(&signal, &value);
        }
    }
}

fn bytes(signal: &str, value: &Publication) -> usize {
    signal.len() + value.data.json().get().len()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::services::octane::channel::Channel;

    fn value(channel: &str, bytes: usize) -> Arc<Publication> {
        let data = RawValue::from_string(format!("\"{}\"", "-".repeat(bytes - 2))).unwrap();
        Arc::new(Publication {
            channels: vec![Channel::known(channel)],
            except: None,
            event: "v2x_BSM",
            data: data.into(),
            signal: None,
            record: false,
        })
    }

    fn all(latest: &mut Latest) -> Vec<usize> {
        let mut lengths = Vec::new();
        while let Some(value) = latest.first() {
            lengths.push(value.data.json().get().len());
            latest.pop();
        }
        lengths
    }

    #[test]
    fn of_each_signal_the_newest_value_is_kept_within_a_number_and_bytes() {
        let mut latest = Latest::default();
        for bytes in 2..1000 {
            latest.remember(&"a".into(), &value("v2x", bytes));
        }
        assert_eq!((latest.values.len(), latest.turns.len(), latest.bytes), (1, 1, 1 + 999));
        for count in 0..2 * MAX_SIGNALS {
            latest.remember(&format!("{count:04}").into(), &value("v2x", 1000));
        }
        assert_eq!(latest.values.len(), MAX_SIGNALS);
        assert_eq!(latest.bytes, 1000 + (MAX_SIGNALS - 1) * 1004, "names count");
        latest.remember(&"a".into(), &value("v2x", MAX_BYTES));
        assert!(!latest.values.contains_key("a"), "the old value does not pass for the newest");
        assert_eq!(all(&mut latest).len(), MAX_SIGNALS - 1);
        assert_eq!((latest.bytes, latest.turns.len()), (0, 0));
    }

    #[test]
    fn every_signal_has_its_turn_however_often_others_change() {
        let mut latest = Latest::default();
        for (signal, bytes) in [("z", 10), ("a", 20), ("a", 21), ("m", 30), ("z", 11)] {
            latest.remember(&signal.into(), &value("v2x", bytes));
        }
        let first = latest.first().unwrap().data.json().get().len();
        latest.pop();
        latest.remember(&"z".into(), &value("v2x", 12));
        assert_eq!((first, all(&mut latest)), (11, vec![21, 30, 12]));
    }

    #[test]
    fn what_is_left_is_forgotten() {
        let mut latest = Latest::default();
        latest.remember(&"a".into(), &value("gate", 10));
        latest.remember(&"b".into(), &value("beacon", 20));
        latest.retain(|value| value.channels[0].name() == "beacon");
        assert_eq!((latest.bytes, all(&mut latest)), (21, vec![20]));
    }
}
