//! Time as a number that the caller supplies: nothing in this crate reads a clock.

use core::ops::{Add, Sub};

/// A moment, in milliseconds since an origin that the owner of the clock chooses (often: since start).
///
/// ```
/// use cloverleaf_core::time::{Duration, Instant};
/// let start = Instant::from_millis(1_000);
/// assert_eq!(start + Duration::from_millis(500), Instant::from_millis(1_500));
/// assert_eq!(start - Instant::from_millis(400), Duration::from_millis(600));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);

    /// The moment `millis` milliseconds after the origin.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the origin.
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

/// A span of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Duration(u64);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of `millis` milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// A span of `secs` seconds (saturating).
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// The span in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

/// How long to wait before trying again what has failed `failures` times before this one: `first`, then twice as long
/// each time, never longer than `longest`.
///
/// ```
/// use cloverleaf_core::time::{Duration, back_off};
/// let seconds = [0, 1, 2, 3, 200].map(|failures| back_off(Duration::from_secs(1), Duration::from_secs(5), failures));
/// assert_eq!(seconds, [1, 2, 4, 5, 5].map(Duration::from_secs));
/// ```
pub const fn back_off(first: Duration, longest: Duration, failures: u32) -> Duration {
    let factor = match 1_u64.checked_shl(failures) {
        Some(factor) => factor,
        None => u64::MAX,
    };
    let span = first.0.saturating_mul(factor);
    if span < longest.0 { Duration(span) } else { longest }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of time instead of wrapping round to the past.
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// The span since `earlier`; zero when `earlier` is in fact later.
    fn sub(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Duration {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}
