//! The resources of REST and of the `*_request` and `*_update` events: what there is, what it looks like, and what
//! can be asked of it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::events::{Bits, Color, Id};
use super::view::{View, heads, scenario};
use crate::road::Road;
use crate::road::facility::SensorKind;
use crate::road::junction::Junction;
use crate::road::mover::Place;
use cloverleaf_core::tscbm::Phases as PhaseSet;

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Kind {
    Intersection,
    Signal,
    Crosswalk,
    RailCrossing,
    Gate,
    Garage,
    Light,
    Sensor,
    Robot,
    Beacon,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Intersection,
        Self::Signal,
        Self::Crosswalk,
        Self::RailCrossing,
        Self::Gate,
        Self::Garage,
        Self::Light,
        Self::Sensor,
        Self::Robot,
        Self::Beacon,
    ];

    /// Its name, which is also that of its channel.
    pub const fn name(self) -> &'static str {
        self.names().0
    }

    /// Its plural.
    pub const fn plural(self) -> &'static str {
        self.names().1
    }

    /// The event that says that something was asked of it.
    pub const fn request(self) -> &'static str {
        self.names().2
    }

    /// The event that says what it is like.
    pub const fn update(self) -> &'static str {
        self.names().3
    }

    #[rustfmt::skip]
    const fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Intersection => ("intersection", "intersections", "intersection_request", "intersection_update"),
            Self::Signal       => ("signal",       "signals",       "signal_request",       "signal_update"),
            Self::Crosswalk    => ("crosswalk",    "crosswalks",    "crosswalk_request",    "crosswalk_update"),
            Self::RailCrossing => ("railcrossing", "railcrossings", "railcrossing_request", "railcrossing_update"),
            Self::Gate         => ("gate",         "gates",         "gate_request",         "gate_update"),
            Self::Garage       => ("garage",       "garages",       "garage_request",       "garage_update"),
            Self::Light        => ("light",        "lights",        "light_request",        "light_update"),
            Self::Sensor       => ("sensor",       "sensors",       "sensor_request",       "sensor_update"),
            Self::Robot        => ("robot",        "robots",        "robot_request",        "robot_update"),
            Self::Beacon       => ("beacon",       "beacons",       "beacon_request",       "beacon_update"),
        }
    }
}

/// A resource as REST describes it; `state` is what its updates carry.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Resource<S> {
    /// How it is known.
    pub id: Id,
    /// What it is called.
    pub name: String,
    /// Its path on this server.
    pub uri: String,
    /// The same.
    pub url: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// What is known of it; null until its source has said something.
    pub state: Option<S>,
    /// The source of the state has fallen silent. Left out while it speaks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// What only this kind has.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub further: Value,
}

/// Why something cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// There is no such resource.
    #[error("there is no {0} {1}")]
    Unknown(&'static str, String),
    /// What is asked is not well formed.
    #[error("{0}")]
    Malformed(String),
    /// It cannot be asked of this kind.
    #[error("a {0} cannot be controlled")]
    Fixed(&'static str),
}

/// What `PATCH` carries.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Patch<T> {
    /// What is to change; what is left out stays.
    pub state: T,
}

/// What can be asked of an intersection.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntersectionControl {
    /// Forget all earlier commands, before the rest of this one.
    #[serde(default)]
    pub reset: bool,
    /// Whether to listen to commands at all.
    pub enabled: Option<bool>,
    /// Phases to pass over.
    pub omit: Option<Bits>,
    /// Phases to keep green, or the number of a stage.
    #[schema(value_type = Option<String>)]
    pub hold: Option<Hold>,
    /// Phases to end.
    pub force_off: Option<Bits>,
    /// Phases whose pedestrians to pass over.
    pub omit_pedestrian: Option<Bits>,
    /// Phases that a vehicle waits for.
    pub call_vehicle: Option<Bits>,
    /// Phases that a pedestrian waits for.
    pub call_pedestrian: Option<Bits>,
    /// Flash instead of running the plan.
    pub flash: Option<bool>,
    /// Stop the controller's clock.
    pub time_paused: Option<bool>,
    /// Seconds until all commands are forgotten; 0 for never.
    pub time_clear_control: Option<u32>,
}

/// Phases to hold: a set, or a stage, numbered from 1.
#[derive(Debug, Clone, Copy)]
pub enum Hold {
    /// These phases.
    Phases(Bits),
    /// Those of this stage.
    Stage(usize),
}

impl<'de> Deserialize<'de> for Hold {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let stage = || text.parse().ok().filter(|_| text.len() < 3).map(Self::Stage);
        Bits::parse(&text).map(Self::Phases).or_else(stage).ok_or_else(|| {
            serde::de::Error::custom("hold: eight characters 0 or 1, or the number of a stage")
        })
    }
}

/// What can be asked of a signal.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct SignalControl {
    /// Forget all earlier commands of its intersection.
    #[serde(default)]
    pub reset: bool,
    /// Flash the whole intersection.
    pub flash: Option<bool>,
    /// The left turn.
    pub left: Option<MovementControl>,
    /// Straight on.
    pub straight: Option<MovementControl>,
    /// The right turn, which goes with straight on.
    pub right: Option<MovementControl>,
}

/// What a direction of travel is to show.
#[derive(Debug, Deserialize, ToSchema)]
pub struct MovementControl {
    /// Green is called for and held, red and yellow end a green: the controller sees to it that nobody else has green
    /// against it.
    pub color: Color,
}

/// What can be asked of a rail crossing.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RailCrossingControl {
    /// Close it.
    pub manual_call: Option<bool>,
    /// The same.
    pub activated: Option<bool>,
    /// Seconds until the call ends by itself.
    pub manual_call_time_override: Option<u32>,
}

/// What can be asked of a crosswalk.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrosswalkControl {
    /// Somebody waits.
    #[serde(default)]
    pub call_pedestrian: bool,
}

/// What can be asked of a gate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateControl {
    /// Whether it is to open.
    pub gate_call: bool,
}

/// What can be asked of a garage.
#[derive(Debug, Deserialize, ToSchema)]
pub struct GarageControl {
    /// Whether it is to open.
    pub open: bool,
}

/// What can be asked of a street light.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LightControl {
    /// Whether it is to be on.
    pub enabled: Option<bool>,
    /// Percent.
    pub dim_level: Option<u8>,
}

/// What can be asked of something that is on or off.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SwitchControl {
    /// Whether it is to be on.
    pub enabled: bool,
}

/// What can be asked of a robot.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct RobotControl {
    /// Whether it may move.
    pub enabled: Option<bool>,
    /// Whether it is to play its scenario.
    pub activated: Option<bool>,
    /// The scenario to play.
    pub scenario: Option<ScenarioControl>,
}

/// A scenario by its number.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ScenarioControl {
    /// Numbered from 1.
    pub id: u32,
}

impl View<'_> {
    /// Every resource of a kind that stands on the road, in the order of their ids.
    pub fn items(&self, kind: Kind, silent_after: f64) -> Vec<Value> {
        let road = self.road;
        let stale = |junction: &Junction| junction.is_silent(road.now(), silent_after);
        match kind {
            Kind::Intersection => road
                .junctions
                .values()
                .map(|it| {
                    let phases = it.site.phases.iter().map(|phase| {
                        let bound = ["NB", "SB", "WB", "EB"][usize::from((phase - 1) / 2)];
                        let turn = if phase % 2 == 0 { "STRAIGHT" } else { "LEFT" };
                        json!({"number": phase, "bound": bound, "turn": turn})
                    });
                    let stages = it.site.stages().into_iter().enumerate().map(|(at, phases)| {
                        let name = phases.iter().map(|phase| phase.to_string()).collect::<Vec<_>>().join("+");
                        json!({"controlGroup": at + 1, "name": name})
                    });
                    let stages: Vec<Value> = stages.collect();
                    let further = json!({
                        "streetMain": it.site.main,
                        "streetCross": it.site.cross,
                        "v2xIntersectionId": it.site.v2x,
                        "phases": phases.collect::<Vec<_>>(),
                        "stages": stages,
                        "stage": stages,
                    });
                    let state = self.intersection(it);
                    self.resource(
                        kind,
                        self.id(it.site.id),
                        &it.site.name,
                        it.site.place,
                        state,
                        stale(it),
                        further,
                    )
                })
                .collect(),
            Kind::Signal => self
                .at_junctions(|view, it| view.signals(it))
                .map(|(it, id, state)| {
                    let name = format!("{} {id}", it.site.name);
                    let further = json!({"intersection": self.id(it.site.id)});
                    self.resource(kind, self.id(id), &name, it.site.place, Some(state), stale(it), further)
                })
                .collect(),
            Kind::Crosswalk => {
                let away = road.crosswalks.values().map(|it| {
                    let state = self.crosswalk(it.walk(), it.left(), it.call, self.now());
                    self.resource(
                        kind,
                        self.id(it.site.id),
                        &it.site.name,
                        it.site.place,
                        Some(state),
                        false,
                        json!({}),
                    )
                });
                let at_junctions =
                    self.at_junctions(|view, it| view.crosswalks(it)).map(|(it, id, state)| {
                        let name = format!("{} {id}", it.site.name);
                        let further = json!({"intersection": self.id(it.site.id)});
                        self.resource(
                            kind,
                            self.id(id),
                            &name,
                            it.site.place,
                            Some(state),
                            stale(it),
                            further,
                        )
                    });
                away.chain(at_junctions).collect()
            }
            Kind::RailCrossing => {
                let rails = road.rails.values();
                rails
                    .map(|it| {
                        self.plain(kind, self.id(it.site.id), &it.site.name, it.site.place, self.rail(it))
                    })
                    .collect()
            }
            Kind::Gate => {
                let gates =
                    road.facility.gates.iter().filter_map(|site| Some((site, road.gates.get(&site.id)?)));
                gates
                    .map(|(it, door)| self.plain(kind, self.id(it.id), &it.name, it.place, self.gate(door)))
                    .collect()
            }
            Kind::Garage => {
                let doors =
                    road.facility.garages.iter().filter_map(|site| Some((site, road.garages.get(&site.id)?)));
                doors
                    .map(|(it, door)| {
                        self.plain(kind, Id::Name(it.id.clone()), &it.name, it.place, self.garage(door))
                    })
                    .collect()
            }
            Kind::Light => {
                let lights = road.lights.values();
                lights
                    .map(|it| {
                        self.plain(kind, self.id(it.site.id), &it.site.name, it.site.place, self.light(it))
                    })
                    .collect()
            }
            Kind::Sensor => {
                let sensors = road
                    .facility
                    .sensors
                    .iter()
                    .filter_map(|site| Some((site, *road.sensors.get(&site.id)?)));
                sensors
                    .map(|(it, on)| {
                        let further = json!({"type": sensor_kind(it.kind)});
                        let id = Id::Name(it.id.clone());
                        self.resource(kind, id, &it.name, it.place, Some(self.switch(on)), false, further)
                    })
                    .collect()
            }
            Kind::Robot => road
                .robots
                .values()
                .map(|it| {
                    let scenarios = 1..=u32::try_from(it.site.scenarios.len()).unwrap_or(u32::MAX);
                    let scenarios: Vec<_> = scenarios.filter_map(|id| scenario(&it.site, id)).collect();
                    let further = json!({"scenarios": scenarios});
                    self.resource(
                        kind,
                        self.id(it.site.id),
                        &it.site.name,
                        it.site.place,
                        Some(self.robot(it)),
                        false,
                        further,
                    )
                })
                .collect(),
            Kind::Beacon => {
                let beacons = road.beacons();
                beacons
                    .map(|(it, at)| {
                        self.plain(kind, Id::Name(it.id.clone()), &it.id, at.place, self.beacon(it, at))
                    })
                    .collect()
            }
        }
    }

    /// One resource.
    pub fn item(&self, kind: Kind, id: &str, silent_after: f64) -> Option<Value> {
        self.items(kind, silent_after)
            .into_iter()
            .find(|item| id_of(item).is_some_and(|it| it.to_string() == id))
    }

    fn at_junctions<'a, S: 'a>(
        &'a self,
        parts: impl Fn(&Self, &Junction) -> Vec<(u32, S)> + 'a,
    ) -> impl Iterator<Item = (&'a Junction, u32, S)> {
        self.road
            .junctions
            .values()
            .flat_map(move |it| parts(self, it).into_iter().map(move |(id, state)| (it, id, state)))
    }

    fn plain(&self, kind: Kind, id: Id, name: &str, place: Place, state: impl Serialize) -> Value {
        self.resource(kind, id, name, place, Some(state), false, json!({}))
    }

    #[allow(clippy::too_many_arguments)] // every field of a resource, once
    fn resource<S: Serialize>(
        &self,
        kind: Kind,
        id: Id,
        name: &str,
        place: Place,
        state: Option<S>,
        stale: bool,
        further: Value,
    ) -> Value {
        let uri = format!("/api/{}/{id}", kind.name());
        let (latitude, longitude) = (place.latitude, place.longitude);
        let resource = Resource {
            id,
            name: name.to_owned(),
            url: uri.clone(),
            uri,
            latitude,
            longitude,
            state,
            stale,
            further,
        };
        serde_json::to_value(resource).unwrap_or_default()
    }
}

/// The id of a resource as REST describes it.
pub fn id_of(item: &Value) -> Option<Id> {
    serde_json::from_value(item.get("id")?.clone()).ok()
}

/// What a sensor is, in words.
pub fn sensor_kind(kind: SensorKind) -> &'static str {
    match kind {
        SensorKind::Package => "package",
        SensorKind::Camera => "camera",
        SensorKind::Lidar => "lidar",
        SensorKind::Radar => "radar",
    }
}

/// Does what a `PATCH` asks.
///
/// # Errors
/// [`ControlError`]; nothing has been changed then.
pub fn control(road: &mut Road, kind: Kind, id: &str, patch: &RawValue) -> Result<(), ControlError> {
    let unknown = || ControlError::Unknown(kind.name(), id.to_owned());
    let number = || id.parse::<u32>().map_err(|_| unknown());
    match kind {
        Kind::Intersection => {
            let asked: IntersectionControl = parse(patch)?;
            let junction = road.junctions.get_mut(&number()?).ok_or_else(unknown)?;
            command(junction, &asked)
        }
        Kind::Signal => {
            let (asked, id): (SignalControl, _) = (parse(patch)?, number()?);
            let (junction, straight, left) = at(road, id).ok_or_else(unknown)?;
            if asked.reset {
                junction.reset();
            }
            if let Some(flash) = asked.flash {
                junction.controller.commands.flash = flash;
            }
            let along = asked.straight.or(asked.right).map(|it| (straight, it.color));
            for (phase, color) in [asked.left.map(|it| (left, it.color)), along].into_iter().flatten() {
                let (phase, commands) = (PhaseSet::of(&[phase]), &mut junction.controller.commands);
                let green = color == Color::Green;
                commands.hold = if green { commands.hold.or(phase) } else { commands.hold.without(phase) };
                commands.force_off =
                    if green { commands.force_off.without(phase) } else { commands.force_off.or(phase) };
                commands.omit = if green { commands.omit.without(phase) } else { commands.omit.or(phase) };
            }
            Ok(())
        }
        Kind::Crosswalk => {
            let (asked, id): (CrosswalkControl, _) = (parse(patch)?, number()?);
            if let Some(crosswalk) = road.crosswalks.get_mut(&id) {
                crosswalk.call |= asked.call_pedestrian;
                return Ok(());
            }
            let (junction, phase, _) = at(road, id).ok_or_else(unknown)?;
            if asked.call_pedestrian {
                junction.controller.call_pedestrian(PhaseSet::of(&[phase]));
            }
            Ok(())
        }
        Kind::RailCrossing => {
            let asked: RailCrossingControl = parse(patch)?;
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
            let asked: GateControl = parse(patch)?;
            road.gates.get_mut(&number()?).ok_or_else(unknown)?.call = asked.gate_call;
            Ok(())
        }
        Kind::Garage => {
            let asked: GarageControl = parse(patch)?;
            road.garages.get_mut(id).ok_or_else(unknown)?.call = asked.open;
            Ok(())
        }
        Kind::Light => {
            let asked: LightControl = parse(patch)?;
            let light = road.lights.get_mut(&number()?).ok_or_else(unknown)?;
            if asked.dim_level.is_some_and(|level| level > 100) {
                return Err(ControlError::Malformed("dimLevel is 0 to 100 percent".into()));
            }
            light.enabled = asked.enabled.unwrap_or(light.enabled);
            light.dim_level = asked.dim_level.unwrap_or(light.dim_level);
            Ok(())
        }
        Kind::Sensor => {
            let asked: SwitchControl = parse(patch)?;
            *road.sensors.get_mut(id).ok_or_else(unknown)? = asked.enabled;
            Ok(())
        }
        Kind::Robot => {
            let asked: RobotControl = parse(patch)?;
            let robot = road.robots.get_mut(&number()?).ok_or_else(unknown)?;
            if let Some(asked) = &asked.scenario {
                let known = scenario(&robot.site, asked.id)
                    .ok_or_else(|| ControlError::Unknown("scenario", asked.id.to_string()))?;
                robot.scenario = Some(known.id);
            }
            robot.enabled = asked.enabled.unwrap_or(robot.enabled);
            // A robot that may not move does not.
            robot.activated = asked.activated.unwrap_or(robot.activated) && robot.enabled;
            Ok(())
        }
        Kind::Beacon => Err(ControlError::Fixed("beacon of the facility")),
    }
}

/// Gives a junction to one of its preemptions, numbered from 1, or takes it back.
///
/// # Errors
/// When there is no such intersection or preemption.
pub fn preempt(road: &mut Road, id: &str, preempt: &str, patch: &RawValue) -> Result<(), ControlError> {
    let asked: SwitchControl = parse(patch)?;
    let unknown = || ControlError::Unknown("intersection", id.to_owned());
    let junction = id.parse().ok().and_then(|id: u32| road.junctions.get_mut(&id)).ok_or_else(unknown)?;
    let known = preempt.parse().ok().filter(|it| (1..=junction.site.preempts.len()).contains(it));
    let number = known.ok_or_else(|| ControlError::Unknown("preemption", preempt.to_owned()))?;
    junction.preempt = asked.enabled.then_some(number);
    Ok(())
}

fn command(junction: &mut Junction, asked: &IntersectionControl) -> Result<(), ControlError> {
    let hold = match asked.hold {
        None => None,
        Some(Hold::Phases(bits)) => Some(bits.0),
        Some(Hold::Stage(stage)) => {
            let stages = junction.site.stages();
            let phases = stage.checked_sub(1).and_then(|at| stages.get(at)).copied();
            Some(phases.ok_or_else(|| ControlError::Malformed(format!("hold: there is no stage {stage}")))?)
        }
    };
    if asked.reset {
        junction.reset();
    }
    if let Some(enabled) = asked.enabled {
        junction.enabled = enabled;
        if !enabled {
            junction.reset();
        }
    }
    if !junction.enabled {
        return Ok(());
    }
    let commands = &mut junction.controller.commands;
    let take = |asked: Option<Bits>, held: PhaseSet| asked.map_or(held, |bits| bits.0);
    commands.omit = take(asked.omit, commands.omit);
    commands.omit_pedestrian = take(asked.omit_pedestrian, commands.omit_pedestrian);
    commands.force_off = take(asked.force_off, commands.force_off);
    commands.hold = hold.unwrap_or(commands.hold);
    commands.flash = asked.flash.unwrap_or(commands.flash);
    commands.paused = asked.time_paused.unwrap_or(commands.paused);
    if let Some(bits) = asked.call_vehicle {
        junction.controller.call_vehicle(bits.0);
    }
    if let Some(bits) = asked.call_pedestrian {
        junction.controller.call_pedestrian(bits.0);
    }
    if let Some(seconds) = asked.time_clear_control {
        junction.clear_left = (seconds > 0).then(|| seconds.saturating_mul(10));
    }
    Ok(())
}

/// The junction of a signal or crosswalk, with the straight phase there and the left turn beside it.
fn at(road: &mut Road, id: u32) -> Option<(&mut Junction, u8, u8)> {
    let junction = road.junctions.get_mut(&(id / 10))?;
    let (_, straight, left) = heads(junction).find(|(head, ..)| *head == id)?;
    Some((junction, straight, left))
}

fn parse<T: DeserializeOwned>(patch: &RawValue) -> Result<T, ControlError> {
    let patch: Patch<T> =
        serde_json::from_str(patch.get()).map_err(|error| ControlError::Malformed(error.to_string()))?;
    Ok(patch.state)
}
