//! Units of measurement, with the two names each one has outside.

/// Makes the enumeration and both names from one table.
macro_rules! units {
    ($($unit:ident $symbol:literal $pint:literal;)*) => {
        /// The unit of a [`Quantity`](super::Quantity).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum Unit {
            $(
                #[doc = concat!("`", $symbol, "` (", $pint, ")")]
                $unit,
            )*
        }

        impl Unit {
            /// Every unit.
            pub const ALL: &[Self] = &[$(Self::$unit),*];

            /// The usual symbol: `rpm`, `km/h`, `°C`; empty for a count or a ratio.
            pub const fn symbol(self) -> &'static str {
                match self { $(Self::$unit => $symbol,)* }
            }

            /// The name that python-OBD clients read, as the `pint` library spells it.
            pub const fn pint(self) -> &'static str {
                match self { $(Self::$unit => $pint,)* }
            }
        }
    };
}

#[rustfmt::skip]
units! {
//  unit                    symbol      pint
    Count                   ""          "count";
    Ratio                   ""          "ratio";
    Percent                 "%"         "percent";
    Ppm                     "ppm"       "ppm";
    Rpm                     "rpm"       "revolutions_per_minute";
    KilometerPerHour        "km/h"      "kilometer_per_hour";
    Microvolt               "µV"        "microvolt";
    Millivolt               "mV"        "millivolt";
    Volt                    "V"         "volt";
    Microampere             "µA"        "microampere";
    Milliampere             "mA"        "milliampere";
    Ampere                  "A"         "ampere";
    Milliohm                "mΩ"        "milliohm";
    Ohm                     "Ω"         "ohm";
    Kiloohm                 "kΩ"        "kiloohm";
    Microsecond             "µs"        "microsecond";
    Millisecond             "ms"        "millisecond";
    Second                  "s"         "second";
    Minute                  "min"       "minute";
    Hour                    "h"         "hour";
    Celsius                 "°C"        "degree_Celsius";
    Pascal                  "Pa"        "pascal";
    Kilopascal              "kPa"       "kilopascal";
    PascalPerSecond         "Pa/s"      "pascal / second";
    Degree                  "°"         "degree";
    Millihertz              "mHz"       "millihertz";
    Hertz                   "Hz"        "hertz";
    Kilohertz               "kHz"       "kilohertz";
    Kilometer               "km"        "kilometer";
    Millimeter              "mm"        "millimeter";
    Inch                    "in"        "inch";
    SquareMillimeter        "mm²"       "millimeter ** 2";
    MillivoltPerMillisecond "mV/ms"     "millivolt / millisecond";
    MillivoltPerSecond      "mV/s"      "millivolt / second";
    GramPerSecond           "g/s"       "gps";
    KilogramPerHour         "kg/h"      "kilogram / hour";
    GramPerMinute           "g/min"     "gram / minute";
    MilligramPerCubicMeter  "mg/m³"     "milligram / meter ** 3";
    LiterPerHour            "L/h"       "lph";
    Milligram               "mg"        "milligram";
    Gram                    "g"         "gram";
    Kilogram                "kg"        "kilogram";
    MilligramPerStroke      "mg/stroke" "milligram / stroke";
    Liter                   "L"         "liter";
    NewtonMeter             "N·m"       "newton_meter";
    Kilowatt                "kW"        "kilowatt";
    KilowattHour            "kWh"       "kilowatt_hour";
    AmpereHour              "A·h"       "ampere_hour";
}
