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

use cloverleaf_core::tscbm::{Phases, Remaining};

/// Phases a controller has room for.
pub const PHASES: u8 = 8;
const RINGS: [[u8; 4]; 2] = [[1, 2, 3, 4], [5, 6, 7, 8]];
/// The phases that carry pedestrians: those that go straight on.
const STRAIGHT: Phases = Phases::from_bits(0b1010_1010);
/// Where a controller starts, and comes back to after flashing.
const MAIN: Phases = Phases::from_bits(0b0010_0010);
/// All-red before the first green, in tenths of a second.
const START_UP: u16 = 60;

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
    /// Clear the junction.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interval {
    Red,
    Green,
    Yellow,
    RedClear,
}

/// One ring: the phase it shows or showed last, and for how long it has been in its interval.
#[derive(Clone, Copy, Debug)]
struct Ring {
    phase: u8,
    interval: Interval,
    elapsed: u16,
    /// How long of this green another phase has been waiting.
    contested: u16,
    /// Since the last vehicle on this phase.
    gap: u16,
    walk: Walk,
    walk_elapsed: u16,
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
            phases: phases.and(Phases::from_bits(0xFF)),
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
        self.phases.and(STRAIGHT)
    }

    /// A vehicle stands on or passes the detector of each of these phases.
    pub fn call_vehicle(&mut self, phases: Phases) {
        self.vehicle_calls = self.vehicle_calls.or(phases.and(self.phases));
        for ring in &mut self.rings {
            if phases.has(ring.phase) {
                ring.gap = 0;
            }
        }
    }

    /// Someone pressed the pedestrian button of each of these phases.
    pub fn call_pedestrian(&mut self, phases: Phases) {
        self.pedestrian_calls = self.pedestrian_calls.or(phases.and(self.pedestrian_phases()));
    }

    /// Vehicle calls not yet served.
    pub fn vehicle_calls(&self) -> Phases {
        self.vehicle_calls
    }

    /// Pedestrian calls not yet served.
    pub fn pedestrian_calls(&self) -> Phases {
        self.pedestrian_calls
    }

    /// Gives the junction to these phases until it is called again with an empty set.
    pub fn preempt(&mut self, dwell: Phases) {
        self.preempted = dwell.and(self.phases);
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

    /// The commands as they act: a preemption is a hold of its phases and an omission of all others, and a held
    /// phase is a demanded phase.
    fn effective(&self) -> Commands {
        let mut commands = self.commands;
        if !self.preempted.is_empty() {
            let others = self.phases.without(self.preempted);
            commands.omit = others;
            commands.force_off = others;
            commands.hold = self.preempted;
            commands.omit_pedestrian = others;
            commands.paused = false;
        }
        commands
    }

    fn timing(&self, phase: u8) -> &Timing {
        &self.timing[usize::from(phase.clamp(1, PHASES)) - 1]
    }

    fn ring_of(&self, phase: u8) -> Option<&Ring> {
        match phase {
            1..=4 => Some(&self.rings[0]),
            5..=8 => Some(&self.rings[1]),
            _ => None,
        }
    }

    /// The phases that want green and may have it.
    fn demand(&self, commands: &Commands) -> Phases {
        let pedestrians = self.pedestrian_calls.without(commands.omit_pedestrian);
        self.vehicle_calls.or(pedestrians).or(commands.hold).and(self.phases).without(commands.omit)
    }

    /// The phases that are green, or still clearing from it.
    fn shown(&self) -> Phases {
        let shown = self.rings.iter().filter(|ring| ring.interval != Interval::Red);
        shown.fold(Phases::default(), |shown, ring| shown.or(Phases::of(&[ring.phase])))
    }

    fn step_pedestrian(&mut self, index: usize, commands: &Commands) {
        let ring = self.rings[index];
        let timing = *self.timing(ring.phase);
        let contested = !self.demand(commands).without(self.shown()).is_empty();
        let rest = !contested || commands.hold.has(ring.phase);
        let called = self.pedestrian_calls.has(ring.phase)
            && !commands.omit_pedestrian.has(ring.phase)
            && !self.crossing;
        let next = match ring.walk {
            Walk::Walk if ring.walk_elapsed >= timing.walk => Walk::Clear,
            Walk::Clear if ring.walk_elapsed >= timing.pedestrian_clear => Walk::DontWalk,
            // A green that nobody contests takes pedestrians at any time.
            Walk::DontWalk if ring.interval == Interval::Green && called && rest => Walk::Walk,
            same => same,
        };
        if next != ring.walk {
            self.rings[index].walk = next;
            self.rings[index].walk_elapsed = 0;
        }
        if next == Walk::Walk {
            self.pedestrian_calls = self.pedestrian_calls.without(Phases::of(&[ring.phase]));
        }
    }

    fn step_clearance(&mut self, index: usize) {
        let ring = self.rings[index];
        let timing = *self.timing(ring.phase);
        let next = match ring.interval {
            Interval::Yellow if ring.elapsed >= timing.yellow => Interval::RedClear,
            Interval::RedClear if ring.elapsed >= timing.red_clear => Interval::Red,
            same => same,
        };
        if next != ring.interval {
            self.rings[index].interval = next;
            self.rings[index].elapsed = 0;
        }
    }

    fn step_greens(&mut self, commands: &Commands) {
        let demand = self.demand(commands);
        let waiting = demand.without(self.shown());
        for ring in &mut self.rings {
            ring.contested = if waiting.is_empty() { 0 } else { ring.contested.saturating_add(1) };
        }
        for ring in self.rings {
            if ring.interval == Interval::Green {
                // A green serves its vehicles; it calls again when the next one comes.
                self.vehicle_calls = self.vehicle_calls.without(Phases::of(&[ring.phase]));
            }
        }
        let [one, two] = [self.wish(0, demand, commands), self.wish(1, demand, commands)];
        if one == Wish::Cross && two == Wish::Cross {
            self.crossing = true;
        }
        for (index, wish) in [one, two].into_iter().enumerate() {
            let leaves = matches!(wish, Wish::Next(_)) || (wish == Wish::Cross && self.crossing);
            if leaves && self.rings[index].interval == Interval::Green {
                self.rings[index].interval = Interval::Yellow;
                self.rings[index].elapsed = 0;
                self.rings[index].walk = Walk::DontWalk;
            }
        }
    }

    fn step_reds(&mut self, commands: &Commands) {
        let demand = self.demand(commands);
        let red = |ring: &Ring| ring.interval == Interval::Red;
        if self.crossing {
            if self.rings.iter().all(red) {
                self.crossing = false;
                self.enter_side(1 - side(self.rings[0].phase), commands);
            }
            return;
        }
        for index in [0, 1] {
            if red(&self.rings[index])
                && let Wish::Next(phase) = self.wish(index, demand, commands)
            {
                self.enter(index, phase, commands);
            }
        }
    }

    /// What a ring would do if it could.
    fn wish(&self, index: usize, demand: Phases, commands: &Commands) -> Wish {
        let ring = &self.rings[index];
        match ring.interval {
            Interval::Yellow | Interval::RedClear => {
                // Still clearing: it will agree to cross if nothing is left for it on this side.
                return if self.next_on_side(index, demand).is_none() { Wish::Cross } else { Wish::Stay };
            }
            Interval::Green if !self.may_end(ring, commands) => return Wish::Stay,
            Interval::Green | Interval::Red => {}
        }
        let far = RINGS.as_flattened().iter().filter(|phase| side(**phase) != side(ring.phase));
        let other_side = far.copied().any(|phase| demand.has(phase));
        match self.next_on_side(index, demand) {
            Some(phase) => Wish::Next(phase),
            None if other_side => Wish::Cross,
            // Nothing across the barrier: the ring may go back to the left turn it passed.
            None => match self.before_on_side(index, demand) {
                Some(phase) => Wish::Next(phase),
                None if ring.interval == Interval::Red
                    && self.phases.has(ring.phase)
                    && !commands.omit.has(ring.phase) =>
                {
                    Wish::Next(ring.phase)
                }
                None => Wish::Stay,
            },
        }
    }

    /// Whether the plan and the commands let a green end now, if something else wants it to.
    fn may_end(&self, ring: &Ring, commands: &Commands) -> bool {
        let timing = self.timing(ring.phase);
        let served = ring.elapsed >= timing.min_green && ring.walk == Walk::DontWalk;
        let tired = commands.force_off.has(ring.phase)
            || ring.gap >= timing.passage
            || ring.contested >= timing.max_green
            || commands.omit.has(ring.phase);
        served && tired && !commands.hold.has(ring.phase)
    }

    fn next_on_side(&self, index: usize, demand: Phases) -> Option<u8> {
        let ring = &self.rings[index];
        let mut rest = RINGS[index].into_iter().filter(|phase| side(*phase) == side(ring.phase));
        rest.find(|phase| *phase > ring.phase && demand.has(*phase))
    }

    fn before_on_side(&self, index: usize, demand: Phases) -> Option<u8> {
        let ring = &self.rings[index];
        let mut rest = RINGS[index].into_iter().filter(|phase| side(*phase) == side(ring.phase));
        rest.find(|phase| *phase < ring.phase && demand.has(*phase))
    }

    /// Both rings start a side with their first demanded phase, or go straight on beside the other.
    fn enter_side(&mut self, entered: usize, commands: &Commands) {
        let demand = self.demand(commands);
        for (index, ring) in RINGS.into_iter().enumerate() {
            let phases = ring.map(|phase| (side(phase) == entered).then_some(phase));
            let usable = |phase: &u8| self.phases.has(*phase) && !commands.omit.has(*phase);
            let first = phases.into_iter().flatten().find(|phase| demand.has(*phase));
            let straight = phases.into_iter().flatten().find(|phase| STRAIGHT.has(*phase));
            match first.or(straight.filter(usable)) {
                Some(phase) => self.enter(index, phase, commands),
                // Nothing to show on this side: the ring stays red beside the other.
                None => self.rings[index].phase = straight.unwrap_or(ring[0]),
            }
        }
    }

    fn enter(&mut self, index: usize, phase: u8, commands: &Commands) {
        let called = self.pedestrian_calls.has(phase) && !commands.omit_pedestrian.has(phase);
        self.rings[index] = Ring {
            phase,
            interval: Interval::Green,
            elapsed: 0,
            contested: 0,
            gap: 0,
            walk: if called { Walk::Walk } else { Walk::DontWalk },
            walk_elapsed: 0,
        };
        if called {
            self.pedestrian_calls = self.pedestrian_calls.without(Phases::of(&[phase]));
        }
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

/// What a ring wants to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Stay,
    Next(u8),
    Cross,
}

/// The side of the barrier on which a phase is.
fn side(phase: u8) -> usize {
    usize::from(matches!(phase, 3 | 4 | 7 | 8))
}
