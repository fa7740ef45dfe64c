//! The short way of a raw write: a key that is there, in a context that does not record raw writes. Seal, store, publish.
//!
//! Whatever does not fit the short way (a key to be made or removed, a reservation, a record) takes the long one through
//! a transaction, with the same result.

use super::{
    Context, Shared, Value,
    write::{Merge, Op},
    zone::Capability,
};
use crate::{Error, Isolation, Result, label::Label, protocol::commit::commit_one, transaction::Running};

/// Why the short way ended.
enum Ended {
    Refused(Error),
    Gone,
}

impl Shared {
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
        let make = |old: &Value| match op {
            Op::Set(Some(value)) => Ok(value.clone()),
            Op::Merge(merges) => {
                let mut merged = old.clone();
                for merge in merges {
                    merged = merge.apply(&cell.path, Some(merged)).map_err(Ended::Refused)?;
                }
                if !matches!(merged, Value::Int(_)) {
                    self.check_size(&cell.path, &merged).map_err(Ended::Refused)?;
                }
                Ok(merged)
            }
            Op::Touch | Op::Set(None) => Err(Ended::Gone),
        };
        let done = commit_one(&self.domain, cell.slot, label.as_u32(), |stamp| {
            cell.update(stamp, self.needed.range(), make)
                .unwrap_or(Err(Ended::Gone))
        })?;
        match done {
            // The former value is dropped here, after the write is published.
            Ok(_former) => Some(Ok(())),
            Err(Ended::Refused(error)) => Some(Err(error)),
            Err(Ended::Gone) => None,
        }
    }
}

impl Context {
    /// Sets one value at once, without a transaction around it: the fastest write. A key that is there is neither copied
    /// nor recorded.
    ///
    /// # Errors
    /// As [`ContextTx::set`](super::ContextTx::set); [`Error::Nested`] inside a transaction.
    pub fn set_raw(&self, path: &str, value: impl Into<Value>) -> Result<()> {
        let op = Op::Set(Some(value.into()));
        if let Op::Set(Some(value)) = &op
            && !matches!(value, Value::Int(_))
        {
            self.shared.check_size(&super::Path::new(path)?, value)?;
        }
        self.raw(path, op, |tx, op| match op {
            Op::Set(Some(value)) => tx.set(path, value.clone()),
            Op::Touch | Op::Set(None) | Op::Merge(_) => Ok(()),
        })
    }

    /// Adds to a number at once, without a transaction around it.
    ///
    /// # Errors
    /// As [`ContextTx::increment`](super::ContextTx::increment); [`Error::Nested`] inside a transaction.
    pub fn increment_raw(&self, path: &str, delta: i64) -> Result<()> {
        self.raw(path, Op::Merge(vec![Merge::Increment(delta)]), |tx, _| {
            tx.increment(path, delta)
        })
    }

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
