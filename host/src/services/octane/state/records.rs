//! What users keep on the server: favourites, scenarios, and how their requests went. In memory, and bounded.

use std::collections::{BTreeMap, VecDeque};

use crate::services::octane::events::{
    Date, Favorite, Job, NewFavorite, ScenarioChanges, ScenarioFields, UserScenario,
};
use crate::services::octane::keys::Grant;
use crate::services::octane::resource::ControlError;

/// How many favourites are kept; one more is refused.
pub const MAX_FAVORITES: usize = 256;
/// How many scenarios are kept; one more is refused.
pub const MAX_SCENARIOS: usize = 256;
/// How many requests are remembered; the oldest is forgotten.
pub const MAX_JOBS: usize = 1024;

/// All of it.
#[derive(Debug)]
pub struct Records {
    favorites: BTreeMap<u32, Favorite>,
    scenarios: BTreeMap<u32, UserScenario>,
    jobs: VecDeque<(String, Job)>,
    last: u32,
    /// Whether intersections are told of once a second.
    pub polling: bool,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            favorites: BTreeMap::new(),
            scenarios: BTreeMap::new(),
            jobs: VecDeque::new(),
            last: 0,
            polling: true,
        }
    }
}

impl Records {
    /// Every favourite.
    pub fn favorites(&self) -> Vec<&Favorite> {
        self.favorites.values().collect()
    }

    /// Adds a favourite.
    ///
    /// # Errors
    /// When there are [`MAX_FAVORITES`], or the name is too long.
    pub fn add_favorite(&mut self, new: NewFavorite) -> Result<Favorite, ControlError> {
        short("moduleName", &new.module_name)?;
        room("favourites", self.favorites.len(), MAX_FAVORITES)?;
        let id = self.next();
        let favorite = Favorite { id, module_name: new.module_name, favorite_id: new.favorite_id };
        self.favorites.insert(id, favorite.clone());
        Ok(favorite)
    }

    /// Forgets a favourite, by its module and the id of the resource within it.
    ///
    /// # Errors
    /// When there is none.
    pub fn remove_favorite(&mut self, module: &str, favorite: &str) -> Result<(), ControlError> {
        let before = self.favorites.len();
        self.favorites.retain(|_, it| !(it.module_name == module && it.favorite_id.to_string() == favorite));
        let unknown = || ControlError::Unknown("favourite", format!("{module}/{favorite}"));
        (self.favorites.len() < before).then_some(()).ok_or_else(unknown)
    }

    /// Every scenario.
    pub fn scenarios(&self) -> Vec<&UserScenario> {
        self.scenarios.values().collect()
    }

    /// One scenario.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn scenario(&self, id: &str) -> Result<&UserScenario, ControlError> {
        let scenario = id.parse().ok().and_then(|id: u32| self.scenarios.get(&id));
        scenario.ok_or_else(|| ControlError::Unknown("scenario", id.to_owned()))
    }

    /// Adds a scenario.
    ///
    /// # Errors
    /// When there are [`MAX_SCENARIOS`], or the name is too long.
    pub fn add_scenario(
        &mut self,
        new: ScenarioFields,
        owner: &Grant,
        now: Date,
    ) -> Result<UserScenario, ControlError> {
        short("name", &new.name)?;
        room("scenarios", self.scenarios.len(), MAX_SCENARIOS)?;
        let id = self.next();
        let ScenarioFields { name, workspace } = new;
        let scenario =
            UserScenario { id, name, owner: owner.name.to_string(), workspace, last_modified: now };
        self.scenarios.insert(id, scenario.clone());
        Ok(scenario)
    }

    /// Changes a scenario.
    ///
    /// # Errors
    /// When there is none of this id, or the name is too long.
    pub fn change_scenario(
        &mut self,
        id: &str,
        changes: ScenarioChanges,
        now: Date,
    ) -> Result<UserScenario, ControlError> {
        let mut scenario = self.scenario(id)?.clone();
        if let Some(name) = changes.name {
            short("name", &name)?;
            scenario.name = name;
        }
        scenario.workspace = changes.workspace.unwrap_or(scenario.workspace);
        scenario.last_modified = now;
        self.scenarios.insert(scenario.id, scenario.clone());
        Ok(scenario)
    }

    /// Forgets a scenario.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn remove_scenario(&mut self, id: &str) -> Result<(), ControlError> {
        let id = self.scenario(id)?.id;
        self.scenarios.remove(&id);
        Ok(())
    }

    /// Remembers a request.
    pub(super) fn log(
        &mut self,
        number: String,
        by: &Grant,
        kind: &'static str,
        now: Date,
        failure: Option<String>,
    ) {
        if self.jobs.len() >= MAX_JOBS {
            self.jobs.pop_front();
        }
        let job = Job {
            request_id: number,
            job_type: kind,
            created_at: now,
            enqueued_at: now,
            time_in_queue: "0".into(),
            status: if failure.is_some() { "failed" } else { "finished" },
            description: failure.unwrap_or_default(),
        };
        self.jobs.push_back((by.name.to_string(), job));
    }

    /// The requests that somebody made and that failed, of one kind or of all.
    pub fn failed<'a>(&'a self, by: &'a Grant, kind: Option<&str>) -> Vec<&'a Job> {
        self.jobs_of(by)
            .filter(|job| job.status == "failed" && kind.is_none_or(|kind| job.job_type == kind))
            .collect()
    }

    /// One request that somebody made.
    ///
    /// # Errors
    /// When there is none of this number.
    pub fn job<'a>(&'a self, by: &'a Grant, number: &str) -> Result<&'a Job, ControlError> {
        let job = self.jobs_of(by).find(|job| job.request_id == number);
        job.ok_or_else(|| ControlError::Unknown("request", number.to_owned()))
    }

    fn jobs_of<'a>(&'a self, by: &'a Grant) -> impl Iterator<Item = &'a Job> {
        self.jobs.iter().filter(|(name, _)| **name == *by.name).map(|(_, job)| job)
    }

    fn next(&mut self) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.last
    }
}

fn short(what: &str, text: &str) -> Result<(), ControlError> {
    let good = (1..=128).contains(&text.len());
    good.then_some(()).ok_or_else(|| ControlError::Malformed(format!("{what} is 1 to 128 bytes")))
}

fn room(what: &str, count: usize, most: usize) -> Result<(), ControlError> {
    (count < most).then_some(()).ok_or_else(|| ControlError::Full(format!("no more than {most} {what}")))
}
