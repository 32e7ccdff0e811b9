//! Exact fractions: a signal set writes its factors as decimals, and `58` tenths are not `5.8` in binary.

/// A fraction in lowest terms with a positive denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rational {
    numerator: i128,
    denominator: i128,
}

impl Rational {
    pub(super) const ZERO: Self = Self::integer(0);
    pub(super) const ONE: Self = Self::integer(1);

    pub(super) const fn integer(value: i128) -> Self {
        Self { numerator: value, denominator: 1 }
    }

    /// `numerator / denominator`; `None` if the denominator is zero or the fraction leaves 128 bits.
    pub(super) fn new(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 {
            return None;
        }
        let divisor = gcd(numerator.unsigned_abs(), denominator.unsigned_abs());
        let divisor = i128::try_from(divisor).ok()?.checked_mul(denominator.signum())?;
        Some(Self {
            numerator: numerator.checked_div(divisor)?,
            denominator: denominator.checked_div(divisor)?,
        })
    }

    /// The decimal that `value` prints as: `0.1` is one tenth, not the nearest binary fraction.
    pub(super) fn from_decimal(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let text = format!("{value}");
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let denominator = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        Self::new(format!("{whole}{fraction}").parse().ok()?, denominator)
    }

    pub(super) fn checked_add(self, other: Self) -> Option<Self> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        Self::new(left.checked_add(right)?, self.denominator.checked_mul(other.denominator)?)
    }

    pub(super) fn checked_mul(self, other: Self) -> Option<Self> {
        // Cross-cancelling first keeps the products small.
        let a = Self::new(self.numerator, other.denominator)?;
        let b = Self::new(other.numerator, self.denominator)?;
        Self::new(a.numerator.checked_mul(b.numerator)?, a.denominator.checked_mul(b.denominator)?)
    }

    pub(super) fn checked_div(self, other: Self) -> Option<Self> {
        self.checked_mul(Self::new(other.denominator, other.numerator)?)
    }

    /// The value if it is whole and fits.
    pub(super) fn to_integer(self) -> Option<i64> {
        if self.denominator == 1 { i64::try_from(self.numerator).ok() } else { None }
    }

    /// The nearest binary fraction (correctly rounded while both parts are below 2⁵³).
    pub(super) fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

impl PartialOrd for Rational {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        let exact = || {
            let left = self.numerator.checked_mul(other.denominator)?;
            Some(left.cmp(&other.numerator.checked_mul(self.denominator)?))
        };
        exact().or_else(|| self.to_f64().partial_cmp(&other.to_f64()))
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(value: f64) -> Rational {
        Rational::from_decimal(value).expect("a finite decimal")
    }

    #[test]
    fn decimals_are_read_as_they_are_written() {
        assert_eq!(decimal(0.1), Rational::new(1, 10).unwrap());
        assert_eq!(decimal(-327.68), Rational::new(-8192, 25).unwrap());
        assert_eq!(decimal(2229.08163265), Rational::new(222_908_163_265, 100_000_000).unwrap());
        assert_eq!(decimal(4_294_967_295.0), Rational::integer(4_294_967_295));
        assert_eq!(Rational::from_decimal(f64::NAN), None);
        assert_eq!(Rational::from_decimal(1e300), None, "it leaves 128 bits");
        assert_eq!(Rational::from_decimal(1e-300), None);
    }

    #[test]
    fn arithmetic_is_exact() {
        let tenth = decimal(0.1);
        let sum = (0..10).try_fold(Rational::ZERO, |sum, _| sum.checked_add(tenth));
        assert_eq!(sum, Some(Rational::ONE));
        assert_eq!(Rational::integer(13).checked_div(Rational::integer(-26)), Rational::new(-1, 2));
        assert_eq!(Rational::ONE.checked_div(Rational::ZERO), None);
        assert!(Rational::new(1, 3) < Rational::new(1, 2));
    }

    #[test]
    fn overflow_is_none_and_comparison_still_orders() {
        let huge = Rational::integer(i128::MAX);
        assert_eq!(huge.checked_add(Rational::ONE), None);
        assert_eq!(Rational::new(i128::MIN, -1), None);
        assert!(huge > Rational::new(i128::MAX, 3).unwrap());
    }
}
