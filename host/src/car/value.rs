//! Values as Cloverleaf's own surfaces show them: a VIN is text, a trouble code is `P0133`, a unit is a symbol.

use cloverleaf_core::obd2::{Dtc, Reading, Status, Test, Value};
use serde_json::{Map, json};

use super::descriptions::Descriptions;
use crate::timeline;

/// A decoded value for the timeline, the dashboard and the command line.
pub fn to_timeline(value: &Value<'_>, descriptions: &Descriptions) -> timeline::Value {
    use timeline::Value as Shown;
    match value {
        Value::Quantity(quantity) => {
            Shown::Quantity { value: quantity.to_f64(), unit: quantity.unit().symbol() }
        }
        Value::Flag(flag) => Shown::Bool(*flag),
        Value::State(state) => Shown::Text(state.to_string()),
        Value::FuelSystems(systems) => {
            let present = systems.iter().filter(|system| system.raw != 0);
            Shown::Json(present.map(ToString::to_string).collect())
        }
        Value::Sensors(sensors) => {
            Shown::Json(sensors.iter().map(|(bank, sensor)| format!("B{bank}S{sensor}")).collect())
        }
        Value::Supported(supported) => {
            Shown::Json(supported.identifiers().map(|id| format!("{id:02X}")).collect())
        }
        Value::Status(status) => Shown::Json(readiness(*status)),
        Value::Code(None) => Shown::Json(serde_json::Value::Null),
        Value::Code(Some(code)) => Shown::Text(code.to_string()),
        Value::Codes(codes) => Shown::Json(codes.iter().map(|code| described(code, descriptions)).collect()),
        Value::Tests(tests) => Shown::Json(tests.iter().map(|test| result(&test)).collect()),
        Value::Text(text) => {
            let mut texts: Vec<_> =
                text.iter().map(|text| String::from_utf8_lossy(text).replace('\0', "")).collect();
            if texts.len() == 1 { Shown::Text(texts.remove(0)) } else { Shown::Json(json!(texts)) }
        }
        Value::Numbers(numbers) => Shown::Text(numbers.to_string()),
        Value::Signals(signals) => {
            let present = signals.iter().filter_map(|(signal, reading)| Some((signal, reading?)));
            let signals: Map<_, _> =
                present.map(|(signal, reading)| (signal.id.to_owned(), signal_value(&reading))).collect();
            Shown::Json(signals.into())
        }
        Value::Done => Shown::Bool(true),
        other => Shown::Text(other.to_string()),
    }
}

/// A code in words.
pub fn described(code: Dtc, descriptions: &Descriptions) -> serde_json::Value {
    json!({ "code": code.to_string(), "description": descriptions.of(code) })
}

fn signal_value(reading: &Reading) -> serde_json::Value {
    match reading {
        Reading::Quantity(quantity) => {
            json!({ "value": quantity.to_f64(), "unit": quantity.unit().symbol() })
        }
        Reading::Flag(flag) => json!(flag),
        Reading::State(state) => json!(state.to_string()),
    }
}

fn readiness(status: Status) -> serde_json::Value {
    let available = status.tests().filter(|test| test.available);
    let tests: Map<_, _> = available
        .map(|test| (test.name.to_owned(), if test.complete { "complete" } else { "incomplete" }.into()))
        .collect();
    json!({
        "mil": status.mil(),
        "codes": status.dtc_count(),
        "ignition": status.ignition().text(),
        "ready": status.is_ready(),
        "tests": tests,
    })
}

fn result(test: &Test) -> serde_json::Value {
    let numbers = match test.quantities() {
        Some(quantities) => quantities.map(|quantity| quantity.to_f64()),
        None => [test.value, test.min, test.max].map(f64::from),
    };
    let [value, min, max] = numbers;
    json!({
        "mid": format!("{:02X}", test.mid),
        "tid": format!("{:02X}", test.tid),
        "name": test.name().map(|(name, _)| name),
        "value": value,
        "min": min,
        "max": max,
        "unit": test.scaling().map_or("", |scaling| scaling.unit().symbol()),
        "passed": test.passed(),
    })
}

#[cfg(test)]
mod tests {
    use cloverleaf_core::bus::{Address, Message};
    use cloverleaf_core::obd2::{Command, decode};

    use super::*;

    #[test]
    fn every_kind_of_value_is_clean_json() {
        for (name, data, expected) in [
            ("RPM", "41 0C 17 70", r#"{"value":1500.0,"unit":"rpm"}"#),
            ("FUEL_STATUS", "41 03 01 00", r#"["Open loop due to insufficient engine temperature"]"#),
            ("O2_SENSORS", "41 13 03", r#"["B1S1","B1S2"]"#),
            ("FREEZE_DTC", "41 02 00 00", "null"),
            ("FREEZE_DTC", "41 02 01 33", r#""P0133""#),
            ("VIN", "49 02 01 31 43 4C 56 52 4C 45 41 33 54 4D 30 30 30 30 34 32", r#""1CLVRLEA3TM000042""#),
            ("CVN", "49 06 01 17 91 BC 82", r#""1791BC82""#),
            (
                "GET_DTC",
                "43 01 01 33",
                r#"[{"code":"P0133","description":"Powertrain, SAE: oxygen sensor, bank 1, sensor 1, slow"}]"#,
            ),
            (
                "MONITOR_CATALYST_B1",
                "46 21 80 20 00 60 00 00 01 00",
                concat!(
                    r#"[{"max":1.0,"mid":"21","min":0.0,"name":null,"passed":true,"#,
                    r#""tid":"80","unit":"","value":0.375}]"#
                ),
            ),
        ] {
            let data: Vec<u8> =
                data.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("hex")).collect();
            let command = Command::named(name).expect("a command");
            let value = decode(command, Message { source: Address(0x7E8), data: &data }).expect("a value");
            assert_eq!(
                serde_json::to_string(&to_timeline(&value, Descriptions::composed())).unwrap(),
                expected,
                "{name}"
            );
        }
    }
}
