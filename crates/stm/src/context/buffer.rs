//! Buffering writes: the part of [`State`] that turns what a body does into entries of the write set, or, in a raw
//! transaction, into commits of one write each.

use super::{
    Shared,
    path::Path,
    state::State,
    value::Value,
    write::{Merge, Op, Write},
    zone::Capability,
};
use crate::{
    Error, Isolation,
    transaction::{Abort, Cause, Step},
};

impl State {
    /// Sets a value or removes it.
    pub(crate) fn put(&mut self, shared: &Shared, path: &Path, value: Option<Value>) -> Step<()> {
        if let Some(value) = &value {
            shared.check_size(path, value).map_err(Abort::failed)?;
        }
        let needs: &[Capability] = if value.is_some() {
            &[Capability::Update]
        } else {
            &[Capability::Delete]
        };
        self.write(shared, path, needs, Op::Set(value))
    }

    /// Changes a value without having seen it.
    pub(crate) fn merge(&mut self, shared: &Shared, path: &Path, merge: Merge) -> Step<()> {
        let needs: &[Capability] = match &merge {
            Merge::Append(item) => {
                shared.check_size(path, item).map_err(Abort::failed)?;
                &[Capability::Update, Capability::Append]
            }
            Merge::Increment(_) | Merge::Own(_) => &[Capability::Update],
        };
        self.write(shared, path, needs, Op::Merge(vec![merge]))
    }

    fn write(&mut self, shared: &Shared, path: &Path, needs: &[Capability], op: Op) -> Step<()> {
        if self.isolation == Isolation::Raw {
            return self.write_through(shared, path, needs, &op);
        }
        if self.writes.len() >= shared.config.max_writes {
            return Err(Abort::failed(Error::TooLarge {
                at: "transaction".into(),
                what: "the number of paths written",
                size: self.writes.len() + 1,
                limit: shared.config.max_writes,
            }));
        }
        self.buffer(shared, path, needs, op)
    }

    /// A raw transaction commits each write alone. What makes or removes a key can lose against another one; nothing of
    /// it has happened then, and it is tried again.
    fn write_through(&mut self, shared: &Shared, path: &Path, needs: &[Capability], op: &Op) -> Step<()> {
        if let Some(done) = shared.raw_at_once(path.as_str(), needs, op, self.admin, self.label) {
            self.written |= done.is_ok();
            return done.map_err(Abort::failed);
        }
        loop {
            self.clear();
            self.forget_reads();
            self.reads.begin(&shared.domain, Isolation::Raw, false);
            let done = self
                .buffer(shared, path, needs, op.clone())
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

    fn buffer(&mut self, shared: &Shared, path: &Path, needs: &[Capability], op: Op) -> Step<()> {
        if let Some(at) = if self.writes.is_empty() {
            None
        } else {
            self.own(path.as_str(), shared)
        } {
            return self.rewrite(shared, path, needs, at, op);
        }
        let Some(cell) = shared.index.get(path.as_str()) else {
            if !matches!(op, Op::Set(None)) {
                return self.create(shared, path, op);
            }
            // Nothing to remove. That it is not there is what the transaction has seen.
            self.permit(path, needs)?;
            return self.look(shared, path).map(|_| ());
        };
        self.permit(path, needs)?;
        if cell.born() > self.began && self.isolation == Isolation::Hybrid && !self.reads.reads().is_empty() {
            // The attempt may have read a former value of the path, in a cell that is gone.
            self.reads.add_rival(cell.slot);
            return Err(Abort::CONFLICT);
        }
        let seen = match self.isolation {
            Isolation::Hybrid => self.reads.seen(cell.slot),
            Isolation::Safe | Isolation::Raw => None,
        };
        if matches!(op, Op::Set(None)) {
            self.touch_gaps(shared, path);
        }
        self.push(Write::cell(cell, seen, op, false));
        Ok(())
    }

    /// A second write of the same path.
    fn rewrite(&mut self, shared: &Shared, path: &Path, needs: &[Capability], at: usize, op: Op) -> Step<()> {
        let (is_there, creates) = match &self.writes[at].op {
            Op::Set(value) => (value.is_some(), self.writes[at].creates),
            Op::Touch | Op::Merge(_) => (true, self.writes[at].creates),
        };
        if is_there && !creates {
            self.permit(path, needs)?;
        }
        if matches!(op, Op::Set(None)) {
            self.touch_gaps(shared, path);
        }
        let op = match (op, &mut self.writes[at].op) {
            (Op::Merge(more), Op::Merge(merges)) => {
                merges.extend(more);
                return Ok(());
            }
            (Op::Merge(more), Op::Set(value)) => {
                let merged = more
                    .iter()
                    .try_fold(value.clone(), |value, merge| merge.apply(path, value).map(Some));
                Op::Set(merged.map_err(Abort::failed)?)
            }
            (op, _) => op,
        };
        self.writes[at].op = op;
        Ok(())
    }
}
