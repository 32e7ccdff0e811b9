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
//!
//! A file may be for some model years only, and says so in its name: `2005-2018.json`, `0000-2004.json`, `2019.json`.

mod format;
mod load;
mod rational;
mod request;
mod unit;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use cloverleaf_core::bus::Message;
use cloverleaf_core::obd2::{DecodeError, reply};

pub use format::{Format, Meaning, NUMBER_BITS, Quantity, Value};
pub use load::{CommandName, LoadError, MAX_FILE, Problem};
pub use request::{Header, MAX_DATA, Properties, Request, RequestError, Route, Years, header};

/// One request of a signal set and what its answer holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Where to, what, and how.
    pub request: Request,
    /// The model years of the file that it stands in; its own ([`Properties::years`]) come first.
    pub file_years: Option<Years>,
    /// How often it is worth asking (`freq`).
    pub every: Option<Duration>,
    /// The diagnostic sessions that it needs.
    pub sessions: Sessions,
    /// What the answer holds.
    pub signals: Vec<Signal>,
}

/// The diagnostic sessions that an ECU is told to enter (service 10) around a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// The one that it must be in (`din`).
    pub before: Option<u8>,
    /// The one to return to (`dout`).
    pub after: Option<u8>,
}

/// One value in an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Its identity, unique in the car: `CIVIC_ODO`.
    pub id: String,
    /// Its name, for people.
    pub name: String,
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
    /// Whether `message` answers this request.
    pub fn is_answered_by(&self, message: &Message<'_>) -> bool {
        self.request.hears(message.source) && reply::payload(&self.request.data, message.data).is_ok()
    }

    /// Every signal with its value in `data`: what follows service and identifier in an answer.
    pub fn decode<'a>(&'a self, data: &[u8]) -> impl Iterator<Item = (&'a Signal, Option<Value>)> {
        self.signals.iter().map(move |signal| (signal, signal.format.decode(data)))
    }

    /// Every signal with its value in the messages of one ECU; `None` for what is not available. Of several messages
    /// the last counts, signal by signal.
    ///
    /// # Errors
    /// If no message is an answer: the last refusal, else what is wrong with the last message.
    pub fn read<'m>(
        &self,
        messages: impl IntoIterator<Item = Message<'m>>,
    ) -> Result<Vec<(&Signal, Option<Value>)>, DecodeError> {
        let mut read = Err(DecodeError::Empty);
        for message in messages {
            match (reply::payload(&self.request.data, message.data), &mut read) {
                (Ok(data), Err(_)) => read = Ok(self.decode(data).collect::<Vec<_>>()),
                (Ok(data), Ok(values)) => {
                    for ((_, known), (_, value)) in values.iter_mut().zip(self.decode(data)) {
                        *known = value.or(known.take());
                    }
                }
                (Err(error @ DecodeError::Negative { .. }), Err(best)) => *best = error,
                (Err(_), Ok(_) | Err(DecodeError::Negative { .. })) => {}
                (Err(error), Err(best)) => *best = error,
            }
        }
        read
    }

    /// How well it suits a car of `year`: not at all, as any command without years does, or better. A car of unknown
    /// year may have any.
    fn suits(&self, year: Option<u16>) -> Fit {
        match (self.request.properties.years.as_ref().or(self.file_years.as_ref()), year) {
            (Some(years), Some(year)) if years.contain(year) => Fit::Year,
            (Some(_), Some(_)) => Fit::No,
            _ => Fit::Any,
        }
    }
}

/// How well a command suits a model year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// It is for other years.
    No,
    /// It is for every year, or the year is not known.
    Any,
    /// It is for this year.
    Year,
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
        if let Some(&(command, signal)) = self.signals(name, year).first() {
            return Some(Named::Signal(command, signal));
        }
        let request: Request = name.parse().ok()?;
        let addressed = |known: &&Command| same_or_any(&request.header, &known.request.header);
        self.candidates(&request, year).into_iter().find(addressed).map(Named::Command)
    }

    /// The signals of this ID with their commands, likeliest first for a car of `year`: then what was loaded last.
    pub fn signals(&self, id: &str, year: Option<u16>) -> Vec<(&Command, &Signal)> {
        let places = self.by_signal.get(id).map_or(&[][..], Vec::as_slice).iter().rev();
        let signal = |&(command, signal): &(usize, usize)| {
            let command = &self.commands[command];
            (command, &command.signals[signal])
        };
        let mut signals: Vec<_> = places.map(signal).collect();
        signals.sort_by_key(|(command, _)| std::cmp::Reverse(command.suits(year)));
        signals
    }

    /// The command whose answers are among `messages`, for a recorded `request` that may have been written with an
    /// older signal set: the likeliest of those that are answered.
    pub fn answered<'m>(
        &self,
        request: &Request,
        year: Option<u16>,
        messages: impl Iterator<Item = Message<'m>> + Clone,
    ) -> Option<&Command> {
        let candidates = self.candidates(request, year);
        candidates.into_iter().find(|known| {
            let mut messages = messages.clone();
            messages.any(|message| known.is_answered_by(&message))
        })
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
                known.suits(year),
            ))
        });
        candidates
    }
}

/// Whether `known` is what was asked for, or nothing was.
fn same_or_any<T: PartialEq>(asked: &Option<T>, known: &Option<T>) -> bool {
    asked.is_none() || asked == known
}

#[cfg(test)]
mod tests;
