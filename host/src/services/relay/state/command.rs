//! The way of a command: from its user to the monitor, and its end back to the user.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::hash::Hash;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::events::{
    COMMAND_OK, MAX_REPORT, Message, MonitorId, Payload, Reason, Submission, Text, Times, decode, is_string,
    milliseconds, reason, text_length,
};
use super::{Output, Peer, Record, Settings, State};
use crate::clock::Moment;

/// Bytes of an id that a user may give a command.
const MAX_ID: usize = 256;

/// Bytes of an id in a report: the longest with every character escaped.
const MAX_ECHO: usize = 6 * MAX_ID;

/// Bytes of the unfinished commands of one user; more is answered [`reason::TOO_MANY_PENDING`].
const MAX_PENDING_BYTES: usize = 2 << 20;

/// A monitor may have as many unfinished commands as so many users: one that sends too much leaves room for others.
const SHARES: usize = 4;

/// Bytes of commands that a monitor is given before it has reported one back. That is half of what may wait on the way to
/// a client: a monitor that reads late is not given up for what users send.
const MAX_GIVEN_BYTES: usize = 2 << 20;

/// What a command counts beyond its text and its id: the rest of its packet.
const PACKET: usize = 160;

/// A monitor that is there, and what it has to do.
#[derive(Debug)]
pub(super) struct Monitor<P> {
    holder: P,
    /// It is a part of this program. It is given one command at a time and reports each, so that it is never given one
    /// that has timed out.
    attached: bool,
    /// Oldest first; at most [`SHARES`] times what one user may have.
    commands: VecDeque<Command<P>>,
    bytes: usize,
    /// How many of `commands` the monitor has been given: always the first ones; at most [`MAX_GIVEN_BYTES`].
    given: usize,
    given_bytes: usize,
}

/// An unfinished command.
#[derive(Debug)]
pub(super) struct Command<P> {
    /// `None` once the sender has been told that it timed out; the monitor's late report still takes this place.
    sender: Option<P>,
    command: Text,
    id: Option<Text>,
    /// The id as it is compared, where that is another text.
    key: Option<Box<str>>,
    sent: Option<f64>,
    accepted: Moment,
    dispatched: Option<Moment>,
}

impl<P> Command<P> {
    /// What it counts against the limits.
    fn bytes(&self) -> usize {
        let length = |text: &Text| text.0.get().len();
        PACKET + length(&self.command) + self.id.as_ref().map_or(0, length)
    }

    fn times(&self, finished: Option<Moment>) -> Times {
        let wall = |moment: Moment| milliseconds(moment.wall);
        Times {
            sent: self.sent,
            accepted: Some(wall(self.accepted)),
            dispatched: self.dispatched.map(wall),
            finished: finished.map(wall),
        }
    }

    /// Its id as it is compared.
    fn known_by(&self) -> Option<&str> {
        self.key.as_deref().or_else(|| self.id.as_ref().map(|id| id.0.get()))
    }
}

/// An id as it is compared when none is the same as written: the same text or number is the same id, however its JSON is
/// written (`"\u00fc"` or `"ü"`, `1.0` or `1`), because clients and monitors write it by different libraries.
fn canonical(id: &RawValue) -> Cow<'_, str> {
    let text = id.get();
    let digits = text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits || is_string(id) && !text.contains('\\') {
        return text.into();
    }
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Number(number)) => number.as_f64().unwrap_or_default().to_string().into(),
        Ok(value) => value.to_string().into(),
        // Half a surrogate pair, which no text can hold.
        Err(_) => text.into(),
    }
}

impl<P: Copy> Monitor<P> {
    /// A monitor with nothing to do.
    pub(super) fn new(holder: P) -> Self {
        Self { holder, attached: false, commands: VecDeque::new(), bytes: 0, given: 0, given_bytes: 0 }
    }

    /// The same as a part of this program.
    pub(super) fn attached(holder: P) -> Self {
        Self { attached: true, ..Self::new(holder) }
    }

    /// The socket that is this monitor.
    pub(super) fn holder(&self) -> P {
        self.holder
    }

    /// How many commands it has not reported yet.
    pub(super) fn unfinished(&self) -> usize {
        self.commands.len()
    }

    /// Its unfinished commands, oldest first.
    pub(super) fn into_commands(self) -> impl Iterator<Item = Command<P>> {
        self.commands.into_iter()
    }

    fn is_full(&self, settings: &Settings) -> bool {
        self.commands.len() >= settings.max_pending.saturating_mul(SHARES)
            || self.bytes >= SHARES * MAX_PENDING_BYTES
    }

    fn put(&mut self, command: Command<P>) {
        self.bytes += command.bytes();
        self.commands.push_back(command);
    }

    /// Take a command out, wherever it is.
    fn take(&mut self, position: usize) -> Option<Command<P>> {
        let command = self.commands.remove(position)?;
        self.bytes -= command.bytes();
        if position < self.given {
            self.given -= 1;
            self.given_bytes -= command.bytes();
        }
        Some(command)
    }

    /// Which command a report is of: the one whose id it echoes, or the oldest if it echoes none. An id that nobody
    /// gave, or of a command that is over, is of none: it must not complete the command of another.
    fn reported(&self, echo: Option<&RawValue>) -> Option<usize> {
        let Some(echo) = echo else { return (self.given > 0).then_some(0) };
        if echo.get().len() > MAX_ECHO {
            return None;
        }
        let given = || self.commands.iter().take(self.given);
        // First as it is written: long numbers that differ can be the same to a library that rounds them.
        let written = |command: &Command<P>| command.id.as_ref().is_some_and(|id| id.0.get() == echo.get());
        if let Some(position) = given().position(written) {
            return Some(position);
        }
        let echo = canonical(echo);
        given().position(|command| command.known_by() == Some(&*echo))
    }

    /// Give the monitor what its window has room for.
    fn dispatch(&mut self, now: Moment, settings: &Settings, out: &mut Vec<Output<P>>) {
        let window = if self.attached { 1 } else { settings.window };
        while self.given < window
            && self.given_bytes < MAX_GIVEN_BYTES
            && let Some(command) = self.commands.get_mut(self.given)
        {
            self.given += 1;
            self.given_bytes += command.bytes();
            command.dispatched = Some(now);
            let payload = Payload {
                command: Some(command.command.clone()),
                id: command.id.clone(),
                ..Payload::default()
            };
            out.push(Output::Emit(self.holder, Message { event: "command do", payload }));
        }
    }
}

impl Peer {
    /// Whom a command of this user is for and what it says, or the reason why it is not accepted.
    fn accept<'a>(
        &mut self,
        now: Moment,
        settings: &Settings,
        submission: &Submission<'a>,
    ) -> Result<(MonitorId, &'a RawValue), &'static str> {
        let target = self.user_of.clone().ok_or(reason::NOT_QUERIED)?;
        let command = submission.command.ok_or(reason::INVALID_COMMAND)?;
        let max = settings.max_command;
        let long = command.get().len() > max && text_length(command) > max;
        if long || submission.id.is_some_and(|id| id.get().len() > MAX_ID) {
            return Err(reason::TOO_LARGE);
        }
        let full = f64::from(settings.rate);
        let gained = now.elapsed.saturating_sub(self.counted).as_secs_f64() * full;
        self.allowance = (self.allowance + gained).min(full);
        self.counted = now.elapsed;
        if self.allowance < 1.0 {
            return Err(reason::TOO_FAST);
        }
        self.allowance -= 1.0;
        if self.pending >= settings.max_pending || self.pending_bytes >= MAX_PENDING_BYTES {
            return Err(reason::TOO_MANY_PENDING);
        }
        Ok((target, command))
    }
}

impl<P: Copy + Eq + Hash> State<P> {
    /// A user sends a command.
    pub(super) fn send(
        &mut self,
        now: Moment,
        from: P,
        submission: Submission<'_>,
        out: &mut Vec<Output<P>>,
    ) {
        let Self { settings, peers, monitors, .. } = self;
        let Some(peer) = peers.get_mut(&from) else { return };
        let id = submission.id.filter(|id| id.get().len() <= MAX_ID).map(Text::from);
        let accepted = peer.accept(now, settings, &submission).and_then(|(target, command)| {
            let monitor = monitors.get_mut(&target);
            let full = monitor.as_ref().is_some_and(|monitor| monitor.is_full(settings));
            if full { Err(reason::TOO_MANY_PENDING) } else { Ok((target, monitor, command)) }
        });
        let (target, monitor, command) = match accepted {
            Ok(accepted) => accepted,
            Err(why) => return out.push(Output::Emit(from, failure(Reason::Ours(why), id, None))),
        };
        let key =
            submission.id.map(canonical).filter(|key| id.as_ref().is_some_and(|id| id.0.get() != &**key));
        let command = Command {
            sender: Some(from),
            command: command.into(),
            id,
            key: key.map(|key| key.into()),
            sent: submission.sent,
            accepted: now,
            dispatched: None,
        };
        peer.pending += 1;
        peer.pending_bytes += command.bytes();
        let ok = Message {
            event: COMMAND_OK,
            payload: Payload {
                reason: Some(Reason::Ours(reason::COMMAND_OK)),
                id: command.id.clone(),
                times: command.id.is_some().then(|| command.times(None)),
                ..Payload::default()
            },
        };
        match monitor {
            None => {
                out.push(Output::Emit(from, ok));
                self.finish(now, &target, command, Err(Reason::Ours(reason::NOT_CONNECTED)), out);
            }
            Some(monitor) => {
                monitor.put(command);
                out.push(Output::Emit(from, ok));
                monitor.dispatch(now, settings, out);
            }
        }
    }

    /// A monitor reports a command: done, or failed.
    pub(super) fn report(
        &mut self,
        now: Moment,
        from: P,
        echo: Option<&RawValue>,
        result: Result<Option<Text>, Reason>,
        out: &mut Vec<Output<P>>,
    ) {
        let Some(id) = self.peers.get(&from).and_then(|peer| peer.monitor.clone()) else { return };
        let Some(monitor) = self.monitors.get_mut(&id) else { return };
        let position = monitor.reported(echo);
        let Some(command) = position.and_then(|position| monitor.take(position)) else { return };
        // Commands that waited for room are dispatched after this one's end.
        let waiting = monitor.commands.len() > monitor.given;
        self.finish(now, &id, command, result, out);
        if waiting {
            self.dispatch(now, &id, out);
        }
    }

    fn dispatch(&mut self, now: Moment, id: &MonitorId, out: &mut Vec<Output<P>>) {
        if let Some(monitor) = self.monitors.get_mut(id) {
            monitor.dispatch(now, &self.settings, out);
        }
    }

    /// Tell whoever waits that a command is over.
    pub(super) fn finish(
        &mut self,
        now: Moment,
        monitor_id: &MonitorId,
        command: Command<P>,
        result: Result<Option<Text>, Reason>,
        out: &mut Vec<Output<P>>,
    ) {
        let Some(sender) = command.sender else { return };
        let (times, bytes) = (command.times(Some(now)), command.bytes());
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
            peer.pending_bytes = peer.pending_bytes.saturating_sub(bytes);
            let told = self.settings.broadcast && by_monitor && peer.user_of.as_ref() == Some(monitor_id);
            if !told {
                out.push(Output::Emit(sender, message));
            }
        }
        let record = Record { monitor_id: monitor_id.clone(), command: command.command, failed, times };
        out.push(Output::Record(Box::new(record)));
    }

    /// Commands of this age have failed. Those that the monitor was given keep their place for its late report.
    pub(super) fn time_out(
        &mut self,
        now: Moment,
        timeout: Duration,
        id: &MonitorId,
        out: &mut Vec<Output<P>>,
    ) {
        let mut position = 0;
        loop {
            let Some(monitor) = self.monitors.get_mut(id) else { return };
            let given = position < monitor.given;
            let Some(command) = monitor.commands.get_mut(position) else { break };
            let age = now.elapsed.saturating_sub(command.accepted.elapsed);
            if age < timeout {
                break;
            }
            if command.sender.is_none() {
                // Its late report, if any, has been waited for as long again.
                if age >= timeout.saturating_mul(2) && !monitor.attached {
                    monitor.take(position);
                } else {
                    position += 1;
                }
                continue;
            }
            let command = if given {
                let place = Command {
                    sender: None,
                    id: command.id.clone(),
                    key: command.key.clone(),
                    command: command.command.clone(),
                    ..*command
                };
                position += 1;
                Some(std::mem::replace(command, place))
            } else {
                monitor.take(position)
            };
            if let Some(command) = command {
                self.finish(now, id, command, Err(Reason::Ours(reason::TIMED_OUT)), out);
            }
        }
        self.dispatch(now, id, out);
    }
}

/// What a monitor reports as a string of bounded length, whatever JSON it sent.
pub(super) fn bounded(raw: &RawValue) -> Option<Text> {
    if is_string(raw) && raw.get().len() <= MAX_REPORT {
        return Some(raw.into());
    }
    let mut text = decode(raw);
    text.truncate(text.floor_char_boundary(MAX_REPORT));
    Some(Text(serde_json::value::to_raw_value(&text).ok()?.into()))
}

fn failure(reason: Reason, id: Option<Text>, times: Option<Times>) -> Message {
    Message {
        event: "command failed",
        payload: Payload { reason: Some(reason), id, times, ..Payload::default() },
    }
}
