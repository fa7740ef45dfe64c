//! Medians, spreads, and when a difference is one.
//!
//! Subjects are measured in turns, so the repetitions are pairs: what slows the machine for a while slows both of a pair.
//! A ratio is therefore the median of the pairs' ratios, and its interval is read off those.

/// The middle value; NaN of nothing.
#[must_use]
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The smallest and the largest.
#[must_use]
pub(crate) fn spread(values: &[f64]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        })
}

/// How one subject stands to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    /// The median of the pairs' ratios.
    pub median: f64,
    /// The true median ratio is above this ...
    pub low: f64,
    /// ... and below this, each with a confidence of at least 97.5 % when there are at least six pairs; with fewer, these
    /// are the smallest and the largest ratio.
    pub high: f64,
}

impl Ratio {
    /// Of `a` to `b`, repetition by repetition. `None` without a pair.
    #[must_use]
    pub(crate) fn of(a: &[f64], b: &[f64]) -> Option<Self> {
        let mut ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
        ratios.retain(|ratio| ratio.is_finite());
        ratios.sort_by(f64::total_cmp);
        let last = ratios.len().checked_sub(1)?;
        let skip = order_statistic(ratios.len());
        Some(Self {
            median: median(&ratios),
            low: ratios[skip],
            high: ratios[last - skip],
        })
    }

    /// The difference is inside the spread.
    #[must_use]
    pub(crate) fn is_tie(&self) -> bool {
        self.low <= 1.0 && 1.0 <= self.high
    }

    /// Everything in the interval is slower than `1 - tolerance`.
    #[must_use]
    pub(crate) fn is_slower_by(&self, tolerance: f64) -> bool {
        self.high < 1.0 - tolerance
    }
}

/// How many values may be left out at each end so that what is left covers the median with at least 95 %: the sign test.
fn order_statistic(n: usize) -> usize {
    // P(at most k of n coin tosses are heads) <= 2.5 %.
    let (mut below, mut term) = (0.0, 0.5_f64.powi(n as i32));
    for k in 0..n {
        below += term;
        if below > 0.025 {
            return k.saturating_sub(1);
        }
        term *= (n - k) as f64 / (k + 1) as f64;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_sign_test() {
        // The tables of the sign test: 6 takes the extremes, 15 leaves out 3 at each end, 20 leaves out 5.
        for (n, skipped) in [(1, 0), (5, 0), (6, 0), (9, 1), (15, 3), (20, 5), (25, 7)] {
            assert_eq!(order_statistic(n), skipped, "n = {n}");
        }
        let values: Vec<f64> = (1..=15).map(f64::from).collect();
        let ratio = Ratio::of(&values, &[1.0; 15]).unwrap();
        assert_eq!((ratio.low, ratio.median, ratio.high), (4.0, 8.0, 12.0));
    }

    #[test]
    fn a_difference_inside_the_spread_is_a_tie() {
        let a = [100.0, 110.0, 90.0];
        assert!(Ratio::of(&a, &[101.0, 105.0, 95.0]).unwrap().is_tie());
        assert!(!Ratio::of(&a, &[50.0, 55.0, 45.0]).unwrap().is_tie());
        assert_eq!(Ratio::of(&[], &[]), None);
    }

    #[test]
    fn an_alarm_needs_the_whole_interval() {
        let steady = [100.0; 9];
        let slower = Ratio::of(&[93.0; 9], &steady).unwrap();
        assert!(slower.is_slower_by(0.05) && !slower.is_slower_by(0.10));
        let noisy = [70.0, 130.0, 60.0, 140.0, 80.0, 120.0, 75.0, 125.0, 99.0];
        assert!(!Ratio::of(&noisy, &steady).unwrap().is_slower_by(0.05));
    }
}
