//! Brings the entries on the disk to what is declared: removes those of indexes that are gone, builds new ones.
//!
//! Invariant: an index is in the mark only when all its entries are there; so a build that was interrupted begins anew, and
//! a reader may use an index only if the mark of its snapshot names it. Called at open, before the writer begins, and by
//! the writer between two batches.

use super::{Indexes, Prepared};
use crate::{
    Config, Path, TreeError, View,
    store::{
        ENTRIES, INDEXES_MARK, Rows, Stage,
        lmdb::Lmdb,
        long::{self, Way},
        overlay::Overlay,
    },
};
use std::ops::ControlFlow;

/// How many entries one transaction of a build writes or removes.
const ENTRIES_PER_COMMIT: usize = 20_000;

type Id = [u8; 8];

/// Removes and builds what differs. After an error the mark names what is whole; the rest is rubbish for [`clear`].
pub(crate) fn bring_up(lmdb: &Lmdb, config: &Config, indexes: &Indexes) -> Result<(), TreeError> {
    let mut declared: Vec<Id> = indexes.0.iter().map(|index| index.id).collect();
    declared.sort_unstable();
    let built = read_built(&lmdb.snapshot()?)?;
    let kept: Vec<Id> = built.iter().copied().filter(|id| declared.contains(id)).collect();
    if kept != built {
        mark(lmdb, &kept)?;
    }
    clear(lmdb)?;
    for index in indexes.0.iter().filter(|index| !kept.contains(&index.id)) {
        build(lmdb, config, index)?;
    }
    if kept != declared {
        mark(lmdb, &declared)?;
    }
    Ok(())
}

/// The indexes whose entries are all there, sorted.
pub(crate) fn read_built(rows: &dyn Rows) -> Result<Vec<Id>, TreeError> {
    let mark = rows.get(INDEXES_MARK)?.unwrap_or_default();
    let (ids, rest) = mark.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(TreeError::corrupted("LMDB", "the list of indexes is damaged"));
    }
    Ok(ids.to_vec())
}

/// Removes the entries of indexes that the mark does not name.
pub(crate) fn clear(lmdb: &Lmdb) -> Result<(), TreeError> {
    loop {
        let snapshot = lmdb.snapshot()?;
        let mut rubbish: Vec<Vec<u8>> = Vec::new();
        for (low, high) in gaps(&read_built(&snapshot)?) {
            let _stopped = long::scan(&snapshot, &low, &high, Way::Up, &mut |key, _| {
                rubbish.push(key.to_vec());
                Ok(if rubbish.len() < ENTRIES_PER_COMMIT {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                })
            })?;
            if rubbish.len() == ENTRIES_PER_COMMIT {
                break;
            }
        }
        // A snapshot would keep the pages from being used again.
        drop(snapshot);
        if rubbish.is_empty() {
            return Ok(());
        }
        change(lmdb, |stage| rubbish.iter().try_for_each(|key| stage.delete(key)))?;
    }
}

/// The ranges of keys between the entries of these indexes, which are sorted.
fn gaps(kept: &[Id]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut gaps = Vec::with_capacity(kept.len() + 1);
    let mut low = vec![ENTRIES];
    for id in kept {
        gaps.push((low, [&[ENTRIES], id.as_slice()].concat()));
        low = match u64::from_be_bytes(*id).checked_add(1) {
            Some(next) => [&[ENTRIES], next.to_be_bytes().as_slice()].concat(),
            None => vec![ENTRIES + 1],
        };
    }
    gaps.push((low, vec![ENTRIES + 1]));
    gaps
}

fn mark(lmdb: &Lmdb, ids: &[Id]) -> Result<(), TreeError> {
    change(lmdb, |stage| {
        stage.changes.set(INDEXES_MARK.to_vec(), Some(ids.concat()));
        Ok(())
    })
}

fn build(lmdb: &Lmdb, config: &Config, index: &Prepared) -> Result<(), TreeError> {
    let snapshot = lmdb.snapshot()?;
    let mut waiting: Vec<Vec<u8>> = Vec::new();
    let flush = |waiting: &mut Vec<Vec<u8>>| {
        change(lmdb, |stage| {
            waiting.drain(..).try_for_each(|key| stage.put(key, vec![0]))
        })
    };
    index.entries(&View::new(&snapshot, config), &Path::root(), &mut |key| {
        waiting.push(key);
        if waiting.len() == ENTRIES_PER_COMMIT {
            flush(&mut waiting)?;
        }
        Ok(())
    })?;
    flush(&mut waiting)
}

/// One transaction.
fn change(lmdb: &Lmdb, make: impl FnOnce(&mut Stage<'_>) -> Result<(), TreeError>) -> Result<(), TreeError> {
    let mut changes = Overlay::default();
    {
        let snapshot = lmdb.snapshot()?;
        let mut stage = Stage::new(&snapshot);
        make(&mut stage)?;
        changes.absorb(stage.changes);
    }
    lmdb.write(&changes)
}
