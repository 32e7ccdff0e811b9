//! Runs a [`Machine`] over an async byte stream: the only async code in this crate.
//!
//! The driver is generic over [`BufRead`] + [`Write`] rather than `Read`: waiting for input or a deadline drops
//! the losing future, and `fill_buf`/`consume` lose no bytes when dropped while a plain `read` would.

use core::convert::Infallible;
use core::future::{Future, pending, ready};
use core::ops::ControlFlow;

use embassy_futures::select::{Either, Either3, select, select3};
use embedded_io_async::{BufRead, Write};

use crate::elm327::session::{Answer, Event, Failure, Refused, Request, Session};
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
    pub const fn io_mut(&mut self) -> &mut RW {
        &mut self.io
    }

    /// Runs until `on_event` breaks with an answer.
    ///
    /// # Errors
    /// When the link fails or closes. The machine is as it was and can be joined to a new link.
    pub async fn run<T>(
        &mut self,
        on_event: impl FnMut(M::Event<'_>) -> ControlFlow<T>,
    ) -> Result<T, Error<RW::Error>> {
        self.run_or(pending(), on_event).await
    }

    /// Runs until `on_event` breaks, or until `interrupt` is ready *while the machine waits*: an interrupt
    /// never cuts a transmission in two.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_or<T>(
        &mut self,
        interrupt: impl Future<Output = T>,
        mut on_event: impl FnMut(M::Event<'_>) -> ControlFlow<T>,
    ) -> Result<T, Error<RW::Error>> {
        match self.drive(None, interrupt, |_, event| on_event(event)).await? {
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
    pub async fn run_until<T>(
        &mut self,
        end: Option<Instant>,
        mut on_event: impl FnMut(M::Event<'_>) -> ControlFlow<T>,
    ) -> Result<Option<T>, Error<RW::Error>> {
        self.drive(end, pending(), |_, event| on_event(event)).await
    }

    /// Lets the machine say what it has to say, after what has arrived by now: then it takes a request, if it takes
    /// any. Waits for nothing else.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn settle(&mut self, mut on_event: impl FnMut(M::Event<'_>)) -> Result<(), Error<RW::Error>> {
        let mut on_event = |_, event: M::Event<'_>| {
            on_event(event);
            ControlFlow::<Infallible>::Continue(())
        };
        let ControlFlow::Continue(_) = self.drain(&mut on_event).await?;
        let Either::First(arrived) = select(self.io.fill_buf(), ready(())).await else {
            return Ok(());
        };
        let mut left = arrived.map_err(Error::Read)?.len();
        loop {
            left = left.saturating_sub(self.take_input().await?);
            let ControlFlow::Continue(_) = self.drain(&mut on_event).await?;
            if left == 0 {
                return Ok(());
            }
        }
    }

    async fn drive<T>(
        &mut self,
        end: Option<Instant>,
        interrupt: impl Future<Output = T>,
        mut on_event: impl FnMut(Instant, M::Event<'_>) -> ControlFlow<T>,
    ) -> Result<Option<T>, Error<RW::Error>> {
        let mut interrupt = core::pin::pin!(interrupt);
        loop {
            let deadline = match self.drain(&mut on_event).await? {
                ControlFlow::Break(answer) => return Ok(Some(answer)),
                ControlFlow::Continue(deadline) => deadline,
            };
            // Time passes also while there is always something to read, and so must be looked at first.
            let now = self.clock.now();
            let is_past = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
            if is_past(deadline) {
                self.machine.handle_timeout(now);
                continue;
            }
            if is_past(end) {
                return Ok(None);
            }
            let due = deadline.into_iter().chain(end).min();
            let arrived =
                match select3(interrupt.as_mut(), self.io.fill_buf(), self.clock.sleep_until(due)).await {
                    Either3::First(answer) => return Ok(Some(answer)),
                    Either3::Second(arrived) => arrived.map(drop),
                    Either3::Third(()) => continue,
                };
            arrived.map_err(Error::Read)?;
            self.take_input().await?;
        }
    }

    /// Feeds the machine what the link lends, and tells how much of it that was.
    async fn take_input(&mut self) -> Result<usize, Error<RW::Error>> {
        let bytes = self.io.fill_buf().await.map_err(Error::Read)?;
        if bytes.is_empty() {
            return Err(Error::Closed);
        }
        let taken = self.machine.handle_input(self.clock.now(), bytes);
        self.io.consume(taken);
        Ok(taken)
    }

    /// Carries out what the machine says until it waits, or `on_event` breaks.
    async fn drain<T>(
        &mut self,
        on_event: &mut impl FnMut(Instant, M::Event<'_>) -> ControlFlow<T>,
    ) -> Result<ControlFlow<T, Option<Instant>>, Error<RW::Error>> {
        let mut transmitted = false;
        let ended = loop {
            match self.machine.poll() {
                Output::Transmit(bytes) => {
                    self.io.write_all(bytes).await.map_err(Error::Write)?;
                    transmitted = true;
                }
                Output::Event(event) => {
                    if let ControlFlow::Break(answer) = on_event(self.clock.now(), event) {
                        break ControlFlow::Break(answer);
                    }
                }
                Output::Wait(deadline) => break ControlFlow::Continue(deadline),
            }
        };
        if transmitted {
            self.io.flush().await.map_err(Error::Write)?;
        }
        Ok(ended)
    }
}

impl<const MESSAGES: usize, const BYTES: usize, RW: BufRead + Write, C: Clock>
    Driver<Session<MESSAGES, BYTES>, RW, C>
{
    /// Asks the car one thing and waits for what comes of it, which `on_reply` gets with the moment at which it came.
    /// What else happens meanwhile, the link's state before all, `on_event` is told.
    ///
    /// # Errors
    /// As [`run`](Self::run); within, when the session does not take the request.
    pub async fn ask<T>(
        &mut self,
        request: Request<'_>,
        mut on_event: impl FnMut(&Event<'_, MESSAGES, BYTES>),
        mut on_reply: impl FnMut(Instant, Result<Answer<'_, MESSAGES, BYTES>, Failure>) -> T,
    ) -> Result<Result<T, Refused>, Error<RW::Error>> {
        self.settle(|event| on_event(&event)).await?;
        if let Err(refused) = self.machine.request(self.clock.now(), &request) {
            return Ok(Err(refused));
        }
        let on_event = |now, event: Event<'_, MESSAGES, BYTES>| {
            on_event(&event);
            match event {
                Event::Reply(result) => ControlFlow::Break(on_reply(now, result)),
                _ => ControlFlow::Continue(()),
            }
        };
        match self.drive(None, pending(), on_event).await? {
            Some(answer) => Ok(Ok(answer)),
            None => pending().await,
        }
    }
}
