//! What stands on the road besides intersections, and how each of it moves.

use super::controller::{self, Walk};
use super::crossing::Crossing;
use super::facility;
use super::mover::{Mover, Place, Position};

/// A gate, or the door of a garage.
#[derive(Clone, Debug)]
pub struct Door {
    /// Whether it is to be open.
    pub call: bool,
    /// Tenths of a second from shut (0) to open (`travel`).
    at: u16,
    travel: u16,
}

impl Door {
    pub(super) fn new(travel: u16) -> Self {
        Self { call: false, at: 0, travel }
    }

    /// Whether it is open; none while it moves.
    pub fn open(&self) -> Option<bool> {
        match self.at {
            0 => Some(false),
            at if at == self.travel => Some(true),
            _ => None,
        }
    }

    /// Whether it is on its way.
    pub fn moving(&self) -> bool {
        self.at != if self.call { self.travel } else { 0 }
    }

    pub(super) fn step(&mut self) {
        match (self.call, self.moving()) {
            (true, true) => self.at += 1,
            (false, true) => self.at -= 1,
            _ => {}
        }
    }
}

/// A crosswalk away from intersections: drivers see it flash before somebody crosses, and meanwhile.
#[derive(Clone, Debug)]
pub struct Crosswalk {
    /// What stands there.
    pub site: facility::Crosswalk,
    /// Somebody waits.
    pub call: bool,
    walk: Walk,
    elapsed: u16,
    /// For how long drivers have been warned, in tenths of a second.
    warned: u16,
}

impl Crosswalk {
    const TIMING: controller::Timing = controller::Timing {
        min_green: 0,
        max_green: 0,
        passage: 0,
        yellow: 0,
        red_clear: 0,
        walk: 70,
        pedestrian_clear: 100,
    };
    /// Drivers are warned for so long before anybody may walk, in tenths of a second.
    const WARNING: u16 = 30;
    /// And have so long to themselves after somebody has.
    const REST: u16 = 200;

    pub(super) fn new(site: &facility::Crosswalk) -> Self {
        Self { site: site.clone(), call: false, walk: Walk::DontWalk, elapsed: 0, warned: 0 }
    }

    /// What pedestrians see.
    pub fn walk(&self) -> Walk {
        self.walk
    }

    /// Whether drivers see it flash: before somebody crosses, and meanwhile.
    pub fn flashing(&self) -> bool {
        self.warned > 0 || self.walk != Walk::DontWalk
    }

    /// Tenths of a second for which pedestrians go on seeing the man or the flashing hand.
    pub fn left(&self) -> u16 {
        match self.walk {
            Walk::DontWalk => 0,
            Walk::Walk => Self::TIMING.walk.saturating_sub(self.elapsed),
            Walk::Clear => Self::TIMING.pedestrian_clear.saturating_sub(self.elapsed),
        }
    }

    pub(super) fn step(&mut self) {
        self.elapsed = self.elapsed.saturating_add(1);
        let warns = self.call && self.walk == Walk::DontWalk && self.elapsed > Self::REST;
        self.warned = if warns { self.warned + 1 } else { 0 };
        let next = match self.walk {
            Walk::DontWalk if self.warned > Self::WARNING => Walk::Walk,
            Walk::Walk if self.elapsed >= Self::TIMING.walk => Walk::Clear,
            Walk::Clear if self.elapsed >= Self::TIMING.pedestrian_clear => Walk::DontWalk,
            same => same,
        };
        if next != self.walk {
            (self.walk, self.elapsed, self.warned) = (next, 0, 0);
            self.call &= next != Walk::Walk;
        }
    }
}

/// A street light.
#[derive(Clone, Debug)]
pub struct Light {
    /// What stands there.
    pub site: facility::Light,
    /// Whether it is on.
    pub enabled: bool,
    /// How bright it is, in percent.
    pub dim_level: u8,
}

/// A robot and what it was told.
#[derive(Clone, Debug)]
pub struct Robot {
    /// What stands there.
    pub site: facility::Robot,
    /// Whether it may move.
    pub enabled: bool,
    /// What it can play: what the facility describes, and what users add.
    pub scenarios: Vec<Scenario>,
    activated: bool,
    /// The scenario it is to play, by its id.
    selected: Option<u32>,
    course: Option<Mover>,
    /// Tenths of a second of driving that the battery is good for.
    charge: u32,
}

/// What a robot can play.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Number by which it is known.
    pub id: u32,
    /// What it is called, how fast and which way it goes.
    pub course: facility::Scenario,
    /// Whether it stays: what the facility describes cannot be removed.
    pub locked: bool,
}

impl Robot {
    /// Tenths of a second that a full battery is good for.
    const FULL: u32 = 36_000;

    pub(super) fn new(site: &facility::Robot) -> Self {
        let numbered = (1..).zip(&site.scenarios);
        let scenarios: Vec<_> =
            numbered.map(|(id, course)| Scenario { id, course: course.clone(), locked: true }).collect();
        Self {
            site: site.clone(),
            enabled: true,
            activated: false,
            selected: scenarios.first().map(|it| it.id),
            scenarios,
            course: None,
            charge: Self::FULL,
        }
    }

    /// The scenario it plays, or will once it is activated.
    pub fn selected(&self) -> Option<&Scenario> {
        let id = self.selected?;
        self.scenarios.iter().find(|it| it.id == id)
    }

    /// Picks the scenario to play, from its start; answers whether there is one of this id.
    pub fn select(&mut self, id: u32) -> bool {
        let known = self.scenarios.iter().any(|it| it.id == id);
        if known && self.selected != Some(id) {
            (self.selected, self.course) = (Some(id), None);
        }
        known
    }

    /// Takes a scenario away; one that is selected is so no longer.
    pub fn forget(&mut self, id: u32) {
        self.scenarios.retain(|it| it.id != id);
        if self.selected == Some(id) {
            (self.selected, self.course) = (None, None);
            self.activated = false;
        }
    }

    /// Puts it back to how it is after switching on, at its place; it keeps its charge and what it has been given to play.
    pub(super) fn reset(&mut self) {
        (self.enabled, self.activated, self.course) = (true, false, None);
        self.selected = self.scenarios.first().map(|it| it.id);
    }

    /// Whether it plays its scenario.
    pub fn activated(&self) -> bool {
        self.activated
    }

    /// Has it play or stop. One that may not move, or has nothing to play, does not.
    pub fn activate(&mut self, activated: bool) {
        self.activated = activated && self.enabled && self.selected().is_some();
    }

    /// Where it is.
    pub fn position(&self) -> Position {
        let standing = Position { place: self.site.place, heading: 0.0, speed: 0.0 };
        let position = self.course.as_ref().map_or(standing, Mover::position);
        Position { speed: if self.activated { position.speed } else { 0.0 }, ..position }
    }

    /// How full its battery is, in percent.
    pub fn percent(&self) -> u8 {
        u8::try_from(self.charge.saturating_mul(100).div_ceil(Self::FULL)).unwrap_or(100)
    }

    pub(super) fn step(&mut self) {
        self.activated &= self.enabled && self.charge > 0;
        if !self.activated {
            self.charge = (self.charge + 4).min(Self::FULL);
            return;
        }
        self.charge = self.charge.saturating_sub(1);
        if self.course.is_none() {
            let course = self.selected().map(|it| it.course.clone());
            self.course = course.and_then(|it| Mover::new(it.path, it.speed));
        }
        if let Some(course) = &mut self.course {
            course.advance(0.1);
        }
    }
}

/// What a lawn mower was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MowerCall {
    /// To mow.
    Start,
    /// To stay where it is.
    Pause,
    /// To go home and charge.
    Park,
}

/// A lawn mower.
#[derive(Clone, Debug)]
pub struct Mower {
    /// Which it is.
    pub site: facility::LawnMower,
    /// What it was told; an empty battery makes it park.
    pub call: MowerCall,
    charge: u32,
}

impl Mower {
    /// Tenths of a second that a full battery mows for.
    const FULL: u32 = 54_000;

    pub(super) fn new(site: &facility::LawnMower) -> Self {
        Self { site: site.clone(), call: MowerCall::Park, charge: Self::FULL }
    }

    /// How full its battery is, in percent.
    pub fn percent(&self) -> u8 {
        u8::try_from(self.charge.saturating_mul(100).div_ceil(Self::FULL)).unwrap_or(100)
    }

    pub(super) fn step(&mut self) {
        match self.call {
            MowerCall::Start => self.charge = self.charge.saturating_sub(1),
            MowerCall::Pause => {}
            MowerCall::Park => self.charge = (self.charge + 1).min(Self::FULL),
        }
        if self.charge == 0 {
            self.call = MowerCall::Park;
        }
    }
}

/// A cone, barrel or barricade.
#[derive(Clone, Debug)]
pub struct Equipment {
    /// What it is, and where it belongs.
    pub site: facility::SafetyEquipment,
    /// Where it is.
    pub place: Place,
    /// Whether it stands on the road.
    pub placed: bool,
}

impl Equipment {
    pub(super) fn new(site: &facility::SafetyEquipment) -> Self {
        Self { place: site.place, site: site.clone(), placed: false }
    }

    /// Puts it back where it belongs.
    pub fn reset(&mut self) {
        *self = Self::new(&self.site.clone());
    }
}

/// A rail crossing on its site.
#[derive(Clone, Debug)]
pub struct Rail {
    /// What stands there.
    pub site: facility::RailCrossing,
    /// Where it is in its sequence.
    pub crossing: Crossing,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps until `walk` is shown; answers the tenths of a second that took, and for how many of them drivers saw
    /// it flash.
    fn until(crosswalk: &mut Crosswalk, walk: Walk) -> (u32, u32) {
        let (mut steps, mut flashed) = (0, 0);
        while crosswalk.walk() != walk {
            crosswalk.step();
            steps += 1;
            flashed += u32::from(crosswalk.flashing() && crosswalk.walk() != walk);
            assert!(steps < 1000, "never {walk:?}");
        }
        (steps, flashed)
    }

    #[test]
    fn drivers_are_warned_before_anybody_walks_however_late_the_call_comes() {
        let site = facility::Facility::parse(facility::BUILT_IN).unwrap().crosswalks.remove(0);
        for quiet in [0, 100, 230, 10_000] {
            let mut crosswalk = Crosswalk::new(&site);
            (0..quiet).for_each(|_| crosswalk.step());
            assert!(!crosswalk.flashing());
            crosswalk.call = true;
            let rest = 200_u32.saturating_sub(quiet);
            assert_eq!(until(&mut crosswalk, Walk::Walk), (rest + 31, 30), "after {quiet} tenths");
            assert_eq!(until(&mut crosswalk, Walk::Clear).0, 70);
            crosswalk.call = true;
            assert_eq!(until(&mut crosswalk, Walk::DontWalk).0, 100);
            assert_eq!(until(&mut crosswalk, Walk::Walk), (231, 30), "drivers first");
        }
    }

    #[test]
    fn a_call_that_is_taken_back_ends_the_warning() {
        let site = facility::Facility::parse(facility::BUILT_IN).unwrap().crosswalks.remove(0);
        let mut crosswalk = Crosswalk::new(&site);
        (0..300).for_each(|_| crosswalk.step());
        crosswalk.call = true;
        (0..20).for_each(|_| crosswalk.step());
        assert!(crosswalk.flashing());
        crosswalk.call = false;
        crosswalk.step();
        assert!(!crosswalk.flashing());
    }
}
