//! Time, read through a trait so that a test can hold it still.
//!
//! Nothing in the workspace calls `Instant::now` for a decision: expiry, deadlines, flush intervals and commit spacing
//! all ask the [`Clock`] they were opened with. The fake, `ManualClock`, is in [`crate::fake`].

use std::time::{Duration, Instant, SystemTime};

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Never goes back. For deadlines and intervals.
    fn now(&self) -> Instant;

    /// The time of day, which may jump. For timestamps that people read or that outlive the process.
    fn wall(&self) -> SystemTime;

    /// The time of day as it was at the system's last tick: never ahead of [`wall`](Self::wall) and at most 10 ms behind it,
    /// for a fraction of the price. For what is asked with every read, such as whether a key has expired. Who has none
    /// answers the exact time.
    fn wall_coarse(&self) -> SystemTime {
        self.wall()
    }
}

/// The operating system's clocks. Its coarse time needs the feature `rustix`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    #[cfg(all(feature = "rustix", target_os = "linux"))]
    fn wall_coarse(&self) -> SystemTime {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        let since = u64::try_from(time.tv_sec)
            .ok()
            .zip(u32::try_from(time.tv_nsec).ok());
        // Before 1970 there is no use for a coarse time.
        since.map_or_else(SystemTime::now, |(secs, nanos)| {
            SystemTime::UNIX_EPOCH + Duration::new(secs, nanos)
        })
    }
}

/// An instant at which something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// `delay` from now.
    #[must_use]
    pub fn after(clock: &dyn Clock, delay: Duration) -> Self {
        Self(clock.now() + delay)
    }

    /// Whether it has come.
    #[must_use]
    pub fn is_due(self, clock: &dyn Clock) -> bool {
        clock.now() >= self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_time_is_behind_the_time_and_not_far() {
        for _ in 0..1000 {
            let before = SystemClock.wall();
            let coarse = SystemClock.wall_coarse();
            assert!(coarse <= SystemClock.wall(), "{coarse:?} is ahead");
            // Ticks come late where others have the processor.
            assert!(
                coarse + Duration::from_secs(1) >= before,
                "{coarse:?} is behind {before:?}"
            );
        }
    }
}
