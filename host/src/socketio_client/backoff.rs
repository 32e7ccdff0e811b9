//! How long to wait before trying again.

use std::time::Duration;

use cloverleaf_core::time;

/// Exponential waiting: `first`, twice that, … up to `max`, each shortened at random by up to a
/// half so that a thousand clients of one server do not come back in the same millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait before the first retry.
    pub first: Duration,
    /// The longest wait. A connection that lived this long starts again at `first`.
    pub max: Duration,
    /// Give up after this many attempts in a row none of which led to a connection that lived for `max`; `None` never
    /// gives up.
    pub attempts: Option<u32>,
}

impl Default for Backoff {
    /// 0.5 s to 15 s, for ever.
    fn default() -> Self {
        Self { first: Duration::from_millis(500), max: Duration::from_secs(15), attempts: None }
    }
}

impl Backoff {
    /// The wait before retry number `attempt` (from 0), or `None` when it is time to give up.
    #[must_use]
    pub fn delay(&self, attempt: u32) -> Option<Duration> {
        let mut byte = [0_u8; 1];
        // Without a source of randomness the waits are merely regular.
        let _ = getrandom::fill(&mut byte);
        self.delay_with(attempt, byte[0])
    }

    /// [`Backoff::delay`] with its random byte as an argument.
    fn delay_with(&self, attempt: u32, random: u8) -> Option<Duration> {
        if self.attempts.is_some_and(|attempts| attempt >= attempts) {
            return None;
        }
        let millis =
            |span: Duration| time::Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        let full =
            time::back_off(millis(self.first.max(Duration::from_millis(1))), millis(self.max), attempt);
        let full = Duration::from_millis(full.as_millis());
        Some(full - full.mul_f64(f64::from(random) / 512.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_stay_within_a_half() {
        let backoff =
            Backoff { first: Duration::from_millis(100), max: Duration::from_secs(1), attempts: Some(9) };
        for (attempt, full) in [(0, 100), (1, 200), (2, 400), (3, 800), (4, 1000), (8, 1000)] {
            assert_eq!(backoff.delay_with(attempt, 0), Some(Duration::from_millis(full)));
            let least = backoff.delay_with(attempt, 255);
            assert!(
                least > Some(Duration::from_millis(full / 2)) && least < Some(Duration::from_millis(full))
            );
        }
        assert_eq!(backoff.delay_with(9, 0), None);
    }
}
