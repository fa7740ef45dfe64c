//! [`Courtesy`]: whether a thread that waits gives its core away between looks.
//!
//! With more threads than cores, who waits often holds the very core that the answer needs, so giving it away brings the
//! answer. Beside work that never ends it is a bad trade: the core comes back a time slice later, while a thread that sleeps
//! is let in at once when it is woken. Nobody says beforehand which of the two a machine is like, so it is tried, and what
//! goes wrong is bounded: in the long run one wait in [`WAITS_A_LOSS`] loses its core for long. Called by
//! [`Parker`](crate::Parker).

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// A core that was given away and comes back only after so long went to work that never waits.
const LATE: Duration = Duration::from_millis(1);
/// Each core that is lost is paid for with so many waits, fewer than the hundredth that a p99 shows even when a caller and
/// its shard both lose theirs.
const WAITS_A_LOSS: u32 = 1024;
/// So many losses may come one after the other, after as many waits as pay for them.
const SAVED_LOSSES: u32 = 4;

/// The account of one waiting thread, which alone uses it.
#[derive(Debug)]
pub(crate) struct Courtesy {
    /// Waits that pay for losses to come.
    saved: AtomicU32,
}

impl Courtesy {
    /// One loss may come at once.
    pub(crate) const fn new() -> Self {
        Self {
            saved: AtomicU32::new(WAITS_A_LOSS),
        }
    }

    /// A wait begins. Whether it may give its core away.
    pub(crate) fn begin(&self) -> bool {
        let saved = (self.saved.load(Ordering::Relaxed) + 1).min(SAVED_LOSSES * WAITS_A_LOSS);
        self.saved.store(saved, Ordering::Relaxed);
        saved > WAITS_A_LOSS
    }

    /// The core was away for so long. Whether it may be given away again in this wait.
    pub(crate) fn was_away(&self, away: Duration) -> bool {
        if away < LATE {
            return true;
        }
        let saved = self.saved.load(Ordering::Relaxed);
        self.saved
            .store(saved.saturating_sub(WAITS_A_LOSS), Ordering::Relaxed);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `waits` lose their core, when each gift is a loss.
    fn losses(courtesy: &Courtesy, waits: u32) -> u32 {
        let mut losses = 0;
        for _ in 0..waits {
            if courtesy.begin() {
                assert!(!courtesy.was_away(LATE), "not again after a loss");
                losses += 1;
            }
        }
        losses
    }

    #[test]
    fn beside_work_that_never_ends_one_wait_in_many_loses_its_core() {
        let courtesy = Courtesy::new();
        assert_eq!(losses(&courtesy, 1), 1, "it is tried");
        assert_eq!(losses(&courtesy, 100 * WAITS_A_LOSS), 100);
    }

    #[test]
    fn what_comes_back_soon_is_given_away_again() {
        let courtesy = Courtesy::new();
        for _ in 0..10 * WAITS_A_LOSS {
            assert!(courtesy.begin());
            assert!(courtesy.was_away(LATE - Duration::from_nanos(1)));
        }
        let lost = losses(&courtesy, WAITS_A_LOSS / 2);
        assert_eq!(
            lost, SAVED_LOSSES,
            "a quiet past pays for some losses, not for any number"
        );
    }

    #[test]
    fn when_the_other_work_has_ended_it_is_given_away_as_before() {
        let courtesy = Courtesy::new();
        losses(&courtesy, 10 * WAITS_A_LOSS);
        let waits = (0..=WAITS_A_LOSS).take_while(|_| !courtesy.begin()).count();
        assert!(waits < WAITS_A_LOSS as usize);
        assert!((0..1000).all(|_| courtesy.begin() && courtesy.was_away(Duration::ZERO)));
    }
}
