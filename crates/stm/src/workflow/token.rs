//! [`CancelToken`]: ends a run from outside; and [`StepToken`], which decides between a step that is about to commit and
//! one who wants it to end.
//!
//! A step is open, claimed or stopped. It claims itself right before its commit; who wants it to end stops it. Both are
//! one compare-and-swap from `OPEN`, so that exactly one wins: a step that was reported as ended never commits.

use crate::{Error, Result, primitive::lock, process::Watch};
use quintet_core::{Clock, Doorbell};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

/// Ends a run: nothing more starts, and what runs is undone. Clones are the same token.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    shared: Arc<Cancelled>,
}

#[derive(Debug, Default)]
struct Cancelled {
    cancelled: AtomicBool,
    bell: Mutex<Option<Doorbell>>,
}

impl CancelToken {
    /// A token nobody has used.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every run that has it. From any thread, at any time.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Release);
        if let Some(bell) = &*lock(&self.shared.bell) {
            bell.ring();
        }
    }

    /// Whether it was used.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::Acquire)
    }

    /// Who is to be woken.
    pub(super) fn listen(&self, bell: Doorbell) {
        *lock(&self.shared.bell) = Some(bell);
    }
}

const OPEN: u8 = 0;
const CLAIMED: u8 = 1;
const STOPPED: u8 = 2;

/// One attempt at a step.
pub(super) struct StepToken {
    state: AtomicU8,
    cancel: CancelToken,
    /// When it must be done, with the limit that this comes from.
    deadline: Option<(Instant, Duration)>,
    clock: Arc<dyn Clock>,
}

impl StepToken {
    pub(super) fn new(
        cancel: CancelToken,
        deadline: Option<(Instant, Duration)>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            state: AtomicU8::new(OPEN),
            cancel,
            deadline,
            clock,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.map(|(at, _)| at)
    }

    /// What it ends with when its time is up.
    pub(super) fn too_late(&self) -> Error {
        let limit = self.deadline.map_or(Duration::ZERO, |(_, limit)| limit);
        Error::DeadlinePassed {
            limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Ends the step, unless it is about to commit.
    pub(super) fn stop(&self) -> bool {
        self.state
            .compare_exchange(OPEN, STOPPED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

impl Watch for StepToken {
    fn begin(&self) -> Result<()> {
        // The former attempt lost a conflict after it had claimed the step.
        let _open_again = self
            .state
            .compare_exchange(CLAIMED, OPEN, Ordering::AcqRel, Ordering::Acquire);
        self.check()
    }

    fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if self.deadline.is_some_and(|(at, _)| self.clock.now() >= at) {
            return Err(self.too_late());
        }
        match self.state.load(Ordering::Acquire) {
            STOPPED => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }

    fn claim(&self) -> Result<()> {
        self.check()?;
        match self
            .state
            .compare_exchange(OPEN, CLAIMED, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Cancelled),
        }
    }
}
