//! A server of one's own around the car: the events of obd-socketio, one event more, and a page.
//!
//! ```sh
//! cargo run --example custom_events            # then, in a browser: http://127.0.0.1:5001
//! ```
//!
//! `shift_light` answers whether the driver should shift up, and is pushed whenever that changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use cloverleaf::auth::Exposure;
use cloverleaf::config::Options;
use cloverleaf::http_server::{Timeouts, serve};
use cloverleaf::origin::Origins;
use cloverleaf::services::Context;
use cloverleaf::services::obd::{self, Obd};
use cloverleaf::socketio::{self, Incoming, Member};
use cloverleaf::timeline::{Bus, Value};
use socketioxide::extract::SocketRef;
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;

/// Shift up from this engine speed on.
const SHIFT_AT: f64 = 2_200.0;

static SHIFT: AtomicBool = AtomicBool::new(false);

/// A client of the car's service and of ours.
struct Driver {
    socket: SocketRef,
    car: obd::Client,
}

impl Member for Driver {
    fn handle(&self, incoming: Incoming) {
        if self.car.knows(&incoming) {
            self.car.handle(incoming);
        } else if incoming.event == "shift_light"
            && let Err(error) = self.socket.emit("shift_light", &SHIFT.load(Ordering::Relaxed))
        {
            eprintln!("a client does not read: {error}");
        }
    }

    fn leave(&self) {
        self.car.leave();
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:5001").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let shutdown = async { drop(tokio::signal::ctrl_c().await) };
    serve(listener, router()?, Timeouts::default(), shutdown).await?;
    Ok(())
}

/// The whole server, for a listener that only this machine can reach.
pub(crate) fn router() -> anyhow::Result<Router> {
    let exposure = Exposure::Loopback;
    let (layer, io) = socketio::server();
    let context = Context { timeline: Bus::new(), exposure };
    let obd = Obd::new(&Options::default().obd, &context)?;

    // Whatever the service knows is its own; the rest is ours.
    let service = obd.clone();
    socketio::serve(&io, "/", move |socket, auth| Driver {
        socket: socket.clone(),
        car: service.join(socket, &auth),
    });

    // The car itself: ask for RPM ten times a second and tell everyone when the light changes.
    let car = obd.car().clone();
    let everyone = io.clone();
    tokio::spawn(async move {
        let Some(rpm) = car.find("RPM") else { return };
        let watcher = car.watcher();
        watcher.watch([(rpm, Duration::from_millis(100))]);
        let mut readings = car.readings();
        loop {
            let reading = match readings.recv().await {
                Ok(reading) => reading,
                // Too slow for some; the next is newer anyway.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            };
            // What clients watch comes by here as well.
            if reading.item.name() == "RPM"
                && let Ok(Value::Quantity { value, .. }) = reading.to_timeline()
            {
                let shift = value >= SHIFT_AT;
                if SHIFT.swap(shift, Ordering::Relaxed) != shift
                    && let Err(error) = everyone.emit("shift_light", &shift).await
                {
                    eprintln!("not everyone was told: {error}");
                }
            }
        }
    });

    let page = get(async || Html("<h1>Cloverleaf</h1><p>Connect a Socket.IO client to this port.</p>"));
    let router = socketio::attach(Router::new().route("/", page), layer);
    // Outermost: otherwise any page that somebody visits could drive the car.
    Ok(Origins::new(&[], exposure).guard(router))
}
