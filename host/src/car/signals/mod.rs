//! Signal sets: the commands of a car and the signals in their answers, read from files in OBDb's v3 JSON format.
//!
//! [`Signals::load`] reads any number of files; each command becomes an ordinary named command. A name is the ID of a
//! signal (`CIVIC_ODO`: one value) or a request (`DA10.10.222660|f=2015-`: all signals of the command);
//! [`Signals::find`] resolves both. [`Signals::answered`] does the reverse for recorded replies: which command of the set
//! did this one answer?
//!
//! A value is `bits × mul ÷ div + add`, computed exactly and rounded once, kept within `min` and `max`; it is absent when
//! the reply is too short, when it lies in the null range, or when `map` does not know it. Format: the JSON schema of
//! OBDb v3; see `load.rs` for what each key may be.

mod format;
mod load;
mod rational;
mod request;
mod unit;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use cloverleaf_core::bus::{Address, Message};
use cloverleaf_core::obd2::reply;

pub use format::{Format, Meaning, NUMBER_BITS, Optimal, Quantity, State, Value};
pub use load::{CommandName, LoadError, MAX_FILE, Problem};
pub use request::{Header, MAX_DATA, Properties, Request, RequestError, Route, Years, header};

/// One request of a signal set and what its answer holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Where to, what, and how.
    pub request: Request,
    /// How often it is worth asking (`freq`).
    pub every: Option<Duration>,
    /// Model years for which nobody has confirmed the command yet (`dbgfilter`).
    pub untested: Option<Years>,
    /// The diagnostic session that the ECU must be in (`din`).
    pub session: Option<u8>,
    /// The diagnostic session to return to (`dout`).
    pub session_after: Option<u8>,
    /// What the answer holds.
    pub signals: Vec<Signal>,
}

/// One value in an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Its identity, unique in the car: `CIVIC_ODO`.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// What it is, for people.
    pub description: Option<String>,
    /// Where it belongs among the other signals: `Battery.Cells`.
    pub path: Option<String>,
    /// The gauge that can show it: `odometer`, `speed`.
    pub metric: Option<String>,
    /// Whether displays leave it out.
    pub hidden: bool,
    /// Where it lies and how it is read.
    pub format: Format,
}

impl Signal {
    /// The symbol of its unit; empty for plain numbers, switches and states.
    pub fn unit(&self) -> &'static str {
        self.format.unit.as_deref().map_or("", unit::symbol)
    }
}

impl Command {
    /// Whether this command asks for what the law says every car must tell (services 01 to 0A): any ECU may answer.
    pub fn is_legislated(&self) -> bool {
        self.request.is_legislated()
    }

    /// Whether the sender of `message` may answer this command; without headers nobody knows, and anybody may.
    pub fn hears(&self, message: &Message<'_>) -> bool {
        self.is_legislated() || message.source == Address::HIDDEN || self.request.hears(message.source)
    }

    /// The data of `message` if it answers this request: what follows service and identifier.
    pub fn answer<'a>(&self, message: &Message<'a>) -> Option<&'a [u8]> {
        reply::payload(&self.request.data, message.data).ok()
    }

    /// Every signal with its value in `data` (what [`answer`](Self::answer) gives); `None` for what is not available.
    pub fn decode<'a>(&'a self, data: &[u8]) -> impl Iterator<Item = (&'a Signal, Option<Value>)> {
        self.signals.iter().map(move |signal| (signal, signal.format.decode(data)))
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Named<'a> {
    /// A whole command.
    Command(&'a Command),
    /// One signal of a command.
    Signal(&'a Command, &'a Signal),
}

/// All commands of all files, by name and by request.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    commands: Vec<Command>,
    by_data: HashMap<Vec<u8>, Vec<usize>>,
    by_signal: HashMap<String, Vec<(usize, usize)>>,
}

impl Signals {
    /// Reads signal sets. Where two know the same, the later file wins.
    ///
    /// # Errors
    /// Of the first file that cannot be read or holds a bad value; the error names file, command and key.
    pub fn load(files: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, LoadError> {
        let mut signals = Self::default();
        for file in files {
            signals.extend(load::file(file.as_ref())?);
        }
        Ok(signals)
    }

    /// Reads one signal set from text; `name` stands for the file in errors.
    ///
    /// # Errors
    /// If the text is not JSON or holds a bad value.
    pub fn from_text(name: &str, text: &str) -> Result<Self, LoadError> {
        let mut signals = Self::default();
        signals.extend(load::text(Path::new(name), text)?);
        Ok(signals)
    }

    fn extend(&mut self, commands: Vec<Command>) {
        for command in commands {
            let index = self.commands.len();
            self.by_data.entry(command.request.data.clone()).or_default().push(index);
            for (place, signal) in command.signals.iter().enumerate() {
                self.by_signal.entry(signal.id.clone()).or_default().push((index, place));
            }
            self.commands.push(command);
        }
    }

    /// The commands in the order of their files.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// Whether no file was loaded.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The command or signal of a name, for a car of `year` if it is known: of several that fit, the last loaded.
    pub fn find(&self, name: &str, year: Option<u16>) -> Option<Named<'_>> {
        if let Some((command, signal)) = self.signal(name, year) {
            return Some(Named::Signal(command, signal));
        }
        let request: Request = name.parse().ok()?;
        let addressed = |known: &&Command| same_or_any(&request.header, &known.request.header);
        self.candidates(&request, year).into_iter().find(addressed).map(Named::Command)
    }

    /// The signal of this ID with its command, for a car of `year` if it is known: of several that fit, the last
    /// loaded.
    pub fn signal(&self, id: &str, year: Option<u16>) -> Option<(&Command, &Signal)> {
        let places = self.by_signal.get(id)?;
        let all = || places.iter().rev().map(|&(command, signal)| (&self.commands[command], signal));
        let fits = all().find(|(command, _)| suits(command, year));
        let (command, signal) = fits.or_else(|| all().next())?;
        Some((command, &command.signals[signal]))
    }

    /// The command whose answers are among `messages`, for a recorded `request` that may have been written with an
    /// older signal set: the likeliest candidate that is answered. If none is, the likeliest.
    pub fn answered(
        &self,
        request: &Request,
        year: Option<u16>,
        messages: &[Message<'_>],
    ) -> Option<&Command> {
        let candidates = self.candidates(request, year);
        let answered = |known: &&&Command| {
            messages.iter().any(|message| known.hears(message) && known.answer(message).is_some())
        };
        candidates.iter().find(answered).or(candidates.first()).copied()
    }

    /// The commands that ask for the same data as `request`, likeliest first: the very same; then those that agree in
    /// header, then receive address, then years; then what was loaded last.
    fn candidates(&self, request: &Request, year: Option<u16>) -> Vec<&Command> {
        let same_data = self.by_data.get(&request.data).map_or(&[][..], Vec::as_slice);
        let mut candidates: Vec<&Command> =
            same_data.iter().rev().map(|&index| &self.commands[index]).collect();
        candidates.sort_by_key(|known| {
            let years = &request.properties.years;
            std::cmp::Reverse((
                known.request == *request,
                same_or_any(&request.header, &known.request.header),
                same_or_any(&request.receive, &known.request.receive) || known.request.receive.is_none(),
                same_or_any(years, &known.request.properties.years),
                suits(known, year),
            ))
        });
        candidates
    }
}

/// Whether `known` is what was asked for, or nothing was.
fn same_or_any<T: PartialEq>(asked: &Option<T>, known: &Option<T>) -> bool {
    asked.is_none() || asked == known
}

/// Whether a car of `year` has the command; a car of unknown year may.
fn suits(command: &Command, year: Option<u16>) -> bool {
    match (&command.request.properties.years, year) {
        (Some(years), Some(year)) => years.contain(year),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
