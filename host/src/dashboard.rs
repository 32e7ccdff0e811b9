//! The page at `/`: what the five conversations are saying, live.
//!
//! Three files without a build step, embedded in the program, and one stream of server-sent events at
//! `/timeline`: first the newest entry of every topic, then everything as it happens, one JSON object an event.
//! A reader that is too slow loses the oldest entries and gets an event `missed` with their number. While somebody
//! looks, a few values of the car are watched for the page.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;

use crate::auth::{Guard, Key};
use crate::car::{Car, Item};
use crate::timeline::{Entry, Latest, Missed};

/// Options of the dashboard.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Ask for this key before showing the timeline (`/?key=KEY`); required for it to be shown beyond this machine
    #[arg(long, env = "CLOVERLEAF_DASHBOARD_KEY", value_name = "KEY", hide_env_values = true)]
    pub dashboard_key: Option<Key>,

    /// What to ask the car while somebody looks at the page, twice a second each
    #[arg(
        long,
        env = "CLOVERLEAF_DASHBOARD_WATCH",
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "RPM,SPEED,THROTTLE_POS,ENGINE_LOAD,COOLANT_TEMP,INTAKE_TEMP,FUEL_LEVEL"
    )]
    pub dashboard_watch: Vec<String>,
}

/// How often each of them is asked for.
const WATCH_PERIOD: Duration = Duration::from_millis(500);

#[derive(Clone, Debug)]
struct Dashboard {
    timeline: Latest,
    guard: Guard,
    car: Car,
    watched: Vec<Item>,
}

/// A name that the page should watch is not one of the car's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--dashboard-watch: {0} is no command of the car; `cloverleaf obd commands` lists them")]
pub struct UnknownName(pub String);

/// The page's routes.
///
/// # Errors
/// When the options name something that the car does not know.
pub fn routes(options: &Options, guard: Guard, timeline: Latest, car: Car) -> Result<Router, UnknownName> {
    let names = options.dashboard_watch.iter();
    let watched = names
        .map(|name| car.find(name).ok_or_else(|| UnknownName(name.clone())))
        .collect::<Result<_, _>>()?;
    let dashboard = Dashboard { timeline, guard, car, watched };
    Ok(Router::new()
        .route("/", get(|| file("text/html", include_str!("../dashboard/index.html"))))
        .route("/app.js", get(|| file("text/javascript", include_str!("../dashboard/app.js"))))
        .route("/style.css", get(|| file("text/css", include_str!("../dashboard/style.css"))))
        .route("/timeline", get(follow))
        .with_state(Arc::new(dashboard)))
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
    if dashboard.guard.admits(access.key.as_deref()) {
        Sse::new(events(&dashboard)).keep_alive(KeepAlive::default()).into_response()
    } else {
        let reason =
            "the timeline needs its key: start the server with --dashboard-key KEY and open /?key=KEY\n";
        (StatusCode::UNAUTHORIZED, reason).into_response()
    }
}

fn events(dashboard: &Dashboard) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    // Dropped with the stream, when the reader leaves.
    let watcher = dashboard.car.watcher();
    watcher.watch(dashboard.watched.iter().map(|item| (item.clone(), WATCH_PERIOD)));
    let (present, future) = dashboard.timeline.subscribe();
    let future = stream::unfold((future, watcher), async |(mut future, watcher)| {
        Some((future.next().await?, (future, watcher)))
    });
    stream::iter(present.into_iter().map(Ok)).chain(future).map(|entry| Ok(event(entry)))
}

fn event(entry: Result<Arc<Entry>, Missed>) -> Event {
    match entry {
        // The fallback cannot be reached: an entry has nothing that JSON cannot hold.
        Ok(entry) => Event::default().json_data(&*entry).unwrap_or_default(),
        Err(Missed(count)) => Event::default().event("missed").data(count.to_string()),
    }
}
