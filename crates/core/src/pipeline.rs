//! Handle, commit, release: the order in which replies may leave, written once for every driver of a handler.
//!
//! Invariants: a reply that awaits its commit is held in `open` until `commit` ran, and in `pending` until the log has
//! reached it; a failed commit or flush turns every held reply into that error; positions in `pending` never fall.

use crate::{Commit, Completion, Error, Message, MessageHandler, Request, Result, Seq};
use std::collections::VecDeque;

pub(crate) struct Pipeline<M: Message, H> {
    pub(crate) handler: H,
    /// Handled, not yet committed.
    open: Vec<Completion<M>>,
    /// Committed, not yet durable; oldest first.
    pending: VecDeque<(Seq, Vec<Completion<M>>)>,
    /// Something was handled since the last commit.
    dirty: bool,
    /// Emptied groups, kept so that a steady state allocates nothing.
    spare: Vec<Vec<Completion<M>>>,
    scratch: Vec<Completion<M>>,
}

impl<M: Message, H: MessageHandler<M>> Pipeline<M, H> {
    pub(crate) fn new(handler: H) -> Self {
        Self {
            handler,
            open: Vec::new(),
            pending: VecDeque::new(),
            dirty: false,
            spare: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Handles pure reads; every completion may leave at once.
    pub(crate) fn read(&mut self, batch: &mut Vec<Request<M>>, ready: &mut Vec<Completion<M>>) {
        self.handler.handle_batch(batch, ready);
    }

    /// Handles a batch of writes. What `awaits` says need not wait for the commit goes to `ready`.
    pub(crate) fn write(
        &mut self,
        batch: &mut Vec<Request<M>>,
        ready: &mut Vec<Completion<M>>,
        awaits: impl Fn(&Completion<M>) -> bool,
    ) {
        self.dirty |= !batch.is_empty();
        self.handler.handle_batch(batch, &mut self.scratch);
        for completion in self.scratch.drain(..) {
            if awaits(&completion) {
                self.open.push(completion);
            } else {
                ready.push(completion);
            }
        }
    }

    /// Whether a commit is owed.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether replies wait for the log.
    pub(crate) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Commits what was handled since the last time and moves what became true to `ready`.
    pub(crate) fn commit(&mut self, ready: &mut Vec<Completion<M>>) -> Result<()> {
        self.dirty = false;
        match self.handler.commit() {
            Ok(Commit::Done) => {
                // Earlier groups are durable too: `Done` says that nothing is outstanding.
                self.release_through(Seq::MAX, ready);
                ready.append(&mut self.open);
                Ok(())
            }
            Ok(Commit::Pending(seq)) => {
                if !self.open.is_empty() {
                    let mut group = self.spare.pop().unwrap_or_default();
                    std::mem::swap(&mut group, &mut self.open);
                    self.pending.push_back((seq, group));
                }
                Ok(())
            }
            Err(error) => {
                fail(self.open.drain(..), &error, ready);
                Err(error)
            }
        }
    }

    /// Whether [`settle`](Self::settle) would release something.
    pub(crate) fn can_settle(&mut self) -> bool {
        let Some((oldest, _)) = self.pending.front() else {
            return false;
        };
        self.handler.durable().map_or(true, |durable| durable >= *oldest)
    }

    /// Releases the groups that the log has reached. A failed flush fails them all.
    pub(crate) fn settle(&mut self, ready: &mut Vec<Completion<M>>) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        match self.handler.durable() {
            Ok(seq) => {
                self.release_through(seq, ready);
                Ok(())
            }
            Err(error) => {
                for (_, group) in self.pending.drain(..) {
                    fail(group, &error, ready);
                }
                Err(error)
            }
        }
    }

    fn release_through(&mut self, durable: Seq, ready: &mut Vec<Completion<M>>) {
        while self.pending.front().is_some_and(|(seq, _)| *seq <= durable) {
            if let Some((_, mut group)) = self.pending.pop_front() {
                ready.append(&mut group);
                self.spare.push(group);
            }
        }
    }
}

/// Answers every completion with `error`. Errors too: one like "already exists" may rest on a write that is now undone.
fn fail<M: Message>(
    group: impl IntoIterator<Item = Completion<M>>,
    error: &Error,
    ready: &mut Vec<Completion<M>>,
) {
    ready.extend(group.into_iter().map(|Completion { id, .. }| Completion {
        id,
        result: Err(error.clone()),
    }));
}
