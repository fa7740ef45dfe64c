//! Step 5 of a context's commit: schema, key structure, history, outbox and log, while everything written is sealed.

use super::{
    Shared,
    change::{Change, ChangeSet, Message},
    journal::Draft,
    write::{Op, Unprepared, Write},
};
use crate::{Isolation, label::Label, primitive::lock};
use std::sync::{Arc, PoisonError};

impl Shared {
    /// Step 5 of the commit: schema, structure, history, outbox, log. Answers the version, or `None` if nothing needs
    /// to be recorded.
    pub(super) fn record(
        &self,
        isolation: Isolation,
        label: Label,
        writes: &mut [Write],
        messages: Vec<Message>,
        at_least: u64,
    ) -> Result<Option<u64>, Unprepared> {
        for write in writes.iter() {
            if let (Some(cell), Some(new), Op::Merge(_)) = (&write.cell, &write.new, &write.op) {
                // A value that was set has been measured when it came in.
                self.check_size(&cell.path, new)?;
            }
        }
        let is_recorded = isolation != Isolation::Raw || self.config.record_raw || self.is_durable();
        let changes_keys = |write: &Write| write.old.is_some() != write.new.is_some();
        if !is_recorded && messages.is_empty() && !writes.iter().any(changes_keys) {
            return Ok(None);
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
        {
            let schema = self.schema.read().unwrap_or_else(PoisonError::into_inner);
            for write in writes.iter() {
                let Some(cell) = &write.cell else { continue };
                if isolation != Isolation::Raw {
                    schema.check(&cell.path, write.new.as_ref())?;
                }
                match (&write.old, &write.new) {
                    (None, None) => continue,
                    (None, Some(_)) => draft.created.push(Arc::clone(cell)),
                    (Some(_), None) => draft.removed.push(cell.path.clone()),
                    (Some(_), Some(_)) => {}
                }
                draft.set.changes.push(Change {
                    path: cell.path.clone(),
                    old: write.old.clone(),
                    new: write.new.clone(),
                });
            }
        }
        draft.set.changes.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        for cell in &draft.created {
            self.index.insert(Arc::clone(cell));
        }
        let (created, removed) = (draft.created.clone(), draft.removed.clone());
        let entered = lock(&self.journal).enter(self, at_least, draft);
        match entered {
            Ok(version) => {
                removed.iter().for_each(|path| self.index.remove(path));
                Ok(Some(version))
            }
            Err(error) => {
                created.iter().for_each(|cell| self.index.remove(&cell.path));
                Err(error.into())
            }
        }
    }
}
