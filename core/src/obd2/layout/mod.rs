//! Where the values lie in the answers of service 01: SAE J1979-DA as rows of [`Signal`]s.
//!
//! The names are the abbreviations that the standard gives for displays (`ECT`, `MAFA`); the words are ours. A value
//! whose support bit is off is not there, whatever its bits say.

/// Makes `fn name(pid) -> &[Signal]` from rows:
/// identifier, first bit, number of bits, bit that says whether the car has it, what the bits mean, and words.
/// Identifiers and words may be in several pieces, and the first bit an expression in brackets.
macro_rules! layouts {
    ($(#[$doc:meta])* $function:ident; $($pid:literal { $($rows:tt)* })*) => {
        $(#[$doc])*
        pub(super) const fn $function(pid: u8) -> &'static [Signal] {
            match pid {
                $($pid => layouts!(@rows $($rows)*),)*
                _ => &[],
            }
        }
    };
    (@rows $($($id:literal)+ @ $bit:tt $bits:literal $has:tt $kind:tt $($word:literal)+;)*) => {
        &[$(Signal {
            id: concat!($($id),+),
            name: concat!($($word),+),
            bit: $bit,
            bits: $bits,
            support: layouts!(@has $has),
            kind: layouts!(@kind $kind),
        }),*]
    };
    (@has -) => { None };
    (@has $bit:literal) => { Some($bit) };
    (@kind flag) => { Kind::Flag };
    (@kind $scaling:ident) => { Kind::Scaled(Scaling::$scaling) };
    (@kind {$scaling:ident}) => { Kind::Used(Scaling::$scaling) };
    (@kind [$texts:ident]) => { Kind::Listed($texts) };
    (@kind ($texts:ident)) => { Kind::Bit($texts) };
}

mod basic;
mod electric;
mod engine;
mod exhaust;

use super::Signal;

/// The values in an answer about `pid` of service 01 (and 02, after the frame number); empty if the standard gives
/// it none, or its layout is not public.
pub const fn layout(pid: u8) -> &'static [Signal] {
    match pid {
        0x00..=0x60 => basic::basic(pid),
        0x61..=0x80 => engine::engine(pid),
        0x81 | 0x82 | 0x89 | 0x8A => exhaust::devices(pid),
        0x81..=0xA0 => exhaust::exhaust(pid),
        0xB4 | 0xB6 | 0xBB..=0xBF | 0xC1 | 0xC2 => electric::packs(pid),
        _ => electric::electric(pid),
    }
}

/// Bit 3 of byte B of PIDs 01 and 41.
pub(super) const IGNITION: &[&str] = &["SPARK", "COMPRESSION"];

/// PID 03: nothing set, then bit by bit.
pub(super) const FUEL_LOOP: &[&str] =
    &["OFF", "OL", "CL", "OL-Drive", "OL-Fault", "CL-Fault", "OL B2", "OL-Drive B2", "OL-Fault B2"];

/// PID 12: nothing set, then bit by bit.
pub(super) const SECONDARY_AIR_CODES: &[&str] = &["", "UPS", "DNS", "OFF", "DIAG"];

/// PID 1C, by number.
pub(super) const REQUIREMENT_CODES: &[&str] = &[
    "",
    "OBD II",
    "OBD",
    "OBD & OBD II",
    "OBD I",
    "NO OBD",
    "EOBD",
    "EOBD & OBD II",
    "EOBD & OBD",
    "EOBD, OBD, OBD II",
    "JOBD",
    "JOBD & OBD II",
    "JOBD & EOBD",
    "JOBD, EOBD, OBD II",
    "EURO IV B1",
    "EURO V B2",
    "EURO C",
    "EMD",
    "EMD+",
    "HD OBD-C",
    "HD OBD",
    "WWH OBD",
    "",
    "HD EOBD-I",
    "HD EOBD-I N",
    "HD EOBD-II",
    "HD EOBD-II N",
    "HD-ZEV",
    "OBDBr-1",
    "OBDBr-2",
    "KOBD",
    "IOBD-I-BS4",
    "IOBD-II-BS4",
    "HD EOBD-VI",
    "OBD, OBD II and HD OBD",
    "OBDBr-3",
    "MC EOBD-I",
    "MC EOBD-II",
    "MC COBD-I",
    "MC TOBD-I",
    "MC JOBD-I",
    "CN-OBD-6",
    "OBDBr-P7",
    "CN-HDOBD-VI",
    "IOBD-I-BS6",
    "IOBD-II-BS6",
    "IHDOBD-BSVI",
    "OBDBr-P8",
    "HD-JOBD-II",
    "HD-KOBD-II",
    "CN-OROBD-IV",
    "CARB ACC-II",
    "MC JOBD-II",
    "MC CARB OBD",
    "MC EPA OBD",
    "MC CARB & EPA OBD",
    "HD ZEV CARB ZEP",
    "CARB ACC-II & EPA TIER4",
    "EPA TIER4",
    "EPA HD",
];

/// PID 51, by number.
pub(super) const FUEL_CODES: &[&str] = &[
    "", "GAS", "METH", "ETH", "DSL", "LPG", "CNG", "PROP", "ELEC", "BI_GAS", "BI_METH", "BI_ETH", "BI_LPG",
    "BI_CNG", "BI_PROP", "BI_ELEC", "BI_MIX", "HYB_GAS", "HYB_ETH", "HYB_DSL", "HYB_ELEC", "HYB_MIX",
    "HYB_REG", "BI_DSL", "BI_NG", "BI_DSL", "NG", "DSL_CNG", "DSL_LNG", "FC_H2", "HICE_HHO", "KERO", "HFO",
];

/// PID 5F, by number.
pub(super) const EMISSION_CODES: &[&str] =
    &["", "", "", "", "", "", "", "", "", "", "", "", "", "", "EURO IV B1", "EURO V B2", "EURO C", "EURO VI"];

/// Control of turbochargers, by number.
pub(super) const CONTROL: &[&str] = &["", "OL", "CL", "FAULT"];

/// Control of boost pressure A, by number.
pub(super) const CONTROL_A: &[&str] = &["", "BP_A_OL", "BP_A_CL", "BP_A_FAULT"];

/// Control of boost pressure B, by number.
pub(super) const CONTROL_B: &[&str] = &["", "BP_B_OL", "BP_B_CL", "BP_B_FAULT"];

/// Charging state of hybrids, by number: sustaining, depleting, increasing.
pub(super) const CHARGING: &[&str] = &["CSM", "CDM", "CIM"];

/// Levels of inducement, by number.
pub(super) const INDUCEMENT: &[&str] = &["inactive", "enabled", "active", "not supported"];
