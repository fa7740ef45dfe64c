//! One watcher's bounded queue. Filled by the hub's thread, emptied by the watcher.
//!
//! Invariant: what is queued are the events after `after`, without a gap, unless `overflow` says otherwise.

use super::{Event, Next};
use crate::Path;
use quintet_core::Seq;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

pub(super) struct Subscriber {
    pub(super) id: u64,
    path: Path,
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<Event>>,
    /// Events up to this one are in what the watcher has read.
    after: Seq,
    overflow: bool,
    closed: bool,
    waker: Option<Waker>,
}

impl Subscriber {
    pub(super) fn new(id: u64, path: Path, capacity: usize) -> Self {
        Self {
            id,
            path,
            capacity,
            state: Mutex::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an event, or gives up the queue when it is full. The waker is to be called without locks.
    pub(super) fn push(&self, event: Arc<Event>) -> Option<Waker> {
        let mut state = self.state();
        if state.overflow {
            return None;
        }
        if state.queue.len() >= self.capacity {
            state.queue = VecDeque::new();
            state.overflow = true;
        } else {
            state.queue.push_back(event);
        }
        state.waker.take()
    }

    /// Says that events were lost.
    pub(super) fn overflow(&self) -> Option<Waker> {
        let mut state = self.state();
        state.queue = VecDeque::new();
        state.overflow = true;
        state.waker.take()
    }

    /// Says that there will be no more.
    pub(super) fn close(&self) -> Option<Waker> {
        let mut state = self.state();
        state.closed = true;
        state.waker.take()
    }

    /// Begins anew with what is pushed from now on.
    pub(super) fn restart(&self) {
        let mut state = self.state();
        state.queue.clear();
        state.overflow = false;
    }

    /// What was read shows the writes up to `seq`.
    pub(super) fn started(&self, seq: Seq) {
        self.state().after = seq;
    }

    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Next>> {
        let mut state = self.state();
        if state.overflow {
            return Poll::Ready(Some(Next::Overflow));
        }
        while let Some(event) = state.queue.pop_front() {
            if event.seq() > state.after {
                return Poll::Ready(Some(Next::Event(event)));
            }
        }
        if state.closed {
            return Poll::Ready(None);
        }
        let before = state.waker.replace(context.waker().clone());
        drop(state);
        // Outside the lock: a waker may own the task, and that this watch.
        drop(before);
        Poll::Pending
    }
}
