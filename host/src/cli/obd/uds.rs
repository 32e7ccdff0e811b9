//! Requests that no table knows: data and trouble codes of UDS (services 22, 21 and 19), several PIDs at once, and
//! whatever else is asked.

use cloverleaf_core::bus::Message;
use cloverleaf_core::obd2::uds::{self, UdsDtc};
use cloverleaf_core::obd2::{self, DecodeError, reply};
use serde_json::{Map, Value, json};

use super::ask::{self, flat};
use super::{Failed, say};
use crate::car::Car;
use crate::car::descriptions::Descriptions;
use crate::car::signals::Request;
use crate::car::value::clean;

/// Asks, and prints what each control unit answers; what failed has been printed too.
pub(super) async fn ask(
    car: &Car,
    name: &str,
    request: &Request,
    json: bool,
) -> anyhow::Result<Option<Failed>> {
    let mut failed = None;
    let answers: Vec<(Option<String>, Result<Value, Failed>)> =
        match car.request(&request.data, request.target()).await {
            Ok(reply) => {
                let answered = reply.messages().map(|message| {
                    let data = answer(request, &message).map_err(|error| Failed::Answer(error.to_string()));
                    (Some(message.source.to_string()), data)
                });
                answered.collect()
            }
            Err(error) => vec![(None, Err(Failed::from(error)))],
        };
    for (ecu, answer) in answers {
        if json {
            let mut line = match &answer {
                Ok(answer) => answer.clone(),
                Err(error) => json!({ "error": error.to_string() }),
            };
            line["name"] = name.into();
            if let Some(ecu) = ecu {
                line["ecu"] = ecu.into();
            }
            say!("{line}")?;
        } else {
            let ecu = ecu.map(|ecu| format!(" {ecu}")).unwrap_or_default();
            match &answer {
                Ok(answer) => say!("{name}{ecu}: {}", words(answer))?,
                Err(error) => say!("{name}{ecu}: – ({error})")?,
            }
        }
        failed = failed.or(answer.err());
    }
    Ok(failed)
}

/// What a message says: its data in hexadecimal, and its text or trouble codes if it has such.
fn answer(request: &Request, message: &Message<'_>) -> Result<Value, DecodeError> {
    if let [0x01, _, _, ..] = request.data.as_slice() {
        return several(message);
    }
    let data = reply::payload(&request.data, message.data)?;
    let mut answer = json!({ "data": data.iter().map(|byte| format!("{byte:02X}")).collect::<String>() });
    if request.data.starts_with(&[0x19, 0x02]) {
        answer["codes"] = uds::codes(message.data)?.map(code).collect();
    } else if data.len() >= 4 && data.iter().all(|byte| (0x20..0x7F).contains(byte)) {
        answer["text"] = String::from_utf8_lossy(data).into();
    }
    Ok(answer)
}

/// The values in an answer to one request for several PIDs.
fn several(message: &Message<'_>) -> Result<Value, DecodeError> {
    let values = obd2::Split::new(0x01, *message)?.map(|(command, value)| {
        let value = match value {
            Ok(value) => flat(&clean(&value, Descriptions::composed())),
            Err(error) => json!({ "error": error.to_string() }),
        };
        (command.name.to_owned(), value)
    });
    Ok(json!({ "values": values.collect::<Map<_, _>>() }))
}

fn code(code: UdsDtc) -> Value {
    json!({
        "code": code.to_string(),
        "description": code.code.describe().to_string(),
        "failing": code.is_failing(),
        "pending": code.is_pending(),
        "confirmed": code.is_confirmed(),
        "lamp": code.lights_lamp(),
    })
}

fn words(answer: &Value) -> String {
    if let Some(values) = answer.get("values") {
        return ask::words(values);
    }
    let data = answer["data"].as_str().unwrap_or_default();
    if let Some(text) = answer["text"].as_str() {
        return format!("{data} \"{text}\"");
    }
    let Some(codes) = answer["codes"].as_array() else {
        return if data.is_empty() { "done".into() } else { data.into() };
    };
    let one = |code: &Value| {
        let states = ["failing", "pending", "confirmed", "lamp"].into_iter();
        let states: Vec<_> = states.filter(|state| code[state] == true).collect();
        let text = |key: &str| code[key].as_str().unwrap_or_default().to_owned();
        format!("\n  {:<8} {} ({})", text("code"), text("description"), states.join(", "))
    };
    match codes.len() {
        0 => "no codes".into(),
        count => codes.iter().map(one).fold(format!("{count} code(s)"), |all, one| all + &one),
    }
}
