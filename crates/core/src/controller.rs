//! A loop body: one bounded turn of collecting, handling, committing and replying.

use crate::Result;
use std::num::NonZeroUsize;

/// What a turn of the loop did.
#[must_use = "an idle controller should wait, a closed one should end"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// So many messages were handled or answered; there may be more.
    Worked(NonZeroUsize),
    /// There was nothing to do. Nothing was handled, committed or written.
    Idle,
    /// Shut down: no tick will ever work again.
    Closed,
}

/// The owner of a [`MessageHandler`](crate::MessageHandler)'s loop. Because a tick is bounded, a test can single-step it.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Controller {
    /// Takes at most `budget_messages` requests, handles them, commits once, and answers what became true.
    ///
    /// # Errors
    /// Only what makes the loop useless; an error of one request or one commit goes to its askers instead.
    fn tick(&mut self, budget_messages: NonZeroUsize) -> Result<Tick>;

    /// Answers what is queued, then closes every port. May block for the last flush. Calling it again does nothing.
    ///
    /// # Errors
    /// When the last commit failed; its askers were told so too, and the ports are closed all the same.
    fn shutdown(&mut self) -> Result<()>;
}
