//! A shard's files: a snapshot of its points, and the log of what changed since.
//!
//! A snapshot holds what is applied, so everything in it is durable, and its watermark is the position of the last change
//! in it. When it is durable, the log before it is given back. Opening reads the snapshot and replays the rest.

use crate::{
    ShardId,
    vector::{
        VectorConfig, VectorError, VectorHandler,
        catalogue::Collection,
        collection::Part,
        record::{self, Change, Writer},
    },
};
use quintet_core::{Clock, Result, Seq};
use quintet_log::{Directory, Log, snapshot};
use std::{collections::HashMap, sync::Arc};

const FILE: &str = "points.snapshot";
/// The first item of a snapshot: magic, shard, number of shards.
const MAGIC: [u8; 8] = *b"QNTVEC\r\n";
/// How many points one item of a snapshot holds, and from how many bytes on it is cut off earlier.
const ITEM_POINTS: usize = 1024;
const ITEM_BYTES: usize = 1 << 20;

/// When the next snapshot is due.
#[derive(Debug)]
pub(super) struct Snapshots {
    /// From the configuration.
    least_bytes: u64,
    /// The size of what the last snapshot held: a snapshot costs no more than the log it saves.
    held_bytes: u64,
    logged_bytes: u64,
}

impl Snapshots {
    pub(super) fn logged(&mut self, bytes: usize) {
        self.logged_bytes += bytes as u64;
    }

    fn is_due(&self) -> bool {
        self.logged_bytes >= self.least_bytes.max(self.held_bytes)
    }
}

pub(super) struct Opened {
    pub(super) log: Log,
    pub(super) parts: HashMap<u64, Part>,
    pub(super) snapshots: Snapshots,
}

pub(super) fn open(
    shard: ShardId,
    directory: &Arc<dyn Directory>,
    config: &VectorConfig,
    collections: impl Iterator<Item = Arc<Collection>>,
    clock: Arc<dyn Clock>,
) -> Result<Opened> {
    let mut parts: HashMap<u64, Part> = collections
        .map(|collection| {
            collection.set_stored(shard.0, 0);
            (collection.id, Part::new(collection, shard.0))
        })
        .collect();
    let mut is_first = true;
    let watermark = snapshot::read(&**directory, FILE, &mut |item| {
        if std::mem::take(&mut is_first) {
            return check_head(item, shard, config.shards().get());
        }
        replay(&mut parts, item)
    })?;
    let mut logged_bytes = 0;
    let (log, _) = Log::open(
        Arc::clone(directory),
        config.log.clone(),
        clock,
        watermark.unwrap_or(Seq::ZERO),
        &mut |_, record| {
            logged_bytes += record.len() as u64;
            replay(&mut parts, record)
        },
    )?;
    let snapshots = Snapshots {
        least_bytes: config.snapshot_log_bytes,
        held_bytes: parts.values().map(Part::used_bytes).sum(),
        logged_bytes,
    };
    Ok(Opened {
        log,
        parts,
        snapshots,
    })
}

fn head(shard: ShardId, shards: usize) -> Vec<u8> {
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

fn replay(parts: &mut HashMap<u64, Part>, record: &[u8]) -> Result<()> {
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
    part.apply(change);
    Ok(())
}

impl VectorHandler {
    /// Writes a snapshot when the log has grown enough. Holds up the shard for the time of writing all of its points.
    pub(super) fn snapshot_if_due(&mut self) {
        if !self.snapshots.is_due() {
            return;
        }
        self.snapshots.logged_bytes = 0;
        // Without one the log is only longer; the next attempt is due after as much again.
        if self.write_snapshot().is_ok() {
            self.snapshots.held_bytes = self.parts.values().map(Part::used_bytes).sum();
            // A failure leaves files that the next open removes; a poisoned log says so to the next write.
            let _kept = self.log.truncate(self.applied);
        }
    }

    fn write_snapshot(&self) -> Result<()> {
        snapshot::write(&*self.directory, FILE, self.applied, |sink| {
            sink.put(&head(self.shard(), self.shards))?;
            for part in self.parts.values() {
                let collection = &part.collection;
                let mut points = part.points().peekable();
                while points.peek().is_some() {
                    let (mut count, mut bytes) = (0_usize, Vec::new());
                    while count < ITEM_POINTS && bytes.len() < ITEM_BYTES {
                        let Some((id, vector, payload)) = points.next() else {
                            break;
                        };
                        let mut point = Writer::upsert(0, 0, 0);
                        let head_bytes = point.len();
                        point.point(id, vector, payload)?;
                        bytes.extend_from_slice(&point.finish()[head_bytes..]);
                        count += 1;
                    }
                    let mut item = Writer::upsert(collection.id, collection.spec.dimension, count).finish();
                    item.extend_from_slice(&bytes);
                    sink.put(&item)?;
                }
            }
            Ok(())
        })
    }
}
