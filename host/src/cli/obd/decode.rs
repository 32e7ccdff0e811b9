//! `cloverleaf obd decode`: what does this reply mean?

use std::io::{self, BufRead, BufReader, Write};
use std::process::ExitCode;

use cloverleaf_core::bus::Protocol;
use serde::Deserialize;

use super::{Failed, answer};
use crate::car::decode::{self, Decoder, Question, Report};
use crate::services::obd::{Knowledge, events};

/// The longest line that is read from standard input, in bytes; longer ones are answered with an error.
const MAX_LINE: u64 = 4 << 20;

/// Say what an adapter's reply means
///
/// With arguments, one reply: cloverleaf obd decode 010C "7E8 04 41 0C 1A F8". Without, one JSON object a line is read
/// from standard input, {"command": …, "response": …}, and one is written for each, in order.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// What was asked: a name (RPM), a request (010C, 22F190) or an OBDb command (7E0.7E8.2101|f=2018-)
    request: Option<String>,
    /// What the adapter printed, one or more lines. What ends in .json, here or as the request, is one more signal set
    reply: Vec<String>,
    /// Answer in JSON, one object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    knowledge: Knowledge,
    /// The bus, as the ELM327 numbers them (1 to 9, A); if not given, header and lines tell
    #[arg(long, value_name = "NUMBER")]
    protocol: Option<Protocol>,
    /// The lines have no headers (AT H0); if not given, both are tried
    #[arg(long)]
    no_headers: bool,
    /// How to show values of the standard's commands
    #[arg(long, value_enum, default_value_t)]
    shape: Shape,
}

/// The shapes that values can have.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Shape {
    /// Clean JSON: a VIN is text, a unit is a symbol
    #[default]
    Cloverleaf,
    /// As python-OBD's types look to Socket.IO clients of obd-socketio
    ObdSocketio,
}

impl Shape {
    fn function(self) -> decode::Shape {
        match self {
            Self::Cloverleaf => decode::clean_shape,
            Self::ObdSocketio => {
                |command, value, descriptions| match events::shape(command.decoder, value, descriptions) {
                    Some((value, unit)) => (serde_json::json!(value), Some(unit)),
                    // What python-OBD's clients get where it has no value.
                    None => (serde_json::Value::Null, None),
                }
            }
        }
    }
}

/// One line of standard input. Keys that it does not have are skipped, so a line of a corpus can be given as it is.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object with `command` and `response`")]
struct Input {
    #[serde(alias = "request", alias = "name", alias = "cmd")]
    command: String,
    #[serde(alias = "reply", alias = "lines")]
    response: Printed,
    #[serde(default)]
    protocol: Option<Loose>,
    #[serde(default)]
    headers: Option<bool>,
    #[serde(default, alias = "model_year")]
    year: Option<Loose>,
}

/// What was printed: all of it, or line by line.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "`response` must be a text or an array of lines")]
enum Printed {
    All(String),
    Lines(Vec<String>),
}

/// A number, or the same as a string.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "`year` and `protocol` must be a number or a text")]
enum Loose {
    Number(u16),
    Text(String),
}

impl Loose {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.trim().to_owned(),
        }
    }
}

impl Command {
    pub(super) fn run(mut self) -> anyhow::Result<ExitCode> {
        // `--signals A.json B.json`: the second is an argument like request and reply, which never end so.
        let words = self.request.take().into_iter().chain(std::mem::take(&mut self.reply));
        let (files, words): (Vec<_>, Vec<_>) = words.partition(|word| word.ends_with(".json"));
        self.knowledge.signals.extend(files.into_iter().map(Into::into));
        let signals = self.knowledge.signals()?;
        let descriptions = self.knowledge.descriptions()?;
        let mut decoder = Decoder::new(&signals).shaped(self.shape.function()).described(&descriptions);
        let (request, reply) = match words.as_slice() {
            [] => return self.run_lines(&mut decoder),
            [_] => {
                return Err(Failed::Usage("a request needs a reply: what the adapter printed".into()).into());
            }
            [request, reply @ ..] => (request, reply.join("\r")),
        };
        let report = decoder.decode(&self.question(request, &reply));
        self.write(&report, &mut io::stdout().lock())?;
        let failed = report.error.is_some() || report.answers.iter().any(|answer| answer.error.is_some());
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// One report for each line of standard input. What is wrong with a line is in its report; the exit code speaks of
    /// reading and writing only.
    fn run_lines(&self, decoder: &mut Decoder<'_>) -> anyhow::Result<ExitCode> {
        let mut input = BufReader::new(io::stdin().lock());
        let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let mut line = Vec::new();
        loop {
            line.clear();
            let count = io::Read::take(&mut input, MAX_LINE).read_until(b'\n', &mut line)?;
            if count == 0 {
                break;
            }
            if line.len() as u64 == MAX_LINE && line.last() != Some(&b'\n') {
                skip_line(&mut input)?;
                let error = Some(format!("a line of more than {MAX_LINE} bytes"));
                self.write(&Report { error, ..Report::default() }, &mut out)?;
            } else if !line.iter().all(u8::is_ascii_whitespace) {
                self.write(&self.report(decoder, &line), &mut out)?;
            }
            // Who writes line by line waits for each answer.
            if input.buffer().is_empty() {
                out.flush()?;
            }
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }

    fn write(&self, report: &Report, out: &mut impl Write) -> io::Result<()> {
        if self.json {
            serde_json::to_writer(&mut *out, report)?;
            writeln!(out)
        } else {
            show(report, out)
        }
    }

    fn report(&self, decoder: &mut Decoder<'_>, line: &[u8]) -> Report {
        let input: Input = match serde_json::from_slice(line) {
            Ok(input) => input,
            Err(error) => {
                return Report { error: Some(format!("not a question: {error}")), ..Report::default() };
            }
        };
        let reply = match &input.response {
            Printed::All(reply) => reply.clone(),
            Printed::Lines(lines) => lines.join("\r"),
        };
        let mut question = self.question(&input.command, &reply);
        question.headers = input.headers.or(question.headers);
        if let Some(year) = &input.year {
            // A year that is none does not matter to most commands.
            question.year = year.text().parse().ok().or(question.year);
        }
        if let Some(given) = &input.protocol {
            match given.text().parse() {
                Ok(protocol) => question.protocol = Some(protocol),
                Err(error) => {
                    let error = Some(format!("protocol: {error}"));
                    return Report { command: input.command, error, ..Report::default() };
                }
            }
        }
        decoder.decode(&question)
    }

    fn question<'a>(&self, command: &'a str, reply: &'a str) -> Question<'a> {
        let headers = self.no_headers.then_some(false);
        Question { command, reply, protocol: self.protocol, headers, year: self.knowledge.year }
    }
}

/// Reads to the end of a line and forgets it.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let count = end.map_or(buffer.len(), |end| end + 1);
        input.consume(count);
        if end.is_some() || count == 0 {
            return Ok(());
        }
    }
}

/// For people: a line per value.
fn show(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for status in &report.status {
        writeln!(out, "{}: {status}", report.command)?;
    }
    for answer in &report.answers {
        let ecu = answer.ecu.as_deref().unwrap_or("");
        for (name, text) in answer::lines(&report.command, answer) {
            writeln!(out, "{ecu:<8} {name} {text}")?;
        }
    }
    for refused in &report.refused {
        writeln!(out, "{:<8} {}: {}", "", refused.line, refused.reason)?;
    }
    for loss in &report.losses {
        writeln!(out, "{:<8} {}: {}", loss.ecu, report.command, loss.reason)?;
    }
    if let Some(error) = &report.error {
        writeln!(out, "{}: {error}", report.command)?;
    }
    Ok(())
}
