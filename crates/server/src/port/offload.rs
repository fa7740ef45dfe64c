//! [`Offload`]: engine calls on threads of their own, at most so many at once.
//!
//! Engines are synchronous: a call may wait for a flush, a lock or a shard. On a thread of the runtime it would hold up
//! every connection, so each call, the reading of its JSON and the writing of its answer run on the runtime's blocking
//! pool. [`quintet_core::Client`] would save the hop for engines behind a controller, but three of the engines run on the
//! caller's thread and flush there; one way for all is easier to reason about. The pool is bounded, and so is the line in
//! front of it: beyond it a request is refused with `Unavailable`, which is 503 and `Retry-After`. A call whose client has
//! left runs to its end, as it would have anyway.

use quintet_core::{Error, ErrorKind};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Threads that run engine calls. Each may hold a flush, so there are more than cores.
pub(crate) const THREADS: usize = 32;
/// Calls that run or wait for a thread.
const ADMITTED: usize = 512;

/// Runs engine calls. Clones share the line.
#[derive(Clone, Debug)]
pub(crate) struct Offload {
    admitted: Arc<Semaphore>,
}

impl Offload {
    /// An empty line.
    pub(crate) fn new() -> Self {
        Self {
            admitted: Arc::new(Semaphore::new(ADMITTED)),
        }
    }

    /// How many calls run or wait.
    pub(crate) fn depth(&self) -> usize {
        ADMITTED - self.admitted.available_permits()
    }

    /// Runs `work` on the pool.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the line is full; [`ErrorKind::Io`] when `work` panicked.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Error> {
        let permit = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_full| {
            let why = format!("{ADMITTED} requests are being worked on; try again");
            Error::new(ErrorKind::Unavailable, why)
        })?;
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        task.await
            .map_err(|_panicked| Error::new(ErrorKind::Io, "the request ended the thread that worked on it"))
    }
}
