//! The REST twins: the routes of the table of actions, for clients that have no WebSocket.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection, RawPathParamsRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, OriginalUri, Path, Query, RawPathParams, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, get, on};
use cloverleaf_core::dfx::{Action, ROUTES, Route, Status};
use futures_util::StreamExt;

use super::apidocs::INTERMEDIATE;
use super::events::{Encoding, Failure, ascii_json, code};
use super::handlers::{LIMITS, Server, bearer};
use super::state::{Asked, BODY, Rest};

pub(super) fn routes(server: &Arc<Server>) -> Router {
    let mut rest = Router::new();
    // Those that nothing is behind, too: clients expect to be told in JSON.
    for Route { number, method, path, .. } in ROUTES {
        let Some(action) = Action::new(*number) else { continue };
        let filter = match *method {
            "GET" => MethodFilter::GET,
            "POST" => MethodFilter::POST,
            "PATCH" => MethodFilter::PATCH,
            "DELETE" => MethodFilter::DELETE,
            // Over WebSocket only.
            _ => continue,
        };
        let handler =
            move |server, path, query, headers, request| call(action, server, path, query, headers, request);
        rest = rest.route(&named(path), on(filter, handler));
    }
    let rest = rest.route(INTERMEDIATE, get(intermediate)).method_not_allowed_fallback(wrong_method);
    Router::new().nest("/dfx", rest.clone().fallback(nothing)).merge(rest).with_state(Arc::clone(server))
}

/// A path of the table as axum has it: its arguments have names.
pub(super) fn named(path: &str) -> String {
    let mut names = ["{id}", "{b}", "{c}"].into_iter();
    let parts = path.split('/').map(|part| if part == "{}" { names.next().unwrap_or(part) } else { part });
    parts.collect::<Vec<_>>().join("/")
}

async fn call(
    action: Action,
    State(server): State<Arc<Server>>,
    arguments: Result<RawPathParams, RawPathParamsRejection>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    headers: HeaderMap,
    mut request: Request,
) -> Response {
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(rejection) => return refuse(rejection.status(), rejection.body_text()),
    };
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejection) => return refuse(rejection.status(), rejection.body_text()),
    };
    if let Err(failure) = server.check(action, bearer(&headers)) {
        // A client that waits to be asked for its body need not send it. Most others read nothing before they have sent all
        // of it, and would take an answer before that for a broken connection.
        if !headers.contains_key(header::EXPECT) {
            discard(request.into_body()).await;
        }
        return reply(Status::UNAUTHORIZED, ascii_json(&failure));
    }
    let limit = if action == Action::DATA { LIMITS.message } else { BODY };
    DefaultBodyLimit::max(limit).apply(&mut request);
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(rejection) => {
            return refuse(rejection.status(), format!("The body has more than {limit} bytes, or is cut"));
        }
    };
    let work = move |server: &Server| {
        let argument = arguments.iter().next().map(|(_, argument)| argument);
        let asked = Asked::read(action, Encoding::Json, &body);
        server.rest(Rest { action, argument, query, token: bearer(&headers), asked })
    };
    let answered = if action == Action::DATA { server.aside(work).await } else { Some(work(&server)) };
    match answered {
        Some((status, body)) => reply(status, body),
        None => refuse(StatusCode::SERVICE_UNAVAILABLE, "The server ends".into()),
    }
}

/// Reads a body that is not wanted, without keeping any of it.
async fn discard(body: Body) {
    let mut pieces = body.into_data_stream();
    let mut length = 0;
    while length <= LIMITS.message
        && let Some(Ok(piece)) = pieces.next().await
    {
        length += piece.len();
    }
}

async fn intermediate(
    State(server): State<Arc<Server>>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let (measurement, chunk) = match path {
        Ok(Path(path)) => path,
        Err(rejection) => return refuse(rejection.status(), rejection.body_text()),
    };
    let Ok(chunk) = chunk.parse() else {
        return refuse(StatusCode::BAD_REQUEST, format!("The chunk is not a number: {chunk}"));
    };
    let (status, body) = server.intermediate(bearer(&headers), &measurement, chunk);
    reply(status, body)
}

/// What is wrong with a request, as every error is told.
fn refuse(status: StatusCode, message: String) -> Response {
    let code = code::INCORRECT_REQUEST.to_owned();
    let status = Status::new(status.as_u16()).unwrap_or(Status::BAD_REQUEST);
    reply(status, ascii_json(&Failure { code, message, ..Failure::default() }))
}

async fn nothing(OriginalUri(uri): OriginalUri) -> Response {
    refuse(StatusCode::NOT_FOUND, format!("Invalid Route {}", uri.path()))
}

async fn wrong_method(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    refuse(StatusCode::METHOD_NOT_ALLOWED, format!("Invalid Route {method} {}", uri.path()))
}

/// The JavaScript client reads the body when there is a semicolon, and only then: 304 has none. The Python client must
/// be told that it is JSON all the same.
fn reply(status: Status, body: Vec<u8>) -> Response {
    let content = match status {
        Status::NOT_MODIFIED => "application/json",
        _ => "application/json; charset=utf-8",
    };
    let status = StatusCode::from_u16(status.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, content)], body).into_response()
}
