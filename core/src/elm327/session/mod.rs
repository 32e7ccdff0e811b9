//! The state of one link to an adapter: from its reset to the answers of the car, and back after every fault.
//!
//! ```text
//!             connect                   banner         E0 L0 S0 H1 ...
//!  Offline ------------> Waking/Resetting ----> Configuring ----> Measuring (ATRV)
//!     ^   <--- mute, no ELM327 ----'               ^   power |        | below 6 V
//!     |                                            |         v        v
//!     |   prompt never comes              restart  |     Searching -> NoCar ---- later and later --> Measuring
//!     '--------------------------- any ------------'      0100 |        ^ silent for long
//!                                                              v        |
//!                                                            Ready -----'
//! ```
//!
//! One [`request`](Session::request), [`command`](Session::command), [`monitor`](Session::monitor),
//! [`switch_baud`](Session::switch_baud) or [`sleep`](Session::sleep) is under way at a time, and each ends in
//! exactly one [`Event::Reply`] or [`Event::Done`]; until then others are [`Refused::Busy`].

mod event;
mod exchange;
mod job;
mod life;
mod recovery;
mod settings;
mod stn;
mod target;

pub use event::{Answer, Event, Failure, Link, Refused};
pub use settings::{Adapter, Filter, Settings};
pub use target::{Physical, Request, Target};

use heapless::{Deque, String, Vec};

use crate::bus::{Assembler, Format, Protocol};
use crate::elm327::command::{self, LINE, Text, push_hex};
use crate::elm327::wire::{Status, trim};
use crate::machine::{Machine, Output};
use crate::time::{Duration, Instant};

use exchange::{Exchange, What};
use stn::Stn;
use target::Changes;

/// The longest line that is read, in bytes: a KWP2000 message of 255 bytes with its header. A longer one is
/// dropped, and the answer it belongs to fails with [`Failure::TooLong`].
const LINE_IN: usize = 544;

/// Where in its life the session is; see the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Offline,
    Waking,
    Resetting,
    Configuring,
    Measuring,
    Searching(Search),
    NoCar,
    Ready,
    Asleep,
}

/// How the protocol is being found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    /// The settings name it.
    Given(Protocol),
    /// The adapter searches.
    Auto,
    /// The adapter found one and is asked which.
    Number,
    /// The adapter's search was no help: the n-th of our own list.
    Candidate(usize),
}

/// What the owner asked for.
#[derive(Clone, Debug)]
enum Job {
    Request {
        data: Text,
        target: Target,
        lines: Option<u8>,
        timeout: Duration,
        /// Whether headers may be off.
        bare: bool,
        /// How often the ECU has said that its answer is pending.
        pending: u8,
        /// Whether it was asked again with a response count that means frames.
        recounted: bool,
    },
    Command {
        text: Text,
        timeout: Duration,
    },
    Monitor {
        filter: Filter,
        /// Whether to stop as soon as that is possible.
        stopping: bool,
    },
    Baud {
        from: u32,
        to: u32,
    },
    Sleep,
}

/// An event that waits to be polled, without what it borrows.
#[derive(Clone, Copy, Debug)]
enum Notice {
    Link(Link),
    Ready,
    Trouble(Failure),
    Reply(Result<Lines, Failure>),
    Text,
    Done(Result<(), Failure>),
    Voltage(u32),
    Frame,
    Gap,
    Alert(Status),
    Baud(u32),
}

/// What is known of an answer beside its messages.
#[derive(Clone, Copy, Debug)]
struct Lines {
    count: u8,
    fault: Option<Failure>,
}

/// The state of one link to an ELM327; see the [module](self). Answers have at most `MESSAGES` messages and
/// `BYTES` bytes: what exceeds them is cut off and the answer says so ([`Answer::fault`]).
///
/// ```
/// use cloverleaf_core::elm327::session::{Session, Settings};
/// use cloverleaf_core::machine::{Machine, Output};
/// use cloverleaf_core::time::Instant;
///
/// let mut elm: Session = Session::new(Settings::default());
/// elm.connect(Instant::ZERO);
/// assert!(matches!(elm.poll(), Output::Transmit(b"ATZ\r")));
/// ```
#[derive(Debug)]
pub struct Session<const MESSAGES: usize = 16, const BYTES: usize = 4096> {
    settings: Settings,
    phase: Phase,
    link: Link,
    adapter: Adapter,
    stn: Stn,
    protocol: Option<Protocol>,
    millivolts: Option<u32>,

    /// What the adapter's headers and filters are set for; `None` when that is not known.
    target: Option<Target>,
    /// Whom the request before addressed.
    last_target: Target,
    /// The last line that went to the car, while a bare carriage return would repeat it.
    last_line: Text,
    /// Whether the request under way was sent as a lone carriage return.
    repeated: bool,
    /// How many of those failed in a row; too many, and the adapter is not trusted with them any more.
    misrepeated: u8,
    /// Whether the adapter prints headers, and whether it leaves out blanks.
    headers: bool,
    compact: bool,
    /// Whether the adapter was told to wait longer than it does by itself.
    patient: bool,

    job: Option<Job>,
    /// Whether the job has begun: before, it waits for the session's own exchange to end.
    job_begun: bool,
    /// Commands to send before the phase or the job goes on.
    todo: Changes,
    exchange: Option<Exchange>,
    /// The exchange that ran out of time, while the prompt is being brought back.
    interrupted: Option<Exchange>,
    /// How often the present command or connection was tried in vain.
    attempts: u8,
    /// Connections that failed one after the other.
    failures: u8,
    /// When to try again to connect or to find the car.
    retry_at: Option<Instant>,
    /// Whether the car is asked next if it is there.
    looking: bool,
    /// Since when the car has not answered.
    silent_since: Option<Instant>,
    /// When the last exchange ended.
    last_activity: Instant,
    /// No deadline is earlier than this.
    not_before: Instant,

    /// What is to be sent.
    tx: Vec<u8, { LINE + 1 }>,
    transmit: bool,
    /// At most what one byte or one deadline can cause: six. An excess, which cannot be, would be dropped.
    notices: Deque<Notice, 8>,

    /// The line being received.
    line: Vec<u8, LINE_IN>,
    /// Whether it is over, and only kept for whoever polls.
    line_over: bool,
    line_too_long: bool,
    assembler: Assembler<MESSAGES, BYTES>,
}

impl<const MESSAGES: usize, const BYTES: usize> Session<MESSAGES, BYTES> {
    /// A session that does nothing until [`connect`](Self::connect).
    pub const fn new(settings: Settings) -> Self {
        Self {
            settings,
            phase: Phase::Offline,
            link: Link::NotConnected,
            adapter: Adapter { banner: String::new(), stn: None },
            stn: Stn::new(),
            protocol: None,
            millivolts: None,
            target: None,
            last_target: Target::Functional,
            last_line: Text::new(),
            repeated: false,
            misrepeated: 0,
            headers: true,
            compact: false,
            patient: false,
            job: None,
            job_begun: false,
            todo: Changes::new(),
            exchange: None,
            interrupted: None,
            attempts: 0,
            failures: 0,
            retry_at: None,
            looking: false,
            silent_since: None,
            last_activity: Instant::ZERO,
            not_before: Instant::ZERO,
            tx: Vec::new(),
            transmit: false,
            notices: Deque::new(),
            line: Vec::new(),
            line_over: false,
            line_too_long: false,
            assembler: Assembler::new(Format::new(None)),
        }
    }

    /// Connects from the beginning, whatever went before: wakes and resets the adapter, configures it, finds the
    /// car. A request under way fails with [`Failure::Restarted`].
    pub fn connect(&mut self, now: Instant) {
        self.failures = 0;
        self.begin_connecting(now);
    }

    /// Asks the car. The answer is an [`Event::Reply`], within the request's time and 0.8 s for recovery after
    /// a fault; a bus that must first be initialised may take as long as a search.
    ///
    /// # Errors
    /// When it cannot be asked now, or not by this adapter.
    pub fn request(&mut self, now: Instant, request: &Request<'_>) -> Result<(), Refused> {
        self.check_free()?;
        if self.phase != Phase::Ready {
            return Err(Refused::NotConnected);
        }
        let can = self.protocol.is_none_or(Protocol::is_can);
        let room = if can && !self.stn.speaks { 7 } else { MAX_REQUEST };
        if request.data.is_empty() || request.data.len() > room {
            return Err(Refused::Length);
        }
        let mut data = Text::new();
        push_hex(&mut data, request.data).map_err(|command::Full| Refused::Length)?;
        let job = Job::Request {
            data,
            target: request.target,
            lines: request.lines.filter(|lines| (1..=15).contains(lines)),
            timeout: request.timeout.unwrap_or(REQUEST_TIMEOUT)
                + request.target.timeout().unwrap_or(Duration::ZERO),
            bare: request.bare,
            pending: 0,
            recounted: false,
        };
        self.take_job(now, job);
        Ok(())
    }

    /// Sends one line as it is (`ATI`, `010C`). Each line of the answer is an [`Event::Text`], its end an
    /// [`Event::Done`]. Afterwards the session restores the settings that it relies on.
    ///
    /// # Errors
    /// When it cannot be sent now, or is empty or longer than [`LINE`] printable characters.
    pub fn command(&mut self, now: Instant, text: &[u8], timeout: Option<Duration>) -> Result<(), Refused> {
        self.check_free()?;
        if !matches!(self.phase, Phase::Ready | Phase::NoCar) {
            return Err(Refused::NotConnected);
        }
        let text = Text::from_slice(trim(text)).map_err(|_| Refused::Length)?;
        if text.is_empty() || text.iter().any(|byte| !matches!(byte, b' '..=b'~')) {
            return Err(Refused::Length);
        }
        let timeout = timeout.unwrap_or(Duration::from_millis(2_000));
        self.take_job(now, Job::Command { text, timeout });
        Ok(())
    }

    /// Prints what is heard on the bus, each frame an [`Event::Frame`], until [`stop`](Self::stop) or a fault;
    /// the end is an [`Event::Done`]. Frames that the adapter loses are an [`Event::Gap`].
    ///
    /// # Errors
    /// When it cannot begin now, or the bus is no CAN and frames are to be filtered.
    pub fn monitor(&mut self, now: Instant, filter: Filter) -> Result<(), Refused> {
        self.check_free()?;
        if !matches!(self.phase, Phase::Ready | Phase::NoCar) {
            return Err(Refused::NotConnected);
        }
        if filter != Filter::All && !self.protocol.is_none_or(Protocol::is_can) {
            return Err(Refused::Unsupported);
        }
        self.take_job(now, Job::Monitor { filter, stopping: false });
        Ok(())
    }

    /// Ends [`monitor`](Self::monitor), even while the adapter is still being prepared for it; without one under way,
    /// does nothing.
    pub fn stop(&mut self, now: Instant) {
        let Some(Job::Monitor { stopping, .. }) = &mut self.job else {
            return;
        };
        *stopping = true;
        match &mut self.exchange {
            Some(exchange) if exchange.what == (What::Monitor { stopping: false }) => {
                exchange.what = What::Monitor { stopping: true };
                exchange.deadline = Some(now + STOP_TIMEOUT);
                self.send(b"");
            }
            _ if !self.job_begun => self.end_job(now, Ok(())),
            // Once the commands that prepare it are through, it ends instead of beginning.
            _ => {}
        }
    }

    /// Changes the serial rate (`ATBRD`). [`Event::Baud`] tells the transport when to follow, and again when the
    /// adapter did not like it; the end is an [`Event::Done`].
    ///
    /// # Errors
    /// When it cannot begin now, or the adapter has no such rate.
    pub fn switch_baud(&mut self, now: Instant, from: u32, to: u32) -> Result<(), Refused> {
        self.check_free()?;
        if !matches!(self.phase, Phase::Ready | Phase::NoCar) {
            return Err(Refused::NotConnected);
        }
        command::baud_divisor(to).ok_or(Refused::Unsupported)?;
        self.take_job(now, Job::Baud { from, to });
        Ok(())
    }

    /// Puts the adapter into low power; the end is an [`Event::Done`]. [`connect`](Self::connect) wakes it.
    ///
    /// # Errors
    /// When it cannot be done now.
    pub fn sleep(&mut self, now: Instant) -> Result<(), Refused> {
        self.check_free()?;
        if !matches!(self.phase, Phase::Ready | Phase::NoCar) {
            return Err(Refused::NotConnected);
        }
        self.take_job(now, Job::Sleep);
        Ok(())
    }

    /// How far the connection reaches.
    pub const fn link(&self) -> Link {
        self.link
    }

    /// Whether [`request`](Self::request) would be taken, if its request is sound. What the session still has to say
    /// must be polled first.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready && self.check_free().is_ok()
    }

    /// What the adapter said about itself.
    pub const fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// The protocol in use, once known.
    pub const fn protocol(&self) -> Option<Protocol> {
        self.protocol
    }

    /// The last voltage read, in millivolts.
    pub const fn millivolts(&self) -> Option<u32> {
        self.millivolts
    }

    fn check_free(&self) -> Result<(), Refused> {
        if self.job.is_some() || !self.notices.is_empty() || self.transmit {
            return Err(Refused::Busy);
        }
        Ok(())
    }

    /// Leaves an event to be polled.
    fn notify(&mut self, notice: Notice) {
        let _ = self.notices.push_back(notice);
    }

    /// Leaves a line to be sent.
    fn send(&mut self, line: &[u8]) {
        self.tx.clear();
        // One longer than any line.
        let _ = self.tx.extend_from_slice(line);
        let _ = self.tx.push(b'\r');
        self.transmit = true;
    }
}

/// The most bytes of a request: what a line of an STN holds beside its header and options.
const MAX_REQUEST: usize = 24;

/// How long the adapter may be silent while it asks the car. It gives up by itself after 0.2 s (`AT ST`), but a
/// K-line bus is slow.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(1_000);

/// How long the adapter may take to notice that monitoring should end.
const STOP_TIMEOUT: Duration = Duration::from_millis(1_000);

impl<const MESSAGES: usize, const BYTES: usize> Machine for Session<MESSAGES, BYTES> {
    type Event<'a> = Event<'a, MESSAGES, BYTES>;

    fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for &byte in bytes {
            if self.transmit || !self.notices.is_empty() {
                break;
            }
            self.handle_byte(now, byte);
            taken += 1;
        }
        taken
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.transmit || !self.notices.is_empty() {
            return;
        }
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            // What else is due by now comes next, and not in the past.
            self.not_before = now + Duration::from_millis(1);
            self.handle_deadline(now);
        }
    }

    fn poll(&mut self) -> Output<'_, Self::Event<'_>> {
        if let Some(notice) = self.notices.pop_front() {
            return Output::Event(match notice {
                Notice::Link(link) => Event::Link(link),
                Notice::Ready => Event::Ready,
                Notice::Trouble(failure) => Event::Trouble(failure),
                Notice::Reply(result) => Event::Reply(result.map(|lines| Answer {
                    assembler: &self.assembler,
                    only: self.last_target.reply(),
                    lines: lines.count,
                    fault: lines.fault,
                })),
                Notice::Text => Event::Text(trim(&self.line)),
                Notice::Done(result) => Event::Done(result),
                Notice::Voltage(millivolts) => Event::Voltage(millivolts),
                Notice::Frame => Event::Frame(trim(&self.line)),
                Notice::Gap => Event::Gap,
                Notice::Alert(status) => Event::Alert(status),
                Notice::Baud(baud) => Event::Baud(baud),
            });
        }
        if self.transmit {
            self.transmit = false;
            return Output::Transmit(&self.tx);
        }
        Output::Wait(self.deadline())
    }
}
