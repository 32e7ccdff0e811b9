//! Who waits for what on one connection: pending calls and subscriptions, told apart by id and nothing else.
//!
//! Every call gets an id of its own, `[action: 4 digits][counter: 6 digits]`; every subscription gets
//! `rslt[counter]`, which no call can have. The counter modulo the number of slots names the slot, so finding
//! the owner of a response is one comparison however many wait, and an id cannot be given out twice while it
//! is pending. The counter wraps after a million ids; slots still taken are stepped over.

use core::fmt;
use core::marker::PhantomData;

use super::action::Action;
use super::wire::{Id, ParseError, Response};
use crate::time::Instant;

/// Room for one pending call or one subscription; the caller gives a [`Ledger`] as many as it may have.
#[derive(Clone, Copy, Debug)]
pub struct Slot<W = ()>(Option<Entry<W>>);

impl<W> Default for Slot<W> {
    fn default() -> Self {
        Self(None)
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry<W> {
    id: Id,
    what: Waiting<W>,
    deadline: Option<Instant>,
}

/// What waits under an id, and who: a handle of the caller's, if it needs one to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Waiting<W = ()> {
    /// A call of this action, for its one reply.
    Call(Action, W),
    /// A subscription, for any number of results.
    Subscription(W),
}

impl<W> Waiting<W> {
    /// Who waits.
    pub fn waiter(self) -> W {
        match self {
            Self::Call(_, waiter) | Self::Subscription(waiter) => waiter,
        }
    }
}

/// Every slot is taken: end a call or a subscription first, or give the ledger more slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("as many calls and subscriptions are open as this connection allows")
    }
}

impl core::error::Error for Full {}

/// A message from the server and whom it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Received<'m, W = ()> {
    /// The reply to a pending call, which is over now.
    Reply(Action, Response<'m>, W),
    /// Something for a subscription, which stays open.
    Result(Response<'m>, W),
    /// The id is that of a call, which is over now, or of a subscription, but the rest is no response.
    Malformed(Id, Waiting<W>, ParseError),
    /// Nobody waits for it: the call was cancelled or timed out, or the id was never given out.
    Unknown(Response<'m>),
}

/// The pending calls and subscriptions of one connection, over storage of the caller's:
/// `[Slot; N]`, `&mut [Slot]` or `Vec<Slot>`. A slot also holds who waits (`W`), for those who must be woken.
///
/// ```
/// use cloverleaf_core::dfx::{Action, Ledger, Received, Slot};
/// use cloverleaf_core::time::{Duration, Instant};
///
/// let mut ledger = Ledger::new([Slot::default(); 4]);
/// let deadline = Instant::ZERO + Duration::from_secs(5);
/// let id = ledger.call(Action::CREATE, Some(deadline), ()).unwrap();
/// assert_eq!(id.as_str(), Some("0504000000"));
/// let Ok(Received::Reply(action, response, ())) = ledger.receive(b"0504000000200{}") else { panic!() };
/// assert_eq!((action, response.body), (Action::CREATE, &b"{}"[..]));
/// assert!(matches!(ledger.receive(b"0504000000200{}"), Ok(Received::Unknown(_))));
/// ```
#[derive(Clone, Debug)]
pub struct Ledger<S, W = ()> {
    slots: S,
    waiters: PhantomData<W>,
    next: u32,
    open: usize,
    /// No deadline is earlier than this; it may be too early after a reply, never too late.
    earliest: Option<Instant>,
    unknown: u64,
}

const COUNTERS: u32 = 1_000_000;
const SUBSCRIPTION: [u8; 4] = *b"rslt";

impl<W: Clone, S: AsRef<[Slot<W>]> + AsMut<[Slot<W>]>> Ledger<S, W> {
    /// A ledger in which nothing waits yet.
    pub fn new(mut slots: S) -> Self {
        slots.as_mut().fill(Slot(None));
        Self { slots, waiters: PhantomData, next: 0, open: 0, earliest: None, unknown: 0 }
    }

    /// Opens a call, which [expires](Self::expire) at its deadline if it has one, and names it.
    ///
    /// # Errors
    /// [`Full`] when every slot is taken.
    pub fn call(&mut self, action: Action, deadline: Option<Instant>, waiter: W) -> Result<Id, Full> {
        let id = self.open(Waiting::Call(action, waiter), action.digits(), deadline)?;
        self.earliest = self.earliest.into_iter().chain(deadline).min();
        Ok(id)
    }

    /// Opens a subscription and names it: the `RequestID` of the request, and the id of its results. Open it
    /// before the request is sent, for the first result may come before the reply.
    ///
    /// # Errors
    /// [`Full`] when every slot is taken.
    pub fn subscribe(&mut self, waiter: W) -> Result<Id, Full> {
        self.open(Waiting::Subscription(waiter), SUBSCRIPTION, None)
    }

    /// Ends a call or a subscription early; what still comes for it is [`Received::Unknown`].
    pub fn release(&mut self, id: Id) -> Option<Waiting<W>> {
        let slot = self.slot(id)?;
        let entry = slot.0.take()?;
        self.open = self.open.saturating_sub(1);
        Some(entry.what)
    }

    /// Reads one message and says whom it is for.
    ///
    /// # Errors
    /// [`ParseError`] when it is not a response frame and nobody waits under its first ten bytes; nothing changes.
    pub fn receive<'m>(&mut self, message: &'m [u8]) -> Result<Received<'m, W>, ParseError> {
        let response = match Response::parse(message) {
            Ok(response) => response,
            Err(error) => return self.malformed(message, error).ok_or(error),
        };
        Ok(match self.waiting(response.id) {
            Some(Waiting::Call(action, waiter)) => {
                self.release(response.id);
                Received::Reply(action, response, waiter)
            }
            Some(Waiting::Subscription(waiter)) => Received::Result(response, waiter),
            None => {
                self.unknown = self.unknown.saturating_add(1);
                Received::Unknown(response)
            }
        })
    }

    /// A call whose reply cannot be read will get no other.
    fn malformed<'m>(&mut self, message: &[u8], error: ParseError) -> Option<Received<'m, W>> {
        let id = Id::new(*message.first_chunk()?);
        let what = self.waiting(id)?;
        if let Waiting::Call(..) = what {
            self.release(id);
        }
        Some(Received::Malformed(id, what, error))
    }

    /// Ends one call whose time is up; call it until it answers `None`.
    pub fn expire(&mut self, now: Instant) -> Option<(Id, Action)> {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return None;
        }
        let late = |slot: &Slot<W>| match &slot.0 {
            Some(Entry { id, what: Waiting::Call(action, _), deadline: Some(at) }) if *at <= now => {
                Some((*id, *action))
            }
            _ => None,
        };
        let found = self.slots.as_ref().iter().find_map(late);
        match found {
            Some((id, _)) => {
                self.release(id);
            }
            None => {
                let deadlines = self.slots.as_ref().iter().filter_map(|slot| slot.0.as_ref()?.deadline);
                self.earliest = deadlines.min();
            }
        }
        found
    }

    /// Ends everything, one by one, because the connection is gone; call it until it answers `None`.
    pub fn drain(&mut self) -> Option<(Id, Waiting<W>)> {
        let entry = self.slots.as_mut().iter_mut().find_map(|slot| slot.0.take())?;
        self.open = self.open.saturating_sub(1);
        Some((entry.id, entry.what))
    }

    /// When to call [`expire`](Self::expire) next. It may be earlier than the earliest deadline, never later.
    pub const fn deadline(&self) -> Option<Instant> {
        self.earliest
    }

    /// Calls and subscriptions that wait.
    pub const fn open_count(&self) -> usize {
        self.open
    }

    /// Frames that nobody waited for. They are counted and dropped, never kept.
    pub const fn unknown_count(&self) -> u64 {
        self.unknown
    }

    fn open(&mut self, what: Waiting<W>, prefix: [u8; 4], deadline: Option<Instant>) -> Result<Id, Full> {
        let slots = self.slots.as_mut();
        if self.open >= slots.len() {
            return Err(Full);
        }
        // Where the counter wraps it may pass fewer slots than there are, and then all of them.
        for _ in 0..slots.len().saturating_mul(2) {
            let counter = self.next;
            self.next = (counter + 1) % COUNTERS;
            let Some(slot) = slot_of(slots, counter) else { continue };
            if slot.0.is_none() {
                let id = id(prefix, counter);
                slot.0 = Some(Entry { id, what, deadline });
                self.open += 1;
                return Ok(id);
            }
        }
        Err(Full)
    }

    fn waiting(&mut self, id: Id) -> Option<Waiting<W>> {
        self.slot(id)?.0.as_ref().map(|entry| entry.what.clone())
    }

    fn slot(&mut self, id: Id) -> Option<&mut Slot<W>> {
        let slot = slot_of(self.slots.as_mut(), counter(id)?)?;
        slot.0.as_ref().is_some_and(|entry| entry.id == id).then_some(slot)
    }
}

fn slot_of<W>(slots: &mut [Slot<W>], counter: u32) -> Option<&mut Slot<W>> {
    let at = (counter as usize).checked_rem(slots.len())?;
    slots.get_mut(at)
}

fn id(prefix: [u8; 4], mut counter: u32) -> Id {
    let mut bytes = [b'0'; Id::LEN];
    for byte in bytes.iter_mut().rev().take(6) {
        *byte = b'0' + (counter % 10) as u8;
        counter /= 10;
    }
    for (byte, letter) in bytes.iter_mut().zip(prefix) {
        *byte = letter;
    }
    Id::new(bytes)
}

fn counter(id: Id) -> Option<u32> {
    let digit = |n: u32, byte: &u8| byte.is_ascii_digit().then(|| n * 10 + u32::from(byte - b'0'));
    id.as_bytes().iter().skip(4).try_fold(0, digit)
}
