//! Requests that several items share: taking their answers apart, and what failures teach.

use super::*;

/// After so many answers in order, groups may be larger by one.
const GROW: u8 = 20;

/// The longest part of a shared answer: service, parameters and up to 32 bytes of data.
const LONGEST_PART: usize = 40;

/// How often in a row a request with a response count must fail before requests go without.
const DOUBTS: u8 = 2;

/// After so many answers without a response count it is tried again.
const RETRY: u16 = 1_000;

/// The same where all that is known is that requests failed, as they do while the line is disturbed.
const RETRY_SOON: u16 = 16;

/// Whether requests carry a response count: some adapters do not know it, or only for one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    state: State,
    /// How many requests with one have failed since the last that did not.
    doubts: u8,
    /// Whether a request without has succeeded since: then it was the count.
    confirmed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Given,
    /// The last request with one failed: the next goes without, to see which of the two it was.
    Doubted,
    /// Not for so many answers.
    Withheld(u16),
}

/// What a failure is put down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// Perhaps the response count: ask again without.
    Count,
    /// Not that.
    Other,
}

impl Counts {
    pub(super) const TRUSTED: Self = Self { state: State::Given, doubts: 0, confirmed: false };

    pub(super) fn are_given(self) -> bool {
        self.state == State::Given
    }

    /// A request failed.
    pub(super) fn fail(&mut self) -> Blame {
        match self.state {
            State::Given => {
                self.doubts += 1;
                self.state = match (self.doubts < DOUBTS, self.confirmed) {
                    (true, _) => State::Doubted,
                    (false, true) => State::Withheld(RETRY),
                    (false, false) => State::Withheld(RETRY_SOON),
                };
                Blame::Count
            }
            // What spoils both may be the end of the first, so the doubt stays.
            State::Doubted => {
                self.state = State::Given;
                Blame::Other
            }
            State::Withheld(_) => Blame::Other,
        }
    }

    /// A request succeeded, with a count or without.
    pub(super) fn succeed(&mut self, counted: bool) {
        self.confirmed |= !counted;
        match self.state {
            State::Given if counted => *self = Self::TRUSTED,
            State::Given => {}
            State::Doubted => self.state = State::Given,
            State::Withheld(0) => *self = Self { state: State::Given, doubts: DOUBTS - 1, ..*self },
            State::Withheld(left) => self.state = State::Withheld(left - 1),
        }
    }
}

impl<const N: usize> Poller<N> {
    /// Takes the answer to several items.
    pub(super) fn handle_group<'a>(
        &mut self,
        now: Instant,
        asked: &Asked,
        messages: impl Iterator<Item = Message<'a>>,
        mut on_outcome: impl FnMut(Key, Outcome<'_>),
    ) {
        let mut answered = Vec::<Key, GROUP>::new();
        for message in messages {
            self.split(asked, message, |key, outcome| {
                if !answered.contains(&key) {
                    let _ = answered.push(key);
                }
                on_outcome(key, outcome);
            });
        }
        for &key in &answered {
            if let Some(slot) = self.slot_mut(key) {
                slot.failures = 0;
                slot.misfits = 0;
            }
        }
        if answered.len() == asked.keys.len() {
            self.grow();
            self.group_counts.succeed(asked.counted);
        } else {
            self.fail_group(now, asked, &answered);
        }
    }

    /// Takes one message apart into the answers of its items, as if each had been asked for alone.
    fn split(&self, asked: &Asked, message: Message<'_>, mut on_outcome: impl FnMut(Key, Outcome<'_>)) {
        let Some((&service, mut rest)) = message.data.split_first() else {
            return;
        };
        if service != asked.service | 0x40 {
            return;
        }
        let mut parts = Vec::<(Key, usize), GROUP>::new();
        // First all of it must make sense: one wrong length and every part after it would be wrong.
        while !rest.is_empty() {
            let next = asked.keys.iter().filter_map(|key| self.slot(*key)).find(|slot| {
                rest.starts_with(slot.item.repeated()) && !parts.iter().any(|(key, _)| *key == slot.key)
            });
            let Some((key, size)) = next.and_then(|slot| Some((slot.key, slot.answer_length()? - 1))) else {
                return;
            };
            let Some(tail) = rest.get(size..) else {
                return;
            };
            let _ = parts.push((key, size));
            rest = tail;
        }
        if asked.bare && parts.len() < asked.keys.len() {
            // Something is missing, perhaps in the middle of a part.
            return;
        }
        let mut rest = message.data.get(1..).unwrap_or_default();
        for (key, size) in parts {
            let (part, tail) = rest.split_at_checked(size).unwrap_or((rest, &[]));
            rest = tail;
            let mut alone = Vec::<u8, LONGEST_PART>::new();
            let _ = alone.push(service);
            if alone.extend_from_slice(part).is_ok() {
                on_outcome(key, Outcome::Answer(Message { source: message.source, data: &alone }));
            }
        }
    }

    /// A group in order, or an item that could join one.
    pub(super) fn grow(&mut self) {
        self.successes = self.successes.saturating_add(1);
        if self.successes >= GROW && self.group < self.tuning.group {
            self.group += 1;
            self.successes = 0;
        }
    }

    /// A group failed, all of it or some.
    pub(super) fn fail_group(&mut self, now: Instant, asked: &Asked, answered: &[Key]) {
        let doubtful = if asked.counted { answered.is_empty() } else { !self.group_counts.are_given() };
        if doubtful && self.group_counts.fail() == Blame::Count {
            return self.make_due(now, &asked.keys);
        }
        self.take_apart(now, &asked.keys, answered);
    }

    /// Takes what failed out of its group: those are asked alone, and groups become smaller.
    fn take_apart(&mut self, now: Instant, keys: &[Key], answered: &[Key]) {
        self.group = (self.group / 2).max(1);
        self.successes = 0;
        for slot in &mut self.slots {
            if keys.contains(&slot.key) && !answered.contains(&slot.key) {
                slot.exclude();
                slot.due = now;
            }
        }
    }

    pub(super) fn make_due(&mut self, now: Instant, keys: &[Key]) {
        for slot in self.slots.iter_mut().filter(|slot| keys.contains(&slot.key)) {
            slot.due = now;
        }
    }
}
