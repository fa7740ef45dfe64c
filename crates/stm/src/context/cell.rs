//! [`Cell`]: one versioned value of a context, with the older values that living snapshots still need.
//!
//! A cell whose value is `None` is *gone*: it has left the index, and whoever still holds it must look its path up again.
//! A small value is told by its *form* and the bits of the slot, so reading and writing it takes no lock; only what is
//! behind an `Arc` is in `held`.
//!
//! Invariants: everything changes only while the slot is sealed, by the sealer. A reader may therefore see a form and bits
//! that do not belong together, but then the slot's word has changed when it looks again, and it reads again.

use super::{
    form::Form,
    path::Path,
    value::Value,
    zone::{Capability, Zone},
};
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
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
};

/// Paths up to this length are found without a look behind their `Arc`.
const SHORT_BYTES: usize = 20;

/// In this order, so that what an ordinary read or write looks at is together.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Cell {
    pub(crate) path: Path,
    pub(crate) slot: &'static Slot,
    pub(crate) zone: Zone,
    /// A [`Form`]. `Release` and `Acquire`, as the slot's bits: who sees a new form sees at least the seal when it looks at
    /// the word again.
    form: AtomicU8,
    /// Whether `held.older` has anything.
    has_older: AtomicBool,
    /// The length of `short`; more than there is room for if the path is longer.
    short_bytes: u8,
    /// The path's bytes.
    short: [u8; SHORT_BYTES],
    /// The version of the first value.
    born: AtomicU64,
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// The value, if its form is [`Form::Shared`].
    value: Option<Value>,
    /// Oldest first, each with the stamp it was written with.
    older: VecDeque<(Stamp, Option<Value>)>,
}

impl Held {
    /// Keeps what living snapshots need of the value written at `before`; `needed` is the range of their versions.
    fn keep(&mut self, before: Stamp, old: Option<&Value>, needed: Option<(u64, u64)>) {
        let Some((oldest, newest)) = needed else {
            self.older.clear();
            return;
        };
        // What is newer than every snapshot is needed by none: a hot value keeps one old version a snapshot.
        if before.version() <= newest {
            self.older.push_back((before, old.cloned()));
        }
        while self
            .older
            .get(1)
            .is_some_and(|(stamp, _)| stamp.version() <= oldest)
        {
            self.older.pop_front();
        }
    }
}

impl Cell {
    /// A cell without a value.
    pub(crate) fn new(path: Path) -> Self {
        let bytes = path.as_str().as_bytes();
        let mut short = [0; SHORT_BYTES];
        if let Some(start) = short.get_mut(..bytes.len()) {
            start.copy_from_slice(bytes);
        }
        Self {
            zone: Zone::of(&path),
            short_bytes: u8::try_from(bytes.len()).unwrap_or(u8::MAX),
            short,
            path,
            form: AtomicU8::new(Form::Gone as u8),
            has_older: AtomicBool::new(false),
            slot: pool::take(),
            born: AtomicU64::new(0),
            held: RwLock::default(),
        }
    }

    /// Whether this is its path.
    #[inline]
    pub(crate) fn is_at(&self, path: &str) -> bool {
        if path.len() > SHORT_BYTES {
            return self.path.as_str() == path;
        }
        usize::from(self.short_bytes) == path.len() && self.short[..path.len()] == *path.as_bytes()
    }

    /// Whether a value of the same form is written by its bits alone. Only to be asked by the sealer.
    #[inline]
    pub(crate) fn keeps_form(&self, value: &Value, needed: Option<(u64, u64)>) -> bool {
        self.form() == Form::of(Some(value)) && needed.is_none() && !self.has_older.load(Ordering::Relaxed)
    }

    fn held(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn held_mut(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn form(&self) -> Form {
        Form::from_u8(self.form.load(Ordering::Acquire))
    }

    /// The value that is there now. Whole only if the slot's word is the same before and after, or sealed by the caller.
    #[inline]
    pub(crate) fn load(&self) -> Option<Value> {
        match self.form() {
            Form::Shared => self.held().value.clone(),
            form => form.value(self.slot.bits()),
        }
    }

    /// As [`load`](Self::load) for a value that fits the slot's bits; `None` for others and for what is gone.
    #[inline]
    pub(crate) fn load_plain(&self) -> Option<Value> {
        self.form().value(self.slot.bits())
    }

    /// Replaces the value and answers the old one, for the caller to drop. Only by the sealer. `needed` is the range of
    /// versions that living snapshots have.
    #[inline]
    pub(crate) fn store(
        &self,
        stamp: Stamp,
        value: Option<Value>,
        needed: Option<(u64, u64)>,
    ) -> Option<Value> {
        let before = self.slot.word().stamp();
        if before == Stamp::ORIGIN {
            self.born.store(stamp.version(), Ordering::Release);
        }
        let (was, is) = (self.form(), Form::of(value.as_ref()));
        let bits = value.as_ref().and_then(Form::bits);
        let is_plain = was != Form::Shared && is != Form::Shared;
        let old = if is_plain && needed.is_none() && !self.has_older.load(Ordering::Relaxed) {
            was.value(self.slot.bits())
        } else {
            self.store_held(before, value, needed)
        };
        if let Some(bits) = bits {
            self.slot.set_bits(bits);
        }
        if was != is {
            self.form.store(is as u8, Ordering::Release);
        }
        old
    }

    /// As [`store`](Self::store) for a number that is there and a sum that fits. False = it does not, or more than the
    /// bits would change; nothing has happened then.
    #[inline]
    pub(crate) fn add(&self, delta: i64, needed: Option<(u64, u64)>) -> bool {
        if self.form() != Form::Int || needed.is_some() || self.has_older.load(Ordering::Relaxed) {
            return false;
        }
        let sum = self.slot.bits().cast_signed().checked_add(delta);
        sum.inspect(|sum| self.slot.set_bits(sum.cast_unsigned()))
            .is_some()
    }

    /// As [`store`](Self::store) for a value that is there and one that both fit the bits. False as for
    /// [`add`](Self::add).
    #[inline]
    pub(crate) fn replace(&self, value: &Value, needed: Option<(u64, u64)>) -> bool {
        let (was, is) = (self.form(), Form::of(Some(value)));
        let is_plain = !matches!(was, Form::Shared | Form::Gone) && is != Form::Shared;
        if !is_plain || needed.is_some() || self.has_older.load(Ordering::Relaxed) {
            return false;
        }
        if let Some(bits) = Form::bits(value) {
            self.slot.set_bits(bits);
        }
        if was != is {
            self.form.store(is as u8, Ordering::Release);
        }
        true
    }

    /// The part of [`store`](Self::store) that needs the lock.
    fn store_held(&self, before: Stamp, value: Option<Value>, needed: Option<(u64, u64)>) -> Option<Value> {
        let mut held = self.held_mut();
        let value = value.filter(|value| Form::of(Some(value)) == Form::Shared);
        let shared = std::mem::replace(&mut held.value, value);
        let old = match self.form() {
            Form::Shared => shared,
            form => form.value(self.slot.bits()),
        };
        held.keep(before, old.as_ref(), needed);
        self.has_older.store(!held.older.is_empty(), Ordering::Relaxed);
        old
    }

    /// The version of the first value; 0 for a cell that is being made.
    pub(crate) fn born(&self) -> u64 {
        self.born.load(Ordering::Acquire)
    }

    /// The latest value and its stamp, outside a transaction.
    pub(crate) fn read(&self) -> (Option<Value>, Stamp) {
        self.stable(|stamp| (self.load(), stamp))
    }

    /// The latest value and its stamp, if there is one, if everybody may read it, and if no commit is in the way. Never
    /// waits.
    #[inline]
    pub(crate) fn glance(&self) -> Option<(Value, Stamp)> {
        let before = self.slot.word();
        if before.has(Word::SEALED) || !self.zone.allows(Capability::Read) {
            return None;
        }
        let value = self.load()?;
        let after = self.slot.word();
        (!after.has(Word::SEALED) && after.stamp() == before.stamp()).then(|| (value, before.stamp()))
    }

    /// The value at a version that a snapshot has registered.
    pub(crate) fn read_at(&self, version: u64) -> Option<Value> {
        self.stable(|stamp| {
            if stamp.version() <= version {
                return self.load();
            }
            let held = self.held();
            let mut older = held.older.iter().rev();
            let older = older.find(|(stamp, _)| stamp.version() <= version);
            older.and_then(|(_, value)| value.clone())
        })
    }

    /// Looks when no commit is in its write-back.
    fn stable<T>(&self, look: impl Fn(Stamp) -> T) -> T {
        let mut spin = Spin::default();
        loop {
            let before = self.slot.word();
            if !before.has(Word::SEALED) {
                let seen = look(before.stamp());
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
        let stamp = Stamp::first_of(version);
        drop(self.store(stamp, Some(value), None));
        self.slot.publish(stamp);
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        pool::give_back(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_follows_every_other() {
        let values = [
            None,
            Some(Value::Null),
            Some(Value::Bool(true)),
            Some(Value::Int(-7)),
            Some(Value::Float(0.5)),
            Some(Value::from("text")),
            Some(Value::from(vec![1_u8])),
        ];
        for needed in [None, Some((0, 9))] {
            let cell = Cell::new(Path::new("a.b").unwrap_or_else(|error| panic!("{error}")));
            let mut last = None;
            for (turn, (from, to)) in values
                .iter()
                .flat_map(|a| values.iter().map(move |b| (a, b)))
                .enumerate()
            {
                let stamp = Stamp::first_of(10 + turn as u64);
                for value in [from, to] {
                    assert_eq!(cell.store(stamp, value.clone(), needed), last);
                    assert_eq!(&cell.load(), value);
                    last.clone_from(value);
                }
            }
        }
    }
}
