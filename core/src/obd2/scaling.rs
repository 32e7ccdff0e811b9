//! From the integer on the wire to the quantity it stands for.

use core::fmt;

use super::Unit;

/// How a raw integer becomes a quantity: `(raw * multiply + add) / divide`, in `unit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factors {
    /// Multiplier of the raw integer.
    pub multiply: i32,
    /// Added after multiplying.
    pub add: i32,
    /// Divisor of the sum, at least 1.
    pub divide: i32,
    /// The unit of the result.
    pub unit: Unit,
    /// Whether the raw integer is in two's complement.
    pub signed: bool,
}

/// Makes the enumeration, the table of its factors and the list of UAS identifiers from one table.
macro_rules! scalings {
    ($($name:ident $uas:tt $sign:ident $multiply:literal $add:literal $divide:literal $unit:ident;)*) => {
        /// A scaling of the tables, one byte wide; its [`Factors`] say what it does.
        ///
        /// `Uas…` are the unit-and-scaling identifiers of SAE J1979, annex E; the others are named for what
        /// uses them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        #[repr(u8)]
        #[expect(missing_docs, reason = "the table below is the documentation of its rows")]
        pub enum Scaling { $($name),* }

        impl Scaling {
            /// Every scaling, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The scaling of a unit-and-scaling identifier, if SAE J1979 defines it as a quantity.
            pub const fn from_uas(id: u8) -> Option<Self> {
                $(scalings!(@uas id $name $uas);)*
                None
            }
        }

        static FACTORS: [Factors; Scaling::ALL.len()] = [$(Factors {
            multiply: $multiply,
            add: $add,
            divide: $divide,
            unit: Unit::$unit,
            signed: scalings!(@sign $sign),
        }),*];
    };
    (@uas $id:ident $name:ident -) => {};
    (@uas $id:ident $name:ident $uas:literal) => {
        if $id == $uas {
            return Some(Self::$name);
        }
    };
    (@sign signed) => { true };
    (@sign unsigned) => { false };
}

// Where SAE J1979 prints a rounded decimal of a fraction of the full scale (0.0000305, 0.001526, …) the fraction
// itself stands here: FFFFh of UAS 1E is 2, not 1.9988.
#[rustfmt::skip]
scalings! {
//  name              uas  sign     multiply     add  divide  unit
    Uas01             0x01 unsigned        1       0       1  Count;
    Uas02             0x02 unsigned        1       0      10  Count;
    Uas03             0x03 unsigned        1       0     100  Count;
    Uas04             0x04 unsigned        1       0    1000  Count;
    Uas05             0x05 unsigned        2       0   65535  Count;
    Uas06             0x06 unsigned       61       0  200000  Count;
    Uas07             0x07 unsigned        1       0       4  Rpm;
    Uas08             0x08 unsigned        1       0     100  KilometerPerHour;
    Uas09             0x09 unsigned        1       0       1  KilometerPerHour;
    Uas0A             0x0A unsigned       61       0     500  Millivolt;
    Uas0B             0x0B unsigned        1       0    1000  Volt;
    Uas0C             0x0C unsigned        1       0     100  Volt;
    Uas0D             0x0D unsigned        1       0     256  Milliampere;
    Uas0E             0x0E unsigned        1       0    1000  Ampere;
    Uas0F             0x0F unsigned        1       0     100  Ampere;
    Uas10             0x10 unsigned        1       0       1  Millisecond;
    Uas11             0x11 unsigned      100       0       1  Millisecond;
    Uas12             0x12 unsigned        1       0       1  Second;
    Uas13             0x13 unsigned        1       0       1  Milliohm;
    Uas14             0x14 unsigned        1       0       1  Ohm;
    Uas15             0x15 unsigned        1       0       1  Kiloohm;
    Uas16             0x16 unsigned        1    -400      10  Celsius;
    Uas17             0x17 unsigned        1       0     100  Kilopascal;
    Uas18             0x18 unsigned      117       0   10000  Kilopascal;
    Uas19             0x19 unsigned       79       0    1000  Kilopascal;
    Uas1A             0x1A unsigned        1       0       1  Kilopascal;
    Uas1B             0x1B unsigned       10       0       1  Kilopascal;
    Uas1C             0x1C unsigned        1       0     100  Degree;
    Uas1D             0x1D unsigned        1       0       2  Degree;
    Uas1E             0x1E unsigned        2       0   65535  Ratio;
    Uas1F             0x1F unsigned        1       0      20  Ratio;
    Uas20             0x20 unsigned        1       0     256  Ratio;
//  name              uas  sign     multiply     add  divide  unit
    Uas21             0x21 unsigned        1       0       1  Millihertz;
    Uas22             0x22 unsigned        1       0       1  Hertz;
    Uas23             0x23 unsigned        1       0       1  Kilohertz;
    Uas24             0x24 unsigned        1       0       1  Count;
    Uas25             0x25 unsigned        1       0       1  Kilometer;
    Uas26             0x26 unsigned        1       0      10  MillivoltPerMillisecond;
    Uas27             0x27 unsigned        1       0     100  GramPerSecond;
    Uas28             0x28 unsigned        1       0       1  GramPerSecond;
    Uas29             0x29 unsigned        1       0       4  PascalPerSecond;
    Uas2A             0x2A unsigned        1       0    1000  KilogramPerHour;
    Uas2B             0x2B unsigned        1       0       1  Count;
    Uas2C             0x2C unsigned        1       0     100  Gram;
    Uas2D             0x2D unsigned        1       0     100  Milligram;
    Uas2F             0x2F unsigned        1       0     100  Percent;
    Uas30             0x30 unsigned       20       0   13107  Percent;
    Uas31             0x31 unsigned        1       0    1000  Liter;
    Uas32             0x32 unsigned        2       0   65535  Inch;
    Uas33             0x33 unsigned        1       0    4096  Ratio;
    Uas34             0x34 unsigned        1       0       1  Minute;
    Uas35             0x35 unsigned       10       0       1  Millisecond;
    Uas36             0x36 unsigned        1       0     100  Gram;
    Uas37             0x37 unsigned        1       0      10  Gram;
    Uas38             0x38 unsigned        1       0       1  Gram;
    Uas39             0x39 unsigned        1  -32768     100  Percent;
    Uas3A             0x3A unsigned        1       0    1000  Gram;
    Uas3B             0x3B unsigned        1       0   10000  Gram;
    Uas3C             0x3C unsigned        1       0      10  Microsecond;
    Uas3D             0x3D unsigned        1       0     100  Milliampere;
    Uas3E             0x3E unsigned        1       0   16384  SquareMillimeter;
    Uas3F             0x3F unsigned        1       0     100  Liter;
    Uas40             0x40 unsigned        1       0       1  Ppm;
    Uas41             0x41 unsigned        1       0     100  Microampere;
//  name              uas  sign     multiply     add  divide  unit
    Uas81             0x81 signed          1       0       1  Count;
    Uas82             0x82 signed          1       0      10  Count;
    Uas83             0x83 signed          1       0     100  Count;
    Uas84             0x84 signed          1       0    1000  Count;
    Uas85             0x85 signed          1       0   32768  Count;
    Uas86             0x86 signed         61       0  200000  Count;
    Uas87             0x87 signed          1       0       1  Ppm;
    Uas8A             0x8A signed         61       0     500  Millivolt;
    Uas8B             0x8B signed          1       0    1000  Volt;
    Uas8C             0x8C signed          1       0     100  Volt;
    Uas8D             0x8D signed          1       0     256  Milliampere;
    Uas8E             0x8E signed          1       0    1000  Ampere;
    Uas90             0x90 signed          1       0       1  Millisecond;
    Uas96             0x96 signed          1       0      10  Celsius;
    Uas99             0x99 signed          1       0      10  Kilopascal;
    Uas9C             0x9C signed          1       0     100  Degree;
    Uas9D             0x9D signed          1       0       2  Degree;
    UasA8             0xA8 signed          1       0       1  GramPerSecond;
    UasA9             0xA9 signed          1       0       4  PascalPerSecond;
    UasAD             0xAD signed          1       0     100  Milligram;
    UasAE             0xAE signed          1       0      10  Milligram;
    UasAF             0xAF signed          1       0     100  Percent;
    UasB0             0xB0 signed         25       0    8192  Percent;
    UasB1             0xB1 signed          2       0       1  MillivoltPerSecond;
    UasFC             0xFC signed          1       0     100  Kilopascal;
    UasFD             0xFD signed          1       0    1000  Kilopascal;
    UasFE             0xFE signed          1       0       4  Pascal;
    Percent           -    unsigned      100       0     255  Percent;
    PercentCentered   -    unsigned      100  -12800     128  Percent;
    Celsius           -    unsigned        1     -40       1  Celsius;
    OxygenVolt        -    unsigned        1       0     200  Volt;
    OxygenWideVolt    -    unsigned        8       0   65535  Volt;
//  name              uas  sign     multiply     add  divide  unit
    OxygenCurrent     -    unsigned        1  -32768     256  Milliampere;
    FuelPressure      -    unsigned        3       0       1  Kilopascal;
    Kilopascal        -    unsigned        1       0       1  Kilopascal;
    EvapPressure      -    signed          1       0       4  Pascal;
    EvapPressureAbs   -    unsigned        1       0     200  Kilopascal;
    EvapPressureWide  -    signed          1       0       1  Pascal;
    TimingAdvance     -    unsigned        1    -128       2  Degree;
    InjectionTiming   -    unsigned        1  -26880     128  Degree;
    MaxAirFlow        -    unsigned       10       0       1  GramPerSecond;
    FuelRate          -    unsigned        1       0      20  LiterPerHour;
    AdapterVolt       -    unsigned        1       0    1000  Volt;
    Counter           -    unsigned        1       0       1  Count;
    Volts             -    unsigned        1       0       1  Volt;
    Milliamperes      -    unsigned        1       0       1  Milliampere;
    TenKilopascal     -    unsigned       10       0       1  Kilopascal;
    Ratio             -    unsigned        1       0       1  Ratio;
    Millisecond4      -    unsigned        4       0       1  Millisecond;
    Torque            -    unsigned        1    -125       1  Percent;
    NewtonMeters      -    unsigned        1       0       1  NewtonMeter;
    AirFlow32         -    unsigned        1       0      32  GramPerSecond;
    CelsiusWide       -    unsigned        4     -40       1  Celsius;
    TankCelsius       -    unsigned        2    -256       1  Celsius;
    EightKilopascal   -    unsigned        8       0       1  Kilopascal;
    Kilopascal8       -    unsigned        1       0       8  Kilopascal;
    Kilopascal32      -    unsigned        1       0      32  Kilopascal;
    EvapKilopascal    -    signed          1       0    4000  Kilopascal;
//  name              uas  sign     multiply     add  divide  unit
    TwoPascal         -    signed          2       0       1  Pascal;
    OneRpm            -    unsigned        1       0       1  Rpm;
    TenRpm            -    unsigned       10       0       1  Rpm;
    ReagentRate       -    unsigned        1       0     200  LiterPerHour;
    Particulates      -    unsigned        1       0      80  MilligramPerCubicMeter;
    Hours             -    unsigned        1       0       1  Hour;
    LambdaWide        -    unsigned        8       0   65535  Ratio;
    Thousandth        -    unsigned        1       0    1000  Ratio;
    Volt64            -    unsigned        1       0      64  Volt;
    Volt20            -    unsigned        1       0      20  Volt;
    TenthAmpere       -    signed          1       0      10  Ampere;
    QuarterPercent    -    unsigned        1       0       4  Percent;
    HalfPercent       -    unsigned        1       0       2  Percent;
    TwoFifthsPercent  -    unsigned        2       0       5  Percent;
    ChargePercent     -    unsigned        1       0     640  Percent;
    FuelFlow          -    unsigned        1       0      50  GramPerSecond;
    InjectionFlow     -    unsigned        1       0      20  GramPerMinute;
    ExhaustFlow       -    unsigned        1       0       5  KilogramPerHour;
    MassFlow20        -    unsigned        1       0      20  KilogramPerHour;
    CylinderRate      -    unsigned        1       0      32  MilligramPerStroke;
    FluidUse          -    unsigned        1       0    2000  Liter;
    Odometer          -    unsigned        1       0      10  Kilometer;
    KilowattHours     -    unsigned        1       0       1  KilowattHour;
    HundredWattHours  -    unsigned        1       0      10  KilowattHour;
    WattHours         -    unsigned        1       0    1000  KilowattHour;
    TenthKilopascal   -    unsigned        1       0      10  Kilopascal;
    Millisecond40     -    unsigned       40       0       1  Millisecond;
    RpmEighth         -    unsigned        1       0       8  Rpm;
    KilometerEighth   -    unsigned        1       0       8  Kilometer;
    FiveMeters        -    unsigned        1       0     200  Kilometer;
    HourTwentieth     -    unsigned        1       0      20  Hour;
    HalfLiter         -    unsigned        1       0       2  Liter;
    CelsiusFine       -    unsigned        1   -8736      32  Celsius;
    TwoKilopascal     -    unsigned        2       0       1  Kilopascal;
    FourKilopascal    -    unsigned        4       0       1  Kilopascal;
    HalfKilopascal    -    unsigned        1       0       2  Kilopascal;
    WholePercent      -    unsigned        1       0       1  Percent;
    WheelSpeed        -    unsigned        1       0     256  KilometerPerHour;
}

impl Scaling {
    /// What this scaling does.
    #[inline]
    pub fn factors(self) -> &'static Factors {
        const NONE: Factors = Factors { multiply: 1, add: 0, divide: 1, unit: Unit::Count, signed: false };
        FACTORS.get(self as usize).unwrap_or(&NONE)
    }

    /// The unit of the result.
    pub fn unit(self) -> Unit {
        self.factors().unit
    }

    /// Reads up to five big-endian bytes as this scaling's raw integer.
    #[inline]
    pub fn quantity(self, bytes: &[u8]) -> Quantity {
        let unsigned = bytes.iter().take(5).fold(0, |raw: i64, &byte| raw << 8 | i64::from(byte));
        let raw = match bytes.first() {
            Some(0x80..) if self.factors().signed => unsigned - (1 << (8 * bytes.len().min(5))),
            _ => unsigned,
        };
        Quantity::new(raw, self)
    }
}

/// A measured value: the exact integer of the wire and its [`Scaling`], in eight bytes.
///
/// ```
/// use cloverleaf_core::obd2::{Quantity, Scaling, Unit};
///
/// let rpm = Quantity::new(0x1770, Scaling::Uas07);
/// assert_eq!(rpm.to_f64(), 1500.0);
/// assert_eq!(rpm.unit(), Unit::Rpm);
/// assert_eq!(core::mem::size_of_val(&rpm), 8);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quantity(i64);

impl Quantity {
    /// The widest raw integer, either sign: 39 bits, so that no scaling of the tables can overflow.
    const LIMIT: i64 = (1 << 39) - 1;

    /// A raw integer and its scaling. Beyond 39 bits the integer saturates; no reply is that wide.
    #[inline]
    pub const fn new(raw: i64, scaling: Scaling) -> Self {
        let raw = if raw > Self::LIMIT {
            Self::LIMIT
        } else if raw < -Self::LIMIT {
            -Self::LIMIT
        } else {
            raw
        };
        Self(raw << 8 | scaling as i64)
    }

    /// The integer of the wire.
    pub const fn raw(self) -> i64 {
        self.0 >> 8
    }

    /// How it is scaled.
    pub fn scaling(self) -> Scaling {
        let index = (self.0 & 0xFF) as usize;
        Scaling::ALL.get(index).copied().unwrap_or(Scaling::Counter)
    }

    /// The unit of the value.
    pub fn unit(self) -> Unit {
        self.scaling().unit()
    }

    /// The value as an exact fraction: numerator, and a denominator of at least 1.
    pub fn fraction(self) -> (i64, i64) {
        let factors = self.scaling().factors();
        let numerator = self.raw() * i64::from(factors.multiply) + i64::from(factors.add);
        (numerator, i64::from(factors.divide))
    }

    /// The value as a float: the nearest one to the exact fraction. Not for targets without an FPU, where
    /// [`Display`](fmt::Display) does without.
    #[inline]
    pub fn to_f64(self) -> f64 {
        let (numerator, denominator) = self.fraction();
        numerator as f64 / denominator as f64
    }
}

impl fmt::Display for Quantity {
    /// Decimal digits without floats, at most six after the point and none superfluous; `{:.2}` asks for exactly
    /// two; `{:#}` adds the unit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (numerator, denominator) = self.fraction();
        let places = f.precision().unwrap_or(6).min(6);
        let power = 10_u64.pow(places as u32);
        let (magnitude, denominator) = (numerator.unsigned_abs(), denominator.unsigned_abs());
        let mut whole = magnitude / denominator;
        // Below the point: round half up; the product stays far below 2^64.
        let mut part = ((magnitude % denominator) * power * 2 + denominator) / (denominator * 2);
        if part >= power {
            whole += 1;
            part -= power;
        }
        if numerator < 0 && (whole, part) != (0, 0) {
            f.write_str("-")?;
        }
        write!(f, "{whole}")?;
        let mut width = places;
        if f.precision().is_none() {
            while width > 0 && part.is_multiple_of(10) {
                part /= 10;
                width -= 1;
            }
        }
        if width > 0 {
            write!(f, ".{part:0width$}")?;
        }
        match self.unit().symbol() {
            symbol if f.alternate() && !symbol.is_empty() => write!(f, " {symbol}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Quantity {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(self));
    }
}
