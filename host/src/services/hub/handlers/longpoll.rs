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
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde::Serialize;
use tokio::time::Instant;

use super::Mount;
use crate::services::hub::Hub;
use crate::services::hub::state::Socket;
use crate::services::hub::state::rooms::Effects;
use crate::ws::{Kind, Outbox};

/// How long a poll waits for something to come.
const WINDOW: Duration = Duration::from_secs(10);

/// How long a session lives without being polled.
const LIFE: Duration = Duration::from_secs(15);

/// The most messages in one POST.
const BATCH: usize = 100;

/// The most sessions at any time; beyond, new ones are refused with 503.
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
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

fn status(status: u16) -> Response {
    body(status, None, None)
}

/// The endpoint, whatever the method.
pub(in crate::services::hub) async fn longpoll(
    State(mount): State<Mount>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    payload: Bytes,
) -> Response {
    let hub = &mount.hub;
    match method {
        Method::OPTIONS => return options(&headers),
        Method::GET | Method::POST => {}
        _ => return StatusCode::BAD_REQUEST.into_response(),
    }
    if !hub.may_come_from(&headers, &mount.origins) {
        return status(403);
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let query = Query::<HashMap<String, String>>::try_from_uri(&uri).map(|query| query.0).unwrap_or_default();
    let token = header("x-phoenix-longpoll-token").or_else(|| query.get("token").cloned());
    let session = token.as_deref().and_then(|token| hub.inner.sessions.find(token));
    match (method, session, token) {
        (Method::POST, Some(session), _) => publish(hub, &session, &headers, &payload),
        (Method::POST, None, _) => status(410),
        (_, Some(session), Some(token)) => poll(hub, &session, &token).await,
        (_, _, token) => {
            // With a hub token, `token` is that until the session has one of its own.
            let bearer = header("x-phoenix-authtoken").or(token);
            open(hub, &uri, bearer.as_deref())
        }
    }
}

fn options(headers: &HeaderMap) -> Response {
    let mut response = StatusCode::OK.into_response();
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("get, post, options"));
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    if let Some(requested) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, requested.clone());
    }
    response
}

/// A new session; its status is 410 because whatever session the client had before is gone.
fn open(hub: &Hub, uri: &Uri, bearer: Option<&str>) -> Response {
    let Some(admission) = hub.admit(uri, bearer) else { return status(403) };
    let mut random = [0; 24];
    if getrandom::fill(&mut random).is_err() {
        return status(503);
    }
    let token = URL_SAFE_NO_PAD.encode(random);
    let shared = &hub.inner.shared;
    let outbox = Outbox::detached(hub.inner.queue);
    let id = shared.id();
    let socket =
        Socket::new(Arc::clone(shared), Arc::clone(&outbox), admission.version, admission.name.clone());
    let session =
        Arc::new(Session { id, socket: Mutex::new(socket), outbox, polled: Mutex::new(Instant::now()) });
    if !hub.inner.sessions.insert(&token, &session) {
        return status(503);
    }
    shared.connected(id, admission.name, &session.outbox);
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

/// Waits for messages and hands them over.
async fn poll(hub: &Hub, session: &Session, token: &str) -> Response {
    *lock(&session.polled) = Instant::now() + WINDOW;
    let fetch = poll_fn(|cx| {
        let (frames, closed) = session.outbox.take(cx.waker());
        // Long polling has no way for binary frames.
        let messages: Vec<String> = frames
            .iter()
            .filter(|frame| frame.kind() == Kind::Text)
            .map(|frame| String::from_utf8_lossy(&frame.payload()).into_owned())
            .collect();
        if messages.is_empty() && !closed { Poll::Pending } else { Poll::Ready((messages, closed)) }
    });
    let fetched = tokio::time::timeout(WINDOW, fetch).await;
    *lock(&session.polled) = Instant::now();
    match fetched {
        Ok((messages, true)) if messages.is_empty() => {
            hub.end_session(token, session);
            status(410)
        }
        Ok((messages, _)) => body(200, Some(token), Some(messages)),
        Err(_) => body(204, Some(token), Some(Vec::new())),
    }
}

/// Handles what the client sends: one message, or up to a hundred lines of them.
fn publish(hub: &Hub, session: &Session, headers: &HeaderMap, payload: &[u8]) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let handled = hub.with_effects(|effects| {
        let mut socket = lock(&session.socket);
        let handled = if kind.starts_with(b"application/x-ndjson") {
            let lines: Vec<&[u8]> =
                payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
            if lines.len() > BATCH {
                return Err(());
            }
            lines.into_iter().try_for_each(|line| one(&mut socket, line, effects))
        } else {
            socket.text(payload, effects).map_err(drop)
        };
        handled.and_then(|()| socket.settle(effects).map_err(drop))
    });
    match handled {
        Ok(()) => status(200),
        // What is no message ends a connection; the client's next poll finds the session gone.
        Err(()) => {
            session.outbox.close(1011);
            status(400)
        }
    }
}

/// A line: text when it looks like an array, else a binary push in base64.
fn one(socket: &mut Socket, line: &[u8], effects: &mut Effects) -> Result<(), ()> {
    if line.starts_with(b"[") {
        return socket.text(line, effects).map_err(drop);
    }
    let bytes = STANDARD.decode(line.trim_ascii()).map_err(drop)?;
    socket.binary(&bytes, effects).map_err(drop)
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
