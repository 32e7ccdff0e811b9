//! From the messages of a reply to what each ECU says in them.

use cloverleaf_core::bus::{Address, Message};
use cloverleaf_core::obd2::{self, DecodeError, Nrc, Quantity, Reading, reply, uds};
use serde_json::{Value as Json, json};

use super::super::descriptions::Descriptions;
use super::super::signals::{Command, Request, Signal, Signals};
use super::report::{Answer, AnswerError};
use super::{Shape, clean_shape};

/// What makes sense of messages: the tables, signal sets, words, and how values are shown.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'s> {
    pub(super) signals: &'s Signals,
    pub(super) shape: Shape,
    pub(super) descriptions: &'s Descriptions,
}

/// What the messages answer.
#[derive(Clone, Debug)]
pub(super) struct Subject<'s> {
    pub request: Request,
    /// The command of the tables.
    pub standard: Option<&'static obd2::Command>,
    /// The one signal that is wanted, and its command.
    pub only: Option<(&'s Command, &'s Signal)>,
    pub year: Option<u16>,
}

/// A message, and the number of the line that completed it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard<'m> {
    pub message: Message<'m>,
    pub end: u16,
}

/// How a message relates to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply<'a> {
    Data(&'a [u8]),
    Refusal(Nrc),
    Other,
}

impl<'a> Reply<'a> {
    pub(super) fn of(request: &[u8], message: &Message<'a>) -> Self {
        // The answer to a request for several PIDs may begin with any of them.
        let mut first = [0x01, 0];
        let request = match (request, message.data) {
            ([0x01, pids @ ..], [_, pid, ..]) if asks_several(request) && pids.contains(pid) => {
                first[1] = *pid;
                &first[..]
            }
            _ => request,
        };
        match reply::payload(request, message.data) {
            Ok(data) => Self::Data(data),
            Err(DecodeError::Negative { code, .. }) => Self::Refusal(code),
            Err(_) => Self::Other,
        }
    }
}

/// Whether one request asks for several PIDs.
fn asks_several(request: &[u8]) -> bool {
    request.first() == Some(&0x01) && request.len() > 2
}

impl<'s> Reader<'s> {
    /// One that knows the tables and these signal sets, and shows values in Cloverleaf's own shape.
    pub fn new(signals: &'s Signals, descriptions: &'s Descriptions) -> Self {
        Self { signals, shape: clean_shape, descriptions }
    }

    /// What each ECU says in `messages`, in the order in which they first spoke. Who says nothing about the request is
    /// left out.
    pub fn answers<'m>(
        &self,
        request: &Request,
        year: Option<u16>,
        messages: impl Iterator<Item = Message<'m>>,
    ) -> Vec<Answer> {
        let standard = obd2::Command::of_request(&request.data);
        let subject = Subject { request: request.clone(), standard, only: None, year };
        let heard: Vec<_> = messages.map(|message| Heard { message, end: 0 }).collect();
        self.read(&subject, &heard, &[])
    }

    /// The same of a recorded reply, of which messages may be lost: `fragments` are their beginnings. Where no whole
    /// message says anything, the signals of a signal set that lie before the gap are as good as any.
    pub(super) fn read(
        &self,
        subject: &Subject<'_>,
        messages: &[Heard<'_>],
        fragments: &[Message<'_>],
    ) -> Vec<Answer> {
        let whole = messages.iter().map(|heard| heard.message);
        let known = match subject.only {
            Some((command, _)) => Some(command),
            None => {
                let all = whole.chain(fragments.iter().copied());
                self.signals.answered(&subject.request, subject.year, all)
            }
        };
        let request = known.map_or(&subject.request, |command| &command.request);
        let mut answers = Vec::new();
        for source in sources(messages.iter().map(|heard| heard.message.source), request) {
            let mine: Vec<_> =
                messages.iter().copied().filter(|heard| heard.message.source == source).collect();
            match known {
                None if asks_several(&request.data) => self.several(subject, source, &mine, &mut answers),
                _ => answers.extend(self.answer(subject, known, &mine)),
            }
        }
        let Some(command) = known.filter(|_| !answers.iter().any(Answer::has_value)) else { return answers };
        for source in sources(fragments.iter().map(|fragment| fragment.source), request) {
            let mut salvaged = Answer::of(source);
            let mine = fragments.iter().copied().filter(|fragment| fragment.source == source);
            add_signals(subject, command, mine, &mut salvaged);
            if salvaged.has_value() {
                match answers.iter_mut().find(|answer| answer.ecu == salvaged.ecu) {
                    Some(refusal) => *refusal = salvaged,
                    None => answers.push(salvaged),
                }
            }
        }
        answers
    }

    /// What one ECU answers to one question; of several messages the last counts.
    fn answer(&self, subject: &Subject<'_>, known: Option<&Command>, mine: &[Heard<'_>]) -> Option<Answer> {
        let request = &subject.request.data;
        let mut answer = Answer::of(mine.first()?.message.source);
        let (mut answered, mut refused) = (false, None);
        for Heard { message, end } in mine {
            let data = match Reply::of(request, message) {
                Reply::Data(data) => data,
                Reply::Refusal(code) => {
                    refused = Some(code);
                    continue;
                }
                Reply::Other => continue,
            };
            answered = true;
            answer.end = answer.end.max(*end);
            match subject.standard {
                Some(command) => {
                    self.add_value(command, obd2::decode(command, *message), &mut answer);
                    if known.is_none() {
                        add_layout(request, data, &mut answer);
                    }
                }
                None if known.is_none() => self.add_data(request, message, data, &mut answer),
                None => {}
            }
        }
        match (answered, known, refused) {
            (true, Some(command), _) => {
                add_signals(subject, command, mine.iter().map(|heard| heard.message), &mut answer);
            }
            (true, None, _) => {}
            // Once there is an answer, "pending" is no refusal, and a refusal belongs to something else.
            (false, _, refused) => {
                let code = refused?;
                answer.error = Some(AnswerError { nrc: Some(code.0), text: code.text().to_owned() });
            }
        }
        Some(answer)
    }

    /// What one ECU answers to a request for several PIDs: an answer for each, as if it had been asked for alone.
    fn several(&self, subject: &Subject<'_>, source: Address, mine: &[Heard<'_>], answers: &mut Vec<Answer>) {
        /// A PID, with the answers to it as they would be alone, and where each ended.
        type Part = (&'static obd2::Command, Vec<(Vec<u8>, u16)>);
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = None;
        for &Heard { message, end } in mine {
            let Ok(mut split) = obd2::Split::new(0x01, message) else { continue };
            if Reply::of(&subject.request.data, &message) == Reply::Other {
                continue;
            }
            for part in split.by_ref() {
                let alone = [&[0x41][..], part.command.pid().as_slice(), part.data].concat();
                match parts.iter_mut().find(|(command, _)| *command == part.command) {
                    Some((_, messages)) => messages.push((alone, end)),
                    None => parts.push((part.command, vec![(alone, end)])),
                }
            }
            rest = Some(split.rest()).filter(|rest| !rest.is_empty());
        }
        if parts.is_empty() && rest.is_none() {
            answers.extend(self.answer(subject, None, mine));
        }
        for (command, messages) in parts {
            let data = command.request().to_vec();
            let alone = Subject {
                request: Request { data, ..Request::default() },
                standard: Some(command),
                only: None,
                year: subject.year,
            };
            let heard =
                messages.iter().map(|(data, end)| Heard { message: Message { source, data }, end: *end });
            let heard: Vec<_> = heard.collect();
            let found = self.read(&alone, &heard, &[]);
            answers.extend(found.into_iter().map(|answer| Answer { command: Some(command.name), ..answer }));
        }
        if let Some(rest) = rest {
            let text = format!(
                "{} is not told apart: no PID of known length, or cut short",
                hex::encode_upper(rest)
            );
            let error = Some(AnswerError { nrc: None, text });
            answers.push(Answer { error, ..Answer::of(source) });
        }
    }

    /// Adds the value of a command of the tables.
    pub(super) fn add_value(
        &self,
        command: &obd2::Command,
        value: Result<obd2::Value<'_>, DecodeError>,
        answer: &mut Answer,
    ) {
        match value {
            Ok(value) => {
                let (value, unit) = (self.shape)(command, &value, self.descriptions);
                (answer.value, answer.unit, answer.error) = (Some(value), unit, None);
            }
            // One message of several may be short; a value of another stays.
            Err(error) if answer.value.is_none() => {
                answer.error = Some(AnswerError { nrc: None, text: format!("{}: {error}", command.name) });
            }
            Err(_) => {}
        }
    }

    /// Adds what nothing is known about: the trouble codes of UDS, else bytes, and the text that they may be.
    fn add_data(&self, request: &[u8], message: &Message<'_>, data: &[u8], answer: &mut Answer) {
        answer.data = Some(hex::encode_upper(data));
        if let (true, Ok(codes)) = (request.starts_with(&[0x19, 0x02]), uds::codes(message.data)) {
            answer.value = Some(codes.map(|code| self.uds_code(code)).collect());
        } else if data.len() >= 4 && data.iter().all(|byte| (0x20..0x7F).contains(byte)) {
            answer.text = Some(String::from_utf8_lossy(data).into_owned());
        }
    }

    fn uds_code(&self, code: uds::UdsDtc) -> Json {
        json!({
            "code": code.to_string(),
            "description": self.descriptions.of(code.code),
            "failing": code.is_failing(),
            "pending": code.is_pending(),
            "confirmed": code.is_confirmed(),
            "lamp": code.lights_lamp(),
        })
    }
}

/// Each ECU that a request hears, once, in the order in which they first spoke.
fn sources(all: impl Iterator<Item = Address>, request: &Request) -> Vec<Address> {
    let mut sources = Vec::new();
    for source in all.filter(|source| request.hears(*source)) {
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources
}

/// Adds every single value of service 01 or 02, by the abbreviations of the standard. The bits of what the car has
/// not got are listed too: its support bits are among the signals.
fn add_layout(request: &[u8], data: &[u8], answer: &mut Answer) {
    let &[0x01 | 0x02, pid, ..] = request else {
        return;
    };
    answer.unavailable.clear();
    for signal in obd2::layout(pid) {
        let everywhere = obd2::Signal { support: None, ..*signal };
        if signal.read(data).is_none() {
            answer.unavailable.push(signal.id.to_owned());
        }
        let value = match everywhere.read(data) {
            Some(Reading::Quantity(quantity)) => {
                let unit = quantity.unit().symbol();
                if !unit.is_empty() {
                    answer.units.insert(signal.id.to_owned(), unit.into());
                }
                number(quantity)
            }
            Some(Reading::Flag(flag)) => json!(u8::from(flag)),
            Some(Reading::State(state)) => match state.text {
                Some(text) => json!(text),
                None => continue,
            },
            None => continue,
        };
        answer.signals.insert(signal.id.to_owned(), value);
    }
}

/// Adds the signals of a command of a signal set, or the one that is wanted.
fn add_signals<'m>(
    subject: &Subject<'_>,
    command: &Command,
    mine: impl Iterator<Item = Message<'m>>,
    answer: &mut Answer,
) {
    let wanted = |signal: &Signal| subject.only.is_none_or(|(_, only)| only.id == signal.id);
    let values = command.read(mine).unwrap_or_default();
    for (signal, value) in values.into_iter().filter(|(signal, _)| wanted(signal)) {
        let Some(value) = value else {
            answer.unavailable.push(signal.id.clone());
            continue;
        };
        let unit = Some(signal.unit()).filter(|unit| !unit.is_empty());
        let value = json!(value);
        if let Some(unit) = unit {
            answer.units.insert(signal.id.clone(), unit.into());
        }
        if command.signals.len() == 1 || subject.only.is_some() {
            (answer.value, answer.unit, answer.error) = (Some(value.clone()), unit, None);
        }
        answer.signals.insert(signal.id.clone(), value);
    }
}

/// A quantity: whole if it is.
fn number(quantity: Quantity) -> Json {
    let (numerator, denominator) = quantity.fraction();
    if numerator % denominator == 0 { json!(numerator / denominator) } else { json!(quantity.to_f64()) }
}
