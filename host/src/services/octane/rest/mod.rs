//! `/api`: the resources over HTTP, and `/apidocs`: what they look like.
//!
//! Every request shows its key in `X-API-KEY`. What is asked of a resource is answered by a `requestID` at once; the
//! channel of the resource then hears the request and the new state.
//!
//! ```text
//!  api    routes, and their description      road         what stands on the road
//!                                            management   what is kept on the server, and its management
//! ```

mod api;
mod management;
mod road;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::events::{Bsm, FacilityMessage, Psm, Spat, V2xRaw};
use super::handlers::Octane;
use super::resource::{ControlError, brief};
use crate::openapi::{self, Shape};
use api::{Answer, Api, Call};

/// The one shape of every negative answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiError {
    /// The same as `httpStatusCode`: there are no further codes.
    pub internal_code: u16,
    /// The same, for old clients.
    pub status: u16,
    /// The status of the HTTP answer.
    pub http_status_code: u16,
    /// What is wrong, for programmers.
    pub message: String,
    /// What is wrong, for people.
    pub human_message: String,
}

/// A negative answer.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, message) = self;
        let message = brief(&message);
        let code = status.as_u16();
        let error = ApiError {
            internal_code: code,
            status: code,
            http_status_code: code,
            human_message: message.clone(),
            message,
        };
        (status, Json(error)).into_response()
    }
}

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Self {
        let status = match error {
            ControlError::Unknown(..) => StatusCode::NOT_FOUND,
            ControlError::Disabled(..) | ControlError::Full(_) => StatusCode::CONFLICT,
            ControlError::Malformed(_) | ControlError::Fixed(_) | ControlError::ReadOnly(_) => {
                StatusCode::BAD_REQUEST
            }
        };
        Self(status, error.to_string())
    }
}

/// All routes.
pub fn routes(octane: Arc<Octane>) -> Router {
    let (api, document) = describe().finish();
    let unknown = async || Refusal(StatusCode::NOT_FOUND, "there is no such resource".into());
    let api = api.fallback(unknown).method_not_allowed_fallback(async || {
        Refusal(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done to this resource".into())
    });
    let document = Arc::new(document);
    let shown = get(async move |headers| openapi::show(&document, &headers));
    // Links to the original's description end in a slash.
    let router = Router::new().route("/apidocs", shown.clone()).route("/apidocs/", shown);
    // Nesting leaves out the root with a slash.
    router.nest("/api", api).route("/api/", any(unknown)).with_state(octane)
}

/// The OpenAPI document of all routes.
pub fn document() -> Value {
    describe().finish().1
}

fn describe() -> Api {
    let mut api = Api::new();
    // What is heard on channels, but given by no route.
    api.describe_type(Shape::of::<FacilityMessage>());
    api.describe_type(Shape::of::<Spat>());
    api.describe_type(Shape::of::<V2xRaw>());
    api.describe_type(Shape::of::<Bsm>());
    api.describe_type(Shape::of::<Psm>());
    road::describe(&mut api);
    management::describe(&mut api);
    api
}

/// The number of an accepted request.
fn accepted() -> Shape {
    Shape::text().under("requestID")
}

/// What an accepted request is answered by.
fn number(request: String) -> Answer {
    Ok(json!({"requestID": request}))
}

/// As JSON.
fn value(value: impl Serialize) -> Value {
    // Every value here has string keys and finite numbers, which is all that serialising to JSON can fail on.
    serde_json::to_value(value).unwrap_or_default()
}

fn malformed(what: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, what.into())
}

/// What `call` looked for, or that there is no such thing.
fn found<T>(it: Option<T>, kind: &'static str, call: &Call, part: &str) -> Result<T, Refusal> {
    it.ok_or_else(|| ControlError::Unknown(kind, call.part(part).to_owned()).into())
}
