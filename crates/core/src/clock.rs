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
}

/// The operating system's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
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
