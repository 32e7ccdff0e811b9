//! The tables and decoders of `cloverleaf_core::obd2` against python-OBD's own: every command it has, with
//! random payloads of all lengths. Each difference has a reason with its paragraph, and each reason must occur.
//!
//! One difference is not listed because nothing of service 02 would remain to compare: python-OBD reads the frame
//! number as data (SAE J1979 7.2.2), so it is shown those replies without.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use cloverleaf_core::bus::{Address, Assembler, Format, Message, Protocol};
use cloverleaf_core::obd2::{self, Command, DecodeError, Decoder, Reading, Value};
use serde_json::Value as Json;
use serde_json::json;

use crate::support;

/// The peer's environment below `target/peers`.
const ENVIRONMENT: &str = "obd-0.7.3";
/// Payloads of each length for each command.
const EACH: usize = 4;
/// The longest payload after service and PID, in bytes.
const LONGEST: usize = 24;

/// Why a value is another one here: what python-OBD does, and where the standard says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// Fills up short answers with zeros; SAE J1979 6.1: the data bytes of a PID are fixed.
    ShortAnswer,
    /// Strips `0 1 2 x \` off texts and numbers, and accepts bytes that are no text; J1979 7.9.3.
    Text,
    /// Takes the low byte of PID 32 for signed, PID 54 for offset by 32767; J1979-DA, PIDs 32 and 54.
    EvapPressure,
    /// Lists sensors from the top bit down; J1979-DA, PIDs 13 and 1D: bit 0 is bank 1, sensor 1.
    SensorOrder,
    /// Reads bit 7; J1979-DA, PID 1E: bit 0.
    PowerTakeOff,
    /// Has no value; J1979-DA, PIDs 4F and 5F; J1979 7.2.2, PIDs 00, 20 and 40 of service 02.
    NoValueThere,
    /// Fails on a reserved bit; J1979-DA, PID 12.
    ReservedBit,
    /// Has no text; J1979-DA, PID 51 beyond 17h.
    FuelText,
    /// Gives `P0000` for no code; J1979 7.3.
    NoCode,
    /// Skips a byte as the count of codes where there is none; J1979 6.3.
    CodeCount,
    /// Writes trouble codes with small letters; SAE J2012 5.
    SmallLetters,
    /// Shows more than 32 bits, or takes a line number for bits; J1979 6.1.2 and 7.6.2.
    SupportBits,
    /// Leaves out tests whose scaling it does not know, keeps one test per TID; J1979 7.6.3.
    Tests,
    /// Rounds the factor of a scaling; J1979, annex E.
    Rounding,
}

#[tokio::test]
async fn python_obd_has_the_same_commands() {
    let theirs = ask(&[]).await.remove(0);
    let theirs = theirs.as_array().expect("a table");
    assert_eq!(theirs.len(), 292);
    for row in theirs {
        let name = row["name"].as_str().expect("a name");
        let ours = Command::named(name).unwrap_or_else(|| panic!("no {name}"));
        let ours = json!({
            "name": ours.name,
            "desc": ours.description,
            "command": ours.code().to_string(),
            "bytes": ours.bytes,
            "ecu": ours.ecu as u8,
            "fast": ours.fast,
        });
        assert_eq!(&ours, row);
    }
}

#[tokio::test]
async fn python_obd_reads_the_same_values_or_the_difference_has_a_reason() {
    let cases = cases();
    let mut theirs = ask(&cases).await;
    theirs.remove(0);
    assert_eq!(theirs.len(), cases.len());
    let mut reasons: BTreeMap<Reason, usize> = BTreeMap::new();
    let mut same = 0;
    let mut unexplained = Vec::new();
    for (case, theirs) in cases.iter().zip(&theirs) {
        let ours = obd2::decode(case.command, case.message());
        if equal(case.command, ours, theirs) {
            same += 1;
        } else if let Some(reason) = reason(case, ours, theirs) {
            *reasons.entry(reason).or_default() += 1;
        } else {
            unexplained.push(format!("{} {:02X?}: {ours:?}, not {theirs}", case.command.name, case.payload));
        }
    }
    println!("{same} of {} the same; different: {reasons:#?}", cases.len());
    let shown = unexplained.iter().take(30).cloned().collect::<Vec<_>>().join("\n");
    assert!(unexplained.is_empty(), "{} unexplained:\n{shown}", unexplained.len());
    assert_eq!(reasons.len(), Reason::ALL.len(), "each reason is one that occurs: {reasons:?}");
    assert!(same > cases.len() * 4 / 5, "most are the same");
}

impl Reason {
    const ALL: [Self; 14] = [
        Self::ShortAnswer,
        Self::Text,
        Self::EvapPressure,
        Self::SensorOrder,
        Self::PowerTakeOff,
        Self::NoValueThere,
        Self::ReservedBit,
        Self::FuelText,
        Self::NoCode,
        Self::CodeCount,
        Self::SmallLetters,
        Self::SupportBits,
        Self::Tests,
        Self::Rounding,
    ];
}

/// One reply of one ECU to one command.
struct Case {
    command: &'static Command,
    /// Service, PID and data.
    payload: Vec<u8>,
}

impl Case {
    fn message(&self) -> Message<'_> {
        Message { source: Address(0x7E8), data: &self.payload }
    }

    /// The data after service and PID.
    fn data(&self) -> &[u8] {
        self.payload.get(1 + usize::from(self.command.pid().is_some())..).unwrap_or_default()
    }

    /// What python-OBD is shown: everything but the frame number.
    fn shown(&self) -> Vec<String> {
        match *self.payload {
            [0x42, pid, _frame, ref data @ ..] => {
                Self { command: self.command, payload: [&[0x42, pid], data].concat() }.lines()
            }
            _ => self.lines(),
        }
    }

    /// The reply as lines of an adapter, by ISO 15765-2; the assembler must give the payload back.
    fn lines(&self) -> Vec<String> {
        let hex = |bytes: &[u8]| {
            bytes.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, " {byte:02X}");
                text
            })
        };
        let length = self.payload.len();
        let lines = if length <= 7 {
            vec![format!("7E8 {length:02X}{}", hex(&self.payload))]
        } else {
            let (first, rest) = self.payload.split_at(6);
            let first = format!("7E8 1{:X} {:02X}{}", length >> 8, length & 0xFF, hex(first));
            let rest = rest.chunks(7).zip(1..);
            let rest = rest.map(|(part, number)| format!("7E8 2{:X}{}", number % 16, hex(part)));
            std::iter::once(first).chain(rest).collect()
        };
        let mut reply = Assembler::<2, 64>::new(Format::new(Some(Protocol::Can11Fast)));
        for line in &lines {
            reply.push(line.as_bytes()).expect("a good frame");
        }
        assert_eq!(reply.messages().next(), Some(self.message()));
        lines
    }
}

/// Every command that has an answer on the bus, with payloads of every length.
fn cases() -> Vec<Case> {
    let mut random = Random(0x0BD2_0BD2);
    let mut cases = Vec::new();
    for command in Command::all() {
        let Some(service) = command.service().filter(|_| is_theirs(command)) else {
            continue;
        };
        for length in 0..=LONGEST {
            for kind in 0..EACH {
                let mut payload = vec![service + 0x40];
                payload.extend(command.pid());
                payload.extend((service == 2).then_some(0));
                payload.extend((0..length).map(|at| match (kind, command.decoder) {
                    (0, Decoder::Text(_)) if at == 0 => 1,
                    (0 | 1, Decoder::Text(_)) => b' ' + random.byte() % 95,
                    // Blocks of nine: monitor, test, scaling, three numbers.
                    (0..=2, Decoder::Tests) if at % 9 == 8 => command.pid().unwrap_or(0),
                    (0..=2, Decoder::Tests) if at % 9 == 0 => 0x80 + (at / 9) as u8,
                    (0..=2, Decoder::Tests) if at % 9 == 1 => random.byte() % 0x40,
                    (0, Decoder::Listed(..) | Decoder::Codes) => random.byte() % 40,
                    (0, Decoder::Bit(_) | Decoder::FuelSystems) => 1 << (random.byte() % 6),
                    (1, Decoder::Code | Decoder::FuelSystems) => 0,
                    _ => random.byte(),
                }));
                cases.push(Case { command, payload });
            }
        }
    }
    cases
}

/// Whether python-OBD has the command.
fn is_theirs(command: &Command) -> bool {
    match (command.service(), command.pid()) {
        (Some(1 | 2), Some(pid)) => pid < 0x60,
        (Some(6), Some(pid)) => pid < 0xC0,
        (Some(9), Some(pid)) => pid < 0x07,
        (Some(service), None) => matches!(service, 3 | 4 | 7),
        _ => false,
    }
}

/// A small generator, the same numbers in every run (Marsaglia's xorshift).
struct Random(u32);

impl Random {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 11) as u8
    }
}

/// What python-OBD makes of the cases; the first item is its table.
async fn ask(cases: &[Case]) -> Vec<Json> {
    let file =
        std::env::temp_dir().join(format!("cloverleaf-obd-cases-{}-{}", std::process::id(), cases.len()));
    let mut text = String::new();
    for case in cases {
        writeln!(text, "{}", json!({"name": case.command.name, "lines": case.shown()})).expect("a string");
    }
    std::fs::write(&file, text).expect("a writable temporary folder");
    let mut command = support::python(ENVIRONMENT, "python");
    command.arg(support::script("obd/oracle.py")).arg(&file).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(120), command.output()).await;
    let output = output.expect("python-OBD within two minutes").expect("python runs");
    std::fs::remove_file(&file).expect("the file just written");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Whether both read the same.
fn equal(command: &Command, ours: Result<Value<'_>, DecodeError>, theirs: &Json) -> bool {
    let value = &theirs["value"];
    let Ok(ours) = ours else {
        return value.is_null();
    };
    if theirs.get("error").is_some() {
        return false;
    }
    match ours {
        Value::Quantity(quantity) => number(quantity, value, 1e-12),
        Value::Flag(flag) => value == flag,
        Value::State(state) => value.as_str() == state.text,
        Value::FuelSystems(states) if states.iter().all(|state| state.text.is_none()) => value.is_null(),
        Value::FuelSystems(states) => value["items"] == json!(states.map(|state| state.text.unwrap_or(""))),
        Value::Sensors(sensors) => {
            let each = if sensors.banks == 4 { 2 } else { 4 };
            let bank = |bank| (1..=each).map(|sensor| sensors.contains(bank, sensor)).collect::<Vec<_>>();
            let banks = (1..=sensors.banks).map(|number| json!({"items": bank(number)}));
            value["items"] == json!(std::iter::once(json!({"items": []})).chain(banks).collect::<Vec<_>>())
        }
        Value::Supported(supported) => value["bits"] == json!(supported.iter().collect::<Vec<_>>()),
        Value::Status(status) => {
            value["mil"] == status.mil()
                && value["count"] == status.dtc_count()
                && value["ignition"] == status.ignition().text()
                && status
                    .tests()
                    .all(|test| value["tests"][test.name] == json!([test.available, test.complete]))
        }
        Value::Code(None) => value.is_null(),
        Value::Code(Some(code)) => value["items"][0] == code.to_string(),
        Value::Codes(codes) => {
            let theirs =
                value["items"].as_array().expect("a list").iter().map(|item| item["items"][0].as_str());
            theirs.eq(codes
                .iter()
                .map(|code| code.to_string())
                .collect::<Vec<_>>()
                .iter()
                .map(|code| Some(&**code)))
        }
        Value::Tests(tests) => same_tests(tests, value, 1e-12),
        Value::Text(text) => value["bytes"] == json!(text.as_bytes()),
        Value::Numbers(numbers) => {
            value.as_str() == numbers.iter().next().map(|n| format!("{n:08x}")).as_deref()
        }
        Value::Done | Value::Bytes(_) => value.is_null(),
        Value::Signals(signals) => {
            let first = signals.iter().find_map(|(_, reading)| reading);
            matches!(first, Some(Reading::Quantity(quantity)) if command.name != "MAX_VALUES" && number(quantity, value, 1e-12))
        }
        _ => false,
    }
}

/// Whether the tests whose scaling is known are the same, as closely as asked.
fn same_tests(tests: obd2::Tests<'_>, theirs: &Json, relative: f64) -> bool {
    let theirs = theirs["tests"].as_array().expect("tests");
    let ours = tests.iter().filter_map(|test| Some((test, test.quantities()?)));
    ours.clone().count() == theirs.len()
        && ours.zip(theirs).all(|((test, quantities), theirs)| {
            theirs[0] == test.tid
                && theirs[4] == test.passed()
                && quantities.iter().zip(1..).all(|(quantity, at)| number(*quantity, &theirs[at], relative))
        })
}

/// Whether a quantity is this number in this unit, as closely as asked.
fn number(quantity: obd2::Quantity, theirs: &Json, relative: f64) -> bool {
    let Some(number) = theirs["number"].as_f64() else {
        return false;
    };
    let ours = quantity.to_f64();
    theirs["unit"] == quantity.unit().pint() && (ours - number).abs() <= relative * ours.abs().max(1.0)
}

/// Why the two differ, if that is known.
fn reason(case: &Case, ours: Result<Value<'_>, DecodeError>, theirs: &Json) -> Option<Reason> {
    let value = &theirs["value"];
    let failed = theirs.get("error").is_some();
    let pid = case.command.pid().unwrap_or(0);
    if let Err(DecodeError::Short { .. }) = ours {
        return Some(Reason::ShortAnswer);
    }
    match (case.command.decoder, ours) {
        (Decoder::Text(_) | Decoder::Numbers, _) => Some(Reason::Text),
        (_, Ok(Value::Quantity(_))) if matches!(pid, 0x32 | 0x54) => Some(Reason::EvapPressure),
        (_, Ok(Value::Quantity(quantity))) if number(quantity, value, 1e-3) => Some(Reason::Rounding),
        (_, Ok(Value::Sensors(_))) => Some(Reason::SensorOrder),
        (_, Ok(Value::Flag(_))) if pid == 0x1E => Some(Reason::PowerTakeOff),
        (_, Ok(Value::Signals(_) | Value::Supported(_))) | (Decoder::Listed(14, _), _) if value.is_null() => {
            Some(Reason::NoValueThere)
        }
        (Decoder::Bit(_), _) if failed => Some(Reason::ReservedBit),
        (Decoder::Listed(..), Ok(Value::State(state))) if pid == 0x51 && state.raw > 0x17 => {
            Some(Reason::FuelText)
        }
        (_, Ok(Value::Code(None))) => Some(Reason::NoCode),
        (_, Ok(Value::Code(Some(code)))) => {
            let small = value["items"][0].as_str()?.eq_ignore_ascii_case(&code.to_string());
            small.then_some(Reason::SmallLetters)
        }
        (_, Ok(Value::Codes(codes))) => {
            if !case.data().len().is_multiple_of(2) {
                let theirs = value["items"].as_array()?.iter().map(|item| item["items"][0].as_str());
                let ours: Vec<_> = codes.iter().map(|code| code.to_string()).collect();
                let small = theirs.zip(&ours).all(|(a, b)| a.is_some_and(|a| a.eq_ignore_ascii_case(b)));
                return small.then_some(Reason::SmallLetters);
            }
            Some(Reason::CodeCount)
        }
        (_, Ok(Value::Supported(_))) if value["bits"].as_array()?.len() != 32 => Some(Reason::SupportBits),
        (_, Ok(Value::Supported(_))) if case.data().len() == 5 => Some(Reason::SupportBits),
        (_, Ok(Value::Tests(tests))) => {
            if same_tests(tests, value, 1e-3) {
                return Some(Reason::Rounding);
            }
            let whole = (case.data().len() + 1).is_multiple_of(9);
            let known = |test: obd2::Test| test.scaling().is_some();
            let once = |test: obd2::Test| tests.iter().filter(|other| other.tid == test.tid).count() == 1;
            let plain = whole && tests.iter().all(|test| known(test) && once(test));
            (!plain).then_some(Reason::Tests)
        }
        _ => None,
    }
}
