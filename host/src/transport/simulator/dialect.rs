//! The settings of an ELM327, and the AT commands that change and tell them.
//!
//! Source: ELM327 data sheet (v2.x), "AT Command Summary". Commands for things that a simulation does not have (key
//! words, wake-up messages, J1939 filters, programmable parameters) are accepted and change nothing, as on an
//! adapter whose bus does not use them.

use std::time::Duration;

use cloverleaf_core::bus::Protocol;

use super::adapter::stn;

/// `AT ST` counts in these.
const TICK: Duration = Duration::from_millis(4);
/// `AT BRT` counts in these; after a reset, fifteen of them.
const SWITCH_TICK: Duration = Duration::from_millis(5);
/// The time-out after a reset: 32 hexadecimal ticks.
const TIMEOUT: Duration = Duration::from_millis(0x32 * 4);

/// What AT commands set.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) echo: bool,
    pub(super) linefeeds: bool,
    pub(super) spaces: bool,
    pub(super) headers: bool,
    /// Print the CAN data length code after the identifier.
    pub(super) length: bool,
    /// CAN auto formatting.
    pub(super) formatted: bool,
    /// Whether the adapter gives leave to long CAN messages.
    pub(super) flow_control: bool,
    /// Whether anything is printed at all.
    pub(super) responses: bool,
    /// Adaptive timing: 0 off, 1 on, 2 aggressive.
    pub(super) adaptive: u8,
    /// How long to wait for (more) answers.
    pub(super) timeout: Duration,
    /// How long each side waits for the other when the serial rate changes.
    pub(super) switch_timeout: Duration,
    /// The header of requests, when not the protocol's own.
    pub(super) header: Option<u32>,
    /// The first byte of 29-bit headers given with three.
    priority: u8,
    /// Receive only identifiers that agree with the pattern where the mask is set.
    pub(super) receive: Option<(u32, u32)>,
    /// The chosen protocol; none is "find it".
    pub(super) protocol: Option<Protocol>,
    /// Whether another protocol may be searched when the chosen one fails.
    pub(super) automatic: bool,
    /// What an STN has beside these.
    pub(super) stn: stn::Settings,
}

/// What to do after an AT command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Print `OK`.
    Ok,
    /// Print this.
    Say(String),
    /// Print `?`.
    Unknown,
    /// Forget everything and show the banner, after a long (`ATZ`) or short (`ATWS`) pause.
    Reset {
        /// Whether also the lamps are tested: half a second.
        full: bool,
    },
    /// Show the banner.
    Identify,
    /// Show the supply voltage.
    Voltage,
    /// Show the name of the protocol in use.
    DescribeProtocol,
    /// Show its number.
    DescribeProtocolNumber,
    /// End the conversation with the car.
    Close,
    /// Show everything on the bus until interrupted.
    Monitor,
    /// Change the serial rate to so many bits per second.
    Switch(u32),
    /// Sleep until the next character.
    Sleep,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            echo: true,
            linefeeds: false,
            spaces: true,
            headers: false,
            length: false,
            formatted: true,
            flow_control: true,
            responses: true,
            adaptive: 1,
            timeout: TIMEOUT,
            switch_timeout: SWITCH_TICK * 15,
            header: None,
            priority: 0x18,
            receive: None,
            protocol: None,
            automatic: true,
            stn: stn::Settings::default(),
        }
    }
}

impl Settings {
    /// Carries out one AT command, given without `AT`, blanks and lower case.
    pub(super) fn apply(&mut self, command: &str) -> Action {
        if let Some(setting) = self.switch(command) {
            return setting;
        }
        match command {
            "Z" => Action::Reset { full: true },
            "WS" => Action::Reset { full: false },
            "D" => {
                // The protocol survives `AT D`.
                let (protocol, automatic) = (self.protocol, self.automatic);
                *self = Self { protocol, automatic, ..Self::default() };
                Action::Ok
            }
            "I" => Action::Identify,
            "@1" => Action::Say("OBDII to RS232 Interpreter".into()),
            "@2" => Action::Unknown,
            "RV" => Action::Voltage,
            "IGN" => Action::Say("ON".into()),
            "DP" => Action::DescribeProtocol,
            "DPN" => Action::DescribeProtocolNumber,
            "PC" => Action::Close,
            "MA" => Action::Monitor,
            "LP" => Action::Sleep,
            "BD" => Action::Say("00".into()),
            "CS" => Action::Say("T:00 R:00".into()),
            "KW" => Action::Say("1:8F 2:EF".into()),
            "PPS" => Action::Say(parameters()),
            "CRA" => self.keep(|settings| settings.receive = None),
            "AR" => self.keep(|settings| {
                settings.receive = None;
                settings.stn.filters = stn::Filters::default();
            }),
            _ => self.with_argument(command),
        }
    }

    /// The commands that end in 0 or 1.
    fn switch(&mut self, command: &str) -> Option<Action> {
        let on = match command.as_bytes().last()? {
            b'0' => false,
            b'1' => true,
            _ => return None,
        };
        let setting = match &command[..command.len() - 1] {
            "E" => &mut self.echo,
            "L" => &mut self.linefeeds,
            "S" => &mut self.spaces,
            "H" => &mut self.headers,
            "D" => &mut self.length,
            "R" => &mut self.responses,
            "CAF" => &mut self.formatted,
            "CFC" => &mut self.flow_control,
            // Memory, variable length, silent monitoring, key word checks.
            "M" | "V" | "CSM" | "KW" => return Some(Action::Ok),
            _ => return None,
        };
        *setting = on;
        Some(Action::Ok)
    }

    fn with_argument(&mut self, command: &str) -> Action {
        let argument = |name: &str| command.strip_prefix(name);
        if let Some(protocol) = argument("SP").or_else(|| argument("TP")) {
            return self.choose(protocol);
        }
        if let Some(header) = argument("SH") {
            return match (header.len(), number(header)) {
                (3 | 8, Some(id)) => self.keep(|settings| settings.header = Some(id)),
                (6, Some(id)) => {
                    self.keep(|settings| settings.header = Some(u32::from(settings.priority) << 24 | id))
                }
                _ => Action::Unknown,
            };
        }
        if let Some(pattern) = argument("CRA") {
            return match receive_pattern(pattern) {
                Some(pattern) => self.keep(|settings| settings.receive = Some(pattern)),
                None => Action::Unknown,
            };
        }
        if let Some(filter) = argument("CF").and_then(number) {
            let mask = self.receive.map_or(u32::MAX, |(_, mask)| mask);
            return self.keep(|settings| settings.receive = Some((filter, mask)));
        }
        if let Some(mask) = argument("CM").and_then(number) {
            let filter = self.receive.map_or(0, |(filter, _)| filter);
            return self.keep(|settings| settings.receive = Some((filter, mask)));
        }
        if let Some(priority) = argument("CP").and_then(number) {
            return match u8::try_from(priority) {
                Ok(priority) => self.keep(|settings| settings.priority = priority),
                Err(_) => Action::Unknown,
            };
        }
        if let Some(level) = argument("AT") {
            return match level {
                "0" => self.keep(|settings| settings.adaptive = 0),
                "1" => self.keep(|settings| settings.adaptive = 1),
                "2" => self.keep(|settings| settings.adaptive = 2),
                _ => Action::Unknown,
            };
        }
        if let Some(ticks) = argument("ST") {
            return match (ticks.len(), number(ticks)) {
                (2, Some(0)) => self.keep(|settings| settings.timeout = TIMEOUT),
                (2, Some(ticks)) => self.keep(|settings| settings.timeout = TICK * ticks),
                _ => Action::Unknown,
            };
        }
        if let Some(divisor) = argument("BRD") {
            return match (divisor.len(), number(divisor)) {
                (2, Some(divisor @ 1..)) => Action::Switch(4_000_000 / divisor),
                _ => Action::Unknown,
            };
        }
        if let Some(ticks) = argument("BRT") {
            return match (ticks.len(), number(ticks)) {
                (2, Some(ticks)) => self.keep(|settings| settings.switch_timeout = SWITCH_TICK * ticks),
                _ => Action::Unknown,
            };
        }
        let accepted = [
            "AL", "NL", "BI", "CEA", "CTM", "CV", "DM1", "FCSD", "FCSH", "FCSM", "FE", "FI", "IB", "IFR",
            "IIA", "JE", "JHF", "JS", "JTM", "MP", "MR", "MT", "NL", "PB", "PP", "RA", "RTR", "SI", "SR",
            "SS", "SW", "TA", "WM",
        ];
        if accepted.iter().any(|name| command.starts_with(name)) { Action::Ok } else { Action::Unknown }
    }

    fn keep(&mut self, set: impl FnOnce(&mut Self)) -> Action {
        set(self);
        Action::Ok
    }

    /// `SP h`, `SP Ah` and their `TP` twins; 0 is automatic.
    fn choose(&mut self, argument: &str) -> Action {
        let digit = match argument.as_bytes() {
            [b'0'] | [b'A' | b'0', b'0'] => {
                return self.keep(|settings| (settings.protocol, settings.automatic) = (None, true));
            }
            [digit] => *digit,
            [b'A' | b'0', digit] | [digit, b'A'] => *digit,
            _ => return Action::Unknown,
        };
        match Protocol::from_id(char::from(digit)) {
            Some(protocol) => self.keep(|settings| {
                settings.protocol = Some(protocol);
                settings.automatic = argument.len() == 2;
            }),
            None => Action::Unknown,
        }
    }
}

/// A hexadecimal number of one to eight digits.
fn number(digits: &str) -> Option<u32> {
    let digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(digits)?;
    u32::from_str_radix(digits, 16).ok()
}

/// `7E8`, `7EX`, `18DAF1XX`: identifier and mask.
fn receive_pattern(pattern: &str) -> Option<(u32, u32)> {
    if !matches!(pattern.len(), 3 | 8) {
        return None;
    }
    let mut filter = (0, 0);
    for digit in pattern.chars() {
        let (value, mask) = match digit {
            'X' => (0, 0),
            digit => (digit.to_digit(16)?, 0xF),
        };
        filter = (filter.0 << 4 | value, filter.1 << 4 | mask);
    }
    Some(filter)
}

/// `AT PPS`: programmable parameters, all at their factory values and off.
fn parameters() -> String {
    let rows = (0..0x30u8).step_by(4).map(|first| {
        let row: Vec<String> = (first..first + 4).map(|number| format!("{number:02X}:FF F")).collect();
        row.join("  ")
    });
    rows.collect::<Vec<_>>().join("\r")
}
