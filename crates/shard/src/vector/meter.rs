//! Counting memory and disk where they are held: a [`Charge`] is part of what it counts, and ends with it, wherever that is
//! held last: by a shard, by the graph, or by a search that is still going on.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// A sum of bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<AtomicU64>);

impl Meter {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn charge(&self, bytes: u64) -> Charge {
        let mut charge = Charge {
            meter: self.clone(),
            bytes: 0,
        };
        charge.add(bytes);
        charge
    }
}

/// A part of a meter's sum.
#[derive(Debug)]
#[must_use = "dropping it takes it out of the sum"]
pub(crate) struct Charge {
    meter: Meter,
    bytes: u64,
}

impl Charge {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.meter.0.fetch_add(bytes, Relaxed);
    }

    /// At most what it has.
    pub(crate) fn take(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.meter.0.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.meter.0.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_counts_while_it_lives() {
        let meter = Meter::default();
        let mut one = meter.charge(7);
        let two = meter.charge(5);
        one.add(3);
        one.take(4);
        assert_eq!(meter.bytes(), 11);
        one.take(100);
        drop(two);
        assert_eq!(meter.bytes(), 0);
    }
}
