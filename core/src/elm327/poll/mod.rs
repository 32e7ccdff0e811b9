//! Which signals to ask for next: keeps the link full without starving anyone.
//!
//! The owner registers [`Item`]s, each with the period it would like. [`Poller::next`] answers with the next
//! request, or until when to wait; the answer goes back through [`Poller::handle_answer`] or
//! [`Poller::handle_failure`]. Pure: no clock, no link, and no idea of what the bytes mean.
//!
//! * **Order.** Of the items that are due, the one that is latest in proportion to its period and priority leads.
//!   Lateness grows without bound, so nobody starves; periods of zero share what is left, evenly per priority.
//! * **Groups** (CAN only). Up to six items of the leader's service and ECU share its request, as far as a single
//!   frame and the known lengths of their answers allow. An item joins once it has answered alone.
//! * **One ECU.** An item that everyone may answer goes to the ECU that did, so that one answer ends it.
//! * **Response count.** The adapter returns at once when it knows how many lines will come. For one ECU on CAN that
//!   follows from the lengths; elsewhere it is learned, and learned anew every so often and after every fault.
//! * **Falling back.** A group that fails is taken apart: its items are asked alone, and groups become smaller; they
//!   grow again while they succeed. Nothing is given up for good: what failed twice is tried again much later. Who does
//!   not answer alone is asked less and less often, at most ten seconds late; a fault of the link puts nothing off.

mod group;
mod item;
mod outcome;
mod slot;

pub use item::{Full, GROUP, Item, Key, REQUEST};

use heapless::Vec;

use crate::bus::Message;
use crate::elm327::session::{Failure, Physical, Request, Target};
use crate::elm327::wire::Status;
use crate::time::{Duration, Instant};

use group::Counts;
use slot::Slot;

/// After so many answers with a learned response count it is learned anew.
const RELEARN: u8 = 100;

/// The shortest time-out that measuring may lead to: the adapter itself waits up to 0.2 s for the car.
const SHORTEST_TIMEOUT: u64 = 400;

/// What the link allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tuning {
    /// The most items in a request, 1..=[`GROUP`]; 1 wherever the bus is no CAN.
    pub group: u8,
    /// Whether to ask the one ECU that answers, instead of all.
    pub physical: bool,
    /// Whether to tell the adapter how many lines will answer.
    pub count: bool,
    /// Whether the answers of one ECU may come without headers, if their length is known: a header says how long a
    /// frame is, and so that it was cut short.
    pub bare: bool,
}

impl Tuning {
    /// What a protocol allows.
    pub const fn of(protocol: crate::bus::Protocol) -> Self {
        let can = protocol.is_can();
        Self { group: if can { GROUP as u8 } else { 1 }, physical: can, count: true, bare: can }
    }
}

/// The next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask this now, then give back what came of it.
    Ask(Question),
    /// Nothing is due before this moment; `None`: nothing at all.
    Wait(Option<Instant>),
}

/// A request to make.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Question {
    data: Vec<u8, REQUEST>,
    target: Target,
    lines: Option<u8>,
    timeout: Option<Duration>,
    bare: bool,
}

impl Question {
    /// As the session takes it.
    pub fn request(&self) -> Request<'_> {
        let Self { target, lines, timeout, bare, .. } = *self;
        Request { data: &self.data, target, lines, timeout, bare }
    }
}

/// What came of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// One ECU's answer, as if it had been asked for this alone; perhaps a negative one.
    Answer(Message<'a>),
    /// None.
    Failed(Failure),
}

/// What is under way.
#[derive(Clone, Debug)]
struct Asked {
    /// The items asked, in the order of the request.
    keys: Vec<Key, GROUP>,
    service: u8,
    at: Instant,
    counted: bool,
    /// Whether the answer may come without anything that says how long it is.
    bare: bool,
}

/// Keeps the link full; see the [module](self). Holds up to `N` items.
#[derive(Clone, Debug)]
pub struct Poller<const N: usize = 64> {
    tuning: Tuning,
    slots: Vec<Slot, N>,
    last_key: u32,
    turn: u32,
    asked: Option<Asked>,
    /// How large groups may be at present.
    group: u8,
    /// Answers in order since it last changed.
    successes: u8,
    /// Whether requests for one item, and those for several, get a response count.
    counts: Counts,
    group_counts: Counts,
    /// How long answers take, in sixteenths of a millisecond: an average that follows slowly.
    usual: Option<u64>,
}

impl<const N: usize> Poller<N> {
    /// A poller without items.
    pub const fn new(tuning: Tuning) -> Self {
        Self {
            tuning,
            slots: Vec::new(),
            last_key: 0,
            turn: 0,
            asked: None,
            group: tuning.group,
            successes: 0,
            counts: Counts::TRUSTED,
            group_counts: Counts::TRUSTED,
            usual: None,
        }
    }

    /// Forgets what was learned, for a new link or car; keeps the items.
    pub fn restart(&mut self, now: Instant, tuning: Tuning) {
        self.tuning = tuning;
        self.group = tuning.group;
        self.successes = 0;
        self.counts = Counts::TRUSTED;
        self.group_counts = Counts::TRUSTED;
        self.asked = None;
        self.usual = None;
        for slot in &mut self.slots {
            *slot = Slot::new(slot.key, slot.item.clone(), now);
        }
    }

    /// Adds an item, due at once.
    ///
    /// # Errors
    /// When there are `N` already.
    pub fn watch(&mut self, now: Instant, item: Item) -> Result<Key, Full> {
        self.last_key = self.last_key.wrapping_add(1);
        let key = Key(self.last_key);
        let slot = Slot::new(key, item, now);
        self.slots.push(slot).map_err(|_| Full)?;
        Ok(key)
    }

    /// Removes an item; what is under way for it is ignored.
    pub fn unwatch(&mut self, key: Key) {
        if let Some(at) = self.slots.iter().position(|slot| slot.key == key) {
            self.slots.swap_remove(at);
        }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// What to do now. A question that was neither answered nor failed is forgotten, its items stay due.
    pub fn next(&mut self, now: Instant) -> Next {
        let latest = |slots: &[Slot], chosen: &[Key], fits: &dyn Fn(&Slot) -> bool| {
            slots
                .iter()
                .filter(|slot| slot.due <= now && !chosen.contains(&slot.key) && fits(slot))
                .max_by(|a, b| {
                    a.lateness(now)
                        .cmp(&b.lateness(now))
                        .then(b.turn.cmp(&a.turn))
                        .then(b.key.0.cmp(&a.key.0))
                })
                .map(|slot| slot.key)
        };
        self.asked = None;
        let Some(leader) = latest(&self.slots, &[], &|_| true).and_then(|key| self.slot(key)) else {
            return Next::Wait(self.slots.iter().map(|slot| slot.due).min());
        };
        let target = leader.target(self.tuning);
        let service = leader.item.service();
        let mut keys = Vec::<Key, GROUP>::new();
        let _ = keys.push(leader.key);
        let mut data = leader.item.request.clone();
        let mut answer = leader.answer_length();
        if leader.may_join() {
            while keys.len() < usize::from(self.group) {
                let fits = |slot: &Slot| {
                    slot.may_join()
                        && slot.item.service() == service
                        && slot.target(self.tuning) == target
                        && data.len() + slot.item.parameters().len() <= REQUEST
                };
                let Some(next) = latest(&self.slots, &keys, &fits).and_then(|key| self.slot(key)) else {
                    break;
                };
                let _ = data.extend_from_slice(next.item.parameters());
                let _ = keys.push(next.key);
                answer = answer.zip(next.answer_length()).map(|(sum, more)| sum + more - 1);
            }
        }
        let lines = self.lines(&keys, target, answer);
        let fixed = |slot: &Slot| slot.item.length.is_some();
        let bare = self.tuning.bare && keys.iter().all(|key| self.slot(*key).is_some_and(fixed));
        self.turn = self.turn.wrapping_add(1);
        for slot in self.slots.iter_mut().filter(|slot| keys.contains(&slot.key)) {
            slot.asked = now;
            slot.turn = self.turn;
            // From when it was due, so that the rate is right; but what was missed is not made up for.
            slot.due = (slot.due + slot.item.period).max(now);
        }
        self.asked = Some(Asked { keys, service, at: now, counted: lines.is_some(), bare });
        Next::Ask(Question { data, target, lines, timeout: self.timeout(), bare })
    }

    fn slot(&self, key: Key) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.key == key)
    }

    fn slot_mut(&mut self, key: Key) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.key == key)
    }

    /// How many lines will answer, if that is known.
    fn lines(&self, keys: &[Key], target: Target, answer: Option<usize>) -> Option<u8> {
        let counts = if keys.len() > 1 { self.group_counts } else { self.counts };
        if !self.tuning.count || !counts.are_given() {
            return None;
        }
        let learned = match keys {
            [key] => self.slot(*key).and_then(|slot| slot.lines),
            _ => None,
        };
        let computed = match target {
            // Where nobody is known to answer alone, several may.
            Target::Physical(Physical { reply: Some(_), extended, .. }) if self.tuning.group > 1 => {
                answer.map(|length| frames(length, extended.is_some()))
            }
            _ => None,
        };
        computed.or(learned.map(|(lines, _)| lines)).filter(|lines| (1..=15).contains(lines))
    }

    /// How long the adapter may be silent: eight times what is usual, but no less than it waits for the car.
    fn timeout(&self) -> Option<Duration> {
        let usual = self.usual?;
        Some(Duration::from_millis((usual / 2).clamp(SHORTEST_TIMEOUT, 1_000)))
    }

    fn measure(&mut self, took: Duration) {
        let sample = took.as_millis().min(10_000) * 16;
        self.usual = Some(match self.usual {
            None => sample,
            Some(usual) => usual - usual / 16 + sample / 16,
        });
    }
}

/// How many CAN frames carry a message of so many bytes (ISO 15765-2: 7, or 6 and then 7 each; with an address byte in
/// each frame, one less).
fn frames(length: usize, extended: bool) -> u8 {
    let room = 7 - usize::from(extended);
    if length <= room {
        return 1;
    }
    u8::try_from(1 + (length + 1 - room).div_ceil(room)).unwrap_or(u8::MAX)
}
