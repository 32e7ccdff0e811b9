//! The relay itself: who is which monitor, whose command is where. Pure; time is an argument.
//!
//! ```text
//! user      connected ─ query ok ─▶ ready ─ command send ─▶ command ok ─▶ command finish | command failed ─▶ ready
//! monitor   connected ─ con ok ─▶ registered ─ command do ─▶ command done | command error ─▶ registered
//! claimant  connected ─ con of a taken id ─▶ the holder is probed ─▶ con ok (nobody is there) | con failed (it lives)
//! ```
//!
//! A completion belongs to the oldest command of its monitor, or to the one whose id it echoes.

mod access;
mod command;
mod membership;

use std::hash::Hash;
use std::time::Duration;

use foldhash::{HashMap, HashMapExt};

use super::events::{Message, MonitorId, Payload, Reason, Request, Text, Times, reason};
use crate::clock::Moment;
use command::{Monitor, bounded};
use membership::Claim;

pub use access::{Access, Grant, Role};

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
    /// Commands of one user that may be unfinished; for one monitor there may be four times as many.
    pub max_pending: usize,
    /// Commands a second of one user, and as many at once.
    pub rate: u32,
    /// Commands that a monitor is given before it has reported one back; the rest wait here.
    pub window: usize,
    /// After which time a command has failed; `None` waits for ever.
    pub timeout: Option<Duration>,
    /// How long the holder of a taken id is probed; `None` refuses a second `con` at once.
    pub probe: Option<Duration>,
}

/// Something that happened to the socket `P`.
#[derive(Debug)]
pub enum Input<'a> {
    /// It connected.
    Opened {
        /// What it brought, for everything it will ask.
        token: Option<String>,
        /// Whether whatever comes from it is noticed: then silence after a probe means that nobody is there.
        audible: bool,
    },
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
    /// Who asks for the id of a monitor that is there; one at most for each.
    claims: HashMap<MonitorId, Claim<P>>,
    /// Who queried which monitor; kept only when completions are broadcast.
    watchers: HashMap<MonitorId, Vec<P>>,
}

#[derive(Debug)]
struct Peer {
    token: Option<String>,
    audible: bool,
    /// The monitor that this user commands.
    user_of: Option<MonitorId>,
    /// The monitor that this socket is.
    monitor: Option<MonitorId>,
    /// The taken id that this socket asked for.
    claims: Option<MonitorId>,
    /// Its unfinished commands, and their bytes.
    pending: usize,
    pending_bytes: usize,
    /// Commands it may still send now, and when that was counted.
    allowance: f64,
    counted: Duration,
}

impl<P: Copy + Eq + Hash> State<P> {
    /// A relay that nobody is connected to.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            peers: HashMap::new(),
            monitors: HashMap::new(),
            claims: HashMap::new(),
            watchers: HashMap::new(),
        }
    }

    /// Take one input of the socket `from` at `now` and append what must be done to `out`.
    pub fn handle(&mut self, now: Moment, from: P, input: Input<'_>, out: &mut Vec<Output<P>>) {
        match input {
            Input::Opened { token, audible } => {
                let allowance = f64::from(self.settings.rate);
                let peer = Peer {
                    token,
                    audible,
                    user_of: None,
                    monitor: None,
                    claims: None,
                    pending: 0,
                    pending_bytes: 0,
                    allowance,
                    counted: now.elapsed,
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
                        let output = output.and_then(bounded);
                        self.report(now, from, id, Ok(output), out);
                    }
                    Request::Error { reason, id } => {
                        let why = reason.and_then(bounded);
                        let why = why.map_or(Reason::Ours(reason::NO_REASON), Reason::Monitors);
                        self.report(now, from, id, Err(why), out);
                    }
                }
            }
        }
    }

    /// Make `from` a monitor within this program: it needs no key, is given one command at a time and must report each.
    /// `false` when the id is taken.
    pub fn attach(&mut self, from: P, id: MonitorId, out: &mut Vec<Output<P>>) -> bool {
        let free = !self.monitors.contains_key(&id);
        if free {
            self.register(id, Monitor::attached(from), out);
        }
        free
    }

    /// Let time pass: commands time out, claims are decided. Call it now and then while
    /// the relay is not [idle](Self::is_idle).
    pub fn handle_timeout(&mut self, now: Moment, out: &mut Vec<Output<P>>) {
        self.end_claims(now, out);
        if let Some(timeout) = self.settings.timeout {
            let waiting = self.monitors.iter().filter(|(_, monitor)| monitor.unfinished() > 0);
            let ids: Vec<MonitorId> = waiting.map(|(id, _)| id.clone()).collect();
            ids.iter().for_each(|id| self.time_out(now, timeout, id, out));
        }
    }

    /// Whether time changes nothing: no claim is open, and no command waits that could time out.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let timed = self.settings.timeout.is_some();
        self.claims.is_empty() && (!timed || self.monitors.values().all(|monitor| monitor.unfinished() == 0))
    }

    /// How many sockets, monitors and unfinished commands there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            sockets: self.peers.len(),
            monitors: self.monitors.len(),
            commands: self.monitors.values().map(Monitor::unfinished).sum(),
        }
    }
}

/// How much a [`State`] holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
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
