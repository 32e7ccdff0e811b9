//! An ELM327 with a car attached, as a function of bytes and time: no clock, no socket.
//!
//! All of a reply is computed when its command ends, each line with the moment at which its last byte has left the
//! serial port: the speed of the port, the thinking time of the control units, the frames on the bus and the
//! adapter's own waiting all count. What has not left by the time the next byte arrives is dropped and `STOPPED`
//! printed, as the real one does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloverleaf_core::bus::Protocol;

use super::dialect::{Action, Settings};
use super::ecu::Car;
use super::frames::{self, Frame, Style, Target};
use super::{Fault, Options, Timing, traffic, vehicle};

/// The longest command; the rest of a longer one is dropped, and the answer is `?`.
const LINE: usize = 256;
/// Bytes that may wait for the serial port; monitoring a bus that brings more ends in `BUFFER FULL`.
const BUFFER: u32 = 512;
const BANNER: &str = "ELM327 v1.5";
/// A CAN frame of eight bytes at 500 kbit/s.
const CAN_FRAME: Duration = Duration::from_micros(250);
/// What the adapter needs to act on a command.
const THINKING: Duration = Duration::from_micros(400);
/// How long it searches for the protocol before it finds it.
const SEARCH: Duration = Duration::from_millis(350);
/// How long it goes on waiting once a unit has asked for patience (7F xx 78).
const PATIENCE: Duration = Duration::from_secs(5);

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
    /// The next frame of ordinary traffic while monitoring.
    monitoring: Option<traffic::Traffic>,
    /// How often the car was asked.
    answers: u32,
    pub(super) fault: Fault,
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
            self.print(at, BANNER);
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
                    self.answer(at, "?");
                } else {
                    self.execute(at.max(self.sent), &line);
                }
            }
            b'\0' | b'\n' => {}
            _ if self.line.len() == LINE => self.overlong = true,
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
        let traffic = self.monitoring.as_ref().map(|traffic| traffic.next());
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
        let patience = self.settings.switch_timeout;
        // Time for the other side to follow; even where nothing else takes any.
        self.print(self.sent + self.span(patience), BANNER);
        self.switching =
            Some(Switch { from, deadline: self.sent + self.span(self.options.delay) * 2 + patience });
    }

    /// While monitoring: the traffic of the bus up to `now`.
    fn listen(&mut self, now: Duration) {
        while let Some(traffic) = &mut self.monitoring
            && traffic.next() <= now
        {
            let at = traffic.next();
            let Some(frame) = traffic.frame(&vehicle::state(self.options.car_time(at))) else { return };
            if self.sent > at + self.byte_time(BUFFER) {
                self.monitoring = None;
                self.answer(self.sent, "BUFFER FULL");
                return;
            }
            if self.settings.receive.is_none_or(|(id, mask)| (frame.id() ^ id) & mask == 0) {
                for line in frame.print(self.style()) {
                    self.print(at, &line);
                }
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
        match command.strip_prefix("AT") {
            Some(command) => self.at_command(at, command),
            None => self.request(at, &command),
        }
    }

    fn at_command(&mut self, at: Duration, command: &str) {
        let before = self.settings.protocol;
        match self.settings.apply(command) {
            Action::Ok => self.answer(at, "OK"),
            Action::Unknown => self.answer(at, "?"),
            Action::Say(text) => self.answer(at, &text),
            Action::Identify => self.answer(at, BANNER),
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
            Action::Monitor => {
                self.active = self.settings.protocol.or(Some(self.options.protocol));
                self.monitoring = Some(traffic::Traffic::new(at, self.options.protocol));
            }
            Action::Reset { full } => {
                (self.settings, self.active) = (Settings::default(), None);
                if full {
                    self.baud = self.options.baud;
                }
                let pause = Duration::from_millis(if full { 500 } else { 30 });
                let at = at + self.span(pause);
                self.transmit(at, b"\r\r".to_vec());
                self.answer(at, BANNER);
            }
        }
        if self.settings.protocol != before {
            self.active = None;
        }
    }

    /// An OBD request: hex digits; one more than makes whole bytes is the number of lines to wait for.
    fn request(&mut self, mut at: Duration, digits: &str) {
        let digits: Option<Vec<u8>> =
            digits.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect();
        let Some(digits) = digits else { return self.answer(at, "?") };
        let (pairs, odd) = digits.as_chunks::<2>();
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        let count = odd.first().map_or(usize::MAX, |count| usize::from(*count).max(1));
        let bytes = match (self.settings.formatted, bytes.as_slice()) {
            // The caller writes the protocol control byte itself: only single frames make sense.
            (false, [length @ 1..=7, data @ ..]) if self.options.protocol.is_can() => {
                data.get(..usize::from(*length)).unwrap_or(data).to_vec()
            }
            _ => bytes,
        };
        if bytes.is_empty() || bytes.len() > 7 {
            return self.answer(at, "?");
        }
        let begun = at;
        let protocol = match self.open(&mut at) {
            Ok(protocol) => protocol,
            Err(status) => {
                self.print(at, status);
                self.prompt(at);
                self.interruptible_until = self.sent;
                return;
            }
        };
        let (lines, ended) = self.ask(at, protocol, &bytes, count);
        if lines.is_empty() {
            self.print(ended, "NO DATA");
        }
        self.answers = self.answers.wrapping_add(1);
        let mut fault = match self.fault {
            Fault::Spoiled { every } if self.answers.is_multiple_of(every) => Fault::DataError,
            fault => fault,
        };
        for (arrived, frame) in lines {
            for line in frame.print(self.style()) {
                let line = spoil(fault, line);
                self.print(arrived, &line);
                fault = self.fault;
            }
        }
        self.prompt(ended);
        self.interruptible_until = self.sent.max(begun);
    }

    /// Asks the car; gives the frames that were received, each with its moment, and the end of the waiting.
    fn ask(
        &mut self,
        at: Duration,
        protocol: Protocol,
        request: &[u8],
        count: usize,
    ) -> (Vec<(Duration, Frame)>, Duration) {
        let timeout = self.span(self.settings.timeout);
        let tail = self.span(match self.settings.adaptive {
            0 => self.settings.timeout,
            1 => self.settings.timeout.min(Duration::from_millis(30)),
            _ => self.settings.timeout.min(Duration::from_millis(16)),
        });
        let only = match Target::of(protocol, self.settings.header) {
            Target::Nobody => return (Vec::new(), at + timeout),
            Target::Everyone => None,
            Target::One(ecu) => Some(ecu),
        };
        if self.fault == Fault::NoData {
            return (Vec::new(), at + timeout);
        }
        let slow = match self.fault {
            Fault::Slow(slow) => slow,
            _ => Duration::ZERO,
        };
        let car_time = self.options.car_time(at);
        let answers = self.car().answer(car_time, only, request);
        let frame_time = self.span(if protocol.is_can() { CAN_FRAME } else { Duration::from_millis(11) });
        let asked = at + frame_time;
        let mut arriving: Vec<(Duration, Frame)> = Vec::new();
        for answer in answers {
            let mut arrives = asked + self.span(answer.after) + slow;
            for frame in frames::cut(protocol, answer.ecu, &answer.data, self.options.padding) {
                arrives += frame_time;
                let waits = frame.wants_flow_control();
                arriving.push((arrives, frame));
                if waits {
                    if !self.settings.flow_control {
                        break;
                    }
                    arrives += frame_time;
                }
            }
        }
        arriving.sort_by_key(|(arrives, _)| *arrives);
        let mut received = Vec::new();
        // A slow car answers in time or not whatever the clock of the adapter does.
        let patient = if slow <= self.settings.timeout { timeout.max(slow) } else { timeout };
        let mut deadline = asked + patient;
        for (arrives, frame) in arriving {
            let wanted = match self.settings.receive {
                Some((id, mask)) => (frame.id() ^ id) & mask == 0,
                None => true,
            };
            if arrives > deadline || !wanted {
                continue;
            }
            let pending = matches!(frame.data.as_slice(), [_, 0x7F, _, 0x78, ..] | [0x7F, _, 0x78]);
            deadline = arrives + if pending { PATIENCE } else { tail };
            received.push((arrives, frame));
            if received.len() == count {
                deadline = arrives;
                break;
            }
        }
        (received, deadline)
    }

    /// The protocol in use; finds and opens it first if need be, which takes time and prints something.
    fn open(&mut self, at: &mut Duration) -> Result<Protocol, &'static str> {
        let there = self.car().ignition && self.fault != Fault::CanError;
        let protocol = self.options.protocol;
        if let Some(active) = self.active {
            return match (there, active.is_can()) {
                (true, _) => Ok(active),
                (false, true) => Err("CAN ERROR"),
                (false, false) => {
                    self.active = None;
                    Err("BUS ERROR")
                }
            };
        }
        match self.settings.protocol {
            Some(chosen) if chosen == protocol && there => {
                if matches!(chosen, Protocol::Iso9141 | Protocol::KwpSlow | Protocol::KwpFast) {
                    let init = if chosen == Protocol::KwpFast { 300 } else { 2_500 };
                    *at += self.span(Duration::from_millis(init));
                    self.print(*at, "BUS INIT: ...OK");
                }
            }
            Some(chosen) if !self.settings.automatic => {
                *at += self.span(SEARCH);
                return Err(match chosen {
                    Protocol::Iso9141 | Protocol::KwpSlow | Protocol::KwpFast => "BUS INIT: ...ERROR",
                    Protocol::J1850Pwm | Protocol::J1850Vpw => "NO DATA",
                    _ => "CAN ERROR",
                });
            }
            _ => {
                self.print(*at, "SEARCHING...");
                *at += self.span(if there { SEARCH } else { SEARCH * 5 });
                if !there {
                    return Err("UNABLE TO CONNECT");
                }
                self.settings.protocol = Some(protocol);
            }
        }
        self.active = Some(protocol);
        Ok(protocol)
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

/// What a fault makes of a line of data.
fn spoil(fault: Fault, mut line: String) -> String {
    let middle = line.len() / 2;
    match fault {
        Fault::DataError => line += "<DATA ERROR",
        Fault::Truncated => line.truncate(middle),
        Fault::Corrupted => line.replace_range(middle..=middle, "\u{7F}"),
        Fault::BufferFull => line.replace_range(middle.., " BUFFER FULL"),
        Fault::Stopped => line = "STOPPED".into(),
        _ => {}
    }
    line
}
