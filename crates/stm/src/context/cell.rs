//! [`Cell`]: one versioned value of a context, with the older values that living snapshots still need.
//!
//! A cell whose value is `None` is *gone*: it has left the index, and whoever still holds it must look its path up again.
//! Invariant: `held` changes only while the slot is sealed. Its lock is therefore never contended by two writers; it
//! keeps a reader's copy whole.

use super::{path::Path, value::Value, zone::Zone};
use crate::{
    primitive::Spin,
    protocol::{
        pool,
        slot::Slot,
        stamp::{Stamp, Word},
    },
};
use std::{
    collections::VecDeque,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) path: Path,
    pub(crate) zone: Zone,
    pub(crate) slot: &'static Slot,
    /// The version of the first value.
    born: AtomicU64,
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    stamp: Stamp,
    value: Option<Value>,
    /// Oldest first, each with the stamp it was written with.
    older: VecDeque<(Stamp, Option<Value>)>,
}

impl Cell {
    /// A cell without a value.
    pub(crate) fn new(path: Path) -> Self {
        Self {
            zone: Zone::of(&path),
            path,
            slot: pool::take(),
            born: AtomicU64::new(0),
            held: RwLock::default(),
        }
    }

    fn held(&self) -> std::sync::RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value that is there now, whole.
    pub(crate) fn load(&self) -> Option<Value> {
        self.held().value.clone()
    }

    /// Replaces the value and answers the old one, for the caller to drop. Only by the sealer. `needed` is the range of
    /// versions that living snapshots have.
    pub(crate) fn store(
        &self,
        stamp: Stamp,
        value: Option<Value>,
        needed: Option<(u64, u64)>,
    ) -> Option<Value> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        self.replace(&mut held, stamp, value, needed)
    }

    /// As [`store`](Self::store), with a value made from the one that is there. `None` = there is none.
    pub(crate) fn update<E>(
        &self,
        stamp: Stamp,
        needed: Option<(u64, u64)>,
        make: impl FnOnce(&Value) -> Result<Value, E>,
    ) -> Option<Result<Option<Value>, E>> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let made = make(held.value.as_ref()?);
        Some(made.map(|value| self.replace(&mut held, stamp, Some(value), needed)))
    }

    fn replace(
        &self,
        held: &mut Held,
        stamp: Stamp,
        value: Option<Value>,
        needed: Option<(u64, u64)>,
    ) -> Option<Value> {
        let before = std::mem::replace(&mut held.stamp, stamp);
        if before == Stamp::ORIGIN {
            self.born.store(stamp.version(), Ordering::Release);
        }
        let old = std::mem::replace(&mut held.value, value);
        match needed {
            None if held.older.is_empty() => {}
            None => held.older.clear(),
            Some((oldest, newest)) => {
                // What is newer than every snapshot is needed by none: a hot value keeps one old version a snapshot.
                if before.version() <= newest {
                    held.older.push_back((before, old.clone()));
                }
                while held
                    .older
                    .get(1)
                    .is_some_and(|(stamp, _)| stamp.version() <= oldest)
                {
                    held.older.pop_front();
                }
            }
        }
        old
    }

    /// The version of the first value; 0 for a cell that is being made.
    pub(crate) fn born(&self) -> u64 {
        self.born.load(Ordering::Acquire)
    }

    /// The latest value and its stamp, outside a transaction.
    pub(crate) fn read(&self) -> (Option<Value>, Stamp) {
        self.stable(|held| (held.value.clone(), held.stamp))
    }

    /// The value at a version that a snapshot has registered.
    pub(crate) fn read_at(&self, version: u64) -> Option<Value> {
        self.stable(|held| {
            if held.stamp.version() <= version {
                return held.value.clone();
            }
            let older = held
                .older
                .iter()
                .rev()
                .find(|(stamp, _)| stamp.version() <= version);
            older.and_then(|(_, value)| value.clone())
        })
    }

    /// Looks when no commit is in its write-back.
    fn stable<T>(&self, look: impl Fn(&Held) -> T) -> T {
        let mut spin = Spin::default();
        loop {
            let before = self.slot.word();
            if !before.has(Word::SEALED) {
                let seen = look(&self.held());
                let after = self.slot.word();
                if !after.has(Word::SEALED) && after.stamp() == before.stamp() {
                    return seen;
                }
            }
            spin.turn();
        }
    }

    /// Sets the first value while recovering, when nobody else knows the cell.
    pub(crate) fn restore(&self, version: u64, value: Value) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.value = Some(value);
        held.stamp = Stamp::first_of(version);
        drop(held);
        self.slot.publish(Stamp::first_of(version));
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        pool::give_back(self.slot);
    }
}
