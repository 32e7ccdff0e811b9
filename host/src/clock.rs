//! Tokio's clock as the core's drivers want it.

use cloverleaf_core::driver::Clock;
use cloverleaf_core::time::Instant;

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
        self.origin + std::time::Duration::from_millis(instant.as_millis())
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
