//! One exchange with the adapter: a line goes out, lines come back, a prompt ends them.

use crate::bus::{Format, FrameError};
use crate::elm327::command::{Command, Text};
use crate::elm327::wire::{self, Line, PROMPT, Status, is_banner};
use crate::time::{Duration, Instant};

use super::{Event, Failure, Job, Notice, Session};

/// How much longer a line that says all is awaited its prompt. Some clones send it late; it then ends nothing,
/// because a prompt with nothing before it is never an answer.
const LATE_PROMPT: Duration = Duration::from_millis(400);

/// The longest that lines of data may go on.
const LONGEST: Duration = Duration::from_secs(20);

/// The longest that the line may be restless before it is used again all the same.
const RESTLESS: Duration = Duration::from_secs(1);

/// A fatal error of the CAN controller (ELM327 data sheet, "Error Messages"): all settings are at their defaults, and no
/// CAN is searched before `AT FE`.
const FATAL: Status = Status::Internal(94);

/// What is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A blank and a carriage return to an adapter that may sleep.
    Wake,
    /// A command of the session's own.
    Command(Command),
    /// `0100`: is the car there?
    Probe,
    /// The owner's request.
    Request,
    /// The owner's command.
    Text,
    /// The owner's monitoring.
    Monitor { stopping: bool },
    /// The owner's change of the serial rate.
    Baud(Switch),
    /// A carriage return, to bring back the prompt; it also interrupts the adapter.
    Resync { tries: u8, prompted: bool },
}

/// How far a change of the serial rate has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch {
    Asked,
    Switched,
    Confirming,
}

/// What was sent and what has come back.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) what: What,
    pub(super) deadline: Option<Instant>,
    /// How long the adapter may be silent between lines of data.
    pub(super) timeout: Duration,
    /// When it must be over.
    pub(super) limit: Instant,
    pub(super) sent: Text,
    pub(super) heard: Heard,
}

/// What has come back.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// Any line at all.
    pub(super) any: bool,
    /// The line `OK`.
    pub(super) ok: bool,
    /// Lines of data.
    pub(super) lines: u8,
    /// The first thing that went wrong.
    pub(super) fault: Option<Failure>,
    /// The last line that is neither status nor echo, cut off if need be; a banner is kept.
    pub(super) text: heapless::Vec<u8, 32>,
}

impl Heard {
    fn fail(&mut self, failure: Failure) {
        self.fault.get_or_insert(failure);
    }

    /// Whether the adapter understood what it was asked for, and cannot do it, or did not.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.fault, Some(Failure::Adapter(Status::NotUnderstood | Status::OutOfMemory)))
    }
}

impl<const MESSAGES: usize, const BYTES: usize> Session<MESSAGES, BYTES> {
    /// Sends a line and waits for what comes back.
    pub(super) fn begin(&mut self, now: Instant, what: What, line: &[u8], timeout: Duration) {
        let timeout = timeout.max(Duration::from_millis(1));
        let sent = Text::from_slice(line).unwrap_or_default();
        if matches!(what, What::Request | What::Probe) {
            let mut format = Format::new(self.protocol);
            format.extended = self.is_extended();
            format.headers = self.headers;
            format.joined = !format.extended
                && self.stn.speaks
                && matches!(self.job, Some(Job::Request { bare: true, .. }));
            self.assembler.restart(format);
        }
        self.exchange = Some(Exchange {
            what,
            deadline: Some(now + timeout),
            timeout,
            limit: now + if matches!(what, What::Resync { .. }) { RESTLESS } else { LONGEST },
            sent,
            heard: Heard::default(),
        });
        self.send(line);
    }

    pub(super) fn handle_byte(&mut self, now: Instant, byte: u8) {
        if self.line_over {
            self.line_over = false;
            self.line_too_long = false;
            self.line.clear();
        }
        match byte {
            0 => {}
            b'\r' | b'\n' => self.handle_line(now),
            PROMPT => {
                self.handle_line(now);
                self.handle_prompt(now);
            }
            _ => {
                self.line_too_long |= self.line.push(byte).is_err();
                if matches!(byte, b'.' | b':') {
                    self.handle_progress(now);
                }
            }
        }
    }

    /// A line that is not over says that a search or a slow initialisation goes on: be patient.
    fn handle_progress(&mut self, now: Instant) {
        let part = wire::parse_line(&self.line).next();
        if matches!(part, Some(Line::Status(Status::Searching | Status::BusInit)))
            && self.waits_for_bus()
            && let Some(exchange) = &mut self.exchange
        {
            exchange.deadline = Some((now + self.settings.search).min(exchange.limit));
        }
    }

    /// Whether a search for the protocol, or the slow start of a bus, is waited for. Monitoring has no deadline, a
    /// carriage return must not wait for a search that it began, and whoever asks a car that was there waits for its
    /// answer: looking for the car is the session's own business.
    fn waits_for_bus(&self) -> bool {
        match self.exchange.as_ref().map(|exchange| exchange.what) {
            Some(What::Monitor { .. } | What::Resync { .. }) | None => false,
            Some(What::Request) => !self.asks_before(),
            Some(_) => true,
        }
    }

    /// The line is over.
    fn handle_line(&mut self, now: Instant) {
        self.line_over = true;
        let line = core::mem::take(&mut self.line);
        let text = wire::trim(&line);
        if !text.is_empty() {
            self.handle_text(now, text);
        }
        self.line = line;
    }

    fn handle_text(&mut self, now: Instant, line: &[u8]) {
        if self.exchange.as_ref().is_some_and(|exchange| wire::is_echo(line, &exchange.sent)) {
            return;
        }
        if is_banner(line) && !self.expects_banner() {
            return self.handle_restart(now, None);
        }
        if self.line_too_long {
            if let Some(exchange) = &mut self.exchange {
                exchange.heard.any = true;
                exchange.heard.fail(Failure::TooLong);
            }
            return;
        }
        for part in wire::parse_line(line) {
            self.handle_part(now, part);
        }
        if let Some(exchange) = &self.exchange
            && exchange.what == What::Text
        {
            self.notify(Notice::Text);
        }
    }

    /// Whether a banner is part of the answer, also to what is being interrupted: else the adapter restarted.
    fn expects_banner(&self) -> bool {
        let introduces = |exchange: &Exchange| {
            matches!(
                exchange.what,
                What::Command(Command::Reset | Command::Identify | Command::IdentifyStn)
                    | What::Wake
                    | What::Text
                    | What::Baud(_)
            )
        };
        match (&self.exchange, &self.interrupted) {
            (Some(Exchange { what: What::Resync { .. }, .. }), Some(interrupted)) => introduces(interrupted),
            // After a change of rate that failed.
            (Some(Exchange { what: What::Resync { .. }, .. }), None) => true,
            (Some(exchange), _) => introduces(exchange),
            (None, _) => false,
        }
    }

    fn handle_part(&mut self, now: Instant, part: Line<'_>) {
        if let Line::Status(status) = part {
            match status {
                Status::ActivityAlert | Status::LowPowerAlert => return self.handle_alert(now, status),
                Status::LowVoltageReset | FATAL => return self.handle_restart(now, Some(status)),
                _ => {}
            }
        }
        let waits = self.waits_for_bus();
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        let heard = &mut exchange.heard;
        heard.any = true;
        match (exchange.what, part) {
            (What::Monitor { .. }, Line::Data { fault: None, .. }) => self.notify(Notice::Frame),
            (What::Monitor { .. }, Line::Data { .. }) => self.notify(Notice::Gap),
            (What::Request | What::Probe, Line::Data { hex, fault }) => {
                // Without headers the length of a long message has a line of its own, which counts for nothing.
                let length = !self.headers && hex.len() == 3;
                heard.lines = heard.lines.saturating_add(u8::from(!length));
                // Blanks that it was told to leave out: it restarted in silence, and whoever answers is not known.
                let strange = !self.headers && self.compact && hex.contains(&b' ');
                match fault {
                    None if strange => heard.fail(Failure::Garbage),
                    Some(status) => heard.fail(Failure::Adapter(status)),
                    None => match self.assembler.push(hex) {
                        Ok(()) => {}
                        Err(FrameError::Full) => heard.fail(Failure::TooLong),
                        Err(_) => heard.fail(Failure::Garbage),
                    },
                }
                exchange.deadline = Some((now + exchange.timeout).min(exchange.limit));
            }
            (What::Request | What::Probe, Line::Text(_)) => heard.fail(Failure::Garbage),
            (What::Baud(step), part) => self.handle_switch(now, step, part),
            (what, Line::Data { hex: text, .. } | Line::Text(text)) => {
                if !is_banner(&heard.text) {
                    heard.text.clear();
                    let cut = text.get(..text.len().min(heard.text.capacity())).unwrap_or_default();
                    let _ = heard.text.extend_from_slice(cut);
                }
                if matches!(what, What::Command(_)) {
                    exchange.deadline = exchange.deadline.map(|deadline| deadline.min(now + LATE_PROMPT));
                }
            }
            (what, Line::Status(status)) => {
                match status {
                    Status::Ok => heard.ok = true,
                    Status::Searching | Status::BusInit | Status::BusInitOk => {
                        let more = match status {
                            Status::BusInitOk => exchange.timeout,
                            _ => self.settings.search,
                        };
                        if waits {
                            exchange.deadline = Some((now + more).min(exchange.limit));
                        }
                        return;
                    }
                    status => heard.fail(Failure::Adapter(status)),
                }
                if matches!(what, What::Command(_)) {
                    exchange.deadline = exchange.deadline.map(|deadline| deadline.min(now + LATE_PROMPT));
                }
            }
        }
    }

    /// The adapter speaks of going to sleep; any exchange keeps it awake.
    fn handle_alert(&mut self, now: Instant, status: Status) {
        self.notify(Notice::Alert(status));
        if self.exchange.is_none() && self.job.is_none() && self.is_up() {
            self.begin_command(now, Command::Voltage);
        }
    }

    fn handle_prompt(&mut self, now: Instant) {
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        match &mut exchange.what {
            What::Resync { prompted, .. } => {
                // Two answers may be due, the interrupted one and that to the carriage return: wait for quiet.
                *prompted = true;
                exchange.deadline = Some((now + QUIET).min(exchange.limit));
            }
            What::Wake => self.end_exchange(now),
            What::Baud(Switch::Switched) => {}
            What::Monitor { stopping: true } => self.end_exchange(now),
            _ if exchange.heard.any => self.end_exchange(now),
            _ => {}
        }
    }

    /// A step of the change of rate: `OK` at the old rate, the banner at the new, our answer, `OK`, prompt.
    fn handle_switch(&mut self, now: Instant, step: Switch, part: Line<'_>) {
        let Some(Job::Baud { to, .. }) = self.job else {
            return;
        };
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        match (step, part) {
            (Switch::Asked, Line::Status(Status::Ok)) => {
                exchange.what = What::Baud(Switch::Switched);
                exchange.deadline = Some(now + SWITCH_TIMEOUT);
                self.notify(Notice::Baud(to));
            }
            (Switch::Switched, Line::Text(text)) if is_banner(text) => {
                exchange.what = What::Baud(Switch::Confirming);
                exchange.deadline = Some(now + SWITCH_TIMEOUT);
                self.send(b"");
            }
            (Switch::Confirming, Line::Status(Status::Ok)) => exchange.heard.ok = true,
            (Switch::Asked, Line::Status(status)) => exchange.heard.fail(Failure::Adapter(status)),
            _ => {}
        }
    }
}

/// How long the line must be silent after a prompt to be trusted again.
pub(super) const QUIET: Duration = Duration::from_millis(50);

/// How long each step of a change of rate may take: the adapter itself waits 250 ms (`ATBRT32`).
const SWITCH_TIMEOUT: Duration = Duration::from_millis(400);

/// The largest event is a reference and a few words.
const _: () = assert!(size_of::<Event<'_, 1, 1>>() <= 6 * size_of::<usize>());
