//! An ELM327 with a car attached, as a function of bytes and time: no clock, no socket.
//!
//! All of a reply is computed when its command ends, each line with the moment at which its last byte has left the
//! serial port: the speed of the port, the thinking time of the control units, the frames on the bus and the
//! adapter's own waiting all count. What has not left by the time the next byte arrives is dropped and `STOPPED`
//! printed, as the real one does.

mod question;
pub(super) mod stn;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloverleaf_core::bus::Protocol;

use super::dialect::{Action, Settings};
use super::ecu::Car;
use super::frames::Style;
use super::{Fault, Options, Timing, traffic, vehicle};
use question::Question;

/// The longest command; the rest of a longer one is dropped, and the answer is `?`.
const LINE: usize = 256;
/// Bytes that may wait for the serial port; monitoring a bus that brings more ends in `BUFFER FULL`.
const BUFFER: u32 = 512;
const BANNER: &str = "ELM327 v1.5";
/// What an STN calls itself where an ELM327 is expected.
const STN_BANNER: &str = "ELM327 v1.4b";
/// What the adapter needs to act on a command.
const THINKING: Duration = Duration::from_micros(400);

/// The adapter. Times are since the start of the simulation.
#[derive(Debug)]
pub(super) struct Adapter {
    options: Options,
    car: Arc<Mutex<Car>>,
    settings: Settings,
    /// The protocol of an open conversation with the car.
    active: Option<Protocol>,
    line: Vec<u8>,
    overlong: bool,
    last: String,
    asleep: bool,
    /// When the last byte from the other side had arrived, and when the last byte to it will have left.
    received: Duration,
    sent: Duration,
    /// Until when a byte interrupts, if what runs can be interrupted.
    interruptible_until: Duration,
    /// What is to be sent: when, at which rate, and what.
    output: VecDeque<(Duration, u32, Vec<u8>)>,
    /// The serial rate now, and the change that is being tried.
    baud: u32,
    switching: Option<Switch>,
    monitoring: Option<Monitoring>,
    /// What an STN was told to send with data that come next (`STPX` with a length).
    unsaid: Option<stn::Unsaid>,
    /// How often the car was asked.
    answers: u32,
    pub(super) fault: Fault,
}

/// What is shown of the bus.
#[derive(Debug)]
struct Monitoring {
    traffic: traffic::Traffic,
    /// Only what the filters of an STN pass.
    filtered: bool,
    /// How many frames are still to be shown, where that was given.
    left: Option<u32>,
}

/// A change of the serial rate (`AT BRD`): given up unless a carriage return comes at the new one in time.
#[derive(Debug)]
struct Switch {
    from: u32,
    deadline: Duration,
}

impl Adapter {
    pub(super) fn new(options: Options, car: Arc<Mutex<Car>>) -> Self {
        Self {
            baud: options.baud,
            switching: None,
            options,
            car,
            settings: Settings::default(),
            active: None,
            line: Vec::new(),
            overlong: false,
            last: String::new(),
            asleep: false,
            received: Duration::ZERO,
            sent: Duration::ZERO,
            interruptible_until: Duration::ZERO,
            output: VecDeque::new(),
            monitoring: None,
            unsaid: None,
            answers: 0,
            fault: Fault::None,
        }
    }

    /// Takes bytes that the other side has sent by `now`.
    pub(super) fn receive(&mut self, now: Duration, bytes: &[u8]) {
        for &byte in bytes {
            self.received = self.received.max(now + self.span(self.options.delay)) + self.byte_time(1);
            self.receive_byte(self.received, byte);
        }
    }

    fn receive_byte(&mut self, at: Duration, byte: u8) {
        if self.switching.take_if(|_| byte == b'\r').is_some() {
            return self.answer(at, "OK");
        }
        if self.switching.is_some() {
            return;
        }
        if self.asleep {
            self.asleep = false;
            self.print(at, self.banner());
            self.prompt(at);
            return;
        }
        if self.monitoring.is_some() || at < self.interruptible_until {
            self.stop(at);
            return;
        }
        match byte {
            b'\r' => {
                if self.settings.echo {
                    self.transmit(at, vec![b'\r']);
                }
                let line = std::mem::take(&mut self.line);
                if std::mem::take(&mut self.overlong) {
                    self.unsaid = None;
                    self.answer(at, "?");
                } else {
                    self.execute(at.max(self.sent), &line);
                }
            }
            b'\0' | b'\n' => {}
            _ if self.line.len() == self.unsaid.as_ref().map_or(LINE, stn::Unsaid::digits) => {
                self.overlong = true;
            }
            _ => {
                if self.settings.echo {
                    self.transmit(at, vec![byte]);
                }
                self.line.push(byte);
            }
        }
    }

    /// A character came while the car was being asked or listened to.
    fn stop(&mut self, at: Duration) {
        self.monitoring = None;
        self.interruptible_until = at;
        let gone = at + self.span(self.options.delay);
        self.output.retain(|(due, ..)| *due <= gone);
        self.sent = at;
        self.line.clear();
        self.answer(at + self.span(THINKING), "STOPPED");
    }

    /// The supply failed for a moment: everything is forgotten.
    pub(super) fn brown_out(&mut self, now: Duration) {
        self.output.clear();
        self.monitoring = None;
        self.unsaid = None;
        self.interruptible_until = now;
        self.line.clear();
        (self.settings, self.active) = (Settings::default(), None);
        (self.baud, self.switching) = (self.options.baud, None);
        self.print(now, "LV RESET");
        self.prompt(now);
    }

    /// When there will be something to send.
    pub(super) fn due(&self) -> Option<Duration> {
        let output = self.output.front().map(|(due, ..)| *due);
        let traffic = self.monitoring.as_ref().map(|monitoring| monitoring.traffic.next());
        let switch = self.switching.as_ref().map(|switch| switch.deadline);
        [output, traffic, switch].into_iter().flatten().min()
    }

    /// The serial rate at which bytes are received now.
    pub(super) const fn baud(&self) -> u32 {
        self.baud
    }

    /// What has left the serial port by `now` at one rate, when the last of it had, and that rate.
    pub(super) fn poll(&mut self, now: Duration) -> (Vec<u8>, Duration, u32) {
        self.listen(now);
        if let Some(Switch { from, .. }) = self.switching.take_if(|switch| switch.deadline <= now) {
            self.baud = from;
            self.prompt(now);
        }
        let (mut bytes, mut left) = (Vec::new(), now);
        let rate = self.output.front().map_or(self.baud, |(_, rate, _)| *rate);
        while let Some((due, _, text)) = self.output.pop_front_if(|(due, at, _)| *due <= now && *at == rate) {
            bytes.extend(text);
            left = due;
        }
        (bytes, left, rate)
    }

    /// `AT BRD`: `OK` at the old rate, then the banner at the new one.
    fn switch(&mut self, at: Duration, baud: u32) {
        self.print(at, "OK");
        let from = std::mem::replace(&mut self.baud, baud);
        let timeout = self.settings.switch_timeout;
        // Time for the other side to follow; even where nothing else takes any.
        self.print(self.sent + self.span(timeout), self.banner());
        self.switching =
            Some(Switch { from, deadline: self.sent + self.span(self.options.delay) * 2 + timeout });
    }

    /// While monitoring: the traffic of the bus up to `now`.
    fn listen(&mut self, now: Duration) {
        while let Some(Monitoring { traffic, filtered, left }) = &mut self.monitoring
            && traffic.next() <= now
        {
            let at = traffic.next();
            let Some(frame) = traffic.frame(&vehicle::state(self.options.car_time(at))) else { return };
            let passed = !*filtered || self.settings.stn.filters.pass(&frame);
            let wanted =
                passed && self.settings.receive.is_none_or(|(id, mask)| (frame.id() ^ id) & mask == 0);
            let last = match left {
                Some(left) if wanted => {
                    *left -= 1;
                    *left == 0
                }
                _ => false,
            };
            if self.sent > at + self.byte_time(BUFFER) {
                self.monitoring = None;
                self.answer(self.sent, "BUFFER FULL");
                return;
            }
            if wanted {
                for line in frame.print(self.style()) {
                    self.print(at, &line);
                }
            }
            if last {
                self.monitoring = None;
                self.prompt(at);
            }
        }
    }

    fn execute(&mut self, at: Duration, line: &[u8]) {
        let text: String =
            line.iter().filter(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte)).collect();
        let text = text.to_ascii_uppercase();
        // An empty line repeats the last command.
        let command = if text.is_empty() { self.last.clone() } else { text };
        self.last.clone_from(&command);
        let at = at + self.span(THINKING);
        if let Some(unsaid) = self.unsaid.take() {
            return self.say(at, unsaid, &command);
        }
        match (command.strip_prefix("AT"), command.strip_prefix("ST")) {
            (Some(command), _) => self.at_command(at, command),
            (None, Some(command)) if self.options.stn => self.st_command(at, command),
            _ => match Question::parse(&command) {
                Some(question) => self.ask(at, question),
                None => self.answer(at, "?"),
            },
        }
    }

    fn at_command(&mut self, at: Duration, command: &str) {
        let before = self.settings.protocol;
        match self.settings.apply(command) {
            Action::Ok => self.answer(at, "OK"),
            Action::Unknown => self.answer(at, "?"),
            Action::Say(text) => self.answer(at, &text),
            Action::Identify => self.answer(at, self.banner()),
            Action::Voltage => {
                let voltage = match self.car().ignition {
                    true => vehicle::state(self.options.car_time(at)).voltage,
                    false => 12.4,
                };
                self.answer(at, &format!("{voltage:.1}V"));
            }
            Action::DescribeProtocol => {
                let name = self.settings.protocol.map_or("", Protocol::name);
                let comma = if name.is_empty() { "" } else { ", " };
                let automatic = if self.settings.automatic { "AUTO" } else { "" };
                let comma = if automatic.is_empty() { "" } else { comma };
                self.answer(at, &format!("{automatic}{comma}{name}"));
            }
            Action::DescribeProtocolNumber => {
                let digit = self.settings.protocol.map_or('0', Protocol::id);
                let automatic = if self.settings.automatic && digit != '0' { "A" } else { "" };
                self.answer(at, &format!("{automatic}{digit}"));
            }
            Action::Close => {
                self.active = None;
                self.answer(at, "OK");
            }
            Action::Switch(baud) => self.switch(at, baud),
            Action::Sleep => {
                self.answer(at, "OK");
                self.asleep = true;
            }
            Action::Monitor => self.monitor(at, false, None),
            Action::Reset { full } => {
                (self.settings, self.active) = (Settings::default(), None);
                if full {
                    self.baud = self.options.baud;
                }
                let pause = Duration::from_millis(if full { 500 } else { 30 });
                let at = at + self.span(pause);
                self.transmit(at, b"\r\r".to_vec());
                self.answer(at, self.banner());
            }
        }
        if self.settings.protocol != before {
            self.active = None;
        }
    }

    /// Shows what is heard from now on: all of it or what the filters pass, for ever or so many frames.
    fn monitor(&mut self, at: Duration, filtered: bool, left: Option<u32>) {
        self.active = self.settings.protocol.or(Some(self.options.protocol));
        let traffic = traffic::Traffic::new(at, self.options.protocol);
        self.monitoring = Some(Monitoring { traffic, filtered, left });
    }

    const fn banner(&self) -> &'static str {
        if self.options.stn { STN_BANNER } else { BANNER }
    }

    fn car(&self) -> std::sync::MutexGuard<'_, Car> {
        self.car.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn style(&self) -> Style {
        let Settings { headers, spaces, length, formatted, .. } = self.settings;
        Style { headers, spaces, length, formatted }
    }

    fn answer(&mut self, at: Duration, text: &str) {
        self.print(at, text);
        self.prompt(at);
    }

    /// One line, to leave from `at` on.
    fn print(&mut self, at: Duration, text: &str) {
        let end = if self.settings.linefeeds { "\r\n" } else { "\r" };
        if self.settings.responses {
            self.transmit(at, format!("{text}{end}").into_bytes());
        }
    }

    fn prompt(&mut self, at: Duration) {
        let end = if self.settings.linefeeds { "\r\n>" } else { "\r>" };
        self.transmit(at, end.into());
    }

    fn transmit(&mut self, at: Duration, text: Vec<u8>) {
        self.sent = self.sent.max(at) + self.byte_time(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.output.push_back((self.sent + self.span(self.options.delay), self.baud, text));
    }

    /// Start bit, eight bits, stop bit.
    fn byte_time(&self, bytes: u32) -> Duration {
        self.span(Duration::from_secs(1) * 10 / self.baud.max(1) * bytes)
    }

    fn span(&self, real: Duration) -> Duration {
        match self.options.timing {
            Timing::Real => real,
            Timing::None => Duration::ZERO,
        }
    }
}
