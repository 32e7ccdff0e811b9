//! Carries the state's outputs to sockets, and what sockets send to the state.
//!
//! One lock guards both, and everything is emitted while it is held: that makes the order of the state's
//! outputs the order on the wire.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use socketioxide::extract::SocketRef;
use socketioxide::socket::Sid;
use socketioxide::{SendError, SocketError};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::NAMESPACE;
use super::events::{self, Message, MonitorId, Reason, Request, decode, reason};
use super::state::{Census, Input, Output, Record, Settings, State};
use crate::socketio::{Incoming, Member, NOTHING};
use crate::timeline::{self, Bus, Source};

/// Messages that wait for a client once its socket's own queue is full. One more, and the client is
/// disconnected: it has not read for thousands of messages.
const MAX_OVERFLOW: usize = 65_536;

/// How often a client with a full queue is tried again, and timers are looked at while any runs.
const RETRY: Duration = Duration::from_millis(2);
const TICK: Duration = Duration::from_millis(50);

/// Characters of a command that the timeline shows.
const SHOWN: usize = 200;

/// The event that asks a monitor whether it is still there. Clients that do not know it ignore it, but
/// writing it is enough for the network to tell when nobody is there to ignore it.
const PROBE: &str = "relay probe";

/// A client of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Peer {
    /// A socket on `/`.
    Root(Sid),
    /// A socket on `/relay`.
    Own(Sid),
    /// A monitor within this program.
    Local(u64),
}

/// The way to a client.
#[derive(Debug)]
struct Link {
    outlet: Outlet,
    /// What found the outlet full, oldest first; a task empties it while it is not empty.
    overflow: VecDeque<Parcel>,
}

#[derive(Debug, Clone)]
enum Outlet {
    Socket(SocketRef),
    Local(mpsc::Sender<Message>),
}

#[derive(Debug)]
enum Parcel {
    Message(Message),
    Close,
}

/// The outlet has no room now, or will never have any again.
enum Refusal {
    Full,
    Gone,
}

impl Outlet {
    fn send(&self, parcel: &Parcel) -> Result<(), Refusal> {
        match (self, parcel) {
            (Self::Socket(socket), Parcel::Message(message)) => {
                socket.emit(message.event, &message.payload).map_err(|error| match error {
                    SendError::Socket(SocketError::InternalChannelFull) => Refusal::Full,
                    _ => Refusal::Gone,
                })
            }
            (Self::Socket(socket), Parcel::Close) => {
                // Through the same queue as the messages before: they are flushed first.
                SocketRef::clone(socket).disconnect().map_err(|_| Refusal::Full)
            }
            (Self::Local(queue), Parcel::Message(message)) => {
                queue.try_send(message.clone()).map_err(|error| match error {
                    mpsc::error::TrySendError::Full(_) => Refusal::Full,
                    mpsc::error::TrySendError::Closed(_) => Refusal::Gone,
                })
            }
            // Its queue ends with the link.
            (Self::Local(_), Parcel::Close) => Ok(()),
        }
    }
}

/// The state with its sockets.
#[derive(Debug)]
pub(super) struct Switchboard {
    inner: Mutex<Inner>,
    timeline: Bus,
    started: Instant,
    /// Wakes the timers' task.
    timers: Arc<Notify>,
}

#[derive(Debug)]
struct Inner {
    state: State<Peer>,
    links: HashMap<Peer, Link>,
    out: Vec<Output<Peer>>,
    /// Whether the timers' task is awake.
    ticking: bool,
    next_local: u64,
}

impl Switchboard {
    /// A relay without clients and the task of its timers, which ends with it.
    pub(super) fn start(settings: Settings, timeline: Bus) -> Arc<Self> {
        let timers = Arc::new(Notify::new());
        let inner = Inner {
            state: State::new(settings),
            links: HashMap::new(),
            out: Vec::new(),
            ticking: false,
            next_local: 0,
        };
        let switchboard = Arc::new(Self {
            inner: Mutex::new(inner),
            timeline,
            started: Instant::now(),
            timers: timers.clone(),
        });
        tokio::spawn(run_timers(Arc::downgrade(&switchboard), timers));
        switchboard
    }

    /// A socket has connected, perhaps with a token.
    pub(super) fn join(self: &Arc<Self>, socket: &SocketRef, token: Option<String>) -> Client {
        let peer = if socket.ns() == NAMESPACE { Peer::Own(socket.id) } else { Peer::Root(socket.id) };
        let outlet = Outlet::Socket(socket.clone());
        self.locked(|switchboard, inner| inner.open(switchboard.now(), peer, outlet, token));
        Client { switchboard: self.clone(), peer }
    }

    /// Become a monitor within this program: what it must do comes out of the receiver. `None` when the id
    /// is taken.
    pub(super) fn attach(
        self: &Arc<Self>,
        id: MonitorId,
        room: usize,
    ) -> Option<(LocalReports, mpsc::Receiver<Message>)> {
        let (sender, queue) = mpsc::channel(room);
        let peer = self.locked(|switchboard, inner| {
            let peer = Peer::Local(inner.next_local);
            inner.next_local += 1;
            inner.open(switchboard.now(), peer, Outlet::Local(sender), None);
            let attached = inner.state.attach(peer, id, &mut inner.out);
            if !attached {
                inner.forget(switchboard.now(), peer);
            }
            attached.then_some(peer)
        })?;
        Some((LocalReports { switchboard: self.clone(), peer }, queue))
    }

    pub(super) fn census(&self) -> Census {
        self.lock().state.census()
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held would be a defect, but must not silence every other client.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn input(self: &Arc<Self>, peer: Peer, input: Input<'_>) {
        self.locked(|switchboard, inner| {
            if matches!(input, Input::Closed) {
                inner.links.remove(&peer);
            }
            inner.state.handle(switchboard.now(), peer, input, &mut inner.out);
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

    fn carry_out_all(self: &Arc<Self>, inner: &mut Inner) {
        while !inner.out.is_empty() {
            let mut batch = std::mem::take(&mut inner.out);
            for output in batch.drain(..) {
                self.carry_out(inner, output);
            }
            if inner.out.is_empty() {
                inner.out = batch;
            }
        }
    }

    fn carry_out(self: &Arc<Self>, inner: &mut Inner, output: Output<Peer>) {
        match output {
            Output::Emit(to, message) => self.deliver(inner, to, Parcel::Message(message)),
            Output::Close(peer) => self.deliver(inner, peer, Parcel::Close),
            Output::Probe(peer) => self.probe(inner, peer),
            Output::Presence(id, connected) => {
                let value = json!({"monitor_id": id.as_str(), "connected": connected});
                self.timeline.publish(Source::Device, "monitor", timeline::Value::Json(value));
            }
            Output::Record(record) => {
                self.timeline.publish(Source::Device, "command", timeline::Value::Json(describe(&record)));
            }
        }
    }

    fn deliver(self: &Arc<Self>, inner: &mut Inner, to: Peer, parcel: Parcel) {
        let Some(link) = inner.links.get_mut(&to) else { return };
        let refusal =
            if link.overflow.is_empty() { link.outlet.send(&parcel).err() } else { Some(Refusal::Full) };
        let closing = matches!(parcel, Parcel::Close);
        match refusal {
            None if closing => {
                inner.links.remove(&to);
            }
            // A socket that is gone will be reported closed.
            None | Some(Refusal::Gone) => {}
            Some(Refusal::Full) if link.overflow.len() >= MAX_OVERFLOW && !closing => {
                inner.drop_slow(self.now(), to);
            }
            Some(Refusal::Full) => {
                link.overflow.push_back(parcel);
                if link.overflow.len() == 1 {
                    tokio::spawn(drain(Arc::downgrade(self), to));
                }
            }
        }
    }

    fn probe(self: &Arc<Self>, inner: &Inner, peer: Peer) {
        let Some(link) = inner.links.get(&peer) else { return };
        let Outlet::Socket(socket) = &link.outlet else {
            // A monitor within this program lives as long as its link.
            let switchboard = self.clone();
            tokio::spawn(async move { switchboard.input(peer, Input::Alive) });
            return;
        };
        // Silence is judged by the claim's deadline; a probe that finds no room is silence too.
        if let Ok(answer) = socket.emit_with_ack::<_, Value>(PROBE, &NOTHING) {
            let switchboard = Arc::downgrade(self);
            tokio::spawn(async move {
                if answer.await.is_ok()
                    && let Some(switchboard) = switchboard.upgrade()
                {
                    switchboard.input(peer, Input::Alive);
                }
            });
        }
    }
}

impl Drop for Switchboard {
    fn drop(&mut self) {
        self.timers.notify_one();
    }
}

impl Inner {
    fn open(&mut self, now: Duration, peer: Peer, outlet: Outlet, token: Option<String>) {
        self.links.insert(peer, Link { outlet, overflow: VecDeque::new() });
        self.state.handle(now, peer, Input::Opened(token), &mut self.out);
    }

    fn forget(&mut self, now: Duration, peer: Peer) {
        self.links.remove(&peer);
        self.state.handle(now, peer, Input::Closed, &mut self.out);
    }

    /// The client does not read: close it, and free its monitor's id at once.
    fn drop_slow(&mut self, now: Duration, peer: Peer) {
        if let Some(Link { outlet, .. }) = self.links.remove(&peer) {
            tracing::debug!(?peer, "a relay client does not read; disconnecting it");
            tokio::spawn(async move {
                while let Err(Refusal::Full) = outlet.send(&Parcel::Close) {
                    // Ends at the latest when the heartbeat, which needs the same queue, gives the client up.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
        }
        self.state.handle(now, peer, Input::Closed, &mut self.out);
    }
}

/// Send what waits for a client as it makes room, then end.
async fn drain(switchboard: Weak<Switchboard>, to: Peer) {
    loop {
        tokio::time::sleep(RETRY).await;
        let Some(switchboard) = switchboard.upgrade() else { return };
        let mut inner = switchboard.lock();
        let Some(link) = inner.links.get_mut(&to) else { return };
        while let Some(parcel) = link.overflow.front() {
            match link.outlet.send(parcel) {
                Ok(()) => {
                    if let Some(Parcel::Close) = link.overflow.pop_front() {
                        inner.links.remove(&to);
                        return;
                    }
                }
                Err(Refusal::Full) => break,
                Err(Refusal::Gone) => link.overflow.clear(),
            }
        }
        if link.overflow.is_empty() {
            return;
        }
    }
}

/// Let time pass for the state while anything waits for it.
async fn run_timers(switchboard: Weak<Switchboard>, timers: Arc<Notify>) {
    loop {
        timers.notified().await;
        loop {
            // Between two ticks the task holds nothing that keeps the relay alive.
            match switchboard.upgrade().map(|switchboard| switchboard.tick()) {
                None => return,
                Some(false) => break,
                Some(true) => tokio::time::sleep(TICK).await,
            }
        }
    }
}

/// A command's way as the timeline shows it.
fn describe(record: &Record) -> Value {
    let command: String = decode(&record.command.0).chars().take(SHOWN).collect();
    let reason = record.failed.as_ref().map(|failed| match failed {
        Reason::Ours(reason) => (*reason).to_owned(),
        Reason::Monitors(text) => decode(&text.0).chars().take(SHOWN).collect(),
    });
    json!({
        "monitor_id": record.monitor_id.as_str(),
        "command": command,
        "outcome": if record.failed.is_none() { "done" } else { "failed" },
        "reason": reason.as_deref().unwrap_or(reason::COMMAND_FINISH),
        "times": record.times,
    })
}

/// One connected socket; clones are the same.
#[derive(Clone, Debug)]
pub struct Client {
    // Not the socket: its event handlers own this, and it would keep itself alive.
    switchboard: Arc<Switchboard>,
    peer: Peer,
}

impl Client {
    /// Whether an event is the relay's. `query` is only with a payload that is no string.
    #[must_use]
    pub fn knows(&self, incoming: &Incoming) -> bool {
        match incoming.event.as_str() {
            "query" => matches!(self.peer, Peer::Own(_)) || events::is_relay_query(incoming.raw()),
            event => Request::EVENTS.contains(&event),
        }
    }
}

impl Member for Client {
    /// Answers an acknowledgement last; of events of others it answers only that.
    fn handle(&self, incoming: Incoming) {
        if let Some(request) = Request::parse(&incoming.event, incoming.raw()) {
            self.switchboard.input(self.peer, Input::Request(request));
        }
        if incoming.ack.send(&NOTHING).is_err() {
            // No room even for the acknowledgement (or nobody is there any more).
            self.switchboard.locked(|switchboard, inner| inner.drop_slow(switchboard.now(), self.peer));
        }
    }

    /// However it went: its monitor's id is free, its monitor's commands fail.
    fn leave(&self) {
        // As a task: the relay itself may just be closing the socket, and then holds its lock.
        let Self { switchboard, peer } = self.clone();
        tokio::spawn(async move { switchboard.input(peer, Input::Closed) });
    }
}

/// How a monitor within this program reports. Dropping it leaves the relay.
#[derive(Debug)]
pub struct LocalReports {
    switchboard: Arc<Switchboard>,
    peer: Peer,
}

impl LocalReports {
    /// The oldest command is done, and this came of it.
    pub fn done(&self, output: &str) {
        let output = serde_json::value::to_raw_value(output).ok();
        self.switchboard
            .input(self.peer, Input::Request(Request::Done { id: None, output: output.as_deref() }));
    }

    /// The oldest command has failed.
    pub fn failed(&self, why: &str) {
        let why = serde_json::value::to_raw_value(why).ok();
        self.switchboard
            .input(self.peer, Input::Request(Request::Error { reason: why.as_deref(), id: None }));
    }
}

impl Drop for LocalReports {
    fn drop(&mut self) {
        self.switchboard.input(self.peer, Input::Closed);
    }
}
