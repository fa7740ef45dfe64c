//! The short ways of a raw write: a key that is there, in a context that does not record raw writes. Seal, store, publish.
//!
//! The shortest way changes 64 bits. Whatever does not fit a short way (a key to be made or removed, a reservation, a
//! record) takes the long one through a transaction, with the same result.

use super::{
    Context, Shared, Value,
    cell::Cell,
    write::{Merge, Op, merged},
    zone::Capability,
};
use crate::{
    Error, Isolation, Result,
    label::Label,
    protocol::{
        commit::{commit_one, commit_plain},
        stamp::Word,
    },
    transaction::Running,
};

/// Why the short way ended.
enum Ended {
    Refused(Error),
    Gone,
}

/// A raw write that changes nothing but a cell's bits.
#[derive(Clone, Copy)]
pub(super) enum Plain<'a> {
    Add(i64),
    Set(&'a Value),
}

impl<'a> Plain<'a> {
    pub(super) fn of(op: &'a Op) -> Option<Self> {
        match op {
            Op::Set(Some(value)) => Some(Self::Set(value)),
            Op::Merge(Merge::Increment(delta), more) if more.is_empty() => Some(Self::Add(*delta)),
            Op::Touch | Op::Set(None) | Op::Merge(..) => None,
        }
    }
}

impl Shared {
    /// The shortest way: one look-up, one seal, no wait. False = take another way; nothing has happened.
    #[inline]
    pub(super) fn raw_plain(&self, path: &str, plain: Plain<'_>, admin: bool, label: Label) -> bool {
        if self.is_durable() || self.config.record_raw {
            return false;
        }
        // Inside the index's lock nothing may wait for a seal, but a seal that is free may be taken: nothing that happens
        // under it waits for anything.
        let done = self.index.with(path, |cell| {
            if !admin && !cell.zone.allows(Capability::Update) {
                return false;
            }
            let Some(word) = cell.slot.try_seal() else {
                return false;
            };
            commit_plain(&self.domain, cell.slot, word, label.as_u32(), || {
                let needed = self.needed.range();
                match plain {
                    Plain::Add(delta) => cell.add(delta, needed),
                    Plain::Set(value) => cell.replace(value, needed),
                }
            })
        });
        done == Some(true)
    }

    /// Tries the short way. `None` = take the long one.
    pub(super) fn raw_at_once(
        &self,
        path: &str,
        needs: &[Capability],
        op: &Op,
        admin: bool,
        label: Label,
    ) -> Option<Result<()>> {
        if self.is_durable() || self.config.record_raw {
            return None;
        }
        let cell = self.index.get(path)?;
        if !admin && let Err(error) = cell.zone.demand(&cell.path, needs) {
            return Some(Err(error));
        }
        let word = cell.slot.seal(false).ok()?;
        match self.write_sealed(&cell, word, op, label) {
            // The former value is dropped here, after the write is published.
            Ok(_former) => Some(Ok(())),
            Err(Ended::Refused(error)) => Some(Err(error)),
            Err(Ended::Gone) => None,
        }
    }

    fn write_sealed(&self, cell: &Cell, word: Word, op: &Op, label: Label) -> Result<Option<Value>, Ended> {
        commit_one(&self.domain, cell.slot, word, label.as_u32(), |stamp| {
            let old = cell.load().ok_or(Ended::Gone)?;
            let value = match op {
                Op::Set(Some(value)) => {
                    let checked = self.check_size(cell.path.as_str(), cell.zone, value);
                    checked.map(|()| value.clone())
                }
                Op::Merge(first, more) => merged(&cell.path, Some(old), first, more).and_then(|value| {
                    self.check_size(cell.path.as_str(), cell.zone, &value)?;
                    Ok(value)
                }),
                Op::Touch | Op::Set(None) => return Err(Ended::Gone),
            };
            let value = value.map_err(Ended::Refused)?;
            Ok(cell.store(stamp, Some(value), self.needed.range()))
        })
    }
}

impl Context {
    /// Sets one value at once, without a transaction around it: the fastest write. A key that is there is neither copied
    /// nor recorded.
    ///
    /// # Errors
    /// As [`ContextTx::set`](super::ContextTx::set); [`Error::Nested`] inside a transaction.
    pub fn set_raw(&self, path: &str, value: impl Into<Value>) -> Result<()> {
        let value = value.into();
        if self.plain(path, Plain::Set(&value))? {
            return Ok(());
        }
        self.raw(path, Op::Set(Some(value)), |tx, op| match op {
            Op::Set(Some(value)) => tx.set(path, value.clone()),
            Op::Touch | Op::Set(None) | Op::Merge(..) => Ok(()),
        })
    }

    /// Adds to a number at once, without a transaction around it.
    ///
    /// # Errors
    /// As [`ContextTx::increment`](super::ContextTx::increment); [`Error::Nested`] inside a transaction.
    pub fn increment_raw(&self, path: &str, delta: i64) -> Result<()> {
        if self.plain(path, Plain::Add(delta))? {
            return Ok(());
        }
        self.raw(path, Op::Merge(Merge::Increment(delta), Vec::new()), |tx, _| {
            tx.increment(path, delta)
        })
    }

    #[inline]
    fn plain(&self, path: &str, plain: Plain<'_>) -> Result<bool> {
        let _running = Running::enter()?;
        Ok(self.shared.raw_plain(path, plain, false, Label::of_thread()))
    }

    #[cold]
    fn raw(
        &self,
        path: &str,
        op: Op,
        long: impl Fn(&mut super::ContextTx<'_>, &Op) -> crate::Step<()>,
    ) -> Result<()> {
        {
            let _running = Running::enter()?;
            let label = Label::of_thread();
            if let Some(done) = self
                .shared
                .raw_at_once(path, &[Capability::Update], &op, false, label)
            {
                return done;
            }
        }
        self.run(Isolation::Raw, |tx| long(tx, &op))
    }
}
