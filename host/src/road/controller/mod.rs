//! A traffic signal controller: eight phases in two rings with one barrier, as NEMA TS 2 numbers them.
//!
//! ```text
//!            side A    ‖    side B    ‖
//!  ring 1    1    2    ‖    3    4    ‖     odd phases turn left, even phases go straight on
//!  ring 2    5    6    ‖    7    8    ‖     and have the pedestrians beside them
//! ```
//!
//! A ring shows one phase at a time; phases of different rings may be green together as long as both are on the
//! same side of the barrier, and the rings cross it together. Time is counted in tenths of a second by
//! [`step`](Controller::step), so a run is the same every time it is repeated.
//!
//! ```text
//!  mod      what is asked of a controller, and what it shows        timing   its plan, and when colours end
//!  rings    how the rings step, and cross the barrier
//! ```

mod rings;
mod timing;

use cloverleaf_core::tscbm::Phases;

use rings::{Interval, Ring};
pub use timing::Timing;

/// Phases a controller has room for.
pub const PHASES: u8 = 8;
/// The phases that carry pedestrians: those that go straight on.
const STRAIGHT: Phases = Phases::from_bits(0b1010_1010);
/// Where a controller starts, and comes back to after flashing.
const MAIN: Phases = Phases::from_bits(0b0010_0010);
/// All-red before the first green, in tenths of a second.
const START_UP: u16 = 60;

/// What someone outside asks of a controller. Empty sets and `false` ask nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// Phases to pass over.
    pub omit: Phases,
    /// Phases whose pedestrians are to be passed over.
    pub omit_pedestrian: Phases,
    /// Phases to keep green once they are.
    pub hold: Phases,
    /// Phases to end as soon as their minimum allows.
    pub force_off: Phases,
    /// Flash yellow on the main street and red elsewhere.
    pub flash: bool,
    /// Stop the clock of the controller.
    pub paused: bool,
}

/// What a phase shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Stop.
    Red,
    /// Clear the intersection.
    Yellow,
    /// Go.
    Green,
}

/// What the pedestrians of a phase see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// A steady hand.
    DontWalk,
    /// A walking man.
    Walk,
    /// A flashing hand: finish crossing.
    Clear,
}

/// A controller with its plan and its calls.
#[derive(Clone, Debug)]
pub struct Controller {
    phases: Phases,
    timing: [Timing; PHASES as usize],
    rings: [Ring; 2],
    /// Both rings have agreed to leave their side of the barrier.
    crossing: bool,
    start_up: u16,
    flashing: bool,
    vehicle_calls: Phases,
    pedestrian_calls: Phases,
    preempted: Phases,
    /// What is asked from outside.
    pub commands: Commands,
}

impl Controller {
    /// A controller that has just been switched on, with these phases (1 to 8) in use.
    pub fn new(phases: Phases, timing: [Timing; PHASES as usize]) -> Self {
        let ring = |phase| Ring {
            phase,
            interval: Interval::Red,
            elapsed: 0,
            contested: 0,
            gap: 0,
            walk: Walk::DontWalk,
            walk_elapsed: 0,
        };
        Self {
            phases: phases.intersection(Phases::from_bits(0xFF)),
            timing,
            rings: [ring(2), ring(6)],
            crossing: false,
            start_up: START_UP,
            flashing: false,
            vehicle_calls: Phases::default(),
            pedestrian_calls: Phases::default(),
            preempted: Phases::default(),
            commands: Commands::default(),
        }
    }

    /// The phases in use.
    pub fn phases(&self) -> Phases {
        self.phases
    }

    /// The phases that have pedestrians.
    pub fn pedestrian_phases(&self) -> Phases {
        self.phases.intersection(STRAIGHT)
    }

    /// A vehicle stands on or passes the detector of each of these phases.
    pub fn call_vehicle(&mut self, phases: Phases) {
        self.vehicle_calls = self.vehicle_calls.union(phases.intersection(self.phases));
        for ring in &mut self.rings {
            if phases.has(ring.phase) {
                ring.gap = 0;
            }
        }
    }

    /// Someone pressed the pedestrian button of each of these phases.
    pub fn call_pedestrian(&mut self, phases: Phases) {
        self.pedestrian_calls = self.pedestrian_calls.union(phases.intersection(self.pedestrian_phases()));
    }

    /// Vehicle calls not yet served.
    pub fn vehicle_calls(&self) -> Phases {
        self.vehicle_calls
    }

    /// Pedestrian calls not yet served.
    pub fn pedestrian_calls(&self) -> Phases {
        self.pedestrian_calls
    }

    /// Gives the intersection to these phases until it is called again with an empty set.
    pub fn preempt(&mut self, dwell: Phases) {
        self.preempted = dwell.intersection(self.phases);
    }

    /// Lets a tenth of a second pass.
    pub fn step(&mut self) {
        let commands = self.effective();
        if commands.flash {
            self.flashing = true;
            return;
        }
        if self.flashing {
            // Out of flash a controller starts as after a power failure: all red, then the main street.
            let calls = (self.vehicle_calls, self.pedestrian_calls);
            let (commands, preempted) = (self.commands, self.preempted);
            *self = Self::new(self.phases, self.timing);
            (self.vehicle_calls, self.pedestrian_calls) = calls;
            (self.commands, self.preempted) = (commands, preempted);
        }
        if commands.paused {
            return;
        }
        if self.start_up > 0 {
            self.start_up -= 1;
            if self.start_up == 0 {
                self.enter_side(0, &commands);
            }
            return;
        }
        for ring in &mut self.rings {
            ring.elapsed = ring.elapsed.saturating_add(1);
            ring.gap = ring.gap.saturating_add(1);
            ring.walk_elapsed = ring.walk_elapsed.saturating_add(1);
        }
        for index in [0, 1] {
            self.step_pedestrian(index, &commands);
            self.step_clearance(index);
        }
        self.step_greens(&commands);
        self.step_reds(&commands);
    }

    /// What `phase` shows; a phase that is not in use is red.
    pub fn colour(&self, phase: u8) -> Colour {
        if self.flashing {
            return if MAIN.has(phase) { Colour::Yellow } else { Colour::Red };
        }
        match self.ring_of(phase) {
            Some(ring) if ring.phase == phase => match ring.interval {
                Interval::Green => Colour::Green,
                Interval::Yellow => Colour::Yellow,
                Interval::Red | Interval::RedClear => Colour::Red,
            },
            _ => Colour::Red,
        }
    }

    /// Whether the signals flash instead of running their plan.
    pub fn flashing(&self) -> bool {
        self.flashing
    }

    /// What the pedestrians beside `phase` see.
    pub fn walk(&self, phase: u8) -> Walk {
        match self.ring_of(phase) {
            Some(ring) if ring.phase == phase && !self.flashing => ring.walk,
            _ => Walk::DontWalk,
        }
    }

    /// Tenths of a second for which the pedestrians beside `phase` go on seeing the man, or the flashing hand;
    /// 0 for those who see neither.
    pub fn pedestrian_left(&self, phase: u8) -> u16 {
        let timing = self.timing(phase);
        let elapsed = self.ring_of(phase).map_or(0, |ring| ring.walk_elapsed);
        match self.walk(phase) {
            Walk::DontWalk => 0,
            Walk::Walk => timing.walk.saturating_sub(elapsed),
            Walk::Clear => timing.pedestrian_clear.saturating_sub(elapsed),
        }
    }

    /// The commands as they act: a preemption is a hold of its phases and an omission of all others, and a held
    /// phase is a demanded phase.
    fn effective(&self) -> Commands {
        let mut commands = self.commands;
        if !self.preempted.is_empty() {
            let others = self.phases.difference(self.preempted);
            commands.omit = others;
            commands.force_off = others;
            commands.hold = self.preempted;
            commands.omit_pedestrian = others;
            commands.paused = false;
        }
        commands
    }

    fn ring_of(&self, phase: u8) -> Option<&Ring> {
        match phase {
            1..=4 => Some(&self.rings[0]),
            5..=8 => Some(&self.rings[1]),
            _ => None,
        }
    }
}
