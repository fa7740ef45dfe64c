//! Buffering writes: the part of [`State`] that turns what a body does into entries of the write set, or, in a raw
//! transaction, into commits of one write each.

use super::{
    Shared,
    cell::Cell,
    path::Path,
    raw::Plain,
    state::State,
    value::Value,
    write::{Merge, Op, Write},
    zone::{Capability, Zone},
};
use crate::{
    Error, Isolation,
    protocol::stamp::Stamp,
    transaction::{Abort, Cause, Step},
};

impl State {
    /// Sets a value or removes it.
    pub(crate) fn put(&mut self, shared: &Shared, name: &str, value: Option<Value>) -> Step<()> {
        let needs: &[Capability] = if value.is_some() {
            &[Capability::Update]
        } else {
            &[Capability::Delete]
        };
        self.write(shared, name, needs, Op::Set(value))
    }

    /// Changes a value without having seen it.
    pub(crate) fn merge(&mut self, shared: &Shared, name: &str, merge: Merge) -> Step<()> {
        let needs: &[Capability] = match &merge {
            Merge::Append(_) => &[Capability::Update, Capability::Append],
            Merge::Increment(_) | Merge::Own(_) => &[Capability::Update],
        };
        self.write(shared, name, needs, Op::Merge(merge, Vec::new()))
    }

    fn write(&mut self, shared: &Shared, name: &str, needs: &[Capability], op: Op) -> Step<()> {
        if self.isolation == Isolation::Raw {
            return self.write_through(shared, name, needs, &op);
        }
        if self.short.is_some() {
            self.unfold();
        } else if self.shorten(shared, name, needs, &op)? {
            return Ok(());
        }
        if self.writes.len() >= shared.config.max_writes {
            return Err(Abort::failed(Error::TooLarge {
                at: "transaction".into(),
                what: "the number of paths written",
                size: self.writes.len() + 1,
                limit: shared.config.max_writes,
            }));
        }
        self.buffer(shared, name, needs, op)
    }

    /// A raw transaction commits each write alone. What makes or removes a key can lose against another one; nothing of
    /// it has happened then, and it is tried again.
    fn write_through(&mut self, shared: &Shared, name: &str, needs: &[Capability], op: &Op) -> Step<()> {
        if self.noted.is_none()
            && let Some(plain) = Plain::of(op)
            && shared.raw_plain(name, plain, self.admin, self.label)
        {
            self.written = true;
            return Ok(());
        }
        if self.noted.is_none()
            && let Some(done) = shared.raw_at_once(name, needs, op, self.admin, self.label)
        {
            self.written |= done.is_ok();
            return done.map_err(Abort::failed);
        }
        loop {
            self.clear();
            self.forget_reads();
            self.reads.begin(&shared.domain, Isolation::Raw, false);
            let done = self
                .buffer(shared, name, needs, op.clone())
                .and_then(|()| self.commit(shared));
            match done {
                Err(Abort(Cause::Conflict)) => std::thread::yield_now(),
                done => {
                    self.written |= done.is_ok();
                    self.clear();
                    return done;
                }
            }
        }
    }

    fn buffer(&mut self, shared: &Shared, name: &str, needs: &[Capability], op: Op) -> Step<()> {
        if let Some(at) = self.made_at(name) {
            let path = shared.path(name)?;
            check_op(shared, &path, Zone::of(&path), &op)?;
            return self.rewrite(shared, &path, needs, at, op);
        }
        let Some(cell) = shared.index.get(name) else {
            let path = Path::new(name)?;
            let zone = Zone::of(&path);
            check_op(shared, &path, zone, &op)?;
            if !matches!(op, Op::Set(None)) {
                return self.create(shared, &path, op);
            }
            // Nothing to remove. That it is not there is what the transaction has seen.
            self.permit(&path, zone, needs)?;
            return self.look(shared, &path).map(|_| ());
        };
        check_op(shared, &cell.path, cell.zone, &op)?;
        if let Some(at) = self.position(cell.slot) {
            return self.rewrite(shared, &cell.path, needs, at, op);
        }
        self.permit(&cell.path, cell.zone, needs)?;
        self.refuse_younger(&cell)?;
        let seen = self.seen_before(&cell);
        if matches!(op, Op::Set(None)) {
            self.touch_gaps(shared, &cell.path);
        }
        self.push(Write::cell(cell, seen, op, false));
        Ok(())
    }

    /// Refuses a blind write into a cell that is younger than the attempt: it may have read a former value of the path, in a
    /// cell that is gone, or that there was none.
    #[inline]
    pub(super) fn refuse_younger(&mut self, cell: &Cell) -> Step<()> {
        // A cell that is being made is in the index before it is born: 0 is later than any beginning.
        let is_younger = cell.born().wrapping_sub(1) >= self.began;
        if self.isolation == Isolation::Hybrid && is_younger && !self.reads.reads().is_empty() {
            self.reads.add_rival(cell.slot);
            return Err(Abort::CONFLICT);
        }
        Ok(())
    }

    /// The stamp that the commit must still find. A safe one looks at all that was read.
    #[inline]
    pub(super) fn seen_before(&mut self, cell: &Cell) -> Option<Stamp> {
        match self.isolation {
            Isolation::Hybrid => self.reads.seen(cell.slot),
            Isolation::Safe | Isolation::Raw => None,
        }
    }

    /// A second write of the same path.
    fn rewrite(&mut self, shared: &Shared, path: &Path, needs: &[Capability], at: usize, op: Op) -> Step<()> {
        let is_there = !matches!(self.writes[at].op, Op::Set(None));
        if is_there && !self.writes[at].creates {
            self.permit(path, Zone::of(path), needs)?;
        }
        if matches!(op, Op::Set(None)) {
            self.touch_gaps(shared, path);
        }
        let op = match (op, &mut self.writes[at].op) {
            (Op::Merge(next, _), Op::Merge(_, more)) => {
                more.push(next);
                return Ok(());
            }
            (Op::Merge(next, _), Op::Set(value)) => {
                let merged = next.apply(path, value.clone()).map_err(Abort::failed)?;
                Op::Set(Some(merged))
            }
            (op, _) => op,
        };
        self.writes[at].op = op;
        Ok(())
    }
}

/// Refuses a value that is too large. What a merge gives is measured when it commits.
fn check_op(shared: &Shared, path: &Path, zone: Zone, op: &Op) -> Step<()> {
    match op {
        Op::Set(Some(value)) | Op::Merge(Merge::Append(value), _) => shared
            .check_size(path.as_str(), zone, value)
            .map_err(Abort::failed),
        Op::Set(None) | Op::Touch | Op::Merge(..) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, label::Label};
    use std::sync::Arc;

    #[test]
    fn a_key_that_is_being_made_is_not_written_blindly() {
        let context = Context::new("making");
        let shared = &context.shared;
        let begin = |author| {
            let mut state = State::new(Isolation::Hybrid, false, Label::of(author));
            state.begin(shared, false);
            state
        };
        let mut late = begin("late");
        assert!(late.get(shared, "k").is_ok_and(|value| value.is_none()));
        // A commit that makes the key, stopped between entering the cell into the index and giving it its value.
        let mut maker = begin("maker");
        assert!(maker.put(shared, "k", Some(Value::Int(1))).is_ok());
        let made = maker.made_at("k").and_then(|at| maker.writes[at].cell.clone());
        let made = made.expect("the key's cell");
        assert_eq!(made.born(), 0);
        shared.index.insert(Arc::clone(&made));
        let written = late.put(shared, "k", Some(Value::Int(1)));
        assert!(
            matches!(written, Err(Abort(Cause::Conflict))),
            "what was read as missing is about to be overwritten unseen"
        );
        // Who has read nothing writes over whatever comes: that is no update.
        let mut blind = begin("blind");
        assert!(blind.put(shared, "k", Some(Value::Int(2))).is_ok());
        shared.index.remove(&made.path);
    }
}
