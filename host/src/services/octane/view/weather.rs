//! What weather stations measure, in the figures of OCTANE.

use jiff::{SignedDuration, Timestamp, civil};

use super::View;
use crate::road::facility;
use crate::road::weather::{EVERY, Observation, observe};
use crate::services::octane::events::{Sun, Weather, WeatherStation, Wind};

/// How many measurements are told of when no day is asked for.
const LATEST: i64 = 5;

impl View<'_> {
    /// Every weather station.
    pub fn stations(&self) -> impl Iterator<Item = WeatherStation> {
        self.road.facility.weather_stations.iter().map(|it| WeatherStation {
            id: it.id.clone(),
            name: it.name.clone(),
            url: format!("/api/weather/station/{}", it.id),
            weather_station_type: "WEATHERLINK",
            latitude: it.place.latitude.to_string(),
            longitude: it.place.longitude.to_string(),
        })
    }

    /// The latest measurements of a station, the newest first.
    pub fn weather(&self, station: &facility::WeatherStation) -> Vec<Weather> {
        let ago = |count: i64| self.road.now().wall - SignedDuration::from_secs(count * EVERY);
        (0..LATEST).map(|count| self.measured(station, ago(count))).collect()
    }

    /// What a station measured on a day of the facility, up to now.
    pub fn weather_on(&self, station: &facility::WeatherStation, day: civil::Date) -> Vec<Weather> {
        let Ok(midnight) = self.road.offset().to_timestamp(day.to_datetime(civil::Time::midnight())) else {
            return Vec::new();
        };
        let times = (0..86_400 / EVERY).map(|count| midnight + SignedDuration::from_secs(count * EVERY));
        times.take_while(|at| *at <= self.road.now().wall).map(|at| self.measured(station, at)).collect()
    }

    fn measured(&self, station: &facility::WeatherStation, at: Timestamp) -> Weather {
        let Observation { at, temperature, humidity, rain, wind, wind_from, sun } =
            observe(at, station.place.longitude);
        let date = self.date(at);
        Weather {
            weather_station_id: station.number,
            observation_date: self.road.offset().to_datetime(at).date().to_string(),
            observation_date_time: date,
            humidity: format!("{humidity:.0}"),
            rain_rate_mm: format!("{rain:.1}"),
            temp_c: format!("{temperature:.1}"),
            temp_f: format!("{:.1}", temperature * 1.8 + 32.0),
            short_forecast: match (rain > 0.0, humidity > 75.0) {
                (true, _) => "Rain",
                (false, true) => "Cloudy",
                (false, false) => "Fair",
            },
            sun: Sun { solar_radiation: format!("{sun:.0}") },
            wind: Wind {
                direction: format!("{wind_from:.0}"),
                speed_knot: format!("{:.1}", wind * 1.943_844),
                speed_mph: format!("{:.1}", wind * 2.236_936),
            },
        }
    }
}
