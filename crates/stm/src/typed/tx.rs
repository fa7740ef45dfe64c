//! [`Tx`]: one attempt at a transaction over typed variables, and the operations that its body may use.

use super::{
    bits,
    tvar::{self, TVar},
    write_set::{Boxed, Merge, Op, WriteSet},
};
use crate::{
    Error, Isolation,
    protocol::{
        commit::{self, Refusal},
        domain::Domain,
        read_set::ReadSet,
        slot::Slot,
    },
    transaction::{Abort, Cause, Step},
};
use std::any::Any;

/// The domain of all typed variables.
pub(super) static DOMAIN: Domain = Domain::new(0);

/// Variables read, or written, by one transaction: more is refused, so that memory is bounded.
pub const MAX_TOUCHED: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) reads: ReadSet,
    pub(super) writes: WriteSet,
}

/// One attempt at a transaction. The body gets it, and may run more than once.
///
/// Body rules: no side effects but through `tx`, and no waiting for another thread except by [`retry`](crate::retry).
#[derive(Debug)]
pub struct Tx {
    pub(super) buffers: Box<Buffers>,
    pub(super) isolation: Isolation,
    pub(super) label: u32,
    pub(super) written: bool,
}

impl Tx {
    /// The value of a variable: the one this transaction has written, else the one its level promises.
    ///
    /// # Errors
    /// An abort to be returned: the attempt has lost, or has read too much.
    #[inline]
    pub fn read<T: Any + Clone + Send + Sync>(&mut self, variable: &TVar<T>) -> Step<T> {
        if self.buffers.writes.len() > 0
            && let Some(at) = self.buffers.writes.position(variable.slot())
        {
            return self.read_written(variable, at);
        }
        self.read_shared(variable)
    }

    #[inline]
    fn read_shared<T: Any + Clone + Send + Sync>(&mut self, variable: &TVar<T>) -> Step<T> {
        if self.buffers.reads.reads().len() >= MAX_TOUCHED {
            return Err(too_large("variables read"));
        }
        self.buffers
            .reads
            .read(&DOMAIN, self.isolation, variable.slot(), || variable.load())
            .map(|(value, _)| value)
            .map_err(|_| Abort::CONFLICT)
    }

    /// A number as it will be if nobody else writes: what is there plus what this transaction adds.
    pub(crate) fn read_sum(&mut self, slot: &'static Slot) -> Step<i64> {
        let (bits, _) = self
            .buffers
            .reads
            .read(&DOMAIN, self.isolation, slot, || slot.bits())
            .map_err(|_| Abort::CONFLICT)?;
        let pending = match self.buffers.writes.position(slot) {
            Some(at) => match self.buffers.writes.op(at) {
                Op::Add { delta, .. } => *delta,
                Op::Set(_) | Op::Boxed(_) => 0,
            },
            None => 0,
        };
        Ok(bits.cast_signed().wrapping_add(pending))
    }

    fn read_written<T: Any + Clone + Send + Sync>(&mut self, variable: &TVar<T>, at: usize) -> Step<T> {
        match self.buffers.writes.op(at) {
            Op::Set(bits) => {
                if let Some(value) = bits::from_bits(*bits) {
                    return Ok(value);
                }
            }
            Op::Boxed(write) => {
                if let Some(Boxed {
                    value: Some(value),
                    merges,
                    ..
                }) = write.as_any().downcast_ref::<Boxed<T>>()
                    && merges.is_empty()
                {
                    return Ok(value.clone());
                }
            }
            Op::Add { .. } => {}
        }
        self.settle(variable, at)
    }

    /// Turns a merge into a plain write of the value it gives, because the body wants to see it.
    fn settle<T: Any + Clone + Send + Sync>(&mut self, variable: &TVar<T>, at: usize) -> Step<T> {
        let base = self.read_shared(variable)?;
        let seen = self.buffers.reads.seen(variable.slot());
        let value = match self.buffers.writes.change(at) {
            Op::Add { delta, .. } => {
                let current = bits::to_bits(&base).cast_signed();
                let sum = current.checked_add(*delta).ok_or_else(|| {
                    Abort::failed(Error::Overflow {
                        key: tvar::name_of(variable.slot()),
                        current,
                        delta: *delta,
                    })
                })?;
                bits::from_bits(sum.cast_unsigned()).unwrap_or(base)
            }
            Op::Boxed(write) => match write.as_any().downcast_mut::<Boxed<T>>() {
                Some(boxed) => {
                    let start = boxed.value.take().unwrap_or(base);
                    boxed.merges.drain(..).fold(start, |value, merge| merge(value))
                }
                None => base,
            },
            Op::Set(_) => base,
        };
        *self.buffers.writes.op(at) = set(variable, value.clone());
        if let Some(seen) = seen {
            self.buffers.writes.depend(at, seen);
        }
        Ok(value)
    }

    /// Writes a variable: at commit, or at once in a raw transaction.
    ///
    /// # Errors
    /// An abort to be returned: the attempt has written too much.
    #[inline]
    pub fn write<T: Any + Clone + Send + Sync>(&mut self, variable: &TVar<T>, value: T) -> Step<()> {
        self.buffer(variable.slot(), set(variable, value))
    }

    /// Reads, applies `change`, writes; answers the new value. Conflicts like a read and a write.
    ///
    /// # Errors
    /// As [`read`](Self::read) and [`write`](Self::write).
    pub fn modify<T: Any + Clone + Send + Sync>(
        &mut self,
        variable: &TVar<T>,
        change: impl FnOnce(T) -> T,
    ) -> Step<T> {
        let value = change(self.read(variable)?);
        self.write(variable, value.clone())?;
        Ok(value)
    }

    /// Adds to a number without reading it: never conflicts with other increments. For a number that many threads
    /// increment all the time use [`Counter`](crate::Counter), which they do not even share a cache line of.
    ///
    /// # Errors
    /// As [`write`](Self::write). A sum beyond 64 bits fails the transaction when it commits.
    #[inline]
    pub fn increment(&mut self, variable: &TVar<i64>, delta: i64) -> Step<()> {
        self.add(variable.slot(), delta)
    }

    #[inline]
    pub(crate) fn add(&mut self, slot: &'static Slot, delta: i64) -> Step<()> {
        let Some(at) = self.buffers.writes.position(slot) else {
            return self.buffer(slot, Op::Add { delta, sum: 0 });
        };
        let overflow = |current: i64| {
            Abort::failed(Error::Overflow {
                key: tvar::name_of(slot),
                current,
                delta,
            })
        };
        match self.buffers.writes.change(at) {
            Op::Set(bits) => {
                let current = bits.cast_signed();
                *bits = current
                    .checked_add(delta)
                    .ok_or_else(|| overflow(current))?
                    .cast_unsigned();
            }
            Op::Add { delta: sum, .. } => *sum = sum.checked_add(delta).ok_or_else(|| overflow(*sum))?,
            Op::Boxed(write) => {
                if let Some(boxed) = write.as_any().downcast_mut::<Boxed<i64>>() {
                    boxed
                        .merges
                        .push(std::sync::Arc::new(move |value| value.saturating_add(delta)));
                }
            }
        }
        Ok(())
    }

    /// Applies `merge` to whatever the value is when the transaction commits: never conflicts with other merges. The
    /// results are right if the merges commute or their order does not matter. It may run more than once, and must not
    /// touch transactional variables.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn merge<T: Any + Clone + Send + Sync>(
        &mut self,
        variable: &TVar<T>,
        merge: impl Fn(T) -> T + Send + Sync + 'static,
    ) -> Step<()> {
        let merge: Merge<T> = std::sync::Arc::new(merge);
        if let Some(at) = self.buffers.writes.position(variable.slot()) {
            if let Op::Boxed(write) = self.buffers.writes.change(at)
                && let Some(boxed) = write.as_any().downcast_mut::<Boxed<T>>()
            {
                boxed.merges.push(merge);
                return Ok(());
            }
            let value = self.read(variable)?;
            return self.write(variable, merge(value));
        }
        let mut boxed = Boxed::new(variable.home(), None);
        boxed.merges.push(merge);
        self.buffer(variable.slot(), Op::Boxed(Box::new(boxed)))
    }

    /// Appends to a list without reading it: never conflicts with other appends.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn append<T: Clone + Send + Sync + 'static>(&mut self, variable: &TVar<Vec<T>>, item: T) -> Step<()> {
        self.merge(variable, move |mut list| {
            list.push(item.clone());
            list
        })
    }

    /// Runs `first`; if it retries, takes back what it wrote and runs `second`. If both retry, the transaction sleeps
    /// until something that either has read changes.
    ///
    /// # Errors
    /// Those of the branch that decides. In a raw transaction a branch that has written cannot be taken back.
    pub fn or_else<R>(
        &mut self,
        first: impl FnOnce(&mut Self) -> Step<R>,
        second: impl FnOnce(&mut Self) -> Step<R>,
    ) -> Step<R> {
        let mark = self.buffers.writes.mark();
        match first(self) {
            Err(Abort(Cause::Retry)) if self.written => Err(Abort::failed(Error::RawRetry)),
            Err(Abort(Cause::Retry)) => {
                self.buffers.writes.undo(mark);
                second(self)
            }
            decided => {
                self.buffers.writes.keep(mark);
                decided
            }
        }
    }

    /// The level of this transaction.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    #[inline]
    fn buffer(&mut self, slot: &'static Slot, op: Op) -> Step<()> {
        if let Some(at) = self.buffers.writes.position(slot) {
            *self.buffers.writes.change(at) = op;
            return Ok(());
        }
        if self.buffers.writes.len() >= MAX_TOUCHED {
            return Err(too_large("variables written"));
        }
        // A safe commit validates everything read; only a hybrid one must know what was read *and* written.
        let seen = match self.isolation {
            Isolation::Hybrid => self.buffers.reads.seen(slot),
            Isolation::Safe | Isolation::Raw => None,
        };
        self.buffers.writes.push(slot, seen, op);
        if self.isolation == Isolation::Raw {
            self.commit()?;
            self.buffers.writes.clear();
            self.written = true;
        }
        Ok(())
    }

    #[inline]
    pub(super) fn commit(&mut self) -> Step<()> {
        let Buffers { reads, writes } = &mut *self.buffers;
        let committed = commit::commit(
            &DOMAIN,
            self.isolation,
            reads,
            writes.entries_mut(),
            self.label,
            |_, _, version| Ok(version),
        );
        match committed {
            Ok(_) => Ok(()),
            Err(Refusal::Conflict) => Err(Abort::CONFLICT),
            Err(Refusal::Failed(error)) => Err(Abort::failed(error)),
        }
    }
}

#[inline]
fn set<T: Any + Clone + Send + Sync>(variable: &TVar<T>, value: T) -> Op {
    if bits::fits::<T>() {
        Op::Set(bits::to_bits(&value))
    } else {
        Op::Boxed(Box::new(Boxed::new(variable.home(), Some(value))))
    }
}

#[cold]
fn too_large(what: &'static str) -> Abort {
    Abort::failed(Error::TooLarge {
        at: "transaction".into(),
        what,
        size: MAX_TOUCHED + 1,
        limit: MAX_TOUCHED,
    })
}
