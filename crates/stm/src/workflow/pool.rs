//! [`Pool`]: threads that run steps, each a controller of `quintet-core` over a handler that runs what it is sent.
//!
//! A run connects to each thread with one credit, so that no step of it waits behind another while a thread is free. A
//! step that is alone, with no other to run beside it, runs on the thread that drives the run, by `Inline`: handing it
//! over would cost more than most steps do.

use super::token::StepToken;
use crate::{ChangeSet, Context, Error, How, Outcome, workflow::plan::Job};
use quintet_core::{
    BatchConfig, BatchController, Clock, Commit, Connector, Doorbell, Inline, Message, MessageHandler,
    Parker, QueueWorker, SystemClock, rtrb_queue::RtrbQueue,
};
use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

/// One attempt at a step, on its way to a thread.
pub(super) struct Task {
    pub(super) job: Arc<Job>,
    pub(super) context: Context,
    pub(super) token: Arc<StepToken>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What became of it.
pub(super) struct Done {
    pub(super) result: Result<Outcome, Error>,
    /// What it changed, if that is recorded and still kept.
    pub(super) changes: Option<Arc<ChangeSet>>,
    pub(super) elapsed: Duration,
}

impl Message for Task {
    type Reply = Done;

    fn awaits_commit(&self) -> bool {
        // A step commits itself.
        false
    }
}

/// Runs steps. It holds nothing: whoever sends a step sends all it needs.
pub(super) struct Runner;

impl MessageHandler<Task> for Runner {
    fn handle(&mut self, task: Task) -> quintet_core::Result<Done> {
        let began = task.clock.now();
        let how = How {
            isolation: task.job.isolation,
            sleep_at_most: task.job.timeout,
        };
        let result = task.job.process.run_watched(&task.context, &how, &*task.token);
        let version = result.as_ref().ok().and_then(|outcome| outcome.version);
        Ok(Done {
            changes: version.and_then(|version| task.context.change_set(version)),
            elapsed: task.clock.now().saturating_duration_since(began),
            result,
        })
    }

    fn commit(&mut self) -> quintet_core::Result<Commit> {
        Ok(Commit::Done)
    }
}

/// Threads that run steps. Several runs may share them. When the pool is dropped its threads end, each after the step
/// that it is in.
pub struct Pool {
    threads: Vec<Connector<Task>>,
}

impl Pool {
    /// The most threads.
    pub const MAX_THREADS: usize = 256;

    /// Starts threads: at most [`Pool::MAX_THREADS`], and fewer where the system starts no more.
    #[must_use]
    pub fn new(threads: NonZeroUsize) -> Self {
        let count = threads.get().min(Self::MAX_THREADS);
        Self {
            threads: (0..count).filter_map(start).collect(),
        }
    }

    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// A worker for each thread, which rings `bell` when a step is done.
    pub(super) fn connect(&self, bell: &Doorbell) -> Vec<QueueWorker<Task>> {
        self.threads
            .iter()
            .filter_map(|thread| thread.connect::<RtrbQueue>(NonZeroUsize::MIN, bell.clone()).ok())
            .collect()
    }

    /// A worker that runs steps on the calling thread.
    pub(super) fn inline() -> Inline<Task, Runner> {
        Inline::new(Runner, NonZeroUsize::MIN)
    }
}

fn start(at: usize) -> Option<Connector<Task>> {
    let (send, receive) = mpsc::sync_channel(1);
    let run = move || {
        // A parker belongs to the thread that waits on it, and a handler need not be sent to it.
        let parker = Parker::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut controller = BatchController::new(Runner, clock, parker.doorbell(), BatchConfig::default());
        if send.send(controller.connector()).is_ok() {
            // Its errors are those of commits, of which this handler has none.
            let _ended = controller.run(&parker);
        }
    };
    thread::Builder::new()
        .name(format!("workflow-{at}"))
        .spawn(run)
        .ok()?;
    receive.recv().ok()
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.threads.iter().for_each(Connector::stop);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("threads", &self.threads.len())
            .finish()
    }
}
