//! [`Gathering`]: how long a commit waits for those whom the last one answered.
//!
//! Clients that each wait for their reply fall into two groups that take turns when a commit begins at once: each client
//! then waits for two commits, and each commit serves half of them. So it is worth waiting for the other group for as long
//! as a commit takes, if it comes. Whether it does is tried; while it does not, a commit waits a part of that time only.
//! Once it comes, that part may pass between one and the next: nobody waits for stragglers.

use std::time::{Duration, Instant};

/// The longest gathering: after a commit that took unusually long it would be felt.
const LONGEST: Duration = Duration::from_millis(10);
/// So many commits after one that waited for its whole time in vain, it is tried again.
const COMMITS_A_TRIAL: u32 = 64;

/// Whom the next commit waits for, and until when.
#[derive(Debug)]
pub(crate) struct Gathering {
    /// The part of a commit's time that is a gap; 0 = a commit never waits.
    divisor: u32,
    /// Writes handled since the last commit.
    handled: usize,
    /// Writes that waited behind the last commit. More than these are of those who come again.
    queued: usize,
    /// These, and as many as the last commit answered.
    wanted: usize,
    gap: Duration,
    until: Option<Instant>,
    last: Option<Instant>,
    /// So many commits wait for a gap only.
    until_trial: u32,
}

impl Gathering {
    pub(crate) const fn new(divisor: u32) -> Self {
        Self {
            divisor,
            handled: 0,
            queued: 0,
            wanted: 0,
            gap: Duration::ZERO,
            until: None,
            last: None,
            until_trial: 0,
        }
    }

    /// So many writes were handled. `now` is asked only where it matters.
    pub(crate) fn came(&mut self, count: usize, now: impl FnOnce() -> Instant) {
        self.handled += count;
        if self.until_trial == 0 && self.handled > self.queued && self.waits_until().is_some() {
            self.until = self.last.map(|last| last.min(now() + self.gap));
        }
    }

    /// Until when the next commit waits for more writes; `None` = they are there.
    pub(crate) fn waits_until(&self) -> Option<Instant> {
        self.until.filter(|_| self.handled < self.wanted)
    }

    /// A commit begins. How many writes are in it.
    pub(crate) fn ends(&mut self) -> usize {
        if self.until_trial > 0 {
            self.until_trial -= 1;
        } else if self.waits_until().is_some() && self.handled <= self.queued {
            self.until_trial = COMMITS_A_TRIAL;
        }
        self.until = None;
        std::mem::take(&mut self.handled)
    }

    /// A commit that took so long has ended; it answered so many writes and has so many behind it. A client alone is not
    /// waited for.
    pub(crate) fn begins(
        &mut self,
        answered: usize,
        queued: usize,
        took: Duration,
        now: impl FnOnce() -> Instant,
    ) {
        if self.divisor > 0 && answered + queued > 1 {
            self.queued = queued;
            self.wanted = answered + queued;
            let took = took.min(LONGEST);
            self.gap = took / self.divisor;
            let longest = if self.until_trial == 0 { took } else { self.gap };
            self.last = Some(now() + longest);
            self.until = self.last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_micros(800);
    const GAP: Duration = Duration::from_micros(100);

    /// How long the commit waits after one of [`TOOK`] that answered 32 writes and had 32 behind it, if those whom it
    /// answered come again after so long, one by one.
    fn waited(gathering: &mut Gathering, comes_after: &[Duration]) -> Duration {
        let start = Instant::now();
        gathering.begins(32, 32, TOOK, || start);
        gathering.came(32, || start);
        for after in comes_after {
            let at = start + *after;
            match gathering.waits_until() {
                Some(until) if at <= until => gathering.came(1, || at),
                _ => break,
            }
        }
        let last = gathering.waits_until();
        gathering.ends();
        last.map_or_else(
            || comes_after.last().copied().unwrap_or_default(),
            |until| until - start,
        )
    }

    fn evenly(count: u32, apart: Duration) -> Vec<Duration> {
        (1..=count).map(|n| apart * n).collect()
    }

    #[test]
    fn who_is_alone_or_wants_no_gathering_does_not_wait() {
        let mut gathering = Gathering::new(8);
        gathering.begins(1, 0, TOOK, Instant::now);
        assert_eq!(gathering.waits_until(), None);
        let mut never = Gathering::new(0);
        never.begins(32, 32, TOOK, Instant::now);
        assert_eq!(never.waits_until(), None);
    }

    #[test]
    fn those_who_come_are_waited_for_and_the_last_of_them_ends_it() {
        let mut gathering = Gathering::new(8);
        let late = TOOK / 2;
        let coming: Vec<_> = evenly(32, GAP / 10)
            .into_iter()
            .map(|after| late + after)
            .collect();
        for _ in 0..200 {
            assert_eq!(waited(&mut gathering, &coming), late + GAP / 10 * 32);
        }
    }

    #[test]
    fn a_straggler_is_waited_for_no_longer_than_a_gap() {
        let mut gathering = Gathering::new(8);
        for _ in 0..200 {
            assert_eq!(waited(&mut gathering, &evenly(31, GAP / 10)), GAP / 10 * 31 + GAP);
        }
    }

    #[test]
    fn no_commit_waits_longer_than_one_takes() {
        let mut gathering = Gathering::new(8);
        assert_eq!(waited(&mut gathering, &evenly(32, GAP / 2)), TOOK);
        gathering.begins(32, 32, Duration::from_secs(4), Instant::now);
        assert!(gathering.waits_until() <= Some(Instant::now() + LONGEST));
    }

    #[test]
    fn who_does_not_come_is_waited_for_as_long_as_a_commit_takes_once_in_many_commits() {
        let mut gathering = Gathering::new(8);
        for _ in 0..10 {
            assert_eq!(waited(&mut gathering, &[]), TOOK);
            for _ in 0..COMMITS_A_TRIAL {
                assert_eq!(waited(&mut gathering, &[]), GAP);
            }
        }
    }
}
