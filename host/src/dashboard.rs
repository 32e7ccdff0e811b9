//! The page at `/`: what the five conversations are saying, live.
//!
//! Plain files without a build step, embedded in the program, and one stream of server-sent events at `/timeline`:
//!
//! | event | data |
//! |---|---|
//! | `plan` | once at the beginning: what stands on the road, and where |
//! | `present` | then the newest entry of every topic, oldest first |
//! | (none) | then every entry as it happens |
//! | `missed` | the reader was too slow: so many of the oldest entries are lost |
//!
//! An entry is one JSON object: `time`, `source`, `topic`, `value`. The page asks for nothing else, so what it shows can
//! be followed by a program, too. While somebody looks, a few values of the car are watched for the page.

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
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::auth::{Exposure, Guard, Key};
use crate::car::{Car, Item};
use crate::timeline::{Bus, Missed};

/// Options of the dashboard.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Dashboard")]
#[group(skip)]
pub struct Options {
    /// What whoever opens the dashboard must present: /?key=KEY
    #[arg(long, env = "CLOVERLEAF_DASHBOARD_KEY", value_name = "KEY", hide_env_values = true)]
    pub dashboard_key: Option<Key>,

    /// Show the dashboard's timeline to everyone in the network without a key
    #[arg(long, env = "CLOVERLEAF_DASHBOARD_OPEN")]
    pub dashboard_open: bool,

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

impl Options {
    /// Whom the timeline is shown to.
    pub fn guard(&self, exposure: Exposure) -> Guard {
        Guard::new(self.dashboard_key.clone(), self.dashboard_open, exposure)
    }
}

/// How often each of them is asked for.
const WATCH_PERIOD: Duration = Duration::from_millis(500);

/// What changes seldom, and how often it is asked for: the voltage at the socket, the stored trouble codes.
const WATCHED_SELDOM: [&str; 2] = ["ELM_VOLTAGE", "GET_DTC"];
const SELDOM: Duration = Duration::from_secs(5);

/// What the page needs of the server.
#[derive(Debug)]
pub struct Parts {
    /// Whom the timeline is shown to.
    pub guard: Guard,
    /// What is shown.
    pub timeline: Bus,
    /// Who is asked while somebody looks.
    pub car: Car,
    /// What stands on the road, and where.
    pub plan: serde_json::Value,
    /// When the server stops, so that the streams of open pages end.
    pub end: CancellationToken,
}

#[derive(Debug)]
struct Dashboard {
    guard: Guard,
    timeline: Bus,
    car: Car,
    watched: Vec<(Item, Duration)>,
    plan: serde_json::Value,
    end: CancellationToken,
}

/// A name that the page should watch is not one of the car's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--dashboard-watch: {0} is no command that reads the car; `cloverleaf obd commands` lists them")]
pub struct UnknownName(pub String);

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page's files: path, kind, text.
#[rustfmt::skip]
const FILES: [(&str, &str, &str); 12] = [
    ("/",                      HTML,   include_str!("../dashboard/index.html")),
    ("/dashboard/style.css",   CSS,    include_str!("../dashboard/style.css")),
    ("/dashboard/panels.css",  CSS,    include_str!("../dashboard/panels.css")),
    ("/dashboard/app.js",      SCRIPT, include_str!("../dashboard/app.js")),
    ("/dashboard/dom.js",      SCRIPT, include_str!("../dashboard/dom.js")),
    ("/dashboard/dial.js",     SCRIPT, include_str!("../dashboard/dial.js")),
    ("/dashboard/car.js",      SCRIPT, include_str!("../dashboard/car.js")),
    ("/dashboard/road.js",     SCRIPT, include_str!("../dashboard/road.js")),
    ("/dashboard/device.js",   SCRIPT, include_str!("../dashboard/device.js")),
    ("/dashboard/crew.js",     SCRIPT, include_str!("../dashboard/crew.js")),
    ("/dashboard/driver.js",   SCRIPT, include_str!("../dashboard/driver.js")),
    ("/dashboard/timeline.js", SCRIPT, include_str!("../dashboard/timeline.js")),
];

/// The page takes everything from this server and nothing from anywhere else, and no text is ever run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page's routes.
///
/// # Errors
/// When the options name something that the car does not know.
pub fn routes(options: &Options, parts: Parts) -> Result<Router, UnknownName> {
    let Parts { guard, timeline, car, plan, end } = parts;
    let often = options.dashboard_watch.iter().map(|name| (name.as_str(), WATCH_PERIOD));
    let watched = often
        .chain(WATCHED_SELDOM.map(|name| (name, SELDOM)))
        .map(|(name, period)| {
            let item = car.find(name).filter(Item::only_reads);
            Ok((item.ok_or_else(|| UnknownName(name.to_owned()))?, period))
        })
        .collect::<Result<_, _>>()?;
    let dashboard = Dashboard { guard, timeline, car, watched, plan, end };
    let router = Router::new().route("/timeline", get(follow)).with_state(Arc::new(dashboard));
    Ok(FILES.iter().fold(router, |router, &(path, kind, text)| {
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // The page's own address may hold its key.
            (header::REFERRER_POLICY, "no-referrer"),
            // Another version of the program has other files.
            (header::CACHE_CONTROL, "no-cache"),
        ];
        router.route(path, get(move || std::future::ready((headers, text))))
    }))
}

#[derive(Deserialize)]
struct Access {
    key: Option<String>,
}

async fn follow(State(dashboard): State<Arc<Dashboard>>, Query(access): Query<Access>) -> Response {
    if dashboard.guard.admits(access.key.as_deref()) {
        Sse::new(events(&dashboard)).keep_alive(KeepAlive::default()).into_response()
    } else {
        let reason = "the timeline needs its key: start the server with --dashboard-key KEY (or --dashboard-open) and open /?key=KEY\n";
        (StatusCode::UNAUTHORIZED, reason).into_response()
    }
}

fn events(dashboard: &Dashboard) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    // Dropped with the stream, when the reader leaves.
    let watcher = dashboard.car.watcher();
    watcher.watch(dashboard.watched.iter().cloned());
    let (present, future) = dashboard.timeline.subscribe_with_latest();
    let plan = json("plan", &dashboard.plan);
    let present = present.into_iter().map(|entry| json("present", &*entry));
    let future = stream::unfold((future, watcher), async |(mut future, watcher)| {
        let event = match future.next().await? {
            Ok(entry) => json("", &*entry),
            Err(Missed(count)) => Event::default().event("missed").data(count.to_string()),
        };
        Some((event, (future, watcher)))
    });
    stream::iter([plan].into_iter().chain(present))
        .chain(future)
        .take_until(dashboard.end.clone().cancelled_owned())
        .map(Ok)
}

fn json(name: &str, data: &impl Serialize) -> Event {
    let event = if name.is_empty() { Event::default() } else { Event::default().event(name) };
    // The fallback cannot be reached: an entry has nothing that JSON cannot hold.
    event.json_data(data).unwrap_or_default()
}
