//! Requests that no table knows: data and trouble codes of UDS (services 22, 21 and 19), several PIDs at once, and
//! whatever else is asked.

use serde_json::json;

use super::{Failed, answer, say};
use crate::car::Car;
use crate::car::decode::{Answer, Reader};
use crate::car::signals::{Request, Signals};

/// Asks, and prints what each control unit answers; what failed has been printed too.
pub(super) async fn ask(
    car: &Car,
    name: &str,
    request: &Request,
    json: bool,
) -> anyhow::Result<Option<Failed>> {
    let none = Signals::default();
    let reader = Reader::new(car.signals().unwrap_or(&none), car.descriptions());
    let answers = match car.request(&request.data, request.target()).await {
        Ok(reply) => reader.answers(request, car.year(), reply.messages()),
        Err(error) => return print_failure(name, Failed::from(error), json).map(Some),
    };
    if answers.is_empty() {
        let stray = Failed::Answer("what came answers something else".into());
        return print_failure(name, stray, json).map(Some);
    }
    let mut failed = None;
    for answer in answers {
        print(name, &answer, json)?;
        failed = failed.or(answer.error.map(|error| Failed::Answer(error.text)));
    }
    Ok(failed)
}

fn print(name: &str, answer: &Answer, json: bool) -> anyhow::Result<()> {
    if json {
        let mut line = serde_json::to_value(answer)?;
        line["name"] = name.into();
        if let Some(error) = &answer.error {
            line["error"] = error.text.as_str().into();
        }
        return Ok(say!("{line}")?);
    }
    let ecu = answer.ecu.as_ref().map(|ecu| format!(" {ecu}")).unwrap_or_default();
    for (name, text) in answer::lines(name, answer) {
        match answer.error {
            Some(_) => say!("{name}{ecu}: – ({text})")?,
            None => say!("{name}{ecu}: {text}")?,
        }
    }
    Ok(())
}

fn print_failure(name: &str, failed: Failed, json: bool) -> anyhow::Result<Failed> {
    if json {
        say!("{}", json!({ "name": name, "error": failed.to_string() }))?;
    } else {
        say!("{name}: – ({failed})")?;
    }
    Ok(failed)
}
