//! Tokio's clock as the core's drivers want it, and moments by two clocks for the services and the road.

use std::time::Duration;

use cloverleaf_core::driver::Clock;
use cloverleaf_core::time::Instant;
use jiff::Timestamp;

/// A moment by two clocks: one that only counts, for how long things take, and the wall's, which is told. They drift
/// apart when the wall's is set, as GPS and NTP do in mid-run, and while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since the start, of a service for example. Never less than before.
    pub elapsed: Duration,
    /// What time it is.
    pub wall: Timestamp,
}

impl Moment {
    /// Now, counted from `start`.
    pub fn since(start: tokio::time::Instant) -> Self {
        Self { elapsed: start.elapsed(), wall: Timestamp::now() }
    }
}

/// Milliseconds since the clock was made; stands still under `tokio::time::pause` like all of tokio's time.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that reads zero now.
    pub fn start() -> Self {
        Self { origin: tokio::time::Instant::now() }
    }

    fn at(&self, instant: Instant) -> tokio::time::Instant {
        self.origin + Duration::from_millis(instant.as_millis())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        Instant::from_millis(u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    async fn sleep_until(&mut self, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(self.at(deadline)).await,
            None => std::future::pending().await,
        }
    }
}
