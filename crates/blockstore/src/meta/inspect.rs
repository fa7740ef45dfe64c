//! Reads a table that is not open, without changing anything: for checks.

use super::{batch, lmdb::Lmdb};
use crate::BlockError;
use quintet_core::Seq;
use quintet_log::{Contents, Directory};
use std::{collections::HashMap, path::Path};

/// What is called on each entry, with its key, its value, and whether what it names was on stable storage before it. If not,
/// the next opening will look whether it is there (see [`Recovered::unproven`](super::Recovered::unproven)).
pub(crate) type Examine<'a> = &'a mut dyn FnMut(&[u8], &[u8], bool) -> Result<(), BlockError>;

/// Calls `each` on every entry that opening the table would find, and answers what the log holds beyond the checkpoint.
/// Keeps what was replayed in memory: as much as a table does between two checkpoints.
pub(crate) fn inspect(
    lmdb_dir: &Path,
    directory: &dyn Directory,
    map_bytes: usize,
    each: Examine<'_>,
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
    if let Some(lmdb) = lmdb {
        lmdb.scan(&[], &mut |key, value| {
            if replayed.contains_key(key) {
                return Ok(());
            }
            each(key, value, true)
        })?;
    }
    for (key, (seq, value)) in &replayed {
        if let Some(value) = value {
            each(key, value, *seq <= floor)?;
        }
    }
    Ok(contents)
}
