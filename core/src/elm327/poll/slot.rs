//! An item and what was learned of it.

use crate::bus::Address;
use crate::elm327::session::{Physical, Target};
use crate::time::{Duration, Instant};

use super::Tuning;
use super::item::{Item, Key};

/// A period of zero counts as this much in the comparison of lateness.
const SHORTEST: u64 = 20;

/// The longest that an item that fails is put off.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// The longest that an item is put off after a fault of the link.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// After so many failed groups in a row an item is asked alone.
const MISFITS: u8 = 3;

/// After so many answers alone it may join a group once more.
const PROBATION: u16 = 1_000;

/// An item and what was learned of it.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) key: Key,
    pub(super) item: Item,
    /// When it was asked last, and by which question: a fast link asks several in a millisecond.
    pub(super) asked: Instant,
    pub(super) turn: u32,
    /// When it should be asked.
    pub(super) due: Instant,
    /// Who answers it.
    pub(super) source: Option<Address>,
    /// The length of its data.
    pub(super) length: Option<u8>,
    /// How many lines answer it when it is asked alone, and for how many more answers to believe that.
    pub(super) lines: Option<(u8, u8)>,
    /// Whether it must be asked alone.
    pub(super) alone: bool,
    /// Failures in a row.
    pub(super) failures: u8,
    /// Groups in a row that failed with it.
    pub(super) misfits: u8,
    /// How many answers alone it owes after too many of those.
    probation: u16,
}

impl Slot {
    /// An item of which nothing is known, due at once.
    pub(super) const fn new(key: Key, item: Item, now: Instant) -> Self {
        Self {
            key,
            asked: now,
            turn: 0,
            due: now,
            source: None,
            length: item.length,
            lines: None,
            alone: true,
            failures: 0,
            misfits: 0,
            probation: 0,
            item,
        }
    }

    /// Its answer may come from another ECU next time, or have another length.
    pub(super) fn forget(&mut self) {
        self.source = None;
        self.length = self.item.length;
        self.lines = None;
    }

    /// A group failed with it.
    pub(super) fn exclude(&mut self) {
        self.alone = true;
        self.misfits = self.misfits.saturating_add(1);
        if self.misfits >= MISFITS {
            self.probation = PROBATION;
        }
        self.source = None;
        self.lines = None;
    }

    /// It answered alone.
    pub(super) fn redeem(&mut self) {
        self.probation = self.probation.saturating_sub(1);
        if self.probation == 0 {
            self.misfits = self.misfits.min(MISFITS - 1);
        }
    }

    /// How late it is, in proportion to its period and priority.
    pub(super) fn lateness(&self, now: Instant) -> u64 {
        let late = (now - self.asked).as_millis() + 1;
        let weight = u64::from(self.item.priority) + 1;
        let period = self.item.period.as_millis().max(SHORTEST);
        late.saturating_mul(weight).saturating_mul(1_000) / period
    }

    /// Whom to ask: the one that answers, rather than everyone.
    pub(super) fn target(&self, tuning: Tuning) -> Target {
        match (self.item.target, self.source) {
            (Target::Functional, Some(source)) if tuning.physical => {
                Physical::answering(source).map_or(Target::Functional, Target::Physical)
            }
            (target, _) => target,
        }
    }

    /// Whether it may share a request: it has answered alone before, with a length that is known.
    pub(super) fn may_join(&self) -> bool {
        self.item.group
            && !self.alone
            && self.misfits < MISFITS
            && self.length.is_some_and(|length| length <= 32)
    }

    /// The length of its answer when it is asked alone, with the service byte.
    pub(super) fn answer_length(&self) -> Option<usize> {
        Some(1 + self.item.repeated().len() + usize::from(self.length?))
    }

    /// Puts it off, twice as long after each time that nobody answered it.
    pub(super) fn rest(&mut self, now: Instant) {
        self.put_off(now, LONGEST_REST);
    }

    /// Puts it off because the link failed.
    pub(super) fn pause(&mut self, now: Instant) {
        self.put_off(now, LONGEST_PAUSE);
    }

    fn put_off(&mut self, now: Instant, longest: Duration) {
        self.failures = self.failures.saturating_add(1);
        let factor = 1_u64 << self.failures.min(8);
        let base = self.item.period.as_millis().max(SHORTEST);
        let span = Duration::from_millis(base.saturating_mul(factor));
        self.due = now + span.min(longest).max(self.item.period);
    }
}
