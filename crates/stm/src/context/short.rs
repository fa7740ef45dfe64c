//! [`Short`]: the usual transaction of a context in memory: it changes one small value that is there, and nothing else.
//!
//! It goes through the same commit protocol, with one entry that owns no list and no large value. Whatever does not fit
//! (a second write, a schema, a value behind an `Arc`, a key that is gone, an overflow) unfolds it into an ordinary write,
//! with the same result.

use super::{
    Shared,
    cell::Cell,
    commit::Recorded,
    form::Form,
    kept::One,
    state::State,
    value::Value,
    write::{Merge, Op, Write},
    zone::Capability,
};
use crate::{
    Isolation,
    protocol::{
        commit::{self, Pending, Refusal},
        read_set::ReadSet,
        slot::Slot,
        stamp::{Stamp, Word},
    },
    transaction::{Abort, Step},
};
use std::sync::{Arc, atomic::Ordering};

/// The one write.
pub(super) struct Short {
    slot: &'static Slot,
    /// `None` once the history has it, because the slot's bits are all that is left to write.
    cell: Option<Arc<Cell>>,
    change: Change,
    seen: Option<Stamp>,
    before: Option<Word>,
    old: Value,
    new: Value,
    needed: Option<(u64, u64)>,
}

enum Change {
    Add(i64),
    /// A value that fits a slot's bits.
    Set(Value),
}

/// It is to be unfolded.
pub(super) struct Odd;

impl Change {
    fn of(op: &Op) -> Option<Self> {
        match op {
            Op::Set(Some(value)) if Form::of(Some(value)) != Form::Shared => Some(Self::Set(value.clone())),
            Op::Merge(Merge::Increment(delta), more) if more.is_empty() => Some(Self::Add(*delta)),
            Op::Touch | Op::Set(_) | Op::Merge(..) => None,
        }
    }

    fn into_op(self) -> Op {
        match self {
            Self::Add(delta) => Op::Merge(Merge::Increment(delta), Vec::new()),
            Self::Set(value) => Op::Set(Some(value)),
        }
    }
}

impl Pending for Short {
    type Failure = Odd;

    #[inline]
    fn slot(&self) -> &'static Slot {
        self.slot
    }

    #[inline]
    fn seen(&self) -> Option<Stamp> {
        self.seen
    }

    #[inline]
    fn prepare(&mut self) -> Result<(), Odd> {
        let cell = self.cell.as_ref().ok_or(Odd)?;
        self.old = cell.load_plain().ok_or(Odd)?;
        self.new = match (&self.change, &self.old) {
            (Change::Set(value), _) => value.clone(),
            (Change::Add(delta), Value::Int(now)) => Value::Int(now.checked_add(*delta).ok_or(Odd)?),
            (Change::Add(_), _) => return Err(Odd),
        };
        Ok(())
    }

    #[inline]
    fn apply(&mut self, stamp: Stamp) {
        match &self.cell {
            Some(cell) => drop(cell.store(stamp, Some(self.new.clone()), self.needed)),
            None => {
                if let Some(bits) = Form::bits(&self.new) {
                    self.slot.set_bits(bits);
                }
            }
        }
    }

    #[inline]
    fn is_stale(&self) -> bool {
        // The entry keeps its cell.
        false
    }

    #[inline]
    fn before(&mut self) -> &mut Option<Word> {
        &mut self.before
    }
}

impl Short {
    /// The cell, until the history has it.
    pub(super) fn cell(&self) -> Option<&Arc<Cell>> {
        self.cell.as_ref()
    }
}

impl State {
    /// Buffers a first write as a short one. False = it is to be buffered as usual.
    #[inline]
    pub(super) fn shorten(
        &mut self,
        shared: &Shared,
        name: &str,
        needs: &[Capability],
        op: &Op,
    ) -> Step<bool> {
        let is_first =
            self.shortens && self.writes.is_empty() && self.messages.is_empty() && self.made.is_empty();
        if !is_first || self.isolation == Isolation::Raw {
            return Ok(false);
        }
        let Some(change) = Change::of(op) else {
            return Ok(false);
        };
        let known = self.last.take().filter(|cell| cell.is_at(name));
        let Some(cell) = known.or_else(|| shared.index.get(name)) else {
            return Ok(false);
        };
        self.permit(&cell.path, cell.zone, needs)?;
        self.refuse_younger(&cell)?;
        self.short = Some(Short {
            slot: cell.slot,
            seen: self.seen_before(&cell),
            cell: Some(cell),
            change,
            before: None,
            old: Value::Null,
            new: Value::Null,
            needed: None,
        });
        Ok(true)
    }

    /// Makes a short write an ordinary one.
    pub(super) fn unfold(&mut self) {
        if let Some(Short {
            cell: Some(cell),
            seen,
            change,
            ..
        }) = self.short.take()
        {
            self.push(Write::cell(cell, seen, change.into_op(), false));
        }
    }

    /// Commits the short write, if it is the only one and fits. False = nothing has happened, and the commit is to be done as
    /// usual.
    #[inline]
    pub(super) fn commit_short(&mut self, shared: &Shared) -> Step<bool> {
        let Self {
            reads,
            short: Some(short),
            isolation,
            label,
            ..
        } = self
        else {
            return Ok(false);
        };
        let mut recorded = None;
        let record = |entries: &mut [Short], reads: &mut ReadSet, version: u64| {
            // `SeqCst`, and after the seal: either this sees the schema that is being set, or who sets it sees the seal.
            if shared.has_schema.load(Ordering::SeqCst) {
                return Err(Odd);
            }
            let Some(short) = entries.first_mut() else {
                return Ok(version);
            };
            let place = shared.lanes.open(&shared.domain);
            // The ordinary commit finds the same, and says whose change it is.
            reads.still_hold().map_err(|_| Odd)?;
            let cell = short.cell.take().ok_or(Odd)?;
            // After the version was given: a snapshot that is older has left its mark.
            short.needed = shared.needed.range();
            if !cell.keeps_form(&short.new, short.needed) {
                short.cell = Some(Arc::clone(&cell));
            }
            let version = place.version();
            let fills_lane = place.keep(One {
                version,
                who: *label,
                isolation: *isolation,
                cell,
                old: short.old.clone(),
                new: short.new.clone(),
            });
            recorded = Some(Recorded { version, fills_lane });
            Ok(version)
        };
        let entries = std::slice::from_mut(short);
        let committed = commit::commit(&shared.domain, *isolation, reads, entries, label.as_u32(), record);
        match committed {
            Ok(_) => {}
            Err(Refusal::Conflict) => return Err(Abort::CONFLICT),
            Err(Refusal::Failed(Odd)) => {
                self.unfold();
                return Ok(false);
            }
        }
        self.note(shared, recorded);
        Ok(true)
    }
}
