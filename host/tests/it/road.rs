//! The road by itself: whatever it is told, nobody gets green against somebody else.

use std::time::Duration;

use cloverleaf::clock::Moment;
use cloverleaf::road::Road;
use cloverleaf::road::controller::{Colour, Commands, Controller, PHASES, Timing, Walk};
use cloverleaf::road::crossing::Stage;
use cloverleaf::road::facility::{BUILT_IN, Facility};
use cloverleaf_core::tscbm::Phases;
use jiff::{SignedDuration, Timestamp};

const SIDE_A: [u8; 4] = [1, 2, 5, 6];
const RINGS: [[u8; 4]; 2] = [[1, 2, 3, 4], [5, 6, 7, 8]];

fn controller(phases: &[u8]) -> Controller {
    Controller::new(Phases::of(phases), [Timing::default(); PHASES as usize])
}

fn run(controller: &mut Controller, tenths: u32) {
    (0..tenths).for_each(|_| controller.step());
}

/// Steps until `phase` is green; fails after five minutes.
fn until_green(controller: &mut Controller, phase: u8) -> u32 {
    (0..3000)
        .find(|_| {
            controller.step();
            controller.colour(phase) == Colour::Green
        })
        .unwrap_or_else(|| panic!("phase {phase} never turned green"))
}

fn moving(controller: &Controller) -> Vec<u8> {
    (1..=8).filter(|phase| controller.colour(*phase) != Colour::Red).collect()
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn phases(&mut self) -> Phases {
        // Mostly empty: an intersection under orders all the time would never run its plan.
        Phases::from_bits(if self.roll(3) == 0 { self.roll(256) as u16 } else { 0 })
    }
}

#[test]
fn whatever_is_asked_no_two_conflicting_phases_move_and_no_time_is_cut_short() {
    let timing = Timing::default();
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let phases = Phases::from_bits(dice.roll(256) as u16 | 0b0010_0010);
        let mut controller = Controller::new(phases, [timing; PHASES as usize]);
        let (mut colours, mut since, mut walks, mut walking) =
            ([Colour::Red; 9], [0; 9], [Walk::DontWalk; 9], [0; 9]);
        let mut flashed = false;
        for now in 0..12_000_u32 {
            if dice.roll(100) == 0 {
                controller.commands = Commands {
                    omit: dice.phases(),
                    omit_pedestrian: dice.phases(),
                    hold: dice.phases(),
                    force_off: dice.phases(),
                    flash: dice.roll(50) == 0,
                    paused: false,
                };
                controller.preempt(if dice.roll(10) == 0 { dice.phases() } else { Phases::default() });
            }
            controller.call_vehicle(Phases::of(&[dice.roll(200) as u8]));
            controller.call_pedestrian(Phases::of(&[dice.roll(400) as u8]));
            controller.step();
            if controller.flashing() || flashed {
                // Flash may begin at any moment; it ends in all red.
                assert!(controller.flashing() || moving(&controller).is_empty(), "seed {seed} at {now}");
                flashed = controller.flashing();
                (colours, since) = ([Colour::Red; 9], [now; 9]);
                (walks, walking) = ([Walk::DontWalk; 9], [now; 9]);
                continue;
            }
            let moving = moving(&controller);
            for ring in RINGS {
                assert!(
                    moving.iter().filter(|phase| ring.contains(phase)).count() <= 1,
                    "seed {seed} at {now}: {moving:?}"
                );
            }
            let on_a = moving.iter().filter(|phase| SIDE_A.contains(phase)).count();
            assert!(
                on_a == 0 || on_a == moving.len(),
                "seed {seed} at {now}: both sides of the barrier {moving:?}"
            );
            for phase in 1..=8_u8 {
                let at = usize::from(phase);
                let (was, is) = (colours[at], controller.colour(phase));
                let lasted = now - since[at];
                match (was, is) {
                    (Colour::Green, Colour::Yellow) => {
                        assert!(lasted >= 60, "seed {seed} at {now}: green of {lasted}");
                    }
                    (Colour::Yellow, Colour::Red) => assert_eq!(lasted, 40, "seed {seed} at {now}"),
                    (Colour::Red, Colour::Green) => {
                        assert!(phases.has(phase), "seed {seed}: {phase} is not in use");
                    }
                    (was, is) => assert_eq!(was, is, "seed {seed} at {now}: phase {phase} jumped"),
                }
                if was != is {
                    (colours[at], since[at]) = (is, now);
                }
                let (walked, walks_now) = (walks[at], controller.walk(phase));
                match (walked, walks_now) {
                    (Walk::Walk, Walk::Clear) => assert_eq!(now - walking[at], 70, "seed {seed} at {now}"),
                    (Walk::Clear, Walk::DontWalk) => {
                        assert_eq!(now - walking[at], 110, "seed {seed} at {now}");
                    }
                    (Walk::DontWalk, Walk::Walk) => assert_eq!(is, Colour::Green, "seed {seed} at {now}"),
                    (walked, now_too) => {
                        assert_eq!(walked, now_too, "seed {seed} at {now}: pedestrians of {phase}");
                    }
                }
                assert!(
                    walks_now == Walk::DontWalk || is == Colour::Green,
                    "seed {seed} at {now}: walks into red"
                );
                if walked != walks_now {
                    (walks[at], walking[at]) = (walks_now, now);
                }
            }
        }
    }
}

#[test]
fn every_phase_with_demand_is_served() {
    let mut controller = controller(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let mut served = Phases::default();
    for _ in 0..3000 {
        controller.call_vehicle(Phases::from_bits(0xFF));
        controller.step();
        let green = (1..=8).filter(|phase| controller.colour(*phase) == Colour::Green);
        served = green.fold(served, |served, phase| served.union(Phases::of(&[phase])));
    }
    assert_eq!(served.bits(), 0xFF);
}

#[test]
fn without_demand_the_main_street_rests_in_green() {
    let mut controller = controller(&[2, 4, 6, 8]);
    run(&mut controller, 59);
    assert_eq!(moving(&controller), [] as [u8; 0], "all red after switching on");
    run(&mut controller, 5000);
    assert_eq!(moving(&controller), [2, 6]);
}

#[test]
fn a_pedestrian_call_brings_the_man_the_hand_and_a_countdown() {
    let mut controller = controller(&[2, 4, 6, 8]);
    run(&mut controller, 200);
    controller.call_pedestrian(Phases::of(&[4]));
    assert!(controller.pedestrian_calls().has(4));
    until_green(&mut controller, 4);
    assert_eq!(controller.walk(4), Walk::Walk);
    assert!(!controller.pedestrian_calls().has(4), "served");
    run(&mut controller, 70);
    assert_eq!((controller.walk(4), controller.pedestrian_left(4)), (Walk::Clear, 110));
    run(&mut controller, 30);
    assert_eq!(controller.pedestrian_left(4), 80);
    run(&mut controller, 80);
    assert_eq!(controller.walk(4), Walk::DontWalk);
}

#[test]
fn hold_omit_and_force_off_give_the_intersection_to_the_held_phases() {
    // omit 01110111, hold 10001000, force off 01110111: the call that users of the original make.
    let mut controller = controller(&[1, 2, 3, 4, 5, 6, 7, 8]);
    run(&mut controller, 200);
    controller.commands = Commands {
        omit: Phases::from_bits(0b0111_0111),
        hold: Phases::from_bits(0b1000_1000),
        force_off: Phases::from_bits(0b0111_0111),
        ..Commands::default()
    };
    until_green(&mut controller, 4);
    for _ in 0..6000 {
        controller.call_vehicle(Phases::from_bits(0xFF));
        controller.step();
    }
    assert_eq!(moving(&controller), [4, 8]);
    controller.commands = Commands::default();
    until_green(&mut controller, 2);
}

#[test]
fn the_time_left_that_is_promised_is_kept() {
    let mut controller = controller(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let mut dice = Dice(7);
    // For every phase: the moments between which its colour was last promised to change.
    let mut promised: [Option<(u32, u32, Colour)>; 9] = [None; 9];
    for now in 0..20_000_u32 {
        controller.call_vehicle(Phases::of(&[dice.roll(40) as u8]));
        controller.step();
        for phase in 1..=8_u8 {
            let colour = controller.colour(phase);
            if let Some((earliest, _, was)) = promised[usize::from(phase)]
                && was != colour
            {
                assert!(
                    now + 1 >= earliest,
                    "phase {phase} left {was:?} at {now}, promised not before {earliest}"
                );
            }
            let left = controller.remaining(phase);
            assert!(left.min <= left.max, "phase {phase} at {now}: {left:?}");
            promised[usize::from(phase)] =
                Some((now + u32::from(left.min), now + u32::from(left.max), colour));
        }
    }
}

#[test]
fn a_paused_controller_stands_still() {
    let mut controller = controller(&[2, 4, 6, 8]);
    run(&mut controller, 100);
    controller.call_vehicle(Phases::of(&[4]));
    controller.commands.paused = true;
    run(&mut controller, 1000);
    assert_eq!(moving(&controller), [2, 6]);
    controller.commands.paused = false;
    until_green(&mut controller, 4);
}

/// So many seconds after the start, by clocks that agree.
fn after(seconds: u64) -> Moment {
    let (elapsed, start) =
        (Duration::from_secs(seconds), "2024-05-06T12:00:00Z".parse::<Timestamp>().unwrap());
    Moment { elapsed, wall: start + elapsed }
}

/// A facility that has been at work for so many seconds.
fn road(seconds: u64) -> Road {
    let mut road = Road::new(Facility::parse(BUILT_IN).unwrap(), after(0));
    (1..=seconds).for_each(|second| {
        road.advance(after(second));
    });
    road
}

#[test]
fn a_train_closes_the_crossing_and_preempts_the_intersection_beside_it() {
    // The first train of the built-in facility is in the approach from 215 s to 240 s.
    let closed = road(235);
    assert_eq!(closed.rails[&1].crossing.stage(), Stage::Closed);
    let intersection = &closed.intersections[&6];
    let shown = moving(&intersection.controller);
    assert!(!shown.iter().any(|phase| [4, 8].contains(phase)), "nothing crosses the rails: {shown:?}");
    assert_eq!(road(262).rails[&1].crossing.stage(), Stage::Open);
}

#[test]
fn a_gate_takes_its_time_and_is_neither_open_nor_shut_meanwhile() {
    let mut road = road(1);
    road.gates.get_mut(&1).unwrap().call = true;
    assert_eq!(road.gates[&1].open(), Some(false));
    road.advance(after(5));
    assert_eq!((road.gates[&1].open(), road.gates[&1].moving()), (None, true));
    road.advance(after(10));
    assert_eq!((road.gates[&1].open(), road.gates[&1].moving()), (Some(true), false));
}

#[test]
fn beacons_move_and_the_weather_comes_and_goes() {
    let place = |road: &Road| road.beacons().next().unwrap().1.place;
    assert_ne!(place(&road(1)), place(&road(2)));
    assert_eq!(road(59).alerts().count(), 0);
    assert_eq!(road(61).alerts().next().unwrap().2, after(60).wall);
    assert_eq!(road(661).alerts().count(), 0);
}

#[test]
fn a_long_gap_neither_hangs_the_road_nor_stops_it() {
    let mut road = road(10);
    assert_eq!(road.advance(after(1_000_000_000)), 150, "five seconds made up, the rest skipped");
    assert_eq!(road.advance(after(1_000_000_001)), 160, "it goes on from there");
}

#[test]
fn parts_of_tenths_are_not_lost() {
    let mut road = road(0);
    for count in 1..=1000 {
        let elapsed = Duration::from_millis(count * 33);
        assert_eq!(road.advance(Moment { elapsed, ..after(0) }), count * 33 / 100);
    }
}

#[test]
fn however_the_clock_on_the_wall_is_set_the_road_goes_on_at_its_pace() {
    let place = |road: &Road| road.beacons().next().unwrap().1.place;
    for seconds in [-3600, -4, 4, 3600] {
        let mut set = road(30);
        let by_the_new_time = |second| {
            let now = after(second);
            Moment { wall: now.wall + SignedDuration::from_secs(seconds), ..now }
        };
        for second in 31..=70 {
            let now = by_the_new_time(second);
            assert_eq!((set.advance(now), set.now()), (second * 10, now), "set by {seconds} s");
        }
        assert_eq!(place(&set), place(&road(70)), "set by {seconds} s");
        let raised = set.alerts().map(|(.., onset)| onset).collect::<Vec<_>>();
        assert_eq!(raised, [by_the_new_time(60).wall], "set by {seconds} s");
        // Set back again: what has been raised keeps its date and ends in time.
        set.advance(after(71));
        assert_eq!(set.past_alerts().next().unwrap().2, raised[0], "set by {seconds} s");
        (72..=660).for_each(|second| _ = set.advance(after(second)));
        assert_eq!((set.alerts().count(), set.past_alerts().count()), (0, 1), "set by {seconds} s");
    }
}
