//! Units by the names of signal sets, and their usual symbols.

/// The symbol of a unit; empty for plain numbers, switches and whatever the format does not know.
pub(super) fn symbol(name: &str) -> &'static str {
    let place = UNITS.binary_search_by_key(&name, |&(name, _)| name);
    place.ok().and_then(|place| UNITS.get(place)).map_or("", |&(_, symbol)| symbol)
}

/// In the order of the names.
#[rustfmt::skip]
const UNITS: &[(&str, &str)] = &[
//   name                              symbol
    ("ampereHours",                    "A·h"),
    ("amps",                           "A"),
    ("bars",                           "bar"),
    ("celsius",                        "°C"),
    ("centimeters",                    "cm"),
    ("coulombs",                       "C"),
    ("degrees",                        "°"),
    ("fahrenheit",                     "°F"),
    ("feet",                           "ft"),
    ("framesPerSecond",                "1/s"),
    ("gallons",                        "gal"),
    ("gallonsPerHour",                 "gal/h"),
    ("gigahertz",                      "GHz"),
    ("gramsPerLiter",                  "g/L"),
    ("gramsPerSecond",                 "g/s"),
    ("gravity",                        "g"),
    ("hertz",                          "Hz"),
    ("hours",                          "h"),
    ("inchPound",                      "in·lbf"),
    ("inches",                         "in"),
    ("joules",                         "J"),
    ("kelvin",                         "K"),
    ("kiloampereHours",                "kA·h"),
    ("kiloamps",                       "kA"),
    ("kilogramsPerHour",               "kg/h"),
    ("kilohertz",                      "kHz"),
    ("kilojoules",                     "kJ"),
    ("kilometers",                     "km"),
    ("kilometersPerHour",              "km/h"),
    ("kiloohms",                       "kΩ"),
    ("kilopascal",                     "kPa"),
    ("kilovolts",                      "kV"),
    ("kilowattHours",                  "kWh"),
    ("kilowattHoursPer100Kilometers",  "kWh/100 km"),
    ("kilowattHoursPer100Miles",       "kWh/100 mi"),
    ("kilowatts",                      "kW"),
    ("liters",                         "L"),
    ("litersPerHour",                  "L/h"),
    ("megahertz",                      "MHz"),
    ("megaohms",                       "MΩ"),
    ("meters",                         "m"),
    ("metersPerSecond",                "m/s"),
    ("metersPerSecondSquared",         "m/s²"),
    ("microhertz",                     "µHz"),
    ("microohms",                      "µΩ"),
    ("miles",                          "mi"),
    ("milesPerHour",                   "mph"),
    ("milesPerKilowattHour",           "mi/kWh"),
    ("milliampereHours",               "mA·h"),
    ("milliamps",                      "mA"),
    ("milligramsPerDeciliter",         "mg/dL"),
    ("milligramsPerStroke",            "mg/stroke"),
    ("millihertz",                     "mHz"),
    ("millimeters",                    "mm"),
    ("milliohms",                      "mΩ"),
    ("milliseconds",                   "ms"),
    ("millivolts",                     "mV"),
    ("milliwatts",                     "mW"),
    ("minutes",                        "min"),
    ("nanohertz",                      "nHz"),
    ("newtonMeters",                   "N·m"),
    ("ohms",                           "Ω"),
    ("percent",                        "%"),
    ("poundFoot",                      "lbf·ft"),
    ("psi",                            "psi"),
    ("radians",                        "rad"),
    ("rpm",                            "rpm"),
    ("seconds",                        "s"),
    ("terahertz",                      "THz"),
    ("volts",                          "V"),
    ("watts",                          "W"),
    ("yards",                          "yd"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_symbols_and_the_rest_has_none() {
        assert!(UNITS.is_sorted_by_key(|&(name, _)| name));
        assert_eq!((symbol("celsius"), symbol("rpm"), symbol("yards")), ("°C", "rpm", "yd"));
        assert_eq!((symbol("offon"), symbol("scalar"), symbol("")), ("", "", ""));
    }
}
