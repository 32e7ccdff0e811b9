//! Routes and their description, made from the same words: what is not described is not there.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::StatusCode;
use axum::routing::{MethodFilter, MethodRouter, on};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ApiError, Refusal, malformed};
use crate::openapi::{Document, Operation, Shape};
use crate::services::octane::handlers::Octane;
use crate::services::octane::keys::{Grant, Permission};
use crate::services::octane::resource::{ControlError, Kind, Patch, Resource, parse};
use crate::services::octane::state::{self, Output};

/// The longest body of a request, in bytes.
pub(super) const MAX_BODY: usize = 65_536;

pub(super) type Answer = Result<Value, Refusal>;

/// A request whose key is good for it.
pub(super) struct Call {
    pub(super) octane: Arc<Octane>,
    pub(super) grant: Grant,
    parameters: Vec<(String, String)>,
    query: Vec<(String, String)>,
}

impl Call {
    /// A part of the path.
    pub(super) fn part(&self, name: &str) -> &str {
        value_of(&self.parameters, name).unwrap_or_default()
    }

    /// A parameter of the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        value_of(&self.query, name)
    }

    /// Looks at the state.
    pub(super) fn look<T>(&self, work: impl FnOnce(&state::State) -> T) -> T {
        self.octane.look(work)
    }

    /// Changes the state, without a number and without anybody hearing of it.
    pub(super) fn change<T>(
        &self,
        work: impl FnOnce(&mut state::State) -> Result<T, ControlError>,
    ) -> Result<T, Refusal> {
        Ok(self.octane.with(|state| work(state).map(|value| (value, Vec::new())))?)
    }

    /// Does what is asked under a new number, and answers that.
    pub(super) fn request(
        &self,
        kind: &'static str,
        work: impl FnOnce(&mut state::State) -> Result<Vec<Output>, ControlError>,
    ) -> Result<String, Refusal> {
        let number = Uuid::new_v4().to_string();
        // A failed request is remembered, too, so the outputs of `with` are those of the work alone.
        let done = self.octane.with(|state| {
            state.request(number.clone(), &self.grant, kind, work).map(|outputs| ((), outputs))
        });
        done.map(|()| number).map_err(Refusal::from)
    }

    /// Asks the same of every resource of a kind, each under a new number, and answers those.
    pub(super) fn request_all(&self, kind: Kind, asked: &RawValue) -> Result<Vec<String>, Refusal> {
        let new_number = || Uuid::new_v4().to_string();
        Ok(self.octane.with(|state| state.control_all(kind, new_number, &self.grant, asked))?)
    }
}

fn value_of<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
}

impl Shape {
    /// That of a resource with such a state.
    pub(super) fn resource<S: ToSchema>() -> Self {
        Self::generic::<Resource<S>, S>()
    }

    /// That of a `PATCH` that asks such things.
    pub(super) fn patch<C: ToSchema>() -> Self {
        Self::generic::<Patch<C>, C>()
    }
}

/// The status of an error, and what it means.
pub(super) type Error = (&'static str, &'static str);

/// There are as many as there may be.
pub(super) const FULL: Error = ("409", "there are as many as there may be");

/// Everything a route has except what it does.
pub(super) struct Route<'a> {
    method: MethodFilter,
    path: &'a str,
    summary: &'a str,
    /// What the key has to allow.
    needs: Permission,
    gives: Shape,
    takes: Option<Shape>,
    query: &'a [(&'a str, &'a str)],
    errors: Vec<Error>,
}

impl<'a> Route<'a> {
    pub(super) fn get(path: &'a str, summary: &'a str, needs: Permission, gives: Shape) -> Self {
        let method = MethodFilter::GET;
        Self { method, path, summary, needs, gives, takes: None, query: &[], errors: Vec::new() }
    }

    pub(super) fn post(path: &'a str, summary: &'a str, needs: Permission, gives: Shape) -> Self {
        Self { method: MethodFilter::POST, ..Self::get(path, summary, needs, gives) }
    }

    pub(super) fn patch(path: &'a str, summary: &'a str, needs: Permission, gives: Shape) -> Self {
        Self { method: MethodFilter::PATCH, ..Self::get(path, summary, needs, gives) }
    }

    pub(super) fn delete(path: &'a str, summary: &'a str, needs: Permission, gives: Shape) -> Self {
        Self { method: MethodFilter::DELETE, ..Self::get(path, summary, needs, gives) }
    }

    /// With such a body.
    pub(super) fn takes(self, body: Shape) -> Self {
        Self { takes: Some(body), ..self }
    }

    /// With such parameters in its query, each with what it means.
    pub(super) fn query(self, query: &'a [(&'a str, &'a str)]) -> Self {
        Self { query, ..self }
    }

    /// With an error that not every route has.
    pub(super) fn or(mut self, error: Error) -> Self {
        self.errors.push(error);
        self
    }
}

/// Routes under construction.
pub(super) struct Api {
    router: Router<Arc<Octane>>,
    document: Document,
}

impl Api {
    pub(super) fn new() -> Self {
        Self { router: Router::new(), document: Document::new(Shape::of::<ApiError>()) }
    }

    /// A route that every key may read.
    pub(super) fn get(
        &mut self,
        path: &str,
        summary: &str,
        gives: Shape,
        work: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) {
        self.give(Route::get(path, summary, Permission::Read, gives), work);
    }

    /// A route without a body.
    pub(super) fn give(&mut self, route: Route<'_>, work: impl Fn(&Call) -> Answer + Send + Sync + 'static) {
        self.add(route, move |call, _| work(call));
    }

    /// A route that takes a body of this type.
    pub(super) fn take<B: DeserializeOwned + ToSchema>(
        &mut self,
        route: Route<'_>,
        work: impl Fn(&Call, B) -> Answer + Send + Sync + 'static,
    ) {
        let route = route.takes(Shape::of::<B>());
        self.add(route, move |call, body| work(call, parse(text(body)?)?));
    }

    /// A route that takes a change of a state of this type.
    pub(super) fn take_patch<C: DeserializeOwned + ToSchema>(
        &mut self,
        route: Route<'_>,
        work: impl Fn(&Call, C) -> Answer + Send + Sync + 'static,
    ) {
        let route = route.takes(Shape::patch::<C>());
        self.add(route, move |call, body| work(call, parse::<Patch<C>>(text(body)?)?.state));
    }

    /// A route that takes JSON as it is written, of which the route says what it should be.
    pub(super) fn take_raw(
        &mut self,
        route: Route<'_>,
        work: impl Fn(&Call, &RawValue) -> Answer + Send + Sync + 'static,
    ) {
        self.add(route, move |call, body| work(call, raw_json(body)?));
    }

    fn add(&mut self, route: Route<'_>, work: impl Fn(&Call, &[u8]) -> Answer + Send + Sync + 'static) {
        let (method, needs) = (route.method, route.needs);
        let work = Arc::new(work);
        let handler = async move |State(octane): State<Arc<Octane>>, request: Request| {
            let (call, body) = admit(octane, request, needs).await?;
            work(&call, &body).map(Json)
        };
        self.serve(route, on(method, handler));
    }

    /// A route with a handler of its own.
    pub(super) fn serve(&mut self, route: Route<'_>, handler: MethodRouter<Arc<Octane>>) {
        let Route { method, path, summary, needs, gives, takes, query, errors: further } = route;
        self.router = std::mem::take(&mut self.router).route(path, handler);
        let method = match method {
            MethodFilter::GET => "get",
            MethodFilter::POST => "post",
            MethodFilter::PATCH => "patch",
            _ => "delete",
        };
        let mut errors = vec![
            ("400", "what was sent is malformed; the message names what was expected"),
            ("401", "the key is missing or invalid"),
            ("404", "there is no such resource"),
        ];
        if needs != Permission::Read {
            errors.push(("403", needs.refusal()));
        }
        if takes.is_some() {
            errors.push(("413", "the body is too long"));
        }
        errors.extend(further);
        let (path, open) = (&format!("/api{path}"), false);
        self.document.add(Operation { method, path, query, summary, takes, gives, open, errors: &errors });
    }

    /// Describes types that no route has.
    pub(super) fn describe_type(&mut self, shape: Shape) {
        self.document.describe(shape);
    }

    /// The routes, and the OpenAPI document of them.
    pub(super) fn finish(self) -> (Router<Arc<Octane>>, Value) {
        let security = json!({"type": "apiKey", "in": "header", "name": "X-API-KEY"});
        let description = "The road over REST. Keys go into <code>X-API-KEY</code>.";
        (self.router, self.document.finish("Cloverleaf: the road", description, security))
    }
}

/// A body as text.
fn text(body: &[u8]) -> Result<&str, Refusal> {
    match std::str::from_utf8(body) {
        Ok("") => Err(malformed("a body of JSON is expected")),
        Ok(text) => Ok(text),
        Err(_) => Err(malformed("a body of JSON is expected, in UTF-8")),
    }
}

/// A body that is looked into later.
pub(super) fn raw_json(body: &[u8]) -> Result<&RawValue, Refusal> {
    serde_json::from_str(text(body)?)
        .map_err(|error| malformed(format!("a body of JSON is expected: {error}")))
}

/// Lets in who shows a key that allows it, and only then reads what they send.
pub(super) async fn admit(
    octane: Arc<Octane>,
    request: Request,
    needs: Permission,
) -> Result<(Call, Bytes), Refusal> {
    let (mut parts, body) = request.into_parts();
    let key = parts.headers.get("x-api-key").and_then(|key| key.to_str().ok());
    let grant = octane.check(key);
    let grant =
        grant.ok_or_else(|| Refusal(StatusCode::UNAUTHORIZED, "API key is missing or invalid".into()))?;
    if !grant.scopes.allow(needs) {
        return Err(Refusal(StatusCode::FORBIDDEN, needs.refusal().into()));
    }
    let parameters = RawPathParams::from_request_parts(&mut parts, &()).await;
    let parameters = parameters.map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.body_text()))?;
    let parameters = parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    let query = query.map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.body_text()))?.0;
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| {
        Refusal(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has {MAX_BODY} bytes at most"))
    })?;
    Ok((Call { octane, grant, parameters, query }, body))
}
