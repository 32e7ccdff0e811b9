//! The timing plan: how long each phase lasts, and when what is shown ends.

use cloverleaf_core::tscbm::Remaining;

use super::rings::{Interval, RINGS, Ring, side};
use super::{Controller, PHASES, Walk};

/// How long a phase may and must last, all in tenths of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// The shortest green.
    pub min_green: u16,
    /// The longest green while another phase has demand.
    pub max_green: u16,
    /// A green without demand elsewhere for this long after the last vehicle may end.
    pub passage: u16,
    /// Yellow.
    pub yellow: u16,
    /// Red before another phase of the ring turns green.
    pub red_clear: u16,
    /// Steady walking man.
    pub walk: u16,
    /// Flashing hand: the time to finish crossing.
    pub pedestrian_clear: u16,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            min_green: 60,
            max_green: 300,
            passage: 30,
            yellow: 40,
            red_clear: 15,
            walk: 70,
            pedestrian_clear: 110,
        }
    }
}

impl Controller {
    pub(super) fn timing(&self, phase: u8) -> &Timing {
        &self.timing[usize::from(phase.clamp(1, PHASES)) - 1]
    }

    /// When the colour of `phase` ends: the earliest and the latest moment, in tenths of a second from now.
    ///
    /// The earliest assumes that nothing else asks for time; the latest that everything before it takes its
    /// maximum. A held or flashing phase says 0 and [`u16::MAX`]: it may end any time or never.
    pub fn remaining(&self, phase: u8) -> Remaining {
        let never = Remaining { min: 0, max: u16::MAX };
        let Some(ring) = self.ring_of(phase).filter(|_| self.phases.has(phase) && !self.flashing) else {
            return never;
        };
        let commands = self.effective();
        if commands.hold.has(ring.phase) && ring.interval == Interval::Green {
            return never;
        }
        if ring.phase == phase && ring.interval == Interval::Green {
            let (min, max) = self.ending(ring);
            return Remaining { min, max };
        }
        if ring.phase == phase && ring.interval == Interval::Yellow {
            let left = self.timing(phase).yellow.saturating_sub(ring.elapsed);
            return Remaining { min: left, max: left };
        }
        // Red: the phase shown must end and clear; crossing the barrier waits for the slower ring.
        let clear = |phase: u8| self.timing(phase).yellow + self.timing(phase).red_clear;
        let left = |ring: &Ring| match ring.interval {
            Interval::Green => {
                let (min, max) = self.ending(ring);
                (min + clear(ring.phase), max + clear(ring.phase))
            }
            Interval::Yellow => {
                let rest = clear(ring.phase).saturating_sub(ring.elapsed);
                (rest, rest)
            }
            Interval::RedClear => {
                let rest = self.timing(ring.phase).red_clear.saturating_sub(ring.elapsed);
                (rest, rest)
            }
            Interval::Red => (self.start_up, self.start_up),
        };
        let [one, two] = [left(&self.rings[0]), left(&self.rings[1])];
        let now =
            if side(ring.phase) == side(phase) { left(ring) } else { (one.0.max(two.0), one.1.max(two.1)) };
        let between = self.between(ring.phase, phase);
        Remaining { min: now.0, max: now.1.saturating_add(between) }
    }

    /// The earliest and latest end of a green, in tenths of a second.
    fn ending(&self, ring: &Ring) -> (u16, u16) {
        let timing = self.timing(ring.phase);
        let walk = match ring.walk {
            Walk::DontWalk => 0,
            Walk::Walk => (timing.walk + timing.pedestrian_clear).saturating_sub(ring.walk_elapsed),
            Walk::Clear => timing.pedestrian_clear.saturating_sub(ring.walk_elapsed),
        };
        let min = timing.min_green.saturating_sub(ring.elapsed).max(walk);
        (min, timing.max_green.saturating_sub(ring.contested).max(min))
    }

    /// The longest that the phases of a ring between two of its phases can take, in tenths of a second.
    fn between(&self, from: u8, to: u8) -> u16 {
        let ring = RINGS[usize::from(to > 4)];
        let place = |phase: u8| usize::from((phase - 1) % 4);
        let (start, count) = (place(from) + 1, (place(to) + 4 - place(from) - 1) % 4);
        (0..count).map(|offset| ring[(start + offset) % 4]).filter(|phase| self.phases.has(*phase)).fold(
            0,
            |sum: u16, phase| {
                let timing = self.timing(phase);
                sum.saturating_add(timing.max_green + timing.yellow + timing.red_clear)
            },
        )
    }
}
