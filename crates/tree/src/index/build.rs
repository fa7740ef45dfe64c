//! Brings the entries on the disk to what the configuration declares: removes those of indexes that are gone, builds new ones.
//!
//! Invariant: an index is in the mark only when all its entries are there; so a build that was interrupted begins anew.
//! Called once, at open, before the writer begins.

use super::{Indexes, Prepared};
use crate::{
    Config, Path, TreeError, View,
    store::{ENTRIES, INDEXES_MARK, Rows, Stage, lmdb::Lmdb, overlay::Overlay},
};

/// How many entries one transaction of a build writes.
const ENTRIES_PER_COMMIT: usize = 20_000;

type Id = [u8; 8];

/// Removes and builds what differs.
pub(crate) fn bring_up(lmdb: &Lmdb, config: &Config, indexes: &Indexes) -> Result<(), TreeError> {
    let mut declared: Vec<Id> = indexes.0.iter().map(|index| index.id).collect();
    declared.sort_unstable();
    if declared.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(TreeError::Config {
            field: "indexes",
            got: "the same index twice".into(),
            bound: "different indexes".into(),
        });
    }
    let built = read_built(&lmdb.snapshot()?)?;
    if built == declared {
        return Ok(());
    }
    let kept: Vec<Id> = built.iter().copied().filter(|id| declared.contains(id)).collect();
    change(lmdb, |stage| {
        for id in built.iter().chain(&declared).filter(|id| !kept.contains(id)) {
            let head = [&[ENTRIES], id.as_slice()].concat();
            stage.delete_range(&head, &[head.as_slice(), &[0xff]].concat())?;
        }
        stage.changes.set(INDEXES_MARK.to_vec(), Some(kept.concat()));
        Ok(())
    })?;
    for index in indexes.0.iter().filter(|index| !kept.contains(&index.id)) {
        build(lmdb, config, index)?;
    }
    change(lmdb, |stage| {
        stage.changes.set(INDEXES_MARK.to_vec(), Some(declared.concat()));
        Ok(())
    })
}

/// The indexes whose entries are all there.
pub(crate) fn read_built(rows: &dyn Rows) -> Result<Vec<Id>, TreeError> {
    let mark = rows.get(INDEXES_MARK)?.unwrap_or_default();
    let (ids, rest) = mark.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(TreeError::corrupted("LMDB", "the list of indexes is damaged"));
    }
    Ok(ids.to_vec())
}

fn build(lmdb: &Lmdb, config: &Config, index: &Prepared) -> Result<(), TreeError> {
    let snapshot = lmdb.snapshot()?;
    let mut waiting: Vec<Vec<u8>> = Vec::new();
    let flush = |waiting: &mut Vec<Vec<u8>>| {
        change(lmdb, |stage| {
            waiting.drain(..).try_for_each(|key| stage.put(&key, vec![0]))
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
