//! Step 5 of a context's commit: schema, key structure, history, outbox and log, while everything written is sealed.

use super::{
    Shared, Value,
    cell::Cell,
    change::{ChangeSet, Message},
    journal::Draft,
    kept::One,
    lanes::Lanes,
    write::{Op, Unprepared, Write},
};
use crate::{Isolation, label::Label, primitive::lock, protocol::read_set::ReadSet};
use std::sync::{Arc, PoisonError, atomic::Ordering};

/// A commit that has been recorded.
#[derive(Clone, Copy)]
pub(super) struct Recorded {
    pub(super) version: u64,
    /// The lane that it has entered is to be emptied after the commit.
    pub(super) fills_lane: bool,
}

impl Recorded {
    const fn at(version: u64) -> Self {
        Self {
            version,
            fills_lane: false,
        }
    }
}

impl Shared {
    /// Step 5 of the commit: schema, structure, history, outbox, log. Answers the version, or `None` if nothing needs
    /// to be recorded.
    pub(super) fn record(
        &self,
        isolation: Isolation,
        label: Label,
        writes: &mut [Write],
        messages: Vec<Message>,
        reads: &mut ReadSet,
    ) -> Result<Option<Recorded>, Unprepared> {
        for write in writes.iter() {
            if let (Some(cell), Some(new), Op::Merge(..)) = (&write.cell, &write.new, &write.op) {
                // A value that was set has been measured when it came in.
                self.check_size(cell.path.as_str(), cell.zone, new)?;
            }
        }
        let is_recorded = isolation != Isolation::Raw || self.config.record_raw || self.is_durable();
        let changes_keys = |write: &Write| write.old.is_some() != write.new.is_some();
        if !is_recorded && messages.is_empty() && !writes.iter().any(changes_keys) {
            return Ok(None);
        }
        if let [write] = writes
            && messages.is_empty()
            && let Some(one) = self.one_change(isolation, label, write)?
        {
            if Lanes::takes(&one.old) && Lanes::takes(&one.new) {
                let place = self.lanes.open(&self.domain);
                reads.still_hold()?;
                let version = place.version();
                let fills_lane = place.keep(One { version, ..one });
                return Ok(Some(Recorded { version, fills_lane }));
            }
            let (version, _evicted) = lock(&self.journal).enter_one(self, reads, one)?;
            return Ok(Some(Recorded::at(version)));
        }
        let mut draft = Draft {
            set: ChangeSet {
                version: 0,
                who: label.name(),
                isolation,
                changes: Vec::with_capacity(writes.len()),
                messages,
            },
            created: Vec::new(),
            removed: Vec::new(),
        };
        for write in writes.iter() {
            let Some(cell) = &write.cell else { continue };
            self.keep_schema(isolation, cell, write.new.as_ref())?;
            match (&write.old, &write.new) {
                (None, Some(_)) => draft.created.push(Arc::clone(cell)),
                (Some(_), None) => draft.removed.push(cell.path.clone()),
                (None, None) | (Some(_), Some(_)) => {}
            }
            draft.set.changes.extend(write.change());
        }
        draft.set.changes.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        for cell in &draft.created {
            self.index.insert(Arc::clone(cell));
        }
        let (created, removed) = (draft.created.clone(), draft.removed.clone());
        let entered = lock(&self.journal).enter(self, reads, draft);
        match entered {
            Ok((version, _evicted)) => {
                removed.iter().for_each(|path| self.index.remove(path));
                Ok(Some(Recorded::at(version)))
            }
            Err(error) => {
                created.iter().for_each(|cell| self.index.remove(&cell.path));
                Err(error)
            }
        }
    }

    /// The commit, if it is of the usual kind: one value replaced, nothing to log.
    #[inline]
    fn one_change(
        &self,
        isolation: Isolation,
        label: Label,
        write: &Write,
    ) -> Result<Option<One>, Unprepared> {
        let (Some(cell), Some(old), Some(new), None) = (&write.cell, &write.old, &write.new, &self.log)
        else {
            return Ok(None);
        };
        self.keep_schema(isolation, cell, Some(new))?;
        Ok(Some(One {
            version: 0,
            who: label,
            isolation,
            cell: Arc::clone(cell),
            old: old.clone(),
            new: new.clone(),
        }))
    }

    /// Refuses what the schema forbids. The cell is sealed.
    #[inline]
    fn keep_schema(&self, isolation: Isolation, cell: &Cell, new: Option<&Value>) -> Result<(), Unprepared> {
        // `SeqCst`, and after the seal: either this sees the schema that is being set, or who sets it sees the seal.
        if isolation == Isolation::Raw || !self.has_schema.load(Ordering::SeqCst) {
            return Ok(());
        }
        let schema = self.schema.read().unwrap_or_else(PoisonError::into_inner);
        Ok(schema.check(&cell.path, new)?)
    }
}
