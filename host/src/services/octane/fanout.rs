//! Who gets what is published, and what becomes of it when somebody reads slowly.
//!
//! Everybody is in the Socket.IO rooms of their channels, and a publication is encoded once for all. Every client has
//! a bounded queue ([`MAX_QUEUE`](crate::socketio::MAX_QUEUE) packets); whoever's is full leaves the rooms and gets a
//! *backlog* until it has been worked off:
//!
//! * messages, replies and acknowledgements wait in order, [`MAX_WAITING`] of them at most; the next one ends the
//!   connection, because losing it silently would be worse;
//! * of telemetry the newest value of each signal waits, [`MAX_SIGNALS`] signals at most; a newer value replaces it,
//!   and a signal beyond that is dropped until its next value.
//!
//! Nobody waits for anybody: all of this happens without blocking.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use futures_util::FutureExt;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::{BroadcastError, SendError, SocketError};

use super::channel::Channel;
use super::state::{ClientId, Publication};
use crate::socketio::NOTHING;

/// How many messages wait for a slow reader before its connection ends.
pub(super) const MAX_WAITING: usize = 1024;
/// How many signals are remembered for a slow reader.
pub(super) const MAX_SIGNALS: usize = 1024;
/// How often a publication is repeated to those who keep up while those who do not are being set apart.
const ATTEMPTS: usize = 3;

/// Something that must not be lost.
enum Waiting {
    Event(&'static str, Box<RawValue>),
    Ack(AckSender),
}

/// What waits for a slow reader.
#[derive(Default)]
struct Backlog {
    waiting: VecDeque<Waiting>,
    latest: BTreeMap<String, (&'static str, Box<RawValue>)>,
}

struct Peer {
    socket: SocketRef,
    channels: HashSet<Channel>,
    backlog: Option<Backlog>,
    /// Its connection is to end as soon as its queue has room for saying so.
    ending: bool,
}

/// What a client's queue is like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Queue {
    Room,
    Full,
    Gone,
}

/// All clients and their channels.
#[derive(Default)]
pub(super) struct Fanout {
    peers: HashMap<ClientId, Peer>,
    members: HashMap<Channel, HashSet<ClientId>>,
    /// Clients with a backlog, or about to end.
    slow: HashSet<ClientId>,
}

impl Fanout {
    pub(super) fn add(&mut self, client: ClientId, socket: SocketRef) {
        self.peers.insert(client, Peer { socket, channels: HashSet::new(), backlog: None, ending: false });
    }

    pub(super) fn remove(&mut self, client: ClientId) {
        self.slow.remove(&client);
        let Some(peer) = self.peers.remove(&client) else { return };
        for channel in &peer.channels {
            self.leave_members(client, channel);
        }
    }

    pub(super) fn join(&mut self, client: ClientId, channel: Channel) {
        let Some(peer) = self.peers.get_mut(&client) else { return };
        if peer.backlog.is_none() {
            peer.socket.join(channel.name().to_owned());
        }
        peer.channels.insert(channel.clone());
        self.members.entry(channel).or_default().insert(client);
    }

    pub(super) fn leave(&mut self, client: ClientId, channel: &Channel) {
        if let Some(peer) = self.peers.get_mut(&client) {
            peer.socket.leave(channel.name().to_owned());
            peer.channels.remove(channel);
        }
        self.leave_members(client, channel);
    }

    /// The sockets of everybody on a channel.
    pub(super) fn sockets(&self, channel: &Channel) -> Vec<SocketRef> {
        let members = self.members.get(channel).into_iter().flatten();
        members.filter_map(|client| self.peers.get(client)).map(|peer| peer.socket.clone()).collect()
    }

    /// Says something to one client.
    pub(super) fn emit(&mut self, client: ClientId, event: &'static str, data: Box<RawValue>) {
        self.send(client, Waiting::Event(event, data));
    }

    /// Acknowledges what a client said.
    pub(super) fn acknowledge(&mut self, client: ClientId, ack: AckSender) {
        self.send(client, Waiting::Ack(ack));
    }

    /// Ends a connection once everything said to the client has been sent.
    pub(super) fn disconnect(&mut self, client: ClientId) {
        if let Some(peer) = self.peers.get_mut(&client) {
            peer.ending = true;
            self.slow.insert(client);
            self.work_off(client);
        }
    }

    /// Says something to everybody on some channels, once to each.
    pub(super) fn publish(&mut self, publication: &Publication) {
        let members = self.audience(publication);
        for client in &members {
            let Some(peer) = self.peers.get_mut(client).filter(|peer| peer.backlog.is_some()) else {
                continue;
            };
            let end = match &publication.signal {
                None => !peer.wait(Waiting::Event(publication.event, publication.data.clone())),
                Some(signal) => {
                    peer.remember(signal, publication);
                    false
                }
            };
            if end {
                self.disconnect(*client);
            }
        }
        match publication.signal {
            None => self.publish_message(publication, &members),
            Some(_) => self.publish_telemetry(publication, &members),
        }
    }

    /// Sends to slow readers what their queues have room for by now.
    pub(super) fn flush(&mut self) {
        for client in self.slow.clone() {
            self.work_off(client);
        }
    }

    /// Messages go to each exactly once, so those without room are set apart before.
    fn publish_message(&mut self, publication: &Publication, members: &HashSet<ClientId>) {
        let mut ready = None;
        for client in members {
            let Some(peer) = self.peers.get(client).filter(|peer| peer.backlog.is_none()) else { continue };
            match peer.queue() {
                Queue::Room => ready = Some(peer.socket.clone()),
                Queue::Gone => {}
                Queue::Full => {
                    self.set_apart(*client);
                    self.send(*client, Waiting::Event(publication.event, publication.data.clone()));
                }
            }
        }
        let Some(socket) = ready else { return };
        if self.broadcast(&socket, publication) {
            return;
        }
        // The last place in somebody's queue was taken by a heartbeat in between. Whose cannot be told apart from
        // those who just filled up: all of them go rather than one of them missing a message unknowingly.
        for client in members {
            if self
                .peers
                .get(client)
                .is_some_and(|peer| peer.backlog.is_none() && peer.queue() == Queue::Full)
            {
                tracing::warn!(client, "a client that reads too slowly is disconnected");
                self.disconnect(*client);
            }
        }
    }

    /// Telemetry may be repeated: whoever missed it is set apart with it, and the others hear it again.
    fn publish_telemetry(&mut self, publication: &Publication, members: &HashSet<ClientId>) {
        for _ in 0..ATTEMPTS {
            let mut keeping_up = members.iter().filter_map(|client| self.peers.get(client));
            let Some(peer) = keeping_up.find(|peer| peer.backlog.is_none()) else { return };
            let socket = peer.socket.clone();
            if self.broadcast(&socket, publication) {
                return;
            }
            for client in members {
                let full = |peer: &Peer| peer.backlog.is_none() && peer.queue() == Queue::Full;
                if self.peers.get(client).is_some_and(full) {
                    self.set_apart(*client);
                    if let (Some(peer), Some(signal)) = (self.peers.get_mut(client), &publication.signal) {
                        peer.remember(signal, publication);
                    }
                }
            }
        }
    }

    /// Whether everybody in the rooms had room for it.
    fn broadcast(&self, socket: &SocketRef, publication: &Publication) -> bool {
        let rooms: Vec<String> =
            publication.channels.iter().map(|channel| channel.name().to_owned()).collect();
        let sender = publication.except.and_then(|client| self.peers.get(&client));
        let to = match sender {
            Some(sender) => sender.socket.to(rooms),
            None => socket.within(rooms),
        };
        // Within one process a broadcast is ready at once.
        match to.emit(publication.event, &*publication.data).now_or_never() {
            Some(Err(BroadcastError::Socket(errors))) => {
                !errors.iter().any(|error| matches!(error, SocketError::InternalChannelFull))
            }
            _ => true,
        }
    }

    fn audience(&self, publication: &Publication) -> HashSet<ClientId> {
        let joined = publication.channels.iter().filter_map(|channel| self.members.get(channel)).flatten();
        joined.copied().filter(|client| Some(*client) != publication.except).collect()
    }

    fn send(&mut self, client: ClientId, what: Waiting) {
        let Some(peer) = self.peers.get_mut(&client) else { return };
        if peer.backlog.is_none() {
            match peer.attempt(what) {
                None => return,
                Some(what) => {
                    self.set_apart(client);
                    return self.send(client, what);
                }
            }
        }
        if !peer.wait(what) {
            tracing::warn!(client, "a client that reads too slowly is disconnected");
            self.disconnect(client);
        }
    }

    /// Gives a client a backlog, and takes it out of the rooms meanwhile.
    fn set_apart(&mut self, client: ClientId) {
        let Some(peer) = self.peers.get_mut(&client) else { return };
        tracing::debug!(client, "reads slowly: its telemetry is conflated");
        peer.backlog.get_or_insert_default();
        peer.socket.leave(peer.rooms());
        self.slow.insert(client);
    }

    fn work_off(&mut self, client: ClientId) {
        let Some(peer) = self.peers.get_mut(&client) else { return };
        while let Some(backlog) = &mut peer.backlog {
            let next = backlog.waiting.pop_front();
            let (what, signal) = match next {
                Some(what) => (what, None),
                None => match backlog.latest.pop_first() {
                    Some((signal, (event, data))) => (Waiting::Event(event, data), Some(signal)),
                    None => {
                        peer.backlog = None;
                        peer.socket.join(peer.rooms());
                        break;
                    }
                },
            };
            let Some(back) = peer.attempt(what) else { continue };
            match (&mut peer.backlog, back, signal) {
                (Some(backlog), Waiting::Event(event, data), Some(signal)) => {
                    backlog.latest.insert(signal, (event, data));
                }
                (Some(backlog), back, _) => backlog.waiting.push_front(back),
                (None, ..) => {}
            }
            return;
        }
        if !peer.ending || peer.socket.clone().disconnect().is_ok() {
            self.slow.remove(&client);
        }
    }

    fn leave_members(&mut self, client: ClientId, channel: &Channel) {
        if let Some(members) = self.members.get_mut(channel) {
            members.remove(&client);
            if members.is_empty() {
                self.members.remove(channel);
            }
        }
    }
}

impl Peer {
    fn rooms(&self) -> Vec<String> {
        self.channels.iter().map(|channel| channel.name().to_owned()).collect()
    }

    /// Sends, or gives back what there is no room for. What cannot be sent to anybody any more counts as sent.
    fn attempt(&self, what: Waiting) -> Option<Waiting> {
        match what {
            Waiting::Event(event, data) => match self.socket.emit(event, &*data) {
                Err(SendError::Socket(SocketError::InternalChannelFull)) => Some(Waiting::Event(event, data)),
                _ => None,
            },
            Waiting::Ack(_) if self.queue() == Queue::Full => Some(what),
            Waiting::Ack(ack) => {
                if let Err(error) = ack.send(&NOTHING) {
                    tracing::debug!(%error, "an acknowledgement was not sent");
                }
                None
            }
        }
    }

    /// Puts something behind what waits; whether there was room.
    fn wait(&mut self, what: Waiting) -> bool {
        let backlog = self.backlog.get_or_insert_default();
        let room = backlog.waiting.len() < MAX_WAITING;
        if room {
            backlog.waiting.push_back(what);
        }
        room
    }

    fn remember(&mut self, signal: &str, publication: &Publication) {
        let latest = &mut self.backlog.get_or_insert_default().latest;
        if latest.len() < MAX_SIGNALS || latest.contains_key(signal) {
            latest.insert(signal.to_owned(), (publication.event, publication.data.clone()));
        }
    }

    /// Looks at the client's queue without putting anything into it.
    fn queue(&self) -> Queue {
        match self.socket.emit("", &Nothing) {
            Err(SendError::Socket(SocketError::InternalChannelFull)) => Queue::Full,
            Err(SendError::Socket(_)) => Queue::Gone,
            _ => Queue::Room,
        }
    }
}

/// Cannot be serialised. A place in the queue is reserved before the packet is made, so the error of emitting this
/// tells whether there was one.
struct Nothing;

impl Serialize for Nothing {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("a look at the queue"))
    }
}
