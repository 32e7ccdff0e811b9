//! What the end of each exchange leads to: the life of the link.

use heapless::String;

use crate::bus::Protocol;
use crate::elm327::command::{Command, Timing};
use crate::elm327::wire::{self, Status, is_banner};
use crate::time::{Duration, Instant};

use super::event::answers_service;
use super::exchange::{Heard, Switch, What};
use super::stn::Stn;
use super::target::Physical;
use super::{Adapter, Failure, Link, Notice, Phase, Search, Session, Target};

/// How often a command of the session's own is tried.
pub(super) const ATTEMPTS: u8 = 3;

/// How long a woken adapter may take to say so.
const WAKE_TIMEOUT: Duration = Duration::from_millis(1_000);

/// How long the car may take to be found, before the adapter says that it searches.
const PROBE_TIMEOUT: Duration = Duration::from_millis(2_000);

/// After a command of the owner's the search for the car goes on no sooner.
const RESPITE: Duration = Duration::from_millis(100);

/// Below this many millivolts the ignition is off.
const POWER: u32 = 6_000;

/// The protocols to try when the adapter's own search is no help, commonest first. J1939 is not among them: it
/// does not answer `0100`, and `AT TP A0` locks some clones up.
const CANDIDATES: [Protocol; 9] = [
    Protocol::Can11Fast,
    Protocol::Can11Slow,
    Protocol::J1850Pwm,
    Protocol::Can29Fast,
    Protocol::Can29Slow,
    Protocol::J1850Vpw,
    Protocol::Iso9141,
    Protocol::KwpSlow,
    Protocol::KwpFast,
];

/// How every adapter is set, whatever it was set to before.
pub(super) const SETTINGS: [Command; 10] = [
    Command::Echo(false),
    Command::Linefeeds(false),
    Command::Spaces(false),
    Command::Headers(true),
    Command::Memory(false),
    Command::LongMessages,
    Command::Timing(Timing::Adaptive),
    Command::Timeout(None),
    Command::Formatting(true),
    Command::ForgetEvents,
];

impl<const MESSAGES: usize, const BYTES: usize> Session<MESSAGES, BYTES> {
    pub(super) fn begin_connecting(&mut self, now: Instant) {
        if self.job.is_some() {
            self.end_job_silently(Err(Failure::Restarted));
        }
        self.exchange = None;
        self.forget();
        self.adapter = Adapter::default();
        self.stn = Stn::new();
        self.misrepeated = 0;
        self.set_link(Link::NotConnected);
        self.retry_at = None;
        self.attempts = 0;
        if self.phase == Phase::Asleep {
            self.phase = Phase::Waking;
            self.begin(now, What::Wake, b" ", WAKE_TIMEOUT);
        } else {
            self.phase = Phase::Resetting;
            self.begin_command(now, Command::Reset);
        }
    }

    /// The adapter is at its defaults: whatever we told it is void.
    pub(super) fn forget(&mut self) {
        self.todo.clear();
        self.interrupted = None;
        self.target = Some(Target::Functional);
        self.stn.restart();
        self.last_line.clear();
        // As they will be once it is configured.
        self.headers = true;
        self.compact = false;
        self.protocol = None;
        self.patient = false;
        self.looking = false;
        self.silent_since = None;
        self.line.clear();
        self.line_too_long = false;
    }

    /// Whether an adapter answers and is configured.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Ready | Phase::NoCar)
    }

    pub(super) fn is_extended(&self) -> bool {
        matches!(self.target, Some(Target::Physical(Physical { extended: Some(_), .. })))
    }

    pub(super) fn begin_command(&mut self, now: Instant, command: Command) {
        self.begin(now, What::Command(command), &command.text(), command.timeout());
        self.last_line.clear();
    }

    /// An exchange is over: what was due meanwhile, on account of silence, is due a little later.
    pub(super) fn settle(&mut self, now: Instant) {
        self.last_activity = now;
        self.retry_at = self.retry_at.map(|at| at.max(now + RESPITE));
    }

    pub(super) fn end_exchange(&mut self, now: Instant) {
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        let stopped = exchange.heard.fault == Some(Failure::Adapter(Status::Stopped));
        if stopped && matches!(exchange.what, What::Command(_)) && self.attempts < ATTEMPTS {
            // Its first character interrupted something, and the adapter took the others for a command: that has an
            // answer, too.
            self.attempts += 1;
            self.interrupted = Some(exchange);
            return self.resync(now, 2);
        }
        self.handle_end(now, exchange.what, exchange.heard);
    }

    /// What follows an exchange.
    pub(super) fn handle_end(&mut self, now: Instant, what: What, heard: Heard) {
        self.settle(now);
        match what {
            What::Wake => {
                self.phase = Phase::Resetting;
                self.begin_command(now, Command::Reset);
            }
            What::Command(command) => self.handle_command(now, command, &heard),
            What::Probe => self.handle_probe(now, &heard),
            What::Request => self.handle_request(now, &heard),
            What::Text => {
                let result = match heard.fault {
                    Some(failure) => Err(failure),
                    None => Ok(()),
                };
                self.end_text(now, result);
            }
            What::Monitor { stopping } => self.handle_monitor(now, stopping, &heard),
            What::Baud(Switch::Confirming) if heard.ok => self.end_job(now, Ok(())),
            What::Baud(_) => self.end_switch(now, Err(heard.fault.unwrap_or(Failure::Timeout))),
            What::Resync { .. } => self.proceed(now),
        }
    }

    fn handle_command(&mut self, now: Instant, command: Command, heard: &Heard) {
        let text = heard.text.as_slice();
        let understood = heard.fault.is_none();
        match command.without_stn() {
            Some(_) if understood => {
                self.stn.proven = true;
                self.attempts = 0;
            }
            Some(_) if self.stn.proven && !heard.is_refusal() && self.attempts < ATTEMPTS => {
                self.attempts += 1;
                return self.begin_command(now, command);
            }
            Some(instead) => {
                self.stn.refuse_command(command);
                // After what is due: that was prepared in the belief that it would be understood.
                self.todo.extend(instead);
            }
            None => {}
        }
        match command {
            Command::Reset | Command::Identify => return self.handle_banner(now, heard),
            Command::IdentifyStn if understood && is_banner(text) => {
                self.adapter.stn = printable(text);
                self.stn.introduce();
            }
            Command::Voltage => return self.handle_voltage(now, text),
            // Otherwise it is awake: there are clones without low power.
            Command::LowPower if !heard.ok => {
                return self.end_job(now, Err(heard.fault.unwrap_or(Failure::Timeout)));
            }
            Command::LowPower => {
                self.forget();
                self.phase = Phase::Asleep;
                self.set_link(Link::NotConnected);
                return self.end_job_silently(Ok(()));
            }
            Command::ProtocolNumber => return self.handle_number(now, text),
            Command::TryProtocol(protocol) if !understood => {
                let _ = self.todo.push_front(Command::SetProtocol(Some(protocol)));
            }
            // Older chips have only this.
            Command::ReceiveAny if !understood => {
                let _ = self.todo.push_front(Command::ReceiveAutomatic);
            }
            _ if !understood && is_required(command) => {
                self.attempts = self.attempts.saturating_add(1);
                if self.attempts < ATTEMPTS {
                    return self.begin_command(now, command);
                }
                return self.handle_refusal(now, heard.fault.unwrap_or(Failure::Timeout));
            }
            Command::Headers(true) if self.link < Link::ElmConnected => self.set_link(Link::ElmConnected),
            Command::Spaces(false) => self.compact = understood,
            _ => {}
        }
        self.attempts = 0;
        self.proceed(now);
    }

    /// A command without which nothing works failed for good.
    fn handle_refusal(&mut self, now: Instant, failure: Failure) {
        self.attempts = 0;
        if self.is_up() {
            self.target = None;
            self.todo.clear();
            self.end_job(now, Err(failure));
        } else {
            self.go_offline(now, Failure::NotAnAdapter);
        }
    }

    fn handle_banner(&mut self, now: Instant, heard: &Heard) {
        if is_banner(&heard.text) {
            self.adapter.banner = printable(&heard.text).unwrap_or_default();
            return self.configure(now);
        }
        self.attempts = self.attempts.saturating_add(1);
        match self.attempts {
            // The line was not clean, or the answer was to something older.
            0..ATTEMPTS => self.begin_command(now, Command::Reset),
            // Some clones restart without a word.
            ATTEMPTS => self.begin_command(now, Command::Identify),
            _ => self.go_offline(now, Failure::NotAnAdapter),
        }
    }

    pub(super) fn configure(&mut self, now: Instant) {
        let is_stn_set = self.stn.is_set();
        self.forget();
        self.attempts = 0;
        self.phase = Phase::Configuring;
        self.todo.extend(SETTINGS);
        if is_stn_set {
            self.todo.extend([Command::Reassemble(false), Command::ClearFlowPairs]);
        }
        if self.settings.stn {
            let _ = self.todo.push_back(Command::IdentifyStn);
        }
        self.proceed(now);
    }

    fn measure(&mut self, now: Instant) {
        self.phase = Phase::Measuring;
        self.begin_command(now, Command::Voltage);
    }

    fn handle_voltage(&mut self, now: Instant, text: &[u8]) {
        self.millivolts = millivolts(text);
        if let Some(millivolts) = self.millivolts {
            self.notify(Notice::Voltage(millivolts));
        }
        if self.phase != Phase::Measuring {
            return self.proceed(now);
        }
        match self.millivolts {
            Some(..POWER) if self.settings.check_voltage => return self.lose_car(now, Failure::NoPower),
            Some(_) => self.set_link(Link::ObdConnected),
            None => {}
        }
        match self.settings.protocol {
            Some(protocol) => self.search(now, Search::Given(protocol)),
            None => self.search(now, Search::Auto),
        }
    }

    fn search(&mut self, now: Instant, search: Search) {
        self.phase = Phase::Searching(search);
        self.protocol = match search {
            Search::Given(protocol) => Some(protocol),
            Search::Candidate(n) => CANDIDATES.get(n).copied(),
            Search::Auto | Search::Number => None,
        };
        self.begin_command(
            now,
            match (search, self.protocol) {
                (Search::Number, _) => Command::ProtocolNumber,
                (_, Some(Protocol::J1939)) => Command::SetProtocol(self.protocol),
                (_, Some(protocol)) => Command::TryProtocol(protocol),
                (_, None) => Command::SetProtocol(None),
            },
        );
    }

    pub(super) fn begin_probe(&mut self, now: Instant) {
        self.begin(now, What::Probe, b"0100", PROBE_TIMEOUT);
        self.last_line.clear();
    }

    fn handle_probe(&mut self, now: Instant, heard: &Heard) {
        let found = self.assembler.messages().any(|message| answers_service(&message, 0x01));
        let failure = heard.fault.unwrap_or(Failure::Incomplete);
        match self.phase {
            Phase::Searching(Search::Auto) if found => self.search(now, Search::Number),
            Phase::Searching(_) if found => self.become_ready(now),
            Phase::Searching(Search::Given(_)) => self.lose_car(now, failure),
            Phase::Searching(Search::Auto) => match failure {
                Failure::Adapter(Status::UnableToConnect) => self.lose_car(now, failure),
                _ => self.search(now, Search::Candidate(0)),
            },
            Phase::Searching(Search::Candidate(n)) if n + 1 < CANDIDATES.len() => {
                self.search(now, Search::Candidate(n + 1));
            }
            Phase::Searching(_) => self.lose_car(now, Failure::NoProtocol),
            _ if found => {
                self.hear_car();
                self.proceed(now);
            }
            _ => match self.is_silent(now, failure) {
                true => self.lose_car(now, failure),
                false => self.proceed(now),
            },
        }
    }

    /// The number that `AT DPN` names, with an `A` before it when it was found by searching.
    fn handle_number(&mut self, now: Instant, text: &[u8]) {
        let digit = match text {
            [b'A' | b'a', digit] | [digit] => Protocol::from_id(char::from(*digit)),
            _ => None,
        };
        match (self.phase, digit) {
            // What answers `0100` is no J1939: the digit after the `A` was lost.
            (Phase::Searching(_), Some(protocol)) if protocol != Protocol::J1939 => {
                self.protocol = Some(protocol);
                self.become_ready(now);
            }
            (Phase::Searching(_), _) => self.search(now, Search::Candidate(0)),
            (_, digit) => {
                self.protocol = digit.or(self.protocol);
                self.proceed(now);
            }
        }
    }

    fn become_ready(&mut self, now: Instant) {
        self.phase = Phase::Ready;
        self.failures = 0;
        self.retry_at = None;
        if self.asks_before() {
            self.set_link(Link::CarConnected);
        } else {
            self.notify(Notice::Ready);
        }
        self.proceed(now);
    }

    /// Whether the car is asked (`0100`) before its owner may ask: J1939 has no such request.
    pub(super) fn asks_before(&self) -> bool {
        self.settings.probe && self.protocol != Some(Protocol::J1939)
    }

    pub(super) fn set_link(&mut self, link: Link) {
        if self.link != link {
            self.link = link;
            self.notify(Notice::Link(link));
        }
    }

    /// The next step when nothing is on the wire.
    pub(super) fn proceed(&mut self, now: Instant) {
        if self.exchange.is_some() {
            return;
        }
        if self.todo.is_empty() && !self.looking && self.is_up() && self.job.is_some() && !self.job_begun {
            self.job_begun = true;
            self.prepare();
        }
        if let Some(command) = self.todo.pop_front() {
            return self.begin_command(now, command);
        }
        if core::mem::take(&mut self.looking) {
            return self.begin_probe(now);
        }
        match self.phase {
            Phase::Configuring => self.measure(now),
            Phase::Searching(_) if !self.asks_before() => match self.protocol {
                Some(_) => self.become_ready(now),
                None => self.begin_probe(now),
            },
            Phase::Searching(_) => self.begin_probe(now),
            Phase::Ready | Phase::NoCar if self.job_begun => self.perform(now),
            _ => {}
        }
    }
}

/// Whether nothing works without this command. The others have defaults one can live with, or, like a filter,
/// only spare the adapter work.
const fn is_required(command: Command) -> bool {
    matches!(
        command,
        Command::Headers(_)
            | Command::ShortHeader(_)
            | Command::LongHeader(_)
            | Command::Priority(_)
            | Command::ExtendedAddress(Some(_))
            | Command::SetProtocol(_)
    )
}

/// The printable part of a name.
fn printable(text: &[u8]) -> Option<String<32>> {
    let mut name = String::new();
    for byte in wire::trim(text).iter().filter(|byte| matches!(byte, b' '..=b'~')) {
        let _ = name.push(char::from(*byte));
    }
    (!name.is_empty()).then_some(name)
}

/// A voltage as adapters print it (`12.3V`, `12.3`), in millivolts.
fn millivolts(text: &[u8]) -> Option<u32> {
    let text = text.strip_suffix(b"V").or(text.strip_suffix(b"v")).unwrap_or(text);
    let mut parts = wire::trim(text).splitn(2, |byte| *byte == b'.');
    let whole = number(parts.next()?)?;
    let thousandths = match parts.next() {
        None => 0,
        Some(fraction @ ([_] | [_, _] | [_, _, _])) => {
            let scale = [100, 10, 1].get(fraction.len() - 1).copied()?;
            number(fraction)? * scale
        }
        Some(_) => return None,
    };
    Some(whole * 1_000 + thousandths)
}

/// At most three decimal digits.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 3 {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number * 10 + u32::from(digit - b'0')),
        _ => None,
    })
}
