//! [`BatchController`]: the loop that owns a handler, serves every port fairly, and commits once per batch.
//!
//! One tick: adopt new ports, release what the log has made durable, collect a batch, answer its reads at once, handle
//! its writes, commit, answer what became true. Workers connect through a [`Connector`] at any time.

use crate::{
    Budget, Clock, Completion, Connector, Controller, Deadline, Doorbell, Message, MessageHandler, Parker,
    Request, Result, Tick, gathering::Gathering, pipeline::Pipeline, port::Registry, primitive::Arc,
    switchboard::Switchboard,
};
use std::{num::NonZeroUsize, time::Duration};

/// How a [`BatchController`] paces itself.
#[derive(Clone, Copy, Debug)]
pub struct BatchConfig {
    /// The least time between two commits; writes handled meanwhile share the next one. Default 0: a commit in progress
    /// already collects the next batch. Raising it trades write latency for fewer commits.
    pub commit_spacing: Duration,
    /// For handlers whose commits block: the next commit waits for those whom the last one answered, so that clients that
    /// ask again at once share commits instead of taking turns. It waits as long as that commit took, and 10 ms at the most;
    /// once somebody came, until nobody does for this part of that time, 8 being an eighth; and only until as many writes
    /// are there as were answered or came meanwhile. Where nobody came in that time, 64 commits wait this part of it only. A
    /// client alone never waits. Default 0: no wait.
    pub gather_divisor: u32,
    /// How many items one call of [`MessageHandler::maintain`] may touch. Default 256.
    pub maintain_items: NonZeroUsize,
    /// A busy controller calls `maintain` once in so many ticks. Default 64.
    pub ticks_per_maintain: NonZeroUsize,
    /// How many requests one tick takes when [`BatchController::run`] drives it. Default 1024.
    pub budget_messages: NonZeroUsize,
}

impl Default for BatchConfig {
    fn default() -> Self {
        const fn count(n: usize) -> NonZeroUsize {
            NonZeroUsize::new(n).expect("a positive constant")
        }
        Self {
            commit_spacing: Duration::ZERO,
            gather_divisor: 0,
            maintain_items: count(256),
            ticks_per_maintain: count(64),
            budget_messages: count(1024),
        }
    }
}

/// The owner of one [`MessageHandler`] and the server of any number of ports.
///
/// ```
/// use quintet_core::{fake::{FakeHandler, FakeQueue}, *};
/// use std::{num::NonZeroUsize, sync::Arc};
///
/// let clock: Arc<dyn Clock> = Arc::new(SystemClock);
/// let mut controller = BatchController::new(FakeHandler::new(), clock, Doorbell::silent(), BatchConfig::default());
/// let credits = NonZeroUsize::new(8).unwrap();
/// let mut worker = controller.connector().connect::<FakeQueue>(credits, Doorbell::silent()).unwrap();
///
/// worker.submit(Keyed::Put { key: b"k".to_vec(), value: b"v".to_vec() }).unwrap();
/// worker.flush().unwrap();
/// controller.tick(credits).unwrap();
/// let mut done = Vec::new();
/// worker.reap(&mut done, 8).unwrap();
/// assert_eq!(done[0].result.as_ref().unwrap(), &KeyedReply::Stored);
/// ```
pub struct BatchController<M: Message, H: MessageHandler<M>> {
    pipeline: Pipeline<M, H>,
    switchboard: Switchboard<M>,
    registry: Arc<Registry<M>>,
    clock: std::sync::Arc<dyn Clock>,
    config: BatchConfig,
    reads: Vec<Request<M>>,
    writes: Vec<Request<M>>,
    ready: Vec<Completion<M>>,
    next_commit: Option<Deadline>,
    gathering: Gathering,
    next_maintain: Option<Deadline>,
    /// Messages came since `maintain` last said when it wants to run; they may have changed that.
    maintain_is_stale: bool,
    ticks_since_maintain: usize,
    closed: bool,
}

impl<M: Message, H: MessageHandler<M>> BatchController<M, H> {
    /// A controller without ports. `doorbell` is its own: workers ring it after they queued requests, and
    /// [`run`](Self::run) must be given the [`Parker`] it came from.
    #[must_use]
    pub fn new(
        handler: H,
        clock: std::sync::Arc<dyn Clock>,
        doorbell: Doorbell,
        config: BatchConfig,
    ) -> Self {
        let next_maintain = Some(Deadline(clock.now()));
        Self {
            pipeline: Pipeline::new(handler),
            switchboard: Switchboard::new(),
            registry: Registry::new(doorbell),
            clock,
            config,
            reads: Vec::new(),
            writes: Vec::new(),
            ready: Vec::new(),
            next_commit: None,
            gathering: Gathering::new(config.gather_divisor),
            next_maintain,
            maintain_is_stale: false,
            ticks_since_maintain: 0,
            closed: false,
        }
    }

    /// What makes connections to this controller.
    #[must_use]
    pub fn connector(&self) -> Connector<M> {
        Connector::new(Arc::clone(&self.registry))
    }

    /// The handler, to inspect it between ticks.
    pub fn handler(&self) -> &H {
        &self.pipeline.handler
    }

    /// The handler, to change its knobs between ticks.
    pub fn handler_mut(&mut self) -> &mut H {
        &mut self.pipeline.handler
    }

    /// Ticks until [`Connector::stop`], sleeping on `parker` when there is nothing to do, then shuts down.
    ///
    /// # Errors
    /// What [`Controller::shutdown`] answers.
    pub fn run(&mut self, parker: &Parker) -> Result<()> {
        loop {
            match self.tick(self.config.budget_messages)? {
                Tick::Closed => return Ok(()),
                Tick::Worked(_) if !self.registry.stopping() => {}
                Tick::Worked(_) | Tick::Idle => {
                    if self.registry.stopping() {
                        return self.shutdown();
                    }
                    let timeout = self
                        .next_deadline()
                        .map(|due| due.0.saturating_duration_since(self.clock.now()));
                    parker.wait(|| self.has_work(), timeout);
                }
            }
        }
    }

    /// Whether a tick would do something now. May ask the handler how far its log is.
    pub fn has_work(&mut self) -> bool {
        self.registry.has_news()
            || self.registry.stopping()
            || self.switchboard.has_work()
            || self.pipeline.can_settle()
    }

    /// When a tick is due although nobody asked for anything: a spaced commit or maintenance.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Deadline> {
        let commit = if self.pipeline.is_dirty() {
            self.next_commit.max(self.gathering.waits_until().map(Deadline))
        } else {
            None
        };
        match (commit, self.next_maintain) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Sends what is in `ready` to its askers and returns how many that were.
    fn reply(&mut self) -> usize {
        let count = self.ready.len();
        self.switchboard.reply(&mut self.ready);
        count
    }

    fn adopt(&mut self) {
        for port in self.registry.take_new() {
            self.switchboard.add(port);
        }
    }

    fn settle(&mut self) -> usize {
        // A failed flush is told to those who waited for it; the handler refuses what comes after.
        let _told = self.pipeline.settle(&mut self.ready);
        self.reply()
    }

    fn commit(&mut self) -> Result<()> {
        let answered = self.gathering.ends();
        let begun = self.clock.now();
        let result = self.pipeline.commit(&mut self.ready);
        let took = self.clock.now().saturating_duration_since(begun);
        let queued = self.switchboard.queued();
        self.reply();
        self.gathering.begins(answered, queued, took, || self.clock.now());
        if !self.config.commit_spacing.is_zero() {
            self.next_commit = Some(Deadline::after(&*self.clock, self.config.commit_spacing));
        }
        result
    }

    /// Answers the reads that were collected and handles the writes.
    fn serve(&mut self) {
        self.maintain_is_stale |= !(self.reads.is_empty() && self.writes.is_empty());
        if !self.reads.is_empty() {
            self.pipeline.read(&mut self.reads, &mut self.ready);
            self.reply();
        }
        if !self.writes.is_empty() {
            self.gathering.came(self.writes.len(), || self.clock.now());
            let switchboard = &self.switchboard;
            self.pipeline.write(&mut self.writes, &mut self.ready, |done| {
                switchboard.awaits(done.id)
            });
            self.reply();
        }
    }

    fn maintain_if_due(&mut self, idle: bool) {
        self.ticks_since_maintain += 1;
        let share = self.ticks_since_maintain >= self.config.ticks_per_maintain.get();
        let due = self.maintain_is_stale || self.next_maintain.is_some_and(|due| due.is_due(&*self.clock));
        if (idle && due) || (!idle && share) {
            self.ticks_since_maintain = 0;
            self.maintain_is_stale = false;
            let budget = Budget {
                items: self.config.maintain_items,
            };
            self.next_maintain = self.pipeline.handler.maintain(budget);
        }
    }
}

impl<M: Message, H: MessageHandler<M>> Drop for BatchController<M, H> {
    /// Also without a shutdown, as when a handler panics, nobody may wait for a controller that is gone: ports that it
    /// had not yet adopted go with it, and later connections are refused.
    fn drop(&mut self) {
        drop(self.registry.close());
    }
}

impl<M: Message, H: MessageHandler<M>> Controller for BatchController<M, H> {
    fn tick(&mut self, budget_messages: NonZeroUsize) -> Result<Tick> {
        if self.closed {
            return Ok(Tick::Closed);
        }
        self.adopt();
        let mut worked = self.switchboard.retry_replies();
        worked += self.settle();
        let budget = budget_messages.get();
        worked += self
            .switchboard
            .collect(budget, &mut self.reads, &mut self.writes);
        self.serve();
        let wait = self.next_commit.max(self.gathering.waits_until().map(Deadline));
        let waits = wait.is_some_and(|due| !due.is_due(&*self.clock));
        if self.pipeline.is_dirty() && !waits {
            worked += 1;
            // The askers were told; an unusable handler says so to each later request too.
            let _told = self.commit();
        }
        self.maintain_if_due(worked == 0);
        Ok(NonZeroUsize::new(worked).map_or(Tick::Idle, Tick::Worked))
    }

    fn shutdown(&mut self) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        self.closed = true;
        self.adopt();
        for port in self.registry.close() {
            self.switchboard.add(port);
        }
        // One pass over what is queued now. A request that arrives later is answered `Closed` by its own worker.
        self.switchboard.collect_queued(&mut self.reads, &mut self.writes);
        self.serve();
        let committed = if self.pipeline.is_dirty() {
            self.commit()
        } else {
            Ok(())
        };
        let parker = Parker::new();
        let mut flushed = Ok(());
        while self.pipeline.is_pending() {
            if !self.pipeline.can_settle() {
                // The log wakes this thread's own bell; a nap bounds the wait when it is another's.
                parker.wait(|| self.pipeline.can_settle(), Some(Duration::from_micros(200)));
            }
            flushed = self.pipeline.settle(&mut self.ready);
            self.reply();
        }
        self.switchboard.close();
        committed.and(flushed)
    }
}
