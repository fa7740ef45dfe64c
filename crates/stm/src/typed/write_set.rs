//! [`WriteSet`]: the writes that an attempt has buffered, and how to take back those of a branch that gave up.

use super::{bits, tvar::Home};
use crate::{
    Error,
    protocol::{
        commit::Pending,
        slot::Slot,
        stamp::{Stamp, Word},
    },
};
use std::{any::Any, collections::HashMap, fmt, sync::Arc};

/// A buffered write.
pub(crate) struct Entry {
    slot: &'static Slot,
    generation: u32,
    seen: Option<Stamp>,
    before: Option<Word>,
    pub(crate) op: Op,
}

/// What to write.
pub(crate) enum Op {
    /// These bits.
    Set(u64),
    /// The bits that are there, as a signed number, plus this; and the sum once it is computed.
    Add { delta: i64, sum: u64 },
    /// A value that does not fit a slot, or a merge.
    Boxed(Box<dyn BoxedWrite>),
}

/// A write of a type that only the variable knows.
pub(crate) trait BoxedWrite {
    fn prepare(&mut self);
    fn apply(&mut self);
    fn as_any(&mut self) -> &mut dyn Any;
    /// The same write, for a branch that may take it back.
    fn copy(&self) -> Box<dyn BoxedWrite>;
}

/// The function of a merge.
pub(crate) type Merge<T> = Arc<dyn Fn(T) -> T + Send + Sync>;

/// A value to store, or merges to apply to the value that is there.
pub(crate) struct Boxed<T> {
    pub(crate) home: Arc<Home<T>>,
    pub(crate) value: Option<T>,
    pub(crate) merges: Vec<Merge<T>>,
    stored: Option<Arc<T>>,
}

impl<T: Any + Clone + Send + Sync> Boxed<T> {
    pub(crate) fn new(home: &Arc<Home<T>>, value: Option<T>) -> Self {
        Self {
            home: Arc::clone(home),
            value,
            merges: Vec::new(),
            stored: None,
        }
    }
}

impl<T: Any + Clone + Send + Sync> BoxedWrite for Boxed<T> {
    fn prepare(&mut self) {
        let mut value = match &self.value {
            Some(value) if self.merges.is_empty() && bits::fits::<T>() => value.clone(),
            _ => self.value.take().unwrap_or_else(|| self.home.load()),
        };
        for merge in &self.merges {
            value = merge(value);
        }
        if bits::fits::<T>() {
            self.value = Some(value);
        } else {
            self.stored = Some(Arc::new(value));
        }
    }

    fn apply(&mut self) {
        if let Some(value) = &self.value
            && bits::fits::<T>()
        {
            self.home.slot.set_bits(bits::to_bits(value));
        } else {
            // The old value goes where the new one was, to be dropped after the commit.
            self.stored = self.home.boxed.swap(self.stored.take());
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn copy(&self) -> Box<dyn BoxedWrite> {
        Box::new(Self {
            home: Arc::clone(&self.home),
            value: self.value.clone(),
            merges: self.merges.clone(),
            stored: None,
        })
    }
}

impl Op {
    fn copy(&self) -> Self {
        match self {
            Self::Set(bits) => Self::Set(*bits),
            Self::Add { delta, sum } => Self::Add {
                delta: *delta,
                sum: *sum,
            },
            Self::Boxed(write) => Self::Boxed(write.copy()),
        }
    }
}

impl Pending for Entry {
    type Failure = Error;

    #[inline]
    fn slot(&self) -> &'static Slot {
        self.slot
    }

    #[inline]
    fn seen(&self) -> Option<Stamp> {
        self.seen
    }

    #[inline]
    fn prepare(&mut self) -> Result<(), Error> {
        match &mut self.op {
            Op::Set(_) => {}
            Op::Add { delta, sum } => {
                let current = self.slot.bits().cast_signed();
                *sum = current
                    .checked_add(*delta)
                    .map(i64::cast_unsigned)
                    .ok_or_else(|| Error::Overflow {
                        key: super::tvar::name_of(self.slot),
                        current,
                        delta: *delta,
                    })?;
            }
            Op::Boxed(write) => write.prepare(),
        }
        Ok(())
    }

    #[inline]
    fn apply(&mut self, _: Stamp) {
        match &mut self.op {
            Op::Set(bits) => self.slot.set_bits(*bits),
            Op::Add { sum, .. } => self.slot.set_bits(*sum),
            Op::Boxed(write) => write.apply(),
        }
    }

    #[inline]
    fn is_stale(&self) -> bool {
        self.generation != self.slot.generation()
    }

    #[inline]
    fn before(&mut self) -> &mut Option<Word> {
        &mut self.before
    }
}

/// What has been changed since a mark.
struct Undo {
    entry: usize,
    seen: Option<Stamp>,
    op: Op,
}

/// Where an attempt's writes stood.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    entries: usize,
    undone: usize,
}

/// The writes that an attempt has buffered, in the order of their first write.
#[derive(Default)]
pub(crate) struct WriteSet {
    entries: Vec<Entry>,
    /// By slot address, once a linear search would be slow.
    index: HashMap<usize, usize>,
    undo: Vec<Undo>,
    marks: u32,
}

/// Entries up to which a linear search is faster than the index.
const LINEAR: usize = 16;

impl WriteSet {
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        if !self.index.is_empty() {
            self.index.clear();
        }
        self.undo.clear();
        self.marks = 0;
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(crate) fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    #[inline]
    pub(crate) fn position(&self, slot: &Slot) -> Option<usize> {
        if self.entries.len() <= LINEAR {
            self.entries
                .iter()
                .position(|entry| entry.slot.address() == slot.address())
        } else {
            self.index.get(&slot.address()).copied()
        }
    }

    #[inline]
    pub(crate) fn op(&mut self, at: usize) -> &mut Op {
        &mut self.entries[at].op
    }

    #[inline]
    pub(crate) fn push(&mut self, slot: &'static Slot, seen: Option<Stamp>, op: Op) {
        self.entries.push(Entry {
            slot,
            generation: slot.generation(),
            seen,
            before: None,
            op,
        });
        match self.entries.len() {
            ..=LINEAR => {}
            full if full == LINEAR + 1 => {
                for (at, entry) in self.entries.iter().enumerate() {
                    self.index.insert(entry.slot.address(), at);
                }
            }
            more => {
                self.index.insert(slot.address(), more - 1);
            }
        }
    }

    /// The entry, to be changed. Remembers it as it is if a branch may have to take the change back.
    #[inline]
    pub(crate) fn change(&mut self, at: usize) -> &mut Op {
        if self.marks > 0 {
            let entry = &self.entries[at];
            self.undo.push(Undo {
                entry: at,
                seen: entry.seen,
                op: entry.op.copy(),
            });
        }
        &mut self.entries[at].op
    }

    /// The write has become one that depends on what was read.
    pub(crate) fn depend(&mut self, at: usize, seen: Stamp) {
        self.entries[at].seen.get_or_insert(seen);
    }

    /// Starts a branch.
    pub(crate) fn mark(&mut self) -> Mark {
        self.marks += 1;
        Mark {
            entries: self.entries.len(),
            undone: self.undo.len(),
        }
    }

    /// Ends a branch and keeps what it wrote.
    pub(crate) fn keep(&mut self, _: Mark) {
        self.marks -= 1;
        if self.marks == 0 {
            self.undo.clear();
        }
    }

    /// Ends a branch and takes back what it wrote.
    pub(crate) fn undo(&mut self, mark: Mark) {
        for Undo { entry, seen, op } in self.undo.drain(mark.undone..).rev() {
            self.entries[entry].op = op;
            self.entries[entry].seen = seen;
        }
        for entry in self.entries.drain(mark.entries..) {
            self.index.remove(&entry.slot.address());
        }
        if self.entries.len() <= LINEAR {
            self.index.clear();
        }
        self.marks -= 1;
    }
}

impl fmt::Debug for WriteSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteSet")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
