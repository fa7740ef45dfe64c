//! [`Write`]: one buffered write of a context's transaction, as the commit protocol handles it.

use super::{cell::Cell, change::Change, path::Path, value::Value};
use crate::{
    Error,
    protocol::{
        commit::Pending,
        read_set::Changed,
        slot::Slot,
        stamp::{Stamp, Word},
    },
};
use std::{fmt, sync::Arc};

/// What to do to a value.
#[derive(Clone)]
pub(crate) enum Op {
    /// Nothing: the slot is a gap, and what it stands for changes.
    Touch,
    /// Make it this, or nothing.
    Set(Option<Value>),
    /// Change whatever is there at the commit: the first change, and those after it.
    Merge(Merge, Vec<Merge>),
}

/// A change that needs not have seen the value.
#[derive(Clone)]
pub(crate) enum Merge {
    Increment(i64),
    Append(Value),
    Own(Arc<dyn Fn(Option<Value>) -> Result<Value, Error> + Send + Sync>),
}

impl Merge {
    /// The value after this change.
    ///
    /// # Errors
    /// When the value is not of the kind that the change needs.
    pub(crate) fn apply(&self, path: &Path, value: Option<Value>) -> Result<Value, Error> {
        let clash = |expected: &str, found: &Value| Error::TypeClash {
            path: path.to_string(),
            expected: expected.into(),
            found: found.kind().into(),
        };
        match self {
            Self::Increment(delta) => match value.unwrap_or(Value::Int(0)) {
                Value::Int(current) => {
                    current
                        .checked_add(*delta)
                        .map(Value::Int)
                        .ok_or_else(|| Error::Overflow {
                            key: path.to_string(),
                            current,
                            delta: *delta,
                        })
                }
                #[expect(clippy::cast_precision_loss, reason = "the value is a float already")]
                Value::Float(current) => Ok(Value::Float(current + *delta as f64)),
                other => Err(clash("int or float", &other)),
            },
            Self::Append(item) => match value.unwrap_or_else(|| Value::from(Vec::<Value>::new())) {
                Value::List(mut list) => {
                    Arc::make_mut(&mut list).push(item.clone());
                    Ok(Value::List(list))
                }
                other => Err(clash("list", &other)),
            },
            Self::Own(merge) => merge(value),
        }
    }
}

/// The value after several changes.
///
/// # Errors
/// As [`Merge::apply`].
pub(crate) fn merged(
    path: &Path,
    value: Option<Value>,
    first: &Merge,
    more: &[Merge],
) -> Result<Value, Error> {
    let start = first.apply(path, value)?;
    more.iter()
        .try_fold(start, |value, merge| merge.apply(path, Some(value)))
}

/// One buffered write.
pub(crate) struct Write {
    /// The cell; `None` for a gap.
    pub(crate) cell: Option<Arc<Cell>>,
    pub(crate) op: Op,
    /// The cell is not in the index yet.
    pub(crate) creates: bool,
    pub(crate) seen: Option<Stamp>,
    slot: &'static Slot,
    before: Option<Word>,
    /// Filled by `prepare`.
    pub(crate) old: Option<Value>,
    pub(crate) new: Option<Value>,
    /// Filled before `apply`: the versions that snapshots need.
    pub(crate) needed: Option<(u64, u64)>,
}

/// Why a value could not be prepared.
#[derive(Debug)]
pub(crate) enum Unprepared {
    /// The cell has left the index since it was looked up.
    Gone,
    /// Something that was read has changed since it was validated.
    Changed,
    /// The change does not fit.
    Refused(Error),
}

impl From<Error> for Unprepared {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Changed> for Unprepared {
    fn from(_: Changed) -> Self {
        Self::Changed
    }
}

impl Write {
    pub(crate) fn gap(slot: &'static Slot, seen: Option<Stamp>) -> Self {
        Self::new(None, slot, seen, Op::Touch, false)
    }

    pub(crate) fn cell(cell: Arc<Cell>, seen: Option<Stamp>, op: Op, creates: bool) -> Self {
        let slot = cell.slot;
        Self::new(Some(cell), slot, seen, op, creates)
    }

    fn new(cell: Option<Arc<Cell>>, slot: &'static Slot, seen: Option<Stamp>, op: Op, creates: bool) -> Self {
        Self {
            cell,
            op,
            creates,
            seen,
            slot,
            before: None,
            old: None,
            new: None,
            needed: None,
        }
    }
}

impl Write {
    /// What it changes, once it is prepared.
    pub(super) fn change(&self) -> Option<Change> {
        let cell = self.cell.as_ref()?;
        let (old, new) = (self.old.clone(), self.new.clone());
        let path = cell.path.clone();
        (old.is_some() || new.is_some()).then_some(Change { path, old, new })
    }

    /// The same write, as it was buffered.
    pub(super) fn again(&self) -> Self {
        Self::new(
            self.cell.clone(),
            self.slot,
            self.seen,
            self.op.clone(),
            self.creates,
        )
    }
}

impl Pending for Write {
    type Failure = Unprepared;

    fn slot(&self) -> &'static Slot {
        self.slot
    }

    fn seen(&self) -> Option<Stamp> {
        self.seen
    }

    fn prepare(&mut self) -> Result<(), Unprepared> {
        let Some(cell) = &self.cell else { return Ok(()) };
        self.old = cell.load();
        if self.old.is_none() && !self.creates {
            return Err(Unprepared::Gone);
        }
        self.new = match &self.op {
            Op::Touch => self.old.clone(),
            Op::Set(value) => value.clone(),
            Op::Merge(first, more) => Some(merged(&cell.path, self.old.clone(), first, more)?),
        };
        Ok(())
    }

    fn apply(&mut self, stamp: Stamp) {
        if let Some(cell) = &self.cell {
            // The former value is dropped with this entry, after the commit.
            self.old = cell.store(stamp, self.new.take(), self.needed);
        }
    }

    fn is_stale(&self) -> bool {
        // The entry keeps its cell, and the index keeps the gaps.
        false
    }

    fn before(&mut self) -> &mut Option<Word> {
        &mut self.before
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.cell.as_ref().map(|cell| &cell.path);
        f.debug_struct("Write")
            .field("path", &path)
            .finish_non_exhaustive()
    }
}
