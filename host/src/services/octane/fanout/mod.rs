//! Who gets what is published, and what becomes of it when somebody reads slowly.
//!
//! Everybody is in the Socket.IO rooms of their channels, and a publication is encoded once for all. Every client has
//! a queue of [`MAX_QUEUE`](crate::socketio::MAX_QUEUE) packets, of which the [`LARGE`] ones have [`MAX_LARGE`] bytes
//! together; whoever's is full leaves the rooms and gets a [`Backlog`] until it has been worked off:
//!
//! * messages, replies and acknowledgements wait in order, [`MAX_WAITING`] of them and [`MAX_BYTES`] at most; the next
//!   one ends the connection, because losing it silently would be worse;
//! * of telemetry the newest value of each signal waits, [`MAX_SIGNALS`](backlog::MAX_SIGNALS) signals and
//!   [`MAX_BYTES`] at most; a newer value replaces it, and what is beyond that is dropped until its next value.
//!
//! Nobody waits for anybody: all of this happens without blocking.

mod backlog;
mod room;

use std::collections::{HashMap, HashSet};

use futures_util::FutureExt;
use serde_json::value::RawValue;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::{BroadcastError, SendError, SocketError};

use super::channel::Channel;
use super::state::{ClientId, Publication};
use crate::socketio::NOTHING;
use backlog::{Backlog, Next, Waiting};
#[cfg(doc)]
use backlog::{MAX_BYTES, MAX_WAITING};

/// A packet of so many bytes counts against [`MAX_LARGE`]; smaller ones are bounded well enough by their number.
const LARGE: usize = 16_384;
/// How many bytes of large packets are put into a client's queue before it has to show that it reads them.
const MAX_LARGE: usize = 4_194_304;
/// A queue with no more packets than that counts as read.
const FEW: usize = 16;

struct Peer {
    socket: SocketRef,
    channels: HashSet<Channel>,
    backlog: Option<Backlog>,
    /// Bytes of large packets since the queue was last seen to be read.
    large: usize,
    /// Its connection is to end as soon as its queue has room for saying so.
    ending: bool,
}

/// All clients and their channels.
#[derive(Default)]
pub(super) struct Fanout {
    peers: HashMap<ClientId, Peer>,
    /// Clients with a backlog, or about to end.
    slow: HashSet<ClientId>,
}

impl Fanout {
    pub(super) fn add(&mut self, client: ClientId, socket: SocketRef) {
        let peer = Peer { socket, channels: HashSet::new(), backlog: None, large: 0, ending: false };
        self.peers.insert(client, peer);
    }

    pub(super) fn remove(&mut self, client: ClientId) {
        self.slow.remove(&client);
        self.peers.remove(&client);
    }

    pub(super) fn join(&mut self, client: ClientId, channel: Channel) {
        let Some(peer) = self.peers.get_mut(&client) else { return };
        if peer.backlog.is_none() {
            peer.socket.join(channel.name().to_owned());
        }
        peer.channels.insert(channel);
    }

    pub(super) fn leave(&mut self, client: ClientId, channel: &Channel) {
        if let Some(peer) = self.peers.get_mut(&client) {
            peer.socket.leave(channel.name().to_owned());
            peer.channels.remove(channel);
        }
    }

    /// The sockets of everybody on a channel.
    pub(super) fn sockets(&self, channel: &Channel) -> Vec<SocketRef> {
        let members = self.peers.values().filter(|peer| peer.channels.contains(channel));
        members.map(|peer| peer.socket.clone()).collect()
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
        let bytes = publication.data.get().len();
        if bytes >= LARGE {
            for client in self.audience(publication) {
                if self
                    .peers
                    .get_mut(&client)
                    .is_some_and(|peer| peer.backlog.is_none() && !peer.allows(bytes))
                {
                    self.set_apart(client);
                }
            }
        }
        for client in self.slow.clone() {
            if self
                .peers
                .get(&client)
                .is_some_and(|peer| peer.backlog.is_some() && peer.hears(client, publication))
            {
                self.publish_to(client, publication);
            }
        }
        let full = self.broadcast(publication);
        if full > 0 {
            self.sort_out(publication, full);
        }
    }

    /// Whether anybody has a backlog or is about to end.
    pub(super) fn is_behind(&self) -> bool {
        !self.slow.is_empty()
    }

    /// Sends to slow readers what their queues have room for by now.
    pub(super) fn flush(&mut self) {
        for client in self.slow.clone() {
            self.work_off(client);
        }
    }

    /// Sends to everybody who is not set apart, and answers how many had no room for it.
    fn broadcast(&self, publication: &Publication) -> usize {
        let rooms: Vec<String> =
            publication.channels.iter().map(|channel| channel.name().to_owned()).collect();
        let sender = publication.except.and_then(|client| self.peers.get(&client));
        let to = match (sender, self.peers.values().next()) {
            (Some(sender), _) => sender.socket.to(rooms),
            (None, Some(anybody)) => anybody.socket.within(rooms),
            (None, None) => return 0,
        };
        // Within one process a broadcast is ready at once.
        match to.emit(publication.event, &*publication.data).now_or_never() {
            Some(Err(BroadcastError::Socket(errors))) => {
                errors.iter().filter(|error| matches!(error, SocketError::InternalChannelFull)).count()
            }
            _ => 0,
        }
    }

    /// Sets apart those who had no room for a publication, `missed` of them, and keeps it for them.
    fn sort_out(&mut self, publication: &Publication, missed: usize) {
        let full: Vec<ClientId> = self
            .audience(publication)
            .filter(|client| {
                self.peers
                    .get(client)
                    .is_some_and(|peer| peer.backlog.is_none() && !room::has(&peer.socket, 1))
            })
            .collect();
        // Somebody's last place was taken by this very publication, and nobody can tell whose. A value may come
        // twice; a message may neither come twice nor be missed, so none of them stays.
        let is_certain = full.len() <= missed || publication.signal.is_some();
        for client in full {
            if is_certain {
                self.set_apart(client);
                self.publish_to(client, publication);
            } else {
                tracing::warn!(client, "a client that reads too slowly is disconnected");
                self.disconnect(client);
            }
        }
    }

    fn audience(&self, publication: &Publication) -> impl Iterator<Item = ClientId> + use<> {
        let all = self.peers.iter().filter(|(client, peer)| peer.hears(**client, publication));
        all.map(|(client, _)| *client).collect::<Vec<_>>().into_iter()
    }

    /// Keeps a publication for a client that is set apart.
    fn publish_to(&mut self, client: ClientId, publication: &Publication) {
        let Some(peer) = self.peers.get_mut(&client) else { return };
        let (event, data) = (publication.event, publication.data.clone());
        match (&publication.signal, &mut peer.backlog) {
            (Some(signal), Some(backlog)) => backlog.remember(signal, event, data),
            _ => self.send(client, Waiting::Event(event, data)),
        }
    }

    fn send(&mut self, client: ClientId, what: Waiting) {
        let Some(peer) = self.peers.get_mut(&client) else { return };
        let back = if peer.backlog.is_none() { peer.attempt(what) } else { Some(what) };
        let Some(what) = back else { return };
        self.set_apart(client);
        let Some(backlog) = self.peers.get_mut(&client).and_then(|peer| peer.backlog.as_mut()) else {
            return;
        };
        if !backlog.wait(what) {
            tracing::warn!(client, "a client that reads too slowly is disconnected");
            self.disconnect(client);
        }
    }

    /// Gives a client a backlog, and takes it out of the rooms meanwhile.
    fn set_apart(&mut self, client: ClientId) {
        let Some(peer) = self.peers.get_mut(&client).filter(|peer| peer.backlog.is_none()) else { return };
        tracing::debug!(client, "reads slowly: its telemetry is conflated");
        peer.backlog = Some(Backlog::default());
        peer.socket.leave(peer.rooms());
        self.slow.insert(client);
    }

    fn work_off(&mut self, client: ClientId) {
        let Some(peer) = self.peers.get_mut(&client) else { return };
        while let Some(mut backlog) = peer.backlog.take() {
            let Some(Next { what, signal }) = backlog.next() else {
                peer.socket.join(peer.rooms());
                break;
            };
            let back = peer.attempt(what);
            let is_full = back.is_some();
            if let Some(what) = back {
                backlog.put_back(Next { what, signal });
            }
            peer.backlog = Some(backlog);
            if is_full {
                return;
            }
        }
        if !peer.ending || peer.socket.clone().disconnect().is_ok() {
            self.slow.remove(&client);
        }
    }
}

impl Peer {
    fn hears(&self, client: ClientId, publication: &Publication) -> bool {
        publication.except != Some(client)
            && publication.channels.iter().any(|channel| self.channels.contains(channel))
    }

    fn rooms(&self) -> Vec<String> {
        self.channels.iter().map(|channel| channel.name().to_owned()).collect()
    }

    /// Whether a large packet may be put into the queue; it counts as put there.
    fn allows(&mut self, bytes: usize) -> bool {
        if self.large + bytes > MAX_LARGE {
            if !room::is_read(&self.socket, FEW) {
                return false;
            }
            self.large = 0;
        }
        self.large += bytes;
        true
    }

    /// Sends, or gives back what there is no room for. What cannot be sent to anybody any more counts as sent.
    fn attempt(&mut self, what: Waiting) -> Option<Waiting> {
        let bytes = what.bytes();
        if bytes >= LARGE && !self.allows(bytes) {
            return Some(what);
        }
        match what {
            Waiting::Event(event, data) => match self.socket.emit(event, &*data) {
                Err(SendError::Socket(SocketError::InternalChannelFull)) => Some(Waiting::Event(event, data)),
                _ => None,
            },
            Waiting::Ack(_) if !room::has(&self.socket, 1) => Some(what),
            Waiting::Ack(ack) => {
                if let Err(error) = ack.send(&NOTHING) {
                    tracing::debug!(%error, "an acknowledgement was not sent");
                }
                None
            }
        }
    }
}
