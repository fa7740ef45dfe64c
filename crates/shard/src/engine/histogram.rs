//! Latencies in logarithmic buckets that many threads may add to: eight to a doubling, so a quantile is at most 12.5 %
//! above the truth.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Buckets to a doubling, as a power of two.
const SUB_BITS: u32 = 3;
const SUB: usize = 1 << SUB_BITS;
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) * SUB;

pub(super) struct Histogram {
    counts: Box<[AtomicU64]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Histogram {
    pub(super) fn record(&self, value_ns: u64) {
        self.counts[bucket(value_ns)].fetch_add(1, Relaxed);
    }

    /// The upper end of the bucket in which the quantile lies; `None` when nothing was recorded.
    pub(super) fn quantile(&self, share: f64) -> Option<u64> {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let rank = (share * total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        counts.iter().enumerate().find_map(|(index, count)| {
            seen += count;
            (seen >= rank && *count > 0).then(|| upper_end(index))
        })
    }
}

fn bucket(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    if bits <= SUB_BITS {
        return value as usize;
    }
    let shift = bits - SUB_BITS - 1;
    // The bits below the leading one choose among the eight.
    (shift as usize + 1) * SUB + ((value >> shift) as usize - SUB)
}

fn upper_end(index: usize) -> u64 {
    if index < SUB {
        return index as u64;
    }
    let shift = index / SUB - 1;
    let next = (index % SUB + SUB + 1) as u128;
    u64::try_from((next << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for value in (0..64)
            .flat_map(|bit| [1_u64 << bit, (1 << bit) + 1, (1 << bit) - 1])
            .chain([u64::MAX])
        {
            let index = bucket(value);
            assert!(index < BUCKETS, "{value}");
            assert!(upper_end(index) >= value, "{value}");
            assert!(index == 0 || upper_end(index - 1) < value, "{value}");
        }
    }

    #[test]
    fn quantiles_are_close_from_above() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.99), None);
        (1..=1000).for_each(|value| histogram.record(value));
        let p99 = histogram.quantile(0.99).unwrap();
        assert!((990..=1120).contains(&p99), "{p99}");
    }
}
