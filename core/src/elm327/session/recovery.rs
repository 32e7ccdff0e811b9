//! How a link comes back: what follows a deadline, a restart and silence.

use crate::bus::Protocol;
use crate::elm327::command::{Command, Text};
use crate::elm327::wire::Status;
use crate::time::{Duration, Instant, back_off};

use super::exchange::{Exchange, What};
use super::life::ATTEMPTS;
use super::target::change;
use super::{Failure, Link, Notice, Phase, Session, Target};

/// How long the prompt may take to come back after a carriage return.
const RESYNC_TIMEOUT: Duration = Duration::from_millis(400);

/// Without any answer of the car for so long, it is no longer there.
const SILENCE: Duration = Duration::from_secs(5);

/// The first pause between attempts, whatever failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between attempts to reach the adapter.
const ADAPTER_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause between attempts to find the car: whoever turns the ignition on does not wait for more.
const CAR_PAUSE: Duration = Duration::from_secs(5);

impl<const MESSAGES: usize, const BYTES: usize> Session<MESSAGES, BYTES> {
    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadline = match &self.exchange {
            Some(exchange) => exchange.deadline,
            None => match self.phase {
                Phase::Offline | Phase::NoCar => self.retry_at,
                Phase::Ready => self.settings.keep_alive.map(|span| self.last_activity + span),
                _ => None,
            },
        };
        deadline.map(|deadline| deadline.max(self.not_before))
    }

    pub(super) fn handle_deadline(&mut self, now: Instant) {
        let Some(exchange) = &self.exchange else {
            return match self.phase {
                // With the settings anew: perhaps the adapter lost them, and that is why.
                Phase::NoCar => self.configure(now),
                Phase::Ready if self.asks_before() => {
                    self.look_for_car();
                    self.proceed(now);
                }
                Phase::Ready => self.begin_command(now, Command::Voltage),
                _ => self.begin_connecting(now),
            };
        };
        match exchange.what {
            What::Wake => self.end_exchange(now),
            // It said all there is to say, only the prompt is missing.
            What::Command(Command::LowPower) => self.end_exchange(now),
            What::Command(_) if exchange.heard.ok || !exchange.heard.text.is_empty() => {
                self.end_exchange(now);
            }
            What::Resync { prompted: true, .. } => self.resume(now),
            What::Resync { tries, .. } if tries < 2 => self.resync(now, tries + 1),
            What::Resync { .. } => self.lose_adapter(now),
            What::Baud(_) => {
                self.end_switch(now, Err(Failure::Timeout));
            }
            What::Command(_) | What::Probe | What::Request | What::Text | What::Monitor { .. } => {
                if self.last_line.starts_with(b"STPX") && !exchange.heard.any && !self.stn.proven {
                    // It calls itself an STN, but has never heard of this.
                    self.stn.refuse();
                }
                if matches!(exchange.what, What::Command(_)) {
                    self.attempts = self.attempts.saturating_add(1);
                }
                self.interrupted = self.exchange.take();
                self.resync(now, 1);
            }
        }
    }

    /// Interrupts whatever the adapter does, and waits for its prompt. A lone carriage return also repeats the last
    /// command of an adapter that is idle; when nothing answers that, there must be something to answer.
    pub(super) fn resync(&mut self, now: Instant, tries: u8) {
        self.last_line.clear();
        let line = if tries > 1 || !self.may_repeat() { Command::Echo(false).text() } else { Text::new() };
        self.begin(now, What::Resync { tries, prompted: false }, &line, RESYNC_TIMEOUT);
    }

    /// The prompt is back.
    fn resume(&mut self, now: Instant) {
        self.exchange = None;
        self.settle(now);
        let Some(Exchange { what, mut heard, .. }) = self.interrupted.take() else {
            return self.proceed(now);
        };
        let stopped = *heard.fault.get_or_insert(Failure::Timeout) == Failure::Adapter(Status::Stopped);
        match what {
            // What perhaps only an STN knows is not worth a second silence: an ELM327 has other words for it.
            What::Command(command)
                if self.attempts < ATTEMPTS
                    && (stopped || self.stn.proven || command.without_stn().is_none()) =>
            {
                self.begin_command(now, command);
            }
            what => self.handle_end(now, what, heard),
        }
    }

    /// The prompt does not come back.
    fn lose_adapter(&mut self, now: Instant) {
        let heard = self.interrupted.take().map(|exchange| exchange.heard).unwrap_or_default();
        let failure = match self.link {
            // Noise need not have lines.
            Link::NotConnected if heard.any || !self.line.is_empty() => Failure::NotAnAdapter,
            Link::NotConnected => Failure::Mute,
            _ => Failure::Timeout,
        };
        self.go_offline(now, failure);
    }

    pub(super) fn go_offline(&mut self, now: Instant, failure: Failure) {
        self.exchange = None;
        self.forget();
        self.phase = Phase::Offline;
        self.end_job_silently(Err(failure));
        self.notify(Notice::Trouble(failure));
        self.set_link(Link::NotConnected);
        self.retry_later(now, ADAPTER_PAUSE);
    }

    pub(super) fn lose_car(&mut self, now: Instant, failure: Failure) {
        self.phase = Phase::NoCar;
        self.silent_since = None;
        self.notify(Notice::Trouble(failure));
        self.set_link(match failure {
            Failure::NoPower => Link::ElmConnected,
            _ if self.millivolts.is_none() => Link::ElmConnected,
            _ => Link::ObdConnected,
        });
        self.retry_later(now, CAR_PAUSE);
        self.address_everyone();
        self.proceed(now);
    }

    /// Later after each further failure, at most so long.
    fn retry_later(&mut self, now: Instant, longest: Duration) {
        self.retry_at = Some(now + back_off(PAUSE, longest, self.failures.into()));
        self.failures = self.failures.saturating_add(1);
    }

    /// The adapter restarted by itself, perhaps saying why: its settings are gone.
    pub(super) fn handle_restart(&mut self, now: Instant, alert: Option<Status>) {
        if let Some(status) = alert {
            self.notify(Notice::Alert(status));
        }
        if matches!(self.phase, Phase::Offline | Phase::Asleep | Phase::Waking | Phase::Resetting) {
            return;
        }
        self.exchange = None;
        self.interrupted = None;
        self.end_job_silently(Err(Failure::Restarted));
        self.stn.restart();
        self.set_link(Link::ElmConnected);
        self.configure(now);
    }

    /// Has the car asked next whether it is there; all of it, whomever the last request addressed.
    fn look_for_car(&mut self) {
        self.looking = true;
        self.address_everyone();
    }

    /// Has the adapter told that the next request is to all of the car.
    fn address_everyone(&mut self) {
        if self.target != Some(Target::Functional) {
            let protocol = self.protocol.unwrap_or(Protocol::Can11Fast);
            change(self.target, Target::Functional, protocol, &mut self.stn, &mut self.todo);
            self.target = Some(Target::Functional);
        }
    }

    /// The live state: a control unit answered.
    pub(super) fn hear_car(&mut self) {
        self.silent_since = None;
        self.set_link(Link::CarConnected);
    }

    /// Whether the car has not answered for so long, or in such a way, that it may have gone.
    pub(super) fn is_silent(&mut self, now: Instant, failure: Failure) -> bool {
        match failure {
            Failure::Adapter(Status::UnableToConnect | Status::BusInitError) => true,
            // The one says nothing of the car, the other that it is there.
            Failure::Restarted | Failure::TooLong => false,
            _ => now - *self.silent_since.get_or_insert(now) >= SILENCE,
        }
    }

    /// What an answer to the owner's request, or its absence, says about the car.
    pub(super) fn handle_car(&mut self, now: Instant, result: Result<(), Failure>) {
        let Err(failure) = result else {
            return self.hear_car();
        };
        if !self.is_silent(now, failure) {
            return;
        }
        if self.asks_before() {
            return match failure {
                Failure::Adapter(Status::UnableToConnect | Status::BusInitError) => {
                    self.lose_car(now, failure);
                }
                // Perhaps it is only the one that was asked who is silent.
                _ => self.look_for_car(),
            };
        }
        // Nobody else finds out whether it is the car that is silent, or the adapter that lost its settings.
        self.notify(Notice::Trouble(failure));
        if self.link == Link::CarConnected {
            self.set_link(Link::ObdConnected);
        }
        self.configure(now);
    }
}
