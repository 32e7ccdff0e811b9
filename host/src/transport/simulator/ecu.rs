//! The control units of the simulated car: what they answer to a diagnostic request, and how soon.
//!
//! SAE J1979 services 01, 02, 03, 04, 06, 07, 09 and 0A, and of ISO 14229 (UDS) 10, 19, 22 and 3E. A functional
//! request that a unit cannot serve is met with silence, a physical one with a negative response, as the
//! standards ask.

use std::time::Duration;

use super::vehicle::{self, State};

/// The vehicle identification number; it begins with a digit and its check digit is right.
pub const VIN: &[u8; 17] = b"1CLVRLEA3TM000042";

/// A control unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ecu {
    /// Engine: 7E8, 18DAF110, or 10 on the older buses.
    Engine,
    /// Transmission: 7E9, 18DAF118, or 18 on the older buses.
    Transmission,
}

impl Ecu {
    /// Every control unit that talks diagnostics.
    pub const ALL: [Self; 2] = [Self::Engine, Self::Transmission];

    /// How long it thinks before its first frame.
    const fn latency(self) -> Duration {
        match self {
            Self::Engine => Duration::from_millis(5),
            Self::Transmission => Duration::from_millis(9),
        }
    }
}

/// One message of one control unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who answers.
    pub ecu: Ecu,
    /// How long after the request.
    pub after: Duration,
    /// The payload, from the service byte on.
    pub data: Vec<u8>,
}

/// The car as the diagnostic connector sees it. Its clock is the caller's: `now` is time since the engine start.
#[derive(Clone, Debug)]
pub struct Car {
    /// On CAN the trouble codes are counted and long answers are one message.
    can: bool,
    /// Off: nobody answers.
    pub ignition: bool,
    cleared: Option<Duration>,
}

/// When the stored trouble code was set, on the clock of the car.
const FAULT_TIME: Duration = Duration::from_secs(33);
/// How long after a clearing all readiness tests are complete again.
const READY_AFTER: Duration = Duration::from_secs(600);
/// P0133, oxygen sensor slow response (bank 1, sensor 1).
const STORED: [u8; 2] = [0x01, 0x33];
/// P0171, system too lean (bank 1).
const PENDING: [u8; 2] = [0x01, 0x71];

const SERVICE_NOT_SUPPORTED: u8 = 0x11;
const SUB_FUNCTION_NOT_SUPPORTED: u8 = 0x12;
const WRONG_LENGTH: u8 = 0x13;
const OUT_OF_RANGE: u8 = 0x31;
const RESPONSE_PENDING: u8 = 0x78;

impl Car {
    /// A car with its ignition on and one stored trouble code, on a bus with or without ISO 15765-2.
    pub const fn new(can: bool) -> Self {
        Self { can, ignition: true, cleared: None }
    }

    /// What everyone addressed answers to `request` at `now`, in no particular order. `only` is the unit of a
    /// physical request; `None` is a functional one.
    pub fn answer(&mut self, now: Duration, only: Option<Ecu>, request: &[u8]) -> Vec<Answer> {
        if !self.ignition {
            return Vec::new();
        }
        let mut answers = Vec::new();
        for ecu in Ecu::ALL {
            if only.is_some_and(|only| only != ecu) {
                continue;
            }
            let mut after = ecu.latency();
            match self.serve(now, ecu, request) {
                Ok(Served { messages, slow }) => {
                    if slow {
                        let service = request.first().copied().unwrap_or(0);
                        answers.push(Answer { ecu, after, data: vec![0x7F, service, RESPONSE_PENDING] });
                        after += Duration::from_millis(60);
                    }
                    answers.extend(messages.into_iter().map(|data| Answer { ecu, after, data }));
                }
                Err(_) if only.is_none() => {}
                Err(code) => {
                    let service = request.first().copied().unwrap_or(0);
                    answers.push(Answer { ecu, after, data: vec![0x7F, service, code] });
                }
            }
        }
        if request == [0x04] {
            self.cleared = Some(now);
        }
        answers
    }

    fn serve(&self, now: Duration, ecu: Ecu, request: &[u8]) -> Result<Served, u8> {
        let (&service, rest) = request.split_first().ok_or(WRONG_LENGTH)?;
        let state = vehicle::state(now);
        match (service, rest) {
            (0x01, []) | (0x01, [_, _, _, _, _, _, _, ..]) => Err(WRONG_LENGTH),
            (0x01, pids) => {
                let mut data = vec![0x41];
                for &pid in pids {
                    if let Some(value) = self.live(&state, ecu, pid) {
                        data.push(pid);
                        data.extend(value);
                    }
                }
                if data.len() > 1 { Served::one(data) } else { Err(SUB_FUNCTION_NOT_SUPPORTED) }
            }
            (0x02, [pid, frame @ 0]) => {
                let value = self.frozen(now, ecu, *pid).ok_or(SUB_FUNCTION_NOT_SUPPORTED)?;
                Served::one([&[0x42, *pid, *frame], value.as_slice()].concat())
            }
            (0x03 | 0x07 | 0x0A, []) => Ok(self.trouble(now, ecu, service).into()),
            (0x04, []) => Served::one(vec![0x44]),
            (0x06, [mid]) if self.can => {
                let data = monitor(ecu, *mid).ok_or(SUB_FUNCTION_NOT_SUPPORTED)?;
                Served::one([&[0x46], data.as_slice()].concat())
            }
            (0x09, [pid]) => Ok(self.information(ecu, *pid).ok_or(SUB_FUNCTION_NOT_SUPPORTED)?.into()),
            (0x10, [session @ (0x01 | 0x03)]) => Served::one(vec![0x50, *session, 0x00, 0x32, 0x01, 0xF4]),
            (0x10, [_]) => Err(SUB_FUNCTION_NOT_SUPPORTED),
            (0x19, [0x02, mask]) => {
                let stored = self.stored(now, ecu) && mask & 0x09 != 0;
                let code: &[u8] = if stored { &[STORED[0], STORED[1], 0x00, 0x09] } else { &[] };
                Served::one([&[0x59, 0x02, 0x09], code].concat())
            }
            (0x19, [_, ..]) => Err(SUB_FUNCTION_NOT_SUPPORTED),
            (0x22, [high, low]) => {
                let id = u16::from_be_bytes([*high, *low]);
                let value = identified(&state, ecu, id).ok_or(OUT_OF_RANGE)?;
                let data = [&[0x62, *high, *low], value.as_slice()].concat();
                // Read from slow memory: the answer is pending first.
                Ok(Served { messages: vec![data], slow: id == 0xF18C })
            }
            (0x3E, [0x00]) => Served::one(vec![0x7E, 0x00]),
            (0x3E, [0x80]) => Ok(Vec::new().into()),
            (0x02..=0x0A | 0x10 | 0x19 | 0x22 | 0x3E, _) => Err(WRONG_LENGTH),
            _ => Err(SERVICE_NOT_SUPPORTED),
        }
    }

    fn stored(&self, now: Duration, ecu: Ecu) -> bool {
        ecu == Ecu::Engine && self.cleared.is_none() && now >= Duration::ZERO
    }

    /// Services 03 (stored), 07 (pending) and 0A (permanent: survives a clearing).
    fn trouble(&self, now: Duration, ecu: Ecu, service: u8) -> Vec<Vec<u8>> {
        let code = match (service, ecu) {
            (0x03, _) => self.stored(now, ecu).then_some(STORED),
            (0x07, Ecu::Engine) => Some(PENDING),
            (0x0A, Ecu::Engine) => Some(STORED),
            _ => None,
        };
        let mut data = vec![service + 0x40];
        if self.can {
            data.push(u8::from(code.is_some()));
            data.extend(code.into_iter().flatten());
        } else {
            // Always three codes a message; zeros where there is none.
            data.extend(code.unwrap_or_default());
            data.extend([0; 4]);
        }
        vec![data]
    }

    /// Service 01.
    fn live(&self, state: &State, ecu: Ecu, pid: u8) -> Option<Vec<u8>> {
        if pid.is_multiple_of(0x20) {
            return bitmap(pid, |pid| self.live(state, ecu, pid).is_some());
        }
        match (ecu, pid) {
            (Ecu::Engine, 0x01) => Some(self.readiness(state.run_time).to_vec()),
            (Ecu::Engine, 0x21) => Some(word(if self.cleared.is_none() { 112.0 } else { 0.0 })),
            (Ecu::Engine, 0x30) => Some(vec![if self.cleared.is_none() { 23 } else { 0 }]),
            (Ecu::Engine, 0x41) => Some(vec![0x00, 0x07, 0xE5, 0x00]),
            (Ecu::Engine, _) => engine(state, pid),
            (Ecu::Transmission, 0x01) => Some(vec![0x00, 0x04, 0x00, 0x00]),
            (Ecu::Transmission, 0x0D | 0x1C | 0xA4) => engine(state, pid),
            (Ecu::Transmission, _) => None,
        }
    }

    /// PID 01: MIL, number of codes, which tests exist and which are incomplete.
    fn readiness(&self, now: Duration) -> [u8; 4] {
        match self.cleared {
            None => [0x81, 0x07, 0xE5, 0x00],
            Some(cleared) if now < cleared + READY_AFTER => [0x00, 0x07, 0xE5, 0xE1],
            Some(_) => [0x00, 0x07, 0xE5, 0x00],
        }
    }

    /// Service 02: the same values as service 01, at the moment of the fault.
    fn frozen(&self, now: Duration, ecu: Ecu, pid: u8) -> Option<Vec<u8>> {
        if ecu != Ecu::Engine {
            return None;
        }
        let stored = self.stored(now, ecu);
        let snapshot = vehicle::state(FAULT_TIME);
        let kept = |pid: u8| match pid {
            0x02 => Some(if stored { STORED.to_vec() } else { vec![0, 0] }),
            0x03..=0x07 | 0x0B..=0x11 | 0x1F | 0x2F | 0x42..=0x46 if stored => engine(&snapshot, pid),
            _ => None,
        };
        if pid.is_multiple_of(0x20) { bitmap(pid, |pid| kept(pid).is_some()) } else { kept(pid) }
    }

    /// Service 09. Before CAN, long items came four bytes to a numbered message.
    fn information(&self, ecu: Ecu, pid: u8) -> Option<Vec<Vec<u8>>> {
        let (count, item): (u8, Vec<u8>) = match (pid, ecu) {
            (0x02, Ecu::Engine) => (1, VIN.to_vec()),
            (0x04, Ecu::Engine) => (1, b"CLV-ENG-2.0-0042".to_vec()),
            (0x04, Ecu::Transmission) => (1, b"CLV-TCM-6AT-0007".to_vec()),
            (0x06, Ecu::Engine) => (1, vec![0x17, 0x91, 0xBC, 0x82]),
            (0x06, Ecu::Transmission) => (1, vec![0x12, 0x34, 0x56, 0x78]),
            // In-use performance: ignition cycles, then completions and opportunities of each monitor.
            (0x08, Ecu::Engine) => (20, (0..20).flat_map(|item| [0x00, 0x40 - item * 2]).collect()),
            (0x0A, Ecu::Engine) => (1, b"ECM\0-EngineControl\0\0".to_vec()),
            (0x0A, Ecu::Transmission) => (1, b"TCM\0-TransmisCtrl\0\0\0".to_vec()),
            (0x00, _) => {
                let map = bitmap(0, |pid| pid != 0 && self.information(ecu, pid).is_some())?;
                let count: &[u8] = if self.can { &[] } else { &[0x01] };
                return Some(vec![[&[0x49, 0x00], count, map.as_slice()].concat()]);
            }
            _ => return None,
        };
        if self.can {
            return Some(vec![[&[0x49, pid, count], item.as_slice()].concat()]);
        }
        let padding = item.len().next_multiple_of(4) - item.len();
        let padded = [vec![0; padding], item].concat();
        let parts = padded.chunks(4).zip(1u8..);
        Some(parts.map(|(part, number)| [&[0x49, pid, number], part].concat()).collect())
    }
}

/// What one unit has to say; `slow`: pending first.
struct Served {
    messages: Vec<Vec<u8>>,
    slow: bool,
}

impl Served {
    fn one(data: Vec<u8>) -> Result<Self, u8> {
        Ok(vec![data].into())
    }
}

impl From<Vec<Vec<u8>>> for Served {
    fn from(messages: Vec<Vec<u8>>) -> Self {
        Self { messages, slow: false }
    }
}

/// The values of the engine by PID, encoded as SAE J1979-DA says.
#[rustfmt::skip]
fn engine(state: &State, pid: u8) -> Option<Vec<u8>> {
    let one = |value: f64| Some(vec![byte(value)]);
    let two = |value: f64| Some(word(value));
    match pid {
        0x03 => Some(vec![if state.coolant < 45.0 { 0x01 } else { 0x02 }, 0x00]),
        0x04 => one(state.load * 2.55),
        0x05 => one(state.coolant + 40.0),
        0x06 => one(state.short_trim * 1.28 + 128.0),
        0x07 => one(state.long_trim * 1.28 + 128.0),
        0x0B => one(state.manifold),
        0x0C => two(state.rpm * 4.0),
        0x0D => one(state.speed),
        0x0E => one(state.timing * 2.0 + 128.0),
        0x0F => one(state.intake + 40.0),
        0x10 => two(state.air_flow * 100.0),
        0x11 => one(state.throttle * 2.55),
        0x13 => one(3.0),
        0x14 => Some(vec![byte(state.oxygen * 200.0), byte(state.short_trim * 1.28 + 128.0)]),
        0x15 => Some(vec![byte(130.0), 0xFF]),
        0x1C => one(6.0),
        0x1F => two(state.run_time.as_secs_f64().min(65_535.0)),
        0x23 => two(350.0 + state.load * 4.0),
        0x2C => one(0.0),
        0x2E => one(state.load * 0.3),
        0x2F => one(state.fuel_level * 2.55),
        0x31 => two(1_840.0),
        0x33 => one(101.0),
        0x34 => Some([word((1.0 + state.short_trim / 400.0) * 32_768.0), word(state.short_trim * 8.0 + 32_768.0)].concat()),
        0x3C => two((state.catalyst + 40.0) * 10.0),
        0x42 => two(state.voltage * 1_000.0),
        0x43 => two(state.load * 1.9),
        0x44 => two((1.0 + state.short_trim / 400.0) * 32_768.0),
        0x45 => one((state.throttle - 11.0).max(0.0) * 2.55),
        0x46 => one(state.ambient + 40.0),
        0x47 => one((state.throttle + 2.0) * 2.55),
        0x49 => one((state.pedal * 0.7 + 14.0) * 2.55),
        0x4A => one((state.pedal * 0.35 + 7.0) * 2.55),
        0x4C => one(state.throttle * 2.55),
        0x4D => two(if state.run_time.as_secs() > 0 { state.run_time.as_secs_f64() / 60.0 } else { 0.0 }),
        0x4E => two(4_100.0 + state.run_time.as_secs_f64() / 60.0),
        0x51 => one(1.0),
        0x5C => one(state.oil + 40.0),
        0x5E => two(state.fuel_rate * 20.0),
        0x61 => one(state.load * 0.95 + 125.0),
        0x62 => one(state.torque / 1.9 + 125.0),
        0x63 => two(190.0),
        0x67 => Some(vec![0x03, byte(state.coolant + 40.0), byte(state.coolant + 38.0)]),
        0x68 => Some(vec![0x03, byte(state.intake + 40.0), byte(state.intake + 44.0), 0, 0, 0, 0]),
        0xA4 => Some([vec![0x03, state.gear << 4], word(f64::from(state.gear) * 600.0)].concat()),
        0xA6 => Some(((state.odometer * 10.0) as u32).to_be_bytes().to_vec()),
        _ => None,
    }
}

/// Service 06 on CAN: test results as [MID, TID, scaling, value, minimum, maximum] after each other.
fn monitor(ecu: Ecu, mid: u8) -> Option<Vec<u8>> {
    if mid.is_multiple_of(0x20) {
        let map = bitmap(mid, |mid| monitor(ecu, mid).is_some())?;
        return Some([vec![mid], map].concat());
    }
    let tests: &[[u8; 8]] = match (ecu, mid) {
        // Oxygen sensor, bank 1 sensor 1: thresholds (1 mV) and switch times (1 ms).
        (Ecu::Engine, 0x01) => &[
            [0x01, 0x0A, 0x0E, 0x60, 0x0B, 0xB8, 0x11, 0x94],
            [0x05, 0x10, 0x00, 0x48, 0x00, 0x00, 0x00, 0x60],
            [0x07, 0x0A, 0x02, 0x10, 0x00, 0x00, 0x06, 0x40],
        ],
        // Catalyst, bank 1: a ratio that must not exceed its limit.
        (Ecu::Engine, 0x21) => &[[0x80, 0x20, 0x00, 0x60, 0x00, 0x00, 0x01, 0x00]],
        // Evaporative leak of 0.5 mm: fails. (Pascals, signed.)
        (Ecu::Engine, 0x3C) => &[[0x81, 0xFE, 0x01, 0x90, 0xFE, 0x00, 0x01, 0x2C]],
        // Misfires, all cylinders and each of four: average and count.
        (Ecu::Engine, 0xA1..=0xA5) => &[
            [0x0B, 0x24, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF],
            [0x0C, 0x24, 0x00, 0x02, 0x00, 0x00, 0xFF, 0xFF],
        ],
        _ => return None,
    };
    Some(tests.iter().flat_map(|test| [mid].into_iter().chain(*test)).collect())
}

/// Service 22: what can be read by its identifier.
fn identified(state: &State, ecu: Ecu, id: u16) -> Option<Vec<u8>> {
    match (ecu, id) {
        (Ecu::Engine, 0xF190) => Some(VIN.to_vec()),
        (Ecu::Engine, 0xF187) => Some(b"CLV0261S20042".to_vec()),
        (Ecu::Engine, 0xF18C) => Some(b"0004217733".to_vec()),
        // The maker's own: oil pressure (kPa, two bytes) and battery current (0.1 A, signed).
        (Ecu::Engine, 0x1154) => Some(word(100.0 + state.rpm / 15.0)),
        (Ecu::Engine, 0x1158) => Some((((state.voltage - 13.6) * 80.0) as i16).to_be_bytes().to_vec()),
        // Transmission fluid temperature (°C + 40) and the gear.
        (Ecu::Transmission, 0x1940) => Some(vec![byte(state.oil + 34.0)]),
        (Ecu::Transmission, 0x199A) => Some(vec![state.gear]),
        _ => None,
    }
}

/// The bit map of the 32 numbers after `base`; none when neither they nor later ones are supported. Nothing
/// follows E0.
fn bitmap(base: u8, supported: impl Fn(u8) -> bool) -> Option<Vec<u8>> {
    let mut map = 0u32;
    for number in 1..=32u8 {
        map = map << 1 | u32::from(base.checked_add(number).is_some_and(&supported));
    }
    (map != 0).then(|| map.to_be_bytes().to_vec())
}

fn byte(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

fn word(value: f64) -> Vec<u8> {
    (value.round().clamp(0.0, 65_535.0) as u16).to_be_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(120);

    fn ask(request: &[u8]) -> Vec<(Ecu, Vec<u8>)> {
        Car::new(true)
            .answer(NOW, None, request)
            .into_iter()
            .map(|answer| (answer.ecu, answer.data))
            .collect()
    }

    #[test]
    fn the_bit_maps_tell_what_is_answered() {
        let car = Car::new(true);
        let state = vehicle::state(NOW);
        for ecu in Ecu::ALL {
            for base in (0..=0xC0u8).step_by(0x20) {
                let Some(map) = car.live(&state, ecu, base) else { continue };
                let map = u32::from_be_bytes(map.try_into().unwrap());
                for number in 1..=0x20u8 {
                    let listed = map >> (32 - number) & 1 == 1;
                    assert_eq!(
                        listed,
                        car.live(&state, ecu, base + number).is_some(),
                        "{ecu:?} {base} {number}"
                    );
                }
            }
        }
        assert_eq!(ask(&[0x01, 0x00])[0].1[..2], [0x41, 0x00]);
        assert_eq!(ask(&[0x01, 0x00]).len(), 2, "both units answer");
    }

    #[test]
    fn several_pids_are_one_answer_and_unknown_ones_are_left_out() {
        let answers = ask(&[0x01, 0x0D, 0xFF, 0x05]);
        let engine = &answers[0].1;
        assert_eq!((engine[0], engine[1], engine[3], engine.len()), (0x41, 0x0D, 0x05, 5));
    }

    #[test]
    fn silence_for_all_is_a_refusal_for_one() {
        assert!(ask(&[0x01, 0xFF]).is_empty());
        let refused = Car::new(true).answer(NOW, Some(Ecu::Engine), &[0x22, 0xAB, 0xCD]);
        assert_eq!(refused[0].data, [0x7F, 0x22, 0x31]);
    }

    #[test]
    fn clearing_the_codes_clears_lamp_codes_frame_and_readiness() {
        let mut car = Car::new(true);
        let mut engine = |request: &[u8]| {
            car.answer(NOW, None, request)
                .into_iter()
                .find(|answer| answer.ecu == Ecu::Engine)
                .map(|a| a.data)
        };
        assert_eq!(engine(&[0x03]).unwrap(), [0x43, 0x01, 0x01, 0x33]);
        assert_eq!(engine(&[0x02, 0x02, 0x00]).unwrap(), [0x42, 0x02, 0x00, 0x01, 0x33]);
        assert!(engine(&[0x02, 0x0C, 0x00]).is_some());
        assert_eq!(engine(&[0x04]).unwrap(), [0x44]);
        assert_eq!(engine(&[0x03]).unwrap(), [0x43, 0x00]);
        assert!(engine(&[0x02, 0x0C, 0x00]).is_none());
        assert_eq!(engine(&[0x01, 0x01]).unwrap(), [0x41, 0x01, 0x00, 0x07, 0xE5, 0xE1]);
    }

    #[test]
    fn older_buses_number_the_parts_of_a_long_answer() {
        let parts = Car::new(false).answer(NOW, Some(Ecu::Engine), &[0x09, 0x02]);
        let parts: Vec<_> = parts.into_iter().map(|answer| answer.data).collect();
        assert_eq!(parts.len(), 5);
        assert_eq!(parts[0], [0x49, 0x02, 0x01, 0, 0, 0, b'1']);
        assert_eq!(parts[4][..3], [0x49, 0x02, 0x05]);
    }

    #[test]
    fn a_slow_read_is_pending_first() {
        let answers = Car::new(true).answer(NOW, Some(Ecu::Engine), &[0x22, 0xF1, 0x8C]);
        assert_eq!(answers[0].data, [0x7F, 0x22, 0x78]);
        assert_eq!(answers[1].data[..3], [0x62, 0xF1, 0x8C]);
        assert!(answers[1].after > answers[0].after);
    }
}
