//! The WebSocket endpoint, and the task of each connection.

mod admission;
pub(super) mod longpoll;
pub(super) mod page;
mod rate_limit;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};

use self::admission::subprotocol;
use self::rate_limit::RateLimit;
use super::Hub;
use super::state::rooms::Effects;
use super::state::{Admission, Fatal, Socket};
use crate::origin::Origins;
use crate::ws::{self, Incoming, Upgrade};

/// How long a `phx_leave` waits for a join of the same topic to take over the channel.
const GRACE: Duration = Duration::from_millis(3);

/// The same in strict mode: as long as two writes of a recording may be apart on a busy machine.
const STRICT_GRACE: Duration = Duration::from_millis(20);

/// How many messages of one connection are handled before the others get their turn.
const TURN: usize = 64;

/// What a route needs to know.
#[derive(Clone)]
pub(super) struct Mount {
    pub(super) hub: Hub,
    /// Whether tokens are taken from the subprotocol.
    pub(super) tokens: bool,
    /// The server's rule on web pages.
    pub(super) origins: Origins,
}

pub(super) async fn websocket(State(mount): State<Mount>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    if parts.method != Method::GET {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let Mount { hub, tokens, origins } = mount;
    if !hub.may_come_from(&parts.headers, &origins) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let strict = hub.inner.shared.strict;
    let chosen = match subprotocol(&parts.headers, strict) {
        chosen if tokens => chosen,
        // A browser that offers one wants an answer, whether there is a key or not.
        Ok((protocol, _)) if !strict && !hub.inner.test_channels => Ok((protocol, None)),
        _ => Ok((None, None)),
    };
    let admitted = chosen.and_then(|(protocol, token)| {
        hub.admit(&parts.uri, &parts.headers, token).map(|admission| (protocol, admission))
    });
    let (protocol, admission) = match admitted {
        Ok(admitted) => admitted,
        Err(denied) => {
            let status = denied.status(strict);
            // Phoenix has no words for it.
            let text = if status == StatusCode::BAD_REQUEST { denied.to_string() } else { String::new() };
            return (status, text).into_response();
        }
    };
    let upgrade = match Upgrade::of(&mut parts) {
        Ok(upgrade) => upgrade.queue(hub.inner.queue),
        Err(refused) => return refused.into_response(),
    };
    upgrade.accept(protocol, hub.inner.limits, move |socket| connection(hub, socket, admission))
}

/// The life of one connection.
async fn connection(hub: Hub, mut ws: ws::Socket, admission: Admission) {
    let shared = &hub.inner.shared;
    let id = shared.id();
    shared.connected(id, admission.id.clone(), ws.outbox());
    ws.set_idle_timeout(Some(hub.inner.idle));
    let mut socket = Socket::new(Arc::clone(shared), Arc::clone(ws.outbox()), admission);
    let ended = converse(&hub, &mut ws, &mut socket).await;
    tracing::debug!(reason = %ended, "a hub connection ended");
    hub.with_effects(|effects| socket.close(effects));
    shared.disconnected(id);
    ws.finish().await;
}

async fn converse(hub: &Hub, ws: &mut ws::Socket, socket: &mut Socket) -> Ended {
    let grace = if hub.inner.shared.strict { STRICT_GRACE } else { GRACE };
    let mut rate = RateLimit::new(hub.inner.rate);
    loop {
        let ready = if socket.is_leaving() {
            match tokio::time::timeout(grace, ws.ready()).await {
                Ok(ready) => ready,
                Err(_) => match hub.with_effects(|effects| socket.settle(true, effects)) {
                    Ok(()) => continue,
                    Err(fatal) => return Ended::fatal(ws, fatal),
                },
            }
        } else {
            ws.ready().await
        };
        if let Err(closed) = ready {
            return Ended::Closed(closed);
        }
        let mut more = true;
        while more {
            // One batch: its output is written when all of it has been handled.
            let (count, result) = hub.with_effects(|effects| batch(ws, socket, effects));
            match result {
                Ok(another) => more = another,
                Err(ended) => return ended,
            }
            if let Some(wait) = rate.spend(count) {
                if let Err(fatal) = hub.with_effects(|effects| socket.settle(true, effects)) {
                    return Ended::fatal(ws, fatal);
                }
                if let Err(closed) = ws.pause(wait).await {
                    return Ended::Closed(closed);
                }
            }
            if more {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Handles what has come, a turn's worth at most. Answers how many messages that was, and whether there is more.
fn batch(ws: &mut ws::Socket, socket: &mut Socket, effects: &mut Effects) -> (usize, Result<bool, Ended>) {
    let mut count = 0;
    let mut more = Ok(true);
    while count < TURN {
        let mut handled = Ok(());
        more = ws.decode_one(&mut |message| {
            handled = match message {
                Incoming::Text(text) => socket.text(text.as_bytes(), effects),
                Incoming::Binary(bytes) => socket.binary(&bytes, effects),
                Incoming::Ping(_) | Incoming::Pong | Incoming::Close(_) => Ok(()),
            };
        });
        if let Err(fatal) = handled {
            return (count, Err(Ended::fatal(ws, fatal)));
        }
        if more != Ok(true) {
            break;
        }
        count += 1;
    }
    match (more, socket.settle(false, effects)) {
        (Err(closed), _) => (count, Err(Ended::Closed(closed))),
        (Ok(_), Err(fatal)) => (count, Err(Ended::fatal(ws, fatal))),
        (Ok(more), Ok(())) => (count, Ok(more)),
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Closed(ws::Closed),
    #[error("the client sent what is no message: {0}")]
    Fatal(Fatal),
}

impl Ended {
    fn fatal(ws: &ws::Socket, fatal: Fatal) -> Self {
        ws.outbox().close(1011);
        Self::Fatal(fatal)
    }
}
