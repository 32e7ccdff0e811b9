//! A question to the car: which bus, who answers and when, and what is printed of that.

use std::time::Duration;

use cloverleaf_core::bus::Protocol;

use super::super::Fault;
use super::super::frames::{self, Frame, Target};
use super::Adapter;

/// A CAN frame of eight bytes at 500 kbit/s.
const CAN_FRAME: Duration = Duration::from_micros(250);
/// How long it searches for the protocol before it finds it.
const SEARCH: Duration = Duration::from_millis(350);
/// How long it goes on waiting once a unit has said that its answer is pending (7F xx 78).
const PENDING: Duration = Duration::from_secs(5);

/// What is asked, and with which settings of its own.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) bytes: Vec<u8>,
    /// The number of answers to wait for.
    pub(super) count: usize,
    /// The header, where it is not that of `AT SH`.
    pub(super) header: Option<u32>,
    /// How long to wait, where that is not as set.
    pub(super) timeout: Option<Duration>,
    /// Whether it may be longer than a frame: an STN segments what it is told to.
    pub(super) long: bool,
}

impl Question {
    /// Hex digits; one more than makes whole bytes is the number of lines to wait for.
    pub(super) fn parse(digits: &str) -> Option<Self> {
        let digits: Option<Vec<u8>> =
            digits.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect();
        let digits = digits?;
        let (pairs, odd) = digits.as_chunks::<2>();
        Some(Self {
            bytes: pairs.iter().map(|[high, low]| high << 4 | low).collect(),
            count: odd.first().map_or(usize::MAX, |count| usize::from(*count).max(1)),
            header: None,
            timeout: None,
            long: false,
        })
    }
}

/// A frame, when it arrives, and whether its message ends with it.
struct Arrival {
    at: Duration,
    frame: Frame,
    last: bool,
}

impl Adapter {
    pub(super) fn ask(&mut self, mut at: Duration, mut question: Question) {
        if let (false, [length @ 1..=7, data @ ..]) = (self.settings.formatted, question.bytes.as_slice())
            && self.options.protocol.is_can()
        {
            // The caller writes the protocol control byte itself: only single frames make sense.
            question.bytes = data.get(..usize::from(*length)).unwrap_or(data).to_vec();
        }
        if question.bytes.is_empty() || question.bytes.len() > 7 && !question.long {
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
        let (frames, ended) = self.exchange(at, protocol, &question);
        if frames.is_empty() {
            self.print(ended, "NO DATA");
        }
        self.answers = self.answers.wrapping_add(1);
        let mut fault = match self.fault {
            Fault::Spoiled { every } if self.answers.is_multiple_of(every) => Fault::DataError,
            fault => fault,
        };
        for (arrived, frame) in frames {
            for line in frame.print(self.style()) {
                let line = spoil(fault, line);
                self.print(arrived, &line);
                fault = self.fault;
            }
        }
        self.prompt(ended);
        self.interruptible_until = self.sent.max(begun);
    }

    /// Asks the car; gives what was received, each with its moment, and the end of the waiting.
    fn exchange(
        &mut self,
        at: Duration,
        protocol: Protocol,
        question: &Question,
    ) -> (Vec<(Duration, Frame)>, Duration) {
        let set = question.timeout.unwrap_or(self.settings.timeout);
        let timeout = self.span(set);
        let tail = self.span(match self.settings.adaptive {
            0 => set,
            1 => set.min(Duration::from_millis(30)),
            _ => set.min(Duration::from_millis(16)),
        });
        let only = match Target::of(protocol, question.header.or(self.settings.header)) {
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
        let answers = self.car().answer(car_time, only, &question.bytes);
        let frame_time = self.span(if protocol.is_can() { CAN_FRAME } else { Duration::from_millis(11) });
        let asked = at + frame_time;
        let mut arriving: Vec<Arrival> = Vec::new();
        for answer in answers {
            let mut at = asked + self.span(answer.after) + slow;
            let frames = frames::cut(protocol, answer.ecu, &answer.data, self.options.padding);
            let last = frames.len() - 1;
            for (number, frame) in frames.into_iter().enumerate() {
                at += frame_time;
                let waits = frame.wants_flow_control();
                let leave = self.settings.flow_control && self.settings.stn.gives_leave(frame.id());
                arriving.push(Arrival { at, frame, last: number == last });
                if waits && !leave {
                    break;
                }
                if waits {
                    at += frame_time;
                }
            }
        }
        arriving.sort_by_key(|arrival| arrival.at);
        let mut received = Vec::new();
        // A slow car answers in time or not whatever the clock of the adapter does.
        let patient = if slow <= set { timeout.max(slow) } else { timeout };
        let mut deadline = asked + patient;
        let joins = self.settings.stn.joins;
        let mut count = 0;
        for Arrival { at, frame, last } in arriving {
            let wanted = match self.settings.receive {
                Some((id, mask)) => (frame.id() ^ id) & mask == 0,
                None => true,
            };
            if at > deadline || !wanted || !self.settings.stn.filters.pass(&frame) {
                continue;
            }
            let pending = matches!(frame.data.as_slice(), [_, 0x7F, _, 0x78, ..] | [0x7F, _, 0x78]);
            deadline = at + if pending { PENDING } else { tail };
            received.push((at, frame));
            count += usize::from(last || !joins);
            if count == question.count {
                deadline = at;
                break;
            }
        }
        if joins {
            received = frames::join(received);
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
