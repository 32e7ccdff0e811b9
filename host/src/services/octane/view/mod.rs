//! The road as OCTANE describes it.

mod radio;
mod weather;

use std::collections::BTreeMap;
use std::time::Duration;

use cloverleaf_core::tscbm::{self, Phases as PhaseSet};
use jiff::{SignedDuration, Timestamp};

use super::events::{
    BeaconState, Bits, Charge, Color, Connection, Contact, CrosswalkState, Date, Dynamics, EquipmentState,
    EquipmentType, Facility, GarageState, GateState, Id, IntersectionState, LawnMower, LawnMowerState,
    LightState, Movement, MowerCall, PhaseState, Phases, RailCrossingState, RobotState, SafetyEquipment,
    SignalState, SwitchState, V2xCommunication, WeatherAlert, WeatherAlertState,
};
use super::resource;
use crate::road::controller::Walk;
use crate::road::crossing::Stage;
use crate::road::facility::{self, EquipmentKind};
use crate::road::intersection::Intersection;
use crate::road::mover::Position;
use crate::road::{self, Door, Equipment, Light, Mower, Rail, Road, Robot};

pub use radio::{radio_number, rsu};

/// How a client wants the phases of an intersection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PhasesAs {
    /// A list in rising order.
    #[default]
    Array,
    /// An object by phase number.
    Map,
}

/// How a client wants the ids of resources that have a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum IdsAs {
    /// As numbers.
    #[default]
    Integer,
    /// As text.
    String,
}

/// The straight phase of each approach with the left turn beside it, by number of signal head.
const APPROACHES: [(u32, u8, u8); 4] = [(1, 2, 5), (2, 4, 7), (3, 6, 1), (4, 8, 3)];

/// The road through OCTANE's eyes.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The road.
    pub road: &'a Road,
    /// How phases are written.
    pub phases_as: PhasesAs,
    /// How ids are written.
    pub ids_as: IdsAs,
    /// How long a source may be silent before it is marked.
    pub silent_after: Duration,
    /// For comparisons: leaves out what changes although nothing has happened, dates and the time that is left, and what
    /// never changes, names and paths.
    pub comparing: bool,
}

impl View<'_> {
    /// Whether the real controller of an intersection has fallen silent.
    pub fn is_silent(&self, intersection: &Intersection) -> bool {
        intersection.is_silent(self.road.now().elapsed, self.silent_after)
    }

    /// A moment on the facility's clock.
    pub fn date(&self, at: Timestamp) -> Date {
        Date { at: if self.comparing { Timestamp::UNIX_EPOCH } else { at }, offset: self.road.offset() }
    }

    /// Now on the facility's clock.
    pub fn now(&self) -> Date {
        self.date(self.road.now().wall)
    }

    /// How long something lasts at least or at most.
    fn seconds_left(&self, tenths: u16) -> f64 {
        if self.comparing { 0.0 } else { seconds(tenths) }
    }

    /// A number as an id.
    pub fn id(&self, number: u32) -> Id {
        match self.ids_as {
            IdsAs::Integer => Id::Number(number),
            IdsAs::String => Id::Name(number.to_string()),
        }
    }

    /// An intersection; none when its real controller has not said anything yet.
    pub fn intersection(&self, intersection: &Intersection) -> Option<IntersectionState> {
        let message = intersection.message(self.road.offset())?;
        let controller = &intersection.controller;
        let commands = controller.commands;
        let (vehicles, pedestrians) =
            (controller.vehicle_calls(), controller.pedestrian_calls().union(message.pedestrian_latched));
        let phases = intersection.site.phases().iter().map(|phase| {
            let times = message.block(phase).copied().unwrap_or_default().vehicle;
            PhaseState {
                phase,
                color: color(&message, phase),
                veh_time_min: self.seconds_left(times.min),
                veh_time_max: self.seconds_left(times.max),
                call_vehicle: vehicles.has(phase),
                call_pedestrian: pedestrians.has(phase),
                omit: commands.omit.has(phase),
                omit_pedestrian: commands.omit_pedestrian.has(phase),
                hold: commands.hold.has(phase),
                force_off: commands.force_off.has(phase),
                pedestrian_clear: message.pedestrian_clear.has(phase),
                walk_dont: message.dont_walk.has(phase),
                walk: message.walk.has(phase),
            }
        });
        Some(IntersectionState {
            enabled: intersection.enabled,
            time_paused: commands.paused,
            time_clear_control: intersection.clear_left.map_or(0, |tenths| tenths.div_ceil(10)),
            flash: !message.flash.is_empty(),
            call_vehicle: Bits(vehicles),
            call_pedestrian: Bits(pedestrians),
            omit: Bits(commands.omit),
            hold: Bits(commands.hold),
            force_off: Bits(commands.force_off),
            pedestrian_clear: Bits(message.pedestrian_clear),
            walk_dont: Bits(message.dont_walk),
            walk: Bits(message.walk),
            phases: match self.phases_as {
                PhasesAs::Array => Phases::Array(phases.collect()),
                PhasesAs::Map => {
                    Phases::Map(phases.map(|state| (state.phase, state)).collect::<BTreeMap<_, _>>())
                }
            },
            updated: self.date(intersection.updated()?),
        })
    }

    /// The signal heads of an intersection, with their numbers; without states when its real controller has not said
    /// anything yet.
    pub fn signals(&self, intersection: &Intersection) -> Vec<(u32, Option<SignalState>)> {
        let message = intersection.message(self.road.offset());
        let shown = message.zip(intersection.updated().map(|at| self.date(at)));
        let movement = |phase: u8| {
            let (message, updated) = shown.as_ref()?;
            let times = message.block(phase).copied().unwrap_or_default().vehicle;
            let in_use = intersection.site.phases().has(phase);
            Some(Movement {
                color: in_use.then(|| color(message, phase)),
                status: match (in_use, message.flash.has(phase)) {
                    (false, _) => "disabled",
                    (true, true) => "flashing",
                    (true, false) => "steady",
                },
                veh_time_min: self.seconds_left(times.min),
                veh_time_max: self.seconds_left(times.max),
                updated: *updated,
            })
        };
        let state = |straight: u8, left: u8| {
            let (left, straight) = (movement(left)?, movement(straight)?);
            Some(SignalState { left, right: straight.clone(), updated: straight.updated, straight })
        };
        heads(intersection).map(|(id, straight, left)| (id, state(straight, left))).collect()
    }

    /// The crosswalks of an intersection, with their numbers; without states when its real controller has not said
    /// anything yet.
    pub fn crosswalks(&self, intersection: &Intersection) -> Vec<(u32, Option<CrosswalkState>)> {
        let message = intersection.message(self.road.offset());
        let shown = message.zip(intersection.updated().map(|at| self.date(at)));
        let state = |phase: u8| {
            let (message, updated) = shown.as_ref()?;
            let called = intersection.controller.pedestrian_calls().union(message.pedestrian_latched);
            let walk = match (message.walk.has(phase), message.pedestrian_clear.has(phase)) {
                (true, _) => Walk::Walk,
                (false, true) => Walk::Clear,
                (false, false) => Walk::DontWalk,
            };
            let left = message.block(phase).map_or(0, |block| block.pedestrian.max);
            Some(self.crosswalk(walk, left, called.has(phase), *updated))
        };
        heads(intersection).map(|(id, phase, _)| (id, state(phase))).collect()
    }

    /// A crosswalk that shows `walk` for `left` more tenths of a second.
    pub fn crosswalk(&self, walk: Walk, left: u16, call: bool, updated: Date) -> CrosswalkState {
        CrosswalkState {
            call_pedestrian: call,
            activated: Some(walk != Walk::DontWalk),
            phase: Some(match walk {
                Walk::Walk => "steady-walking-man",
                Walk::Clear => "flashing-upraised-hand",
                Walk::DontWalk => "steady-upraised-hand",
            }),
            countdown_time: (walk == Walk::Clear).then(|| left.div_ceil(10)),
            pedestrian_clear: walk == Walk::Clear,
            walk_dont: walk == Walk::DontWalk,
            walk: walk == Walk::Walk,
            updated,
        }
    }

    /// A rail crossing.
    pub fn rail(&self, rail: &Rail) -> RailCrossingState {
        let crossing = &rail.crossing;
        RailCrossingState {
            manual_call: crossing.manual_call,
            activated: crossing.flashing(),
            phase: Some(match crossing.stage() {
                Stage::Open => "open",
                Stage::Presignal => "presignal",
                Stage::Closing => "closing",
                Stage::Closed => "closed",
                Stage::Opening => "opening",
                Stage::Postsignal => "postsignal",
            }),
            gate: crossing.gate_down(),
            audible: crossing.ringing(),
            beacon: crossing.flashing(),
            updated: self.now(),
        }
    }

    /// A gate.
    pub fn gate(&self, door: &Door) -> GateState {
        GateState { gate_call: door.call, activated: door.moving(), open: door.open(), updated: self.now() }
    }

    /// A garage.
    pub fn garage(&self, door: &Door) -> GarageState {
        GarageState { open: door.open() != Some(false), activated: door.moving(), updated: self.now() }
    }

    /// A street light.
    pub fn light(&self, light: &Light) -> LightState {
        LightState { enabled: light.enabled, dim_level: light.dim_level, updated: self.now() }
    }

    /// Something that is on or off.
    pub fn switch(&self, enabled: bool) -> SwitchState {
        SwitchState { enabled, updated: self.now() }
    }

    /// A robot.
    pub fn robot(&self, robot: &Robot) -> RobotState {
        let (updated, at) = (self.now(), robot.position());
        RobotState {
            longitude: at.place.longitude,
            latitude: at.place.latitude,
            scenario: robot.selected().map(resource::described),
            activated: robot.activated(),
            status: match (robot.enabled, robot.activated()) {
                (false, _) => "off",
                (true, false) => "idle",
                (true, true) => "running",
            },
            connection: self.connection(),
            charge: Charge {
                charging: !robot.activated() && robot.percent() < 100,
                percent: robot.percent(),
                voltage: 22.0 + f64::from(robot.percent()) * 0.032,
                updated,
            },
            enabled: robot.enabled,
            updated,
        }
    }

    /// Somebody with a beacon.
    pub fn beacon(&self, beacon: &facility::Beacon, position: Position) -> BeaconState {
        let updated = self.now();
        BeaconState {
            dynamics: Dynamics {
                longitude: Some(position.place.longitude),
                latitude: Some(position.place.latitude),
                heading: Some(position.heading),
                velocity: Some(position.speed),
                acceleration: Some(0.0),
                elevation: None,
                updated,
            },
            v2x_communication: V2xCommunication { enabled: true, r#type: beacon.kind.clone() },
            connection: self.connection(),
            charge: Charge { charging: false, percent: 100, voltage: 4.2, updated },
            updated,
        }
    }

    /// How everything simulated is connected.
    fn connection(&self) -> Connection {
        let updated = self.now();
        Connection { r#type: "WIFI", strength: 100, quality: 100, network: "simulated", updated }
    }

    /// A piece of safety equipment.
    pub fn equipment(&self, equipment: &Equipment) -> SafetyEquipment {
        SafetyEquipment {
            id: equipment.site.id.clone(),
            equipment_type: equipment_type(equipment.site.kind),
            state: EquipmentState {
                placed: equipment.placed,
                latitude: equipment.place.latitude,
                longitude: equipment.place.longitude,
            },
        }
    }

    /// A lawn mower.
    pub fn mower(&self, mower: &Mower) -> LawnMower {
        LawnMower {
            id: mower.site.id,
            name: mower.site.name.clone(),
            unit_id: mower.site.unit.clone(),
            r#type: "lawnmower",
            state: LawnMowerState {
                mower_call: match mower.call {
                    road::MowerCall::Start => MowerCall::Start,
                    road::MowerCall::Pause => MowerCall::Pause,
                    road::MowerCall::Park => MowerCall::Park,
                },
                battery_charge: mower.percent(),
            },
        }
    }

    /// The facility itself.
    pub fn facility(&self) -> Facility {
        let facility = &self.road.facility;
        Facility {
            id: facility.id,
            uri: "/api/facility",
            name: facility.name.clone(),
            url: "/api/facility",
            url_map: "",
            longitude: facility.place.longitude,
            latitude: facility.place.latitude,
            overlays: [],
            contact: Contact {},
            unit_distance: "m",
            unit_mass: "kg",
        }
    }

    /// A weather alert raised at `onset`.
    pub fn alert(&self, number: usize, alert: &facility::WeatherAlert, onset: Timestamp) -> WeatherAlert {
        let begins = self.date(onset);
        let ends = self.date(onset + SignedDuration::from_secs(i64::from(alert.lasts)));
        WeatherAlert {
            id: number.to_string(),
            description: alert.description.clone(),
            instruction: alert.instruction.clone(),
            state: WeatherAlertState {
                event: alert.event.clone(),
                date_valid: begins,
                onset: begins,
                date_expire: ends,
                ends,
                status: "Actual",
                severity: alert.severity.clone(),
                certainty: "Observed",
                urgency: "Immediate",
                updated: begins,
            },
        }
    }
}

/// The signal heads, and crosswalks, of an intersection: number, straight phase, left turn beside it.
pub(super) fn heads(intersection: &Intersection) -> impl Iterator<Item = (u32, u8, u8)> {
    let (id, phases) = (intersection.site.id, intersection.site.phases());
    APPROACHES
        .into_iter()
        .filter(move |(_, straight, _)| phases.has(*straight))
        .map(move |(head, straight, left)| (id.saturating_mul(10).saturating_add(head), straight, left))
}

/// What a phase shows; one that is in no set is red.
fn color(message: &tscbm::Message, phase: u8) -> Color {
    let shows = |set: PhaseSet| set.has(phase);
    match (shows(message.green), shows(message.yellow)) {
        (true, _) => Color::Green,
        (false, true) => Color::Yellow,
        (false, false) => Color::Red,
    }
}

fn seconds(tenths: u16) -> f64 {
    f64::from(tenths) / 10.0
}

/// What a piece of safety equipment is, in the words of OCTANE.
#[rustfmt::skip]
pub fn equipment_type(kind: EquipmentKind) -> EquipmentType {
    match kind {
        EquipmentKind::Cone              => EquipmentType::Cone,
        EquipmentKind::Delineator        => EquipmentType::Delineator,
        EquipmentKind::Barrel            => EquipmentType::Barrel,
        EquipmentKind::ConcreteBarricade => EquipmentType::ConcreteBarricade,
        EquipmentKind::WaterBarricade    => EquipmentType::WaterBarricade,
        EquipmentKind::SteelBarricade    => EquipmentType::SteelBarricade,
        EquipmentKind::AFrameBarricade   => EquipmentType::AFrameBarricade,
        EquipmentKind::TypeOneBarricade  => EquipmentType::TypeOneBarricade,
        EquipmentKind::TypeTwoBarricade  => EquipmentType::TypeTwoBarricade,
        EquipmentKind::Bollard           => EquipmentType::Bollard,
    }
}
