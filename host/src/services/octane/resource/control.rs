//! How resources obey.

use cloverleaf_core::tscbm::Phases as PhaseSet;
use serde_json::value::RawValue;

use super::items::{MAX_ROBOT_SCENARIOS, scenario as described};
use super::{
    ControlError, CrosswalkControl, GarageControl, GateControl, Hold, IntersectionControl, Kind,
    LightControl, Patch, RailCrossingControl, RobotControl, SignalControl, SwitchControl, parse,
};
use crate::road::intersection::Intersection;
use crate::road::mover::Place;
use crate::road::{Road, Robot, Scenario, facility};
use crate::services::octane::events::{self, Bits, Color};
use crate::services::octane::view::{heads, radio_number};

/// Does what a `PATCH` asks.
///
/// # Errors
/// [`ControlError`]; nothing has been changed then.
pub fn control(road: &mut Road, kind: Kind, id: &str, patch: &RawValue) -> Result<(), ControlError> {
    let unknown = || ControlError::Unknown(kind.name(), id.to_owned());
    let number = || id.parse::<u32>().map_err(|_| unknown());
    match kind {
        Kind::Intersection => {
            let asked: IntersectionControl = state_in(patch)?;
            let intersection = road.intersections.get_mut(&number()?).ok_or_else(unknown)?;
            command(simulated(intersection)?, &asked)
        }
        Kind::Signal => {
            let (asked, id): (SignalControl, _) = (state_in(patch)?, number()?);
            let (intersection, straight, left) = at(road, id).ok_or_else(unknown)?;
            let intersection = simulated(intersection)?;
            if asked.left.is_some() && !intersection.site.phases().has(left) {
                return Err(ControlError::Malformed(format!("left: signal {id} has no left turn")));
            }
            if !intersection.enabled {
                return Ok(());
            }
            if asked.reset {
                intersection.reset();
            }
            if let Some(flash) = asked.flash {
                intersection.controller.commands.flash = flash;
            }
            let along = asked.straight.or(asked.right).map(|it| (straight, it.color));
            for (phase, color) in [asked.left.map(|it| (left, it.color)), along].into_iter().flatten() {
                let (phase, commands) = (PhaseSet::of(&[phase]), &mut intersection.controller.commands);
                let green = color == Color::Green;
                commands.hold =
                    if green { commands.hold.union(phase) } else { commands.hold.difference(phase) };
                commands.force_off = if green {
                    commands.force_off.difference(phase)
                } else {
                    commands.force_off.union(phase)
                };
                commands.omit =
                    if green { commands.omit.difference(phase) } else { commands.omit.union(phase) };
            }
            Ok(())
        }
        Kind::Crosswalk => {
            let (asked, id): (CrosswalkControl, _) = (state_in(patch)?, number()?);
            if let Some(crosswalk) = road.crosswalks.get_mut(&id) {
                crosswalk.call |= asked.call_pedestrian;
                return Ok(());
            }
            let (intersection, phase, _) = at(road, id).ok_or_else(unknown)?;
            let intersection = simulated(intersection)?;
            if asked.call_pedestrian && intersection.enabled {
                intersection.controller.call_pedestrian(PhaseSet::of(&[phase]));
            }
            Ok(())
        }
        Kind::RailCrossing => {
            let asked: RailCrossingControl = state_in(patch)?;
            let crossing = &mut road.rails.get_mut(&number()?).ok_or_else(unknown)?.crossing;
            if let Some(call) = asked.manual_call.or(asked.activated) {
                crossing.manual_call = call;
                crossing.manual_left = None;
            }
            if let Some(seconds) = asked.manual_call_time_override.filter(|_| crossing.manual_call) {
                crossing.manual_left = Some(seconds.saturating_mul(10));
            }
            Ok(())
        }
        Kind::Gate => {
            let asked: GateControl = state_in(patch)?;
            road.gates.get_mut(&number()?).ok_or_else(unknown)?.call = asked.gate_call;
            Ok(())
        }
        Kind::Garage => {
            let asked: GarageControl = state_in(patch)?;
            road.garages.get_mut(id).ok_or_else(unknown)?.call = asked.open;
            Ok(())
        }
        Kind::Light => {
            let asked: LightControl = state_in(patch)?;
            let light = road.lights.get_mut(&number()?).ok_or_else(unknown)?;
            if asked.dim_level.is_some_and(|level| level > 100) {
                return Err(ControlError::Malformed("dimLevel is 0 to 100 percent".into()));
            }
            light.enabled = asked.enabled.unwrap_or(light.enabled);
            light.dim_level = asked.dim_level.unwrap_or(light.dim_level);
            Ok(())
        }
        Kind::Sensor => {
            let asked: SwitchControl = state_in(patch)?;
            *road.sensors.get_mut(id).ok_or_else(unknown)? = asked.enabled;
            Ok(())
        }
        Kind::Robot => {
            let asked: RobotControl = state_in(patch)?;
            let robot = road.robots.get_mut(&number()?).ok_or_else(unknown)?;
            if let Some(asked) = &asked.scenario
                && !robot.select(asked.id)
            {
                return Err(ControlError::Unknown("scenario", asked.id.to_string()));
            }
            robot.enabled = asked.enabled.unwrap_or(robot.enabled);
            robot.activate(asked.activated.unwrap_or(robot.activated()));
            Ok(())
        }
        Kind::V2x => {
            let asked: SwitchControl = state_in(patch)?;
            let number =
                radio_number(road, id).ok_or(ControlError::Fixed("radio that only clients know of"))?;
            if asked.enabled {
                road.radios_off.remove(&number);
            } else {
                road.radios_off.insert(number);
            }
            Ok(())
        }
        Kind::Beacon => Err(ControlError::Fixed("beacon of the facility")),
    }
}

/// Gives an intersection to one of its preemptions, numbered from 1, or takes it back.
///
/// # Errors
/// When there is no such intersection or preemption.
pub fn preempt(road: &mut Road, id: &str, preempt: &str, patch: &RawValue) -> Result<(), ControlError> {
    let asked: SwitchControl = state_in(patch)?;
    let unknown = || ControlError::Unknown("intersection", id.to_owned());
    let intersection =
        id.parse().ok().and_then(|id: u32| road.intersections.get_mut(&id)).ok_or_else(unknown)?;
    let known = preempt.parse().ok().filter(|it| (1..=intersection.site.preempts.len()).contains(it));
    let number = known.ok_or_else(|| ControlError::Unknown("preemption", preempt.to_owned()))?;
    let intersection = simulated(intersection)?;
    if intersection.enabled {
        intersection.preempt = asked.enabled.then_some(number);
    }
    Ok(())
}

/// An intersection that obeys: nobody tells a real controller what is asked here.
fn simulated(intersection: &mut Intersection) -> Result<&mut Intersection, ControlError> {
    if intersection.is_simulated() {
        Ok(intersection)
    } else {
        Err(ControlError::ReadOnly(intersection.site.id))
    }
}

fn command(intersection: &mut Intersection, asked: &IntersectionControl) -> Result<(), ControlError> {
    let hold = match asked.hold {
        None => None,
        Some(Hold::Phases(bits)) => Some(bits.0),
        Some(Hold::Stage(stage)) => {
            let stages = intersection.site.stages();
            let phases = stage.checked_sub(1).and_then(|at| stages.get(at)).copied();
            Some(phases.ok_or_else(|| ControlError::Malformed(format!("hold: there is no stage {stage}")))?)
        }
    };
    if asked.reset {
        intersection.reset();
    }
    if let Some(enabled) = asked.enabled {
        intersection.enabled = enabled;
        if !enabled {
            intersection.reset();
        }
    }
    if !intersection.enabled {
        return Ok(());
    }
    let commands = &mut intersection.controller.commands;
    let take = |asked: Option<Bits>, held: PhaseSet| asked.map_or(held, |bits| bits.0);
    commands.omit = take(asked.omit, commands.omit);
    commands.omit_pedestrian = take(asked.omit_pedestrian, commands.omit_pedestrian);
    commands.force_off = take(asked.force_off, commands.force_off);
    commands.hold = hold.unwrap_or(commands.hold);
    commands.flash = asked.flash.unwrap_or(commands.flash);
    commands.paused = asked.time_paused.unwrap_or(commands.paused);
    if let Some(bits) = asked.call_vehicle {
        intersection.controller.call_vehicle(bits.0);
    }
    if let Some(bits) = asked.call_pedestrian {
        intersection.controller.call_pedestrian(bits.0);
    }
    if let Some(seconds) = asked.time_clear_control {
        intersection.clear_left = (seconds > 0).then(|| seconds.saturating_mul(10));
    }
    Ok(())
}

/// The intersection of a signal or crosswalk, with the straight phase there and the left turn beside it.
fn at(road: &mut Road, id: u32) -> Option<(&mut Intersection, u8, u8)> {
    let intersection = road.intersections.get_mut(&(id / 10))?;
    let (_, straight, left) = heads(intersection).find(|(head, ..)| *head == id)?;
    Some((intersection, straight, left))
}

/// Gives a robot something more to play; answers it as it is now known.
///
/// # Errors
/// When there is no such robot, when it is no path, or when there is no room.
pub fn add_scenario(
    road: &mut Road,
    robot: &str,
    new: &events::Scenario,
) -> Result<events::Scenario, ControlError> {
    let robot = robot_called(road, robot)?;
    let malformed = |what: &str| Err(ControlError::Malformed(what.to_owned()));
    if robot.scenarios.len() >= MAX_ROBOT_SCENARIOS {
        return Err(ControlError::Full(format!("no more than {MAX_ROBOT_SCENARIOS} scenarios")));
    }
    if !(1..=128).contains(&new.name.len()) {
        return malformed("name is 1 to 128 bytes");
    }
    if new.r#type != "path" || !(1..=1000).contains(&new.path.len()) {
        return malformed("a scenario is of the type path and has 1 to 1000 points");
    }
    let good = |point: &events::Waypoint| {
        point.latitude.abs() <= 90.0
            && point.longitude.abs() <= 180.0
            && (0.0..=100.0).contains(&point.velocity)
    };
    if !new.path.iter().all(good) {
        return malformed("a point is a place on earth with a velocity of 0 to 100 m/s");
    }
    let place = |point: &events::Waypoint| Place { latitude: point.latitude, longitude: point.longitude };
    let course = facility::Scenario {
        name: new.name.clone(),
        speed: new.path.first().map_or(0.0, |point| point.velocity),
        path: new.path.iter().map(place).collect(),
    };
    let id = robot.scenarios.iter().map(|it| it.id).max().unwrap_or_default().saturating_add(1);
    let scenario = Scenario { id, course, locked: false };
    let answer = described(&scenario);
    robot.scenarios.push(scenario);
    Ok(answer)
}

/// Takes a scenario from a robot.
///
/// # Errors
/// When there is no such robot or scenario, or when it is one of the facility's.
pub fn remove_scenario(road: &mut Road, robot: &str, id: &str) -> Result<(), ControlError> {
    let robot = robot_called(road, robot)?;
    let known = robot.scenarios.iter().find(|it| it.id.to_string() == id);
    let known = known.ok_or_else(|| ControlError::Unknown("scenario", id.to_owned()))?;
    if known.locked {
        return Err(ControlError::Fixed("scenario of the facility"));
    }
    let id = known.id;
    robot.forget(id);
    Ok(())
}

fn robot_called<'a>(road: &'a mut Road, id: &str) -> Result<&'a mut Robot, ControlError> {
    let robot = id.parse().ok().and_then(|id: u32| road.robots.get_mut(&id));
    robot.ok_or_else(|| ControlError::Unknown("robot", id.to_owned()))
}

fn state_in<T: serde::de::DeserializeOwned>(patch: &RawValue) -> Result<T, ControlError> {
    parse::<Patch<T>>(patch.get()).map(|patch| patch.state)
}
