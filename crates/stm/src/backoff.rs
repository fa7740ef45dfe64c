//! [`Backoff`]: how long a transaction that lost waits before it tries again.
//!
//! The bound doubles with every loss and the wait is random below it, so two rivals drift apart. No timed sleeps: after
//! a few losses the wait is giving the processor away, after [`Backoff::PATIENCE`] it is a ticket.

use std::cell::Cell;

thread_local! {
    /// A xorshift state. Quality does not matter, only that threads differ.
    static RANDOM: Cell<u64> = const { Cell::new(0) };
}

#[derive(Debug, Default)]
pub(crate) struct Backoff {
    losses: u32,
}

impl Backoff {
    /// Losses after which a transaction takes a ticket.
    pub(crate) const PATIENCE: u32 = 8;
    const FIRST_SPINS: u64 = 32;
    const LOSSES_BEFORE_YIELD: u32 = 4;

    /// One more loss: waits. Answers true when the next attempt should hold a ticket.
    pub(crate) fn lost(&mut self) -> bool {
        self.losses += 1;
        if self.losses >= Self::PATIENCE {
            return true;
        }
        let spins = random() % (Self::FIRST_SPINS << self.losses);
        for _ in 0..spins {
            std::hint::spin_loop();
        }
        if self.losses >= Self::LOSSES_BEFORE_YIELD {
            std::thread::yield_now();
        }
        false
    }
}

fn random() -> u64 {
    RANDOM.with(|state| {
        let mut x = state.get();
        if x == 0 {
            x = u64::from(crate::label::Label::of_thread().as_u32()) << 17 | 1;
        }
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        x
    })
}
