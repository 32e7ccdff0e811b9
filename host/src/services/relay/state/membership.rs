//! Who is which monitor, and who may say so: `query`, `con`, and the end of both.

use std::hash::Hash;
use std::time::Duration;

use super::super::events::{Introduction, MonitorId, Reason, reason};
use super::command::Monitor;
use super::{Output, Role, State, tell};
use crate::clock::Moment;

/// Somebody asks to be a monitor that is there already.
#[derive(Debug)]
pub(super) struct Claim<P> {
    by: P,
    /// Until when the holder may go.
    deadline: Duration,
}

impl<P: Copy + Eq + Hash> State<P> {
    pub(super) fn query(&mut self, now: Moment, from: P, who: Introduction, out: &mut Vec<Output<P>>) {
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

    pub(super) fn con(&mut self, now: Moment, from: P, who: Introduction, out: &mut Vec<Output<P>>) {
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
        let Some(monitor) = self.monitors.get(&id) else {
            return self.register(id, Monitor::new(from), out);
        };
        match self.settings.probe {
            Some(window) if !self.claims.contains_key(&id) => {
                out.push(Output::Probe(monitor.holder()));
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.claims = Some(id.clone());
                }
                self.claims.insert(id, Claim { by: from, deadline: now.elapsed + window });
            }
            _ => self.refuse(now, from, "con failed", reason::ALREADY_REGISTERED, out),
        }
    }

    /// The id that a client may use in this role, or why not.
    fn admit(&self, role: Role, from: P, who: Introduction) -> Result<MonitorId, &'static str> {
        let id = who.monitor_id.filter(|id| !self.settings.hex_ids || id.is_hex());
        let id = id.ok_or(reason::INVALID_MONITOR_ID)?;
        let token = who.token.as_deref().or_else(|| self.peers.get(&from)?.token.as_deref());
        self.settings.access.check(role, &id, token)?;
        Ok(id)
    }

    pub(super) fn register(&mut self, id: MonitorId, monitor: Monitor<P>, out: &mut Vec<Output<P>>) {
        let holder = monitor.holder();
        let Some(peer) = self.peers.get_mut(&holder) else { return };
        peer.monitor = Some(id.clone());
        peer.claims = None;
        self.monitors.insert(id.clone(), monitor);
        tell(holder, "con ok", reason::CONNECTION_OK, out);
        out.push(Output::Presence(id, true));
    }

    /// Nobody is this monitor any more: its commands fail, and who claimed it gets it.
    fn release(&mut self, now: Moment, id: &MonitorId, out: &mut Vec<Output<P>>) {
        let Some(monitor) = self.monitors.remove(id) else { return };
        for command in monitor.into_commands() {
            self.finish(now, id, command, Err(Reason::Ours(reason::DISCONNECTED)), out);
        }
        out.push(Output::Presence(id.clone(), false));
        if let Some(claim) = self.claims.remove(id) {
            self.register(id.clone(), Monitor::new(claim.by), out);
        }
    }

    /// The socket has shown that it lives: who claims its id cannot have it.
    pub(super) fn prove(&mut self, now: Moment, from: P, out: &mut Vec<Output<P>>) {
        if self.claims.is_empty() {
            return;
        }
        let Some(id) = self.peers.get(&from).and_then(|peer| peer.monitor.as_ref()) else { return };
        if let Some(claim) = self.claims.remove(id) {
            self.refuse(now, claim.by, "con failed", reason::ALREADY_REGISTERED, out);
        }
    }

    /// Claims whose time is over: who was probed and would have been heard is gone, who cannot be heard keeps its id.
    pub(super) fn end_claims(&mut self, now: Moment, out: &mut Vec<Output<P>>) {
        let over = self.claims.iter().filter(|(_, claim)| claim.deadline <= now.elapsed);
        let over: Vec<MonitorId> = over.map(|(id, _)| id.clone()).collect();
        for id in over {
            let holder = self.monitors.get(&id).map(Monitor::holder);
            match holder.filter(|holder| self.peers.get(holder).is_some_and(|peer| peer.audible)) {
                Some(ghost) => {
                    out.push(Output::Close(ghost));
                    self.close(now, ghost, out);
                }
                None => {
                    if let Some(claim) = self.claims.remove(&id) {
                        self.refuse(now, claim.by, "con failed", reason::ALREADY_REGISTERED, out);
                    }
                }
            }
        }
    }

    /// Say no, then close: the documents promise both, in this order.
    pub(super) fn refuse(
        &mut self,
        now: Moment,
        to: P,
        event: &'static str,
        why: &'static str,
        out: &mut Vec<Output<P>>,
    ) {
        tell(to, event, why, out);
        out.push(Output::Close(to));
        self.close(now, to, out);
    }

    pub(super) fn close(&mut self, now: Moment, from: P, out: &mut Vec<Output<P>>) {
        let Some(peer) = self.peers.remove(&from) else { return };
        self.unwatch(from, peer.user_of);
        self.unclaim(from, peer.claims);
        if let Some(id) = peer.monitor {
            self.release(now, &id, out);
        }
    }

    fn unclaim(&mut self, from: P, claims: Option<MonitorId>) {
        if let Some(id) = claims
            && self.claims.get(&id).is_some_and(|claim| claim.by == from)
        {
            self.claims.remove(&id);
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
}
