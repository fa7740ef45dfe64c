//! The single owner of some state: it applies messages and makes them durable, a batch at a time.

use crate::{Completion, Deadline, Message, Request, Result, Seq};
use std::num::NonZeroUsize;

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Everything handled so far is as durable as the configuration asks, batches that were still pending included.
    Done,
    /// Handed to the log, not yet on disk. The replies may leave when [`MessageHandler::durable`] reaches this position.
    Pending(Seq),
}

/// How much background work one call may do, so that no request waits long behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// At most this many items: keys expired, entries merged, records moved.
    pub items: NonZeroUsize,
}

/// The single owner of some state. A [`Controller`](crate::Controller) feeds it; it never sees a thread or a queue.
///
/// The cycle is `handle`… `commit`, and with [`Commit::Pending`] later `durable`. Two promises make the cycle safe to
/// pipeline: reads (rank 0) are answered from durable state only, and after `Done` nothing is outstanding.
///
/// A handler need not be `Send`: it may live and die on the thread that built it.
pub trait MessageHandler<M: Message> {
    /// Applies one message.
    ///
    /// # Errors
    /// Whatever the message can fail with; the state is then as if the message had never arrived.
    fn handle(&mut self, message: M) -> Result<M::Reply>;

    /// Makes every message handled since the last commit durable, or none of them.
    ///
    /// A commit with nothing of its own to write must still answer [`Commit::Pending`] while an earlier one is pending,
    /// because a reply of this batch may rest on that one.
    ///
    /// # Errors
    /// On an error all messages since the last successful commit are undone, except the effects of those that do not
    /// [await a commit](Message::awaits_commit). [`ErrorKind::Full`](crate::ErrorKind::Full) leaves a handler that goes
    /// on; a flush that failed is [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned) from then on: the outcome of what
    /// was in it is unknown.
    fn commit(&mut self) -> Result<Commit>;

    /// The highest position known to be durable. Cheap: the controller asks once a tick while something is pending.
    ///
    /// # Errors
    /// When a flush failed: everything pending has an unknown outcome, and the handler is poisoned.
    fn durable(&mut self) -> Result<Seq> {
        Ok(Seq::MAX)
    }

    /// Does a bounded piece of background work (expiry, indexing, checkpoints) and returns when it next wants to run;
    /// `None` = not until more messages arrive. Called in idle ticks when due, in the first idle tick after messages (they
    /// may have changed when it is due), and as a share of busy ticks; so it may come earlier than it asked for.
    fn maintain(&mut self, _budget: Budget) -> Option<Deadline> {
        None
    }

    /// Applies a batch: exactly one completion per request is appended to `out`, and `batch` is left empty. Override to
    /// vectorise; the result must equal this loop over the batch stably sorted by [`Message::rank`].
    fn handle_batch(&mut self, batch: &mut Vec<Request<M>>, out: &mut Vec<Completion<M>>) {
        batch.sort_by_key(|request| request.message.rank());
        for Request { id, message } in batch.drain(..) {
            out.push(Completion {
                id,
                result: self.handle(message),
            });
        }
    }
}

impl<M: Message, H: MessageHandler<M> + ?Sized> MessageHandler<M> for Box<H> {
    fn handle(&mut self, message: M) -> Result<M::Reply> {
        (**self).handle(message)
    }

    fn commit(&mut self) -> Result<Commit> {
        (**self).commit()
    }

    fn durable(&mut self) -> Result<Seq> {
        (**self).durable()
    }

    fn maintain(&mut self, budget: Budget) -> Option<Deadline> {
        (**self).maintain(budget)
    }

    fn handle_batch(&mut self, batch: &mut Vec<Request<M>>, out: &mut Vec<Completion<M>>) {
        (**self).handle_batch(batch, out);
    }
}
