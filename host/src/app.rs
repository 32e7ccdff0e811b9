//! The application: every service on one router. Only this, `config` and the command line import services.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use axum::Router;
use serde_json::Value;
use socketioxide::SocketIo;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::auth::Exposure;
use crate::car::{Car, relay_commands};
use crate::config::Options;
use crate::dashboard;
use crate::http_server::{Timeouts, serve};
use crate::origin::Origins;
use crate::services::dfx::{self, Dfx};
use crate::services::hub::timeline::Timeline;
use crate::services::hub::{self, Hub};
use crate::services::obd::{self, Obd};
use crate::services::octane::handlers::Octane;
use crate::services::relay::events::MonitorId;
use crate::services::relay::{self, Relay};
use crate::services::{Context, octane};
use crate::socketio::{self, Incoming, Member};
use crate::static_files;
use crate::timeline::Bus;

/// Why the application could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The car.
    #[error(transparent)]
    Obd(#[from] obd::BuildError),
    /// The DFX endpoint.
    #[error(transparent)]
    Dfx(#[from] dfx::BuildError),
    /// The dashboard.
    #[error(transparent)]
    Dashboard(#[from] dashboard::UnknownName),
    /// The folder of static files.
    #[error(transparent)]
    Static(#[from] static_files::NotADirectory),
    /// The hub's database cannot be opened.
    #[error(transparent)]
    Hub(#[from] hub::history::OpenError),
    /// The road could not be started.
    #[error(transparent)]
    Octane(#[from] octane::StartError),
}

/// Everything that `serve` runs, ready to be given a listener.
#[derive(Debug)]
pub struct App {
    router: Router,
    /// Who was to be able to reach it when it was built, and was let in without a key accordingly.
    exposure: Exposure,
    io: SocketIo,
    car: Car,
    relay: Relay,
    hub: Hub,
    dfx: Dfx,
    timeline: Bus,
    summary: Vec<String>,
    /// Goes on only as long as somebody holds it.
    road: Arc<Octane>,
    /// Ends what would go on for as long as somebody listens.
    end: CancellationToken,
}

impl App {
    /// Builds every service. Nothing listens yet, but background work (the adapter, the road) has begun.
    ///
    /// # Errors
    /// When an option cannot be honoured; the error names it.
    pub async fn new(options: &Options) -> Result<Self, BuildError> {
        Self::with_topics(options, hub::Topics::new()).await
    }

    /// The same, with Phoenix topics of one's own beside those of the rooms and of the timeline.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub async fn with_topics(options: &Options, topics: hub::Topics) -> Result<Self, BuildError> {
        let (layer, io) = socketio::server();
        let timeline = Bus::with_latest();
        let end = CancellationToken::new();
        let exposure = Exposure::of(options.listen);
        let context = Context { timeline: timeline.clone(), exposure };
        let obd = Obd::new(&options.obd, &context)?;
        obd.mount(&io);
        let relay = Relay::new(&options.relay, &context);
        relay.mount(&io);
        serve_root(&io, &obd, &relay);
        let dfx = Dfx::new(&options.dfx, &context)?;
        let road = octane::start(&options.octane, &context, &io).await?;
        let guard = options.dashboard.guard(exposure);
        let topics = topics.with("timeline:*", Timeline::new(timeline.clone(), guard.clone()));
        let hub = Hub::new(&options.hub, &context, topics).await?;
        let parts = dashboard::Parts {
            guard: guard.clone(),
            timeline: timeline.clone(),
            car: obd.car().clone(),
            plan: plan(&road),
            end: end.clone(),
        };
        let router = dashboard::routes(&options.dashboard, parts)?;
        let router = router.merge(octane::rest::routes(Arc::clone(&road)));
        let router = dfx.at_root(router.merge(dfx.routes()));
        let router = static_files::with_fallback(router, options.static_files.as_deref())?;
        // The guard is outermost so that it also answers for the Socket.IO transports.
        let origins = Origins::new(&options.allow_origin, exposure);
        // The hub checks origins as Phoenix does, the guard all others.
        // Merged in this order: of two routers without a fallback of their own the second's is kept, and Socket.IO
        // answers from around it.
        let router = hub.router(&origins).merge(origins.guard(socketio::attach(router, layer)));
        let mut summary = vec![obd.summary(), road.summary(), relay.summary().to_owned()];
        if options.relay.relay_car {
            let id = offer_car(&relay, obd.car().clone());
            summary.push(format!("         the car is monitor {id}"));
            let usual = options.listen == Options::default().listen;
            let server = if usual { String::new() } else { format!(" --server http://{}", options.listen) };
            summary.push(format!("         try: cloverleaf relay user --id {id}{server} help"));
        }
        summary.extend([
            hub.summary(),
            dfx.summary().to_owned(),
            guard.summary("dashboard", "page     the dashboard at /"),
        ]);
        let car = obd.car().clone();
        Ok(Self { router, exposure, io, car, relay, hub, dfx, timeline, summary, road, end })
    }

    /// What is served and where, a line each, for people.
    pub fn summary(&self) -> &[String] {
        &self.summary
    }

    /// The car.
    pub fn car(&self) -> &Car {
        &self.car
    }

    /// The relay, to which this program may [attach](Relay::attach) a monitor.
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// The Socket.IO server, for namespaces of one's own: see [`socketio::serve`].
    pub fn socketio(&self) -> &SocketIo {
        &self.io
    }

    /// The road.
    pub fn road(&self) -> &Arc<Octane> {
        &self.road
    }

    /// The bus on which all services publish.
    pub fn timeline(&self) -> &Bus {
        &self.timeline
    }

    /// The routes, for tests and for embedding under another server. Whom they let in without a key follows from
    /// [`Options::listen`]: if that is a loopback address, everybody; the network must not reach them then.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Serves connections until `shutdown` is ready, then tells clients and closes.
    ///
    /// # Errors
    /// When the listener fails; [`InvalidInput`](ErrorKind::InvalidInput) when the network can reach it and
    /// [`Options::listen`] is a loopback address, where everybody is let in.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let address = listener.local_addr()?;
        if self.exposure == Exposure::Loopback && Exposure::of(address) == Exposure::Network {
            let why = format!(
                "the network can reach {address}, but the server was built to let in everybody on this machine: say where it \
                 listens with --listen (Options::listen)"
            );
            return Err(io::Error::new(ErrorKind::InvalidInput, why));
        }
        let timeouts = Timeouts::default();
        let (hub, dfx, io) = (self.hub.clone(), self.dfx.clone(), self.io.clone());
        let shutdown = async move {
            shutdown.await;
            hub.drain();
            dfx.drain();
            self.end.cancel();
            // Polling clients would otherwise hold the shutdown for their whole poll. It waits for everything to be
            // sent, and some do not read.
            if tokio::time::timeout(timeouts.grace, io.close()).await.is_err() {
                tracing::debug!("some Socket.IO clients do not read that this is the end");
            }
        };
        serve(listener, self.router, timeouts, shutdown).await
    }
}

/// What stands on the road, and where, by kind.
fn plan(road: &Octane) -> Value {
    use octane::resource::Kind;
    let kinds = [Kind::Intersection, Kind::Crosswalk, Kind::RailCrossing, Kind::Gate, Kind::Garage];
    let told = ["id", "name", "latitude", "longitude", "intersection", "streetMain", "streetCross"];
    let places = |kind| {
        let mut items = road.look(|state| state.items(kind));
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            item.retain(|name, _| told.contains(&name.as_str()));
        }
        Value::from(items)
    };
    kinds.into_iter().map(|kind| (kind.name().to_owned(), places(kind))).collect()
}

/// The root namespace, which services share: an event goes to the service that knows it. The event `query` has two
/// owners: a string is an OBD command, anything else is meant to name the relay's monitor.
fn serve_root(io: &SocketIo, obd: &Obd, relay: &Relay) {
    let (obd, relay) = (obd.clone(), relay.clone());
    socketio::serve(io, "/", move |socket, auth| Root {
        car: obd.join(socket, &auth),
        relay: relay.join(socket, &auth),
    });
}

/// A socket on the root namespace is a client of both.
struct Root {
    car: obd::Client,
    relay: relay::Client,
}

impl Member for Root {
    fn handle(&self, incoming: Incoming<'_>) {
        if self.relay.knows(&incoming) {
            self.relay.handle(incoming);
        } else if self.car.knows(&incoming) {
            self.car.handle(incoming);
        }
    }

    fn leave(&self) {
        self.car.leave();
        self.relay.leave();
    }
}

/// Makes the car a monitor of the relay, so that users can read it. Returns its id, which is new every time.
fn offer_car(relay: &Relay, car: Car) -> MonitorId {
    loop {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let Some(id) = MonitorId::new(&id) else { continue };
        let car = car.clone();
        let execute = move |command: String| {
            let car = car.clone();
            async move {
                let line =
                    relay_commands::execute(&car, &command).await.map_err(|error| error.to_string())?;
                Ok(line + "\n")
            }
        };
        if relay.attach(id.clone(), execute).is_some() {
            return id;
        }
    }
}
