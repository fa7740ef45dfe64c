//! Counts by powers of two: how batches and waits are distributed, for one writer and any number of readers.
//!
//! Bucket `i` counts the values of at most `2^i` that no smaller bucket counts, the last one all that are larger. Filled by
//! the controller's meter, shown by the port.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// `N` buckets.
#[derive(Debug)]
pub(crate) struct Histogram<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; N])
    }
}

impl<const N: usize> Histogram<N> {
    /// Only one thread calls this, so a load and a store do.
    pub(crate) fn record(&self, value: u64) {
        let bits = u64::BITS - value.saturating_sub(1).leading_zeros();
        if let Some(bucket) = self.0.get((bits as usize).min(N - 1)) {
            bucket.store(bucket.load(Relaxed) + 1, Relaxed);
        }
    }

    pub(crate) fn read(&self) -> [u64; N] {
        std::array::from_fn(|bucket| self.0[bucket].load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    #[test]
    fn each_value_is_in_the_bucket_of_the_next_power_of_two() {
        let histogram = Histogram::<5>::default();
        for value in [0, 1, 2, 3, 4, 5, 8, 9, u64::MAX] {
            histogram.record(value);
        }
        assert_eq!(histogram.read(), [2, 1, 2, 2, 2]);
    }
}
