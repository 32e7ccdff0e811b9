//! What is asked of resources, and what everybody hears of it.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Output, State, publication, value};
use crate::services::octane::events::{Facility, Id, Update};
use crate::services::octane::keys::Grant;
use crate::services::octane::resource::{self, ControlError, Kind, Patch};

impl State {
    /// Does what is asked under a number, and remembers how it went.
    ///
    /// # Errors
    /// What `work` says; nobody hears anything then.
    pub fn request(
        &mut self,
        number: String,
        by: &Grant,
        kind: &'static str,
        work: impl FnOnce(&mut Self) -> Result<Vec<Output>, ControlError>,
    ) -> Result<Vec<Output>, ControlError> {
        let done = work(self);
        let failure = done.as_ref().err().map(ToString::to_string);
        self.records.log(number, by, kind, self.view().now(), failure);
        done
    }

    /// Does what the same `PATCH` asks of every resource of a kind, each under a number of its own: of all or of none.
    /// Those that are only listened to are left out.
    ///
    /// # Errors
    /// What the first of them refuses; that is remembered under one number, nothing has been changed, and nobody hears
    /// anything.
    pub fn control_all(
        &mut self,
        kind: Kind,
        new_number: impl Fn() -> String,
        by: &Grant,
        patch: &RawValue,
    ) -> Result<(Vec<String>, Vec<Output>), ControlError> {
        let (mut trial, mut obeying) = (self.road.clone(), Vec::new());
        for id in self.items(kind).iter().filter_map(resource::id_of) {
            match resource::control(&mut trial, kind, &id.to_string(), patch) {
                Ok(()) => obeying.push((id.to_string(), new_number())),
                Err(ControlError::ReadOnly(_)) => {}
                Err(error) => {
                    let refused = self.request(new_number(), by, kind.name(), |_| Err(error));
                    return refused.map(|outputs| (Vec::new(), outputs));
                }
            }
        }
        let mut outputs = Vec::new();
        for (id, number) in &obeying {
            outputs.extend(self.request(number.clone(), by, kind.name(), |it| it.control(kind, id, patch))?);
        }
        Ok((obeying.into_iter().map(|(_, number)| number).collect(), outputs))
    }

    /// Does what a `PATCH` of a resource asks; everybody on its channel hears of the request and of the new state.
    ///
    /// # Errors
    /// [`ControlError`]; nobody hears anything then.
    pub fn control(&mut self, kind: Kind, id: &str, patch: &RawValue) -> Result<Vec<Output>, ControlError> {
        if kind == Kind::Beacon && self.is_reported(id) {
            let patch: Patch<Map<String, Value>> = resource::parse(patch.get())?;
            return Ok(vec![self.amend_beacon(self.road.now(), id, patch.state)?]);
        }
        if self.item(kind, id).is_none() {
            return Err(ControlError::Unknown(kind.name(), id.to_owned()));
        }
        resource::control(&mut self.road, kind, id, patch)?;
        Ok(self.requested(kind, id, patch))
    }

    /// Gives an intersection to one of its preemptions, or takes it back.
    ///
    /// # Errors
    /// [`ControlError`]; nobody hears anything then.
    pub fn preempt(&mut self, id: &str, number: &str, patch: &RawValue) -> Result<Vec<Output>, ControlError> {
        resource::preempt(&mut self.road, id, number, patch)?;
        Ok(self.requested(Kind::Intersection, id, patch))
    }

    /// Puts everything that can be controlled back to how it was; the changes are told of as they happen.
    pub fn reset_facility(&mut self) -> Vec<Output> {
        self.road.reset();
        let facility = self.view().facility();
        let said = |event| publication(&["facility"], event, facility.clone(), None);
        vec![said("facility_request"), said("facility_update")]
    }

    /// What a device calls back with, for the timeline.
    pub fn called_back(&self, device: &str, event: &str, data: &Value) -> Output {
        Output::Note { topic: format!("device/{device}/{event}"), value: data.clone() }
    }

    /// The facility, as it is described on the wire.
    pub fn facility(&self) -> Facility {
        self.view().facility()
    }

    /// The `*_update` of a resource.
    pub(in crate::services::octane) fn update<S: Serialize + Send + Sync + 'static>(
        &self,
        kind: Kind,
        id: Id,
        state: S,
        stale: bool,
    ) -> Output {
        let signal = Some(format!("{}/{id}", kind.name()));
        let update = Update { id, serviced: self.view().now(), state, stale };
        publication(&[kind.name()], kind.update(), update, signal)
    }

    /// What everybody hears after a request: the resource with what was asked of it, then with what it is like.
    fn requested(&mut self, kind: Kind, id: &str, patch: &RawValue) -> Vec<Output> {
        let Some(item) = self.item(kind, id) else { return Vec::new() };
        let asked: Value = serde_json::from_str(patch.get()).unwrap_or_default();
        let mut request = item.clone();
        if let (Some(Value::Object(state)), Some(Value::Object(asked))) =
            (request.get_mut("state"), asked.get("state"))
        {
            state.extend(asked.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        let mut outputs = vec![publication(&[kind.name()], kind.request(), request, None)];
        let stale = item.get("stale").is_some();
        // A radio's update carries all of it, as the original's does.
        let state = if kind == Kind::V2x { item.clone() } else { item["state"].clone() };
        if let Some(id) = resource::id_of(&item).filter(|_| !state.is_null()) {
            outputs.push(self.update(kind, id, state, stale));
        }
        outputs
    }

    /// The dates of a key and whose it is, as a session.
    pub fn session_of(&self, grant: &Grant) -> Value {
        let date = |at: Option<Timestamp>| at.map(|at| self.view().date(at));
        value(&crate::services::octane::events::Session {
            email: grant.name.to_string(),
            session_type: grant.scopes.name(),
            date_valid: date(grant.from),
            date_expire: date(grant.until),
            facilities: [self.road.facility.name.clone()],
        })
    }
}
