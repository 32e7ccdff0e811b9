//! A command's way as the timeline shows it.

use serde::{Serialize, Serializer};

use super::super::events::{Reason, Text, Times, decode, reason};
use super::super::state::Record;

/// Characters of a command that are shown.
const SHOWN: usize = 200;

/// What is published of a command that is over.
pub(super) struct CommandRecord(pub(super) Box<Record>);

impl Serialize for CommandRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            monitor_id: &'a str,
            command: Text,
            outcome: &'static str,
            reason: Reason,
            times: Times,
        }
        let record = &self.0;
        let reason = match &record.failed {
            None => Reason::Ours(reason::COMMAND_FINISH),
            Some(Reason::Monitors(text)) => Reason::Monitors(shown(text)),
            Some(ours) => ours.clone(),
        };
        let shown = Shown {
            monitor_id: record.monitor_id.as_str(),
            command: shown(&record.command),
            outcome: if record.failed.is_none() { "done" } else { "failed" },
            reason,
            times: record.times,
        };
        shown.serialize(serializer)
    }
}

/// A text of users for the timeline: not too long, and without half characters.
fn shown(text: &Text) -> Text {
    let json = text.0.get();
    if json.len() <= SHOWN && !json.contains('\\') {
        return text.clone();
    }
    let short: String = decode(&text.0).chars().take(SHOWN).collect();
    serde_json::value::to_raw_value(&short).map_or_else(|_| text.clone(), |json| Text(json.into()))
}
