//! What was answered, when, and what it means.

use cloverleaf_core::bus::{Address, Message};
use cloverleaf_core::elm327::session::{Answer, Failure};
use cloverleaf_core::elm327::wire::Status;
use cloverleaf_core::obd2::{self, Command, Decoder, Dtc, Value};
use jiff::Timestamp;
use serde_json::{Map, json};

use super::descriptions::Descriptions;
use super::item::{Item, What};
use super::{QueryError, signals, value};
use crate::timeline;

/// An answer of the car, or of the adapter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    messages: Vec<(Address, Box<[u8]>)>,
    lines: Vec<String>,
    /// How many lines the adapter printed.
    pub(super) count: u8,
}

impl Reply {
    pub(super) fn of<const M: usize, const B: usize>(answer: &Answer<'_, M, B>) -> Self {
        let messages = answer.messages().map(|message| (message.source, message.data.into()));
        Self { messages: messages.collect(), lines: Vec::new(), count: answer.lines }
    }

    pub(super) fn text(lines: Vec<String>) -> Self {
        Self { lines, ..Self::default() }
    }

    /// Every message of every control unit, in the order in which they began.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> + Clone {
        self.messages.iter().map(|(source, data)| Message { source: *source, data })
    }

    /// What the adapter itself said.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl From<Vec<(Address, Box<[u8]>)>> for Reply {
    fn from(messages: Vec<(Address, Box<[u8]>)>) -> Self {
        Self { messages, ..Self::default() }
    }
}

/// Whether there was just no answer on the bus.
pub(super) fn is_no_data(failure: Failure) -> bool {
    failure == Failure::Adapter(Status::NoData)
}

/// One item at one moment.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What was asked for.
    pub item: Item,
    /// When it was answered.
    pub time: Timestamp,
    /// What came.
    pub reply: Result<Reply, QueryError>,
}

impl Reading {
    /// The one value of a standard command: the engine's, if several control units answer.
    ///
    /// # Errors
    /// When there is none, or the item is of a signal set.
    pub fn value(&self) -> Result<Value<'_>, QueryError> {
        let reply = self.reply.as_ref().map_err(Clone::clone)?;
        let none = QueryError::Failed(Failure::Adapter(Status::NoData));
        let Some(command) = self.item.command() else { return Err(none) };
        if self.item.adapter_command().is_some() {
            let line = reply.lines.first().ok_or(none)?;
            return Ok(obd2::decode_adapter(command, line.as_bytes())?);
        }
        Ok(obd2::answer(command, reply.messages()).ok_or(none)?.value?)
    }

    /// Every trouble code of every control unit, for the commands that list them; an empty list when none is stored.
    pub fn codes(&self) -> Option<Vec<(Address, Dtc)>> {
        let command = self.item.command().filter(|command| command.decoder == Decoder::Codes)?;
        let reply = self.reply.as_ref().ok()?;
        let mut all = Vec::new();
        for message in reply.messages() {
            if let Ok(Value::Codes(codes)) = obd2::decode(command, message) {
                all.extend(codes.iter().map(|code| (message.source, code)));
            }
        }
        Some(all)
    }

    /// The value of each control unit that answered, as Cloverleaf's own surfaces show it.
    pub fn by_ecu(&self) -> Vec<(Address, Result<timeline::Value, QueryError>)> {
        let Ok(reply) = &self.reply else { return Vec::new() };
        match self.item.what {
            What::Standard(command) if self.codes().is_some() => {
                codes_by_ecu(command, reply, self.item.descriptions)
            }
            What::Standard(command) => obd2::answers(command, reply.messages())
                .map(|answer| {
                    let value = answer.value.map(|value| value::clean(&value, self.item.descriptions));
                    (answer.source, value.map_err(Into::into))
                })
                .collect(),
            What::Custom(command, signal) => reply
                .messages()
                .filter(|message| command.hears(message))
                .filter_map(|message| Some((message.source, custom(command, signal, &message)?)))
                .map(|(source, value)| (source, Ok(value)))
                .collect(),
        }
    }

    /// Puts the value, if there is one, on the timeline.
    pub(super) fn publish(&self, timeline: &timeline::Bus) {
        if timeline.is_watched()
            && let Ok(value) = self.clean()
        {
            timeline.publish_at(self.time, timeline::Source::Car, self.item.name(), value);
        }
    }

    /// The one value as Cloverleaf's own surfaces show it: codes of all control units together, else the engine's.
    ///
    /// # Errors
    /// When there is none.
    pub fn clean(&self) -> Result<timeline::Value, QueryError> {
        if let Some(codes) = self.codes() {
            let described = |(_, code)| value::described(code, self.item.descriptions);
            let codes: Vec<_> = codes.into_iter().map(described).collect();
            return Ok(timeline::Value::Json(codes.into()));
        }
        if let What::Custom(..) = self.item.what {
            self.reply.as_ref().map_err(Clone::clone)?;
            let none = QueryError::Failed(Failure::Adapter(Status::NoData));
            return self.by_ecu().into_iter().next().ok_or(none)?.1;
        }
        self.value().map(|value| value::clean(&value, self.item.descriptions))
    }
}

fn codes_by_ecu(
    command: &Command,
    reply: &Reply,
    descriptions: &Descriptions,
) -> Vec<(Address, Result<timeline::Value, QueryError>)> {
    let mut ecus: Vec<(Address, Result<Vec<serde_json::Value>, QueryError>)> = Vec::new();
    for message in reply.messages() {
        let codes = match obd2::decode(command, message) {
            Ok(Value::Codes(codes)) => {
                Ok(codes.iter().map(|code| value::described(code, descriptions)).collect::<Vec<_>>())
            }
            Ok(_) => continue,
            Err(error) => Err(error.into()),
        };
        match (ecus.iter_mut().find(|(source, _)| *source == message.source), codes) {
            (Some((_, Ok(known))), Ok(codes)) => known.extend(codes),
            (Some((_, known)), Ok(codes)) => *known = Ok(codes),
            (Some(_), Err(_)) => {}
            (None, codes) => ecus.push((message.source, codes)),
        }
    }
    let clean = |codes: Vec<serde_json::Value>| timeline::Value::Json(codes.into());
    ecus.into_iter().map(|(source, codes)| (source, codes.map(clean))).collect()
}

/// One signal, or all signals of a command, in a message; none if the message is not its answer or has no value.
fn custom(
    command: &'static signals::Command,
    only: Option<&'static signals::Signal>,
    message: &Message<'_>,
) -> Option<timeline::Value> {
    let data = command.answer(message)?;
    if let Some(signal) = only {
        let unit = signal.format.unit.as_deref().unwrap_or_default();
        return Some(match signal.format.decode(data)? {
            signals::Value::Text(text) => timeline::Value::Text(text),
            number => timeline::Value::Quantity { value: number.as_f64()?, unit },
        });
    }
    let values: Map<_, _> =
        command.decode(data).filter_map(|(signal, value)| Some((signal.id.clone(), json!(value?)))).collect();
    Some(timeline::Value::Json(values.into()))
}
