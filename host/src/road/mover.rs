//! Something that goes round a closed path at an even speed: a pedestrian with a beacon, a vehicle with a radio.

/// A place on earth.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(from = "(f64, f64)")]
pub struct Place {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

impl From<(f64, f64)> for Place {
    fn from((latitude, longitude): (f64, f64)) -> Self {
        Self { latitude, longitude }
    }
}

/// Metres in a degree of latitude, on the mean sphere.
const DEGREE: f64 = 111_195.0;

impl Place {
    /// Metres north and east from here to `other`; good for the size of a test track.
    fn to(self, other: Self) -> (f64, f64) {
        let north = (other.latitude - self.latitude) * DEGREE;
        let east = (other.longitude - self.longitude) * DEGREE * self.latitude.to_radians().cos();
        (north, east)
    }
}

/// Where a mover is and where it is heading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Where.
    pub place: Place,
    /// Degrees clockwise from north, 0 to below 360.
    pub heading: f64,
    /// Metres per second.
    pub speed: f64,
}

/// A mover on its path.
#[derive(Clone, Debug)]
pub struct Mover {
    path: Vec<Place>,
    speed: f64,
    leg: usize,
    along: f64,
}

impl Mover {
    /// A mover at the first place of its path, which closes from the last place to the first. A path of a single
    /// place is somebody who stands there; an empty path is nobody, and refused.
    pub fn new(path: Vec<Place>, speed: f64) -> Option<Self> {
        let good = !path.is_empty() && speed.is_finite() && speed >= 0.0;
        good.then_some(Self { path, speed, leg: 0, along: 0.0 })
    }

    /// Moves on for so many seconds.
    pub fn advance(&mut self, seconds: f64) {
        self.along += self.speed * seconds;
        // A lap at most: on a path without length nothing would ever use the distance up.
        for _ in 0..=self.path.len() {
            let length = self.leg_length();
            if self.along < length {
                return;
            }
            self.along -= length;
            self.leg = (self.leg + 1) % self.path.len();
        }
        self.along = 0.0;
    }

    /// Where it is now.
    pub fn position(&self) -> Position {
        let (from, (north, east), length) = (self.path[self.leg], self.leg_vector(), self.leg_length());
        if length == 0.0 {
            return Position { place: from, heading: 0.0, speed: 0.0 };
        }
        let to = self.path[(self.leg + 1) % self.path.len()];
        let part = self.along / length;
        let place = Place {
            latitude: from.latitude + (to.latitude - from.latitude) * part,
            longitude: from.longitude + (to.longitude - from.longitude) * part,
        };
        Position { place, heading: east.atan2(north).to_degrees().rem_euclid(360.0), speed: self.speed }
    }

    fn leg_vector(&self) -> (f64, f64) {
        self.path[self.leg].to(self.path[(self.leg + 1) % self.path.len()])
    }

    fn leg_length(&self) -> f64 {
        let (north, east) = self.leg_vector();
        north.hypot(east)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(latitude: f64, longitude: f64) -> Place {
        Place { latitude, longitude }
    }

    #[test]
    fn it_goes_round_its_path_and_comes_back() {
        // 100 m north and back.
        let north = place(42.0 + 100.0 / DEGREE, -83.0);
        let mut mover = Mover::new(vec![place(42.0, -83.0), north], 2.0).unwrap();
        mover.advance(25.0);
        let half = mover.position();
        assert!((half.place.latitude - (42.0 + 50.0 / DEGREE)).abs() < 1e-9 && half.heading == 0.0);
        mover.advance(50.0);
        let back = mover.position();
        assert!((back.place.latitude - (42.0 + 50.0 / DEGREE)).abs() < 1e-9 && back.heading == 180.0);
    }

    #[test]
    fn east_is_ninety_degrees() {
        let mover = Mover::new(vec![place(42.0, -83.0), place(42.0, -82.9)], 1.0).unwrap();
        assert!((mover.position().heading - 90.0).abs() < 0.1);
    }

    #[test]
    fn a_path_without_length_is_somebody_standing() {
        for path in [vec![place(1.0, 2.0)], vec![place(1.0, 2.0); 3]] {
            let mut mover = Mover::new(path, 3.0).unwrap();
            mover.advance(1e9);
            assert_eq!(mover.position(), Position { place: place(1.0, 2.0), heading: 0.0, speed: 0.0 });
        }
        assert!(Mover::new(Vec::new(), 1.0).is_none());
        assert!(Mover::new(vec![place(1.0, 2.0)], f64::NAN).is_none());
    }
}
