//! [`Pool`]: worker threads that run jobs for callers who must not block. Reads of a server go here.
//!
//! Jobs wait in a bounded queue by priority. The pool grows while jobs wait too long and shrinks when workers idle, between
//! bounds. A job whose deadline passed, or whose caller is gone, is not begun. Nothing here knows of trees.

mod metrics;
mod queue;
mod task;
mod worker;

pub use metrics::{PoolStats, PriorityStats, Spread};
pub use task::Task;

use crate::{TreeError, config::within};
use metrics::Metrics;
use queue::{Job, Queues};
use quintet_core::{Clock, Deadline};
use std::{
    num::NonZeroUsize,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Which jobs come first. A lower one is taken out of turn now and then, so that none starves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Health and administration.
    Control,
    /// Reads of single documents.
    Read,
    /// What prepares writes.
    Write,
    /// Export, large scans.
    Bulk,
}

impl Priority {
    /// Every priority, first to last.
    pub const ALL: [Self; 4] = [Self::Control, Self::Read, Self::Write, Self::Bulk];
}

/// The settings of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Workers that are always there. Default: one per CPU; 1 to 1024.
    pub min_workers: usize,
    /// The most there may be. Default: four per CPU; `min_workers` to 1024.
    pub max_workers: usize,
    /// How many jobs of each priority may wait. Default 4096; 1 to 1,048,576.
    pub queue_jobs: usize,
    /// A job that waited longer calls for another worker. Default 5 ms; at most 60 s.
    pub grow_after: Duration,
    /// A worker beyond the least that idled so long ends. Default 10 s; 1 ms to 1 h.
    pub shrink_after: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        let cpus = thread::available_parallelism()
            .map_or(1, NonZeroUsize::get)
            .min(256);
        Self {
            min_workers: cpus,
            max_workers: 4 * cpus,
            queue_jobs: 4096,
            grow_after: Duration::from_millis(5),
            shrink_after: Duration::from_secs(10),
        }
    }
}

impl PoolConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`TreeError::Config`] that names the field, its value and the bound.
    pub fn validate(&self) -> Result<(), TreeError> {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        within("pool.min_workers", self.min_workers as u64, 1, 1024)?;
        within(
            "pool.max_workers",
            self.max_workers as u64,
            self.min_workers as u64,
            1024,
        )?;
        within("pool.queue_jobs", self.queue_jobs as u64, 1, 1 << 20)?;
        within("pool.grow_after", ms(self.grow_after), 0, 60_000)?;
        within("pool.shrink_after", ms(self.shrink_after), 1, 3_600_000)
    }
}

/// A pool of workers. Dropping it drains it.
pub struct Pool {
    shared: Arc<Shared>,
}

/// What workers and callers share.
struct Shared {
    config: PoolConfig,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// A job came, or the pool drains.
    work: Condvar,
    /// A worker ended.
    ended: Condvar,
    metrics: Metrics,
}

struct State {
    queues: Queues,
    workers: usize,
    idle: usize,
    draining: bool,
    threads: Vec<JoinHandle<()>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// Starts the least number of workers.
    ///
    /// # Errors
    /// [`TreeError::Config`]; what the system answers.
    pub fn start(config: PoolConfig, clock: Arc<dyn Clock>) -> Result<Self, TreeError> {
        config.validate()?;
        let state = State {
            queues: Queues::new(config.queue_jobs),
            workers: 0,
            idle: 0,
            draining: false,
            threads: Vec::new(),
        };
        let shared = Arc::new(Shared {
            metrics: Metrics::new(clock.now()),
            config,
            clock,
            state: Mutex::new(state),
            work: Condvar::new(),
            ended: Condvar::new(),
        });
        let pool = Self { shared };
        for _ in 0..config.min_workers {
            worker::spawn(&pool.shared, &mut pool.shared.state())?;
        }
        Ok(pool)
    }

    /// Queues a job. It is not begun once `deadline` has passed or the task was dropped. Never blocks; allocates.
    ///
    /// # Errors
    /// [`TreeError::Busy`] when as many of this priority wait as may; [`TreeError::Closed`] when the pool drains.
    pub fn run<T: Send + 'static>(
        &self,
        priority: Priority,
        deadline: Option<Deadline>,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Task<T>, TreeError> {
        let (task, slot) = task::pair();
        let job = Job {
            queued: self.shared.clock.now(),
            deadline,
            work: Box::new(slot.work(job)),
        };
        let mut state = self.shared.state();
        if state.draining {
            return Err(TreeError::Closed);
        }
        if !state.queues.push(priority, job) {
            drop(state);
            self.shared.metrics.refused(priority);
            return Err(TreeError::Busy {
                what: "the pool's queue is full",
            });
        }
        if state.idle == 0 {
            self.grow_if_late(&mut state);
        }
        drop(state);
        self.shared.work.notify_one();
        Ok(task)
    }

    /// One more worker when the oldest job has waited too long.
    fn grow_if_late(&self, state: &mut State) {
        let now = self.shared.clock.now();
        let late = state
            .queues
            .oldest()
            .is_some_and(|queued| now.saturating_duration_since(queued) >= self.shared.config.grow_after);
        if late {
            worker::grow(&self.shared, state);
        }
    }

    /// What the pool has done so far.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let (workers, idle, waiting) = {
            let state = self.shared.state();
            (state.workers, state.idle, state.queues.lens())
        };
        self.shared
            .metrics
            .read(workers, idle, waiting, self.shared.clock.now())
    }

    /// Refuses new jobs, lets queued ones finish, and ends the workers. Jobs that are not begun within `patience` are
    /// dropped: their tasks answer [`TreeError::Closed`]. Returns whether all were begun. Blocks.
    pub fn drain(&self, patience: Duration) -> bool {
        let mut state = self.shared.state();
        state.draining = true;
        self.shared.work.notify_all();
        let wait = self.shared.ended.wait_timeout_while(state, patience, |state| {
            !state.queues.is_empty() && state.workers > 0
        });
        state = wait.unwrap_or_else(PoisonError::into_inner).0;
        let dropped = state.queues.take_all();
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        self.shared.work.notify_all();
        let all_begun = dropped.is_empty();
        drop(dropped);
        for thread in threads {
            // A worker catches what its jobs throw.
            let _ended = thread.join();
        }
        all_begun
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.drain(Duration::from_secs(60));
    }
}
