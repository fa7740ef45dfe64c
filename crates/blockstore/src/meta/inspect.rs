//! Reads a table that is not open, without changing anything: for checks.

use super::{batch, lmdb::Lmdb};
use crate::BlockError;
use quintet_core::Seq;
use quintet_log::{Contents, Directory};
use std::{collections::HashMap, path::Path};

/// Who looks at a table that is not open.
pub(crate) trait Examiner {
    /// So many entries will come, about.
    fn expect(&mut self, entries: u64);

    /// One entry, and whether what it names was on stable storage before it. If not, the next opening will look whether it
    /// is there (see [`Recovered::unproven`](super::Recovered::unproven)).
    fn entry(&mut self, key: &[u8], value: &[u8], proven: bool);
}

/// Shows `examiner` every entry that opening the table would find, and answers what the log holds beyond the checkpoint.
/// Keeps what was replayed in memory: as much as a table does between two checkpoints.
pub(crate) fn inspect(
    lmdb_dir: &Path,
    directory: &dyn Directory,
    map_bytes: usize,
    examiner: &mut dyn Examiner,
) -> Result<Contents, BlockError> {
    // A store that was killed while it was made has no checkpoint yet.
    let lmdb = match Lmdb::exists(lmdb_dir) {
        true => Some(Lmdb::open_read_only(lmdb_dir, map_bytes)?),
        false => None,
    };
    let watermark = lmdb.as_ref().map_or(Ok(Seq::ZERO), Lmdb::watermark)?;
    let mut replayed: HashMap<Vec<u8>, (Seq, Option<Vec<u8>>)> = HashMap::new();
    let mut floor = watermark;
    let contents = quintet_log::read(directory, watermark, &mut |seq, record| {
        let batch = batch::decode(record)?;
        floor = floor.max(batch.synced);
        for (key, value) in batch.operations {
            replayed.insert(key.to_vec(), (seq, value.map(<[u8]>::to_vec)));
        }
        Ok(())
    })?;
    let checkpointed = lmdb.as_ref().map_or(Ok(0), Lmdb::entries)?;
    examiner.expect(checkpointed + replayed.len() as u64);
    if let Some(lmdb) = lmdb {
        lmdb.scan(&[], &mut |key, value| {
            if replayed.contains_key(key) {
                return Ok(());
            }
            examiner.entry(key, value, true);
            Ok(())
        })?;
    }
    for (key, (seq, value)) in &replayed {
        if let Some(value) = value {
            examiner.entry(key, value, *seq <= floor);
        }
    }
    Ok(contents)
}
