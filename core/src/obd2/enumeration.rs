//! Coded bytes and their texts. The texts are what clients of python-OBD compare against; where python-OBD has
//! none, they are ours.

use core::fmt;

/// A coded byte with the text it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct State {
    /// The byte of the wire.
    pub raw: u8,
    /// Its text; `None` if the standard reserves the code.
    pub text: Option<&'static str>,
}

impl State {
    /// The state whose text stands at index `raw`; an empty text is a gap.
    pub(super) fn listed(raw: u8, texts: &'static [&'static str]) -> Self {
        let text = texts.get(usize::from(raw)).copied();
        Self { raw, text: text.filter(|text| !text.is_empty()) }
    }

    /// The state whose text stands first if no bit is set, else at the index of the only bit plus one.
    pub(super) fn bit_or_none(raw: u8, texts: &'static [&'static str]) -> Self {
        match raw {
            0 => Self { raw, ..Self::listed(0, texts) },
            _ => Self::single_bit(raw, texts.get(1..).unwrap_or_default()),
        }
    }

    /// The state whose text stands at the index of the only bit that is set.
    pub(super) fn single_bit(raw: u8, texts: &'static [&'static str]) -> Self {
        let text = match raw.is_power_of_two() {
            true => texts.get(raw.trailing_zeros() as usize).copied(),
            false => None,
        };
        Self { raw, text }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text {
            Some(text) => f.write_str(text),
            None => write!(f, "{:02X}", self.raw),
        }
    }
}

/// PID 03, by bit.
pub(super) const FUEL_SYSTEM: &[&str] = &[
    "Open loop due to insufficient engine temperature",
    "Closed loop, using oxygen sensor feedback to determine fuel mix",
    "Open loop due to engine load OR fuel cut due to deceleration",
    "Open loop due to system failure",
    "Closed loop, using at least one oxygen sensor but there is a fault in the feedback system",
];

/// PID 12, by bit.
pub(super) const SECONDARY_AIR: &[&str] = &[
    "Upstream",
    "Downstream of catalytic converter",
    "From the outside atmosphere or off",
    "Pump commanded on for diagnostics",
];

/// PID 1C, by number.
pub(super) const COMPLIANCE: &[&str] = &[
    "Undefined",
    "OBD-II as defined by the CARB",
    "OBD as defined by the EPA",
    "OBD and OBD-II",
    "OBD-I",
    "Not OBD compliant",
    "EOBD (Europe)",
    "EOBD and OBD-II",
    "EOBD and OBD",
    "EOBD, OBD and OBD II",
    "JOBD (Japan)",
    "JOBD and OBD II",
    "JOBD and EOBD",
    "JOBD, EOBD, and OBD II",
    "Reserved",
    "Reserved",
    "Reserved",
    "Engine Manufacturer Diagnostics (EMD)",
    "Engine Manufacturer Diagnostics Enhanced (EMD+)",
    "Heavy Duty On-Board Diagnostics (Child/Partial) (HD OBD-C)",
    "Heavy Duty On-Board Diagnostics (HD OBD)",
    "World Wide Harmonized OBD (WWH OBD)",
    "Reserved",
    "Heavy Duty Euro OBD Stage I without NOx control (HD EOBD-I)",
    "Heavy Duty Euro OBD Stage I with NOx control (HD EOBD-I N)",
    "Heavy Duty Euro OBD Stage II without NOx control (HD EOBD-II)",
    "Heavy Duty Euro OBD Stage II with NOx control (HD EOBD-II N)",
    "Reserved",
    "Brazil OBD Phase 1 (OBDBr-1)",
    "Brazil OBD Phase 2 (OBDBr-2)",
    "Korean OBD (KOBD)",
    "India OBD I (IOBD I)",
    "India OBD II (IOBD II)",
    "Heavy Duty Euro OBD Stage VI (HD EOBD-IV)",
];

/// PID 51, by number.
pub(super) const FUEL: &[&str] = &[
    "Not available",
    "Gasoline",
    "Methanol",
    "Ethanol",
    "Diesel",
    "LPG",
    "CNG",
    "Propane",
    "Electric",
    "Bifuel running Gasoline",
    "Bifuel running Methanol",
    "Bifuel running Ethanol",
    "Bifuel running LPG",
    "Bifuel running CNG",
    "Bifuel running Propane",
    "Bifuel running Electricity",
    "Bifuel running electric and combustion engine",
    "Hybrid gasoline",
    "Hybrid Ethanol",
    "Hybrid Diesel",
    "Hybrid Electric",
    "Hybrid running electric and combustion engine",
    "Hybrid Regenerative",
    "Bifuel running diesel",
    "Bifuel running natural gas",
    "Bifuel running diesel",
    "Natural gas",
    "Dual fuel, diesel and CNG",
    "Dual fuel, diesel and LNG",
    "Hydrogen fuel cell",
    "Hydrogen combustion engine",
    "Kerosene",
    "Heavy fuel oil",
];

/// PID 5F, by number from 0Eh on.
pub(super) const EMISSION: &[&str] = &[
    "Heavy Duty Vehicles (EURO IV) B1",
    "Heavy Duty Vehicles (EURO V) B2",
    "Heavy Duty Vehicles (EURO EEV) C",
];
