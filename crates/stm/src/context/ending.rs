//! How an attempt ends: its commit, what follows from it, and the names of those that it lost to.

use super::{
    Shared,
    commit::Recorded,
    short::Short,
    state::State,
    write::{Unprepared, Write},
};
use crate::{
    Isolation,
    primitive::lock,
    protocol::{
        commit::{self, Pending, Refusal},
        read_set::ReadSet,
        slot::Slot,
    },
    transaction::{Abort, Step},
};

impl State {
    /// Commits what is buffered.
    pub(crate) fn commit(&mut self, shared: &Shared) -> Step<()> {
        if self.commit_short(shared)? || self.is_empty() {
            return Ok(());
        }
        let (isolation, label) = (self.isolation, self.label);
        let messages = std::mem::take(&mut self.messages);
        let mut recorded = None;
        let Self {
            reads, writes, noted, ..
        } = self;
        let record = |writes: &mut [Write], reads: &mut ReadSet, version: u64| {
            recorded = shared.record(isolation, label, writes, messages, reads)?;
            if let Some(noted) = noted {
                noted.extend(writes.iter().filter_map(Write::change));
            }
            let needed = shared.needed.range();
            for write in writes.iter_mut() {
                write.needed = needed;
            }
            Ok(recorded.map_or(version, |recorded| recorded.version))
        };
        if writes.is_empty() {
            // Messages alone change no value, but are recorded all the same.
            if isolation == Isolation::Safe {
                reads.all_are_read_only();
            }
            record(&mut [], reads, 0).map_err(refused)?;
        } else {
            match commit::commit(&shared.domain, isolation, reads, writes, label.as_u32(), record) {
                Ok(_) => {}
                Err(Refusal::Conflict) => return Err(Abort::CONFLICT),
                Err(Refusal::Failed(failure)) => return Err(refused(failure)),
            }
        }
        if let Some(noted) = &mut self.noted {
            noted.sort_by(|a, b| a.path.cmp(&b.path));
        }
        self.note(shared, recorded);
        Ok(())
    }

    /// What follows when a commit is done and has nothing sealed.
    #[inline]
    pub(super) fn note(&mut self, shared: &Shared, recorded: Option<Recorded>) {
        let Some(Recorded { version, fills_lane }) = recorded else {
            return;
        };
        self.committed = Some(version);
        if fills_lane {
            drop(shared.gathered());
        }
    }

    /// The name of a key that changed under the transaction.
    pub(crate) fn name_of(&self, shared: &Shared, slot: &Slot) -> String {
        let short = self.short.as_ref().and_then(Short::cell);
        if let Some(cell) = short.filter(|cell| cell.slot.address() == slot.address()) {
            return cell.path.to_string();
        }
        let written = self
            .writes
            .iter()
            .find(|write| write.slot().address() == slot.address());
        if let Some(cell) = written.and_then(|write| write.cell.as_ref()) {
            return cell.path.to_string();
        }
        let structure = lock(&shared.journal).structure.clone();
        let found = structure
            .values()
            .find(|cell| cell.slot.address() == slot.address());
        found.map_or_else(|| "the set of keys".into(), |cell| cell.path.to_string())
    }
}

fn refused(failure: Unprepared) -> Abort {
    match failure {
        Unprepared::Gone | Unprepared::Changed => Abort::CONFLICT,
        Unprepared::Refused(error) => Abort::failed(error),
    }
}
