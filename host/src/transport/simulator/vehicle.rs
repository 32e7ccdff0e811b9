//! A small petrol car on an endless drive. What it does at a moment is a function of that moment alone: there is
//! nothing to step, and any two readings of one moment agree.

use std::time::Duration;

/// The drive, repeated for ever: (second, km/h), straight lines between.
const ROUTE: [(f64, f64); 19] = [
    (0.0, 0.0),
    (14.0, 0.0),
    (26.0, 48.0),
    (44.0, 50.0),
    (52.0, 31.0),
    (62.0, 52.0),
    (78.0, 50.0),
    (88.0, 0.0),
    (101.0, 0.0),
    (119.0, 82.0),
    (132.0, 88.0),
    (150.0, 118.0),
    (190.0, 121.0),
    (214.0, 96.0),
    (230.0, 99.0),
    (252.0, 44.0),
    (264.0, 47.0),
    (276.0, 0.0),
    (290.0, 0.0),
];

/// Kilometres on the clock when the simulation begins.
const ODOMETER: f64 = 48_211.6;
const TANK_LITRES: f64 = 45.0;
const MASS_KG: f64 = 1_320.0;
const AMBIENT: f64 = 17.0;

/// Everything that the sensors can tell, in the units of SAE J1979.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// Since the engine was started.
    pub run_time: Duration,
    /// km/h
    pub speed: f64,
    /// Revolutions per minute.
    pub rpm: f64,
    /// 1 to 5.
    pub gear: u8,
    /// Percent of the torque available at this speed.
    pub load: f64,
    /// Percent.
    pub throttle: f64,
    /// Percent.
    pub pedal: f64,
    /// °C
    pub coolant: f64,
    /// °C
    pub oil: f64,
    /// °C
    pub intake: f64,
    /// °C
    pub ambient: f64,
    /// °C, before the catalyst.
    pub catalyst: f64,
    /// kPa absolute.
    pub manifold: f64,
    /// g/s
    pub air_flow: f64,
    /// Degrees before top dead centre.
    pub timing: f64,
    /// Percent.
    pub short_trim: f64,
    /// Percent.
    pub long_trim: f64,
    /// V, before the catalyst.
    pub oxygen: f64,
    /// Percent of the tank.
    pub fuel_level: f64,
    /// L/h
    pub fuel_rate: f64,
    /// V
    pub voltage: f64,
    /// km since it was built.
    pub odometer: f64,
    /// Newton metres at the flywheel.
    pub torque: f64,
}

/// The car `time` after its engine was started from cold.
pub fn state(time: Duration) -> State {
    let seconds = time.as_secs_f64();
    let (speed, acceleration, kilometres) = route(seconds);
    let warm = 1.0 - (-seconds / 190.0).exp();
    let gear = gear(speed, acceleration);
    let per_kmh = [128.0, 74.0, 50.0, 38.0, 29.5][usize::from(gear - 1)];
    let idle = 760.0 + 420.0 * (-seconds / 90.0).exp() + ripple(seconds, 1.7, 9.0);
    let rpm = idle.max(speed * per_kmh + ripple(seconds, 3.1, 14.0));

    let metres = speed / 3.6;
    let force = MASS_KG * acceleration / 3.6 + 150.0 + 0.42 * metres * metres;
    let traction = if speed > 0.5 { (force * metres / 1_000.0).max(0.0) } else { 0.0 };
    let power = traction + 1.1 + rpm / 1_000.0; // kW; friction and the alternator are always there
    let available = 14.0 + rpm / 1_000.0 * 15.5;
    let load = (power / available * 100.0).clamp(9.0, 100.0);
    let fuel_rate = power * 280.0 / 745.0; // 280 g/kWh, 745 g/L
    let litres = kilometres * 0.056 + seconds / 3_600.0 * 0.8;
    let throttle = (11.5 + load * 0.62).min(100.0);

    State {
        run_time: time,
        speed,
        rpm,
        gear,
        load,
        throttle,
        pedal: (load * 0.7 - 4.0).clamp(0.0, 100.0),
        coolant: AMBIENT + 72.0 * warm + ripple(seconds, 0.05, 1.2) * warm,
        oil: AMBIENT + 78.0 * (1.0 - (-seconds / 330.0).exp()),
        intake: AMBIENT + 14.0 * warm - speed * 0.05,
        ambient: AMBIENT,
        catalyst: 120.0 + 420.0 * (1.0 - (-seconds / 60.0).exp()) + load,
        manifold: (24.0 + load * 0.76).min(101.0),
        air_flow: power * 280.0 / 3_600.0 * 14.7,
        timing: (6.0 + rpm / 260.0 - load / 12.0).clamp(-10.0, 40.0),
        short_trim: ripple(seconds, 0.9, 2.3),
        long_trim: 3.1 + ripple(seconds, 0.01, 1.0),
        oxygen: 0.45 + 0.4 * (seconds * 7.0).sin().clamp(-0.9, 0.9),
        fuel_level: (68.0 - litres / TANK_LITRES * 100.0).rem_euclid(94.0) + 5.0,
        fuel_rate,
        voltage: 14.1 + ripple(seconds, 0.4, 0.08) - if rpm < 900.0 { 0.2 } else { 0.0 },
        odometer: ODOMETER + kilometres,
        torque: power * 9_549.0 / rpm,
    }
}

/// Speed (km/h), acceleration (km/h per second) and kilometres driven, `seconds` into the endless drive.
fn route(seconds: f64) -> (f64, f64, f64) {
    let [.., (lap, _)] = ROUTE;
    let within = seconds.rem_euclid(lap);
    let (mut speed, mut slope, mut seconds_driven, mut lap_driven) = (0.0, 0.0, 0.0, 0.0);
    for pair in ROUTE.windows(2) {
        let [(from, low), (to, high)] = *pair else { continue };
        // Each leg is a straight line, so its distance is a trapezium.
        lap_driven += (low + high) / 2.0 * (to - from);
        if within >= to {
            seconds_driven += (low + high) / 2.0 * (to - from);
        } else if within >= from {
            slope = (high - low) / (to - from);
            speed = low + slope * (within - from);
            seconds_driven += (low + speed) / 2.0 * (within - from);
        }
    }
    let laps = (seconds / lap).floor();
    (speed, slope, (laps * lap_driven + seconds_driven) / 3_600.0)
}

/// The gear a calm driver has chosen; pulling away, later.
fn gear(speed: f64, acceleration: f64) -> u8 {
    let late = 1.0 + acceleration.max(0.0) * 0.05;
    let steps = [14.0, 29.0, 47.0, 68.0];
    1 + steps.iter().map(|step| u8::from(speed > step * late)).sum::<u8>()
}

/// A small unrest of two incommensurable frequencies, at most `size` either way.
fn ripple(seconds: f64, frequency: f64, size: f64) -> f64 {
    size * 0.5 * ((seconds * frequency * 2.1).sin() + (seconds * frequency * 3.7 + 1.0).sin())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> State {
        state(Duration::from_secs(seconds))
    }

    #[test]
    fn it_starts_cold_at_idle_and_warms_up() {
        let (cold, warm) = (at(0), at(1_500));
        assert_eq!(cold.speed, 0.0);
        assert!((1_100.0..1_300.0).contains(&cold.rpm), "{cold:?}");
        assert!((AMBIENT - 1.0..AMBIENT + 1.0).contains(&cold.coolant), "{cold:?}");
        assert!((84.0..94.0).contains(&warm.coolant), "{warm:?}");
    }

    #[test]
    fn it_never_leaves_what_such_a_car_can_do() {
        for tenth in 0..20_000 {
            let state = state(Duration::from_millis(tenth * 100));
            assert!((0.0..130.0).contains(&state.speed), "{state:?}");
            assert!((650.0..5_000.0).contains(&state.rpm), "{state:?}");
            assert!((20.0..102.0).contains(&state.manifold), "{state:?}");
            assert!((0.0..=100.0).contains(&state.fuel_level), "{state:?}");
            assert!((13.5..14.5).contains(&state.voltage), "{state:?}");
            assert!((1.0..120.0).contains(&state.air_flow), "{state:?}");
        }
    }

    #[test]
    fn the_odometer_agrees_with_the_speed() {
        let (mut driven, step) = (0.0, 0.1);
        for tenth in 0..6_000 {
            driven += state(Duration::from_millis(tenth * 100)).speed / 3_600.0 * step;
        }
        let shown = at(600).odometer - at(0).odometer;
        assert!((driven - shown).abs() < 0.05, "drove {driven} km, shows {shown} km");
    }
}
