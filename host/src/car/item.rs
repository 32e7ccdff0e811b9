//! What a name stands for, and which of them the car supports.

use std::collections::{BTreeSet, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use cloverleaf_core::elm327::session::Target;
use cloverleaf_core::obd2::{Ask, Command, Decoder, Ecu};

use super::descriptions::Descriptions;
use super::signals::{self, Named, Sessions, Signals};

/// Something that can be asked for by name. Two items are the same when their names are.
#[derive(Clone, Debug)]
pub struct Item {
    name: Arc<str>,
    /// What it is.
    pub what: What,
    /// The words for trouble codes.
    pub(crate) descriptions: &'static Descriptions,
}

/// The kinds of [`Item`].
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// A command of the standard's tables, or of the adapter.
    Standard(&'static Command),
    /// A command of a signal set, whole or one signal of it.
    Custom(&'static signals::Command, Option<&'static signals::Signal>),
}

impl Item {
    /// The item of this name; the standard's commands come first.
    pub(super) fn find(
        name: &str,
        signals: Option<&'static Signals>,
        year: Option<u16>,
        descriptions: &'static Descriptions,
    ) -> Option<Self> {
        let what = match Command::named(name) {
            Some(command) => What::Standard(command),
            None => match signals?.find(name, year)? {
                Named::Command(command) => What::Custom(command, None),
                Named::Signal(command, signal) => What::Custom(command, Some(signal)),
            },
        };
        Some(Self { name: name.into(), what, descriptions })
    }

    /// The item of a standard command, its trouble codes described as their structure says.
    pub fn standard(command: &'static Command) -> Self {
        Self {
            name: command.name.into(),
            what: What::Standard(command),
            descriptions: Descriptions::composed(),
        }
    }

    /// Its name, as it was asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The standard's command, if it is one.
    pub fn command(&self) -> Option<&'static Command> {
        match self.what {
            What::Standard(command) => Some(command),
            What::Custom(..) => None,
        }
    }

    /// The line to send, when it is the adapter itself that is asked.
    pub(super) fn adapter_command(&self) -> Option<&'static str> {
        match self.what {
            What::Standard(Command { ask: Ask::Adapter(text), .. }) => Some(text),
            _ => None,
        }
    }

    /// What to send to the car.
    pub fn request(&self) -> Vec<u8> {
        match self.what {
            What::Standard(command) => command.request().to_vec(),
            What::Custom(command, _) => command.request.data.clone(),
        }
    }

    /// Whether asking for it changes nothing in the car: see [`only_reads`]. Nothing else is polled, or offered to
    /// whoever asks from elsewhere.
    pub fn only_reads(&self) -> bool {
        only_reads(&self.request())
    }

    /// How often it is worth asking, if its signal set says so.
    pub fn every(&self) -> Option<Duration> {
        match self.what {
            What::Standard(_) => None,
            What::Custom(command, _) => command.every,
        }
    }

    /// The diagnostic sessions that it needs.
    pub(super) fn sessions(&self) -> Sessions {
        match self.what {
            What::Standard(_) => Sessions::default(),
            What::Custom(command, _) => command.sessions,
        }
    }

    /// Whom to ask.
    pub fn target(&self) -> Target {
        match self.what {
            What::Standard(_) => Target::Functional,
            What::Custom(command, _) => command.request.target(),
        }
    }

    /// Whether both are read from the answer to one request: signals of one command.
    pub(super) fn shares_answer(&self, other: &Self) -> bool {
        match (self.what, other.what) {
            (What::Custom(one, _), What::Custom(another, _)) => {
                one.request.data == another.request.data
                    && one.request.target() == another.request.target()
                    && one.sessions == another.sessions
            }
            _ => self == other,
        }
    }

    /// Whether no answer at all is an answer: lists of trouble codes.
    pub(super) fn may_be_silent(&self) -> bool {
        matches!(self.what, What::Standard(Command { ask: Ask::Service(0x03 | 0x07 | 0x0A), .. }))
    }

    /// Whether what one control unit answers is worth nothing while another's answer is damaged: a list without it looks
    /// like a whole one, and a text may be the wrong unit's.
    pub(super) fn needs_all(&self) -> bool {
        self.command().is_some_and(|command| {
            command.ecu == Ecu::All || matches!(command.decoder, Decoder::Supported | Decoder::Text(_))
        })
    }
}

/// Whether a request only reads: services 01 to 03, 05 to 07, 09 and 0A of SAE J1979, and what reads identifiers, codes
/// and memory by ISO 14230-3 and ISO 14229-1. An empty request goes to the adapter, whose named commands only read.
pub fn only_reads(request: &[u8]) -> bool {
    matches!(
        request.first(),
        None | Some(0x01..=0x03 | 0x05..=0x07 | 0x09 | 0x0A | 0x12 | 0x13 | 0x17..=0x1A | 0x21..=0x24)
    )
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Item {}

impl Hash for Item {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// What the control units say they answer, by service and identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supported {
    /// Services 01, 06, 09 and, on the older buses, 05.
    pub(super) identifiers: HashSet<(u8, u8)>,
}

impl Supported {
    /// The identifiers of a service, in order.
    pub fn of(&self, service: u8) -> BTreeSet<u8> {
        let of_service = |(of, identifier): &(u8, u8)| (*of == service).then_some(*identifier);
        self.identifiers.iter().filter_map(of_service).collect()
    }

    /// Whether an item is among them. What cannot be known beforehand counts as supported: trouble codes, the
    /// adapter's own commands, and commands of signal sets.
    pub fn contains(&self, item: &Item) -> bool {
        let What::Standard(command) = item.what else { return true };
        match command.ask {
            Ask::Service(_) | Ask::Adapter(_) => true,
            // The bit maps themselves begin each service.
            Ask::Pid(0x01 | 0x02 | 0x06 | 0x09, 0x00) => true,
            // Freeze frames hold a part of the live values.
            Ask::Pid(0x02, 0x02) => true,
            Ask::Pid(0x02, pid) => self.identifiers.contains(&(0x01, pid)),
            Ask::Pid(service, pid) => self.identifiers.contains(&(service, pid)),
        }
    }

    /// Every command of the standard's tables that is supported, in their order.
    pub fn commands(&self) -> impl Iterator<Item = &'static Command> {
        Command::all().filter(|command| self.contains(&Item::standard(command)))
    }
}
