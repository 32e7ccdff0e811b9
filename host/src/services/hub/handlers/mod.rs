//! The WebSocket endpoint: who is let in, and the task of each connection.

pub(super) mod longpoll;
pub(super) mod page;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use cloverleaf_core::phoenix::wire::Version;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use tokio::time::Instant;

use super::Hub;
use super::state::rooms::Effects;
use super::state::{Fatal, Socket};
use crate::origin::Origins;
use crate::ws::{self, Incoming, Upgrade};

/// How long a `phx_leave` waits for a join of the same topic to take over the channel.
const GRACE: Duration = Duration::from_millis(3);

/// How many messages of one connection are handled before the others get their turn.
const TURN: usize = 64;

/// The subprotocol that carries a token, before its base64.
const BEARER: &str = "base64url.bearer.phx.";

/// What a route needs to know.
#[derive(Clone)]
pub(super) struct Mount {
    pub(super) hub: Hub,
    /// Whether tokens are taken from the subprotocol.
    pub(super) tokens: bool,
    /// The server's rule on web pages.
    pub(super) origins: Origins,
}

/// A client that asks to connect, by WebSocket or long polling.
pub(super) struct Admission {
    pub(super) version: Version,
    /// What `disconnect` knows the connection by.
    pub(super) name: Option<Arc<str>>,
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
    let (protocol, token) = match subprotocol(&parts.headers, tokens) {
        Ok(chosen) => chosen,
        Err(status) if hub.inner.shared.strict => return status.into_response(),
        Err(StatusCode::INTERNAL_SERVER_ERROR) => {
            return (StatusCode::BAD_REQUEST, "the token is not base64").into_response();
        }
        Err(status) => return status.into_response(),
    };
    let Some(admission) = hub.admit(&parts.uri, token.as_deref()) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let upgrade = match Upgrade::of(&mut parts) {
        Ok(upgrade) => upgrade.queue(hub.inner.queue),
        Err(refused) => return refused.into_response(),
    };
    upgrade.accept(protocol, hub.inner.limits, move |socket| connection(hub, socket, admission))
}

impl Hub {
    pub(super) fn may_come_from(&self, headers: &HeaderMap, origins: &Origins) -> bool {
        match &*self.inner.hosts {
            [] => origins.allow(headers),
            hosts => comes_from(hosts, headers),
        }
    }

    /// Decides whether a client may connect; `None` is Phoenix's 403.
    pub(super) fn admit(&self, uri: &Uri, token: Option<&str>) -> Option<Admission> {
        let Query(params) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
        // Of equal parameters the last counts.
        let param =
            |name: &str| params.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let is_list = |name: &str| {
            params.iter().any(|(key, _)| key.starts_with(name) && key[name.len()..].starts_with('['))
        };
        if is_list("vsn") {
            return None;
        }
        let version = param("vsn").map_or(Some(Version::V1), Version::of)?;
        if !self.inner.guard.admits(token.or_else(|| param("token"))) {
            return None;
        }
        let mut name = None;
        if self.inner.test_channels {
            if matches!(param("deny"), Some("error" | "reason")) {
                return None;
            }
            name = param("uid").map(|uid| format!("user_socket:{uid}").into());
        }
        Some(Admission { version, name })
    }
}

/// The subprotocol to answer with, and the token that came in another.
fn subprotocol(
    headers: &HeaderMap,
    tokens: bool,
) -> Result<(Option<&'static str>, Option<String>), StatusCode> {
    if !tokens {
        return Ok((None, None));
    }
    let offered: Vec<&str> = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let token = match offered.iter().find_map(|offered| offered.strip_prefix(BEARER)) {
        Some(token) => Some(decode_token(token).ok_or(StatusCode::INTERNAL_SERVER_ERROR)?),
        None => None,
    };
    let mut others = offered.iter().filter(|offered| !offered.starts_with(BEARER)).peekable();
    if others.peek().is_none() {
        return Ok((None, token));
    }
    if others.any(|offered| *offered == "phoenix") {
        Ok((Some("phoenix"), token))
    } else {
        Err(StatusCode::FORBIDDEN)
    }
}

/// Either alphabet of base64, padded or not: clients disagree.
fn decode_token(text: &str) -> Option<String> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decode = |alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok();
    String::from_utf8(decode(&alphabet::URL_SAFE).or_else(|| decode(&alphabet::STANDARD))?).ok()
}

/// Whether a request's `Origin` is one of `hosts`, whatever its port; `*.example.org` also means `example.org`.
/// Programs that are not browsers send none.
fn comes_from(hosts: &[String], headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Some(host) = origin.to_str().ok().and_then(origin_host) else { return false };
    let host = host.to_ascii_lowercase();
    hosts.iter().any(|allowed| match allowed.strip_prefix("*.") {
        Some(domain) => host == domain || host.strip_suffix(domain).is_some_and(|sub| sub.ends_with('.')),
        None => host == *allowed,
    })
}

/// The host of `scheme://host:port`.
fn origin_host(origin: &str) -> Option<&str> {
    let (_, authority) = origin.split_once("://")?;
    let host = without_port(authority.split('/').next()?);
    (!host.is_empty()).then_some(host)
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// The life of one connection.
async fn connection(hub: Hub, mut ws: ws::Socket, admission: Admission) {
    let shared = &hub.inner.shared;
    let id = shared.id();
    shared.connected(id, admission.name.clone(), ws.outbox());
    ws.set_idle_timeout(Some(hub.inner.idle));
    let mut socket =
        Socket::new(Arc::clone(shared), Arc::clone(ws.outbox()), admission.version, admission.name);
    let end = converse(&hub, &mut ws, &mut socket).await;
    tracing::debug!(%end, "a hub connection ended");
    hub.with_effects(|effects| socket.close(effects));
    shared.disconnected(id);
    ws.finish().await;
}

async fn converse(hub: &Hub, ws: &mut ws::Socket, socket: &mut Socket) -> End {
    let mut pace = Pace::new(hub.inner.rate);
    loop {
        let ready = if socket.is_leaving() {
            match tokio::time::timeout(GRACE, ws.ready()).await {
                Ok(ready) => ready,
                Err(_) => match hub.with_effects(|effects| socket.settle(effects)) {
                    Ok(()) => continue,
                    Err(fatal) => return End::fatal(ws, fatal),
                },
            }
        } else {
            ws.ready().await
        };
        if let Err(closed) = ready {
            return End::Closed(closed);
        }
        let mut more = true;
        while more {
            // One batch: its output is written when all of it has been handled.
            let (count, result) = hub.with_effects(|effects| batch(ws, socket, effects));
            match result {
                Ok(another) => more = another,
                Err(end) => return end,
            }
            if let Some(wait) = pace.spend(count)
                && let Err(closed) = ws.pause(wait).await
            {
                return End::Closed(closed);
            }
            if more {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Handles what has come, a turn's worth at most. Answers how many messages that was, and whether there is more.
fn batch(ws: &mut ws::Socket, socket: &mut Socket, effects: &mut Effects) -> (usize, Result<bool, End>) {
    for count in 0..TURN {
        let mut handled = Ok(());
        let more = ws.decode_one(&mut |message| {
            handled = match message {
                Incoming::Text(text) => socket.text(text.as_bytes(), effects),
                Incoming::Binary(bytes) => socket.binary(bytes, effects),
                Incoming::Ping(_) | Incoming::Pong | Incoming::Close(_) => Ok(()),
            };
        });
        if let Err(fatal) = handled {
            return (count, Err(End::fatal(ws, fatal)));
        }
        match more {
            Ok(true) => {}
            Ok(false) => return (count, Ok(false)),
            Err(closed) => return (count, Err(End::Closed(closed))),
        }
    }
    (TURN, Ok(true))
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Closed(ws::Closed),
    #[error("the client sent what is no message: {0}")]
    Fatal(Fatal),
}

impl End {
    fn fatal(ws: &ws::Socket, fatal: Fatal) -> Self {
        ws.outbox().close(1011);
        Self::Fatal(fatal)
    }
}

/// How fast a client may send: beyond that it is read more slowly, which it notices as its own buffers fill.
struct Pace {
    rate: f64,
    credit: f64,
    at: Instant,
}

impl Pace {
    fn new(rate: u32) -> Self {
        let rate = f64::from(rate);
        Self { rate, credit: rate, at: Instant::now() }
    }

    /// Pays for some messages; answers how long to wait when the credit (a second's worth) is used up.
    fn spend(&mut self, messages: usize) -> Option<Duration> {
        self.credit -= messages as f64;
        if self.credit > 0.0 {
            return None;
        }
        let now = Instant::now();
        let earned = now.duration_since(self.at).as_secs_f64() * self.rate;
        self.at = now;
        self.credit = (self.credit + earned).min(self.rate);
        (self.credit < 0.0).then(|| Duration::from_secs_f64(-self.credit / self.rate))
    }
}
