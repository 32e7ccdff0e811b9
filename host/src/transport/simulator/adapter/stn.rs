//! The commands of an STN chip (OBDLink Family Reference and Programming Manual, rev. E, section 8), as far as they matter
//! to a simulated car: who the adapter is, protocols, filters, flow control, long messages.

use std::time::Duration;

use cloverleaf_core::bus::Protocol;

use super::super::frames::Frame;
use super::Adapter;
use super::question::Question;

const FIRMWARE: &str = "STN2120 v5.10.3";
const RELEASED: &str = "[2024.02.01]";
const DEVICE: &str = "STN2120 r1.0.0";
const MAKER: &str = "Generic";
const SERIAL_NUMBER: &str = "212000000042";

/// The longest message that it sends.
const LONGEST: usize = 4095;
/// Filters and flow control pairs that it has memory for, of each kind; one more is `OUT OF MEMORY`.
const ROOM: usize = 32;
/// "Infinite": longer than anyone waits.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// What ST commands set beside the settings that an ELM327 has, too.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Settings {
    /// Whether the frames of a message are joined into one line.
    pub(in super::super) joins: bool,
    /// Flow control: the identifier that it is sent with, and that of the message. None: by rule.
    pairs: Vec<(u32, u32)>,
    pub(in super::super) filters: Filters,
}

impl Settings {
    /// Whether the sender of a long message is given leave to go on.
    pub(in super::super) fn gives_leave(&self, id: u32) -> bool {
        self.pairs.is_empty() || self.pairs.iter().any(|(_, reply)| *reply == id)
    }
}

/// Which frames are printed (manual, section 11).
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Filters {
    pass: Vec<Filter>,
    block: Vec<Filter>,
    /// Frames of ISO 15765-2, which need not pass the others. None: those of the protocol, by itself.
    flow: Option<Vec<Filter>>,
}

/// The bytes of a frame, header first, that count, and what they must be.
#[derive(Clone, Debug)]
struct Filter {
    pattern: Vec<u8>,
    mask: Vec<u8>,
}

impl Filters {
    pub(in super::super) fn pass(&self, frame: &Frame) -> bool {
        let bytes = frame.bytes();
        let any = |filters: &[Filter]| filters.iter().any(|filter| filter.matches(&bytes));
        let flow = match &self.flow {
            Some(filters) => any(filters),
            None => frame.is_diagnostic(),
        };
        (flow || any(&self.pass)) && !any(&self.block)
    }
}

impl Filter {
    /// `7E8,7FF`: two numbers of the same length, up to five bytes; an odd digit has a zero in front.
    fn parse(argument: &str) -> Option<Self> {
        let (pattern, mask) = argument.split_once(',')?;
        let bytes = |digits: &str| {
            let even = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
            Question::parse(&even).map(|question| question.bytes)
        };
        let filter = Self { pattern: bytes(pattern)?, mask: bytes(mask)? };
        (pattern.len() == mask.len() && filter.pattern.len() <= 5).then_some(filter)
    }

    fn matches(&self, bytes: &[u8]) -> bool {
        let places = self.pattern.iter().zip(&self.mask);
        bytes.len() >= self.pattern.len()
            && bytes.iter().zip(places).all(|(byte, (pattern, mask))| (byte ^ pattern) & mask == 0)
    }
}

/// A message whose data come after the prompt `DATA>`.
#[derive(Clone, Debug)]
pub(super) struct Unsaid {
    question: Question,
    length: usize,
}

impl Unsaid {
    /// How many digits its data have.
    pub(super) const fn digits(&self) -> usize {
        2 * self.length
    }
}

/// What `STPX` was told: a question, perhaps without its data yet.
enum Transmission {
    Whole(Question),
    Announced(Unsaid),
}

impl Transmission {
    /// Comma-separated parameters, each a letter, a colon and a value; of data and their length exactly one is needed.
    fn parse(parameters: &str) -> Option<Self> {
        let mut question =
            Question { bytes: Vec::new(), count: usize::MAX, header: None, timeout: None, long: true };
        let (mut data, mut length) = (None, None);
        for parameter in parameters.split(',') {
            let (name, value) = parameter.split_once(':')?;
            let hex = || u32::from_str_radix(value, 16).ok();
            match name {
                "H" => question.header = Some(hex()?),
                "D" => data = Some(Question::parse(value).filter(|_| value.len().is_multiple_of(2))?.bytes),
                "L" => length = Some(value.parse().ok()?),
                "T" => question.timeout = Some(wait(value)?),
                "R" => question.count = value.parse().ok().filter(|count| *count > 0).unwrap_or(usize::MAX),
                // Nobody has an extended address, so nobody is meant.
                "X" => question.header = hex().filter(|byte| *byte <= 0xFF).map(|_| 0),
                // Whether a check byte is added, on buses that have one.
                "F" => drop(hex()?),
                _ => return None,
            }
        }
        match (data, length) {
            (Some(bytes), None) => Some(Self::Whole(Question { bytes, ..question })),
            (None, Some(length)) => Some(Self::Announced(Unsaid { question, length })),
            _ => None,
        }
    }
}

impl Adapter {
    /// A command without its `ST`, blanks and lower case.
    pub(super) fn st_command(&mut self, at: Duration, command: &str) {
        match command {
            "I" => return self.answer(at, FIRMWARE),
            "IX" => return self.answer(at, &format!("{FIRMWARE} {RELEASED}")),
            "DI" => return self.answer(at, DEVICE),
            "MFR" => return self.answer(at, MAKER),
            "SN" => return self.answer(at, SERIAL_NUMBER),
            "PR" => {
                let number = self.settings.protocol.map_or("0", number);
                return self.answer(at, number);
            }
            "PRS" => {
                let name = self.settings.protocol.map_or("AUTO", Protocol::name);
                return self.answer(at, name);
            }
            "PBRR" => match self.settings.protocol.map(rate) {
                Some(rate) => return self.answer(at, &rate.to_string()),
                None => return self.answer(at, "?"),
            },
            "PC" => self.active = None,
            "PO" => {}
            "M" | "MA" => return self.monitor(at, command == "M", None),
            "CSEGR0" | "CSEGR1" => self.settings.stn.joins = command.ends_with('1'),
            // Long requests are segmented anyway where they can be asked: `STPX` turns it on.
            "CSEGT0" | "CSEGT1" => {}
            "CFCPC" => self.settings.stn.pairs.clear(),
            "FAC" => {
                let flow = Some(Vec::new());
                self.settings.stn.filters = Filters { flow, ..Filters::default() };
            }
            "FPC" => self.settings.stn.filters.pass.clear(),
            "FBC" => self.settings.stn.filters.block.clear(),
            "FFCC" => self.settings.stn.filters.flow = Some(Vec::new()),
            "FA" => self.settings.stn.filters = Filters::default(),
            _ => return self.with_argument(at, command),
        }
        self.answer(at, "OK");
    }

    fn with_argument(&mut self, at: Duration, command: &str) {
        let argument = |name: &str| command.strip_prefix(name);
        if let Some(parameters) = argument("PX") {
            return match Transmission::parse(parameters) {
                Some(Transmission::Whole(question)) => self.ask(at, question),
                Some(Transmission::Announced(unsaid)) if unsaid.length > LONGEST => {
                    self.answer(at, "OUT OF MEMORY");
                }
                Some(Transmission::Announced(unsaid)) => {
                    self.unsaid = Some(unsaid);
                    self.transmit(at, b"DATA>".to_vec());
                }
                None => self.answer(at, "?"),
            };
        }
        if let Some(count) = argument("MA").or_else(|| argument("M")) {
            return match count.parse() {
                Ok(count @ 1..=32_767) => self.monitor(at, argument("MA").is_none(), Some(count)),
                _ => self.answer(at, "?"),
            };
        }
        let answer = self.set(command).unwrap_or("?");
        self.answer(at, answer);
    }

    /// The commands that set something to a value.
    fn set(&mut self, command: &str) -> Option<&'static str> {
        let argument = |name: &str| command.strip_prefix(name);
        let stn = &mut self.settings.stn;
        if let Some(filter) = argument("FPA") {
            return add(&mut stn.filters.pass, Filter::parse(filter)?);
        }
        if let Some(filter) = argument("FBA") {
            return add(&mut stn.filters.block, Filter::parse(filter)?);
        }
        if let Some(filter) = argument("FFCA") {
            return add(stn.filters.flow.get_or_insert_default(), Filter::parse(filter)?);
        }
        if let Some(pair) = argument("CFCPA").or_else(|| argument("CAFCP")) {
            let (request, reply) = pair.split_once(',')?;
            let id = |digits: &str| match digits.len() {
                3 | 8 => u32::from_str_radix(digits, 16).ok(),
                _ => None,
            };
            return add(&mut stn.pairs, (id(request)?, id(reply)?));
        }
        if let Some(wait_for) = argument("PTOT").or_else(|| argument("PTRQ")) {
            // How long it waits for the bus, and between requests: it never has to.
            return wait(wait_for).map(|_| "OK");
        }
        if let Some(timeout) = argument("PTO") {
            self.settings.timeout = wait(timeout)?;
            return Some("OK");
        }
        if let Some(rate) = argument("PBR") {
            // The bus of the simulated car has its own.
            let fixed =
                matches!(self.settings.protocol, None | Some(Protocol::J1850Pwm | Protocol::J1850Vpw));
            return rate.parse::<u32>().ok().filter(|_| !fixed).map(|_| "OK");
        }
        let protocol = preset(argument("P")?)?;
        if self.settings.protocol != Some(protocol) {
            self.active = None;
        }
        (self.settings.protocol, self.settings.automatic) = (Some(protocol), false);
        Some("OK")
    }

    /// The data of a message that was announced.
    pub(super) fn say(&mut self, at: Duration, unsaid: Unsaid, digits: &str) {
        match Question::parse(digits) {
            Some(said) if digits.len() == unsaid.digits() => {
                self.ask(at, Question { bytes: said.bytes, ..unsaid.question });
            }
            _ => self.answer(at, "?"),
        }
    }
}

/// Keeps one more, where there is room.
fn add<T>(list: &mut Vec<T>, one: T) -> Option<&'static str> {
    if list.len() == ROOM {
        return Some("OUT OF MEMORY");
    }
    list.push(one);
    Some("OK")
}

/// Milliseconds up to 65 535; zero is for ever.
fn wait(millis: &str) -> Option<Duration> {
    match millis.parse::<u16>().ok()? {
        0 => Some(FOR_EVER),
        millis => Some(Duration::from_millis(millis.into())),
    }
}

/// The protocol of a preset (`STP`).
fn preset(number: &str) -> Option<Protocol> {
    Some(match number {
        "11" => Protocol::J1850Pwm,
        "12" => Protocol::J1850Vpw,
        "21" | "22" => Protocol::Iso9141,
        "23" | "24" => Protocol::KwpSlow,
        "25" => Protocol::KwpFast,
        "31" | "33" => Protocol::Can11Fast,
        "32" | "34" => Protocol::Can29Fast,
        "35" => Protocol::Can11Slow,
        "36" => Protocol::Can29Slow,
        "42" => Protocol::J1939,
        _ => return None,
    })
}

/// The preset of a protocol.
const fn number(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::J1850Pwm => "11",
        Protocol::J1850Vpw => "12",
        Protocol::Iso9141 => "22",
        Protocol::KwpSlow => "24",
        Protocol::KwpFast => "25",
        Protocol::Can11Fast => "33",
        Protocol::Can29Fast => "34",
        Protocol::Can11Slow => "35",
        Protocol::Can29Slow => "36",
        Protocol::J1939 => "42",
    }
}

/// Bits per second on the bus.
const fn rate(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::J1850Pwm => 41_600,
        Protocol::J1850Vpw | Protocol::Iso9141 | Protocol::KwpSlow | Protocol::KwpFast => 10_400,
        Protocol::Can11Fast | Protocol::Can29Fast => 500_000,
        Protocol::Can11Slow | Protocol::Can29Slow | Protocol::J1939 => 250_000,
    }
}
