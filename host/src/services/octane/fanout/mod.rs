//! Who gets what is published, and what becomes of it when somebody reads slowly.
//!
//! Everybody is in the Socket.IO rooms of their channels, and a publication is encoded once for all. But before it is
//! sent everybody is asked whether there is [room](crate::socketio::SendWindow) on the way to them. Whoever has none is
//! *set apart*: in a room that publications leave out, until what waits for them has been sent:
//!
//! * messages, replies and acknowledgements wait in order, [`MAX_WAITING`](crate::socketio::MAX_WAITING) bytes at most;
//!   the next one ends the connection, because losing it silently would be worse;
//! * of telemetry the newest value of each signal waits, [`MAX_SIGNALS`](latest::MAX_SIGNALS) signals and
//!   [`MAX_BYTES`](latest::MAX_BYTES) at most; a newer value replaces it, and what is beyond that is dropped until its
//!   next value. Values go after messages.
//!
//! Who gets something, and how, is decided before it is sent: so nothing is lost, and nothing comes twice. Nobody waits
//! for anybody: all of this happens without blocking.

mod latest;

use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use futures_util::FutureExt;
use socketioxide::extract::SocketRef;
use socketioxide::{BroadcastError, SocketError};

use super::channel::Channel;
use super::state::{ClientId, Publication};
use crate::socketio::{Connection, Message, SendQueue};
use latest::Latest;

/// The room of those who are set apart. No channel is called that.
const APART: &str = "apart";

struct Peer {
    queue: SendQueue,
    channels: HashSet<Channel>,
    /// What waits besides messages, for somebody who is set apart.
    apart: Option<Latest>,
}

/// All clients and their channels.
#[derive(Default)]
pub(super) struct Fanout {
    peers: HashMap<ClientId, Peer>,
    /// Who is on a channel, and the connection to them.
    members: HashMap<Channel, HashMap<ClientId, Option<Arc<Connection>>>>,
    apart: HashSet<ClientId>,
    /// Who has been set apart since the last look.
    fallen_behind: Vec<(ClientId, Arc<Connection>)>,
}

impl Fanout {
    pub(super) fn add(&mut self, client: ClientId, socket: &SocketRef) {
        // A socket that left and came again has the id it had. What was still done in its name is undone.
        socket.leave_all();
        let peer = Peer { queue: SendQueue::new(socket), channels: HashSet::default(), apart: None };
        self.peers.insert(client, peer);
    }

    pub(super) fn remove(&mut self, client: ClientId) {
        let Some(peer) = self.peers.remove(&client) else { return };
        peer.channels.iter().for_each(|channel| self.forget_member(client, channel));
        self.apart.remove(&client);
    }

    pub(super) fn join(&mut self, client: ClientId, channel: Channel) {
        let Some(peer) = self.peers.get_mut(&client) else { return };
        if let Some(socket) = peer.socket() {
            socket.join(channel.name().to_owned());
        }
        let connection = peer.queue.connection().cloned();
        self.members.entry(channel.clone()).or_default().insert(client, connection);
        peer.channels.insert(channel);
    }

    pub(super) fn leave(&mut self, client: ClientId, channel: &Channel) {
        let Some(peer) = self.peers.get_mut(&client) else { return };
        if let Some(socket) = peer.socket() {
            socket.leave(channel.name().to_owned());
        }
        peer.channels.remove(channel);
        let Peer { channels, apart, .. } = peer;
        if let Some(latest) = apart {
            latest.retain(|value| value.channels.iter().any(|channel| channels.contains(channel)));
        }
        self.forget_member(client, channel);
    }

    fn forget_member(&mut self, client: ClientId, channel: &Channel) {
        if let Some(members) = self.members.get_mut(channel) {
            members.remove(&client);
            if members.is_empty() {
                self.members.remove(channel);
            }
        }
    }

    /// Everybody on a channel.
    pub(super) fn members(&self, channel: &Channel) -> Vec<ClientId> {
        self.members.get(channel).into_iter().flat_map(HashMap::keys).copied().collect()
    }

    /// Says something to one client.
    pub(super) fn send(&mut self, client: ClientId, message: Message) {
        let Some(peer) = self.peers.get_mut(&client) else { return };
        if let Err(overflow) = peer.queue.send(message) {
            tracing::warn!(client, "{overflow}: it is disconnected");
            // What waits goes with it.
            let socket = peer.queue.socket().clone();
            self.remove(client);
            // It is on its way out; a failure to say so changes nothing.
            let _ = socket.disconnect();
        } else if peer.queue.has_waiting() {
            self.set_apart(client);
        }
    }

    /// Ends a connection once everything said to the client has been sent.
    pub(super) fn disconnect(&mut self, client: ClientId) {
        if let Some(latest) = self.peers.get_mut(&client).and_then(|peer| peer.apart.as_mut()) {
            latest.retain(|_| false);
        }
        self.send(client, Message::End);
    }

    /// Says something to everybody on some channels, once to each.
    pub(super) fn publish(&mut self, publication: Publication) {
        if !publication.channels.iter().any(|channel| self.members.contains_key(channel)) {
            return; // and it need not even be written
        }
        let bytes = publication.data.json().get().len();
        let (mut is_heard, mut late) = (false, Vec::new());
        for (at, channel) in publication.channels.iter().enumerate() {
            for (client, connection) in self.members.get(channel).into_iter().flatten() {
                let is_again = || {
                    let channels = self.peers.get(client).map(|peer| &peer.channels);
                    channels.is_some_and(|its| publication.channels[..at].iter().any(|it| its.contains(it)))
                };
                if publication.except == Some(*client) || at > 0 && is_again() {
                    continue;
                }
                let is_apart = !self.apart.is_empty() && self.apart.contains(client);
                if is_apart || connection.as_ref().is_some_and(|connection| !connection.window.take(bytes)) {
                    late.push(*client);
                } else {
                    is_heard = true;
                }
            }
        }
        late.iter().for_each(|client| self.set_apart(*client));
        if is_heard {
            self.broadcast(&publication);
        }
        if late.is_empty() {
            return;
        }
        let publication = Arc::new(publication);
        for client in late {
            match (&publication.signal, self.peers.get_mut(&client)) {
                (Some(signal), Some(Peer { apart: Some(latest), .. })) => {
                    latest.remember(signal, &publication);
                }
                _ => {
                    let data = Arc::clone(publication.data.json());
                    self.send(client, Message::Event(publication.event, data));
                }
            }
        }
    }

    /// Sends to everybody who is not set apart.
    fn broadcast(&self, publication: &Publication) {
        let rooms: Vec<String> =
            publication.channels.iter().map(|channel| channel.name().to_owned()).collect();
        let sender = publication.except.and_then(|client| self.peers.get(&client));
        let apart = self.apart.iter().find_map(|client| self.peers.get(client)?.socket());
        // `except` leaves out whoever it is called on, too: that is the sender, or somebody who is left out anyway.
        let to = match (sender, apart) {
            (Some(sender), Some(_)) => sender.queue.socket().to(rooms).except(APART),
            (Some(sender), None) => sender.queue.socket().to(rooms),
            (None, Some(apart)) => apart.within(rooms).except(APART),
            (None, None) => match self.peers.values().next() {
                Some(anybody) => anybody.queue.socket().within(rooms),
                None => return,
            },
        };
        // Within one process a broadcast is ready at once.
        let sent = to.emit(publication.event, &**publication.data.json()).now_or_never();
        if let Some(Err(BroadcastError::Socket(errors))) = sent
            && errors.iter().any(|error| matches!(error, SocketError::InternalChannelFull))
        {
            tracing::error!(publication.event, "a packet was lost: a queue is full beyond its window");
        }
    }

    /// Who has been set apart since the last look: to each [what waits](Self::send_waiting) is sent as its connection
    /// drains.
    pub(super) fn take_fallen_behind(&mut self) -> Vec<(ClientId, Arc<Connection>)> {
        std::mem::take(&mut self.fallen_behind)
    }

    fn set_apart(&mut self, client: ClientId) {
        let Some(peer) = self.peers.get_mut(&client).filter(|peer| peer.apart.is_none()) else { return };
        let (Some(socket), Some(connection)) = (peer.socket(), peer.queue.connection()) else { return };
        socket.join(APART);
        self.fallen_behind.push((client, Arc::clone(connection)));
        peer.apart = Some(Latest::default());
        self.apart.insert(client);
    }

    /// Sends to somebody who is set apart what there is room for; answers whether that was all, or whether there is
    /// nobody.
    pub(super) fn send_waiting(&mut self, client: ClientId) -> bool {
        let Some(peer) = self.peers.get_mut(&client) else { return true };
        if !peer.queue.send_waiting() {
            return false;
        }
        if let Some(latest) = &mut peer.apart {
            while let Some(value) = latest.first() {
                if !peer.queue.try_send(value.event, value.data.json()) {
                    return false;
                }
                latest.pop();
            }
        }
        peer.apart = None;
        self.apart.remove(&client);
        if let Some(socket) = peer.socket() {
            socket.leave(APART);
        }
        true
    }
}

impl Peer {
    /// The socket as long as it is connected. Afterwards its rooms may be those of the socket that follows it.
    fn socket(&self) -> Option<&SocketRef> {
        Some(self.queue.socket()).filter(|socket| socket.connected())
    }
}
