//! Measurements and studies as they are told of.

use serde_json::{Map, Value, json};

use super::call::{Call, Refusal, invalid};
use super::measurement::Measurement;
use crate::services::dfx::events::{Listed, Retrieved, Series, Summary};

/// What each signal is: its name here, name, unit, category and description.
const SIGNALS: [[&str; 5]; 2] = [
    ["HR_BPM", "Heart rate", "bpm", "Vitals", "Beats of the heart in a minute"],
    ["SNR", "Signal-to-noise ratio", "dB", "Quality", "How clear the pulse is in the signal"],
];

/// How many measurements a list has if nothing is asked for, and at most.
const LIMIT: usize = 50;

/// A measurement with all its results: for each signal the values of all chunks.
pub(super) fn retrieved(measurement: &Measurement) -> Retrieved {
    let resolution = measurement.create.resolution;
    let mut told = Retrieved { summary: measurement.summary(), resolution, ..Retrieved::default() };
    for outcome in measurement.outcomes() {
        for (name, channel) in &outcome.channels {
            let [series] = told.results.entry(name.clone()).or_insert_with(|| {
                let (channel, multiplier) = (name.clone(), outcome.multiplier);
                [Series { channel, multiplier, data: Vec::new() }]
            });
            series.data.extend(&channel.data);
        }
    }
    for [id, name, unit, category, description] in SIGNALS {
        if told.results.contains_key(id) {
            told.signal_names.insert(id.into(), name.into());
            told.signal_units.insert(id.into(), unit.into());
            told.signal_descriptions.insert(id.into(), description.into());
            told.signal_config.insert(id.into(), json!({ "category": category }));
        }
    }
    told
}

/// Which measurements are asked for. Clients differ in how they write the names.
#[derive(Debug, Default)]
pub(super) struct Filter {
    limit: Option<usize>,
    offset: Option<usize>,
    /// What must be equal: the name, in lower case, and the value.
    equal: Vec<(String, String)>,
}

impl Filter {
    /// From what follows the path, or over WebSocket from `Query` and `Params`.
    pub(super) fn of(call: &Call<'_>) -> Result<Self, Refusal> {
        let mut asked = call.query.clone();
        if call.from.is_some() {
            let body = call.json()?;
            let members = ["Query", "Params"].iter().filter_map(|key| body[*key].as_object()).flatten();
            asked.extend(members.map(|(key, value)| (key.clone(), text(value))));
        }
        let mut filter = Self::default();
        for (key, value) in asked.into_iter().filter(|(_, value)| !value.is_empty()) {
            let number = || {
                let number = value.parse::<usize>();
                number.map_err(|_| invalid("The query is not valid", &key, "a whole number".into()))
            };
            match key.to_ascii_lowercase().as_str() {
                "limit" => filter.limit = Some(number()?),
                "offset" => filter.offset = Some(number()?),
                name => filter.equal.push((name.to_owned(), value)),
            }
        }
        Ok(filter)
    }

    /// Those that match, the newest first.
    pub(super) fn apply<'m>(&self, newest: impl Iterator<Item = &'m Measurement>) -> Vec<Listed> {
        let all: Vec<_> = newest.map(Measurement::summary).filter(|summary| self.matches(summary)).collect();
        let total_count = all.len();
        let some =
            all.into_iter().skip(self.offset.unwrap_or(0)).take(self.limit.unwrap_or(LIMIT).min(LIMIT));
        some.map(|summary| Listed { summary, total_count }).collect()
    }

    /// Names that are not known here (dates, sorting) do not choose.
    fn matches(&self, summary: &Summary) -> bool {
        if self.equal.is_empty() {
            return true;
        }
        let summary = json!(summary);
        let none = Map::new();
        let summary = summary.as_object().unwrap_or(&none);
        self.equal.iter().all(|(name, wanted)| {
            let found = summary.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.is_none_or(|(_, value)| text(value).eq_ignore_ascii_case(wanted))
        })
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

pub(super) fn study(id: &str) -> Value {
    json!({ "ID": id, "Name": "Simulated", "Description": "Heart rate", "StatusID": "ACTIVE", "Config": {} })
}
