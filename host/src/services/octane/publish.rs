//! What the road tells by itself: a tenth of a second at a time, changes as they happen, and the rest by the clock.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::json;

use super::channel::Channel;
use super::events::{AnyState, Id, V2x};
use super::resource::{Kind, Resource};
use super::state::{Output, Publication, State, publication};
use super::view::{View, radio_number};
use crate::clock::Moment;
use crate::road::intersection::Intersection;
use crate::timeline::Written;

/// Beacons and pedestrians are told of every so many tenths of a second.
const BEACONS_EVERY: u64 = 2;
/// Intersections and radios are told of every so many tenths of a second, whether anything changed or not.
const INTERSECTIONS_EVERY: u64 = 10;

/// What has been told already.
#[derive(Debug, Default)]
pub struct Published {
    tenths: u64,
    /// The last state of each resource without its times, and whether it was stale.
    states: HashMap<(Kind, Id), (Option<AnyState>, bool)>,
    silent: HashSet<u32>,
    alerts: HashSet<usize>,
}

impl State {
    /// Lets the road go on until `now` and tells what is to be told.
    pub(super) fn publish(&mut self, now: Moment, outputs: &mut Vec<Output>) {
        let before = std::mem::replace(&mut self.published.tenths, self.road.advance(now));
        let tenths = self.published.tenths;
        if tenths == before {
            return;
        }
        // A late tick covers several tenths, and whatever was due within them.
        let is_due = |every: u64| tenths / every > before / every;
        let simulated = self.road.intersections.values().filter(|it| it.is_simulated());
        for id in simulated.map(|it| it.site.id).collect::<Vec<_>>() {
            self.publish_spat(id, outputs);
        }
        self.publish_vehicles(outputs);
        if is_due(BEACONS_EVERY) {
            self.publish_pedestrians(outputs);
            self.publish_beacons(outputs);
        }
        if is_due(INTERSECTIONS_EVERY) {
            self.mark_silent_reports(now, outputs);
            self.publish_v2x(outputs);
            if self.records.polling {
                self.publish_intersections(outputs);
            }
            self.mark_silent_intersections(outputs);
            self.publish_weather(outputs);
        }
        for kind in [
            Kind::Signal,
            Kind::Crosswalk,
            Kind::RailCrossing,
            Kind::Gate,
            Kind::Garage,
            Kind::Light,
            Kind::Sensor,
            Kind::Robot,
        ] {
            self.publish_changes(kind, outputs);
        }
    }

    fn publish_changes(&mut self, kind: Kind, outputs: &mut Vec<Output>) {
        let mut changed = Vec::new();
        for resource in (View { comparing: true, ..self.view() }).resources(kind) {
            let (key, told) = ((kind, resource.id.clone()), (resource.state, resource.stale));
            if self.published.states.get(&key) != Some(&told) {
                changed.push(resource.id);
                self.published.states.insert(key, told);
            }
        }
        if changed.is_empty() {
            return;
        }
        let resources = self.view().resources(kind).into_iter();
        outputs.extend(self.updates(kind, resources.filter(|it| changed.contains(&it.id))));
    }

    /// What resources are like; nothing of those whose source has not said anything yet.
    fn updates(
        &self,
        kind: Kind,
        resources: impl Iterator<Item = Resource<AnyState>>,
    ) -> impl Iterator<Item = Output> {
        resources.filter_map(move |it| Some(self.update(kind, it.id, it.state?, it.stale)))
    }

    fn publish_intersections(&self, outputs: &mut Vec<Output>) {
        let resources = self.view().resources(Kind::Intersection);
        outputs.extend(self.updates(Kind::Intersection, resources.into_iter()));
    }

    /// That a controller falls silent, and that it speaks again, is told to everybody on `facility` once.
    fn mark_silent_intersections(&mut self, outputs: &mut Vec<Output>) {
        let view = self.view();
        let silent = self.road.intersections.values().filter(|it| view.is_silent(it));
        let silent: HashSet<u32> = silent.map(|it| it.site.id).collect();
        let name =
            |id: &u32| self.road.intersections.get(id).map_or_else(String::new, |it| it.site.name.clone());
        for id in silent.difference(&self.published.silent) {
            let message = format!("Intersection {id} ({}) is silent: its controller sends nothing", name(id));
            outputs.push(self.notify(message, "NOTIFY"));
        }
        for id in self.published.silent.difference(&silent) {
            let message = format!("Intersection {id} ({}) speaks again", name(id));
            outputs.push(self.notify(message, "NOTIFY"));
        }
        self.published.silent = silent;
    }

    /// What an intersection shows, on the channels of its radio: of a simulated one ten times a second, of a real
    /// controller each time that it says something.
    pub(super) fn publish_spat(&self, id: u32, outputs: &mut Vec<Output>) {
        let (view, intersection) = (self.view(), self.road.intersections.get(&id));
        let Some(intersection) = intersection.filter(|_| !self.road.radios_off.contains(&id)) else { return };
        let name = &intersection.site.v2x;
        if let Some(channels) = self.rsu_listeners(intersection, "parsed")
            && let Some(spat) = view.spat(intersection)
        {
            outputs.push(telemetry(channels, "v2x_SPaT", name, spat));
        }
        if let Some(channels) = self.rsu_listeners(intersection, "raw")
            && let Some(raw) = view.spat_raw(intersection)
        {
            outputs.push(telemetry(channels, "v2x_raw", name, raw));
        }
    }

    fn is_on(&self, radio: &str) -> bool {
        radio_number(&self.road, radio).is_none_or(|number| !self.road.radios_off.contains(&number))
    }

    fn publish_vehicles(&self, outputs: &mut Vec<Output>) {
        for (vehicle, position) in self.road.vehicles().filter(|(it, _)| self.is_on(&it.id)) {
            if let Some(channels) = self.listeners("obu", &[&vehicle.id], "parsed") {
                let bsm = self.view().bsm(vehicle, position);
                outputs.push(telemetry(channels, "v2x_BSM", &vehicle.id, bsm));
            }
        }
    }

    fn publish_pedestrians(&self, outputs: &mut Vec<Output>) {
        for (at, (beacon, position)) in self.road.beacons().enumerate() {
            let psm = self.view().psm(at + 1, beacon, position);
            if self.is_on(&psm.id)
                && let Some(channels) = self.listeners("vru", &[&psm.id], "parsed")
            {
                outputs.push(telemetry(channels, "v2x_PSM", &psm.id.clone(), psm));
            }
        }
    }

    fn publish_v2x(&self, outputs: &mut Vec<Output>) {
        if self.has_subscribers(&Channel::known("v2x")) {
            let view = self.view();
            let heard = self.reported_radios().filter(|radio| !radio.stale);
            outputs.extend(view.radios().chain(heard).filter_map(|radio| self.radio_update(radio)));
        }
    }

    /// What a radio is like. The original knows no updates of pedestrians.
    pub(super) fn radio_update(&self, radio: V2x) -> Option<Output> {
        let (id, stale) = (radio.id.clone(), radio.stale);
        (radio.r#type != "VRU").then(|| self.update(Kind::V2x, id, radio, stale))
    }

    /// The channels of an intersection's radio that anybody has joined: it goes by its name and by its number.
    fn rsu_listeners(&self, intersection: &Intersection, form: &str) -> Option<Vec<Channel>> {
        self.listeners("rsu", &[&intersection.site.v2x, &intersection.site.id.to_string()], form)
    }

    /// The channels of a radio, known by these ids, that anybody has joined.
    fn listeners(&self, family: &str, ids: &[&str], form: &str) -> Option<Vec<Channel>> {
        let all = [format!("v2x_{family}_{form}")];
        let own = ids.iter().map(|id| format!("v2x_{family}_{id}_{form}"));
        let channels = all.into_iter().chain(own).filter_map(|name| Channel::parse(&name));
        let channels: Vec<_> = channels.filter(|channel| self.has_subscribers(channel)).collect();
        (!channels.is_empty()).then_some(channels)
    }

    fn publish_beacons(&self, outputs: &mut Vec<Output>) {
        let view = self.view();
        for (beacon, position) in self.road.beacons() {
            let state = view.beacon(beacon, position);
            outputs.push(self.update(Kind::Beacon, Id::Name(beacon.id.clone()), state, false));
        }
    }

    fn publish_weather(&mut self, outputs: &mut Vec<Output>) {
        let view = self.view();
        let raised: HashSet<usize> = self.road.alerts().map(|(number, ..)| number).collect();
        for (number, alert, onset) in self.road.alerts() {
            let alert = view.alert(number, alert, onset);
            if !self.published.alerts.contains(&number) {
                outputs.push(publication(&["weather"], "weather_alert", alert.clone(), None));
                let message = format!("{}: {}", alert.state.event, alert.description);
                outputs.push(self.notify(message, "WEATHER"));
                let update = json!({"id": alert.id, "serviced": view.now(), "state": alert.state});
                let signal = Some(format!("weather/{number}"));
                outputs.push(publication(&["weather"], "weather_alert_update", update, signal));
            }
        }
        self.published.alerts = raised;
    }
}

fn telemetry(
    channels: Vec<Channel>,
    event: &'static str,
    id: &str,
    data: impl Serialize + Send + Sync + 'static,
) -> Output {
    let (signal, data) = (Some(format!("{event}/{id}").into()), Written::later(data));
    Output::Publish(Publication { channels, except: None, event, data, signal, record: false })
}
