//! From a message to a [`Value`].

use super::{
    Ask, Command, DecodeError, Dtc, Dtcs, Numbers, Quantity, Scaling, Sensors, Signal, Signals, State,
    Status, Supported, Tests, Text, Value, enumeration, reply,
};
use crate::bus::{Address, Message};

/// How the data of an answer is read: one variant per formula.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Decoder {
    /// All data bytes are one number; the length is the row's.
    Scaled(Scaling),
    /// One number at this byte, this many bytes wide; the other bytes are of no interest here.
    Part(u8, u8, Scaling),
    /// A bit for each of the next 32 identifiers.
    Supported,
    /// Readiness (PIDs 01 and 41).
    Status,
    /// One trouble code.
    Code,
    /// A list of trouble codes.
    Codes,
    /// The two fuel systems (PID 03).
    FuelSystems,
    /// One bit set, and its text.
    Bit(&'static [&'static str]),
    /// A number from this one on, and its text.
    Listed(u8, &'static [&'static str]),
    /// Oxygen sensors present in this many banks.
    Sensors(u8),
    /// This bit of the first byte, 0 the lowest.
    Flag(u8),
    /// Results of monitors (service 06).
    Tests,
    /// Texts of this width, with a count in front on CAN.
    Text(u8),
    /// Numbers of four bytes, with a count in front on CAN.
    Numbers,
    /// Several quantities.
    Signals(&'static [Signal]),
    /// Counters of two bytes, with a count in front on CAN (service 09, in-use performance).
    Counters(&'static [Signal]),
    /// Nothing but the acknowledgement.
    Done,
    /// Bytes as they are.
    Bytes,
    /// The adapter's supply voltage.
    Voltage,
    /// A line of text from the adapter.
    Line,
}

/// Reads the answer to a command.
///
/// The message must begin as the answer to this command does, service and PID; then its data is decoded.
///
/// # Errors
/// [`DecodeError`]: the ECU declined, the message answers something else, or its data does not fit.
///
/// ```
/// use cloverleaf_core::bus::{Address, Message};
/// use cloverleaf_core::obd2::{self, Command, Value};
///
/// let message = Message { source: Address(0x7E8), data: &[0x41, 0x0C, 0x17, 0x70] };
/// let value = obd2::decode(Command::named("RPM").unwrap(), message)?;
/// assert_eq!(value.to_string(), "1500 rpm");
/// # Ok::<(), obd2::DecodeError>(())
/// ```
#[inline]
pub fn decode<'a>(command: &Command, message: Message<'a>) -> Result<Value<'a>, DecodeError> {
    let data = match (command.ask, message.data) {
        // The common case in one comparison.
        (Ask::Pid(service @ (0x01 | 0x06 | 0x08 | 0x09), pid), [answered, about, data @ ..])
            if *answered == service | 0x40 && *about == pid =>
        {
            data
        }
        (Ask::Pid(0x02, pid), [0x42, about, _frame, data @ ..]) if *about == pid => data,
        (Ask::Pid(0x05, pid), [0x45, about, _sensor, data @ ..]) if *about == pid => data,
        (Ask::Service(service), [answered, data @ ..]) if *answered == service | 0x40 => data,
        (Ask::Pid(service, pid), data) => reply::payload(&[service, pid], data)?,
        (Ask::Service(service), data) => return Err(reply::other(service, data)),
        (Ask::Adapter(_), _) => return Err(DecodeError::Place),
    };
    match (command.decoder, message.data) {
        // Each result names its monitor again, so the first one begins at the identifier.
        (Decoder::Tests, [_, results @ ..]) => Ok(Value::Tests(Tests::new(results))),
        (Decoder::Supported, [answered, base, ..]) => supported(*answered, *base, data),
        (decoder, _) => decoder.decode(command.data_length(), data),
    }
}

impl Decoder {
    /// How many data bytes a value takes at least; `row` is the length that the table gives.
    const fn needs(self, row: Option<u8>) -> usize {
        match (self, row) {
            (Self::Scaled(_), Some(length)) => length as usize,
            (Self::Part(at, width, _), _) => (at + width) as usize,
            (Self::Supported | Self::Status | Self::Numbers, _) => 4,
            (Self::Code, _) => 2,
            (
                Self::FuelSystems
                | Self::Bit(_)
                | Self::Listed(..)
                | Self::Sensors(_)
                | Self::Flag(_)
                | Self::Scaled(_)
                | Self::Signals(_),
                _,
            ) => 1,
            (Self::Counters(_), _) => 2,
            (Self::Text(width), _) => width as usize,
            _ => 0,
        }
    }

    /// Reads the data that follows service and PID.
    #[inline]
    fn decode<'a>(self, row: Option<u8>, data: &'a [u8]) -> Result<Value<'a>, DecodeError> {
        let needed = self.needs(row);
        if data.len() < needed {
            return Err(short(needed, data));
        }
        let first = data.first().copied().unwrap_or(0);
        Ok(match self {
            Self::Scaled(scaling) => Value::Quantity(scaling.quantity(data.get(..needed).unwrap_or(data))),
            Self::Part(at, _, scaling) => {
                let part = data.get(usize::from(at)..needed).unwrap_or(data);
                Value::Quantity(scaling.quantity(part))
            }
            Self::Status => Value::Status(Status(data.first_chunk().copied().unwrap_or_default())),
            Self::Code => {
                let code = Dtc(u16::from_be_bytes(data.first_chunk().copied().unwrap_or_default()));
                Value::Code(Some(code).filter(|code| *code != Dtc(0)))
            }
            Self::Codes => Value::Codes(Dtcs::new(data)),
            Self::FuelSystems => {
                let second = data.get(1).copied().unwrap_or(0);
                Value::FuelSystems(
                    [first, second].map(|raw| State::single_bit(raw, enumeration::FUEL_SYSTEM)),
                )
            }
            Self::Bit(texts) => Value::State(State::single_bit(first, texts)),
            Self::Listed(from, texts) => {
                let text = first.checked_sub(from).and_then(|index| texts.get(usize::from(index)));
                Value::State(State { raw: first, text: text.copied() })
            }
            Self::Sensors(banks) => Value::Sensors(Sensors { raw: first, banks }),
            Self::Flag(bit) => Value::Flag(first >> (bit & 7) & 1 != 0),
            Self::Text(width) => text(width, data)?,
            Self::Numbers => Value::Numbers(Numbers::new(uncounted(4, data))),
            Self::Signals(signals) => Value::Signals(Signals::new(signals, data)),
            Self::Counters(signals) => Value::Signals(Signals::new(signals, uncounted(2, data))),
            Self::Done => Value::Done,
            Self::Supported => return supported(0, 0, data),
            Self::Tests => Value::Tests(Tests::new(data)),
            Self::Bytes => Value::Bytes(data),
            Self::Voltage | Self::Line => return Err(DecodeError::Place),
        })
    }
}

#[cold]
fn short(needed: usize, data: &[u8]) -> DecodeError {
    DecodeError::Short { needed: needed as u16, found: data.len() as u16 }
}

/// Bits of the supported identifiers; service 06 puts a filler before them on legacy buses (SAE J1979, 6.6.3).
fn supported<'a>(answered: u8, base: u8, data: &[u8]) -> Result<Value<'a>, DecodeError> {
    let bits = match (answered, data) {
        (0x46, [_, bits @ ..]) if bits.len() == 4 => bits,
        (_, bits) => bits,
    };
    let bits = bits.first_chunk().copied().ok_or_else(|| short(4, data))?;
    Ok(Value::Supported(Supported { base, bits: u32::from_be_bytes(bits) }))
}

/// Data without the count of items that CAN puts in front (SAE J1979, 7.9.3): one byte more than items take.
fn uncounted(width: usize, data: &[u8]) -> &[u8] {
    match data {
        [_, items @ ..] if data.len() % width == 1 => items,
        _ => data,
    }
}

/// Texts of a width: counted (CAN), bare, or with NULs in front to fill the last line (legacy buses).
fn text(width: u8, data: &[u8]) -> Result<Value<'_>, DecodeError> {
    let size = usize::from(width);
    let items = match data {
        // No text begins with a control character: this is the count.
        [1..=0x1F, items @ ..] => items,
        [0, ..] => {
            let filler = data.iter().take_while(|&&byte| byte == 0).count();
            data.get(filler.min(data.len() % size)..).unwrap_or_default()
        }
        _ => data,
    };
    if items.len() < size {
        return Err(short(size, data));
    }
    let whole = items.len() as u32 / u32::from(width) * u32::from(width);
    let text = Text::new(items.get(..whole as usize).unwrap_or(items), size);
    if text.is_text() { Ok(Value::Text(text)) } else { Err(DecodeError::Text) }
}

/// Reads what the adapter itself answered to [`Ask::Adapter`].
///
/// # Errors
/// [`DecodeError::Text`] if a voltage is no number, [`DecodeError::Place`] if the command is asked on the bus.
pub fn decode_adapter<'a>(command: &Command, line: &'a [u8]) -> Result<Value<'a>, DecodeError> {
    match command.decoder {
        Decoder::Line => Ok(Value::Text(Text::new(line, line.len()))),
        Decoder::Voltage => millivolts(line)
            .map(|raw| Value::Quantity(Quantity::new(raw, Scaling::AdapterVolt)))
            .ok_or(DecodeError::Text),
        _ => Err(DecodeError::Place),
    }
}

/// `voltage = 1*digit [ "." 1*digit ] *other`: `12.3V`; clones end it with anything.
fn millivolts(line: &[u8]) -> Option<i64> {
    let line = line.trim_ascii();
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (whole, rest) = line.split_at_checked(digits.min(5))?;
    if whole.is_empty() {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    let mut value = number(whole) * 1000;
    if let [b'.', decimals @ ..] = rest {
        let mut weight = 100;
        for byte in decimals.iter().take_while(|byte| byte.is_ascii_digit()) {
            value += i64::from(byte - b'0') * weight;
            weight /= 10;
        }
    }
    Some(value)
}

/// What one ECU answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The ECU.
    pub source: Address,
    /// Its value, or why there is none.
    pub value: Result<Value<'a>, DecodeError>,
}

/// One answer of each ECU to a command, in the order in which they first spoke.
///
/// An ECU may have sent several messages: `7F xx 78` and then its answer, or a stray answer to something else.
/// The last message with a value counts; without any, the last refusal; without that, the last message.
pub fn answers<'a>(
    command: &Command,
    messages: impl Iterator<Item = Message<'a>> + Clone,
) -> impl Iterator<Item = Answer<'a>> {
    messages.clone().enumerate().filter_map(move |(index, message)| {
        let source = message.source;
        if messages.clone().take(index).any(|earlier| earlier.source == source) {
            return None;
        }
        let mut best = decode(command, message);
        for later in messages.clone().skip(index + 1).filter(|later| later.source == source) {
            let value = decode(command, later);
            if rank(&value) >= rank(&best) {
                best = value;
            }
        }
        Some(Answer { source, value: best })
    })
}

/// How much an answer is worth against another of the same ECU.
const fn rank(value: &Result<Value<'_>, DecodeError>) -> u8 {
    match value {
        Ok(_) => 2,
        Err(DecodeError::Negative { .. }) => 1,
        Err(_) => 0,
    }
}

/// The one answer for those who want a single value, or the best reason why there is none.
///
/// The rule: a value beats an error; among values the engine's ECU (`7E8`, `18DAF110`, `10`) beats others;
/// among equals the first to speak wins.
pub fn answer<'a>(
    command: &Command,
    messages: impl Iterator<Item = Message<'a>> + Clone,
) -> Option<Answer<'a>> {
    let mut rest = messages.clone();
    let only = rest.next()?;
    if rest.next().is_none() {
        return Some(Answer { source: only.source, value: decode(command, only) });
    }
    let mut best: Option<(u8, Answer<'a>)> = None;
    for answer in answers(command, messages) {
        let rank = rank(&answer.value) * 2 + u8::from(is_engine(answer.source));
        if best.is_none_or(|(known, _)| rank > known) {
            best = Some((rank, answer));
        }
    }
    best.map(|(_, answer)| answer)
}

/// Whether this is the address of the engine's control unit (ISO 15765-4, 6.3.2; SAE J2178-1).
pub const fn is_engine(source: Address) -> bool {
    matches!(source.0, 0x7E8 | 0x18DA_F110 | 0x10)
}

/// A reply to a request for several PIDs, taken apart by the lengths of the tables: `41 0C 17 70 0D 37`.
///
/// It ends after the last whole part; [`rest`](Self::rest) is what could not be told apart.
#[derive(Clone, Debug)]
pub struct Split<'a> {
    service: u8,
    rest: &'a [u8],
}

/// What a reply to a request for several PIDs says of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part<'a> {
    /// The command that asks for this PID alone.
    pub command: &'static Command,
    /// The data after PID and frame number.
    pub data: &'a [u8],
    /// The value.
    pub value: Result<Value<'a>, DecodeError>,
}

impl<'a> Split<'a> {
    /// Takes a positive answer of service 01, or of 02 (where the frame number follows each PID).
    ///
    /// # Errors
    /// [`DecodeError::Service`] or [`DecodeError::Negative`] if it is no such answer.
    pub fn new(service: u8, message: Message<'a>) -> Result<Self, DecodeError> {
        match message.data {
            [answered, rest @ ..] if *answered == service.wrapping_add(0x40) => Ok(Self { service, rest }),
            data => Err(reply::other(service, data)),
        }
    }

    /// The bytes that are not taken apart yet, or cannot be.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&pid, rest) = self.rest.split_first()?;
        let command = Command::of(self.service, pid)?;
        let length = usize::from(command.data_length()?) + usize::from(self.service == 0x02);
        let (data, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        let data = data.get(usize::from(self.service == 0x02)..).unwrap_or_default();
        let value = match command.decoder {
            Decoder::Supported => supported(self.service, pid, data),
            decoder => decoder.decode(command.data_length(), data),
        };
        Some(Part { command, data, value })
    }
}
