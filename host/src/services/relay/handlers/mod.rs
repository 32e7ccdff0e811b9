//! Carries the state's outputs to sockets, and what sockets send to the state.
//!
//! One lock guards both, and everything is emitted while it is held: that makes the order of the state's
//! outputs the order on the wire.

mod link;
mod local;
mod record;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use serde_json::json;
use socketioxide::extract::{AckSender, SocketRef};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::Instant;

use self::link::{Link, Peer};
use self::local::Local;
use self::record::CommandRecord;
use super::NAMESPACE;
use super::events::{self, MonitorId, Request};
use super::state::{Counts, Input, Output, Settings, State};
use crate::clock::Moment;
use crate::socketio::{self, Connection, Incoming, Member, NOTHING, Overflow};
use crate::timeline::{Bus, Source, Value};

/// How often timers are looked at while any runs.
const TICK: Duration = Duration::from_millis(50);

/// How long a receipt, `command ok`, waits to go with what its user is told next; longer only while the server is so busy
/// that it has not looked for reports meanwhile. A command whose monitor is quick is over by then, and its user is written
/// to once.
const RECEIPT_DELAY: Duration = Duration::from_micros(40);

/// The event that asks a monitor whether it is still there. Clients that do not know it ignore it, but it takes a ping
/// along that every living connection answers.
const PROBE: &str = "relay probe";

/// The state with its sockets.
#[derive(Debug)]
pub(super) struct Server {
    inner: Mutex<Inner>,
    timeline: Bus,
    started: Instant,
    /// How long the holder of a taken id is listened to.
    probing: Duration,
    /// Wakes the timers' task.
    timers: Arc<Notify>,
    /// Wakes the receipts' task.
    receipts: Arc<Notify>,
}

struct Inner {
    state: State<Peer>,
    links: HashMap<Peer, Link>,
    out: Vec<Output<Peer>>,
    /// Whose receipts are to be sent, unless they have been already.
    receivers: HashSet<Peer>,
    /// What is acknowledged to whom once the outputs are carried out, or before its connection ends.
    ack: Option<(Peer, AckSender)>,
    /// Whether the timers' task is awake.
    ticking: bool,
    next: Peer,
}

impl Server {
    /// A relay without clients, and its tasks, which end with it.
    pub(super) fn start(settings: Settings, timeline: Bus) -> Arc<Self> {
        let (timers, receipts) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let probing = settings.probe.unwrap_or_default();
        let inner = Inner {
            state: State::new(settings),
            links: HashMap::new(),
            out: Vec::new(),
            receivers: HashSet::new(),
            ack: None,
            ticking: false,
            next: 0,
        };
        let server = Arc::new(Self {
            inner: Mutex::new(inner),
            timeline,
            started: Instant::now(),
            probing,
            timers: timers.clone(),
            receipts: receipts.clone(),
        });
        tokio::spawn(run_timers(Arc::downgrade(&server), timers));
        tokio::spawn(run_receipts(Arc::downgrade(&server), receipts));
        server
    }

    /// A socket has connected, perhaps with a token.
    pub(super) fn join(self: &Arc<Self>, socket: &SocketRef, token: Option<String>) -> Client {
        let link = Link::to(socket);
        let audible = Connection::of(socket).is_some();
        let peer = self.locked(|server, inner| inner.open(server.now(), link, token, audible));
        Client { server: self.clone(), peer, is_alone: socket.ns() == NAMESPACE }
    }

    /// Become a monitor within this program, by a task that executes commands. `None` when the id is taken.
    pub(super) fn attach<F, R>(self: &Arc<Self>, id: MonitorId, execute: F) -> Option<JoinHandle<()>>
    where
        F: FnMut(String) -> R + Send + 'static,
        R: Future<Output = Result<String, String>> + Send + 'static,
    {
        let (sender, commands) = mpsc::channel(1);
        let peer = self.locked(|server, inner| {
            let peer = inner.open(server.now(), Link::Local(sender), None, false);
            let attached = inner.state.attach(peer, id, &mut inner.out);
            if !attached {
                inner.forget(server.now(), peer);
            }
            attached.then_some(peer)
        })?;
        let local = Local { server: Arc::downgrade(self), peer };
        Some(tokio::spawn(local.run(commands, execute)))
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().state.counts()
    }

    fn now(&self) -> Moment {
        Moment::since(self.started)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held would be a defect, but must not silence every other client.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn input(self: &Arc<Self>, peer: Peer, input: Input<'_>) {
        self.locked(|server, inner| {
            if matches!(input, Input::Closed) {
                inner.links.remove(&peer);
            }
            inner.state.handle(server.now(), peer, input, &mut inner.out);
        });
    }

    /// Change something under the lock, then carry out what follows from it.
    fn locked<T>(self: &Arc<Self>, change: impl FnOnce(&Self, &mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let result = change(self, &mut inner);
        self.carry_out_all(&mut inner);
        if !inner.ticking {
            inner.ticking = true;
            self.timers.notify_one();
        }
        result
    }

    /// Let time pass; whether there is anything left that waits for it.
    fn tick(self: &Arc<Self>) -> bool {
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.state.handle_timeout(self.now(), &mut inner.out);
        self.carry_out_all(inner);
        inner.ticking = !inner.state.is_idle();
        inner.ticking
    }

    /// Send the receipts that have not gone with anything else.
    fn send_receipts(self: &Arc<Self>) {
        let mut inner = self.lock();
        for receiver in std::mem::take(&mut inner.receivers) {
            self.deliver(&mut inner, receiver, Link::send_receipts);
        }
        self.carry_out_all(&mut inner);
    }

    fn carry_out_all(self: &Arc<Self>, inner: &mut Inner) {
        loop {
            while !inner.out.is_empty() {
                let mut batch = std::mem::take(&mut inner.out);
                for output in batch.drain(..) {
                    self.carry_out(inner, output);
                }
                if inner.out.is_empty() {
                    inner.out = batch;
                }
            }
            // It finds too much waiting, perhaps: then there is more to do.
            let Some((peer, ack)) = inner.ack.take() else { return };
            self.deliver(inner, peer, |link| link.acknowledge(ack));
        }
    }

    fn carry_out(self: &Arc<Self>, inner: &mut Inner, output: Output<Peer>) {
        match output {
            Output::Emit(to, receipt) if receipt.event == events::COMMAND_OK => {
                if let Some(link) = inner.links.get_mut(&to) {
                    link.keep(receipt);
                    if inner.receivers.is_empty() {
                        self.receipts.notify_one();
                    }
                    inner.receivers.insert(to);
                }
            }
            Output::Emit(to, message) => self.deliver(inner, to, |link| link.emit(&message)),
            Output::Close(peer) => {
                if let Some((_, ack)) = inner.ack.take_if(|(asker, _)| *asker == peer) {
                    self.deliver(inner, peer, |link| link.acknowledge(ack));
                }
                self.deliver(inner, peer, Link::end);
            }
            Output::Probe(peer) => self.probe(inner, peer),
            Output::Presence(id, connected) => {
                let value = json!({"monitor_id": id.as_str(), "connected": connected});
                self.timeline.publish(Source::Device, format!("monitor/{id}"), Value::Json(value));
            }
            Output::Record(record) => {
                let topic = ["command/", record.monitor_id.as_str()].concat();
                self.timeline.publish(Source::Device, topic, Value::later(CommandRecord(record)));
            }
        }
    }

    /// Says something to a client. What has to wait is sent as the client reads; one that reads too little is
    /// disconnected.
    fn deliver(
        self: &Arc<Self>,
        inner: &mut Inner,
        to: Peer,
        say: impl FnOnce(&mut Link) -> Result<(), Overflow>,
    ) {
        let Some(link) = inner.links.get_mut(&to) else { return };
        let was_blocked = link.blocked().is_some();
        if let Err(overflow) = say(link) {
            tracing::debug!(to, "{overflow}: it is disconnected");
            return inner.drop_slow(self.now(), to);
        }
        if !was_blocked && let Some(connection) = link.blocked() {
            let server = Arc::downgrade(self);
            tokio::spawn(socketio::send_when_drained(connection, move || {
                let Some(server) = server.upgrade() else { return true };
                server.lock().links.get_mut(&to).is_none_or(Link::send_waiting)
            }));
        }
    }

    fn probe(self: &Arc<Self>, inner: &Inner, peer: Peer) {
        let Some(link) = inner.links.get(&peer) else { return };
        let server = Arc::downgrade(self);
        let alive = move || {
            if let Some(server) = server.upgrade() {
                server.input(peer, Input::Alive);
            }
        };
        let Some(socket) = link.socket() else {
            // A monitor within this program lives as long as its link.
            tokio::spawn(async move { alive() });
            return;
        };
        // Silence is judged by the claim's deadline; a probe that finds no room is silence too.
        let Some(connection) = Connection::of(socket) else { return };
        let heard = connection.liveness.ask();
        connection.window.charge(0);
        if socket.emit(PROBE, &NOTHING).is_ok() {
            let heard = tokio::time::timeout(self.probing, heard);
            tokio::spawn(async move { heard.await.map(|()| alive()) });
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.timers.notify_one();
        self.receipts.notify_one();
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("state", &self.state)
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn open(&mut self, now: Moment, link: Link, token: Option<String>, audible: bool) -> Peer {
        let peer = self.next;
        self.next += 1;
        self.links.insert(peer, link);
        self.state.handle(now, peer, Input::Opened { token, audible }, &mut self.out);
        peer
    }

    fn forget(&mut self, now: Moment, peer: Peer) {
        self.links.remove(&peer);
        self.state.handle(now, peer, Input::Closed, &mut self.out);
    }

    /// The client does not read: what waits for it is dropped, and its monitor's id is free at once.
    fn drop_slow(&mut self, now: Moment, peer: Peer) {
        let link = self.links.remove(&peer);
        if let Some(socket) = link.as_ref().and_then(Link::socket) {
            // It is on its way out; a failure to say so changes nothing.
            let _ = socket.clone().disconnect();
        }
        self.state.handle(now, peer, Input::Closed, &mut self.out);
    }
}

/// Let time pass for the state while anything waits for it.
async fn run_timers(server: Weak<Server>, timers: Arc<Notify>) {
    loop {
        timers.notified().await;
        loop {
            // Between two ticks the task holds nothing that keeps the relay alive. The first waits, too: a relay whose
            // commands are over at once wakes this task now and then, and not for each.
            tokio::time::sleep(TICK).await;
            match server.upgrade().map(|server| server.tick()) {
                None => return,
                Some(false) => break,
                Some(true) => {}
            }
        }
    }
}

/// Sends the receipts that have not gone with anything else in time.
async fn run_receipts(server: Weak<Server>, receipts: Arc<Notify>) {
    loop {
        receipts.notified().await;
        // By a clock that does not stand still with tokio's, and not asleep: to fall asleep and be woken takes longer than
        // a quick monitor. Twice at least, because tokio runs a task that has yielded before those whose sockets it has
        // found ready meanwhile.
        let since = std::time::Instant::now();
        yield_now().await;
        loop {
            yield_now().await;
            if since.elapsed() >= RECEIPT_DELAY {
                break;
            }
        }
        match server.upgrade() {
            None => return,
            Some(server) => server.send_receipts(),
        }
    }
}

/// One connected socket; clones are the same.
#[derive(Clone, Debug)]
pub struct Client {
    // Not the socket: its event handlers own this, and it would keep itself alive.
    server: Arc<Server>,
    peer: Peer,
    /// On the relay's own namespace, which no other service shares.
    is_alone: bool,
}

impl Client {
    /// Whether an event is the relay's. `query` is only with a payload that is no string.
    #[must_use]
    pub fn knows(&self, incoming: &Incoming<'_>) -> bool {
        match &*incoming.event {
            "query" => self.is_alone || events::is_relay_query(incoming.data),
            event => Request::EVENTS.contains(&event),
        }
    }
}

impl Member for Client {
    /// Answers an acknowledgement last, but before a connection that is refused ends; of events of others it answers only
    /// that.
    fn handle(&self, incoming: Incoming<'_>) {
        let request = Request::parse(&incoming.event, incoming.data);
        self.server.locked(|server, inner| {
            inner.ack = incoming.ack.map(|ack| (self.peer, ack));
            if let Some(request) = request {
                let input = Input::Request(request);
                inner.state.handle(server.now(), self.peer, input, &mut inner.out);
            }
        });
    }

    /// However it went: its monitor's id is free, its monitor's commands fail.
    fn leave(&self) {
        self.server.input(self.peer, Input::Closed);
    }
}
