//! What does this reply mean? Recorded text of an adapter, to values.
//!
//! A [`Question`] is a command and what the adapter printed. The command may be a name of the tables (`RPM`), a signal
//! or request of a signal set (`CIVIC_ODO`, `7E0.7E8.2101|f=2018-`), or any request in hexadecimal (`22F190`). The reply
//! may have the echo in front, blanks or none, headers or none, several ECUs, stray frames, and status lines.
//!
//! The [`Report`] has one answer per ECU, in the order in which they spoke. Of several messages of one ECU the last
//! counts; signals that only an earlier one had stay.

use cloverleaf_core::bus::{Address, Assembler, Format, Message, Protocol};
use cloverleaf_core::elm327::wire::{self, Line};
use cloverleaf_core::obd2::{self, DecodeError, Nrc, Quantity, Reading, reply};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::signals::{Command, Header, Request, RequestError, Signals};
use super::value::clean;
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

/// What a reply means.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The name of the command, or the request as it was given.
    pub command: String,
    /// What the adapter said of itself and the bus: `NO DATA`, `SEARCHING...`.
    pub status: Vec<&'static str>,
    /// What the ECUs answered, in the order in which they spoke.
    pub answers: Vec<Answer>,
    /// The signals of all answers; where two ECUs have the same, the last to speak counts.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub signals: Map<String, Json>,
    /// Messages that began and did not end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
    /// Why there is no answer, if the question or the reply is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What one ECU answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Answer {
    /// Its address; null if the reply has no headers.
    pub ecu: Option<String>,
    /// The PID, where one request asked several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<&'static str>,
    /// The value of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Json>,
    /// The symbol of its unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    /// Every single value: by the ID of the signal set, else by the abbreviation of SAE J1979-DA.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub signals: Map<String, Json>,
    /// The units of those that have one.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub units: Map<String, Json>,
    /// Signals that the car has not got, or has no value for now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unavailable: Vec<String>,
    /// The data in hexadecimal, if nothing is known about them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<AnswerError>,
}

/// Why an ECU has no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnswerError {
    /// The code of a negative response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nrc: Option<u8>,
    /// The reason in words.
    pub text: String,
}

/// A message that began and did not end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Its sender.
    pub ecu: String,
    /// What happened to it.
    pub reason: String,
}

/// What a question is about.
#[derive(Debug)]
struct Subject<'s> {
    request: Request,
    /// The command of the tables.
    standard: Option<&'static obd2::Command>,
    /// The one signal that is wanted.
    only: Option<&'s str>,
    /// The name for the report.
    name: String,
}

/// How a value of the standard's tables is shown, with its unit.
pub type Shape = fn(&obd2::Command, &obd2::Value<'_>) -> (Json, Option<&'static str>);

/// As Cloverleaf's own surfaces show values: a VIN is text, a unit is a symbol.
pub fn clean_shape(_: &obd2::Command, value: &obd2::Value<'_>) -> (Json, Option<&'static str>) {
    match clean(value) {
        timeline::Value::Quantity { value, unit } => {
            (json!(value), Some(unit).filter(|unit| !unit.is_empty()))
        }
        other => (json!(other), None),
    }
}

/// Decodes replies; keeps its buffer from one to the next.
#[derive(Debug)]
pub struct Decoder<'s> {
    signals: &'s Signals,
    shape: Shape,
    assembler: Box<Assembler<MESSAGES, BYTES>>,
}

impl<'s> Decoder<'s> {
    /// A decoder that knows the tables and these signal sets.
    pub fn new(signals: &'s Signals) -> Self {
        Self::with_shape(signals, clean_shape)
    }

    /// A decoder that shows the values of the standard's tables in another shape.
    pub fn with_shape(signals: &'s Signals, shape: Shape) -> Self {
        Self { signals, shape, assembler: Box::new(Assembler::new(Format::new(None))) }
    }

    /// Decodes one reply.
    pub fn decode(&mut self, question: &Question<'_>) -> Report {
        let subject = match self.subject(question) {
            Ok(subject) => subject,
            Err(error) => {
                let error = Some(format!("`{}` is no command: {error}", question.command));
                return Report { command: question.command.to_owned(), error, ..Report::default() };
            }
        };
        let mut report = Report { command: subject.name.clone(), ..Report::default() };
        let lines = Lines::of(question.reply, &subject.request.data);
        report.status = lines.status;
        match subject.standard {
            Some(command) if matches!(command.ask, obd2::Ask::Adapter(_)) => {
                adapter(command, self.shape, &lines.text, &mut report);
            }
            _ if lines.data.is_empty() => {
                if report.status.is_empty() {
                    report.error = Some("the reply holds no data".to_owned());
                }
            }
            _ => self.read(question, &subject, &lines.data, &mut report),
        }
        report
    }

    /// What the command of a question stands for.
    fn subject(&self, question: &Question<'_>) -> Result<Subject<'s>, RequestError> {
        let given = question.command.trim();
        let upper = given.to_ascii_uppercase();
        let of_table = |command: &'static obd2::Command| Subject {
            request: Request { data: command.request().to_vec(), ..Request::default() },
            standard: Some(command),
            only: None,
            name: command.name.to_owned(),
        };
        if let Some((command, signal)) = self.signals.signal(given, question.year) {
            let request = command.request.clone();
            return Ok(Subject { request, standard: None, only: Some(&signal.id), name: signal.id.clone() });
        }
        let adapter = |command: &&obd2::Command| command.code().to_string() == upper;
        if let Some(command) = obd2::Command::named(&upper) {
            return Ok(of_table(command));
        }
        if upper.starts_with("AT")
            && let Some(command) = obd2::Command::all().find(adapter)
        {
            return Ok(of_table(command));
        }
        let request: Request = given.parse().or_else(|error| {
            // Blanks within a request are as good as none: `01 0C`.
            let squeezed: String = given.split_ascii_whitespace().collect();
            squeezed.parse().map_err(|_| error)
        })?;
        let standard = obd2::Command::of_request(&request.data);
        let plain = request.header.is_none() && request.data.len() <= 2;
        let name =
            standard.filter(|_| plain).map_or_else(|| given.to_owned(), |command| command.name.to_owned());
        Ok(Subject { request, standard, only: None, name })
    }

    /// Reads data lines in the likeliest format, and if nothing in them answers, in the others.
    fn read(&mut self, question: &Question<'_>, subject: &Subject<'_>, lines: &[&[u8]], report: &mut Report) {
        let formats = formats(question, &subject.request, lines);
        let answered = formats.iter().position(|&format| {
            self.assemble(format, lines);
            let mut messages = self.assembler.messages();
            messages.any(|message| reply_to(&subject.request.data, &message) != Reply::Other)
        });
        let mut refused = None;
        if answered.is_none() {
            refused = formats.first().and_then(|&format| self.assemble(format, lines));
        }
        let messages: Vec<Message<'_>> = self.assembler.messages().collect();
        let known = self.signals.answered(&subject.request, question.year, &messages);
        for message in &messages {
            let heard = match known {
                Some(command) => command.hears(message),
                None => message.source == Address::HIDDEN || subject.request.hears(message.source),
            };
            if heard {
                answer(subject, known, self.shape, message, &mut report.answers);
            }
        }
        let mut speakers: Vec<&Answer> = report.answers.iter().collect();
        speakers.sort_by_key(|answer| answer.ecu.as_deref().and_then(|ecu| last_line_of(ecu, lines)));
        for answer in speakers {
            report.signals.extend(answer.signals.clone());
        }
        let losses = self.assembler.losses();
        report.losses = losses
            .map(|loss| Loss { ecu: loss.source.to_string(), reason: loss.reason.to_string() })
            .collect();
        if report.answers.is_empty() && report.losses.is_empty() && report.status.is_empty() {
            report.error = Some(match (messages.first(), refused) {
                (Some(stray), _) => {
                    format!("no message answers the command; {} sent {}", stray.source, hex(stray.data))
                }
                (None, Some(error)) => format!("no line is a frame: {error}"),
                (None, None) => "the reply holds no message".to_owned(),
            });
        }
    }

    /// Puts lines together; the error of the first that is no frame.
    fn assemble(&mut self, format: Format, lines: &[&[u8]]) -> Option<cloverleaf_core::bus::FrameError> {
        self.assembler.restart(format);
        let mut first = None;
        for line in lines {
            if let Err(error) = self.assembler.push(line) {
                first = first.or(Some(error));
            }
        }
        first
    }
}

/// The formats in which lines may be printed, likeliest first.
fn formats(question: &Question<'_>, request: &Request, lines: &[&[u8]]) -> Vec<Format> {
    let extended = request.properties.extended.is_some();
    let headers: &[bool] = match question.headers {
        Some(true) => &[true],
        Some(false) => &[false],
        None => &[true, false],
    };
    let mut formats = Vec::new();
    for &headers in headers {
        let protocol = question.protocol.or_else(|| bus(request, lines));
        let format = Format { headers, ..Format::new(protocol) };
        formats.push(Format { extended, ..format });
        if headers && protocol.is_none_or(Protocol::is_can) {
            formats.push(Format { extended: !extended, ..format });
        }
    }
    formats
}

/// The last line that begins with an address.
fn last_line_of(ecu: &str, lines: &[&[u8]]) -> Option<usize> {
    let begins = |line: &&[u8]| {
        let mut digits = line.iter().filter(|byte| byte.is_ascii_hexdigit());
        ecu.bytes().all(|digit| digits.next().is_some_and(|byte| byte.eq_ignore_ascii_case(&digit)))
    };
    lines.iter().rposition(begins)
}

/// The bus that header and lines tell: an 11-bit identifier has three digits and so makes the number of digits odd.
fn bus(request: &Request, lines: &[&[u8]]) -> Option<Protocol> {
    let digits = |line: &&[u8]| line.iter().filter(|byte| byte.is_ascii_hexdigit()).count();
    let odd = lines.iter().filter(|line| digits(line) % 2 == 1).count();
    match request.route().header {
        _ if odd * 2 > lines.len() => Some(Protocol::Can11Fast),
        Some(Header::Can29(_)) => Some(Protocol::Can29Fast),
        _ => None,
    }
}

/// What a reply's lines are.
#[derive(Debug, Default)]
struct Lines<'a> {
    data: Vec<&'a [u8]>,
    text: Vec<&'a [u8]>,
    status: Vec<&'static str>,
}

impl<'a> Lines<'a> {
    /// Sorts the lines of a reply; the echo of the request, with or without a response count, is left out.
    fn of(reply: &'a str, request: &[u8]) -> Self {
        let mut lines = Self::default();
        let sent = hex(request);
        let is_echo = |line: &[u8]| {
            let counted = line.split_last().is_some_and(|(_, line)| wire::is_echo(line, sent.as_bytes()));
            wire::is_echo(line, sent.as_bytes()) || counted
        };
        for line in wire::lines(reply.as_bytes()) {
            match line {
                Line::Data { hex, fault: None } if is_echo(hex) => {}
                Line::Data { hex, fault: None } => {
                    lines.text.push(hex);
                    lines.data.push(hex);
                }
                // What the adapter itself complains of must not be believed.
                Line::Data { fault: Some(status), .. } | Line::Status(status) => {
                    lines.status.push(status.as_str());
                }
                Line::Text(text) => lines.text.push(text),
            }
        }
        lines
    }
}

/// How a message relates to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply<'a> {
    Data(&'a [u8]),
    Refusal(Nrc),
    Other,
}

/// Whether one request asks for several PIDs.
fn asks_several(request: &[u8]) -> bool {
    request.first() == Some(&0x01) && request.len() > 2
}

fn reply_to<'a>(request: &[u8], message: &Message<'a>) -> Reply<'a> {
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
        Ok(data) => Reply::Data(data),
        Err(DecodeError::Negative { code, .. }) => Reply::Refusal(code),
        Err(_) => Reply::Other,
    }
}

/// Adds what `message` says to the answer of its ECU.
fn answer(
    subject: &Subject<'_>,
    known: Option<&Command>,
    shape: Shape,
    message: &Message<'_>,
    answers: &mut Vec<Answer>,
) {
    let data = match reply_to(&subject.request.data, message) {
        Reply::Data(data) => data,
        Reply::Refusal(code) => {
            let error = AnswerError { nrc: Some(code.0), text: code.text().to_owned() };
            let answer = of_ecu(answers, message.source, None);
            // A refusal after an answer belongs to something else, and patience is no refusal once there is one.
            if answer.value.is_none() && answer.signals.is_empty() && answer.data.is_none() {
                answer.error = Some(error);
            }
            return;
        }
        Reply::Other => return,
    };
    if let (true, None, Ok(pids)) =
        (asks_several(&subject.request.data), known, obd2::Split::new(0x01, *message))
    {
        for (command, value) in pids {
            let answer = of_ecu(answers, message.source, Some(command.name));
            *answer = Answer { ecu: answer.ecu.take(), command: answer.command, ..Answer::default() };
            standard(command, shape, value, answer);
        }
        return;
    }
    let answer = of_ecu(answers, message.source, None);
    answer.error = None;
    if let Some(command) = subject.standard {
        standard(command, shape, obd2::decode(command, *message), answer);
        if known.is_none() {
            laid_out(&subject.request.data, data, answer);
        }
    }
    if let Some(command) = known {
        decode_signals(command, subject.only, data, answer);
    } else if subject.standard.is_none() {
        answer.data = Some(hex(data));
    }
}

/// The answer of an ECU (to one of several PIDs), made if it has none yet.
fn of_ecu<'a>(
    answers: &'a mut Vec<Answer>,
    source: Address,
    command: Option<&'static str>,
) -> &'a mut Answer {
    let ecu = (source != Address::HIDDEN).then(|| source.to_string());
    let place = answers.iter().position(|answer| answer.ecu == ecu && answer.command == command);
    let place = place.unwrap_or_else(|| {
        answers.push(Answer { ecu, command, ..Answer::default() });
        answers.len() - 1
    });
    &mut answers[place]
}

/// Adds the value of a command of the tables.
fn standard(
    command: &obd2::Command,
    shape: Shape,
    value: Result<obd2::Value<'_>, DecodeError>,
    answer: &mut Answer,
) {
    match value {
        Ok(value) => {
            let (value, unit) = shape(command, &value);
            (answer.value, answer.unit) = (Some(value), unit);
        }
        // One message of several may be short; a value of another stays.
        Err(error) if answer.value.is_none() => {
            answer.error = Some(AnswerError { nrc: None, text: format!("{}: {error}", command.name) });
        }
        Err(_) => {}
    }
}

/// Adds every single value of service 01 or 02, by the abbreviations of the standard. The bits of what the car has
/// not got are listed too: its support bits are among the signals.
fn laid_out(request: &[u8], data: &[u8], answer: &mut Answer) {
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

/// Adds the signals of a command of a signal set.
fn decode_signals(command: &Command, only: Option<&str>, data: &[u8], answer: &mut Answer) {
    answer.unavailable.clear();
    let wanted = |id: &str| only.is_none_or(|only| only == id);
    for (signal, value) in command.decode(data).filter(|(signal, _)| wanted(&signal.id)) {
        let Some(value) = value else {
            if !answer.signals.contains_key(&signal.id) {
                answer.unavailable.push(signal.id.clone());
            }
            continue;
        };
        let (value, unit) = (json!(value), signal.unit());
        if !unit.is_empty() {
            answer.units.insert(signal.id.clone(), unit.into());
        }
        if command.signals.len() == 1 || only.is_some() {
            (answer.value, answer.unit) = (Some(value.clone()), Some(unit).filter(|unit| !unit.is_empty()));
        }
        answer.signals.insert(signal.id.clone(), value);
    }
}

/// The text that the adapter itself answered.
fn adapter(command: &obd2::Command, shape: Shape, text: &[&[u8]], report: &mut Report) {
    match text.iter().rev().find_map(|line| obd2::decode_adapter(command, line).ok()) {
        Some(value) => {
            let mut answer = Answer::default();
            standard(command, shape, Ok(value), &mut answer);
            report.answers.push(answer);
        }
        None if report.status.is_empty() => {
            report.error = Some("the adapter's answer is not what it says".to_owned());
        }
        None => {}
    }
}

/// A quantity: whole if it is.
fn number(quantity: Quantity) -> Json {
    let (numerator, denominator) = quantity.fraction();
    if numerator % denominator == 0 { json!(numerator / denominator) } else { json!(quantity.to_f64()) }
}

/// Upper-case hexadecimal digits without blanks.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests;
