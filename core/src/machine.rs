//! The contract of every protocol state machine in this crate.
//!
//! A machine owns no socket and no clock. Its owner feeds it bytes and time and carries out what it answers:
//!
//! 1. call [`handle_input`](Machine::handle_input), [`handle_timeout`](Machine::handle_timeout) or one of the
//!    machine's own requests (`elm.request(now, …)`);
//! 2. then call [`poll`](Machine::poll) until it answers [`Output::Wait`].
//!
//! Laws, tested over all machines in `tests/it/laws.rs` and fuzzed:
//!
//! * **Chunking** (byte streams): any split of the input gives the same outputs.
//! * **Progress**: a machine that waits takes at least one byte of a non-empty input.
//! * **Idempotence**: after `Wait(t)`, polling again answers `Wait(t)`.
//! * **No deadline in the past**: after `handle_timeout(now)` and draining, `Wait(t)` has `t > now`.
//! * **Resynchronisation**: after garbage, the next good reply decodes.
//!
//! Machines whose messages are delimited by their transport (Phoenix and DFX over WebSocket) take one whole
//! message per call instead of any split.

use crate::time::Instant;

/// What a machine wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a, E> {
    /// Send these bytes, all of them, before polling again.
    Transmit(&'a [u8]),
    /// Something happened that the owner asked for or should know.
    Event(E),
    /// Nothing to do until input arrives or this moment comes (`None`: only input, or a request, will do).
    Wait(Option<Instant>),
}

/// A protocol state machine; see the [module](self) for its contract.
pub trait Machine {
    /// What the machine tells its owner; it may borrow from the machine's buffers.
    type Event<'a>
    where
        Self: 'a;

    /// Takes bytes from the link and returns how many it took; the rest must be offered again after polling.
    fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> usize;

    /// Tells the machine what time it is. Calling it early is harmless.
    fn handle_timeout(&mut self, now: Instant);

    /// Answers what to do next.
    fn poll(&mut self) -> Output<'_, Self::Event<'_>>;
}
