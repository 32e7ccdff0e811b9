//! How fast a client may send.

use std::time::Duration;

use tokio::time::Instant;

/// A second's worth of credit: beyond that a client is read more slowly, which it notices as its own buffers fill.
pub(super) struct RateLimit {
    rate: f64,
    credit: f64,
    at: Instant,
}

impl RateLimit {
    pub(super) fn new(rate: u32) -> Self {
        let rate = f64::from(rate);
        Self { rate, credit: rate, at: Instant::now() }
    }

    /// Pays for some messages; answers how long to wait when the credit is used up.
    pub(super) fn spend(&mut self, messages: usize) -> Option<Duration> {
        self.credit -= messages as f64;
        if self.credit > 0.0 {
            return None;
        }
        let now = Instant::now();
        let earned = now.duration_since(self.at).as_secs_f64() * self.rate;
        self.at = now;
        self.credit = (self.credit + earned).min(self.rate);
        (self.credit < 0.0).then(|| Duration::from_secs_f64(-self.credit / self.rate))
    }
}
