//! Runs a [`Machine`] over an async byte stream: the only async code in this crate.
//!
//! The driver is generic over [`BufRead`] + [`Write`] rather than `Read`: waiting for input or a deadline drops
//! the losing future, and `fill_buf`/`consume` lose no bytes when dropped while a plain `read` would.

use core::future::{Future, pending};
use core::ops::ControlFlow;

use embassy_futures::select::{Either3, select3};
use embedded_io_async::{BufRead, Write};

use crate::machine::{Machine, Output};
use crate::time::Instant;

/// The time of day as far as machines care, and the ability to wait for it.
#[allow(async_fn_in_trait, reason = "generic, never dyn: each use knows whether its future is Send")]
pub trait Clock {
    /// The present moment; it never goes back.
    fn now(&self) -> Instant;

    /// Returns at or after `deadline`; never, when there is none. Must be safe to drop while waiting.
    async fn sleep_until(&mut self, deadline: Option<Instant>);
}

/// Why the link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error<E> {
    /// Reading failed.
    Read(E),
    /// Writing or flushing failed.
    Write(E),
    /// The other side closed the stream.
    Closed,
}

impl<E: core::fmt::Display> core::fmt::Display for Error<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Read(error) => write!(f, "reading from the link failed: {error}"),
            Self::Write(error) => write!(f, "writing to the link failed: {error}"),
            Self::Closed => f.write_str("the other side closed the link"),
        }
    }
}

impl<E: core::error::Error> core::error::Error for Error<E> {}

/// A machine, its link and its clock.
#[derive(Debug)]
pub struct Driver<M, RW, C> {
    /// The machine, for its requests and state; poll it only through the driver.
    pub machine: M,
    io: RW,
    clock: C,
}

impl<M: Machine, RW: BufRead + Write, C: Clock> Driver<M, RW, C> {
    /// Joins a machine to its link.
    pub const fn new(machine: M, io: RW, clock: C) -> Self {
        Self { machine, io, clock }
    }

    /// The driver's present moment, for requests made on [`machine`](Self::machine) between runs.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The link itself, to change how it is set; what it has to say is read by the driver alone.
    pub const fn io(&mut self) -> &mut RW {
        &mut self.io
    }

    /// Gives back the link, for a machine of another kind.
    pub fn into_io(self) -> RW {
        self.io
    }

    /// Runs until `on_event` breaks with an answer.
    ///
    /// # Errors
    /// When the link fails or closes. The machine is as it was and can be joined to a new link.
    pub async fn run<T>(
        &mut self,
        on_event: impl FnMut(M::Event<'_>) -> ControlFlow<T>,
    ) -> Result<T, Error<RW::Error>> {
        self.run_until(pending(), on_event).await
    }

    /// Runs until `on_event` breaks, or until `interrupt` is ready *while the machine waits*: an interrupt
    /// never cuts a transmission in two.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_until<T>(
        &mut self,
        interrupt: impl Future<Output = T>,
        on_event: impl FnMut(M::Event<'_>) -> ControlFlow<T>,
    ) -> Result<T, Error<RW::Error>> {
        match self.drive(None, interrupt, on_event).await? {
            Some(answer) => Ok(answer),
            // Only an end comes without an answer, and there is none.
            None => pending().await,
        }
    }

    /// Runs until `on_event` breaks with an answer, or until `end`: then there is none. With one clock for both,
    /// where a board has only one.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_to<T>(
        &mut self,
        end: Option<Instant>,
        on_event: impl FnMut(M::Event<'_>) -> ControlFlow<T>,
    ) -> Result<Option<T>, Error<RW::Error>> {
        self.drive(end, pending(), on_event).await
    }

    async fn drive<T>(
        &mut self,
        end: Option<Instant>,
        interrupt: impl Future<Output = T>,
        mut on_event: impl FnMut(M::Event<'_>) -> ControlFlow<T>,
    ) -> Result<Option<T>, Error<RW::Error>> {
        let mut interrupt = core::pin::pin!(interrupt);
        loop {
            let mut transmitted = false;
            let deadline = loop {
                match self.machine.poll() {
                    Output::Transmit(bytes) => {
                        self.io.write_all(bytes).await.map_err(Error::Write)?;
                        transmitted = true;
                    }
                    Output::Event(event) => {
                        if let ControlFlow::Break(answer) = on_event(event) {
                            return Ok(Some(answer));
                        }
                    }
                    Output::Wait(deadline) => break deadline,
                }
            };
            if transmitted {
                self.io.flush().await.map_err(Error::Write)?;
            }
            let input = self.io.fill_buf();
            let due = match (deadline, end) {
                (Some(deadline), Some(end)) => Some(deadline.min(end)),
                (deadline, end) => deadline.or(end),
            };
            let timeout = self.clock.sleep_until(due);
            match select3(input, timeout, interrupt.as_mut()).await {
                Either3::First(Ok([])) => return Err(Error::Closed),
                Either3::First(Ok(bytes)) => {
                    let taken = self.machine.handle_input(self.clock.now(), bytes);
                    self.io.consume(taken);
                }
                Either3::First(Err(error)) => return Err(Error::Read(error)),
                Either3::Second(()) => {
                    let now = self.clock.now();
                    self.machine.handle_timeout(now);
                    if end.is_some_and(|end| end <= now) {
                        return Ok(None);
                    }
                }
                Either3::Third(answer) => return Ok(Some(answer)),
            }
        }
    }
}
