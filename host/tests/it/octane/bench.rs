//! The service without a socket or a clock.

use std::time::Duration;

use cloverleaf::auth::Key;
use cloverleaf::clock::Moment;
use cloverleaf::road::Road;
use cloverleaf::road::facility::{BUILT_IN, Facility};
use cloverleaf::services::octane::keys::{Grant, Keys, Scopes};
use cloverleaf::services::octane::resource::Kind;
use cloverleaf::services::octane::state::{ClientId, Input, Output, Publication, Settings, State};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use serde_json::value::RawValue;

/// What is known of a key.
pub(super) fn grant(scopes: Scopes) -> Grant {
    Grant { name: "somebody".into(), scopes, from: None, until: None }
}

/// The keys of a few people.
fn keys(now: Timestamp) -> Keys {
    let mut keys = Keys::none(false);
    let device = Scopes { device: true, ..Scopes::default() };
    let soon = Some(now + SignedDuration::from_secs(10));
    for (key, grant) in [
        ("goodkey", grant(Scopes::USER)),
        ("devicekey", grant(device)),
        ("shortkey", Grant { until: soon, ..grant(Scopes::USER) }),
    ] {
        keys.issue(Key::new(key), grant, now).unwrap();
    }
    keys
}

/// A service that knows a few keys, and its clocks.
pub(super) struct Bench {
    pub(super) state: State,
    pub(super) now: Moment,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(super) fn with(settings: Settings) -> Self {
        let wall: Timestamp = "2024-05-06T12:00:00Z".parse().unwrap();
        let now = Moment { elapsed: Duration::ZERO, wall };
        let road = Road::new(Facility::parse(BUILT_IN).unwrap(), now);
        Self { state: State::new(settings, keys(wall), road), now }
    }

    /// Moves both clocks on.
    pub(super) fn later(&mut self, time: Duration) {
        self.now = Moment { elapsed: self.now.elapsed + time, wall: self.now.wall + time };
    }

    /// What is done, a line each: `emit 1 join {…}`, `join 1 user`, `publish user user_message {…}`, `ack`, `bye 1`.
    pub(super) fn lines(&mut self, outputs: Vec<Output>) -> Vec<String> {
        let mut lines = Vec::new();
        for output in outputs {
            match output {
                Output::Emit { client, event, data } => lines.push(format!("emit {client} {event} {data}")),
                Output::Acknowledge => lines.push("ack".into()),
                Output::Publish(Publication { channels, except, event, data, .. }) => {
                    let except = except.map_or_else(String::new, |client| format!(" but {client}"));
                    lines.push(format!("publish {channels:?}{except} {event} {}", data.json()));
                }
                Output::Join { client, channel } => lines.push(format!("join {client} {channel:?}")),
                Output::Leave { client, channel } => lines.push(format!("leave {client} {channel:?}")),
                Output::Disconnect { client } => lines.push(format!("bye {client}")),
                Output::Note { topic, value } => lines.push(format!("note {topic} {value}")),
            }
        }
        lines
    }

    pub(super) fn handle(&mut self, input: Input<'_>) -> Vec<Output> {
        self.state.handle(self.now, input)
    }

    pub(super) fn open(&mut self, client: ClientId, key: Option<&str>) -> Vec<String> {
        let outputs = self.handle(Input::Opened { client, key: key.map(str::to_owned) });
        self.lines(outputs)
    }

    pub(super) fn event(&mut self, client: ClientId, name: &str, data: &str) -> Vec<String> {
        let data = RawValue::from_string(data.to_owned()).unwrap();
        let outputs = self.handle(Input::Event { client, name, data: &data });
        self.lines(outputs)
    }

    /// A client that is in.
    pub(super) fn member(&mut self, client: ClientId) {
        self.open(client, Some("goodkey"));
    }

    /// Lets time pass at once, and keeps what is said to clients alone.
    pub(super) fn wait(&mut self, time: Duration) -> Vec<String> {
        self.later(time);
        let outputs = self.handle(Input::Tick);
        let lines = self.lines(outputs);
        lines.into_iter().filter(|line| line.starts_with("emit") || line.starts_with("bye")).collect()
    }

    /// Lets seconds pass, a tenth at a time, and keeps what is said on one event.
    pub(super) fn pass(&mut self, seconds: i64, event: &str) -> Vec<Value> {
        let mut said = Vec::new();
        for _ in 0..seconds * 10 {
            self.later(Duration::from_millis(100));
            for output in self.handle(Input::Tick) {
                if let Output::Publish(publication) = output
                    && publication.event == event
                {
                    said.push(serde_json::from_str(publication.data.json().get()).unwrap());
                }
            }
        }
        said
    }

    pub(super) fn control(&mut self, kind: Kind, id: &str, patch: &str) -> Result<Vec<String>, String> {
        let patch = RawValue::from_string(patch.to_owned()).unwrap();
        let outputs = self.state.control(kind, id, &patch).map_err(|error| error.to_string())?;
        Ok(self.lines(outputs))
    }
}
