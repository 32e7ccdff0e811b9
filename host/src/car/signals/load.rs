//! Reading OBDb's v3 JSON: what is known must be right, what is unknown is skipped.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::format::{Format, Meaning, NUMBER_BITS, Quantity};
use super::rational::Rational;
use super::request::{self, Properties, Request, RequestError, Years};
use super::{Command, Sessions, Signal};

/// The largest signal set that is read, in bytes. The largest of OBDb is under 1 MB.
pub const MAX_FILE: u64 = 16 << 20;
/// The last bit that a reply can have: ISO 15765-2 carries 4095 bytes.
const MAX_BITS: u32 = 4095 * 8;

/// Why a signal set was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The file is larger than [`MAX_FILE`].
    #[error("{}: more than {MAX_FILE} bytes are no signal set", file.display())]
    Size {
        /// The file.
        file: PathBuf,
    },
    /// The file is not JSON.
    #[error("{}: not JSON: {error}", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// Where and why not.
        error: serde_json::Error,
    },
    /// A key is missing or has a value that it cannot have.
    #[error("{}: {command}{key}: {problem}", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// The command, by its position and what is known of its identity.
        command: CommandName,
        /// The key, with the keys that lead to it: `signals[2].fmt.len`.
        key: String,
        /// What is wrong.
        problem: Problem,
    },
}

/// The command in which an error was found; the file itself if none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandName(Option<String>);

impl fmt::Display for CommandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |name| write!(f, "{name}: "))
    }
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    /// It must be there.
    #[error("missing")]
    Missing,
    /// It is of another type.
    #[error("must be {0}")]
    Type(&'static str),
    /// It is not a request, or not a part of one.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// It is a number outside what the format allows.
    #[error("{0:?} is outside {1}")]
    Range(f64, &'static str),
    /// It is a key of `map` that no signal can have as its bits.
    #[error("`{0}` is not a whole number")]
    State(String),
}

/// A problem and the keys that lead to it.
#[derive(Debug)]
struct Fault {
    key: String,
    problem: Problem,
}

impl Fault {
    fn under(self, parent: &str) -> Self {
        let dot = if self.key.starts_with('[') || self.key.is_empty() { "" } else { "." };
        Self { key: format!("{parent}{dot}{}", self.key), problem: self.problem }
    }
}

/// Reads a file.
pub(super) fn file(path: &Path) -> Result<Vec<Command>, LoadError> {
    let read = |error| LoadError::Read { file: path.to_owned(), error };
    if std::fs::metadata(path).map_err(read)?.len() > MAX_FILE {
        return Err(LoadError::Size { file: path.to_owned() });
    }
    let mut commands = text(path, &std::fs::read_to_string(path).map_err(read)?)?;
    let years = path.file_stem().and_then(|stem| years_of_name(stem.to_str()?));
    for command in &mut commands {
        command.file_years.clone_from(&years);
    }
    Ok(commands)
}

/// The model years of a file named `2005-2018`, `0000-2004` or `2019`.
fn years_of_name(stem: &str) -> Option<Years> {
    let year = |digits: &str| {
        let whole = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| whole)
    };
    match stem.split_once('-') {
        Some((from, to)) => Some(Years { from: year(from), to: Some(year(to)?), others: Vec::new() })
            .filter(|years| years.from.is_some()),
        None => Some(Years { others: vec![year(stem)?], ..Years::default() }),
    }
}

/// Reads text; `name` stands for the file in errors.
pub(super) fn text(name: &Path, text: &str) -> Result<Vec<Command>, LoadError> {
    let json: Json =
        serde_json::from_str(text).map_err(|error| LoadError::Json { file: name.to_owned(), error })?;
    let fail = |command, fault: Fault| LoadError::Key {
        file: name.to_owned(),
        command: CommandName(command),
        key: fault.key,
        problem: fault.problem,
    };
    let top = json.as_object().ok_or_else(|| {
        fail(None, Fault { key: "the file".to_owned(), problem: Problem::Type("an object") })
    })?;
    let commands = required(top, "commands", list).map_err(|fault| fail(None, fault))?;
    let numbered = commands.iter().enumerate();
    numbered
        .map(|(index, json)| command(json).map_err(|fault| fail(Some(name_of(index, json)), fault)))
        .collect()
}

/// What a person needs to find a command: its position and its request, as far as they can be read.
fn name_of(index: usize, json: &Json) -> String {
    let part = |key| json.get(key).and_then(Json::as_str);
    let cmd = json.get("cmd").and_then(Json::as_object).and_then(|cmd| cmd.iter().next());
    let cmd = cmd.map(|(service, id)| format!("{service}{}", id.as_str().unwrap_or("?")));
    let parts: Vec<&str> = [part("hdr"), part("rax"), cmd.as_deref()].into_iter().flatten().collect();
    if parts.is_empty() {
        format!("commands[{index}]")
    } else {
        format!("commands[{index}] ({})", parts.join("."))
    }
}

fn command(json: &Json) -> Result<Command, Fault> {
    let json = json.as_object().ok_or_else(|| fault("the command", Problem::Type("an object")))?;
    let request = Request {
        header: Some(required(json, "hdr", |value| Ok(request::header(text_of(value)?)?))?),
        receive: optional(json, "rax", |value| Ok(request::receive(text_of(value)?)?))?,
        data: required(json, "cmd", service_and_identifier)?,
        properties: Properties {
            timeout: optional(json, "tmo", hex_byte)?,
            extended: optional(json, "eax", hex_byte)?,
            tester: optional(json, "tst", hex_byte)?,
            flow_control: optional(json, "fcm1", boolean)?.unwrap_or(false),
            protocol: optional(json, "proto", string)?,
            priority: optional(json, "pri", hex_byte)?,
            years: nested(json, "filter", years)?,
        },
    };
    let signals = required(json, "signals", list)?.iter().enumerate();
    let legislated = request.is_legislated();
    Ok(Command {
        request,
        file_years: None,
        every: optional(json, "freq", period)?,
        sessions: Sessions {
            before: optional(json, "din", session)?,
            after: optional(json, "dout", session)?,
        },
        signals: signals
            .map(|(index, json)| {
                signal(json, legislated).map_err(|fault| fault.under(&format!("signals[{index}]")))
            })
            .collect::<Result<_, _>>()?,
    })
}

/// `{"22": "F190"}`
fn service_and_identifier(json: &Json) -> Result<Vec<u8>, Problem> {
    let one = Problem::Type("an object of one service and its identifier");
    let cmd = json.as_object().ok_or_else(|| one.clone())?;
    let mut entries = cmd.iter();
    let (Some((service, identifier)), None) = (entries.next(), entries.next()) else {
        return Err(one);
    };
    let identifier = match identifier {
        // A number stands for as many digits as the service has in its identifiers.
        Json::Number(number) => {
            let number = number.as_u64().ok_or(one)?;
            if service == "22" { format!("{number:04X}") } else { format!("{number:02X}") }
        }
        other => text_of(other)?.to_owned(),
    };
    if service.len() != 2 {
        return Err(RequestError::Data(service.clone()).into());
    }
    Ok(request::data(&format!("{service}{identifier}"))?)
}

fn signal(json: &Json, legislated: bool) -> Result<Signal, Fault> {
    let json = json.as_object().ok_or_else(|| fault("", Problem::Type("an object")))?;
    let id = required(json, "id", string)?;
    Ok(Signal {
        name: optional(json, "name", string)?.unwrap_or_else(|| id.clone()),
        format: nested(json, "fmt", |json| format(json, legislated))?
            .ok_or_else(|| fault("fmt", Problem::Missing))?,
        id,
    })
}

fn format(json: &Map<String, Json>, legislated: bool) -> Result<Format, Fault> {
    let bit = optional(json, "bix", |value| whole(value, 0, "0 to the end of a reply"))?.unwrap_or(0);
    let length = required(json, "len", |value| whole(value, 1, "1 to the end of a reply"))?;
    let signed = optional(json, "sign", boolean)?.unwrap_or(false);
    let unit = optional(json, "unit", string)?;
    let states = nested(json, "map", states)?;
    let extremes = if legislated { extremes(length, signed) } else { None };
    let quantity = quantity(json, extremes)?;
    // OBDb's own decoder has no texts; up to four characters its numbers are kept.
    let meaning = match (states, unit.as_deref()) {
        (Some(states), _) => Meaning::States(states),
        (None, Some("ascii")) if length > 32 => Meaning::Characters,
        (None, _) if length > NUMBER_BITS => Meaning::Digits,
        (None, _) => Meaning::Quantity(Box::new(quantity)),
    };
    Ok(Format {
        bit,
        length,
        reversed: optional(json, "blsb", boolean)?.unwrap_or(false),
        signed,
        meaning,
        unit,
    })
}

fn quantity(json: &Map<String, Json>, extremes: Option<(Rational, Rational)>) -> Result<Quantity, Fault> {
    let one = |key| Ok(optional(json, key, decimal)?.unwrap_or(Rational::ONE));
    let (multiplier, divisor) = (one("mul")?, one("div")?);
    let offset = optional(json, "add", decimal)?.unwrap_or(Rational::ZERO);
    let zero = || fault("div", Problem::Range(0.0, "the numbers but zero"));
    let factor = multiplier.checked_div(divisor).ok_or_else(zero)?;
    // Without a greatest value there is no range; the least is zero unless given.
    let max = optional(json, "max", limit)?.flatten();
    let min = optional(json, "min", limit)?.map_or(Some(Rational::ZERO), |min| min);
    let range = min.zip(max).filter(|(min, max)| max > min);
    let mut quantity = Quantity {
        factor,
        offset,
        min: range.map(|(min, _)| min),
        max: range.map(|(_, max)| max),
        null_min: optional(json, "nullmin", limit)?.flatten(),
        null_max: optional(json, "nullmax", limit)?.flatten(),
    };
    if let (Some(range), Some(extremes)) = (range, extremes) {
        quantity.offset = offset_as_meant(&quantity, range, extremes);
    }
    Ok(quantity)
}

/// The least and the greatest number of `length` bits.
fn extremes(length: u32, signed: bool) -> Option<(Rational, Rational)> {
    let span = 1_i128.checked_shl(length).filter(|_| length <= NUMBER_BITS)?;
    let least = if signed { -span / 2 } else { 0 };
    Some((Rational::integer(least), Rational::integer(least + span - 1)))
}

/// The offset in `bits × factor + offset`.
///
/// Some sets write `(bits + add) × factor` instead: the trims of OBDb's SAE J1979 set have `mul` 100, `div` 128, `add`
/// −128, and −100 to 99.2 as their range. The range tells: if the bits of the first reading fall below it, and those
/// of the second fill it from end to end (within one hundredth), the second was meant.
///
/// Only for services 01 to 0A, whose formulas the standard knows: elsewhere a range can be as wrong as a formula, and
/// the set is the only word there is.
fn offset_as_meant(
    quantity: &Quantity,
    (min, max): (Rational, Rational),
    (least, most): (Rational, Rational),
) -> Rational {
    let (factor, offset) = (quantity.factor, quantity.offset);
    let moved = || {
        let moved = offset.checked_mul(factor)?;
        let tolerance = max.checked_add(min.checked_mul(Rational::integer(-1))?)?.to_f64() / 100.0;
        let below = factor.checked_mul(least)?.checked_add(offset)?.to_f64() < min.to_f64() - tolerance;
        let low = factor.checked_mul(least)?.checked_add(moved)?.to_f64() - min.to_f64();
        let high = factor.checked_mul(most)?.checked_add(moved)?.to_f64() - max.to_f64();
        (below && low.abs() <= tolerance && high.abs() <= tolerance).then_some(moved)
    };
    moved().unwrap_or(offset)
}

/// `{"1": {"value": "ON", "description": "…"}}`, or short `{"1": "ON"}`.
fn states(json: &Map<String, Json>) -> Result<std::collections::BTreeMap<i64, String>, Fault> {
    let state = |(key, json): (&String, &Json)| {
        let bits = key.trim().parse().map_err(|_| fault(key, Problem::State(key.clone())))?;
        let value = match json {
            Json::Object(state) => required(state, "value", scalar).map_err(|fault| fault.under(key))?,
            other => scalar(other).map_err(|problem| fault(key, problem))?,
        };
        Ok((bits, value))
    };
    json.iter().map(state).collect()
}

fn years(json: &Map<String, Json>) -> Result<Years, Fault> {
    let others = optional(json, "years", list)?.map_or(&[][..], Vec::as_slice);
    let others: Result<Vec<u16>, Problem> = others.iter().map(year).collect();
    let mut others = others.map_err(|problem| fault("years", problem))?;
    others.sort_unstable();
    Ok(Years { from: optional(json, "from", year)?, to: optional(json, "to", year)?, others })
}

// Keys of objects. A key with the value null is not there.

fn fault(key: impl Into<String>, problem: Problem) -> Fault {
    Fault { key: key.into(), problem }
}

fn optional<'a, T>(
    json: &'a Map<String, Json>,
    key: &str,
    read: impl FnOnce(&'a Json) -> Result<T, Problem>,
) -> Result<Option<T>, Fault> {
    let value = json.get(key).filter(|value| !value.is_null());
    value.map(read).transpose().map_err(|problem| fault(key, problem))
}

fn required<'a, T>(
    json: &'a Map<String, Json>,
    key: &str,
    read: impl FnOnce(&'a Json) -> Result<T, Problem>,
) -> Result<T, Fault> {
    optional(json, key, read)?.ok_or_else(|| fault(key, Problem::Missing))
}

/// An object below `key`, whose own faults are named `key.…`.
fn nested<'a, T>(
    json: &'a Map<String, Json>,
    key: &str,
    read: impl FnOnce(&'a Map<String, Json>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let object = optional(json, key, |value| value.as_object().ok_or(Problem::Type("an object")))?;
    object.map(read).transpose().map_err(|fault| fault.under(key))
}

// Values.

fn list(json: &Json) -> Result<&Vec<Json>, Problem> {
    json.as_array().ok_or(Problem::Type("an array"))
}

fn text_of(json: &Json) -> Result<&str, Problem> {
    json.as_str().ok_or(Problem::Type("a string"))
}

fn string(json: &Json) -> Result<String, Problem> {
    text_of(json).map(str::to_owned)
}

fn scalar(json: &Json) -> Result<String, Problem> {
    match json {
        Json::String(text) => Ok(text.clone()),
        Json::Number(_) | Json::Bool(_) => Ok(json.to_string()),
        _ => Err(Problem::Type("a string")),
    }
}

fn boolean(json: &Json) -> Result<bool, Problem> {
    json.as_bool().ok_or(Problem::Type("true or false"))
}

fn number(json: &Json) -> Result<f64, Problem> {
    json.as_f64().ok_or(Problem::Type("a number"))
}

/// A factor; what is not exact in 128 bits is refused.
fn decimal(json: &Json) -> Result<Rational, Problem> {
    let value = number(json)?;
    limit(json)?.ok_or(Problem::Range(value, "what is exact in 128 bits"))
}

/// A limit; one that no value reaches (beyond 128 bits) is none.
fn limit(json: &Json) -> Result<Option<Rational>, Problem> {
    // Whole numbers of 64 bits have more digits than a floating-point number holds.
    let whole = json.as_i64().map(i128::from).or_else(|| json.as_u64().map(i128::from));
    match whole {
        Some(whole) => Ok(Some(Rational::integer(whole))),
        None => Ok(Rational::from_decimal(number(json)?)),
    }
}

fn whole(json: &Json, least: u32, range: &'static str) -> Result<u32, Problem> {
    let value = number(json)?;
    if value.fract() == 0.0 && (f64::from(least)..=f64::from(MAX_BITS)).contains(&value) {
        Ok(value as u32)
    } else {
        Err(Problem::Range(value, range))
    }
}

fn year(json: &Json) -> Result<u16, Problem> {
    let value = number(json)?;
    if value.fract() == 0.0 && (1900.0..=2200.0).contains(&value) {
        Ok(value as u16)
    } else {
        Err(Problem::Range(value, "the years 1900 to 2200"))
    }
}

fn period(json: &Json) -> Result<Duration, Problem> {
    let value = number(json)?;
    if (0.001..=1e9).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(Problem::Range(value, "0.001 to 1e9 seconds"))
    }
}

/// A diagnostic session in which an ECU still does its work: in the one for programming it may not (ISO 14229-1, 9.2).
fn session(json: &Json) -> Result<u8, Problem> {
    match hex_byte(json)? {
        0x02 => Err(Problem::Type("a session for reading; 02 is for programming")),
        session => Ok(session),
    }
}

fn hex_byte(json: &Json) -> Result<u8, Problem> {
    let text = text_of(json)?;
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = u8::from_str_radix(text, 16).ok().filter(|_| digits);
    byte.ok_or(Problem::Type("two hexadecimal digits"))
}
