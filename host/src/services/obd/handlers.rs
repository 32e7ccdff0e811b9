//! Carries out what the state decides: emits, asks the car, opens and closes it.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use cloverleaf_core::obd2::Command;
use serde::Serialize;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, SocketRef};
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::task::AbortOnDropHandle;

use super::events::Response;
use super::state::{Body, Input, Output, State, View};
use crate::auth::Guard;
use crate::car::{Car, Item, Watcher};
use crate::socketio::{self, Connection, Incoming, Member};
use crate::transport::serial;
use crate::transport::simulator::{self, Simulator};

/// How often values are offered again to clients whose queues were full, and asked whether the car is known: a tick of the
/// state.
const RETRY: Duration = Duration::from_millis(50);
/// About how long a value is on the wire, in bytes.
const VALUE: usize = 256;
/// How long `connect_obd` waits for the car before it says that there is none.
const CONNECT: Duration = Duration::from_secs(20);

/// The service; clones share it.
#[derive(Clone, Debug)]
pub struct Obd {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    car: Car,
    guard: Guard,
    watcher: Watcher,
    clients: Mutex<Clients>,
    /// Whether everyone will be told already how connecting went.
    connecting: AtomicBool,
    /// The simulated car that onboardpi's clients started, and its port.
    emulator: Mutex<Option<(AbortOnDropHandle<()>, String)>>,
}

/// The state and the sockets behind its clients, under one lock: what is decided is emitted in that order.
#[derive(Debug)]
struct Clients {
    state: State<u64>,
    sockets: HashMap<u64, SocketRef>,
    next: u64,
}

impl Obd {
    pub(super) fn start(car: Car, guard: Guard, period: Duration, onboardpi: bool) -> Self {
        let state = State::new(period, onboardpi);
        let clients = Clients { state, sockets: HashMap::new(), next: 0 };
        let inner = Arc::new(Inner {
            watcher: car.watcher(),
            car,
            guard,
            clients: Mutex::new(clients),
            connecting: AtomicBool::new(false),
            emulator: Mutex::default(),
        });
        tokio::spawn(follow(Arc::downgrade(&inner)));
        Self { inner }
    }

    /// The car behind the service.
    pub fn car(&self) -> &Car {
        &self.inner.car
    }

    /// Whom the service lets in.
    pub fn guard(&self) -> &Guard {
        &self.inner.guard
    }

    /// Serves the namespace `/obd`; the root namespace is shared, and its owner calls [`join`](Self::join).
    pub fn mount(&self, io: &SocketIo) {
        let obd = self.clone();
        socketio::serve(io, "/obd", move |socket, auth| obd.join(socket, &auth));
    }

    /// Takes in a client that connected with this auth payload; whoever calls this sees to it that it
    /// [leaves](Member::leave) when it disconnects.
    pub fn join(&self, socket: &SocketRef, auth: &serde_json::Value) -> Client {
        let admitted = self.inner.guard.admits(socketio::token(socket, auth).as_deref());
        let mut clients = self.inner.lock();
        let id = clients.next;
        clients.next += 1;
        clients.sockets.insert(id, socket.clone());
        self.inner.handle(&mut clients, Input::Connected(id, admitted), None);
        drop(clients);
        Client { inner: self.inner.clone(), id }
    }
}

/// One client of the service.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
    id: u64,
}

impl Client {
    /// Whether an event is for this service: by its name, and a `query` by its argument, because the relay's carry
    /// an object.
    pub fn knows(&self, incoming: &Incoming<'_>) -> bool {
        self.inner.lock().state.knows(&incoming.event)
            && (incoming.event != "query" || !incoming.value().is_object())
    }
}

impl Member for Client {
    /// Handles an event and acknowledges it, if the client wants that.
    fn handle(&self, incoming: Incoming<'_>) {
        let argument = incoming.value();
        let mut clients = self.inner.lock();
        let input = Input::Event(self.id, &incoming.event, &argument);
        let ack = self.inner.handle(&mut clients, input, incoming.ack);
        let socket = clients.sockets.get(&self.id).cloned();
        drop(clients);
        if let Some(ack) = ack
            && ack.send(&socketio::NOTHING).is_err()
            && let Some(socket) = socket
        {
            give_up(&socket);
        }
    }

    /// Forgets the client and what it watches.
    fn leave(&self) {
        let mut clients = self.inner.lock();
        clients.sockets.remove(&self.id);
        self.inner.handle(&mut clients, Input::Disconnected(self.id), None);
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the state decide, and does what it says, in order. Gives the acknowledgement back unless it has to wait
    /// for the car.
    fn handle(
        self: &Arc<Self>,
        clients: &mut Clients,
        input: Input<'_, u64>,
        mut ack: Option<AckSender>,
    ) -> Option<AckSender> {
        let car = self.car.state();
        let find = |name: &str| self.car.find(name);
        let descriptions = self.car.descriptions();
        let view = View { car: &car, adapter: self.car.adapter(), descriptions, find: &find };
        for output in clients.state.handle(view, input) {
            match output {
                Output::Reply(id, event, body) => reply(clients, id, event, &body),
                Output::Push(id, response) => {
                    let Some(socket) = clients.sockets.get(&id) else { continue };
                    // Values wait for room on the connection, of which the newest are sent then.
                    let has_room =
                        Connection::of(socket).is_none_or(|connection| connection.window.take(VALUE));
                    let sent = has_room && socket.emit("watching", &*response).is_ok();
                    if !sent && socket.connected() {
                        clients.state.handle(view, Input::Full(id, response));
                    }
                }
                Output::Broadcast(event) => broadcast(clients, event, &socketio::NOTHING),
                Output::Watch(items) => self.watcher.watch(items),
                Output::Query(id, item) => self.spawn_query(id, item),
                Output::Clear(id) => self.spawn_clear(id, ack.take()),
                Output::Ports(id) => {
                    let ports = serial::ports().into_iter().map(|path| path.display().to_string());
                    reply(clients, id, "available_ports", &Body::Json(ports.collect()));
                }
                Output::Open => self.car.open(),
                Output::Close => self.car.close(),
                Output::Connect => self.spawn_connect(),
                Output::StartEmulator => self.spawn_emulator(),
                Output::StopEmulator => {
                    let running = self.emulator.lock().unwrap_or_else(PoisonError::into_inner).take();
                    if running.is_some() {
                        broadcast(clients, "stop_emulator", &socketio::NOTHING);
                    }
                }
            }
        }
        ack
    }

    /// Asks the car and answers `query`; how many may wait is up to the car.
    fn spawn_query(self: &Arc<Self>, id: u64, item: Item) {
        let inner = self.clone();
        tokio::spawn(async move {
            let reading = inner.car.query(&item).await.ok();
            let response = reading.as_ref().and_then(Response::of).map(Arc::new);
            reply(&inner.lock(), id, "query", &Body::Response(response));
        });
    }

    /// Clears the codes; onboardpi's clients wait for the acknowledgement, others for the event.
    fn spawn_clear(self: &Arc<Self>, id: u64, ack: Option<AckSender>) {
        let Some(item) = Command::of_request(&[0x04]).map(Item::standard) else { return };
        let inner = self.clone();
        tokio::spawn(async move {
            let cleared = match inner.car.query(&item).await {
                Ok(reading) => reading.value().is_ok(),
                Err(_) => false,
            };
            let clients = inner.lock();
            reply(&clients, id, "clear_dtc", &Body::Flag(cleared));
            if let Some(ack) = ack
                && ack.send(&cleared).is_err()
                && let Some(socket) = clients.sockets.get(&id)
            {
                give_up(socket);
            }
        });
    }

    /// Connects, and tells everyone how that went.
    fn spawn_connect(self: &Arc<Self>) {
        self.car.open();
        if self.connecting.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = self.clone();
        tokio::spawn(async move {
            let connected = inner.car.wait_connected(CONNECT).await.is_ok();
            inner.connecting.store(false, Ordering::Release);
            broadcast(&inner.lock(), "connect_obd", &connected);
        });
    }

    /// Offers a simulated car on a port of this machine, unless there is one, and tells everyone which.
    fn spawn_emulator(self: &Arc<Self>) {
        let inner = self.clone();
        tokio::spawn(async move {
            let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await {
                Ok(listener) => listener,
                Err(error) => return tracing::warn!(%error, "there is no port for the emulator"),
            };
            let Ok(address) = listener.local_addr() else { return };
            let mut emulator = inner.emulator.lock().unwrap_or_else(PoisonError::into_inner);
            let (_, port) = emulator.get_or_insert_with(|| {
                let serving = async move {
                    if let Err(error) = Simulator::new(simulator::Options::default()).listen(listener).await {
                        tracing::warn!(%error, "the emulator ended");
                    }
                };
                // As pyserial writes it, for the original's clients.
                (AbortOnDropHandle::new(tokio::spawn(serving)), format!("socket://{address}"))
            });
            let port = port.clone();
            drop(emulator);
            broadcast(&inner.lock(), "emulator_port", &port);
        });
    }
}

/// Tells every client that may use the car.
fn broadcast(clients: &Clients, event: &str, body: &impl Serialize) {
    for (_, socket) in clients.sockets.iter().filter(|(id, _)| clients.state.admits(**id)) {
        Connection::charge(socket);
        if socket.emit(event, body).is_err() {
            give_up(socket);
        }
    }
}

/// Answers a client. One whose queue is full of answers it does not read is sent away: answers are never lost in
/// silence.
fn reply(clients: &Clients, id: u64, event: &str, body: &Body) {
    let Some(socket) = clients.sockets.get(&id) else { return };
    Connection::charge(socket);
    if socket.emit(event, body).is_err() {
        give_up(socket);
    }
}

fn give_up(socket: &SocketRef) {
    if socket.connected() {
        tracing::warn!(id = %socket.id, "a client does not read its answers and is disconnected");
        // It is on its way out; a failure to say so changes nothing.
        let _ = socket.clone().disconnect();
    }
}

/// Tells the clients every value, for as long as there is a service.
async fn follow(service: Weak<Inner>) {
    let Some(mut readings) = service.upgrade().map(|inner| inner.car.readings()) else { return };
    let mut retry = tokio::time::interval(RETRY);
    retry.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let reading = tokio::select! {
            reading = readings.recv() => match reading {
                Ok(reading) => Some(reading),
                // Only old values were lost, and each signal's newest is among those that follow.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            },
            _ = retry.tick() => None,
        };
        let Some(inner) = service.upgrade() else { return };
        let mut clients = inner.lock();
        match reading {
            Some(reading) => inner.handle(&mut clients, Input::Reading(&reading), None),
            None => inner.handle(&mut clients, Input::Tick, None),
        };
    }
}
