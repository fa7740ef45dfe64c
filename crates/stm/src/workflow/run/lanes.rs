//! [`Lanes`]: the pool's threads as one run sees them: a worker each, with at most one step in it.

use super::Turned;
use crate::{
    Error,
    workflow::{
        Pool,
        pool::{Done, Runner, Task},
        token::StepToken,
    },
};
use quintet_core::{Completion, Doorbell, Inline, Parker, QueueWorker, Worker};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A step that has ended.
pub(super) struct Arrived {
    pub(super) turned: Turned,
    pub(super) done: Done,
}

struct Lane {
    worker: QueueWorker<Task>,
    step: Step,
}

enum Step {
    /// None.
    Free,
    Running(Turned, Arc<StepToken>),
    /// One that was ended before it came back. What comes of it is of no interest.
    Abandoned,
    /// The thread is gone.
    Lost,
}

/// The threads of one run.
pub(super) struct Lanes {
    parker: Parker,
    lanes: Vec<Lane>,
    inline: Inline<Task, Runner>,
    running: usize,
    done: Vec<Completion<Task>>,
}

impl Lanes {
    pub(super) fn new(pool: &Pool) -> Self {
        let parker = Parker::new();
        let workers = pool.connect(&parker.doorbell());
        Self {
            lanes: workers
                .into_iter()
                .map(|worker| Lane {
                    worker,
                    step: Step::Free,
                })
                .collect(),
            parker,
            inline: Pool::inline(),
            running: 0,
            done: Vec::new(),
        }
    }

    pub(super) fn bell(&self) -> Doorbell {
        self.parker.doorbell()
    }

    /// How many steps are under way, those abandoned not counted.
    pub(super) fn in_flight(&self) -> usize {
        self.running
    }

    pub(super) fn is_free(&self) -> bool {
        self.lanes.iter().any(|lane| matches!(lane.step, Step::Free))
    }

    /// When the first step is to be done.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let running = self.lanes.iter().filter_map(|lane| match &lane.step {
            Step::Running(_, token) => token.deadline(),
            _ => None,
        });
        running.min()
    }

    /// Runs a step on this thread.
    pub(super) fn run_here(&mut self, turned: Turned, task: Task) -> Arrived {
        let lost = |reason: &str| Done {
            result: Err(Error::InvalidOperation {
                at: "workflow".into(),
                reason: reason.into(),
            }),
            changes: None,
            elapsed: Duration::ZERO,
        };
        let sent = self.inline.submit(task).is_ok() && self.inline.flush().is_ok();
        let reaped = sent && self.inline.reap(&mut self.done, 1).is_ok();
        let done = match self.done.pop().filter(|_| reaped).map(|done| done.result) {
            Some(Ok(done)) => done,
            Some(Err(error)) => lost(&error.to_string()),
            None => lost("the step did not come back"),
        };
        Arrived { turned, done }
    }

    /// Sends a step to a thread that is free. If there is none after all, it runs here.
    pub(super) fn send(&mut self, turned: Turned, task: Task) -> Option<Arrived> {
        let mut task = task;
        for lane in &mut self.lanes {
            if !matches!(lane.step, Step::Free) {
                continue;
            }
            let token = Arc::clone(&task.token);
            match lane.worker.submit(task) {
                Ok(_) => {
                    lane.step = Step::Running(turned, token);
                    self.running += 1;
                    // A thread that has gone answers by `reap`.
                    let _published = lane.worker.flush();
                    return None;
                }
                Err(refused) => {
                    lane.step = Step::Lost;
                    task = refused.into_inner();
                }
            }
        }
        Some(self.run_here(turned, task))
    }

    /// Waits until a step is done, `other` is true, or the time has passed.
    pub(super) fn wait(&self, time: Option<Duration>, other: impl Fn() -> bool) {
        let lanes = &self.lanes;
        self.parker.wait(
            || other() || lanes.iter().any(|lane| lane.worker.ready() > 0),
            time,
        );
    }

    /// Every step that has ended.
    pub(super) fn reap(&mut self) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        for lane in &mut self.lanes {
            if matches!(lane.step, Step::Free | Step::Lost) {
                continue;
            }
            let reaped = lane.worker.reap(&mut self.done, 1);
            let Some(completion) = self.done.pop() else {
                if reaped.is_err() {
                    lane.step = Step::Lost;
                }
                continue;
            };
            if let Step::Running(turned, _) = std::mem::replace(&mut lane.step, Step::Free) {
                self.running -= 1;
                arrived.push(Arrived {
                    turned,
                    done: completion.result.unwrap_or_else(|error| Done {
                        result: Err(Error::InvalidOperation {
                            at: "workflow".into(),
                            reason: format!("the step's thread is gone: {error}"),
                        }),
                        changes: None,
                        elapsed: Duration::ZERO,
                    }),
                });
            }
        }
        arrived
    }

    /// Ends the steps whose time is up.
    pub(super) fn stop_late(&mut self, now: Instant) -> Vec<(Turned, Error)> {
        let mut late = Vec::new();
        for lane in &mut self.lanes {
            if let Step::Running(turned, token) = &lane.step
                && token.deadline().is_some_and(|deadline| deadline <= now)
                && token.stop()
            {
                late.push((*turned, token.too_late()));
                lane.step = Step::Abandoned;
                self.running -= 1;
            }
        }
        late
    }

    /// Ends every step that is not about to commit.
    pub(super) fn stop_all(&mut self) -> Vec<Turned> {
        let mut stopped = Vec::new();
        for lane in &mut self.lanes {
            if let Step::Running(turned, token) = &lane.step
                && token.stop()
            {
                stopped.push(*turned);
                lane.step = Step::Abandoned;
                self.running -= 1;
            }
        }
        stopped
    }
}
