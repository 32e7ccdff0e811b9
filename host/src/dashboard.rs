//! The page at `/`: what the five conversations are saying, live.
//!
//! Three files without a build step, embedded in the program, and one stream of server-sent events at
//! `/timeline`: first the newest entry of every topic, then everything as it happens, one JSON object an event.
//! A reader that is too slow loses the oldest entries and gets an event `missed` with their number.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;

use crate::auth::Key;
use crate::config::Exposure;
use crate::timeline::{Entry, Latest, Missed};

/// Options of the dashboard.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Ask for this key before showing the timeline (`/?key=KEY`); required for it to be shown beyond this machine
    #[arg(long, env = "CLOVERLEAF_DASHBOARD_KEY", value_name = "KEY", hide_env_values = true)]
    pub dashboard_key: Option<Key>,
}

#[derive(Clone, Debug)]
struct Dashboard {
    timeline: Latest,
    key: Option<Key>,
    exposure: Exposure,
}

/// The page's routes.
pub fn routes(options: &Options, exposure: Exposure, timeline: Latest) -> Router {
    let dashboard = Dashboard { timeline, key: options.dashboard_key.clone(), exposure };
    Router::new()
        .route("/", get(|| file("text/html", include_str!("../dashboard/index.html"))))
        .route("/app.js", get(|| file("text/javascript", include_str!("../dashboard/app.js"))))
        .route("/style.css", get(|| file("text/css", include_str!("../dashboard/style.css"))))
        .route("/timeline", get(follow))
        .with_state(Arc::new(dashboard))
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'";
    let kind = format!("{kind}; charset=utf-8");
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, policy.to_owned())], text)
}

#[derive(Deserialize)]
struct Access {
    key: Option<String>,
}

async fn follow(State(dashboard): State<Arc<Dashboard>>, Query(access): Query<Access>) -> Response {
    let open = match &dashboard.key {
        Some(key) => access.key.is_some_and(|presented| key.matches(&presented)),
        None => dashboard.exposure == Exposure::Loopback,
    };
    if open {
        Sse::new(events(&dashboard.timeline)).keep_alive(KeepAlive::default()).into_response()
    } else {
        let reason =
            "the timeline needs its key: start the server with --dashboard-key KEY and open /?key=KEY\n";
        (StatusCode::UNAUTHORIZED, reason).into_response()
    }
}

fn events(timeline: &Latest) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let (present, future) = timeline.subscribe();
    let future = stream::unfold(future, |mut future| async { Some((future.next().await?, future)) });
    stream::iter(present.into_iter().map(Ok)).chain(future).map(|entry| Ok(event(entry)))
}

fn event(entry: Result<Arc<Entry>, Missed>) -> Event {
    match entry {
        // The fallback cannot be reached: an entry has nothing that JSON cannot hold.
        Ok(entry) => Event::default().json_data(&*entry).unwrap_or_default(),
        Err(Missed(count)) => Event::default().event("missed").data(count.to_string()),
    }
}
