//! What clients report: beacons and radios that only they know of.

use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::messages::id_in;
use super::{Output, Publication, State, publication, raw};
use crate::clock::Moment;
use crate::services::octane::channel::Channel;
use crate::services::octane::events::{Id, MovingRadio, V2x};
use crate::services::octane::resource::{ControlError, parse};
use crate::services::octane::view;

/// How many beacons, and how many radios, that only clients know of are remembered; the one unheard for longest is
/// forgotten.
pub const MAX_REPORTED: usize = 1024;

/// How long the report of a beacon may be, in bytes: the last one of each is kept.
pub const MAX_REPORT: usize = 16_384;

/// How long the id of a beacon or radio may be that only clients know of, in bytes.
pub const MAX_ID: usize = 64;

/// How long a beacon that a client reports may be silent before it is marked: they report five times a second.
const BEACON_SILENT_AFTER: Duration = Duration::from_secs(5);

/// A beacon that a client reports.
#[derive(Debug)]
pub(super) struct ReportedBeacon {
    state: Value,
    /// When, by [`Moment::elapsed`].
    heard: Duration,
    stale: bool,
}

/// A radio that a client sends for.
#[derive(Debug)]
pub(super) struct ReportedRadio {
    state: MovingRadio,
    /// When, by [`Moment::elapsed`].
    heard: Duration,
    stale: bool,
}

/// A message that a radio is to send.
struct Transmission<'a> {
    /// The id of its radio; empty when it does not say.
    id: String,
    /// Whether it is as it was on the air.
    is_raw: bool,
    state: MovingRadio,
    payload: &'a RawValue,
}

/// Whose radio a message is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Radio {
    /// A vehicle's.
    Vehicle,
    /// A pedestrian's.
    Pedestrian,
}

impl Radio {
    /// Its family, as it is written in the names of channels.
    pub fn family(self) -> &'static str {
        match self {
            Self::Vehicle => "obu",
            Self::Pedestrian => "vru",
        }
    }
}

impl State {
    /// A client, or REST, reports where a beacon is.
    ///
    /// # Errors
    /// [`ControlError::Malformed`] when the id is too long or that of a beacon of the facility, the report is too long,
    /// or what moves is not told of in numbers; nobody hears anything then.
    pub fn report_beacon(&mut self, now: Moment, id: &str, mut state: Value) -> Result<Output, ControlError> {
        check_id(id)?;
        if self.road.facility.beacons.iter().any(|beacon| beacon.id == id) {
            return Err(ControlError::Malformed(format!("id {id} is that of a beacon of the facility")));
        }
        if raw(&state).get().len() > MAX_REPORT {
            let message = format!("a report of a beacon has {MAX_REPORT} bytes at most");
            return Err(ControlError::Malformed(message));
        }
        let date = json!(self.view().date(now.wall));
        match state.get_mut("dynamics") {
            None => {}
            Some(Value::Object(dynamics)) => {
                for name in ["longitude", "latitude", "heading", "velocity", "acceleration", "elevation"] {
                    number(dynamics, name)?;
                }
                match dynamics.get("updated") {
                    // Readers drop what is older than half a second: a report without a date is as old as its arrival.
                    None | Some(Value::Null) => {
                        dynamics.insert("updated".into(), date.clone());
                    }
                    Some(Value::String(_)) => {}
                    Some(_) => return Err(ControlError::Malformed("updated is a date, as text".into())),
                }
            }
            Some(_) => return Err(ControlError::Malformed("dynamics is an object".into())),
        }
        if !self.reported_beacons.contains_key(id) && self.reported_beacons.len() >= MAX_REPORTED {
            let oldest = self
                .reported_beacons
                .iter()
                .min_by_key(|(_, reported)| reported.heard)
                .map(|(id, _)| id.clone());
            oldest.map(|id| self.reported_beacons.remove(&id));
        }
        self.reported_beacons
            .insert(id.to_owned(), ReportedBeacon { state: state.clone(), heard: now.elapsed, stale: false });
        let update = json!({"id": id, "serviced": date, "state": state});
        Ok(publication(&["beacon"], "beacon_update", update, Some(format!("beacon/{id}"))))
    }

    /// A report of a beacon that changes only some of what was reported before.
    ///
    /// # Errors
    /// [`ControlError`], when nobody reports such a beacon, or as [`report_beacon`](Self::report_beacon).
    pub(super) fn amend_beacon(
        &mut self,
        now: Moment,
        id: &str,
        changes: Map<String, Value>,
    ) -> Result<Output, ControlError> {
        let unknown = || ControlError::Unknown("reported beacon", id.to_owned());
        let mut state = self.reported_beacons.get(id).ok_or_else(unknown)?.state.clone();
        // The date of what was reported before is not that of the change.
        if changes.contains_key("dynamics")
            && let Some(dynamics) = state.get_mut("dynamics").and_then(Value::as_object_mut)
        {
            dynamics.remove("updated");
        }
        merge(&mut state, Value::Object(changes));
        self.report_beacon(now, id, state)
    }

    /// Forgets a beacon that clients reported; answers what it was.
    pub fn forget_beacon(&mut self, id: &str) -> Option<Value> {
        self.reported_beacons.remove(id).map(|reported| reported_beacon(id, &reported))
    }

    /// Whether a beacon is one that clients report.
    pub(super) fn is_reported(&self, id: &str) -> bool {
        self.reported_beacons.contains_key(id)
    }

    pub(super) fn reported_beacons(&self) -> impl Iterator<Item = Value> {
        self.reported_beacons.iter().map(|(id, reported)| reported_beacon(id, reported))
    }

    /// A client, or REST, has radios send messages through one beside the road: everybody who listens to such radios
    /// hears them. All are sent, or none.
    ///
    /// # Errors
    /// [`ControlError::Disabled`] when the radio beside the road is switched off, [`ControlError::Malformed`] when an id is
    /// too long or a figure is not a number; nobody hears anything then.
    pub fn transmit(
        &mut self,
        now: Moment,
        rsu: &str,
        kind: Radio,
        payloads: &[&RawValue],
    ) -> Result<Vec<Output>, ControlError> {
        let through = view::rsu(&self.road, rsu).map(|it| it.site.id);
        if through.is_some_and(|number| self.road.radios_off.contains(&number)) {
            return Err(ControlError::Disabled("rsu", rsu.to_owned()));
        }
        let messages: Result<Vec<_>, _> = payloads.iter().map(|it| self.transmission(now, it)).collect();
        Ok(messages?.into_iter().flat_map(|message| self.send(now, kind, message)).collect())
    }

    fn transmission<'a>(&self, now: Moment, payload: &'a RawValue) -> Result<Transmission<'a>, ControlError> {
        let value: Map<String, Value> = parse(payload.get())?;
        let id = id_in(&value, &["id"])?;
        if !id.is_empty() {
            check_id(&id)?;
        }
        let is_raw = value.get("data").is_some_and(Value::is_string) && value.get("latitude").is_none();
        Ok(Transmission { id, is_raw, state: self.movement(now, &value)?, payload })
    }

    fn send(&mut self, now: Moment, kind: Radio, message: Transmission<'_>) -> Vec<Output> {
        let Transmission { id, is_raw, state, payload } = message;
        let (form, event) = match (is_raw, kind) {
            (true, _) => ("raw", "v2x_raw"),
            (false, Radio::Vehicle) => ("parsed", "v2x_BSM"),
            (false, Radio::Pedestrian) => ("parsed", "v2x_PSM"),
        };
        let family = kind.family();
        let channels = [format!("v2x_{family}_{form}"), format!("v2x_{family}_{id}_{form}")];
        let is_known = !id.is_empty();
        let sent = Output::Publish(Publication {
            channels: channels.iter().filter_map(|name| Channel::parse(name)).collect(),
            except: None,
            event,
            data: payload.to_owned().into(),
            // Without an id nobody can tell whose value a newer one would replace.
            signal: is_known.then(|| format!("{event}/{family}/{id}").into()),
            record: false,
        });
        let new = (is_known && !is_raw).then(|| self.remember_radio(now, kind, id, state)).flatten();
        new.into_iter().chain([sent]).collect()
    }

    /// What a message says about where its radio is; 0 where it says nothing.
    fn movement(&self, now: Moment, message: &Map<String, Value>) -> Result<MovingRadio, ControlError> {
        Ok(MovingRadio {
            enabled: true,
            updated: self.view().date(now.wall),
            longitude: number(message, "longitude")?,
            latitude: number(message, "latitude")?,
            elevation: number(message, "elevation")?,
            speed: number(message, "speed")?,
            heading: number(message, "heading")?,
            angle: number(message, "angle")?,
        })
    }

    /// Remembers where a radio is that only a client knows of; the first time everybody on `v2x` hears of it.
    fn remember_radio(&mut self, now: Moment, kind: Radio, id: String, state: MovingRadio) -> Option<Output> {
        let key = (kind, id);
        let is_new = !self.reported_radios.contains_key(&key);
        if is_new && self.reported_radios.len() >= MAX_REPORTED {
            let oldest =
                self.reported_radios.iter().min_by_key(|(_, it)| it.heard).map(|(key, _)| key.clone());
            oldest.map(|key| self.reported_radios.remove(&key));
        }
        let reported = ReportedRadio { state, heard: now.elapsed, stale: false };
        let radio = is_new.then(|| self.reported_radio(&key, &reported));
        self.reported_radios.insert(key, reported);
        radio.map(|radio| publication(&["v2x"], "v2x_new", radio, None))
    }

    pub(in crate::services::octane) fn reported_radios(&self) -> impl Iterator<Item = V2x> {
        self.reported_radios.iter().map(|(key, reported)| self.reported_radio(key, reported))
    }

    fn reported_radio(&self, (kind, name): &(Radio, String), reported: &ReportedRadio) -> V2x {
        let id =
            u32::from_str_radix(name, 16).map_or_else(|_| Id::Name(name.clone()), |id| self.view().id(id));
        V2x { stale: reported.stale, ..self.view().moving_radio(*kind, id, name, reported.state.clone()) }
    }

    /// Beacons and radios whose clients report nothing any more are told of once more, as they were and marked, and then
    /// no longer.
    pub(in crate::services::octane) fn mark_silent_reports(
        &mut self,
        now: Moment,
        outputs: &mut Vec<Output>,
    ) {
        let is_silent = |heard: Duration, after: Duration| now.elapsed.saturating_sub(heard) > after;
        let serviced = json!(self.view().now());
        for (id, reported) in &mut self.reported_beacons {
            if !reported.stale && is_silent(reported.heard, BEACON_SILENT_AFTER) {
                reported.stale = true;
                let update = json!({"id": id, "serviced": serviced, "state": reported.state, "stale": true});
                let signal = Some(format!("beacon/{id}"));
                outputs.push(publication(&["beacon"], "beacon_update", update, signal));
            }
        }
        let mut fallen = Vec::new();
        for (key, reported) in &mut self.reported_radios {
            if !reported.stale && is_silent(reported.heard, self.settings.silent_after) {
                reported.stale = true;
                fallen.push(key.clone());
            }
        }
        if self.has_subscribers(&Channel::known("v2x")) {
            let radios = fallen
                .iter()
                .filter_map(|key| Some(self.reported_radio(key, self.reported_radios.get(key)?)));
            outputs.extend(radios.filter_map(|radio| self.radio_update(radio)));
        }
    }
}

fn reported_beacon(id: &str, reported: &ReportedBeacon) -> Value {
    let uri = format!("/api/beacon/{id}");
    let mut item = json!({"id": id, "name": id, "uri": uri, "url": uri, "state": reported.state});
    if reported.stale {
        item["stale"] = json!(true);
    }
    item
}

/// Puts changes into a value: those of objects field by field, at every depth.
fn merge(value: &mut Value, changes: Value) {
    match (value, changes) {
        (Value::Object(fields), Value::Object(changes)) => {
            for (name, change) in changes {
                merge(fields.entry(name).or_insert(Value::Null), change);
            }
        }
        (value, change) => *value = change,
    }
}

/// Ids that only clients know of are remembered, and are names of signals.
fn check_id(id: &str) -> Result<(), ControlError> {
    if (1..=MAX_ID).contains(&id.len()) {
        return Ok(());
    }
    Err(ControlError::Malformed(format!("id is 1 to {MAX_ID} bytes")))
}

/// The number of this name; 0 when there is none.
fn number(value: &Map<String, Value>, name: &str) -> Result<f64, ControlError> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(0.0),
        Some(it) => it.as_f64().ok_or_else(|| ControlError::Malformed(format!("{name} is a number"))),
    }
}
