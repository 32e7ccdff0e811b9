//! What one control unit answered, in words for people.

use serde_json::Value;

use super::ask::words;
use crate::car::decode::Answer;

/// Each value with its name, or why there is none; `command` is the name of the answer as a whole.
pub(super) fn lines<'a>(command: &'a str, answer: &'a Answer) -> Vec<(&'a str, String)> {
    let name = answer.command.unwrap_or(command);
    let mut lines = Vec::new();
    if let Some(error) = &answer.error {
        let code = error.nrc.map(|code| format!(" (NRC {code:02X})")).unwrap_or_default();
        lines.push((name, format!("{}{code}", error.text)));
    }
    // Several values are shown one by one below.
    let several = answer.value.as_ref().is_some_and(Value::is_object) && !answer.signals.is_empty();
    match (&answer.value, &answer.data, &answer.text) {
        (Some(_), ..) if several => {}
        (Some(value), ..) => {
            lines.push((name, codes(value).unwrap_or_else(|| with_unit(value, answer.unit))));
        }
        (None, Some(data), Some(text)) => lines.push((name, format!("{data} \"{text}\""))),
        (None, Some(data), None) if data.is_empty() => lines.push((name, "done".to_owned())),
        (None, Some(data), None) => lines.push((name, data.clone())),
        (None, None, _) => {}
    }
    let alone = answer.signals.len() == 1 && answer.value.is_some();
    let there = |id: &String| !alone && !answer.unavailable.contains(id);
    for (id, value) in answer.signals.iter().filter(|(id, _)| there(id)) {
        lines.push((id, with_unit(value, answer.units.get(id).and_then(Value::as_str))));
    }
    if lines.is_empty() {
        lines.extend(answer.unavailable.iter().map(|id| (id.as_str(), "not available".to_owned())));
    }
    lines
}

fn with_unit(value: &Value, unit: Option<&str>) -> String {
    format!("{} {}", words(value), unit.unwrap_or_default()).trim_end().to_owned()
}

/// Trouble codes, one a line, with what UDS says of them.
fn codes(value: &Value) -> Option<String> {
    let codes = value.as_array()?;
    let mut text = format!("{} code(s)", codes.len());
    for code in codes {
        let word = |key: &str| code[key].as_str();
        let states = ["failing", "pending", "confirmed", "lamp"].into_iter();
        let states: Vec<_> = states.filter(|state| code[state] == true).collect();
        let states = if states.is_empty() { String::new() } else { format!(" ({})", states.join(", ")) };
        text.push_str(&format!("\n  {:<8} {}{states}", word("code")?, word("description")?));
    }
    Some(text).filter(|_| !codes.is_empty())
}
