//! The log's one thread: it flushes when a commit or the interval asks for it, and makes the next segment ahead of need,
//! piece by piece between two flushes. Idle, it sleeps without a timer. Ends when the log is closed or poisoned.

use crate::{
    segment::{Identity, Obstacle, Preparation},
    writer::{Shared, Spare, State, lock},
};
use quintet_core::Durability;
use std::sync::{MutexGuard, PoisonError, atomic::Ordering};

/// How much of a new segment is filled between two flushes, unless the groups are larger.
const STEP_BYTES: u64 = 256 << 10;

/// What there is to do.
struct Job {
    flush: bool,
    prepare: bool,
    stop: bool,
}

/// The body of the thread.
pub(crate) fn run(shared: &Shared) {
    let mut preparation = None;
    let mut number = shared.identity.number;
    loop {
        let job = next_job(shared, preparation.is_some());
        if job.stop {
            return;
        }
        // A failure has poisoned the log, which ends this loop at its next turn.
        if job.flush && shared.flush().is_err() {
            continue;
        }
        if job.prepare {
            prepare(shared, &mut preparation, &mut number);
        }
    }
}

/// Sleeps until there is something to do.
fn next_job(shared: &Shared, preparing: bool) -> Job {
    let mut state = lock(&shared.state);
    loop {
        let stop = state.stopping || shared.check().is_err();
        let now_due = state.sync_due.is_some_and(|due| shared.clock.now() >= due);
        let flush =
            now_due || shared.config.durability == Durability::Full && state.requested > shared.synced();
        let prepare = preparing || shared.wants_spare(&state);
        if stop || flush || prepare {
            if now_due {
                state.sync_due = None;
            }
            return Job { flush, prepare, stop };
        }
        state.flusher_sleeps = true;
        state = sleep(shared, state);
        state.flusher_sleeps = false;
    }
}

fn sleep<'a>(shared: &'a Shared, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    match state.sync_due {
        None => shared.work.wait(state).unwrap_or_else(PoisonError::into_inner),
        Some(due) => {
            let left = due.saturating_duration_since(shared.clock.now());
            let woken = shared.work.wait_timeout(state, left);
            woken.unwrap_or_else(PoisonError::into_inner).0
        }
    }
}

/// One piece of the next segment.
fn prepare(shared: &Shared, preparation: &mut Option<Preparation>, number: &mut u64) {
    let outcome = step(shared, preparation, number);
    let mut state = lock(&shared.state);
    match outcome {
        Ok(None) => return,
        Ok(Some(spare)) => state.spare = Spare::Ready(spare),
        Err(Obstacle::Full(error)) => {
            state.spare = Spare::Failed(error);
            state.failures += 1;
        }
        Err(Obstacle::Fatal(error)) => {
            drop(state);
            shared.poison(error);
            return;
        }
    }
    state.spare_wanted = false;
    drop(state);
    shared.progress.notify_all();
}

fn step(
    shared: &Shared,
    slot: &mut Option<Preparation>,
    number: &mut u64,
) -> Result<Option<crate::segment::Segment>, Obstacle> {
    let mut preparation = match slot.take() {
        Some(preparation) => preparation,
        None => {
            *number += 1;
            let identity = Identity {
                number: *number,
                ..shared.identity
            };
            let recycled = lock(&shared.state).recyclable.take();
            Preparation::begin(&*shared.directory, identity, recycled, shared.config.zero_fill)?
        }
    };
    // Fills faster than the groups use up the active segment.
    let last_group_bytes = shared.counters.last_group_bytes.load(Ordering::Relaxed);
    if preparation.step(STEP_BYTES.max(2 * last_group_bytes))? {
        return preparation.finish(&*shared.directory).map(Some);
    }
    *slot = Some(preparation);
    Ok(None)
}
