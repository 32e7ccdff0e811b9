//! What has been heard, so that the messages a server keeps and sends again after a rejoin are not told twice.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

/// How many messages are remembered: as many as the hub sends again at most.
const REMEMBERED: usize = crate::services::hub::history::SHOWN as usize;

/// The latest messages, as hashes.
#[derive(Debug, Default)]
pub(super) struct ReplayFilter {
    state: RandomState,
    messages: VecDeque<u64>,
    /// Those of `messages` that may come again since the last join.
    again: VecDeque<u64>,
}

impl ReplayFilter {
    /// We have joined: what was heard so far may come again.
    pub(super) fn join(&mut self) {
        self.again.clone_from(&self.messages);
    }

    /// Remembers a message; answers whether it is new. A live one always is.
    pub(super) fn hear(&mut self, name: &str, body: &str, kept: bool) -> bool {
        let message = self.state.hash_one((name, body));
        if kept && let Some(index) = self.again.iter().position(|again| *again == message) {
            self.again.remove(index);
            return false;
        }
        if self.messages.len() == REMEMBERED {
            self.messages.pop_front();
        }
        self.messages.push_back(message);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::ReplayFilter;

    #[test]
    fn only_what_was_missed_is_new_after_a_rejoin() {
        let mut heard = ReplayFilter::default();
        heard.join();
        assert!(heard.hear("ann", "before", true), "kept, and never heard");
        assert!(heard.hear("ann", "hello", false));
        assert!(heard.hear("ann", "hello", false), "said twice is said twice");
        heard.join();
        let replay = ["before", "hello", "hello", "missed", "hello"];
        let new: Vec<_> = replay.into_iter().filter(|body| heard.hear("ann", body, true)).collect();
        assert_eq!(new, ["missed", "hello"]);
    }
}
