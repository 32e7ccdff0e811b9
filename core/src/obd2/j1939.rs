//! SAE J1939 broadcasts, read only: what lorries and buses say unasked.
//!
//! A message's [`Address`] is its 29-bit identifier: priority, parameter group number (PGN), source. Each group
//! carries parameters (SPN) at fixed bytes, little-endian; the topmost values of each mean "not available" or
//! "error" and give no value. Active trouble codes travel in DM1 (PGN FECA).
//!
//! Sources: SAE J1939-21 5.2 (identifier), J1939-71 (groups and parameters), J1939-73 5.7.1 (DM1).

use core::fmt;

use super::{Quantity, Scaling, Text};
use crate::bus::{Address, Message};

/// A parameter group number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pgn(pub u32);

impl Pgn {
    /// DM1: active trouble codes.
    pub const ACTIVE_CODES: Self = Self(0xFECA);
    /// DM2: previously active trouble codes.
    pub const PREVIOUS_CODES: Self = Self(0xFECB);
    /// Vehicle identification: text up to `*`.
    pub const VEHICLE_IDENTIFICATION: Self = Self(0xFEEC);

    /// The group that an identifier names. A group below F000h is sent to one receiver, whose address is not
    /// part of the number.
    pub const fn of(address: Address) -> Self {
        let group = address.0 >> 8 & 0x3_FFFF;
        match group & 0xFF00 {
            ..0xF000 => Self(group & 0x3_FF00),
            _ => Self(group),
        }
    }
}

/// The address of the unit that sent a message: 0 is the engine.
pub const fn sender(address: Address) -> u8 {
    (address.0 & 0xFF) as u8
}

/// A parameter within a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its group.
    pub group: Pgn,
    /// Its number in the standard.
    pub spn: u32,
    /// What it is, in words.
    pub name: &'static str,
    /// Its first byte, from 0.
    pub at: u8,
    /// Its width in bytes.
    pub width: u8,
    /// How it is scaled.
    pub scaling: Scaling,
}

impl Parameter {
    /// Reads it from the data of its group; `None` if the sender has no value for it, or the data is too short.
    pub fn read(&self, data: &[u8]) -> Option<Quantity> {
        let (at, width) = (usize::from(self.at), usize::from(self.width));
        let bytes = data.get(at..at + width)?;
        // FBh and above in the top byte: reserved, error, not available (J1939-71 5.1.4).
        if *bytes.last()? >= 0xFB {
            return None;
        }
        let raw = bytes.iter().rev().fold(0, |raw: i64, &byte| raw << 8 | i64::from(byte));
        Some(Quantity::new(raw, self.scaling))
    }
}

/// The parameters of a message that the table knows, each with its value if the sender has one.
pub fn parameters<'a>(
    message: Message<'a>,
) -> impl Iterator<Item = (&'static Parameter, Option<Quantity>)> + Clone + use<'a> {
    let group = Pgn::of(message.source);
    let from = PARAMETERS.partition_point(|row| row.group < group);
    let rows = PARAMETERS.get(from..).unwrap_or_default().iter();
    rows.take_while(move |row| row.group == group).map(move |row| (row, row.read(message.data)))
}

/// The vehicle identification number of a message of [`Pgn::VEHICLE_IDENTIFICATION`].
pub fn identification(message: Message<'_>) -> Option<Text<'_>> {
    if Pgn::of(message.source) != Pgn::VEHICLE_IDENTIFICATION {
        return None;
    }
    let end = message.data.iter().position(|&byte| byte == b'*').unwrap_or(message.data.len());
    let text = message.data.get(..end)?;
    Some(Text::new(text, text.len())).filter(|text| text.is_text())
}

/// The lamps of DM1 and DM2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lamps(pub u8);

impl Lamps {
    /// The malfunction indicator (emissions).
    pub const fn malfunction(self) -> bool {
        self.0 >> 6 & 3 == 1
    }

    /// The red lamp: stop.
    pub const fn stop(self) -> bool {
        self.0 >> 4 & 3 == 1
    }

    /// The amber lamp: warning.
    pub const fn warning(self) -> bool {
        self.0 >> 2 & 3 == 1
    }

    /// The protect lamp: not an electronic fault.
    pub const fn protect(self) -> bool {
        self.0 & 3 == 1
    }
}

/// A trouble code of J1939: which parameter, and how it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fault {
    /// The suspect parameter number, 19 bits.
    pub spn: u32,
    /// The failure mode, 5 bits.
    pub mode: u8,
    /// How often it occurred, 7 bits; 127 means not available.
    pub count: u8,
}

impl fmt::Display for Fault {
    /// `SPN 110 FMI 3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SPN {} FMI {}", self.spn, self.mode)
    }
}

/// The lamps and trouble codes of a message of DM1 or DM2; `None` if it is neither or too short.
///
/// The number is read in the layout that the standard has had since 1996 (conversion method 0). A message
/// without codes carries one of zeros, which is left out.
pub fn faults(message: Message<'_>) -> Option<(Lamps, impl Iterator<Item = Fault> + Clone + use<'_>)> {
    if !matches!(Pgn::of(message.source), Pgn::ACTIVE_CODES | Pgn::PREVIOUS_CODES) {
        return None;
    }
    let [lamps, _flash, records @ ..] = message.data else {
        return None;
    };
    let faults = records.chunks_exact(4).filter_map(|record| match *record {
        [0 | 0xFF, 0 | 0xFF, 0 | 0xFF, _] => None,
        [low, middle, high, count] => Some(Fault {
            spn: u32::from(low) | u32::from(middle) << 8 | u32::from(high >> 5) << 16,
            mode: high & 0x1F,
            count: count & 0x7F,
        }),
        _ => None,
    });
    Some((Lamps(*lamps), faults))
}

/// Makes the rows.
macro_rules! parameters {
    ($($group:literal $spn:literal $at:literal $width:literal $scaling:ident $name:literal;)*) => {
        /// The parameters that are read, in the order of their groups.
        pub static PARAMETERS: &[Parameter] = &[$(Parameter {
            group: Pgn($group),
            spn: $spn,
            name: $name,
            at: $at,
            width: $width,
            scaling: Scaling::$scaling,
        }),*];
    };
}

#[rustfmt::skip]
parameters! {
//  group   spn  at  width  scaling           name
    0xF003   91   1      1  TwoFifthsPercent  "accelerator pedal position";
    0xF003   92   2      1  WholePercent      "engine load at this speed";
    0xF004  512   1      1  Torque            "driver's demand of torque";
    0xF004  513   2      1  Torque            "engine torque";
    0xF004  190   3      2  RpmEighth         "engine speed";
    0xFEC1  917   0      4  FiveMeters        "distance travelled, high resolution";
    0xFEE0  244   0      4  KilometerEighth   "trip distance";
    0xFEE0  245   4      4  KilometerEighth   "distance travelled";
    0xFEE5  247   0      4  HourTwentieth     "engine hours";
    0xFEE9  182   0      4  HalfLiter         "trip fuel";
    0xFEE9  250   4      4  HalfLiter         "fuel used";
    0xFEEE  110   0      1  Celsius           "coolant temperature";
    0xFEEE  174   1      1  Celsius           "fuel temperature";
    0xFEEE  175   2      2  CelsiusFine       "oil temperature";
    0xFEEF   94   0      1  FourKilopascal    "fuel delivery pressure";
    0xFEEF   98   2      1  TwoFifthsPercent  "oil level";
    0xFEEF  100   3      1  FourKilopascal    "oil pressure";
    0xFEEF  111   7      1  TwoFifthsPercent  "coolant level";
    0xFEF1   84   1      2  WheelSpeed        "wheel-based vehicle speed";
    0xFEF2  183   0      2  FuelRate          "fuel rate";
    0xFEF5  108   0      1  HalfKilopascal    "barometric pressure";
    0xFEF5  171   3      2  CelsiusFine       "outside air temperature";
    0xFEF5  172   5      1  Celsius           "intake air temperature";
    0xFEF6  102   1      1  TwoKilopascal     "boost pressure";
    0xFEF6  105   2      1  Celsius           "intake manifold temperature";
    0xFEF6  173   5      2  CelsiusFine       "exhaust gas temperature";
    0xFEF7  168   4      2  Volt20            "battery voltage";
    0xFEF7  158   6      2  Volt20            "keyswitch voltage";
    0xFEFC   80   0      1  TwoFifthsPercent  "washer fluid level";
    0xFEFC   96   1      1  TwoFifthsPercent  "fuel level";
}
