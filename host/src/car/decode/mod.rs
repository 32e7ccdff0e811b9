//! What does this reply mean? Recorded text of an adapter, to values.
//!
//! A [`Question`] is a command and what the adapter printed. The command may be a name of the tables (`RPM`), a signal
//! or request of a signal set (`CIVIC_ODO`, `7E0.7E8.2101|f=2018-`), or any request in hexadecimal (`22F190`). The reply
//! may have the echo in front, blanks or none, headers or none, several ECUs, stray frames, and status lines.
//!
//! The [`Report`] has one answer per ECU, in the order in which they spoke. Of several messages of one ECU the last
//! counts; signals that only an earlier one had stay. Of a message that lost a part, the signals of a signal set that lie
//! before the gap are read.

mod lines;
mod report;

use cloverleaf_core::bus::{Address, Assembler, Format, FrameError, Message, Protocol};
use cloverleaf_core::obd2::{self, DecodeError, Nrc, Quantity, Reading, reply};
use serde_json::{Value as Json, json};

pub use report::{Answer, AnswerError, Loss, Report};

use self::lines::{Lines, formats, last_line_of};
use super::descriptions::Descriptions;
use super::signals::{Command, Request, RequestError, Signals};
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
pub type Shape = fn(&obd2::Command, &obd2::Value<'_>, &Descriptions) -> (Json, Option<&'static str>);

/// As Cloverleaf's own surfaces show values: a VIN is text, a unit is a symbol.
pub fn clean_shape(
    _: &obd2::Command,
    value: &obd2::Value<'_>,
    descriptions: &Descriptions,
) -> (Json, Option<&'static str>) {
    match clean(value, descriptions) {
        timeline::Value::Quantity { value, unit } => {
            (json!(value), Some(unit).filter(|unit| !unit.is_empty()))
        }
        other => (json!(other), None),
    }
}

/// How values are shown.
#[derive(Clone, Copy, Debug)]
struct Show<'s> {
    shape: Shape,
    descriptions: &'s Descriptions,
}

/// What came of putting lines together.
struct Assembled<'l> {
    /// The lines that completed an answer, in their order.
    completing: Vec<&'l [u8]>,
    /// Why the first line that is no frame is none.
    refused: Option<FrameError>,
}

/// Decodes replies; keeps its buffer from one to the next.
#[derive(Debug)]
pub struct Decoder<'s> {
    signals: &'s Signals,
    show: Show<'s>,
    assembler: Box<Assembler<MESSAGES, BYTES>>,
}

impl<'s> Decoder<'s> {
    /// A decoder that knows the tables and these signal sets.
    pub fn new(signals: &'s Signals) -> Self {
        let show = Show { shape: clean_shape, descriptions: Descriptions::composed() };
        Self { signals, show, assembler: Box::new(Assembler::new(Format::new(None))) }
    }

    /// The same decoder, showing the values of the standard's tables in another shape.
    #[must_use]
    pub fn shaped(mut self, shape: Shape) -> Self {
        self.show.shape = shape;
        self
    }

    /// The same decoder, describing trouble codes in these words.
    #[must_use]
    pub fn described(mut self, descriptions: &'s Descriptions) -> Self {
        self.show.descriptions = descriptions;
        self
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
                adapter(command, self.show, &lines.text, &mut report);
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
        let request = &subject.request.data;
        let assembled = formats.iter().find_map(|&format| {
            Some(self.assemble(format, lines, request)).filter(|assembled| assembled.is_answer())
        });
        let Assembled { completing, refused } = match (assembled, formats.first()) {
            (Some(assembled), _) => assembled,
            (None, Some(&likeliest)) => self.assemble(likeliest, lines, request),
            (None, None) => return,
        };
        let messages: Vec<Message<'_>> = self.assembler.messages().collect();
        let known = self.signals.answered(&subject.request, question.year, &messages);
        for message in &messages {
            let heard = match known {
                Some(command) => command.hears(message),
                None => message.source == Address::HIDDEN || subject.request.hears(message.source),
            };
            if heard {
                answer(subject, known, self.show, message, &mut report.answers);
            }
        }
        if let (true, Some(command)) = (report.answers.is_empty(), known) {
            let fragments = self.assembler.fragments().filter(|fragment| command.hears(fragment));
            report
                .answers
                .extend(fragments.filter_map(|fragment| salvaged(command, subject.only, &fragment)));
        }
        let mut speakers: Vec<&Answer> = report.answers.iter().collect();
        speakers.sort_by_key(|answer| answer.ecu.as_deref().and_then(|ecu| last_line_of(ecu, &completing)));
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

    /// Puts lines together that are the reply to `request`.
    fn assemble<'l>(&mut self, format: Format, lines: &[&'l [u8]], request: &[u8]) -> Assembled<'l> {
        self.assembler.restart(format);
        let mut assembled = Assembled { completing: Vec::new(), refused: None };
        let mut known = 0;
        for &line in lines {
            if let Err(error) = self.assembler.push(line) {
                assembled.refused = assembled.refused.or(Some(error));
                continue;
            }
            let answers = self
                .assembler
                .messages()
                .filter(|message| reply_to(request, message) != Reply::Other)
                .count();
            let copy = assembled.completing.iter().position(|earlier| *earlier == line);
            if let Some(copy) = copy {
                assembled.completing.remove(copy);
            }
            if answers > known || copy.is_some() {
                assembled.completing.push(line);
            }
            known = answers;
        }
        assembled
    }
}

impl Assembled<'_> {
    /// Whether the ECU answered, or declined.
    fn is_answer(&self) -> bool {
        !self.completing.is_empty()
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
    show: Show<'_>,
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
            standard(command, show, value, answer);
        }
        return;
    }
    let answer = of_ecu(answers, message.source, None);
    answer.error = None;
    if let Some(command) = subject.standard {
        standard(command, show, obd2::decode(command, *message), answer);
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
    show: Show<'_>,
    value: Result<obd2::Value<'_>, DecodeError>,
    answer: &mut Answer,
) {
    match value {
        Ok(value) => {
            let (value, unit) = (show.shape)(command, &value, show.descriptions);
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

/// The signals that lie before the gap in a message of which a part was lost; their bits are as good as any.
fn salvaged(command: &Command, only: Option<&str>, fragment: &Message<'_>) -> Option<Answer> {
    let mut answer = Answer::default();
    decode_signals(command, only, command.answer(fragment)?, &mut answer);
    answer.ecu = (fragment.source != Address::HIDDEN).then(|| fragment.source.to_string());
    Some(answer).filter(|answer| !answer.signals.is_empty())
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
fn adapter(command: &obd2::Command, show: Show<'_>, text: &[&[u8]], report: &mut Report) {
    match text.iter().rev().find_map(|line| obd2::decode_adapter(command, line).ok()) {
        Some(value) => {
            let mut answer = Answer::default();
            standard(command, show, Ok(value), &mut answer);
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
