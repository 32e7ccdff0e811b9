//! Carries out what [`state`](super::state) decides: sockets, clock, timeline.

use std::future::ready;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::channel::Channel;
use super::events::Credentials;
use super::fanout::Fanout;
use super::keys::Grant;
use super::state::{ClientId, Input, Output, State};
use crate::clock::Moment;
use crate::socketio::{self, Incoming, Member, Message, send_when_drained};
use crate::timeline::{Bus, Source, Value};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use serde_json::value::RawValue;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, SocketRef};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The namespace, in lower case only.
pub const NAMESPACE: &str = "/octane";

/// The service at work. Its lock is held for the time it takes to decide and to fill queues, never for I/O.
pub struct Octane {
    inner: Mutex<Inner>,
    timeline: Bus,
    started: Instant,
    clients: AtomicU64,
    this: Weak<Self>,
}

struct Inner {
    state: State,
    fanout: Fanout,
}

impl std::fmt::Debug for Octane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Octane").finish_non_exhaustive()
    }
}

impl Octane {
    pub(super) fn new(state: State, timeline: Bus) -> Arc<Self> {
        let inner = Mutex::new(Inner { state, fanout: Fanout::default() });
        let (started, clients) = (Instant::now(), AtomicU64::new(0));
        Arc::new_cyclic(|this| Self { inner, timeline, started, clients, this: Weak::clone(this) })
    }

    /// What is known of the key, if any, that is presented to REST.
    pub fn check(&self, key: Option<&str>) -> Option<Grant> {
        self.lock().state.keys.check(key, Timestamp::now())
    }

    /// What is simulated and where it is found, in a line for people.
    pub fn summary(&self) -> String {
        let inner = self.lock();
        let facility = &inner.state.road.facility;
        let by_datagrams = inner.state.road.intersections.values().filter(|it| !it.is_simulated()).count();
        let intersections = match (facility.intersections.len(), by_datagrams) {
            (all, 0) => format!("{all} simulated intersections"),
            (all, fed) => format!("{all} intersections, {fed} of them by TSCBM"),
        };
        let who = match (inner.state.keys.is_open(), inner.state.keys.is_empty()) {
            (true, _) => "",
            (false, false) => " · with its keys",
            (false, true) => " · closed: needs --octane-key, --octane-key-file, or --octane-open",
        };
        let name = &facility.name;
        format!(
            "road     {name}: {intersections} · Socket.IO on /octane, REST /api, described at /apidocs{who}"
        )
    }

    /// Hands an input to the state and carries out its outputs.
    pub fn handle(&self, input: Input<'_>) {
        self.handle_event(input, None);
    }

    /// Looks at the state.
    pub fn look<T>(&self, work: impl FnOnce(&State) -> T) -> T {
        work(&self.lock().state)
    }

    /// Looks at the state, or changes it and carries out what comes of it.
    pub fn with<T, E>(&self, work: impl FnOnce(&mut State) -> Result<(T, Vec<Output>), E>) -> Result<T, E> {
        let mut inner = self.lock();
        let (value, outputs) = work(&mut inner.state)?;
        self.carry_out(&mut inner, outputs, None);
        Ok(value)
    }

    /// Asks everybody on `robot` and answers what the first of them returns that is not null.
    ///
    /// Robots of the original return values from their handlers of `robot_proxy`; those reach only a server that
    /// asks for an acknowledgement.
    pub async fn ask_robot(&self, command: Arc<RawValue>, timeout: Duration) -> Option<serde_json::Value> {
        let answers = FuturesUnordered::new();
        {
            let mut inner = self.lock();
            for robot in inner.fanout.members(&Channel::known("robot")) {
                let (ask, asked) = oneshot::channel();
                let question = Message::EventWithAck("robot_proxy", Arc::clone(&command), timeout, ask);
                inner.fanout.send(robot, question);
                answers.push(async move { asked.await.ok()?.await.ok() });
            }
            self.look_after_slow_readers(&mut inner);
        }
        let given = answers.filter_map(ready).filter(|answer| ready(!answer.is_null()));
        tokio::time::timeout(timeout, pin!(given).next()).await.ok()?
    }

    /// Takes clients on the namespace.
    pub(super) fn attach(self: &Arc<Self>, io: &SocketIo) {
        let octane = Arc::clone(self);
        socketio::serve(io, NAMESPACE, move |socket, auth| octane.join(socket, auth));
    }

    fn join(self: &Arc<Self>, socket: &SocketRef, auth: serde_json::Value) -> Client {
        let key = serde_json::from_value(auth).ok().map(|it: Credentials| it.key);
        let key = key.or_else(|| key_of_request(socket));
        let id = self.clients.fetch_add(1, Ordering::Relaxed);
        self.lock().fanout.add(id, socket);
        self.handle(Input::Opened { client: id, key });
        Client { octane: Arc::clone(self), id }
    }

    fn handle_event(&self, input: Input<'_>, ack: Option<(ClientId, AckSender)>) {
        let mut inner = self.lock();
        let outputs = inner.state.handle(self.now(), input);
        self.carry_out(&mut inner, outputs, ack);
    }

    fn carry_out(&self, inner: &mut Inner, outputs: Vec<Output>, mut ack: Option<(ClientId, AckSender)>) {
        for output in outputs {
            match output {
                Output::Emit { client, event, data } => {
                    inner.fanout.send(client, Message::Event(event, data));
                }
                Output::Acknowledge => {
                    if let Some((client, ack)) = ack.take() {
                        inner.fanout.send(client, Message::Ack(ack));
                    }
                }
                Output::Publish(publication) => {
                    if publication.record {
                        let topic = publication.signal.as_deref().unwrap_or(publication.event);
                        let value = Value::Written(publication.data.clone());
                        self.timeline.publish(Source::Road, topic, value);
                    }
                    inner.fanout.publish(publication);
                }
                Output::Join { client, channel } => inner.fanout.join(client, channel),
                Output::Leave { client, channel } => inner.fanout.leave(client, &channel),
                Output::Disconnect { client } => inner.fanout.disconnect(client),
                Output::Note { topic, value } => {
                    self.timeline.publish(Source::Road, topic, Value::Json(value));
                }
            }
        }
        self.look_after_slow_readers(inner);
    }

    /// Sees to it that whoever has been set apart gets what waits for them.
    fn look_after_slow_readers(&self, inner: &mut Inner) {
        for (client, connection) in inner.fanout.take_fallen_behind() {
            tracing::debug!(client, "reads slowly: its telemetry is conflated");
            let octane = Weak::clone(&self.this);
            let send_waiting =
                move || octane.upgrade().is_none_or(|octane| octane.lock().fanout.send_waiting(client));
            tokio::spawn(send_when_drained(connection, send_waiting));
        }
    }

    /// Now, counted from the start of the service.
    pub(super) fn now(&self) -> Moment {
        Moment::since(self.started)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client on the namespace.
struct Client {
    octane: Arc<Octane>,
    id: ClientId,
}

impl Member for Client {
    fn handle(&self, incoming: Incoming<'_>) {
        let Incoming { event, data, ack } = incoming;
        let input = Input::Event { client: self.id, name: &event, data };
        self.octane.handle_event(input, ack.map(|ack| (self.id, ack)));
    }

    fn leave(&self) {
        let mut inner = self.octane.lock();
        inner.fanout.remove(self.id);
        let outputs = inner.state.handle(self.octane.now(), Input::Closed { client: self.id });
        self.octane.carry_out(&mut inner, outputs, None);
    }
}

/// The key in the query or in a header of the request that opened the connection.
fn key_of_request(socket: &SocketRef) -> Option<String> {
    let request = socket.req_parts();
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&request.uri).ok();
    let in_query =
        query.and_then(|query| query.0.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("x-api-key")));
    let in_header = || request.headers.get("x-api-key")?.to_str().ok().map(str::to_owned);
    in_query.map(|(_, key)| key).or_else(in_header)
}
