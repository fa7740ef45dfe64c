//! [`ContextTx`]: what the body of a context's transaction may do.

use super::{Change, Context, Shared, path::Path, state::State, value::Value, write::Merge};
use crate::{
    Error, Isolation, Result, Transaction,
    protocol::{read_set::ReadSet, slot::Slot, stamp::Stamp},
    transaction::{Abort, Attempts, Cause, Step, run},
};
use std::{cell::Cell, sync::Arc};

thread_local! {
    /// The buffers of this thread's last transaction, for its next one.
    static STATE: Cell<Option<Box<State>>> = const { Cell::new(None) };
}

/// One attempt at a transaction over a context. The body gets it, and may run more than once.
///
/// Paths are checked at each call; the errors of all methods are to be returned, `?` does. A body must do nothing but
/// through its transaction, and wait for nothing except by [`retry`](crate::retry).
pub struct ContextTx<'a> {
    shared: &'a Shared,
    state: Box<State>,
}

impl ContextTx<'_> {
    /// The value at a path: the one this transaction has written, else the one its level promises.
    ///
    /// # Errors
    /// A conflict; a bad path; a zone that forbids reading.
    pub fn get(&mut self, path: &str) -> Step<Option<Value>> {
        self.state.get(self.shared, path)
    }

    /// The whole number at a path, 0 if nothing is there.
    ///
    /// # Errors
    /// As [`get`](Self::get); when there is something else.
    pub fn get_int(&mut self, path: &str) -> Step<i64> {
        match self.get(path)? {
            None => Ok(0),
            Some(Value::Int(number)) => Ok(number),
            Some(other) => Err(Error::TypeClash {
                path: path.into(),
                expected: "int".into(),
                found: other.kind().into(),
            }
            .into()),
        }
    }

    /// Sets a value, whatever was there.
    ///
    /// # Errors
    /// A bad path; a zone that forbids it; a value too large; a value above or below this path.
    pub fn set(&mut self, path: &str, value: impl Into<Value>) -> Step<()> {
        self.state.put(self.shared, path, Some(value.into()))
    }

    /// Removes a value. Nothing happens if there is none.
    ///
    /// # Errors
    /// A bad path; a zone that forbids it.
    pub fn delete(&mut self, path: &str) -> Step<()> {
        self.state.put(self.shared, path, None)
    }

    /// Adds to a number without reading it: never conflicts with other increments. What is not there counts from 0.
    ///
    /// # Errors
    /// As [`set`](Self::set). What is no number, or an overflow, fails the transaction when it commits.
    pub fn increment(&mut self, path: &str, delta: i64) -> Step<()> {
        self.state.merge(self.shared, path, Merge::Increment(delta))
    }

    /// Appends to a list without reading it: never conflicts with other appends. What is not there is an empty list.
    ///
    /// # Errors
    /// As [`set`](Self::set). What is no list fails the transaction when it commits.
    pub fn append(&mut self, path: &str, item: impl Into<Value>) -> Step<()> {
        self.state.merge(self.shared, path, Merge::Append(item.into()))
    }

    /// Changes whatever the value is when the transaction commits: never conflicts with other merges. It may run more
    /// than once and must not touch contexts or variables.
    ///
    /// # Errors
    /// As [`set`](Self::set). What `merge` refuses fails the transaction when it commits.
    pub fn merge(
        &mut self,
        path: &str,
        merge: impl Fn(Option<Value>) -> Result<Value> + Send + Sync + 'static,
    ) -> Step<()> {
        self.state.merge(self.shared, path, Merge::Own(Arc::new(merge)))
    }

    /// The first `limit` paths below a branch, in order; `""` is the whole context. In safe mode a path that appears or
    /// disappears there is a conflict.
    ///
    /// # Errors
    /// A conflict; a bad path.
    pub fn keys(&mut self, branch: &str, limit: usize) -> Step<Vec<Path>> {
        if !branch.is_empty() {
            Path::new(branch)?;
        }
        self.state.keys(self.shared, branch, limit)
    }

    /// Sends a message if, and only if, the transaction commits. It waits in the outbox until it is
    /// [delivered](Context::deliver).
    ///
    /// # Errors
    /// A topic that is no path; a payload too large; too many messages.
    pub fn send(&mut self, topic: &str, payload: impl Into<Value>) -> Step<()> {
        self.state.send(self.shared, topic, payload.into())
    }

    /// Whether a value is there, and the stamp of the value or of its absence.
    pub(super) fn stamp(&mut self, path: &Path) -> Step<(bool, Stamp)> {
        self.state.get_stamped(self.shared, path)
    }

    /// Runs `first`; if it retries, takes back what it wrote and sent and runs `second`. If both retry, the transaction
    /// sleeps until something that either has read changes. Costs a copy of what is buffered so far.
    ///
    /// # Errors
    /// Those of the branch that decides; [`Error::RawRetry`] in a raw transaction that has written: that cannot be taken
    /// back.
    pub fn or_else<R>(
        &mut self,
        first: impl FnOnce(&mut Self) -> Step<R>,
        second: impl FnOnce(&mut Self) -> Step<R>,
    ) -> Step<R> {
        let mark = self.state.mark();
        match first(self) {
            Err(Abort(Cause::Retry)) if self.state.written => Err(Abort::failed(Error::RawRetry)),
            Err(Abort(Cause::Retry)) => {
                self.state.back_to(mark);
                second(self)
            }
            decided => decided,
        }
    }

    /// Who wrote last at a path.
    pub(super) fn writer(&self, path: &Path) -> Arc<str> {
        State::writer_of(self.shared, path).name()
    }

    /// The level of this transaction.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.state.isolation
    }
}

struct Dynamic<'a, F> {
    tx: ContextTx<'a>,
    body: F,
}

/// Gives reservations back, also when the body panics.
struct Ends<'a, 'b>(&'b mut ContextTx<'a>);

impl Drop for Ends<'_, '_> {
    fn drop(&mut self) {
        self.0.state.reads.end();
    }
}

impl<R, F: FnMut(&mut ContextTx<'_>) -> Step<R>> Attempts for Dynamic<'_, F> {
    type Output = R;

    fn attempt(&mut self, aged: bool) -> Step<R> {
        self.tx.state.begin(self.tx.shared, aged);
        let ends = Ends(&mut self.tx);
        let output = (self.body)(ends.0)?;
        ends.0.state.commit(ends.0.shared)?;
        Ok(output)
    }

    fn reads(&self) -> &ReadSet {
        &self.tx.state.reads
    }

    fn has_written(&self) -> bool {
        self.tx.state.written
    }

    fn name_of(&self, slot: &'static Slot) -> String {
        self.tx.state.name_of(self.tx.shared, slot)
    }
}

impl Context {
    /// Runs a body as a transaction and answers what it did, with the version that it made: `None` if it recorded
    /// nothing, because it only read or is raw.
    ///
    /// In a durable context this blocks until what it wrote, and what it read, is as durable as the log's level asks.
    ///
    /// # Errors
    /// What the body or one of its operations refused: nothing has happened then. [`Error::Conflict`] or
    /// [`Error::TimedOut`] when a limit is set. [`Error::Log`] when the log refused; if its kind is `Poisoned` the commit, or
    /// one that it has read, is in memory and may or may not be on disk: nobody is shown it before a restart has told.
    pub fn transact<R>(
        &self,
        how: &Transaction,
        body: impl FnMut(&mut ContextTx<'_>) -> Step<R>,
    ) -> Result<(R, Option<u64>)> {
        self.transact_with(how, body, None, |_| {})
    }

    /// As [`transact`](Self::transact); puts what was changed into `changes`.
    pub(super) fn transact_noting<R>(
        &self,
        how: &Transaction,
        body: impl FnMut(&mut ContextTx<'_>) -> Step<R>,
        changes: Option<&mut Vec<Change>>,
    ) -> Result<(R, Option<u64>)> {
        self.transact_with(how, body, changes, |_| {})
    }

    /// As [`transact`](Self::transact); `decided` is told whether it committed, before anything waits for the disk.
    pub(crate) fn transact_then<R>(
        &self,
        how: &Transaction,
        body: impl FnMut(&mut ContextTx<'_>) -> Step<R>,
        decided: impl FnOnce(bool),
    ) -> Result<(R, Option<u64>)> {
        self.transact_with(how, body, None, decided)
    }

    fn transact_with<R>(
        &self,
        how: &Transaction,
        body: impl FnMut(&mut ContextTx<'_>) -> Step<R>,
        changes: Option<&mut Vec<Change>>,
        decided: impl FnOnce(bool),
    ) -> Result<(R, Option<u64>)> {
        let mut state = STATE
            .take()
            .unwrap_or_else(|| Box::new(State::new(how.isolation(), false, how.author())));
        let shortens = changes.is_none() && !self.shared.is_durable();
        state.renew(how.isolation(), how.is_admin(), how.author(), shortens);
        state.noted = changes.is_some().then(Vec::new);
        let mut attempts = Dynamic {
            tx: ContextTx {
                shared: &self.shared,
                state,
            },
            body,
        };
        let ended = run(&self.shared.domain, how, &mut attempts);
        let mut state = attempts.tx.state;
        let version = state.committed;
        let rests_on = if self.shared.is_durable() {
            state.rests_on()
        } else {
            0
        };
        if let (Some(changes), Some(noted)) = (changes, state.noted.take()) {
            *changes = noted;
        }
        state.clear();
        STATE.set(Some(state));
        decided(ended.is_ok());
        // Also a refusal says something about what was read.
        self.shared.settle(rests_on)?;
        ended.map(|output| (output, version))
    }

    /// As [`transact`](Self::transact), with nothing but the level.
    ///
    /// # Errors
    /// As [`transact`](Self::transact).
    pub fn run<R>(&self, isolation: Isolation, body: impl FnMut(&mut ContextTx<'_>) -> Step<R>) -> Result<R> {
        self.transact(&Transaction::new(isolation), body)
            .map(|(output, _)| output)
    }
}
