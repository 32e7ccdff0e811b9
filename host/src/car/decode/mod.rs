//! What does this reply mean? Recorded text of an adapter, to values.
//!
//! A [`Question`] is a command and what the adapter printed. The command may be a name of the tables (`RPM`), a signal
//! or request of a signal set (`CIVIC_ODO`, `7E0.7E8.2101|f=2018-`), or any request in hexadecimal (`22F190`). The reply
//! may have the echo in front, blanks or none, headers or none, several ECUs, stray frames, and status lines.
//!
//! The [`Report`] has one answer per ECU, in the order in which they spoke. Of several messages of one ECU the last
//! counts; signals that only an earlier one had stay. Where no message of any ECU says anything, and one of them lost a
//! part, the signals of a signal set that lie before the gap are read.
//!
//! [`Reader`] does the same for messages that are whole already: those that a car has just sent.

mod answers;
mod lines;
mod report;

use cloverleaf_core::bus::{Assembler, Format, Message, Protocol};
use cloverleaf_core::obd2;
use serde_json::{Value as Json, json};

pub use answers::Reader;
pub use report::{Answer, AnswerError, Loss, Refused, Report};

use self::answers::{Heard, Reply, Subject};
use self::lines::{Lines, formats};
use super::descriptions::Descriptions;
use super::signals::{Command, Request, RequestError, Signal, Signals};
use super::value::to_timeline;
use crate::timeline;

/// The most messages that one reply can hold; what comes after them is not looked at.
const MESSAGES: usize = 64;
/// The most bytes of payload that one reply can hold, all messages together.
const BYTES: usize = 16 * 1024;

/// A command and what the adapter printed after it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question<'a> {
    /// What was asked.
    pub command: &'a str,
    /// What was printed, lines ended by CR or LF, prompt or none.
    pub reply: &'a str,
    /// The bus; if not given, header and lines tell.
    pub protocol: Option<Protocol>,
    /// Whether lines begin with a header (`AT H1`); if not given, both are tried.
    pub headers: Option<bool>,
    /// Model year, where a signal set makes a difference.
    pub year: Option<u16>,
}

/// How a value of the standard's tables is shown, with its unit.
pub type Shape = fn(&obd2::Command, &obd2::Value<'_>, &Descriptions) -> (Json, Option<&'static str>);

/// As Cloverleaf's own surfaces show values: a VIN is text, a unit is a symbol.
pub fn clean_shape(
    _: &obd2::Command,
    value: &obd2::Value<'_>,
    descriptions: &Descriptions,
) -> (Json, Option<&'static str>) {
    match to_timeline(value, descriptions) {
        timeline::Value::Quantity { value, unit } => {
            (json!(value), Some(unit).filter(|unit| !unit.is_empty()))
        }
        other => (json!(other), None),
    }
}

/// Decodes replies; keeps its buffer from one to the next.
#[derive(Debug)]
pub struct Decoder<'s> {
    reader: Reader<'s>,
    assembler: Box<Assembler<MESSAGES, BYTES>>,
}

impl<'s> Decoder<'s> {
    /// A decoder that knows the tables and these signal sets.
    pub fn new(signals: &'s Signals) -> Self {
        let reader = Reader::new(signals, Descriptions::composed());
        Self { reader, assembler: Box::new(Assembler::new(Format::new(None))) }
    }

    /// The same decoder, showing the values of the standard's tables in another shape.
    #[must_use]
    pub fn shaped(mut self, shape: Shape) -> Self {
        self.reader.shape = shape;
        self
    }

    /// The same decoder, describing trouble codes in these words.
    #[must_use]
    pub fn described(mut self, descriptions: &'s Descriptions) -> Self {
        self.reader.descriptions = descriptions;
        self
    }

    /// Decodes one reply.
    pub fn decode(&mut self, question: &Question<'_>) -> Report {
        let subjects = match self.subjects(question) {
            Ok(subjects) => subjects,
            Err(error) => {
                let error = Some(format!("`{}` is no command: {error}", question.command));
                return Report { command: question.command.to_owned(), error, ..Report::default() };
            }
        };
        // The likeliest meaning of the name that the reply has a value for, else the likeliest.
        let mut likeliest = None;
        for (name, subject) in subjects {
            let report = self.report(question, name, &subject);
            if report.answers.iter().any(Answer::has_value) {
                return report;
            }
            likeliest.get_or_insert(report);
        }
        likeliest.unwrap_or_default()
    }

    /// What the command of a question may stand for, likeliest first, each with its name for the report. As everywhere,
    /// the tables come before signal sets.
    fn subjects(&self, question: &Question<'_>) -> Result<Vec<(String, Subject<'s>)>, RequestError> {
        let (given, year) = (question.command.trim(), question.year);
        let upper = given.to_ascii_uppercase();
        let adapter = |command: &&obd2::Command| {
            matches!(command.ask, obd2::Ask::Adapter(_)) && command.code().to_string() == upper
        };
        if let Some(command) = obd2::Command::named(&upper).or_else(|| obd2::Command::all().find(adapter)) {
            let request = Request { data: command.request().to_vec(), ..Request::default() };
            let subject = Subject { request, standard: Some(command), only: None, year };
            return Ok(vec![(command.name.to_owned(), subject)]);
        }
        let signals = self.reader.signals.signals(given, year);
        if !signals.is_empty() {
            let subject = |(command, signal): (&'s Command, &'s Signal)| {
                let request = command.request.clone();
                (signal.id.clone(), Subject { request, standard: None, only: Some((command, signal)), year })
            };
            return Ok(signals.into_iter().map(subject).collect());
        }
        let request: Request = given.parse().or_else(|error| {
            // Blanks within a request are as good as none: `01 0C`.
            let squeezed: String = given.split_ascii_whitespace().collect();
            squeezed.parse().map_err(|_| error)
        })?;
        let standard = obd2::Command::of_request(&request.data);
        let plain = |command: &&obd2::Command| {
            request.header.is_none() && command.code().to_string() == hex::encode_upper(&request.data)
        };
        let name = standard.filter(plain).map_or(given, |command| command.name).to_owned();
        Ok(vec![(name, Subject { request, standard, only: None, year })])
    }

    /// What the reply says about one subject.
    fn report(&mut self, question: &Question<'_>, command: String, subject: &Subject<'_>) -> Report {
        let mut report = Report { command, ..Report::default() };
        let lines = Lines::of(question.reply, &subject.request.data);
        report.status = lines.status;
        match subject.standard {
            Some(command) if matches!(command.ask, obd2::Ask::Adapter(_)) => {
                adapter(command, self.reader, &lines.text, &mut report);
            }
            _ if lines.data.is_empty() => {
                if report.status.is_empty() {
                    report.error = Some("the reply holds no data".to_owned());
                }
            }
            _ => self.read(question, subject, &lines.data, &mut report),
        }
        report
    }

    /// Reads data lines in the likeliest format, and if nothing in them answers, in the others.
    fn read(&mut self, question: &Question<'_>, subject: &Subject<'_>, lines: &[&[u8]], report: &mut Report) {
        let formats = formats(question, &subject.request, lines);
        let request = subject.request.data.as_slice();
        let answers = |message: Message<'_>| Reply::of(request, &message) != Reply::Other;
        // Where none of several has an answer, the likeliest says what is there.
        for format in formats.iter().chain(formats.first().filter(|_| formats.len() > 1)) {
            report.refused = self.assemble(*format, lines);
            if self.assembler.messages().any(answers) {
                break;
            }
        }
        let ends = self.assembler.messages().zip(self.assembler.ends());
        let messages: Vec<_> = ends.map(|(message, end)| Heard { message, end }).collect();
        let fragments: Vec<_> = self.assembler.fragments().collect();
        report.answers = self.reader.read(subject, &messages, &fragments);
        let mut speakers: Vec<&Answer> = report.answers.iter().collect();
        speakers.sort_by_key(|answer| answer.end);
        for answer in speakers {
            report.signals.extend(answer.signals.clone());
        }
        let losses = self.assembler.losses();
        report.losses = losses
            .map(|loss| Loss { ecu: loss.source.to_string(), reason: loss.reason.to_string() })
            .collect();
        if report.answers.is_empty() && report.losses.is_empty() && report.status.is_empty() {
            report.error = Some(match (messages.first(), report.refused.first()) {
                (Some(Heard { message, .. }), _) => {
                    format!(
                        "no message answers the command; {} sent {}",
                        message.source,
                        hex::encode_upper(message.data)
                    )
                }
                (None, Some(refused)) => format!("no line is a frame: {}", refused.reason),
                (None, None) => "the reply holds no message".to_owned(),
            });
        }
    }

    /// Puts lines together, and tells which are no frames: at most [`MESSAGES`] of them.
    fn assemble(&mut self, format: Format, lines: &[&[u8]]) -> Vec<Refused> {
        self.assembler.restart(format);
        let mut refused = Vec::new();
        for &line in lines {
            if let Err(error) = self.assembler.push(line)
                && refused.len() < MESSAGES
            {
                let line = String::from_utf8_lossy(line).trim().to_owned();
                refused.push(Refused { line, reason: error.to_string() });
            }
        }
        refused
    }
}

/// The text that the adapter itself answered.
fn adapter(command: &obd2::Command, reader: Reader<'_>, text: &[&[u8]], report: &mut Report) {
    match text.iter().rev().find_map(|line| obd2::decode_adapter(command, line).ok()) {
        Some(value) => {
            let mut answer = Answer::default();
            reader.add_value(command, Ok(value), &mut answer);
            report.answers.push(answer);
        }
        None if report.status.is_empty() => {
            report.error = Some("the adapter's answer is not what it says".to_owned());
        }
        None => {}
    }
}

#[cfg(test)]
mod tests;
