//! What users keep on the server, and what is known of them there.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Date;

/// A module that somebody wants to find again.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Favorite {
    pub id: u32,
    pub module_name: String,
    /// The id of the resource within the module.
    #[serde(rename = "favoriteID")]
    pub favorite_id: i64,
}

/// What `POST /management/favorite` carries.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct NewFavorite {
    pub module_name: String,
    #[serde(rename = "favoriteID")]
    pub favorite_id: i64,
}

/// A scenario that a user has drawn up.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct UserScenario {
    pub id: u32,
    pub name: String,
    /// Whose key drew it up.
    pub owner: String,
    /// Whatever the user's program wants it to be.
    pub workspace: String,
    pub last_modified: Date,
}

/// What `POST /scenario` carries.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct NewScenario {
    /// The scenario.
    pub scenario: ScenarioFields,
}

/// The fields of a scenario that a user may set.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ScenarioFields {
    /// What it is called.
    pub name: String,
    /// Whatever the user's program wants it to be.
    #[serde(default)]
    pub workspace: String,
}

/// What `PATCH /scenario/{id}` carries.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ScenarioPatch {
    /// What is to change; what is left out stays.
    pub scenario: ScenarioChanges,
}

/// The fields of a scenario that are to change.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct ScenarioChanges {
    pub name: Option<String>,
    pub workspace: Option<String>,
}

/// A request and what became of it. Requests are carried out at once, so none ever waits.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Job {
    #[serde(rename = "requestID")]
    pub request_id: String,
    /// What was asked: a resource's kind, or the name of a path.
    pub job_type: &'static str,
    pub created_at: Date,
    pub enqueued_at: Date,
    /// Seconds.
    pub time_in_queue: String,
    /// finished or failed.
    pub status: &'static str,
    /// Why it failed; empty when it did not.
    pub description: String,
}

/// A key that is good at this moment.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Session {
    /// Whose it is.
    pub email: String,
    /// USER, ADMIN, DEVICE or SCHEDULING.
    pub session_type: &'static str,
    /// Null when it was always good.
    pub date_valid: Option<Date>,
    /// Null when it does not end.
    pub date_expire: Option<Date>,
    /// The name of the facility.
    #[schema(value_type = Vec<String>)]
    pub facilities: [String; 1],
}

/// What `POST /session` carries.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewSession {
    /// Whose the key will be.
    pub email: String,
    /// When it begins to be good; now, when left out.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub date_valid: Option<jiff::Timestamp>,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    pub date_expire: jiff::Timestamp,
}

/// What a device calls back with, in the shape of Particle's webhooks.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Callback {
    #[schema(value_type = String)]
    pub data: serde_json::Value,
    pub event: String,
    /// The device.
    pub coreid: String,
    #[serde(default)]
    pub published_at: String,
}
