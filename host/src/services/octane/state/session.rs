//! A client's way in, what it joins, and its way out.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::value::RawValue;

use super::{ClientId, Output, State, emit};
use crate::clock::Moment;
use crate::services::octane::channel::{ANNOUNCED, Channel};
use crate::services::octane::events::{Channels, Joined, Left, Listed, Message, Which};
use crate::services::octane::keys::{Grant, Keys};
use crate::services::octane::resource::{self, ControlError};

/// How many channels a client may join: far more than there are, except those of single radios.
pub const MAX_CHANNELS: usize = 256;

/// How long after `auth_fail` the connection ends.
///
/// python-socketio takes no notice of an end that comes before its `connect()` has returned, and its handler of
/// `connect`, which sends the key, runs before that: told at once, such a client would wait for ever.
pub const DISCONNECT_DELAY: Duration = Duration::from_millis(300);

/// What is known of a client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) authentication: Authentication,
    channels: BTreeSet<Channel>,
}

/// How far the authentication of a client is. How long it may wait is counted by [`Moment::elapsed`].
#[derive(Debug)]
pub(super) enum Authentication {
    /// It has not shown a good key, and may do so until then.
    Pending { until: Duration },
    /// It has shown a good key.
    Granted(Grant),
    /// It has been told why it has to go, and goes then.
    Refused { at: Duration },
}

impl State {
    pub(super) fn open(
        &mut self,
        now: Moment,
        client: ClientId,
        key: Option<String>,
        outputs: &mut Vec<Output>,
    ) {
        let authentication =
            Authentication::Pending { until: now.elapsed.saturating_add(self.settings.grace) };
        self.sessions.insert(client, Session { authentication, channels: BTreeSet::new() });
        if key.is_some() {
            self.judge(now, client, key.as_deref(), outputs);
        }
    }

    pub(super) fn judge(
        &mut self,
        now: Moment,
        client: ClientId,
        key: Option<&str>,
        outputs: &mut Vec<Output>,
    ) {
        match self.keys.check(key, now.wall) {
            Some(grant) => self.admit(client, grant, outputs),
            None => self.refuse(now, client, "API key is missing or invalid", outputs),
        }
    }

    /// Lets a client in. Once in, a further good key only changes what it may do.
    pub(super) fn admit(&mut self, client: ClientId, grant: Grant, outputs: &mut Vec<Output>) {
        let Some(session) = self.sessions.get_mut(&client) else { return };
        if matches!(session.authentication, Authentication::Refused { .. }) {
            return; // over is over
        }
        let before = std::mem::replace(&mut session.authentication, Authentication::Granted(grant));
        outputs.push(emit(client, "auth_ok", &Message { message: "OK" }));
        if matches!(before, Authentication::Granted(_)) {
            return;
        }
        for name in ["user", "facility"] {
            self.enter(client, Channel::known(name), outputs);
        }
        // Exactly once: clients take this for "you are logged in" and join from its handler.
        outputs.push(self.listing(client));
    }

    /// Tells a client why it has to go; it hears nothing after that, and goes a little later.
    fn refuse(&mut self, now: Moment, client: ClientId, why: &str, outputs: &mut Vec<Output>) {
        let Some(session) = self.sessions.get_mut(&client) else { return };
        if matches!(session.authentication, Authentication::Refused { .. }) {
            return;
        }
        session.authentication = Authentication::Refused { at: now.elapsed.saturating_add(DISCONNECT_DELAY) };
        outputs.push(emit(client, "auth_fail", &Message { message: why }));
        let channels = std::mem::take(&mut session.channels);
        for channel in channels {
            self.lose(&channel);
            outputs.push(Output::Leave { client, channel });
        }
    }

    pub(super) fn part(&mut self, client: ClientId, outputs: &mut Vec<Output>) {
        if self.settings.echo_disconnect {
            outputs.push(emit(client, "disconnect_request", &Message { message: "Disconnected" }));
        }
        self.forget(client);
        outputs.push(Output::Disconnect { client });
    }

    pub(super) fn listing(&self, client: ClientId) -> Output {
        let joined = self.sessions.get(&client).map(|session| &session.channels);
        let subscribed =
            |name| joined.is_some_and(|joined| joined.iter().any(|channel| channel.name() == name));
        let channels = ANNOUNCED.map(|name| Listed { name, subscribed: subscribed(name) });
        emit(client, "channels", &Channels { channels })
    }

    pub(super) fn join(&mut self, client: ClientId, data: &RawValue) -> Result<Vec<Output>, ControlError> {
        let channel = which(data)?;
        let mut outputs = Vec::new();
        let joined = self.sessions.get(&client).map(|session| &session.channels);
        if joined.is_some_and(|joined| joined.len() >= MAX_CHANNELS && !joined.contains(&channel)) {
            return Err(ControlError::Full(format!("no more than {MAX_CHANNELS} channels")));
        }
        // Scripts wait for the echo, so it is sent to those who have joined before, too.
        self.enter(client, channel, &mut outputs);
        Ok(outputs)
    }

    fn enter(&mut self, client: ClientId, channel: Channel, outputs: &mut Vec<Output>) {
        let Some(session) = self.sessions.get_mut(&client) else { return };
        outputs.push(emit(client, "join", &Joined { join: channel.name() }));
        if session.channels.insert(channel.clone()) {
            *self.subscribers.entry(channel.clone()).or_default() += 1;
            outputs.push(Output::Join { client, channel });
        }
    }

    pub(super) fn leave(&mut self, client: ClientId, data: &RawValue) -> Result<Vec<Output>, ControlError> {
        let channel = which(data)?;
        let mut outputs = vec![emit(client, "leave", &Left { leave: channel.name() })];
        if self.sessions.get_mut(&client).is_some_and(|session| session.channels.remove(&channel)) {
            self.lose(&channel);
            outputs.push(Output::Leave { client, channel });
        }
        Ok(outputs)
    }

    /// How many have joined the channel of this name.
    pub fn subscribers(&self, channel: &str) -> usize {
        Channel::parse(channel)
            .and_then(|channel| self.subscribers.get(&channel).copied())
            .unwrap_or_default()
    }

    /// Whether anybody has joined a channel.
    pub(in crate::services::octane) fn has_subscribers(&self, channel: &Channel) -> bool {
        self.subscribers.contains_key(channel)
    }

    pub(super) fn forget(&mut self, client: ClientId) {
        let channels = self.sessions.remove(&client).map(|session| session.channels);
        channels.iter().flatten().for_each(|channel| self.lose(channel));
    }

    fn lose(&mut self, channel: &Channel) {
        if let Some(count) = self.subscribers.get_mut(channel) {
            *count -= 1;
            if *count == 0 {
                self.subscribers.remove(channel);
            }
        }
    }

    /// Ends the grace of clients that never showed a key, and the stay of those whose key is over.
    pub(super) fn expire(&mut self, now: Moment, outputs: &mut Vec<Output>) {
        let is_due = |session: &Session| match &session.authentication {
            Authentication::Pending { until } => *until <= now.elapsed,
            Authentication::Granted(grant) => grant.is_over(now.wall),
            Authentication::Refused { at } => *at <= now.elapsed,
        };
        let mut due: Vec<_> =
            self.sessions.iter().filter(|(_, session)| is_due(session)).map(|(id, _)| *id).collect();
        due.sort_unstable();
        for client in due {
            match self.sessions.get(&client).map(|session| &session.authentication) {
                Some(Authentication::Pending { .. }) if self.keys.is_open() => {
                    self.admit(client, Keys::anybody(), outputs);
                }
                Some(Authentication::Pending { .. }) => {
                    self.refuse(now, client, "No API key within the time allowed", outputs);
                }
                Some(Authentication::Granted(_)) => self.refuse(now, client, "API key has expired", outputs),
                Some(Authentication::Refused { .. }) => {
                    self.forget(client);
                    outputs.push(Output::Disconnect { client });
                }
                None => {}
            }
        }
    }
}

fn which(data: &RawValue) -> Result<Channel, ControlError> {
    let Which { channel } = resource::parse(data.get())?;
    Channel::parse(&channel).ok_or(ControlError::Unknown("channel", channel))
}
