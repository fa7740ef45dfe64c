//! [`Task`]: the answer of a job, as a future that needs no runtime.

use super::queue::Turn;
use crate::TreeError;
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// The answer of a job. Dropping it cancels the job if it was not begun.
#[must_use = "dropping a task cancels its job"]
pub struct Task<T> {
    cell: Arc<Cell<T>>,
}

struct Cell<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    answer: Option<Result<T, TreeError>>,
    waker: Option<Waker>,
    /// The task was dropped.
    gone: bool,
}

impl<T> Cell<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The job's end. Dropped without an answer, it answers [`TreeError::Closed`].
pub(super) struct Slot<T> {
    cell: Arc<Cell<T>>,
}

pub(super) fn pair<T>() -> (Task<T>, Slot<T>) {
    let state = State {
        answer: None,
        waker: None,
        gone: false,
    };
    let cell = Arc::new(Cell {
        state: Mutex::new(state),
    });
    (
        Task {
            cell: Arc::clone(&cell),
        },
        Slot { cell },
    )
}

impl<T: Send + 'static> Slot<T> {
    /// What the worker calls: runs the job unless it is late or nobody waits.
    pub(super) fn work(
        self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl FnOnce(Turn) -> bool + Send + 'static {
        move |turn| {
            if self.cell.state().gone {
                return false;
            }
            match turn {
                Turn::Late(late_ms) => self.answer(Err(TreeError::Deadline { late_ms })),
                Turn::Run => self.answer(Ok(job())),
            }
            true
        }
    }
}

impl<T> Slot<T> {
    fn answer(&self, answer: Result<T, TreeError>) {
        let mut state = self.cell.state();
        if state.answer.is_none() && !state.gone {
            state.answer = Some(answer);
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        let mut state = self.cell.state();
        let unanswered = state.answer.is_none() && !state.gone;
        if unanswered {
            state.answer = Some(Err(TreeError::Closed));
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Task<T> {
    /// Blocks until the job has answered.
    ///
    /// # Errors
    /// [`TreeError::Deadline`] when it was late, [`TreeError::Closed`] when it was dropped or panicked.
    pub fn wait(self) -> Result<T, TreeError> {
        crate::block_on::block_on(self)
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TreeError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.cell.state();
        if let Some(answer) = state.answer.take() {
            // Polled again it would wait for ever; the slot answers only once.
            return Poll::Ready(answer);
        }
        let before = state.waker.replace(context.waker().clone());
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        let mut state = self.cell.state();
        state.gone = true;
        let (answer, waker) = (state.answer.take(), state.waker.take());
        drop(state);
        // Outside the lock: either may own other tasks.
        drop((answer, waker));
    }
}
