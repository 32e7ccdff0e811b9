//! The rings and the barrier: what each ring shows, what it wants next, and when both cross.

use cloverleaf_core::tscbm::Phases;

use super::{Commands, Controller, STRAIGHT, Walk};

pub(super) const RINGS: [[u8; 4]; 2] = [[1, 2, 3, 4], [5, 6, 7, 8]];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interval {
    Red,
    Green,
    Yellow,
    RedClear,
}

/// One ring: the phase it shows or showed last, and for how long it has been in its interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    pub(super) phase: u8,
    pub(super) interval: Interval,
    pub(super) elapsed: u16,
    /// How long of this green another phase has been waiting.
    pub(super) contested: u16,
    /// Since the last vehicle on this phase.
    pub(super) gap: u16,
    pub(super) walk: Walk,
    pub(super) walk_elapsed: u16,
}

impl Controller {
    /// The phases that want green and may have it.
    fn demand(&self, commands: &Commands) -> Phases {
        let pedestrians = self.pedestrian_calls.difference(commands.omit_pedestrian);
        self.vehicle_calls
            .union(pedestrians)
            .union(commands.hold)
            .intersection(self.phases)
            .difference(commands.omit)
    }

    /// The phases that are green, or still clearing from it.
    fn shown(&self) -> Phases {
        let shown = self.rings.iter().filter(|ring| ring.interval != Interval::Red);
        shown.fold(Phases::default(), |shown, ring| shown.union(Phases::of(&[ring.phase])))
    }

    pub(super) fn step_pedestrian(&mut self, index: usize, commands: &Commands) {
        let ring = self.rings[index];
        let timing = *self.timing(ring.phase);
        let contested = !self.demand(commands).difference(self.shown()).is_empty();
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
            self.pedestrian_calls = self.pedestrian_calls.difference(Phases::of(&[ring.phase]));
        }
    }

    pub(super) fn step_clearance(&mut self, index: usize) {
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

    pub(super) fn step_greens(&mut self, commands: &Commands) {
        let demand = self.demand(commands);
        let waiting = demand.difference(self.shown());
        for ring in &mut self.rings {
            ring.contested = if waiting.is_empty() { 0 } else { ring.contested.saturating_add(1) };
        }
        for ring in self.rings {
            if ring.interval == Interval::Green {
                // A green serves its vehicles; it calls again when the next one comes.
                self.vehicle_calls = self.vehicle_calls.difference(Phases::of(&[ring.phase]));
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

    pub(super) fn step_reds(&mut self, commands: &Commands) {
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
    pub(super) fn enter_side(&mut self, entered: usize, commands: &Commands) {
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
            self.pedestrian_calls = self.pedestrian_calls.difference(Phases::of(&[phase]));
        }
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
pub(super) fn side(phase: u8) -> usize {
    usize::from(matches!(phase, 3 | 4 | 7 | 8))
}
