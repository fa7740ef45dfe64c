//! What a loop has whatever backend moves its bytes: the driver, the clock, the wake-up and the orders of other threads.
//!
//! The backends own sockets and call the kernel; how long a loop may sleep, when it drains and when it ends is decided
//! here, once.

use crate::{
    Driver, LoopConfig, LoopContext, LoopStats, Protocol,
    event_loop::{
        control::{Control, Orders},
        waker::{Bell, LoopWaker},
    },
};
use quintet_core::{Clock, Doorbell, Result};
use std::{
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

/// The shared half of a loop.
pub(crate) struct Worker<P: Protocol> {
    pub(crate) driver: Driver<P>,
    pub(crate) config: LoopConfig,
    pub(crate) stats: Arc<LoopStats>,
    clock: Arc<dyn Clock>,
    waker: Arc<LoopWaker>,
    doorbell: Doorbell,
    orders: Arc<Orders>,
    draining: bool,
}

impl<P: Protocol> Worker<P> {
    /// # Errors
    /// As [`LoopConfig::validate`], and what `protocol` returns.
    pub(crate) fn new(
        bell: Bell,
        config: LoopConfig,
        clock: Arc<dyn Clock>,
        protocol: impl FnOnce(&LoopContext) -> Result<P>,
    ) -> Result<Self> {
        let waker = Arc::new(LoopWaker::new(bell));
        let context = LoopContext::new(Waker::from(Arc::clone(&waker)));
        let mut driver = Driver::new(protocol(&context)?, config)?;
        let stats = Arc::<LoopStats>::default();
        driver.set_stats(Arc::clone(&stats));
        Ok(Self {
            driver,
            config,
            stats,
            clock,
            orders: Arc::new(Orders::new(Arc::clone(&waker))),
            waker,
            doorbell: context.doorbell(),
            draining: false,
        })
    }

    pub(crate) fn control(&self) -> Control {
        Control::new(Arc::clone(&self.orders))
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Arms both wake-ups, looks for work once more, and says how long the backend may sleep: not at all when there is
    /// work, for ever (`None`) when nothing is due. `busy` and `resumes` are the backend's own work and deadline.
    pub(crate) fn arm(&mut self, busy: bool, resumes: Option<Instant>) -> Option<Duration> {
        let rung = self.waker.arm();
        self.doorbell.arm();
        let timeout = if rung || busy || self.driver.protocol().has_work() {
            Some(Duration::ZERO)
        } else {
            self.next_deadline(resumes)
                .map(|at| at.saturating_duration_since(self.clock.now()))
        };
        if timeout != Some(Duration::ZERO) {
            self.stats.sleeps.add(1);
        }
        timeout
    }

    /// After the sleep that [`arm`](Self::arm) prepared, also when it failed.
    pub(crate) fn disarm(&mut self) {
        self.doorbell.disarm();
        self.waker.disarm();
        self.waker.take_rung();
    }

    fn next_deadline(&mut self, resumes: Option<Instant>) -> Option<Instant> {
        let drain = if self.draining {
            self.orders.drain_until()
        } else {
            None
        };
        [self.driver.next_deadline(), drain, resumes]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether another thread asked for the end of accepting.
    pub(crate) fn must_stop_accepting(&self) -> bool {
        self.orders.stop_accepting()
    }

    /// Begins the drain if it was asked for; to be called once the listening socket is closed.
    pub(crate) fn drain_if_asked(&mut self, now: Instant) {
        if !self.draining && self.orders.drain_until().is_some() {
            self.draining = true;
            self.driver.drain(now);
        }
    }

    /// Whether there is another turn. Asked last, so that a turn which ended the last connection ends the loop too.
    pub(crate) fn goes_on(&self, now: Instant) -> bool {
        self.orders
            .drain_until()
            .is_none_or(|until| now < until && (!self.draining || self.driver.connections() > 0))
    }
}
