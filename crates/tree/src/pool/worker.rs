//! A worker's loop: take a job, run it, count it; idle beyond the least number of workers, end.

use super::{
    Priority, Shared, State,
    queue::{Job, Turn},
};
use crate::TreeError;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, MutexGuard, PoisonError},
    thread,
};

/// Starts a worker.
pub(super) fn spawn(shared: &Arc<Shared>, state: &mut State) -> Result<(), TreeError> {
    let run = Arc::clone(shared);
    let thread = thread::Builder::new()
        .name("tree-pool".into())
        .spawn(move || run_jobs(&run))
        .map_err(|error| TreeError::io("starting a worker of the pool", error))?;
    state.threads.retain(|thread| !thread.is_finished());
    state.threads.push(thread);
    state.workers += 1;
    shared.metrics.worker_started(state.workers, shared.clock.now());
    Ok(())
}

/// Starts one more worker if there may be one.
pub(super) fn grow(shared: &Arc<Shared>, state: &mut State) {
    if state.workers < shared.config.max_workers && !state.draining {
        // Those that are there go on if the system has no thread left.
        let _grown = spawn(shared, state);
    }
}

fn run_jobs(shared: &Arc<Shared>) {
    loop {
        let (mut state, job) = next(shared, shared.state());
        let Some((priority, job)) = job else {
            state.workers -= 1;
            shared.metrics.worker_ended(shared.clock.now());
            drop(state);
            shared.ended.notify_all();
            return;
        };
        let begun = shared.clock.now();
        let waited = begun.saturating_duration_since(job.queued);
        if waited >= shared.config.grow_after && !state.queues.is_empty() && state.idle == 0 {
            grow(shared, &mut state);
        }
        let drained = state.draining && state.queues.is_empty();
        drop(state);
        if drained {
            shared.ended.notify_all();
        }
        let Job { deadline, work, .. } = job;
        let turn = match deadline {
            Some(deadline) if deadline.0 <= begun => {
                let late = begun.saturating_duration_since(deadline.0);
                Turn::Late(u64::try_from(late.as_millis()).unwrap_or(u64::MAX))
            }
            _ => Turn::Run,
        };
        // The slot answers for a job that panics; the worker goes on.
        let done = catch_unwind(AssertUnwindSafe(|| work(turn)));
        shared.metrics.job(
            priority,
            turn,
            done.ok(),
            waited,
            shared.clock.now().saturating_duration_since(begun),
        );
    }
}

/// Waits for a job; `None` = end.
fn next<'a>(
    shared: &'a Shared,
    mut state: MutexGuard<'a, State>,
) -> (MutexGuard<'a, State>, Option<(Priority, Job)>) {
    loop {
        if let Some(job) = state.queues.pop() {
            return (state, Some(job));
        }
        if state.draining {
            return (state, None);
        }
        state.idle += 1;
        let (woken, waited) = shared
            .work
            .wait_timeout(state, shared.config.shrink_after)
            .unwrap_or_else(PoisonError::into_inner);
        state = woken;
        state.idle -= 1;
        if waited.timed_out() && state.queues.is_empty() && state.workers > shared.config.min_workers {
            return (state, None);
        }
    }
}
