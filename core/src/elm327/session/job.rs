//! What the owner asks for: preparing, performing and ending it.

use crate::bus::Protocol;
use crate::elm327::command::{Command, Text, baud_divisor, hex_digit};
use crate::elm327::wire::{Status, is_echo};
use crate::time::{Duration, Instant};

use super::event::{answers, answers_service, is_pending};
use super::exchange::{Exchange, Heard, Switch, What};
use super::life::SETTINGS;
use super::target::{Physical, change, functional, is_wide};
use super::{Failure, Filter, Job, Lines, Notice, Session, Target, stn};

/// The most that the adapter can be told to wait for an ECU (`AT ST FF`).
const LONGEST_TIMEOUT: Duration = Duration::from_millis(1_020);

/// How long a request waits for the session's own exchange: the adapter says NO DATA after 0.2 s.
const OWN_TIMEOUT: Duration = Duration::from_millis(300);

/// How much longer than the adapter we wait.
const MARGIN: Duration = Duration::from_millis(200);

/// The bytes of a message that its first frame carries, and those that a single frame does (ISO 15765-2).
const FIRST_FRAME: usize = 6;
const SINGLE_FRAME: usize = 7;

/// How many lone carriage returns in a row may fail.
const MISREPEATS: u8 = 2;

/// How often an ECU may say that its answer is pending: together as long as ISO 14229-2 lets it, 5 s.
const PENDING: u8 = 4;

/// The first deadline of monitoring, before it is lifted.
const REFRESH: Duration = Duration::from_millis(1_000);

impl<const MESSAGES: usize, const BYTES: usize> Session<MESSAGES, BYTES> {
    pub(super) fn take_job(&mut self, now: Instant, job: Job) {
        self.job = Some(job);
        self.job_begun = false;
        match &mut self.exchange {
            // The session's own exchange first, but no longer than one of those takes where all is well.
            Some(exchange) => {
                let soon = now + OWN_TIMEOUT;
                exchange.limit = exchange.limit.min(soon);
                exchange.deadline = exchange.deadline.map(|deadline| deadline.min(soon));
            }
            None => self.proceed(now),
        }
    }

    /// What must be told the adapter before the job.
    pub(super) fn prepare(&mut self) {
        let protocol = self.protocol.unwrap_or(Protocol::Can11Fast);
        let bare = matches!(&self.job, Some(Job::Request { bare: true, target, data, .. })
            if protocol.is_can() && target.reply().is_some() && self.stn_header(*target, data).is_none());
        match &self.job {
            // Who answers must not be hidden by what was set for another.
            Some(Job::Request { data, target, .. })
                if self.stn_header(*target, data).is_some()
                    && !matches!(self.target, Some(set) if set == *target || set == Target::Functional) =>
            {
                change(self.target, Target::Functional, protocol, &mut self.stn, &mut self.todo);
                self.target = Some(Target::Functional);
            }
            Some(Job::Request { data, target, .. })
                if self.target != Some(*target) && self.stn_header(*target, data).is_none() =>
            {
                change(self.target, *target, protocol, &mut self.stn, &mut self.todo);
                self.target = Some(*target);
            }
            Some(Job::Monitor { filter, .. }) if protocol.is_can() => {
                if self.target.is_none_or(|target| target.reply().is_some()) {
                    // Monitoring obeys the filter for the one that was asked last.
                    let _ = self.todo.push_back(Command::ReceiveAny);
                    self.target = None;
                }
                let _ = self.todo.push_back(Command::Formatting(false));
                let filters: &[Command] = match (*filter, self.stn.speaks, is_wide(protocol)) {
                    (Filter::All, ..) => &[],
                    (Filter::Pass { pattern, mask }, true, true) => {
                        &[Command::ClearFilters, Command::PassLong { pattern, mask }]
                    }
                    (Filter::Pass { pattern, mask }, true, false) => &[
                        Command::ClearFilters,
                        Command::PassShort { pattern: pattern as u16 & 0x7FF, mask: mask as u16 & 0x7FF },
                    ],
                    (Filter::Pass { pattern, mask }, false, true) => {
                        &[Command::FilterLong(pattern), Command::MaskLong(mask)]
                    }
                    (Filter::Pass { pattern, mask }, false, false) => &[
                        Command::FilterShort(pattern as u16 & 0x7FF),
                        Command::MaskShort(mask as u16 & 0x7FF),
                    ],
                };
                self.todo.extend(filters.iter().copied());
            }
            Some(Job::Baud { .. }) => {
                let _ = self.todo.push_back(Command::BaudTimeout(Duration::from_millis(250)));
            }
            _ => {}
        }
        let waits = |data, pending| !only_reads(data) || pending > 0;
        if matches!(&self.job, Some(Job::Request { data, pending, .. }) if waits(data, *pending)) {
            // It will not be asked again, or asked for time.
            self.be_patient();
        }
        if self.headers == bare {
            self.headers = !bare;
            let _ = self.todo.push_back(Command::Headers(!bare));
        }
        // A line of joined frames does not say how long it is, which whoever asks for it bare knows.
        let join = bare && self.stn.speaks;
        if self.stn.joins != join {
            self.stn.joins = join;
            let _ = self.todo.push_back(Command::Reassemble(join));
        }
    }

    /// Has the adapter told to wait for as long as it can.
    fn be_patient(&mut self) {
        if let Some(Job::Request { target, .. }) = &self.job
            && !self.patient
        {
            self.patient = true;
            let own = target.timeout().unwrap_or(Duration::ZERO);
            let _ = self.todo.push_back(self.stn.timeout(Some(own.max(LONGEST_TIMEOUT))));
        }
    }

    /// The job itself.
    pub(super) fn perform(&mut self, now: Instant) {
        let Some(job) = &self.job else {
            return;
        };
        match job {
            Job::Request { data, target, lines, timeout, pending, recounted, .. } => {
                let (target, timeout) = (*target, *timeout);
                let timeout = match self.patient {
                    true if *pending > 0 => timeout.max(LONGEST_TIMEOUT + LONGEST_TIMEOUT),
                    true => timeout.max(LONGEST_TIMEOUT + MARGIN),
                    false => timeout,
                };
                let count = |lines| if *recounted { lines } else { self.stn.count(lines) };
                let digit = lines.filter(|_| !self.patient).map(count);
                let line = match self.stn_header(target, data) {
                    Some(header) => {
                        stn::line(header, data, digit, target.timeout().filter(|_| !self.patient))
                    }
                    None => plain_line(data, digit),
                };
                self.last_target = target;
                let trusted = self.settings.repeat && self.misrepeated < MISREPEATS && only_reads(data);
                self.repeated = trusted && !line.is_empty() && self.last_line == line;
                self.begin(now, What::Request, if self.repeated { b"" } else { &line }, timeout);
                self.last_line = line;
            }
            Job::Command { text, timeout } => {
                let (text, timeout) = (text.clone(), *timeout);
                self.last_line.clear();
                self.begin(now, What::Text, &text, timeout);
            }
            Job::Monitor { stopping: true, .. } => self.end_monitor(now, Ok(())),
            Job::Monitor { filter, .. } => {
                let command = match filter {
                    Filter::Pass { .. } if self.stn.speaks => Command::MonitorFiltered,
                    _ => Command::MonitorAll,
                };
                self.begin(now, What::Monitor { stopping: false }, &command.text(), REFRESH);
                self.last_line.clear();
                if let Some(exchange) = &mut self.exchange {
                    // A silent bus is no fault.
                    exchange.deadline = None;
                }
            }
            Job::Baud { to, .. } => {
                let divisor = baud_divisor(*to).unwrap_or(u8::MAX);
                let command = Command::BaudDivisor(divisor);
                self.begin(now, What::Baud(Switch::Asked), &command.text(), command.timeout());
                self.last_line.clear();
            }
            Job::Sleep => self.begin_command(now, Command::LowPower),
        }
    }

    /// The header with which an STN sends this in one line, if that serves: a long request, or a standard target
    /// that is not asked twice in a row (then the line is shorter once the header is set).
    fn stn_header(&self, target: Target, data: &Text) -> Option<u32> {
        let protocol = self.protocol.filter(|protocol| protocol.is_can())?;
        let header = match target {
            Target::Functional => functional(protocol),
            Target::Physical(one)
                if one == (Physical { timeout: one.timeout, ..Physical::new(one.request) }) =>
            {
                one.request
            }
            Target::Physical(_) => return None,
        };
        let long = data.len() > 14;
        let once = self.target != Some(target)
            && self.last_target != target
            // A filter set for another target would hide the answer.
            && !matches!(self.target, None | Some(Target::Physical(_)));
        (self.stn.speaks && (long || once)).then_some(header)
    }

    pub(super) fn handle_request(&mut self, now: Instant, heard: &Heard) {
        let Some(Job::Request { data, target, .. }) = &self.job else {
            return self.proceed(now);
        };
        let (service, only_reads) = (hex_byte(data), only_reads(data));
        let only = target.reply();
        let messages = || answers(self.assembler.messages(), only);
        let any = messages().next().is_some();
        let refused = heard.fault == Some(Failure::Adapter(Status::NotUnderstood));
        // Perhaps it joined frames that it was not told to join.
        let unreadable = heard.fault == Some(Failure::Garbage) && !any && only_reads;
        if self.last_line.starts_with(b"STPX") && (refused || unreadable) {
            if refused {
                // It calls itself an STN, but is too old for this, or a clone.
                self.stn.refuse();
            }
            if data.len() <= 14 {
                // The second time in a row this ECU is asked in the plain way.
                self.job_begun = false;
                return self.proceed(now);
            }
        }
        let all_pending = any && messages().all(|message| is_pending(&message));
        // What answers something else, or comes from someone else, says that the adapter is not set as we think.
        let is_answer =
            |message| self.protocol == Some(Protocol::J1939) || answers_service(&message, service);
        let alive = messages().any(is_answer);
        let lost = self.assembler.losses().next().is_some();
        let longest = messages().map(|message| message.data.len()).max().unwrap_or(0);
        if let Some(Job::Request { lines: Some(2..), recounted, .. }) = &mut self.job
            && self.stn.joins
            && !self.patient
            && !all_pending
            && heard.fault.is_none()
        {
            match (self.stn.counts_frames, *recounted) {
                // More came than one frame, even if some of it was lost.
                (None, false) if heard.lines > 1 || longest > SINGLE_FRAME => {
                    self.stn.counts_frames = Some(false);
                }
                // One message was asked for. Was it taken for one frame?
                (None, false) if lost || longest == FIRST_FRAME => {
                    *recounted = true;
                    self.last_line.clear();
                    return self.proceed(now);
                }
                // A shorter answer, such as a refusal, is one frame either way.
                (None, true) if longest >= FIRST_FRAME && !lost => {
                    self.stn.counts_frames = Some(longest > FIRST_FRAME);
                }
                _ => {}
            }
        }
        if self.repeated {
            self.misrepeated = if alive { 0 } else { self.misrepeated.saturating_add(1) };
            if !any && heard.fault == Some(Failure::Adapter(Status::NotUnderstood)) {
                // That was about the carriage return, not about the request: in full, then.
                self.last_line.clear();
                self.job_begun = false;
                return self.proceed(now);
            }
        }
        if let Some(Job::Request { pending, .. }) = &mut self.job
            && all_pending
            && only_reads
            && *pending < PENDING
        {
            // The answer comes later than the adapter listens: tell it to, and ask again.
            *pending += 1;
            if self.last_line.starts_with(b"STPX") {
                // The second time in a row this ECU is asked in the plain way, for which the adapter has to be set.
                self.job_begun = false;
                self.patient = false;
            } else {
                self.be_patient();
            }
            self.last_line.clear();
            return self.proceed(now);
        }
        let fault = heard.fault.or(lost.then_some(Failure::Incomplete));
        let result = if any {
            Ok(Lines { count: heard.lines, fault })
        } else {
            Err(fault.unwrap_or(Failure::Incomplete))
        };
        if result.is_err() {
            self.last_line.clear();
        }
        if self.patient {
            self.patient = false;
            let _ = self.todo.push_back(self.stn.timeout(self.target.and_then(Target::timeout)));
        }
        self.job = None;
        self.job_begun = false;
        self.notify(Notice::Reply(result));
        self.handle_car(now, if alive { Ok(()) } else { Err(result.err().unwrap_or(Failure::Incomplete)) });
        self.proceed(now);
    }

    pub(super) fn handle_monitor(&mut self, now: Instant, stopping: bool, heard: &Heard) {
        match heard.fault {
            Some(Failure::Adapter(Status::BufferFull | Status::RxError)) if !stopping => {
                self.notify(Notice::Gap);
                return self.perform(now);
            }
            _ => {}
        }
        let result = match heard.fault {
            Some(failure) if !stopping => Err(failure),
            _ => Ok(()),
        };
        self.end_monitor(now, result);
    }

    /// Undoes what monitoring needed.
    fn end_monitor(&mut self, now: Instant, result: Result<(), Failure>) {
        if self.protocol.is_none_or(Protocol::is_can) {
            let _ = self.todo.push_back(Command::Formatting(true));
        }
        if let Some(Job::Monitor { filter: Filter::Pass { .. }, .. }) = self.job {
            let _ = self.todo.push_back(Command::ReceiveAny);
            if self.adapter.stn.is_some() {
                // Where filters were touched, it passes no answer before it is told to set them by itself again.
                let _ = self.todo.push_back(Command::ReceiveAutomatic);
            }
            self.target = None;
        }
        self.end_job(now, result);
    }

    /// Whether what is being interrupted may be sent again, as a lone carriage return does to an adapter that is idle.
    pub(super) fn may_repeat(&self) -> bool {
        match (&self.interrupted, &self.job) {
            (Some(Exchange { what: What::Text, .. }), _) => false,
            (Some(Exchange { what: What::Request, .. }), Some(Job::Request { data, .. })) => only_reads(data),
            _ => true,
        }
    }

    /// After a command of the owner's the adapter may be set otherwise than we rely on.
    pub(super) fn end_text(&mut self, now: Instant, result: Result<(), Failure>) {
        if matches!(&self.job, Some(Job::Command { text, .. }) if is_setting(text)) {
            self.target = None;
            self.headers = true;
            let others =
                [Command::Responses, Command::FixedLength, Command::HideLength, Command::ProtocolNumber];
            for command in SETTINGS.iter().chain(&others).chain(self.stn.restore()) {
                // Sixteen of the slots, and nothing was due before the owner's line.
                let _ = self.todo.push_back(*command);
            }
        }
        self.end_job(now, result);
    }

    /// The change of rate failed: back to the old one, where the adapter goes too.
    pub(super) fn end_switch(&mut self, now: Instant, result: Result<(), Failure>) {
        let switched = matches!(
            self.exchange.as_ref().map(|exchange| exchange.what),
            Some(What::Baud(Switch::Switched | Switch::Confirming))
        );
        if let (true, Some(Job::Baud { from, .. })) = (switched, &self.job) {
            self.notify(Notice::Baud(*from));
        }
        self.exchange = None;
        self.job_result(result);
        if switched {
            self.resync(now, 1);
        } else {
            self.proceed(now);
        }
    }

    pub(super) fn end_job(&mut self, now: Instant, result: Result<(), Failure>) {
        self.job_result(result);
        self.proceed(now);
    }

    pub(super) fn end_job_silently(&mut self, result: Result<(), Failure>) {
        self.job_result(result);
        self.interrupted = None;
    }

    /// Tells the owner how the job ended.
    pub(super) fn job_result(&mut self, result: Result<(), Failure>) {
        self.job_begun = false;
        match self.job.take() {
            None => {}
            Some(Job::Request { .. }) => {
                self.notify(Notice::Reply(Err(result.err().unwrap_or(Failure::Incomplete))));
            }
            Some(_) => self.notify(Notice::Done(result)),
        }
    }
}

/// Whether a request, as hex digits, only reads, so that it may be sent again: a late one of the others would clear, write
/// or move something twice. Services of SAE J1979, ISO 14229-1 and ISO 14230-3.
fn only_reads(data: &[u8]) -> bool {
    matches!(
        hex_byte(data),
        0x01..=0x03 | 0x05..=0x07 | 0x09 | 0x0A | 0x12 | 0x13 | 0x17..=0x1A | 0x21..=0x24 | 0x3E
    )
}

/// Whether a line of the owner's may change how the adapter behaves: all to the adapter but mere questions.
fn is_setting(line: &[u8]) -> bool {
    const QUESTIONS: [&str; 11] =
        ["ATI", "AT@1", "AT@2", "ATRV", "ATDP", "ATDPN", "ATIGN", "ATKW", "ATBD", "STI", "STDI"];
    let is = |text: &str| is_echo(line, text.as_bytes());
    let starts = |text: &str| {
        let letters = line.iter().filter(|byte| **byte != b' ').map(u8::to_ascii_uppercase);
        letters.take(2).eq(text.bytes())
    };
    (starts("AT") || starts("ST")) && !QUESTIONS.into_iter().any(is)
}

/// The value of the first two of the hex digits of a request.
fn hex_byte(digits: &[u8]) -> u8 {
    let digit = |at: usize| digits.get(at).and_then(|digit| char::from(*digit).to_digit(16)).unwrap_or(0);
    (digit(0) << 4 | digit(1)) as u8
}

/// A request as an ELM327 takes it: hex digits, then perhaps how many lines will answer.
fn plain_line(data: &Text, lines: Option<u8>) -> Text {
    let mut line = data.clone();
    if let Some(lines) = lines {
        let _ = line.push(hex_digit(lines));
    }
    line
}
