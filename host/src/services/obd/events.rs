//! The shapes on the wire: what python-OBD's types look like as JSON to a client of obd-socketio.

use cloverleaf_core::obd2::{Ask, Command, Decoder, Dtc, Ecu, Quantity, Scaling, Test, Value};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::car::descriptions::Descriptions;
use crate::car::{Item, Reading, What};
use crate::timeline;

/// A command as clients know it: `{"name":"RPM","desc":"Engine RPM","fast":true,"command":"010C","bytes":"4","ecu":2}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CommandInfo {
    /// The name: `RPM`.
    pub name: String,
    /// In words.
    pub desc: String,
    /// Whether the adapter may be told how many lines will answer.
    pub fast: bool,
    /// What is sent: `010C`.
    pub command: String,
    /// The length of the answer, as a **string**; `"0"` when it varies.
    pub bytes: String,
    /// Who answers, as a bit mask: 2 the engine, 255 anyone, 1 the adapter.
    pub ecu: u8,
}

impl CommandInfo {
    /// Every command of the standard's services as onboardpi lists them: the outer index is the service, the inner the
    /// identifier. In place 0, where there is no service, are those that every car answers.
    pub fn by_service() -> Vec<Vec<Option<Self>>> {
        let mut services = vec![Vec::new(); 0x0B];
        for command in Command::all() {
            let (service, identifier) = match command.ask {
                Ask::Pid(service, identifier) => (service, usize::from(identifier)),
                Ask::Service(service) => (service, 0),
                Ask::Adapter(_) => (0, 0),
            };
            let always = matches!(command.ask, Ask::Service(_) | Ask::Adapter(_))
                || matches!(command.ask, Ask::Pid(0x01 | 0x06 | 0x09, 0x00));
            if always && let Some(base) = services.first_mut() {
                base.push(Some(command.into()));
            }
            let Some(list) = services.get_mut(usize::from(service)).filter(|_| service > 0) else { continue };
            if list.len() <= identifier {
                list.resize(identifier + 1, None);
            }
            if let Some(place) = list.get_mut(identifier) {
                *place = Some(command.into());
            }
        }
        services
    }
}

impl From<&'static Command> for CommandInfo {
    fn from(command: &'static Command) -> Self {
        Self {
            name: command.name.into(),
            desc: command.description.into(),
            fast: command.fast,
            command: command.code().to_string(),
            bytes: command.bytes.to_string(),
            ecu: command.ecu as u8,
        }
    }
}

impl From<&Item> for CommandInfo {
    fn from(item: &Item) -> Self {
        match item.what {
            What::Standard(command) => command.into(),
            What::Custom(command, signal) => Self {
                name: item.name().into(),
                desc: signal.map_or_else(|| item.name().into(), |signal| signal.name.clone()),
                fast: false,
                command: hex::encode_upper(&command.request.data),
                bytes: "0".into(),
                ecu: Ecu::All as u8,
            },
        }
    }
}

/// The answer to a command: `{"value":1500.0,"command":{…},"time":1639266637000,"unit":"revolutions_per_minute"}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Response {
    /// A number, a text, an array or an object, as [`unit`](Self::unit) says.
    pub value: Shape,
    /// The command.
    pub command: CommandInfo,
    /// Milliseconds since 1970.
    pub time: i64,
    /// The unit in words, or the Python type of a value without one: `<class 'tuple'>`.
    pub unit: String,
}

impl Response {
    /// The response that a reading makes; none where python-OBD's clients get `null`.
    pub fn of(reading: &Reading) -> Option<Self> {
        let (value, unit) = shaped(reading)?;
        let command = CommandInfo::from(&reading.item);
        Some(Self { value, command, time: reading.time.as_millisecond(), unit })
    }
}

/// A value as python-OBD's types look in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Shape {
    /// Readiness.
    Status {
        /// Whether the lamp is on.
        #[serde(rename = "MIL")]
        mil: bool,
        /// How many codes are stored.
        #[serde(rename = "DTC_COUNT")]
        dtc_count: u8,
        /// `spark` or `compression`.
        ignition_type: &'static str,
    },
    /// Results of on-board monitors.
    Tests(Vec<TestResult>),
    /// Everything else.
    Plain(Json),
}

impl From<Json> for Shape {
    fn from(json: Json) -> Self {
        Self::Plain(json)
    }
}

/// One result of an on-board monitor. python-OBD's object, whose JSON obd-socketio never finishes, has the first
/// six keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestResult {
    /// The test's number.
    pub tid: u8,
    /// Its name; `Unknown` where the maker defines it.
    pub name: &'static str,
    /// In words.
    pub desc: &'static str,
    /// What was measured.
    pub value: f64,
    /// The least that passes.
    pub min: f64,
    /// The most that passes.
    pub max: f64,
    /// The unit of the three.
    pub unit: &'static str,
    /// Whether the value lies within its limits.
    pub passed: bool,
}

const BIT_ARRAY: &str = "<class 'obd.utils.BitArray'>";
const BOOL: &str = "<class 'bool'>";
const BYTES: &str = "<class 'bytearray'>";
const DICT: &str = "<class 'dict'>";
const LIST: &str = "<class 'list'>";
const MONITOR: &str = "<class 'obd.OBDResponse.Monitor'>";
const STATUS: &str = "<class 'obd.OBDResponse.Status'>";
const TEXT: &str = "<class 'str'>";
const TUPLE: &str = "<class 'tuple'>";

/// Value and unit of a reading in the shape of obd-socketio.
fn shaped(reading: &Reading) -> Option<(Shape, String)> {
    if let Some(codes) = reading.codes() {
        let codes = codes.into_iter().map(|(_, code)| described(code, reading.item.descriptions)).collect();
        return Some((Json::Array(codes).into(), LIST.into()));
    }
    if let What::Custom(..) = reading.item.what {
        return match reading.to_timeline().ok()? {
            timeline::Value::Quantity { value, unit } => Some((json!(value).into(), unit.into())),
            timeline::Value::Text(text) => Some((json!(text).into(), TEXT.into())),
            timeline::Value::Bool(flag) => Some((json!(flag).into(), BOOL.into())),
            timeline::Value::Json(Json::Null) => None,
            timeline::Value::Json(object) => Some((object.into(), DICT.into())),
            timeline::Value::Written(object) => Some((json!(object).into(), DICT.into())),
        };
    }
    let decoder = reading.item.command()?.decoder;
    let (value, unit) = shape(decoder, &reading.value().ok()?, reading.item.descriptions)?;
    Some((value, unit.into()))
}

/// A value of the standard's tables in the shape of obd-socketio, and what stands for its unit.
pub fn shape(
    decoder: Decoder,
    value: &Value<'_>,
    descriptions: &Descriptions,
) -> Option<(Shape, &'static str)> {
    let (json, unit) = match value {
        Value::Status(status) => {
            let (mil, dtc_count) = (status.mil(), status.dtc_count());
            let shape = Shape::Status { mil, dtc_count, ignition_type: status.ignition().text() };
            return Some((shape, STATUS));
        }
        Value::Tests(tests) => return Some((Shape::Tests(tests.iter().map(result).collect()), MONITOR)),
        Value::Quantity(quantity) => (number(*quantity), quantity.unit().pint()),
        Value::Flag(flag) => (json!(flag), BOOL),
        Value::State(state) => (json!(state.text?), TEXT),
        Value::FuelSystems(systems) => {
            let texts = systems.map(|system| system.text.unwrap_or_default());
            if texts == ["", ""] {
                return None;
            }
            (json!(texts), TUPLE)
        }
        Value::Sensors(sensors) => {
            let bank = |bank: u8| {
                let sensor = move |sensor| sensors.contains(bank, sensor);
                // The bits as they stand in the byte: the last sensor of the last bank first.
                (1..=8 / sensors.banks.max(1)).rev().map(sensor).collect::<Vec<_>>()
            };
            // Banks count from one, so there is an empty one at zero.
            let banks = std::iter::once(Vec::new()).chain((1..=sensors.banks).rev().map(bank));
            (json!(banks.collect::<Vec<_>>()), TUPLE)
        }
        Value::Supported(supported) => (supported.iter().collect(), BIT_ARRAY),
        Value::Code(code) => (described((*code)?, descriptions), TUPLE),
        Value::Codes(codes) => (codes.iter().map(|code| described(code, descriptions)).collect(), LIST),
        Value::Text(text) if decoder == Decoder::Line => {
            (json!(String::from_utf8_lossy(text.as_bytes())), TEXT)
        }
        Value::Text(text) => (json!(text.as_bytes()), BYTES),
        Value::Numbers(numbers) => (json!(format!("{:08x}", numbers.iter().next()?)), TEXT),
        Value::Signals(_) => match crate::car::value::to_timeline(value, descriptions) {
            timeline::Value::Json(signals) => (signals, DICT),
            _ => return None,
        },
        Value::Bytes(bytes) => (json!(bytes), BYTES),
        _ => return None,
    };
    Some((json.into(), unit))
}

/// A number with a point where python-OBD computes with floats, without where it does not.
fn number(quantity: Quantity) -> Json {
    use Scaling::{Celsius, Counter, EvapPressureWide, FuelPressure, Kilopascal, MaxAirFlow};
    let value = quantity.to_f64();
    match quantity.scaling() {
        Celsius | Counter | EvapPressureWide | FuelPressure | Kilopascal | MaxAirFlow => json!(value as i64),
        _ => json!(value),
    }
}

fn described(code: Dtc, descriptions: &Descriptions) -> Json {
    json!([code.to_string(), descriptions.of(code)])
}

fn result(test: Test) -> TestResult {
    let (name, desc) = test.name().unwrap_or(("Unknown", "Unknown"));
    let ([value, min, max], unit) = match test.quantities() {
        Some(quantities) => (quantities.map(Quantity::to_f64), quantities[0].unit().pint()),
        None => ([test.value, test.min, test.max].map(f64::from), ""),
    };
    TestResult { tid: test.tid, name, desc, value, min, max, unit, passed: test.passed() }
}

/// What a client may watch: `"RPM"`, `["RPM","SPEED"]`, `[{"name":"RPM","rate":10}]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// One name.
    One(Wish),
    /// Several.
    Many(Vec<Json>),
}

/// One name, and perhaps how often.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Wish {
    /// As often as the server allows.
    Name(String),
    /// At a rate.
    Rated {
        /// The name.
        name: String,
        /// Times a second.
        rate: f64,
    },
}

impl Names {
    /// Each wish that can be understood; the others are left out.
    pub fn wishes(self) -> Vec<Wish> {
        match self {
            Self::One(wish) => vec![wish],
            Self::Many(all) => all.into_iter().filter_map(|wish| serde_json::from_value(wish).ok()).collect(),
        }
    }
}
