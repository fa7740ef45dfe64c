//! The store's thread: sleeps until a key is due, removes it, and writes a snapshot when the log has become long.

use crate::{Store, inner::Inner};
use quintet_core::{Deadline, Error, Result};
use std::{
    sync::{
        Arc, PoisonError, Weak,
        atomic::Ordering::{Acquire, Relaxed, Release},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How many keys are removed before others get a turn.
const KEYS_AT_ONCE: usize = 1024;
/// How often the thread looks at the length of the log.
const LOOK: Duration = Duration::from_secs(1);

/// Ends the thread when the last handle goes.
pub(crate) struct Life {
    alarm: Arc<crate::inner::Alarm>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Life {
    fn drop(&mut self) {
        {
            let _between_look_and_sleep = self.alarm.wheel();
            self.alarm.stop.store(true, Release);
        }
        self.alarm.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // It has nothing to say but a panic of its own, which was printed.
            let _ended = thread.join();
        }
    }
}

pub(crate) fn start(inner: &Arc<Inner>) -> Result<Life> {
    let alarm = inner.alarm.clone();
    let weak = Arc::downgrade(inner);
    let thread = if inner.config.background {
        let thread = thread::Builder::new().name("kv-background".to_owned());
        Some(thread.spawn(move || run(&weak)).map_err(Error::from)?)
    } else {
        None
    };
    Ok(Life { alarm, thread })
}

fn run(weak: &Weak<Inner>) {
    loop {
        let Some(inner) = weak.upgrade() else { return };
        // A failed log refuses removals as it refuses everything else; there is nobody here to tell.
        let next = inner.expire(KEYS_AT_ONCE).unwrap_or(None);
        if log_is_long(&inner) {
            let _next_look_tries_again = Store::snapshot_of(&inner);
        }
        let alarm = inner.alarm.clone();
        let has_log = inner.log.is_some();
        let wheel = alarm.wheel();
        if alarm.stop.load(Acquire) {
            return;
        }
        // What was armed since `expire` looked has rung in vain: look at the wheel itself.
        let due = next
            .into_iter()
            .chain(wheel.next_ms())
            .min()
            .map(|at_ms| inner.until(at_ms));
        drop(inner);
        let nap = match (due, has_log) {
            (Some(due), true) => Some(due.min(LOOK)),
            (due, false) => due,
            (None, true) => Some(LOOK),
        };
        match nap {
            Some(nap) => drop(
                alarm
                    .changed
                    .wait_timeout(wheel, nap)
                    .map_err(PoisonError::into_inner),
            ),
            None => drop(alarm.changed.wait(wheel).map_err(PoisonError::into_inner)),
        }
    }
}

fn log_is_long(inner: &Inner) -> bool {
    if inner.log.is_none() {
        return false;
    }
    let logged_bytes = inner.logged_bytes.load(Relaxed);
    // Short of the least, nobody need ask the shards for their sizes.
    logged_bytes >= inner.config.snapshot_after_bytes && logged_bytes >= inner.table.bytes()
}

/// One piece of the thread's work.
pub(crate) fn maintain(
    inner: &Inner,
    limit: usize,
    snapshot: impl FnOnce() -> Result<()>,
) -> Result<Option<Deadline>> {
    let next = inner.expire(limit)?;
    if log_is_long(inner) {
        snapshot()?;
    }
    Ok(next.map(|at_ms| Deadline(inner.clock.now() + inner.until(at_ms))))
}
