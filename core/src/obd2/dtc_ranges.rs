//! What trouble codes are about, by range, in our own words.
//!
//! The standard numbers related faults in a row: five codes of one sensor circuit, six of an oxygen sensor, one
//! per cylinder. A row here is such a range, and the place within it says the rest.

use super::Dtc;

/// A range of codes about one thing.
pub(super) struct DtcRange {
    /// The first code.
    first: Dtc,
    /// The last code.
    last: Dtc,
    /// What they are about.
    pub(super) subject: &'static str,
    /// How the place within the range continues it.
    order: Order,
}

/// How a range is ordered.
enum Order {
    /// No rule.
    Plain,
    /// In fives: in general, range, low, high, intermittent (SAE J2012, the order of circuit faults).
    Circuit,
    /// Speed sensors: in general, range, no signal, intermittent.
    Speed,
    /// In general, low, high, slow, no activity, heater.
    Oxygen,
    /// In general, too lean, too rich.
    Trim,
    /// In general, then one per cylinder.
    Cylinder,
    /// In general, then A, B, C, …
    Letter,
}

impl DtcRange {
    /// The range that a code belongs to.
    pub(super) fn of(code: Dtc) -> Option<&'static Self> {
        let after = RANGES.partition_point(|range| range.first <= code);
        let range = RANGES.get(after.checked_sub(1)?)?;
        (code <= range.last).then_some(range)
    }

    /// What the place of the code within its range says.
    pub(super) fn detail(&self, code: Dtc) -> Option<Detail> {
        // Codes count in decimal digits: P0109 is followed by P0110.
        let place = decimal(code).checked_sub(decimal(self.first))?;
        let words: &[&str] = match self.order {
            Order::Plain => &[],
            Order::Circuit => &["", "out of range", "low", "high", "intermittent"],
            Order::Speed => &["", "out of range", "no signal", "intermittent"],
            Order::Oxygen => &["", "low voltage", "high voltage", "slow", "no activity", "heater"],
            Order::Trim => &["", "too lean", "too rich"],
            Order::Cylinder => return Some(Detail::Cylinder(place)).filter(|_| place > 0),
            Order::Letter => {
                let letter = u8::try_from(place.checked_sub(1)?).ok()?.checked_add(b'A')?;
                return Some(Detail::Letter(char::from(letter)));
            }
        };
        words.get(usize::from(place)).filter(|word| !word.is_empty()).map(|word| Detail::Word(word))
    }
}

/// The continuation of a range's subject.
pub(super) enum Detail {
    /// A word or two.
    Word(&'static str),
    /// The number of a cylinder.
    Cylinder(u16),
    /// The letter of one of several.
    Letter(char),
}

/// The last three digits, read as decimal ones.
const fn decimal(code: Dtc) -> u16 {
    (code.0 >> 8 & 0xF) * 100 + (code.0 >> 4 & 0xF) * 10 + (code.0 & 0xF)
}

/// Makes the rows; the numbers are written as the digits of the code.
macro_rules! ranges {
    ($($letter:ident $first:literal $last:literal $order:ident $subject:literal;)*) => {
        static RANGES: &[DtcRange] = &[$(DtcRange {
            first: ranges!(@code $letter $first),
            last: ranges!(@code $letter $last),
            subject: $subject,
            order: Order::$order,
        }),*];
    };
    (@code P $digits:literal) => { Dtc($digits) };
    (@code U $digits:literal) => { Dtc(0xC000 | $digits) };
}

#[rustfmt::skip]
ranges! {
//    first  last   order    subject
    P 0x0001 0x0004 Plain    "fuel volume regulator";
    P 0x0005 0x0008 Plain    "fuel shut-off valve or engine position";
    P 0x0010 0x0015 Plain    "camshaft position actuator, bank 1";
    P 0x0016 0x0019 Plain    "crankshaft and camshaft correlation";
    P 0x0020 0x0025 Plain    "camshaft position actuator, bank 2";
    P 0x0030 0x0032 Plain    "oxygen sensor heater control";
    P 0x0033 0x0035 Plain    "turbocharger or supercharger bypass valve";
    P 0x0036 0x0038 Plain    "oxygen sensor heater control";
    P 0x0039 0x0039 Plain    "turbocharger or supercharger bypass valve";
    P 0x0040 0x0041 Plain    "oxygen sensor signals swapped";
    P 0x0042 0x0044 Plain    "oxygen sensor heater control";
    P 0x0045 0x0049 Plain    "turbocharger or supercharger boost control";
    P 0x0050 0x0064 Plain    "oxygen sensor heater control";
    P 0x0065 0x0067 Plain    "air assisted injection";
    P 0x0068 0x0069 Plain    "pressure and air flow correlation";
    P 0x0070 0x0074 Circuit  "outside air temperature sensor";
    P 0x0075 0x0086 Plain    "intake or exhaust valve control";
    P 0x0087 0x0094 Plain    "fuel rail pressure or leak";
    P 0x0095 0x0099 Circuit  "intake air temperature sensor 2";
    P 0x0100 0x0104 Circuit  "air flow sensor";
    P 0x0105 0x0109 Circuit  "manifold or outside pressure sensor";
    P 0x0110 0x0114 Circuit  "intake air temperature sensor";
    P 0x0115 0x0119 Circuit  "coolant temperature sensor";
    P 0x0120 0x0124 Circuit  "throttle or pedal position sensor A";
    P 0x0125 0x0126 Plain    "coolant temperature too low";
    P 0x0127 0x0127 Plain    "intake air temperature too high";
    P 0x0128 0x0128 Plain    "coolant temperature too low or thermostat";
    P 0x0129 0x0129 Plain    "outside pressure too low";
    P 0x0130 0x0135 Oxygen   "oxygen sensor, bank 1, sensor 1";
    P 0x0136 0x0141 Oxygen   "oxygen sensor, bank 1, sensor 2";
    P 0x0142 0x0147 Oxygen   "oxygen sensor, bank 1, sensor 3";
    P 0x0150 0x0155 Oxygen   "oxygen sensor, bank 2, sensor 1";
    P 0x0156 0x0161 Oxygen   "oxygen sensor, bank 2, sensor 2";
    P 0x0162 0x0167 Oxygen   "oxygen sensor, bank 2, sensor 3";
    P 0x0170 0x0172 Trim     "fuel trim, bank 1";
    P 0x0173 0x0175 Trim     "fuel trim, bank 2";
    P 0x0180 0x0184 Circuit  "fuel temperature sensor A";
    P 0x0185 0x0189 Circuit  "fuel temperature sensor B";
    P 0x0190 0x0194 Circuit  "fuel rail pressure sensor";
    P 0x0195 0x0199 Circuit  "oil temperature sensor";
    P 0x0200 0x0212 Cylinder "injector circuit";
    P 0x0217 0x0218 Plain    "engine or transmission too hot";
//    first  last   order    subject
    P 0x0219 0x0219 Plain    "engine speed too high";
    P 0x0220 0x0224 Circuit  "throttle or pedal position sensor B";
    P 0x0225 0x0229 Circuit  "throttle or pedal position sensor C";
    P 0x0230 0x0233 Plain    "fuel pump circuit";
    P 0x0234 0x0250 Plain    "turbocharger or supercharger boost";
    P 0x0261 0x0296 Plain    "injector of one cylinder";
    P 0x0297 0x0299 Plain    "speed, temperature or boost out of range";
    P 0x0300 0x0312 Cylinder "misfire";
    P 0x0313 0x0314 Plain    "misfire with a circumstance";
    P 0x0315 0x0315 Plain    "crankshaft position variation not learned";
    P 0x0316 0x0316 Plain    "misfire with a circumstance";
    P 0x0317 0x0319 Plain    "rough road detection";
    P 0x0320 0x0323 Speed    "engine speed input of the ignition";
    P 0x0325 0x0329 Circuit  "knock sensor 1";
    P 0x0330 0x0334 Circuit  "knock sensor 2";
    P 0x0335 0x0339 Circuit  "crankshaft position sensor A";
    P 0x0340 0x0344 Circuit  "camshaft position sensor A, bank 1";
    P 0x0345 0x0349 Circuit  "camshaft position sensor A, bank 2";
    P 0x0350 0x0362 Letter   "ignition coil";
    P 0x0365 0x0369 Circuit  "camshaft position sensor B, bank 1";
    P 0x0370 0x0379 Plain    "timing reference signal";
    P 0x0380 0x0384 Plain    "glow plugs";
    P 0x0385 0x0389 Circuit  "crankshaft position sensor B";
    P 0x0390 0x0394 Circuit  "camshaft position sensor B, bank 2";
    P 0x0400 0x0409 Plain    "exhaust gas recirculation";
    P 0x0410 0x0419 Plain    "secondary air injection";
    P 0x0420 0x0429 Plain    "catalyst, bank 1";
    P 0x0430 0x0439 Plain    "catalyst, bank 2";
    P 0x0440 0x0459 Plain    "evaporative emissions";
    P 0x0460 0x0464 Circuit  "fuel level sensor";
    P 0x0465 0x0469 Circuit  "purge flow sensor";
    P 0x0470 0x0474 Circuit  "exhaust pressure sensor";
    P 0x0475 0x0479 Circuit  "exhaust pressure control valve";
    P 0x0480 0x0485 Plain    "cooling fan control";
    P 0x0486 0x0490 Plain    "exhaust gas recirculation";
//    first  last   order    subject
    P 0x0491 0x0492 Plain    "secondary air injection";
    P 0x0496 0x0499 Plain    "evaporative emissions";
    P 0x0500 0x0502 Circuit  "vehicle speed sensor";
    P 0x0503 0x0503 Plain    "vehicle speed sensor, erratic or high";
    P 0x0505 0x0509 Plain    "idle control";
    P 0x0510 0x0510 Plain    "closed throttle switch";
    P 0x0520 0x0523 Circuit  "oil pressure sensor";
    P 0x0524 0x0524 Plain    "oil pressure too low";
    P 0x0530 0x0533 Circuit  "refrigerant pressure sensor";
    P 0x0534 0x0534 Plain    "refrigerant lost";
    P 0x0544 0x0549 Plain    "exhaust gas temperature sensor";
    P 0x0550 0x0554 Circuit  "power steering pressure sensor";
    P 0x0560 0x0560 Plain    "system voltage";
    P 0x0561 0x0561 Plain    "system voltage, unstable";
    P 0x0562 0x0562 Plain    "system voltage, low";
    P 0x0563 0x0563 Plain    "system voltage, high";
    P 0x0564 0x0570 Plain    "cruise control";
    P 0x0571 0x0573 Plain    "brake switch A";
    P 0x0574 0x0580 Plain    "cruise control";
    P 0x0600 0x0610 Plain    "control module";
    P 0x0615 0x0617 Plain    "starter";
    P 0x0618 0x0619 Plain    "control module of the alternative fuel";
    P 0x0620 0x0623 Plain    "generator";
    P 0x0624 0x0624 Plain    "lamp of the fuel cap";
    P 0x0625 0x0626 Plain    "generator";
    P 0x0627 0x0629 Plain    "fuel pump control";
    P 0x0635 0x0639 Plain    "power steering or throttle actuator control";
    P 0x0640 0x0659 Plain    "control circuits, lamps and supply voltages";
    P 0x0700 0x0702 Plain    "transmission control";
    P 0x0703 0x0703 Plain    "brake switch B";
    P 0x0704 0x0704 Plain    "clutch switch";
    P 0x0705 0x0709 Circuit  "transmission range sensor";
    P 0x0710 0x0714 Circuit  "transmission fluid temperature sensor";
    P 0x0715 0x0718 Speed    "turbine speed sensor";
    P 0x0719 0x0719 Plain    "brake switch B, low";
    P 0x0720 0x0723 Speed    "output speed sensor";
    P 0x0724 0x0724 Plain    "brake switch B, high";
    P 0x0725 0x0728 Speed    "engine speed input of the transmission";
    P 0x0729 0x0736 Plain    "gear ratio wrong";
    P 0x0737 0x0739 Plain    "engine speed output of the transmission";
    P 0x0740 0x0744 Plain    "torque converter clutch";
    P 0x0745 0x0749 Plain    "pressure control solenoid A";
    P 0x0750 0x0754 Plain    "shift solenoid A";
    P 0x0755 0x0759 Plain    "shift solenoid B";
    P 0x0760 0x0764 Plain    "shift solenoid C";
    P 0x0765 0x0769 Plain    "shift solenoid D";
    P 0x0770 0x0774 Plain    "shift solenoid E";
    P 0x0A00 0x0A07 Plain    "hybrid: cooling of the motor electronics";
    P 0x0A08 0x0A09 Plain    "hybrid: DC/DC converter";
    P 0x0A0A 0x0A0E Plain    "hybrid: high-voltage interlock";
    P 0x0A0F 0x0A0F Plain    "hybrid: engine did not start";
    P 0x0A10 0x0A13 Plain    "hybrid: DC/DC converter";
    P 0x0A14 0x0A16 Plain    "engine mount control";
    P 0x0A17 0x0A19 Plain    "hybrid: torque sensor of motor or generator";
    P 0x0A1A 0x0A1F Plain    "hybrid: control module";
    P 0x0A20 0x0A26 Plain    "hybrid: torque sensor of motor or generator";
    P 0x0A27 0x0A29 Plain    "hybrid battery, power off";
    P 0x0A2A 0x0A3B Plain    "hybrid: temperature of motor or generator";
    P 0x0A3C 0x0A3E Plain    "hybrid: inverter too hot";
    P 0x0A3F 0x0A50 Plain    "hybrid: position sensor of motor or generator";
    P 0x0A51 0x0A77 Plain    "hybrid: current of motor or generator";
    P 0x0A78 0x0A7A Plain    "hybrid: inverter";
    P 0x0A7C 0x0A7C Plain    "hybrid: motor electronics too hot";
    P 0x0A7D 0x0A7D Plain    "hybrid battery, charge low";
    P 0x0A7E 0x0A7E Plain    "hybrid battery too hot";
    P 0x0A7F 0x0A7F Plain    "hybrid battery deteriorated";
    P 0x0A80 0x0A80 Plain    "hybrid battery worn out";
    P 0x0A81 0x0A86 Plain    "hybrid battery, cooling fan";
    P 0x0A90 0x0A92 Plain    "hybrid: performance of motor or generator";
    P 0x0A93 0x0A93 Plain    "hybrid: cooling of the inverter";
    P 0x0A94 0x0A94 Plain    "hybrid: DC/DC converter";
    P 0x0A95 0x0A95 Plain    "hybrid: high-voltage fuse";
    P 0x0A9C 0x0AA0 Plain    "hybrid battery, temperature sensor";
    P 0x0AA6 0x0AA8 Plain    "hybrid: isolation of the high voltage";
    P 0x2004 0x2017 Plain    "intake runner control";
    P 0x2100 0x2119 Plain    "throttle actuator control";
    P 0x2120 0x2140 Plain    "throttle or pedal position sensor";
    P 0x2195 0x2198 Plain    "oxygen sensor stuck lean or rich";
    P 0x2200 0x2229 Plain    "nitrogen oxide sensor, outside pressure sensor";
    P 0x2231 0x2256 Plain    "oxygen sensor signal";
    P 0x2263 0x2263 Plain    "boost control performance";
    P 0x2400 0x2422 Plain    "evaporative leak detection pump";
    P 0x2452 0x2463 Plain    "particulate filter";
    P 0x2600 0x2603 Plain    "coolant pump";
    U 0x0001 0x0009 Plain    "high-speed CAN bus";
    U 0x0010 0x0019 Plain    "medium-speed CAN bus";
    U 0x0020 0x0029 Plain    "low-speed CAN bus";
    U 0x0073 0x0079 Plain    "control module bus off";
    U 0x0100 0x0100 Plain    "no communication with the engine control";
    U 0x0101 0x0101 Plain    "no communication with the transmission control";
    U 0x0103 0x0103 Plain    "no communication with the gear shift";
    U 0x0110 0x0113 Plain    "no communication with hybrid or emission control";
    U 0x0121 0x0121 Plain    "no communication with the brake control";
    U 0x0126 0x0126 Plain    "no communication with the steering angle sensor";
    U 0x0131 0x0131 Plain    "no communication with the power steering";
    U 0x0140 0x0140 Plain    "no communication with the body control";
    U 0x0151 0x0151 Plain    "no communication with the airbag control";
    U 0x0155 0x0155 Plain    "no communication with the instrument cluster";
    U 0x0164 0x0164 Plain    "no communication with the climate control";
}

#[cfg(test)]
mod tests {
    use super::RANGES;

    #[test]
    fn ranges_are_in_order_and_do_not_overlap() {
        assert!(RANGES.iter().all(|range| range.first <= range.last));
        assert!(RANGES.is_sorted_by(|range, next| range.last < next.first));
    }
}
