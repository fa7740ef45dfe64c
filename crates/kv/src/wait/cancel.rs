//! Cancelling waits: a guard that cancels when it is dropped, and the token that waits look at.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

#[derive(Default)]
struct State {
    cancelled: bool,
    /// Wakers of the waits that are going on; each takes its own away, so there are no more than waiters.
    wakers: Vec<Waker>,
}

/// Dropping it cancels every wait that was given its token, now and later.
#[must_use = "dropping it cancels"]
pub struct CancelGuard {
    state: Arc<Mutex<State>>,
}

/// What a wait is given to be cancelled by. Clones share the guard.
#[derive(Clone)]
pub struct CancelToken {
    state: Arc<Mutex<State>>,
}

/// A guard and its token.
///
/// ```
/// let (guard, token) = quintet_kv::cancellation();
/// assert!(!token.is_cancelled());
/// drop(guard);
/// assert!(token.is_cancelled());
/// ```
pub fn cancellation() -> (CancelGuard, CancelToken) {
    let state = Arc::<Mutex<State>>::default();
    (CancelGuard { state: state.clone() }, CancelToken { state })
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        let wakers = {
            let mut state = lock(&self.state);
            state.cancelled = true;
            std::mem::take(&mut state.wakers)
        };
        wakers.iter().for_each(Waker::wake_by_ref);
    }
}

impl CancelToken {
    /// Whether the guard is gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        lock(&self.state).cancelled
    }

    pub(crate) fn register(&self, waker: &Waker) {
        let mut state = lock(&self.state);
        if !state.cancelled {
            state.wakers.push(waker.clone());
        }
    }

    pub(crate) fn deregister(&self, waker: &Waker) {
        let mut state = lock(&self.state);
        if let Some(at) = state.wakers.iter().position(|other| other.will_wake(waker)) {
            state.wakers.swap_remove(at);
        }
    }
}

impl fmt::Debug for CancelGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CancelGuard")
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancelToken(cancelled: {})", self.is_cancelled())
    }
}
