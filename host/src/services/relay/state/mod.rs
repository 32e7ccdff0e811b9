//! The relay itself: who is which monitor, whose command is where. Pure; time is an argument.
//!
//! ```text
//! user      connected ─ query ok ─▶ ready ─ command send ─▶ command ok ─▶ command finish | command failed ─▶ ready
//! monitor   connected ─ con ok ─▶ registered ─ command do ─▶ command done | command error ─▶ registered
//! claimant  connected ─ con of a taken id ─▶ the holder is probed ─▶ con ok (it is gone) | con failed (it lives)
//! ```
//!
//! A completion belongs to the oldest command of its monitor, or to the one whose id it echoes.

mod access;

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use serde_json::value::RawValue;

use super::events::{
    Introduction, Message, MonitorId, Payload, Reason, Request, Submission, Text, Times, decode, is_string,
    reason, text_length,
};

pub use access::{Access, Grant, Role};

/// Bytes of an id that a user may give a command.
const MAX_ID: usize = 256;

/// Bytes of commands that may wait for one monitor; more is answered [`reason::TOO_MANY_PENDING`].
const MAX_WAITING_BYTES: usize = 16 << 20;

/// What the relay allows.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may be a monitor and who may command one.
    pub access: Access,
    /// Ids must be hexadecimal.
    pub hex_ids: bool,
    /// Completions go to every user of the monitor, as the original does, and not to the sender alone.
    pub broadcast: bool,
    /// Bytes of text in one command.
    pub max_command: usize,
    /// Commands of one user, and for one monitor, that may be unfinished.
    pub max_pending: usize,
    /// Commands a second of one user, and as many at once.
    pub rate: u32,
    /// Commands that a monitor is given before it has reported one back; the rest wait here.
    pub window: usize,
    /// After which time a command has failed; `None` waits for ever.
    pub timeout: Option<Duration>,
    /// How long the holder of a taken id is probed; `None` refuses a second `con` at once.
    pub probe: Option<Duration>,
    /// What [`Times`] count from: milliseconds since 1970 at the relay's time zero.
    pub epoch_ms: f64,
}

/// Something that happened to the socket `P`.
#[derive(Debug)]
pub enum Input<'a> {
    /// It connected, perhaps with a token for everything it will ask.
    Opened(Option<String>),
    /// It sent an event of the relay.
    Request(Request<'a>),
    /// It answered a probe.
    Alive,
    /// It is gone, however it went.
    Closed,
}

/// What must be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output<P> {
    /// Send an event.
    Emit(P, Message),
    /// Close the socket once everything before has been sent. The state has forgotten it.
    Close(P),
    /// Make the socket's peer prove that it is there: [`Input::Alive`] or [`Input::Closed`] may follow.
    Probe(P),
    /// A monitor appeared or went.
    Presence(MonitorId, bool),
    /// A command is over.
    Record(Box<Record>),
}

/// The way of one command.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Whose command it was.
    pub monitor_id: MonitorId,
    /// The command.
    pub command: Text,
    /// Why it failed, if it did.
    pub failed: Option<Reason>,
    /// When it was where.
    pub times: Times,
}

/// Everything the relay knows. `P` identifies a socket.
#[derive(Debug)]
pub struct State<P> {
    settings: Settings,
    peers: HashMap<P, Peer>,
    monitors: HashMap<MonitorId, Monitor<P>>,
    /// Who queried which monitor; kept only when completions are broadcast.
    watchers: HashMap<MonitorId, Vec<P>>,
}

#[derive(Debug)]
struct Peer {
    token: Option<String>,
    /// The monitor that this user commands.
    user_of: Option<MonitorId>,
    /// The monitor that this socket is.
    monitor: Option<MonitorId>,
    /// The taken id that this socket asked for.
    claims: Option<MonitorId>,
    pending: usize,
    /// Commands it may still send now, and when that was counted.
    allowance: f64,
    counted: Duration,
}

#[derive(Debug)]
struct Monitor<P> {
    holder: P,
    /// Oldest first; at most `max_pending`, and [`MAX_WAITING_BYTES`].
    commands: VecDeque<Command<P>>,
    waiting_bytes: usize,
    /// How many of `commands` the monitor has been given: always the first ones.
    given: usize,
    claim: Option<Claim<P>>,
}

#[derive(Debug)]
struct Claim<P> {
    by: P,
    deadline: Duration,
}

#[derive(Debug)]
struct Command<P> {
    /// `None` once the sender has been told that it timed out; the monitor's late report still takes this place.
    sender: Option<P>,
    command: Text,
    id: Option<Text>,
    sent: Option<f64>,
    accepted: Duration,
    dispatched: Option<Duration>,
}

impl<P> Command<P> {
    fn times(&self, epoch_ms: f64, finished: Option<Duration>) -> Times {
        let wall = |time: Duration| epoch_ms + time.as_secs_f64() * 1000.0;
        Times {
            sent: self.sent,
            accepted: wall(self.accepted),
            dispatched: self.dispatched.map(wall),
            finished: finished.map(wall),
        }
    }
}

impl<P: Copy + Eq + Hash> State<P> {
    /// A relay that nobody is connected to.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, peers: HashMap::new(), monitors: HashMap::new(), watchers: HashMap::new() }
    }

    /// Take one input of the socket `from` at `now` and append what must be done to `out`.
    pub fn handle(&mut self, now: Duration, from: P, input: Input<'_>, out: &mut Vec<Output<P>>) {
        match input {
            Input::Opened(token) => {
                let allowance = f64::from(self.settings.rate);
                let peer = Peer {
                    token,
                    user_of: None,
                    monitor: None,
                    claims: None,
                    pending: 0,
                    allowance,
                    counted: now,
                };
                self.peers.insert(from, peer);
            }
            Input::Closed => self.close(now, from, out),
            Input::Alive => self.prove(now, from, out),
            Input::Request(request) => {
                // What a closed socket had sent before is nobody's any more.
                if !self.peers.contains_key(&from) {
                    return;
                }
                self.prove(now, from, out);
                match request {
                    Request::Query(who) => self.query(now, from, who, out),
                    Request::Con(who) => self.con(now, from, who, out),
                    Request::Send(command) => self.send(now, from, command, out),
                    Request::Done { id, output } => {
                        let output = output.and_then(|output| self.bounded(output));
                        self.report(now, from, id, Ok(output), out);
                    }
                    Request::Error { reason, id } => {
                        let why = reason.and_then(|reason| self.bounded(reason));
                        let why = why.map_or(Reason::Ours(reason::NO_REASON), Reason::Monitors);
                        self.report(now, from, id, Err(why), out);
                    }
                }
            }
        }
    }

    /// Make `from` a monitor without asking for a key. `false` when the id is taken.
    pub fn attach(&mut self, from: P, id: MonitorId, out: &mut Vec<Output<P>>) -> bool {
        let free = !self.monitors.contains_key(&id);
        if free {
            self.register(from, id, out);
        }
        free
    }

    /// Let time pass: commands time out, claims of living monitors are refused. Call it now and then while
    /// the relay is not [idle](Self::is_idle).
    pub fn handle_timeout(&mut self, now: Duration, out: &mut Vec<Output<P>>) {
        let ids: Vec<MonitorId> = self.monitors.keys().cloned().collect();
        for id in ids {
            let Some(monitor) = self.monitors.get_mut(&id) else { continue };
            if let Some(claim) = monitor.claim.take_if(|claim| claim.deadline <= now) {
                self.refuse(now, claim.by, "con failed", reason::ALREADY_REGISTERED, out);
            }
            if let Some(timeout) = self.settings.timeout {
                self.time_out(now, timeout, &id, out);
            }
        }
    }

    /// Whether time changes nothing: no claim is open, and no command waits that could time out.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let timed = self.settings.timeout.is_some();
        self.monitors
            .values()
            .all(|monitor| monitor.claim.is_none() && (!timed || monitor.commands.is_empty()))
    }

    /// How many sockets, monitors and unfinished commands there are.
    #[must_use]
    pub fn census(&self) -> Census {
        Census {
            sockets: self.peers.len(),
            monitors: self.monitors.len(),
            commands: self.monitors.values().map(|monitor| monitor.commands.len()).sum(),
        }
    }

    fn query(&mut self, now: Duration, from: P, who: Introduction, out: &mut Vec<Output<P>>) {
        let id = match self.admit(Role::User, from, who) {
            Ok(id) => id,
            Err(why) => return self.refuse(now, from, "query failed", why, out),
        };
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let before = peer.user_of.replace(id.clone());
        if self.settings.broadcast && before.as_ref() != Some(&id) {
            self.unwatch(from, before);
            self.watchers.entry(id).or_default().push(from);
        }
        tell(from, "query ok", reason::QUERY_OK, out);
    }

    fn con(&mut self, now: Duration, from: P, who: Introduction, out: &mut Vec<Output<P>>) {
        let id = match self.admit(Role::Monitor, from, who) {
            Ok(id) => id,
            Err(why) => return self.refuse(now, from, "con failed", why, out),
        };
        let Some(peer) = self.peers.get_mut(&from) else { return };
        if peer.monitor.as_ref() == Some(&id) {
            return tell(from, "con ok", reason::CONNECTION_OK, out);
        }
        if peer.claims.as_ref() == Some(&id) {
            // Answered when the probe is over.
            return;
        }
        let claimed = peer.claims.take();
        if let Some(held) = peer.monitor.take() {
            self.release(now, &held, out);
        }
        self.unclaim(from, claimed);
        let Some(monitor) = self.monitors.get_mut(&id) else {
            return self.register(from, id, out);
        };
        match self.settings.probe {
            Some(window) if monitor.claim.is_none() => {
                monitor.claim = Some(Claim { by: from, deadline: now + window });
                out.push(Output::Probe(monitor.holder));
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.claims = Some(id);
                }
            }
            _ => self.refuse(now, from, "con failed", reason::ALREADY_REGISTERED, out),
        }
    }

    fn send(&mut self, now: Duration, from: P, submission: Submission<'_>, out: &mut Vec<Output<P>>) {
        let id = submission.id.filter(|id| id.get().len() <= MAX_ID).map(Text::from);
        let (target, command) = match self.check(now, from, &submission) {
            Ok(accepted) => accepted,
            Err(why) => return out.push(Output::Emit(from, failure(Reason::Ours(why), id, None))),
        };
        let command = Command {
            sender: Some(from),
            command: command.into(),
            id,
            sent: submission.sent,
            accepted: now,
            dispatched: None,
        };
        let ok = Message {
            event: "command ok",
            payload: Payload {
                reason: Some(Reason::Ours(reason::COMMAND_OK)),
                id: command.id.clone(),
                times: command.id.is_some().then(|| command.times(self.settings.epoch_ms, None)),
                ..Payload::default()
            },
        };
        match self.monitors.get_mut(&target) {
            None => {
                out.push(Output::Emit(from, ok));
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.pending += 1;
                }
                self.finish(now, &target, command, Err(Reason::Ours(reason::NOT_CONNECTED)), out);
            }
            Some(monitor) => {
                monitor.waiting_bytes += command.command.0.get().len();
                monitor.commands.push_back(command);
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.pending += 1;
                }
                // The original's order: first the monitor, then the user.
                self.dispatch(now, &target, out);
                out.push(Output::Emit(from, ok));
            }
        }
    }

    /// Whom a command is for and what it says, or the reason why it is not accepted.
    fn check<'a>(
        &mut self,
        now: Duration,
        from: P,
        submission: &Submission<'a>,
    ) -> Result<(MonitorId, &'a RawValue), &'static str> {
        let peer = self.peers.get_mut(&from).ok_or(reason::NOT_QUERIED)?;
        let target = peer.user_of.clone().ok_or(reason::NOT_QUERIED)?;
        let command = submission.command.ok_or(reason::INVALID_COMMAND)?;
        let long = command.get().len() > self.settings.max_command
            && text_length(command) > self.settings.max_command;
        if long || submission.id.is_some_and(|id| id.get().len() > MAX_ID) {
            return Err(reason::TOO_LARGE);
        }
        let full = f64::from(self.settings.rate);
        let gained = now.saturating_sub(peer.counted).as_secs_f64() * full;
        peer.allowance = (peer.allowance + gained).min(full);
        peer.counted = now;
        if peer.allowance < 1.0 {
            return Err(reason::TOO_FAST);
        }
        peer.allowance -= 1.0;
        let full = self.monitors.get(&target).is_some_and(|monitor| {
            monitor.commands.len() >= self.settings.max_pending || monitor.waiting_bytes >= MAX_WAITING_BYTES
        });
        if full || peer.pending >= self.settings.max_pending {
            return Err(reason::TOO_MANY_PENDING);
        }
        Ok((target, command))
    }

    /// Give the monitor what its window has room for.
    fn dispatch(&mut self, now: Duration, id: &MonitorId, out: &mut Vec<Output<P>>) {
        let Some(monitor) = self.monitors.get_mut(id) else { return };
        while monitor.given < self.settings.window
            && let Some(command) = monitor.commands.get_mut(monitor.given)
        {
            monitor.given += 1;
            command.dispatched = Some(now);
            let payload = Payload {
                command: Some(command.command.clone()),
                id: command.id.clone(),
                ..Payload::default()
            };
            out.push(Output::Emit(monitor.holder, Message { event: "command do", payload }));
        }
    }

    /// A monitor reports a command: done, or failed.
    fn report(
        &mut self,
        now: Duration,
        from: P,
        echo: Option<&RawValue>,
        result: Result<Option<Text>, Reason>,
        out: &mut Vec<Output<P>>,
    ) {
        let id = self.peers.get(&from).and_then(|peer| peer.monitor.clone());
        let Some(id) = id else { return };
        let Some(monitor) = self.monitors.get_mut(&id) else { return };
        let mut given = monitor.commands.iter().take(monitor.given);
        let position = match echo {
            None => (monitor.given > 0).then_some(0),
            // An id of the monitor's own making reports the oldest command that came without one.
            Some(echo) => given
                .position(|command| command.id.as_ref().is_some_and(|id| id.0.get() == echo.get()))
                .or_else(|| {
                    monitor.commands.iter().take(monitor.given).position(|command| command.id.is_none())
                }),
        };
        if let Some(command) = position.and_then(|position| monitor.take(position)) {
            self.finish(now, &id, command, result, out);
            self.dispatch(now, &id, out);
        }
    }

    /// Tell whoever waits that a command is over.
    fn finish(
        &mut self,
        now: Duration,
        monitor_id: &MonitorId,
        command: Command<P>,
        result: Result<Option<Text>, Reason>,
        out: &mut Vec<Output<P>>,
    ) {
        let Some(sender) = command.sender else { return };
        let times = command.times(self.settings.epoch_ms, Some(now));
        let shown = command.id.is_some().then_some(times);
        let (failed, output) = match result {
            Ok(output) => (None, output),
            Err(reason) => (Some(reason), None),
        };
        let message = match &failed {
            Some(reason) => failure(reason.clone(), command.id, shown),
            None => Message {
                event: "command finish",
                payload: Payload {
                    reason: Some(Reason::Ours(reason::COMMAND_FINISH)),
                    id: command.id,
                    output,
                    times: shown,
                    ..Payload::default()
                },
            },
        };
        let by_monitor = !matches!(
            failed,
            Some(Reason::Ours(reason::NOT_CONNECTED | reason::DISCONNECTED | reason::TIMED_OUT))
        );
        if self.settings.broadcast && by_monitor {
            let all = self.watchers.get(monitor_id).into_iter().flatten();
            out.extend(all.map(|watcher| Output::Emit(*watcher, message.clone())));
        }
        if let Some(peer) = self.peers.get_mut(&sender) {
            peer.pending = peer.pending.saturating_sub(1);
            let told = self.settings.broadcast && by_monitor && peer.user_of.as_ref() == Some(monitor_id);
            if !told {
                out.push(Output::Emit(sender, message));
            }
        }
        let record = Record { monitor_id: monitor_id.clone(), command: command.command, failed, times };
        out.push(Output::Record(Box::new(record)));
    }

    fn time_out(&mut self, now: Duration, timeout: Duration, id: &MonitorId, out: &mut Vec<Output<P>>) {
        let mut position = 0;
        loop {
            let Some(monitor) = self.monitors.get_mut(id) else { return };
            let given = position < monitor.given;
            let Some(command) = monitor.commands.get_mut(position) else { break };
            let age = now.saturating_sub(command.accepted);
            if age < timeout {
                break;
            }
            let Some(sender) = command.sender else {
                // Its late report, if any, has been waited for as long again.
                if age >= timeout.saturating_mul(2) {
                    monitor.take(position);
                } else {
                    position += 1;
                }
                continue;
            };
            let command = if given {
                let place = Command {
                    sender: None,
                    id: command.id.clone(),
                    command: command.command.clone(),
                    ..*command
                };
                position += 1;
                Some(std::mem::replace(command, place))
            } else {
                monitor.take(position)
            };
            if let Some(command) = command {
                debug_assert!(command.sender == Some(sender));
                self.finish(now, id, command, Err(Reason::Ours(reason::TIMED_OUT)), out);
            }
        }
        self.dispatch(now, id, out);
    }

    /// The id that a client may use in this role, or why not.
    fn admit(&self, role: Role, from: P, who: Introduction) -> Result<MonitorId, &'static str> {
        let id = who.monitor_id.filter(|id| !self.settings.hex_ids || id.is_hex());
        let id = id.ok_or(reason::INVALID_MONITOR_ID)?;
        let token = who.token.as_deref().or_else(|| self.peers.get(&from)?.token.as_deref());
        self.settings.access.check(role, &id, token)?;
        Ok(id)
    }

    fn register(&mut self, holder: P, id: MonitorId, out: &mut Vec<Output<P>>) {
        let Some(peer) = self.peers.get_mut(&holder) else { return };
        peer.monitor = Some(id.clone());
        peer.claims = None;
        let monitor = Monitor { holder, commands: VecDeque::new(), waiting_bytes: 0, given: 0, claim: None };
        self.monitors.insert(id.clone(), monitor);
        tell(holder, "con ok", reason::CONNECTION_OK, out);
        out.push(Output::Presence(id, true));
    }

    /// Nobody is this monitor any more: its commands fail, and who claimed it gets it.
    fn release(&mut self, now: Duration, id: &MonitorId, out: &mut Vec<Output<P>>) {
        let Some(monitor) = self.monitors.remove(id) else { return };
        for command in monitor.commands {
            self.finish(now, id, command, Err(Reason::Ours(reason::DISCONNECTED)), out);
        }
        out.push(Output::Presence(id.clone(), false));
        if let Some(claim) = monitor.claim {
            self.register(claim.by, id.clone(), out);
        }
    }

    /// The socket has shown that it lives: who claims its id cannot have it.
    fn prove(&mut self, now: Duration, from: P, out: &mut Vec<Output<P>>) {
        let Some(id) = self.peers.get(&from).and_then(|peer| peer.monitor.as_ref()) else { return };
        if let Some(claim) = self.monitors.get_mut(id).and_then(|monitor| monitor.claim.take()) {
            self.refuse(now, claim.by, "con failed", reason::ALREADY_REGISTERED, out);
        }
    }

    /// Say no, then close: the documents promise both, in this order.
    fn refuse(
        &mut self,
        now: Duration,
        to: P,
        event: &'static str,
        why: &'static str,
        out: &mut Vec<Output<P>>,
    ) {
        tell(to, event, why, out);
        out.push(Output::Close(to));
        self.close(now, to, out);
    }

    fn close(&mut self, now: Duration, from: P, out: &mut Vec<Output<P>>) {
        let Some(peer) = self.peers.remove(&from) else { return };
        self.unwatch(from, peer.user_of);
        self.unclaim(from, peer.claims);
        if let Some(id) = peer.monitor {
            self.release(now, &id, out);
        }
    }

    fn unclaim(&mut self, from: P, claims: Option<MonitorId>) {
        if let Some(monitor) = claims.and_then(|id| self.monitors.get_mut(&id)) {
            monitor.claim.take_if(|claim| claim.by == from);
        }
    }

    fn unwatch(&mut self, from: P, watched: Option<MonitorId>) {
        let Some(id) = watched else { return };
        if let Some(watchers) = self.watchers.get_mut(&id) {
            watchers.retain(|watcher| *watcher != from);
            if watchers.is_empty() {
                self.watchers.remove(&id);
            }
        }
    }

    /// A monitor's text as a string of bounded length, whatever JSON it sent.
    fn bounded(&self, raw: &RawValue) -> Option<Text> {
        let max = self.settings.max_command;
        if is_string(raw) && raw.get().len() <= max {
            return Some(raw.into());
        }
        let mut text = decode(raw);
        text.truncate(text.floor_char_boundary(max));
        Some(Text(serde_json::value::to_raw_value(&text).ok()?.into()))
    }
}

impl<P> Monitor<P> {
    /// Take a command out, wherever it is.
    fn take(&mut self, position: usize) -> Option<Command<P>> {
        let command = self.commands.remove(position)?;
        self.waiting_bytes -= command.command.0.get().len();
        if position < self.given {
            self.given -= 1;
        }
        Some(command)
    }
}

/// How much a [`State`] holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Connected sockets.
    pub sockets: usize,
    /// Registered monitors.
    pub monitors: usize,
    /// Unfinished commands.
    pub commands: usize,
}

fn tell<P>(to: P, event: &'static str, why: &'static str, out: &mut Vec<Output<P>>) {
    let payload = Payload { reason: Some(Reason::Ours(why)), ..Payload::default() };
    out.push(Output::Emit(to, Message { event, payload }));
}

fn failure(reason: Reason, id: Option<Text>, times: Option<Times>) -> Message {
    Message {
        event: "command failed",
        payload: Payload { reason: Some(reason), id, times, ..Payload::default() },
    }
}
