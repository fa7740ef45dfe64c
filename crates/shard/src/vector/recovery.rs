//! A shard's files: a snapshot of its points, and the log of what changed since.
//!
//! Opening reads the snapshot and checks the files that it names, replays the log after its watermark, and puts what it finds into blocks. How snapshots are
//! written is in `snapshot.rs`.

use crate::{
    ShardId,
    vector::{
        VectorConfig, VectorError,
        cold::{self, Reference, Shelf},
        collection::Part,
        entry::Collection,
        index::Port,
        record::{self, Change},
        snapshot::Snapshots,
    },
};
use quintet_core::{Clock, Result, Seq};
use quintet_log::{Directory, Log, snapshot as file};
use std::{collections::HashMap, sync::Arc};

pub(super) const FILE: &str = "points.snapshot";
/// The first item of a snapshot: magic, shard, number of shards.
const MAGIC: [u8; 8] = *b"QNTVEC\r\n";

pub(super) struct Opened {
    pub(super) log: Log,
    pub(super) parts: HashMap<u64, Part>,
    pub(super) snapshots: Snapshots,
    pub(super) shelf: Shelf,
    /// Items of the snapshot and records of the log.
    pub(super) replayed: u64,
}

pub(super) fn open(
    shard: ShardId,
    directory: &Arc<dyn Directory>,
    config: &VectorConfig,
    collections: impl Iterator<Item = Arc<Collection>>,
    clock: Arc<dyn Clock>,
    indexer: Option<&Port>,
) -> Result<Opened> {
    let mut parts: HashMap<u64, Part> = collections
        .map(|collection| {
            collection.begin_run(shard.0);
            let mut part = Part::new(collection, shard.0, config.block_bytes, indexer.cloned());
            part.recovering(true);
            (part.collection.id, part)
        })
        .collect();
    let mut shelf = Shelf::open(Arc::clone(directory), shard.0, config.cold_tier)?;
    let (mut is_first, mut replayed) = (true, 0);
    let watermark = file::read(&**directory, FILE, &mut |item| {
        if std::mem::take(&mut is_first) {
            return check_head(item, shard, config.shards().get());
        }
        replayed += 1;
        if let Some(reference) = Reference::decode(item)? {
            // Files of a dropped collection are gone, or about to go.
            let Some(part) = parts.get_mut(&reference.collection) else {
                return Ok(());
            };
            let block = shelf.load(&part.collection, &reference)?;
            part.adopt(block);
            return part.cool(&mut shelf, 0);
        }
        replay(&mut parts, &mut shelf, item)
    })?;
    let mut logged_bytes = 0;
    let (log, _) = Log::open(
        Arc::clone(directory),
        config.log.clone(),
        clock,
        watermark.unwrap_or(Seq::ZERO),
        &mut |_, record| {
            logged_bytes += record.len() as u64;
            replayed += 1;
            replay(&mut parts, &mut shelf, record)
        },
    )?;
    // Nothing else is needed of an earlier run.
    shelf.sweep(parts.values().flat_map(Part::files));
    parts.values_mut().for_each(|part| part.recovering(false));
    let held_bytes = parts.values().map(Part::hot_bytes).sum();
    let snapshots = Snapshots::new(config.snapshot_log_bytes, held_bytes, logged_bytes);
    Ok(Opened {
        log,
        parts,
        snapshots,
        shelf,
        replayed,
    })
}

/// Looks at every byte of the files that a shard's snapshot names, without opening the store, and answers how many there
/// are. Snapshot and log have their own checks in `quintet-log`. Blocks; writes nothing.
///
/// # Errors
/// [`VectorError::ColdFile`] for the first file that is not what was written; a damaged snapshot; what the directory
/// answers.
pub fn check_cold_files(directory: &dyn Directory) -> Result<u64> {
    let mut files = 0;
    file::read(directory, FILE, &mut |item| {
        if let Some(reference) = Reference::decode(item)? {
            cold::check(directory, &reference)?;
            files += 1;
        }
        Ok(())
    })?;
    Ok(files)
}

pub(super) fn head(shard: ShardId, shards: usize) -> Vec<u8> {
    let numbers = [shard.0 as u32, shards as u32];
    let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
    MAGIC.into_iter().chain(numbers).collect()
}

fn check_head(item: &[u8], shard: ShardId, shards: usize) -> Result<()> {
    if item == head(shard, shards) {
        return Ok(());
    }
    let reason = format!("it is not one of {shard} of {shards}");
    Err(VectorError::damaged("the snapshot", reason))
}

fn replay(parts: &mut HashMap<u64, Part>, shelf: &mut Shelf, record: &[u8]) -> Result<()> {
    let (collection, dimension, change) = record::decode(record)?;
    // Numbers of dropped collections are never used again.
    let Some(part) = parts.get_mut(&collection) else {
        return Ok(());
    };
    let wanted = part.collection.spec.dimension;
    if matches!(change, Change::Upsert(_)) && dimension != wanted {
        let reason = format!("dimension {dimension} in a collection of {wanted}");
        return Err(VectorError::damaged("a record", reason));
    }
    part.apply(change, true);
    part.cool(shelf, 0)
}
