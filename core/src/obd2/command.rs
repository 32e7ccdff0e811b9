//! What can be asked: one [`Command`] per name.

use core::fmt;

use heapless::Vec;

use super::{Decoder, table};

/// A question with a name, and how its answer is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Command {
    /// The name that clients use: `RPM`.
    pub name: &'static str,
    /// What it is, in words.
    pub description: &'static str,
    /// What is asked.
    pub ask: Ask,
    /// The length of an answer with service and PID, if it is fixed; else 0. python-OBD's clients see it.
    pub bytes: u8,
    /// Which control units answer.
    pub ecu: Ecu,
    /// Whether the number of lines of the answer is stable, so that the adapter may be told not to wait for more.
    pub fast: bool,
    /// How the answer is read.
    pub decoder: Decoder,
}

/// What a [`Command`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Ask {
    /// A service without parameter, on the bus.
    Service(u8),
    /// A service and a PID (or test, or information type), on the bus.
    Pid(u8, u8),
    /// A command of the adapter itself.
    Adapter(&'static str),
}

/// Which control units answer a [`Command`], as python-OBD's clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Ecu {
    /// None: the adapter.
    Unknown = 1,
    /// The engine's.
    Engine = 2,
    /// Any.
    All = 255,
}

/// A request as it goes onto the bus: service first, at most eight bytes.
pub type Request = Vec<u8, 8>;

impl Command {
    /// Every command: services 01 to 0A in order, then the adapter's own.
    pub fn all() -> impl Iterator<Item = &'static Self> + Clone {
        table::SERVICES.iter().copied().flatten()
    }

    /// The command of this name, as python-OBD spells it (upper case).
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().find(|command| command.name == name)
    }

    /// The command that asks for this PID (or test, or information type) of a service.
    pub fn of(service: u8, pid: u8) -> Option<&'static Self> {
        let table = table::service(service)?;
        let of_pid = |command: &Self| matches!(command.ask, Ask::Pid(_, found) if found == pid);
        match table.get(usize::from(pid)) {
            Some(command) if of_pid(command) => Some(command),
            _ => table.iter().find(|command| of_pid(command)),
        }
    }

    /// The command that this request (service first, as sent) asks, if it is one of the tables; for a monitor that
    /// they do not name, one for any monitor.
    pub fn of_request(request: &[u8]) -> Option<&'static Self> {
        match *request {
            [service] => table::service(service)?.iter().find(|command| command.ask == Ask::Service(service)),
            [0x06, monitor, ..] => Self::of(0x06, monitor).or(Some(&table::MONITOR)),
            [service, pid, ..] => Self::of(service, pid),
            [] => None,
        }
    }

    /// The service asked; `None` for the adapter's own commands.
    pub const fn service(&self) -> Option<u8> {
        match self.ask {
            Ask::Service(service) | Ask::Pid(service, _) => Some(service),
            Ask::Adapter(_) => None,
        }
    }

    /// The PID (or test, or information type) asked.
    pub const fn pid(&self) -> Option<u8> {
        match self.ask {
            Ask::Pid(_, pid) => Some(pid),
            _ => None,
        }
    }

    /// How many data bytes follow service and PID in an answer, if that is fixed.
    pub const fn data_length(&self) -> Option<u8> {
        self.bytes.checked_sub(2)
    }

    /// What to send on the bus; empty for the adapter's own commands.
    ///
    /// Freeze frames (service 02) are asked for frame 0 and oxygen sensor tests (05) for the first sensor; see
    /// [`request_with`](Self::request_with).
    pub fn request(&self) -> Request {
        match self.ask {
            Ask::Pid(0x02, _) => self.request_with(0),
            Ask::Pid(0x05, _) => self.request_with(1),
            Ask::Service(service) => request(&[service]),
            Ask::Pid(service, pid) => request(&[service, pid]),
            Ask::Adapter(_) => Request::new(),
        }
    }

    /// What to send for a service that takes one more byte: the number of the freeze frame (02) or of the oxygen
    /// sensor (05).
    pub fn request_with(&self, parameter: u8) -> Request {
        match self.ask {
            Ask::Pid(service, pid) => request(&[service, pid, parameter]),
            _ => self.request(),
        }
    }

    /// The command as clients of python-OBD know it: `010C`, `03`, `ATRV`.
    pub const fn code(&self) -> Code {
        Code(self.ask)
    }
}

fn request(bytes: &[u8]) -> Request {
    Request::from_slice(bytes).unwrap_or_default()
}

/// The text of a command; see [`Command::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(Ask);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ask::Service(service) => write!(f, "{service:02X}"),
            Ask::Pid(service, pid) => write!(f, "{service:02X}{pid:02X}"),
            Ask::Adapter(text) => f.write_str(text),
        }
    }
}
