//! The client end: submit and reap, like an io_uring between threads.

use crate::{Closed, Completion, Message, PushError, RequestId};

/// Submits messages and reaps completions. Never blocks; at most *credits* requests are in flight.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Worker<M: Message> {
    /// Stages one message. It is on its way after the next [`flush`](Self::flush).
    ///
    /// # Errors
    /// [`PushError::Full`] = no credit left: reap first. [`PushError::Closed`] = the controller is gone. The message
    /// comes back in both.
    fn submit(&mut self, message: M) -> Result<RequestId, PushError<M>>;

    /// Publishes everything staged in one go and wakes the controller if it sleeps.
    ///
    /// # Errors
    /// [`Closed`] when the controller is gone; what was staged is then answered by [`reap`](Self::reap).
    fn flush(&mut self) -> Result<(), Closed>;

    /// Appends at most `max` completions to `out` and returns how many. When the controller is gone, every request still
    /// in flight is answered once with [`ErrorKind::Closed`](crate::ErrorKind::Closed): its outcome is unknown.
    ///
    /// # Errors
    /// [`Closed`] when the controller is gone and nothing is in flight any more.
    fn reap(&mut self, out: &mut Vec<Completion<M>>, max: usize) -> Result<usize, Closed>;

    /// Submitted and not yet reaped.
    fn in_flight(&self) -> usize;
}
