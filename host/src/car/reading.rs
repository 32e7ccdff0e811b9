//! What was answered, when, and what it means.

use cloverleaf_core::bus::{Address, Message};
use cloverleaf_core::elm327::session::{Answer, Failure};
use cloverleaf_core::elm327::wire::Status;
use cloverleaf_core::obd2::{self, Command, DecodeError, Decoder, Dtc, Value};
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
    fault: Option<Failure>,
}

impl Reply {
    pub(super) fn of<const M: usize, const B: usize>(answer: &Answer<'_, M, B>) -> Self {
        let messages = answer.messages().map(|message| (message.source, message.data.into()));
        Self { messages: messages.collect(), lines: Vec::new(), fault: answer.fault }
    }

    pub(super) fn text(lines: Vec<String>) -> Self {
        Self { lines, ..Self::default() }
    }

    /// Every message of every control unit, in the order in which they began.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> + Clone {
        self.messages.iter().map(|(source, data)| Message { source: *source, data })
    }

    /// The same messages, and what went wrong beside them.
    pub(super) fn with_fault(self, fault: Option<Failure>) -> Self {
        Self { fault, ..self }
    }

    /// What went wrong beside the messages: another control unit's was damaged or cut short.
    pub fn fault(&self) -> Option<Failure> {
        self.fault
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
    /// What came when this item was asked for.
    pub(super) fn of(item: Item, time: Timestamp, reply: Result<Reply, QueryError>) -> Self {
        let reply = match reply {
            // No stored code is no answer on some cars.
            Err(error) if error.is_no_data() && item.may_be_silent() => Ok(Reply::default()),
            Ok(Reply { fault: Some(fault), .. }) if item.needs_all() => Err(QueryError::Failed(fault)),
            reply => reply,
        };
        Self { item, time, reply }
    }

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
                    let value = answer.value.map(|value| value::to_timeline(&value, self.item.descriptions));
                    (answer.source, value.map_err(Into::into))
                })
                .collect(),
            What::Custom(command, signal) => custom_by_ecu(command, signal, reply),
        }
    }

    /// Puts the value, if there is one, on the timeline.
    pub(super) fn publish(&self, timeline: &timeline::Bus) {
        if timeline.is_watched()
            && let Ok(value) = self.to_timeline()
        {
            timeline.publish_at(self.time, timeline::Source::Car, self.item.name(), value);
        }
    }

    /// The one value as Cloverleaf's own surfaces show it: codes of all control units together, else the engine's.
    ///
    /// # Errors
    /// When there is none.
    pub fn to_timeline(&self) -> Result<timeline::Value, QueryError> {
        if let Some(codes) = self.codes() {
            let described = |(_, code)| value::described(code, self.item.descriptions);
            let codes: Vec<_> = codes.into_iter().map(described).collect();
            return Ok(timeline::Value::Json(codes.into()));
        }
        if let What::Custom(..) = self.item.what {
            self.reply.as_ref().map_err(Clone::clone)?;
            // As for the standard's commands: a value beats none, and the engine's ECU beats others.
            let rank = |(source, value): &(Address, Result<timeline::Value, QueryError>)| match value {
                Ok(value) => (if *value == UNAVAILABLE { 1 } else { 0 }, !obd2::is_engine(*source)),
                Err(_) => (2, false),
            };
            let none = QueryError::Failed(Failure::Adapter(Status::NoData));
            return self.by_ecu().into_iter().min_by_key(rank).ok_or(none)?.1;
        }
        self.value().map(|value| value::to_timeline(&value, self.item.descriptions))
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
    let listed = |codes: Vec<serde_json::Value>| timeline::Value::Json(codes.into());
    ecus.into_iter().map(|(source, codes)| (source, codes.map(listed))).collect()
}

/// What a signal is that the car has no value for now: it answers, and says so.
const UNAVAILABLE: timeline::Value = timeline::Value::Json(serde_json::Value::Null);

/// One signal, or all signals of a command, of each ECU that answers or declines.
fn custom_by_ecu(
    command: &'static signals::Command,
    only: Option<&'static signals::Signal>,
    reply: &Reply,
) -> Vec<(Address, Result<timeline::Value, QueryError>)> {
    let mut ecus: Vec<Address> = Vec::new();
    for Message { source, .. } in reply.messages().filter(|message| command.request.hears(message.source)) {
        if !ecus.contains(&source) {
            ecus.push(source);
        }
    }
    let read = |source: Address| match command.read(reply.messages().filter(|one| one.source == source)) {
        Ok(values) => Some((source, Ok(custom(values, only)))),
        Err(error @ DecodeError::Negative { .. }) => Some((source, Err(error.into()))),
        // It speaks of something else.
        Err(_) => None,
    };
    ecus.into_iter().filter_map(read).collect()
}

/// The one signal that is asked for, or all that have a value.
fn custom(
    values: Vec<(&'static signals::Signal, Option<signals::Value>)>,
    only: Option<&'static signals::Signal>,
) -> timeline::Value {
    let shown = |signal: &signals::Signal, value: signals::Value| match value {
        signals::Value::Text(text) => timeline::Value::Text(text),
        number => {
            timeline::Value::Quantity { value: number.as_f64().unwrap_or_default(), unit: signal.unit() }
        }
    };
    if let Some(only) = only {
        let of = |(signal, value): (&signals::Signal, Option<_>)| value.filter(|_| signal.id == only.id);
        return values.into_iter().find_map(of).map_or(UNAVAILABLE, |value| shown(only, value));
    }
    let fields = values.into_iter().filter_map(|(signal, value)| {
        let value = match shown(signal, value?) {
            timeline::Value::Quantity { value, unit } => json!({ "value": value, "unit": unit }),
            other => json!(other),
        };
        Some((signal.id.clone(), value))
    });
    timeline::Value::Json(fields.collect::<Map<_, _>>().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::car::signals::Signals;

    const MEADOW: &str = include_str!("../../tests/signals/meadow.json");

    /// What these messages (ECU and data) say about an item of the invented car.
    fn reading(name: &str, messages: &[(u32, &[u8])]) -> Reading {
        let signals = Signals::from_text("meadow.json", MEADOW).expect("a signal set");
        let item = Item::find(name, Some(Box::leak(Box::new(signals))), None, Descriptions::composed());
        let messages: Vec<(Address, Box<[u8]>)> =
            messages.iter().map(|(source, data)| (Address(*source), Box::from(*data))).collect();
        Reading {
            item: item.expect("an item"),
            time: Timestamp::UNIX_EPOCH,
            reply: Ok(Reply::from(messages)),
        }
    }

    #[test]
    fn signals_of_a_set_have_the_symbols_of_units_and_say_when_they_are_not_available() {
        for (name, messages, expected) in [
            (
                "MEADOW_OIL_T",
                &[(0x7E8, &[0x62, 0x10, 0x01, 0, 0, 1, 0x52][..])][..],
                r#"{"value":42.0,"unit":"°C"}"#,
            ),
            (
                "MEADOW_ODO",
                &[(0x7E8, &[0x62, 0x10, 0x01, 1, 0xE2, 0x40])],
                r#"{"value":123456.0,"unit":"km"}"#,
            ),
            ("MEADOW_GEAR", &[(0x7E9, &[0x61, 0x85, 0x10])], r#""R""#),
            // FF is the null range of the temperature; 70 no state of the gear.
            ("MEADOW_OIL_T", &[(0x7E8, &[0x62, 0x10, 0x01, 0, 0, 1, 0xFF])], "null"),
            ("MEADOW_GEAR", &[(0x7E9, &[0x61, 0x85, 0x70])], "null"),
            // Of several messages the last counts, signal by signal.
            (
                "MEADOW_ODO",
                &[(0x7E8, &[0x62, 0x10, 0x01, 0, 0, 1]), (0x7E8, &[0x62, 0x10, 0x01, 0, 0, 2])],
                r#"{"value":2.0,"unit":"km"}"#,
            ),
            (
                "221001",
                &[(0x7E8, &[0x62, 0x10, 0x01, 0, 0, 1, 0x52]), (0x7E8, &[0x62, 0x10, 0x01, 0, 0, 2])],
                r#"{"MEADOW_ODO":{"unit":"km","value":2.0},"MEADOW_OIL_T":{"unit":"°C","value":42.0}}"#,
            ),
            (
                "MEADOW_ODO",
                &[(0x7E8, &[0x7F, 0x22, 0x78]), (0x7E8, &[0x62, 0x10, 0x01, 0, 0, 3])],
                r#"{"value":3.0,"unit":"km"}"#,
            ),
        ] {
            let value =
                reading(name, messages).to_timeline().unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(serde_json::to_string(&value).expect("JSON"), expected, "{name} {messages:X?}");
        }
    }

    #[test]
    fn a_refusal_of_a_signal_says_why_and_another_ecu_says_nothing() {
        let refused = reading("MEADOW_ODO", &[(0x7E8, &[0x7F, 0x22, 0x31])]).to_timeline();
        assert_eq!(
            refused.expect_err("refused").to_string(),
            "service 22 declined: request out of range (31)"
        );
        let other = reading("MEADOW_ODO", &[(0x7E9, &[0x62, 0x10, 0x01, 0, 0, 1])]).to_timeline();
        assert_eq!(other, Err(QueryError::Failed(Failure::Adapter(Status::NoData))));
    }

    #[tokio::test]
    async fn the_timeline_gets_the_same() {
        let timeline = timeline::Bus::new();
        let mut events = timeline.subscribe();
        reading("MEADOW_OIL_T", &[(0x7E8, &[0x62, 0x10, 0x01, 0, 0, 1, 0x52])]).publish(&timeline);
        let event = events.next().await.expect("an entry").expect("the newest");
        assert_eq!(event.value, timeline::Value::Quantity { value: 42.0, unit: "°C" });
    }
}
