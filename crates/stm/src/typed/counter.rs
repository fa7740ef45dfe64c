//! [`Counter`]: a number that many threads increment at once.
//!
//! It is a row of stripes, each a variable on its own cache lines; an increment goes to the calling thread's stripe, a
//! read takes them all. So increments of different threads share nothing that they write, and a read conflicts with
//! increments exactly as it would with writes of a plain variable.

use super::tx::Tx;
use crate::{
    label::Label,
    protocol::pool::{self, Line},
    transaction::Step,
};
use std::{fmt, sync::Arc, thread};

/// A number that transactions add to without conflict, whose increments scale with the threads.
///
/// ```
/// use quintet_stm::{Counter, atomically};
///
/// let hits = Counter::new();
/// atomically(|tx| tx.count(&hits, 2)).unwrap();
/// assert_eq!(hits.get(), 2);
/// ```
#[derive(Clone)]
pub struct Counter {
    stripes: Arc<Stripes>,
}

struct Stripes {
    lines: Box<[&'static Line]>,
}

impl Drop for Stripes {
    fn drop(&mut self) {
        for line in &self.lines {
            pool::give_back_line(line);
        }
    }
}

impl Counter {
    /// Stripes for each processor, so that few threads meet on one.
    const STRIPES_PER_CORE: usize = 4;
    const MOST_STRIPES: usize = 64;

    /// A counter at 0. Allocates 128 bytes a stripe, four stripes for each processor.
    #[must_use]
    pub fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let count = (cores * Self::STRIPES_PER_CORE)
            .next_power_of_two()
            .min(Self::MOST_STRIPES);
        Self {
            stripes: Arc::new(Stripes {
                lines: (0..count).map(|_| pool::take_line()).collect(),
            }),
        }
    }

    /// The sum of what has been committed. Increments that commit meanwhile may be in it or not.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.stripes
            .lines
            .iter()
            .fold(0, |sum, line| sum.wrapping_add(line.slot.bits().cast_signed()))
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.get()).finish()
    }
}

impl Tx {
    /// Adds to a counter: never conflicts with another increment.
    ///
    /// # Errors
    /// As [`write`](Self::write). A stripe beyond 64 bits fails the transaction when it commits.
    #[inline]
    pub fn count(&mut self, counter: &Counter, delta: i64) -> Step<()> {
        let lines = &counter.stripes.lines;
        let mine = Label::of_thread().as_u32() as usize & (lines.len() - 1);
        self.add(&lines[mine].slot, delta)
    }

    /// The counter's value as this transaction's level sees it, its own increments included. In safe mode the
    /// transaction then conflicts with every increment of others until it commits.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn total(&mut self, counter: &Counter) -> Step<i64> {
        let mut sum = 0_i64;
        for line in &counter.stripes.lines {
            sum = sum.wrapping_add(self.read_sum(&line.slot)?);
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isolation, TVar, Transaction};

    #[test]
    fn a_transaction_sees_its_own_increments() {
        for isolation in Isolation::ALL {
            let counter = Counter::new();
            let (before, after) = Transaction::new(isolation)
                .run(|tx| {
                    let before = tx.total(&counter)?;
                    tx.count(&counter, 3)?;
                    tx.count(&counter, -1)?;
                    Ok((before, tx.total(&counter)?))
                })
                .unwrap();
            assert_eq!((before, after, counter.get()), (0, 2, 2), "{isolation}");
        }
    }

    #[test]
    fn a_recycled_stripe_starts_at_zero() {
        let first = Counter::new();
        crate::atomically(|tx| tx.count(&first, 7)).unwrap();
        drop(first);
        assert_eq!(Counter::new().get(), 0);
    }

    #[test]
    fn variables_and_counters_keep_apart() {
        let variable = TVar::new(1_i64);
        let counter = Counter::new();
        crate::atomically(|tx| {
            tx.increment(&variable, 1)?;
            tx.count(&counter, 5)
        })
        .unwrap();
        assert_eq!((variable.get(), counter.get()), (2, 5));
    }
}
