//! What an STN chip is used for beyond an ELM327.
//!
//! Uncertainty costs speed, never a value: what a chip refuses (`?`), it is not asked for again on this connection, and a
//! line that does not say how long its message is counts only where whoever asked knows that.

use core::fmt::Write;

use heapless::{String, Vec};

use crate::bus::Address;
use crate::elm327::command::{Command, LINE, Text};
use crate::time::Duration;

use super::target::{Physical, Target};

/// How many flow control pairs a chip is told at once: each takes some of the memory that its answers need, too.
const PAIRS: usize = 8;

/// The request and the reply identifier of an ECU.
type Pair = (u32, u32);

/// How far a chip is used.
#[derive(Clone, Debug)]
pub(super) struct Stn {
    /// Whether it has the commands of an STN as far as we know, and they may be used.
    pub(super) speaks: bool,
    /// Whether it refused one of them.
    refused: bool,
    /// Whether it has understood one that sets something: then silence and noise are the line's.
    pub(super) proven: bool,
    /// The flow control that it was told.
    pairs: Vec<Pair, PAIRS>,
    /// Whether it was told to join the frames of a message into one line (`STCSEGR`).
    pub(super) joins: bool,
    /// Whether a response count means frames although it joins them, once that is known. The manual says "responses".
    pub(super) counts_frames: Option<bool>,
}

impl Stn {
    pub(super) const fn new() -> Self {
        Self {
            speaks: false,
            refused: false,
            proven: false,
            pairs: Vec::new(),
            joins: false,
            counts_frames: None,
        }
    }

    /// The adapter is at its defaults.
    pub(super) fn restart(&mut self) {
        self.speaks = false;
        self.joins = false;
        self.pairs.clear();
    }

    /// Whether it was told something that lasts until it restarts.
    pub(super) fn is_set(&self) -> bool {
        self.joins || !self.pairs.is_empty()
    }

    /// The adapter calls itself one.
    pub(super) fn introduce(&mut self) {
        self.speaks = !self.refused;
    }

    /// It does not know what it was asked for: an ELM327 from now on.
    pub(super) fn refuse(&mut self) {
        self.refused = true;
        self.speaks = false;
    }

    /// The same for one command; what it was to bring about is not.
    pub(super) fn refuse_command(&mut self, command: Command) {
        self.refuse();
        match command {
            Command::Reassemble(_) => self.joins = false,
            // Only the latest can be refused: each is sent at once.
            Command::FlowPairShort { .. } | Command::FlowPairLong { .. } => drop(self.pairs.pop()),
            _ => {}
        }
    }

    /// The command that sets how long the adapter waits for the car; `None`: its default, for which the ELM327's
    /// command is that of both.
    pub(super) fn timeout(&self, span: Option<Duration>) -> Command {
        match span {
            Some(span) if self.speaks => Command::StnTimeout(span),
            span => Command::Timeout(span),
        }
    }

    /// What tells the chip whom to give leave to send long messages, before `target` is asked. With the first pair its
    /// own rule ends (manual, section 12), so that there must be none when someone else is asked.
    pub(super) fn pair(&mut self, target: Target, wide: bool) -> Vec<Command, 2> {
        let mut commands = Vec::new();
        let pair = pair(target).filter(|_| self.speaks);
        if pair.is_some_and(|pair| self.pairs.contains(&pair)) {
            return commands;
        }
        if !self.pairs.is_empty() && (pair.is_none() || self.pairs.is_full()) {
            self.pairs.clear();
            let _ = commands.push(Command::ClearFlowPairs);
        }
        if let Some((request, reply)) = pair {
            let _ = self.pairs.push((request, reply));
            let short = |id: u32| id as u16 & 0x7FF;
            let _ = commands.push(match wide {
                true => Command::FlowPairLong { request, reply },
                false => Command::FlowPairShort { request: short(request), reply: short(reply) },
            });
        }
        commands
    }

    /// Whether the chip knows this one.
    pub(super) fn is_paired(&self, one: Physical) -> bool {
        pair(Target::Physical(one)).is_some_and(|pair| self.pairs.contains(&pair))
    }

    /// After a command of the owner's it may be set otherwise: what restores that.
    pub(super) fn restore(&mut self) -> &'static [Command] {
        self.pairs.clear();
        self.joins = false;
        if self.speaks { &[Command::Reassemble(false), Command::ClearFlowPairs] } else { &[] }
    }

    /// The response count to ask for, of a message in so many frames.
    pub(super) fn count(&self, frames: u8) -> u8 {
        if self.joins && self.counts_frames != Some(true) { 1 } else { frames }
    }
}

/// The pair of a target that the adapter does not know by itself. With extended addressing it would take two more
/// bytes, which are left to the ELM327's way.
fn pair(target: Target) -> Option<Pair> {
    match target {
        Target::Physical(one @ Physical { reply: Some(Address(reply)), extended: None, .. })
            if !one.is_standard() =>
        {
            Some((one.request, reply))
        }
        _ => None,
    }
}

/// A request with its header and options in one line (`STPX`).
pub(super) fn line(header: u32, data: &Text, lines: Option<u8>, timeout: Option<Duration>) -> Text {
    let mut line = String::<LINE>::new();
    let digits = if header > 0x7FF { 8 } else { 3 };
    // The longest is that of 24 bytes, with room to spare.
    let _ = write!(line, "STPXH:{header:0digits$X},D:");
    let _ = line.push_str(core::str::from_utf8(data).unwrap_or_default());
    if let Some(lines) = lines {
        let _ = write!(line, ",R:{lines}");
    }
    if let Some(timeout) = timeout {
        let _ = write!(line, ",T:{}", timeout.as_millis().clamp(1, 65_535));
    }
    Text::from_slice(line.as_bytes()).unwrap_or_default()
}
