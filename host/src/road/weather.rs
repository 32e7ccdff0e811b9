//! What a weather station measures: a simulated climate that is a function of the time alone.
//!
//! Because nothing is stored, what was measured at any moment of the past can be asked for and is always the same.

use std::f64::consts::TAU;

use jiff::Timestamp;

/// Stations measure every so many seconds.
pub const EVERY: i64 = 600;

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// When.
    pub at: Timestamp,
    /// °C.
    pub temperature: f64,
    /// Percent.
    pub humidity: f64,
    /// Millimetres an hour.
    pub rain: f64,
    /// Metres per second.
    pub wind: f64,
    /// Degrees clockwise from north that the wind comes from.
    pub wind_from: f64,
    /// Watts per square metre.
    pub sun: f64,
}

/// What is measured at the last full interval before or at `now`, by local solar time at `longitude`.
pub fn observe(now: Timestamp, longitude: f64) -> Observation {
    let second = now.as_second().div_euclid(EVERY) * EVERY;
    let days = second as f64 / 86_400.0;
    let solar = (days + longitude / 360.0).rem_euclid(1.0);
    let year = (days / 365.25).rem_euclid(1.0);
    // A front comes through every few days: two waves that never meet in the same way.
    let front = (TAU * days / 4.7).sin() + (TAU * days / 7.3).sin();
    let season = -(TAU * (year - 0.05)).cos();
    let day = -(TAU * (solar - 0.125)).cos();
    let rain = (front - 1.2).max(0.0) * 4.0;
    let daylight = (-(TAU * solar).cos() + 0.25 * season).max(0.0);
    Observation {
        at: Timestamp::from_second(second).unwrap_or(now),
        temperature: 9.0 + 13.0 * season + 5.0 * day - 2.0 * front,
        humidity: (62.0 - 14.0 * day + 14.0 * front).clamp(15.0, 100.0),
        rain,
        wind: 3.0 + 1.5 * front.abs() + day,
        wind_from: (250.0 + 55.0 * front).rem_euclid(360.0),
        sun: 780.0 * daylight * if rain > 0.0 { 0.25 } else { 1.0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGITUDE: f64 = -83.7;

    fn at(text: &str) -> Observation {
        observe(text.parse().unwrap(), LONGITUDE)
    }

    #[test]
    fn the_past_is_always_the_same_and_changes_every_ten_minutes() {
        assert_eq!(at("2024-05-06T12:00:00Z"), at("2024-05-06T12:09:59Z"));
        assert_ne!(at("2024-05-06T12:00:00Z"), at("2024-05-06T12:10:00Z"));
    }

    #[test]
    fn noon_is_warmer_and_brighter_than_midnight_and_july_than_january() {
        let (noon, night) = (at("2024-07-06T19:00:00Z"), at("2024-07-06T07:00:00Z"));
        assert!(noon.temperature > night.temperature && noon.sun > 100.0 && night.sun == 0.0);
        assert!(noon.temperature > at("2024-01-06T19:00:00Z").temperature);
    }

    #[test]
    fn no_figure_is_ever_out_of_range() {
        for hour in 0..20_000 {
            let it = observe(Timestamp::from_second(hour * 3600).unwrap(), LONGITUDE);
            assert!(
                (-40.0..50.0).contains(&it.temperature) && (0.0..=100.0).contains(&it.humidity),
                "{it:?}"
            );
            assert!(it.rain >= 0.0 && it.wind >= 0.0 && (0.0..360.0).contains(&it.wind_from), "{it:?}");
        }
    }
}
