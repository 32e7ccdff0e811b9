//! Long polling at `/socket/longpoll`, for clients that WebSocket does not reach. Off unless asked for, as in the original.
//!
//! Every answer is HTTP 200 with a JSON body whose `status` says what it means. A session is a connection like any
//! other whose frames wait in its queue until they are fetched: at most a queue's worth, then it ends. It also ends
//! when nobody polls for 15 s.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde::Serialize;
use tokio::time::Instant;

use super::Mount;
use super::admission::Denied;
use super::rate_limit::RateLimit;
use crate::services::hub::Hub;
use crate::services::hub::state::rooms::Effects;
use crate::services::hub::state::{Fatal, Socket};
use crate::ws::{Kind, Outbox};

/// How long a poll waits for something to come.
const WINDOW: Duration = Duration::from_secs(10);

/// How long a session lives without being polled.
const LIFE: Duration = Duration::from_secs(15);

/// The most messages in one POST; those beyond are dropped.
const BATCH: usize = 100;

/// The most sessions at any time; beyond, new ones are refused with 500, after which clients try again.
const SESSIONS: usize = 10_000;

/// The sessions by their tokens.
#[derive(Default)]
pub(in crate::services::hub) struct Sessions {
    sessions: Mutex<HashMap<String, Arc<Session>>>,
}

struct Session {
    id: u64,
    socket: Mutex<Socket>,
    outbox: Arc<Outbox>,
    polled: Mutex<Instant>,
    /// Held by one POST after the other.
    rate: tokio::sync::Mutex<RateLimit>,
}

#[derive(Serialize)]
struct Body<'a> {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<String>>,
}

fn body(status: u16, token: Option<&str>, messages: Option<Vec<String>>) -> Response {
    let mut response = axum::Json(Body { status, token, messages }).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

fn status(status: u16) -> Response {
    body(status, None, None)
}

/// An answer that is no JSON, such as Phoenix's to what it does not understand.
fn bare(status: StatusCode) -> Response {
    (status, [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")]).into_response()
}

/// The endpoint, whatever the method.
pub(in crate::services::hub) async fn longpoll(
    State(mount): State<Mount>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    payload: Result<Bytes, BytesRejection>,
) -> Response {
    let hub = &mount.hub;
    if !hub.may_come_from(&headers, &mount.origins) {
        return status(403);
    }
    let (method, payload) = match (method, payload) {
        (Method::OPTIONS, _) => return options(&headers),
        (method @ (Method::GET | Method::POST), Ok(payload)) => (method, payload),
        _ => return bare(StatusCode::BAD_REQUEST),
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let query = Query::<HashMap<String, String>>::try_from_uri(&uri).map(|query| query.0).unwrap_or_default();
    let token = header("x-phoenix-longpoll-token").or_else(|| query.get("token").cloned());
    let session = token.as_deref().and_then(|token| hub.inner.sessions.find(token));
    match (method, session, token) {
        (Method::POST, Some(session), Some(token)) => {
            publish(hub, &session, &token, &headers, &payload).await
        }
        (Method::POST, ..) => status(410),
        (_, Some(session), Some(token)) => match poll(hub, &session, &token).await {
            Some(response) => response,
            None => open(hub, &uri, &headers),
        },
        _ => open(hub, &uri, &headers),
    }
}

fn options(headers: &HeaderMap) -> Response {
    let mut response = StatusCode::OK.into_response();
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("get, post, options"));
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    let requested = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let allowed = requested.unwrap_or_else(|| HeaderValue::from_static(""));
    answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    response
}

/// A new session; its status is 410 because whatever session the client had before is gone.
fn open(hub: &Hub, uri: &Uri, headers: &HeaderMap) -> Response {
    // With a hub token, the parameter `token` is that until the session has one of its own.
    let bearer = headers.get("x-phoenix-authtoken").map(|value| value.as_bytes().to_vec());
    let admission = match hub.admit(uri, headers, bearer) {
        Ok(admission) => admission,
        Err(Denied::Query) => return bare(StatusCode::BAD_REQUEST),
        Err(_) => return status(403),
    };
    let mut random = [0; 24];
    if getrandom::fill(&mut random).is_err() {
        return status(500);
    }
    let token = URL_SAFE_NO_PAD.encode(random);
    let shared = &hub.inner.shared;
    let outbox = Outbox::detached(hub.inner.queue);
    let (id, name) = (shared.id(), admission.id.clone());
    let socket = Socket::new(Arc::clone(shared), Arc::clone(&outbox), admission);
    let session = Arc::new(Session {
        id,
        socket: Mutex::new(socket),
        outbox,
        polled: Mutex::new(Instant::now()),
        rate: tokio::sync::Mutex::new(RateLimit::new(hub.inner.rate)),
    });
    if !hub.inner.sessions.insert(&token, &session) {
        return status(500);
    }
    shared.connected(id, name, &session.outbox);
    tokio::spawn(live(hub.clone(), token.clone(), session));
    body(410, Some(&token), Some(Vec::new()))
}

/// Ends the session when nobody polls any more.
async fn live(hub: Hub, token: String, session: Arc<Session>) {
    loop {
        let deadline = *lock(&session.polled) + LIFE;
        if session.outbox.is_closed() || deadline <= Instant::now() {
            break;
        }
        tokio::time::sleep_until(deadline).await;
    }
    hub.end_session(&token, &session);
}

impl Hub {
    fn end_session(&self, token: &str, session: &Session) {
        if lock(&self.inner.sessions.sessions).remove(token).is_some() {
            self.with_effects(|effects| lock(&session.socket).close(effects));
            self.inner.shared.disconnected(session.id);
            session.outbox.abandon();
        }
    }
}

/// Waits for messages and hands them over; `None` when the session has ended.
async fn poll(hub: &Hub, session: &Session, token: &str) -> Option<Response> {
    let strict = hub.inner.shared.strict;
    *lock(&session.polled) = Instant::now() + WINDOW;
    let fetch = poll_fn(|cx| {
        let (frames, closed) = session.outbox.take(cx.waker());
        // Long polling has no way for binary frames; Phoenix takes them for text.
        let messages: Result<Vec<String>, _> = frames
            .iter()
            .filter(|frame| frame.kind() == Kind::Text || (strict && frame.kind() == Kind::Binary))
            .map(|frame| String::from_utf8(frame.payload()))
            .collect();
        match messages {
            Ok(messages) if messages.is_empty() && !closed => Poll::Pending,
            messages => Poll::Ready((messages, closed)),
        }
    });
    let fetched = tokio::time::timeout(WINDOW, fetch).await;
    *lock(&session.polled) = Instant::now();
    match fetched {
        Ok((Ok(messages), true)) if messages.is_empty() => {
            hub.end_session(token, session);
            None
        }
        Ok((Ok(messages), _)) => Some(body(200, Some(token), Some(messages))),
        Ok((Err(_), _)) => Some(bare(StatusCode::INTERNAL_SERVER_ERROR)),
        Err(_) => Some(body(204, Some(token), Some(Vec::new()))),
    }
}

/// Handles what the client sends: one message, or up to a hundred lines of them.
async fn publish(hub: &Hub, session: &Session, token: &str, headers: &HeaderMap, payload: &[u8]) -> Response {
    let strict = hub.inner.shared.strict;
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let has_lines = match kind.strip_prefix(b"application/x-ndjson") {
        Some(parameters) => parameters.is_empty() || !strict,
        None => false,
    };
    // One after the other, and no faster than they may come.
    let mut rate = session.rate.lock().await;
    let mut count = 0;
    let handled = hub.with_effects(|effects| {
        let mut socket = lock(&session.socket);
        // Whoever ends the session closes the socket after that: what is joined from here on is left again.
        if hub.inner.sessions.find(token).is_none() {
            return Err(Refused::Gone);
        }
        if has_lines {
            // To Phoenix an empty line is a message, too.
            let lines =
                payload.split(|byte| *byte == b'\n').filter(|line| strict || !line.trim_ascii().is_empty());
            for line in lines.take(BATCH) {
                count += 1;
                one(&mut socket, line, effects)?;
            }
        } else {
            count = 1;
            socket.text(payload, effects)?;
        }
        Ok(socket.settle(true, effects)?)
    });
    if let Some(wait) = rate.spend(count) {
        tokio::time::sleep(wait).await;
    }
    match handled {
        Ok(()) => status(200),
        Err(Refused::Gone) => status(410),
        Err(Refused::Base64) if strict => bare(StatusCode::INTERNAL_SERVER_ERROR),
        Err(Refused::Base64) => status(400),
        // What is no message ends a connection; the client's next poll finds the session gone.
        Err(Refused::Message(_)) => {
            session.outbox.close(1011);
            hub.end_session(token, session);
            // Phoenix says that after having waited for 10 s.
            status(if strict { 408 } else { 400 })
        }
    }
}

/// Why what a client sent was not handled.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the session ended while the message waited for its turn")]
    Gone,
    #[error("a line that is neither JSON nor base64")]
    Base64,
    #[error(transparent)]
    Message(#[from] Fatal),
}

/// A line: text when it looks like an array, else a binary push in base64.
fn one(socket: &mut Socket, line: &[u8], effects: &mut Effects) -> Result<(), Refused> {
    if line.starts_with(b"[") {
        return Ok(socket.text(line, effects)?);
    }
    let bytes = STANDARD.decode(line.trim_ascii()).map_err(|_| Refused::Base64)?;
    Ok(socket.binary(&bytes, effects)?)
}

impl Sessions {
    fn find(&self, token: &str) -> Option<Arc<Session>> {
        lock(&self.sessions).get(token).map(Arc::clone)
    }

    fn insert(&self, token: &str, session: &Arc<Session>) -> bool {
        let mut sessions = lock(&self.sessions);
        if sessions.len() >= SESSIONS {
            return false;
        }
        sessions.insert(token.to_owned(), Arc::clone(session));
        true
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A member that panics is caught before it gets here.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
