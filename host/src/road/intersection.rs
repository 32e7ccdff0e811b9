//! An intersection: its controller with simulated traffic, or what a real controller says about it by TSCBM.

use std::time::Duration;

use cloverleaf_core::tscbm::{self, Phases, Remaining};
use jiff::Timestamp;
use jiff::tz::Offset;

use super::controller::{Colour, Commands, Controller, PHASES, Walk};
use super::facility;
use crate::clock::Moment;

/// Where the state of an intersection comes from.
#[derive(Clone, Debug)]
enum Feed {
    /// Its own controller.
    Simulated,
    /// Datagrams: the last one with the time its controller gave it.
    Datagrams { last: Option<Box<Heard>> },
}

/// A datagram of a real controller.
#[derive(Clone, Debug)]
struct Heard {
    message: tscbm::Message,
    /// When its controller said it, by the controller's clock.
    updated: Timestamp,
    /// When it came, by the clock that only counts.
    at: Duration,
}

/// One intersection.
#[derive(Clone, Debug)]
pub struct Intersection {
    /// What stands there.
    pub site: facility::Intersection,
    /// Its controller; with a feed of datagrams it stands still, and nobody asks it for anything.
    pub controller: Controller,
    /// Whether it listens to commands.
    pub enabled: bool,
    /// Tenths of a second until commands are forgotten; none when they last.
    pub clear_left: Option<u32>,
    /// The preemption somebody asked for, numbered from 1. One by a train comes before it.
    pub preempt: Option<usize>,
    feed: Feed,
    traffic: Traffic,
    sequence: u8,
    updated: Timestamp,
}

impl Intersection {
    /// An intersection that has just been switched on.
    pub fn new(site: facility::Intersection, now: Timestamp) -> Self {
        let controller = Controller::new(site.phases(), [site.timing; PHASES as usize]);
        let traffic = Traffic::new(u64::from(site.id));
        Self {
            site,
            controller,
            enabled: true,
            clear_left: None,
            preempt: None,
            feed: Feed::Simulated,
            traffic,
            sequence: 0,
            updated: now,
        }
    }

    /// From now on only datagrams say what it shows.
    pub fn feed_by_datagrams(&mut self) {
        self.controller = Controller::new(self.site.phases(), [self.site.timing; PHASES as usize]);
        self.reset();
        self.feed = Feed::Datagrams { last: None };
    }

    /// Whether its own controller says what it shows.
    pub fn is_simulated(&self) -> bool {
        matches!(self.feed, Feed::Simulated)
    }

    /// A datagram of its real controller came.
    pub fn hear(&mut self, message: tscbm::Message, now: Moment) {
        let heard = Heard { message, updated: dated(&message, now.wall), at: now.elapsed };
        self.feed = Feed::Datagrams { last: Some(Box::new(heard)) };
    }

    /// When its source said what it shows; none when a real controller has not said anything yet.
    pub fn updated(&self) -> Option<Timestamp> {
        match &self.feed {
            Feed::Simulated => Some(self.updated),
            Feed::Datagrams { last } => last.as_ref().map(|last| last.updated),
        }
    }

    /// Whether its real controller has been silent for longer than this, at `now` by the clock that only counts.
    pub fn is_silent(&self, now: Duration, after: Duration) -> bool {
        match &self.feed {
            Feed::Simulated => false,
            Feed::Datagrams { last } => last.as_ref().is_none_or(|last| now.saturating_sub(last.at) > after),
        }
    }

    /// Forgets every command and preemption; calls stay.
    pub fn reset(&mut self) {
        self.controller.commands = Commands::default();
        self.clear_left = None;
        self.preempt = None;
    }

    /// Lets a tenth of a second pass, which ends at `now`; a train may ask for one of the preemptions.
    pub fn step(&mut self, now: Timestamp, by_rail: Option<usize>) {
        if !self.is_simulated() {
            return;
        }
        if let Some(left) = &mut self.clear_left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.reset();
            }
        }
        let preempt = by_rail.or(self.preempt).and_then(|it| self.site.preempts.get(it.checked_sub(1)?));
        self.controller.preempt(preempt.map_or(Phases::default(), |dwell| Phases::of(dwell)));
        let (vehicles, pedestrians) = self.traffic.arrive(self.site.traffic);
        self.controller.call_vehicle(vehicles);
        self.controller.call_pedestrian(pedestrians);
        self.controller.step();
        self.sequence = self.sequence.wrapping_add(1);
        self.updated = now;
    }

    /// What it shows, as its controller would say it; none when a real controller has not said anything yet.
    pub fn message(&self, offset: Offset) -> Option<tscbm::Message> {
        match &self.feed {
            Feed::Simulated => Some(self.simulated(offset)),
            Feed::Datagrams { last } => last.as_ref().map(|last| last.message),
        }
    }

    fn simulated(&self, offset: Offset) -> tscbm::Message {
        let controller = &self.controller;
        let phases = controller.phases();
        let those = |wanted: Colour| {
            phases.iter().filter(|phase| controller.colour(*phase) == wanted).fold(Phases::default(), add)
        };
        let pedestrians = |wanted: Walk| {
            let all = controller.pedestrian_phases();
            all.iter().filter(|phase| controller.walk(*phase) == wanted).fold(Phases::default(), add)
        };
        let time = offset.to_datetime(self.updated).time();
        let mut message = tscbm::Message {
            red: those(Colour::Red),
            yellow: those(Colour::Yellow),
            green: those(Colour::Green),
            dont_walk: pedestrians(Walk::DontWalk),
            pedestrian_clear: pedestrians(Walk::Clear),
            walk: pedestrians(Walk::Walk),
            flash: if controller.flashing() { phases } else { Phases::default() },
            discontinuity: tscbm::Discontinuity::from_bits(2 << 3),
            sequence: self.sequence,
            seconds: u32::from(time.hour().unsigned_abs()) * 3600
                + u32::from(time.minute().unsigned_abs()) * 60
                + u32::from(time.second().unsigned_abs()),
            milliseconds: time.millisecond().unsigned_abs(),
            pedestrian_latched: controller.pedestrian_calls(),
            ..tscbm::Message::default()
        };
        for phase in phases.iter() {
            if let Some(block) = message.blocks.get_mut(usize::from(phase) - 1) {
                block.vehicle = controller.remaining(phase);
                let left = controller.pedestrian_left(phase);
                block.pedestrian = Remaining { min: left, max: left };
            }
        }
        message
    }
}

fn add(phases: Phases, phase: u8) -> Phases {
    phases.union(Phases::of(&[phase]))
}

/// When a controller says it is, near `now`.
///
/// A datagram has the seconds of a day and no time zone. Zones differ by whole quarters of an hour, so the
/// seconds within the quarter say how far the controller's clock is from ours, up to half a quarter either way.
fn dated(message: &tscbm::Message, now: Timestamp) -> Timestamp {
    const QUARTER: i64 = 15 * 60 * 1000;
    let theirs = i64::from(message.seconds) * 1000 + i64::from(message.milliseconds);
    let ahead = (theirs - now.as_millisecond()).rem_euclid(QUARTER);
    let ahead = if ahead > QUARTER / 2 { ahead - QUARTER } else { ahead };
    Timestamp::from_millisecond(now.as_millisecond() + ahead).unwrap_or(now)
}

/// Vehicles and pedestrians that arrive at random, but the same way every time.
#[derive(Clone, Debug)]
struct Traffic {
    random: u64,
}

impl Traffic {
    fn new(seed: u64) -> Self {
        Self { random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 }
    }

    /// Who arrived within a tenth of a second, at `per_minute` vehicles a phase and a pedestrian for every ten.
    fn arrive(&mut self, per_minute: f64) -> (Phases, Phases) {
        let (mut vehicles, mut pedestrians) = (Phases::default(), Phases::default());
        for phase in 1..=PHASES {
            let chance = per_minute / 600.0;
            if self.next() < chance {
                vehicles = add(vehicles, phase);
            }
            if self.next() < chance / 10.0 {
                pedestrians = add(pedestrians, phase);
            }
        }
        (vehicles, pedestrians)
    }

    /// xorshift64*, as a number from 0 to below 1.
    fn next(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controllers_clock_dates_its_datagrams_in_any_time_zone() {
        let now: Timestamp = "2024-05-06T12:00:01.000Z".parse().unwrap();
        let said = |seconds, milliseconds| {
            dated(&tscbm::Message { seconds, milliseconds, ..tscbm::Message::default() }, now)
        };
        assert_eq!(said(12 * 3600, 900).to_string(), "2024-05-06T12:00:00.9Z", "0.1 s old, UTC");
        assert_eq!(said(8 * 3600, 900).to_string(), "2024-05-06T12:00:00.9Z", "0.1 s old, four hours west");
        assert_eq!(said(17 * 3600 + 1800 + 3, 0).to_string(), "2024-05-06T12:00:03Z", "2 s ahead, India");
    }

    #[test]
    fn what_a_real_controller_said_is_passed_on_and_never_re_stamped() {
        let site = facility::Facility::parse(facility::BUILT_IN).unwrap().intersections.remove(0);
        let wall: Timestamp = "2024-05-06T12:00:01.000Z".parse().unwrap();
        let mut intersection = Intersection::new(site, wall);
        intersection.feed_by_datagrams();
        assert_eq!(intersection.message(Offset::UTC), None, "nothing said, nothing shown");
        assert_eq!(intersection.updated(), None);
        let message = tscbm::Message {
            seconds: 12 * 3600,
            milliseconds: 900,
            green: Phases::of(&[4]),
            ..tscbm::Message::default()
        };
        intersection.hear(message, Moment { elapsed: Duration::ZERO, wall });
        let said = intersection.updated();
        for _ in 0..100 {
            intersection.step(wall + jiff::SignedDuration::from_secs(10), None);
        }
        assert_eq!(intersection.message(Offset::UTC), Some(message));
        assert_eq!(intersection.updated(), said);
    }
}
