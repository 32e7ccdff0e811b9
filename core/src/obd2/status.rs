//! Readiness: the lamp, the number of codes and which self-tests are done (PIDs 01 and 41).

/// The four bytes of PID 01 or 41.
///
/// Source: SAE J1979-DA, PID 01 (since codes were cleared) and 41 (this drive cycle: byte A is 0, "available"
/// means enabled).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status(pub [u8; 4]);

/// How the engine ignites its fuel, which decides the tests there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Ignition {
    /// Spark plugs.
    Spark,
    /// Compression (Diesel).
    Compression,
}

impl Ignition {
    /// `spark` or `compression`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Spark => "spark",
            Self::Compression => "compression",
        }
    }
}

/// One self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Readiness {
    /// The name that python-OBD gives it.
    pub name: &'static str,
    /// Whether the car has it.
    pub available: bool,
    /// Whether it has run to its end. A test that the car does not have counts as complete.
    pub complete: bool,
}

/// Tests in the low nibble of byte B (available) and its high nibble (incomplete).
const BASE: [&str; 3] = ["MISFIRE_MONITORING", "FUEL_SYSTEM_MONITORING", "COMPONENT_MONITORING"];

/// Tests in bytes C (available) and D (incomplete) of a spark-ignition engine, from bit 0.
const SPARK: [Option<&str>; 8] = [
    Some("CATALYST_MONITORING"),
    Some("HEATED_CATALYST_MONITORING"),
    Some("EVAPORATIVE_SYSTEM_MONITORING"),
    Some("SECONDARY_AIR_SYSTEM_MONITORING"),
    None,
    Some("OXYGEN_SENSOR_MONITORING"),
    Some("OXYGEN_SENSOR_HEATER_MONITORING"),
    Some("EGR_VVT_SYSTEM_MONITORING"),
];

/// The same of a compression-ignition engine.
const COMPRESSION: [Option<&str>; 8] = [
    Some("NMHC_CATALYST_MONITORING"),
    Some("NOX_SCR_AFTERTREATMENT_MONITORING"),
    None,
    Some("BOOST_PRESSURE_MONITORING"),
    None,
    Some("EXHAUST_GAS_SENSOR_MONITORING"),
    Some("PM_FILTER_MONITORING"),
    Some("EGR_VVT_SYSTEM_MONITORING"),
];

impl Status {
    /// Whether the malfunction indicator lamp is commanded on.
    pub const fn mil(self) -> bool {
        self.0[0] & 0x80 != 0
    }

    /// How many confirmed codes this ECU stores, 0..=127.
    pub const fn dtc_count(self) -> u8 {
        self.0[0] & 0x7F
    }

    /// The kind of engine.
    pub const fn ignition(self) -> Ignition {
        match self.0[1] & 0x08 {
            0 => Ignition::Spark,
            _ => Ignition::Compression,
        }
    }

    /// Every test that the kind of engine can have.
    pub fn tests(self) -> impl Iterator<Item = Readiness> + Clone {
        let [_, b, c, d] = self.0;
        let names = match self.ignition() {
            Ignition::Spark => SPARK,
            Ignition::Compression => COMPRESSION,
        };
        let test = |name, available: u8, incomplete: u8, bit: usize| Readiness {
            name,
            available: available >> bit & 1 != 0,
            complete: incomplete >> bit & 1 == 0,
        };
        let base = BASE.into_iter().enumerate();
        let base = base.map(move |(bit, name)| test(name, b & 7, b >> 4, bit));
        let rest = names.into_iter().enumerate();
        base.chain(rest.filter_map(move |(bit, name)| Some(test(name?, c, d, bit))))
    }

    /// Whether every test that the car has is complete.
    pub fn is_ready(self) -> bool {
        self.tests().all(|test| test.complete || !test.available)
    }
}
