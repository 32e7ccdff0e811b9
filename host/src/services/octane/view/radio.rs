//! What radios are, and what they broadcast.

use super::{View, color, seconds};
use crate::road::intersection::Intersection;
use crate::road::mover::{Place, Position};
use crate::road::{Road, facility};
use crate::services::octane::events::{
    Bits16, Bsm, FixedRadio, Id, MovingRadio, Psm, RadioSupported, Spat, SpatOverlap, SpatPhase,
    SpatPhaseOverlap, V2x, V2xRaw, V2xState,
};
use crate::services::octane::state::Radio;

/// What the radio of an intersection sends and hears.
const FIXED: [(&str, &str, bool); 3] =
    [("SPaT", "NTCIP", false), ("BSM", "J2735_201603", true), ("PSM", "J2735_201603", true)];

impl View<'_> {
    /// Every radio of the facility: of intersections, of vehicles, of pedestrians.
    pub fn radios(&self) -> impl Iterator<Item = V2x> {
        let rsus = self.road.intersections.values().map(|intersection| self.fixed_radio(intersection));
        let obus = self.road.vehicles().map(|(vehicle, at)| {
            let id = u32::from_str_radix(&vehicle.id, 16).unwrap_or_default();
            self.moving_radio(Radio::Vehicle, self.id(id), &vehicle.id, self.movement(id, at))
        });
        let vrus = self.road.beacons().enumerate().map(|(at, (_, position))| {
            let name = pedestrian_id(at + 1);
            let id = u32::from_str_radix(&name, 16).unwrap_or_default();
            self.moving_radio(Radio::Pedestrian, self.id(id), &name, self.movement(id, position))
        });
        rsus.chain(obus).chain(vrus)
    }

    /// The radio of an intersection.
    pub fn fixed_radio(&self, intersection: &Intersection) -> V2x {
        let enabled = !self.road.radios_off.contains(&intersection.site.id);
        let supported = |on| {
            let kinds = FIXED.into_iter();
            let kinds = kinds.map(|(message_type, message_set, hears)| RadioSupported {
                radio: "DSRC",
                message_set,
                message_type,
                rx_enabled: on && hears,
                tx_enabled: on,
            });
            kinds.collect::<Vec<_>>()
        };
        let Place { latitude, longitude } = intersection.site.place;
        let uri = format!("/api/v2x/rsu/{}", intersection.site.id);
        V2x {
            id: self.id(intersection.site.id),
            url: uri.clone(),
            uri,
            name: intersection.site.v2x.clone(),
            longitude,
            latitude,
            r#type: "RSU",
            radios_supported: supported(true),
            state: V2xState::Fixed(FixedRadio {
                enabled,
                radios_enabled: supported(enabled),
                updated: intersection.updated().map(|at| self.date(at)),
                longitude,
                latitude,
            }),
            stale: self.is_silent(intersection),
        }
    }

    /// A radio that moves.
    pub fn moving_radio(&self, kind: Radio, id: Id, name: &str, state: MovingRadio) -> V2x {
        let (r#type, message_type) = match kind {
            Radio::Vehicle => ("OBU", "BSM"),
            Radio::Pedestrian => ("VRU", "PSM"),
        };
        let uri = format!("/api/v2x/{}/{id}", kind.family());
        let message_set = "J2735_201603";
        let (rx_enabled, tx_enabled) = (false, true);
        V2x {
            id,
            url: uri.clone(),
            uri,
            name: name.to_owned(),
            longitude: state.longitude,
            latitude: state.latitude,
            r#type,
            radios_supported: vec![RadioSupported {
                radio: "DSRC",
                message_set,
                message_type,
                rx_enabled,
                tx_enabled,
            }],
            state: V2xState::Moving(state),
            stale: false,
        }
    }

    fn movement(&self, number: u32, position: Position) -> MovingRadio {
        MovingRadio {
            enabled: !self.road.radios_off.contains(&number),
            updated: self.now(),
            longitude: position.place.longitude,
            latitude: position.place.latitude,
            elevation: 0.0,
            speed: position.speed,
            heading: position.heading,
            angle: 0.0,
        }
    }

    /// What an intersection's radio broadcasts.
    pub fn spat(&self, intersection: &Intersection) -> Option<Spat> {
        let message = intersection.message(self.road.offset())?;
        let updated = self.date(intersection.updated()?);
        let phases = (1..=16).map(|phase| {
            let block = message.block(phase).copied().unwrap_or_default();
            SpatPhase {
                phase,
                color: color(&message, phase),
                flash: message.flash.has(phase),
                walk: message.walk.has(phase),
                walk_dont: message.dont_walk.has(phase),
                pedestrian_clear: message.pedestrian_clear.has(phase),
                overlap: SpatPhaseOverlap {
                    green: message.overlap_green.has(phase),
                    yellow: message.overlap_yellow.has(phase),
                    red: message.overlap_red.has(phase),
                    flash: message.overlap_flash.has(phase),
                },
                veh_time_min: seconds(block.vehicle.min),
                veh_time_max: seconds(block.vehicle.max),
                ped_time_min: seconds(block.pedestrian.min),
                ped_time_max: seconds(block.pedestrian.max),
                overlap_min: seconds(block.overlap.min),
                overlap_max: seconds(block.overlap.max),
            }
        });
        Some(Spat {
            id: intersection.site.v2x.clone(),
            message_set: "NTCIP",
            updated,
            time_system: format!("{}.{:03}", message.seconds, message.milliseconds),
            green: Bits16(message.green),
            yellow: Bits16(message.yellow),
            red: Bits16(message.red),
            walk: Bits16(message.walk),
            walk_dont: Bits16(message.dont_walk),
            pedestrian_clear: Bits16(message.pedestrian_clear),
            flash: Bits16(message.flash),
            overlap: SpatOverlap {
                green: Bits16(message.overlap_green),
                yellow: Bits16(message.overlap_yellow),
                red: Bits16(message.overlap_red),
                flash: Bits16(message.overlap_flash),
            },
            phases: phases.collect(),
        })
    }

    /// The same as it is on the air.
    pub fn spat_raw(&self, intersection: &Intersection) -> Option<V2xRaw> {
        let data = hex::encode(intersection.message(self.road.offset())?.emit());
        let updated = self.date(intersection.updated()?);
        Some(V2xRaw { id: intersection.site.v2x.clone(), message_set: "NTCIP", updated, data })
    }

    /// What a vehicle broadcasts.
    pub fn bsm(&self, vehicle: &facility::Vehicle, position: Position) -> Bsm {
        Bsm {
            id: vehicle.id.clone(),
            id_temporary: vehicle.id.clone(),
            id_fixed: vehicle.id.clone(),
            message_set: "J2735_201603",
            vehicle_length: vehicle.length,
            vehicle_width: vehicle.width,
            updated: self.now(),
            longitude: position.place.longitude,
            latitude: position.place.latitude,
            elevation: 0.0,
            speed: position.speed,
            heading: position.heading,
            angle: 0.0,
        }
    }

    /// What somebody with a beacon broadcasts; `number` counts beacons from 1.
    pub fn psm(&self, number: usize, beacon: &facility::Beacon, position: Position) -> Psm {
        Psm {
            id: pedestrian_id(number),
            message_set: "J2735_201603",
            updated: self.now(),
            longitude: position.place.longitude,
            latitude: position.place.latitude,
            elevation: 0.0,
            speed: position.speed,
            heading: position.heading,
            r#type: beacon.kind.clone(),
            size: "unknown",
        }
    }
}

/// The intersection whose radio is known by this number or name.
pub fn rsu<'a>(road: &'a Road, id: &str) -> Option<&'a Intersection> {
    road.intersections.values().find(|it| it.site.v2x == id || it.site.id.to_string() == id)
}

/// The number of a radio of the facility that is known by this number or name.
pub fn radio_number(road: &Road, id: &str) -> Option<u32> {
    let hexadecimal = |text: &str| u32::from_str_radix(text, 16).ok();
    let is_it = |text: &str| text == id || hexadecimal(text).is_some_and(|number| number.to_string() == id);
    let obu = || road.facility.vehicles.iter().map(|it| it.id.clone()).find(|text| is_it(text));
    let vru = || (1..=road.facility.beacons.len()).map(pedestrian_id).find(|text| is_it(text));
    match rsu(road, id) {
        Some(intersection) => Some(intersection.site.id),
        None => obu().or_else(vru).and_then(|text| hexadecimal(&text)),
    }
}

/// The id under which somebody with a beacon broadcasts; `number` counts beacons from 1.
fn pedestrian_id(number: usize) -> String {
    // Far from the small numbers of intersections and from the ids of vehicles that begin with zeros.
    format!("b{number:07x}")
}
