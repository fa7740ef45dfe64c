//! Snapshots, written by a thread of their own while the shard goes on.
//!
//! Sealed blocks are there for anyone to read, so the shard only hands over their handles and a copy of its open blocks, at
//! most one a collection. The watermark is the position that was applied at that moment, W. The file then holds what was
//! there at W, as points or, where these lie in files, as the files' names, except points that were deleted or replaced before the thread came to them; the changes that took them are in
//! the log after W, and the log is synced before the file takes its name. So file and log together are the state at the
//! log's end, wherever the power fails. No point may move between blocks meanwhile: the thread could miss it.

use crate::{
    ShardId,
    vector::{
        VectorError,
        block::Block,
        cold::Reference,
        collection::Part,
        record::Writer,
        recovery::{FILE, head},
    },
};
use quintet_core::{Result, Seq};
use quintet_log::{Directory, Log, snapshot as file};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{Builder, JoinHandle},
};

/// From how many bytes on an item of a snapshot is cut off.
const ITEM_BYTES: usize = 1 << 20;

/// When the next snapshot is due, and the one that is being written.
pub(super) struct Snapshots {
    /// From the configuration.
    least_bytes: u64,
    /// The size of what the last snapshot held: a snapshot costs no more than the log it saves.
    held_bytes: u64,
    logged_bytes: u64,
    running: Option<Running>,
    /// The files that the last snapshot names, until they are asked for.
    named: Option<HashSet<u64>>,
}

struct Running {
    thread: Option<JoinHandle<Result<HashSet<u64>>>>,
    holds_bytes: u64,
    given_up: Arc<AtomicBool>,
}

impl Drop for Running {
    /// Nothing may write into the directory when the shard is gone.
    fn drop(&mut self) {
        self.given_up.store(true, Relaxed);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

/// What a shard hands over of one collection.
struct Share {
    collection: u64,
    dimension: usize,
    sealed: Vec<Arc<Block>>,
    /// The open block's points, in items.
    open: Vec<Vec<u8>>,
}

impl Snapshots {
    pub(super) fn new(least_bytes: u64, held_bytes: u64, logged_bytes: u64) -> Self {
        Self {
            least_bytes,
            held_bytes,
            logged_bytes,
            running: None,
            named: None,
        }
    }

    /// The files that a snapshot names which is durable now and was not when this was asked last.
    pub(super) fn named(&mut self) -> Option<HashSet<u64>> {
        self.named.take()
    }

    pub(super) fn logged(&mut self, bytes: usize) {
        self.logged_bytes += bytes as u64;
    }

    pub(super) fn is_due(&self) -> bool {
        self.running.is_none() && self.logged_bytes >= self.least_bytes.max(self.held_bytes)
    }

    /// Whether one is being written.
    pub(super) fn is_running(&mut self) -> bool {
        let Some(running) = &mut self.running else {
            return false;
        };
        let Some(thread) = running.thread.take_if(|thread| thread.is_finished()) else {
            return true;
        };
        // Without it the log is only longer; the next attempt is due after as much again.
        if let Ok(Ok(named)) = thread.join() {
            self.held_bytes = running.holds_bytes;
            self.named = Some(named);
        }
        self.running = None;
        false
    }

    /// Begins one: hands over what is applied, whose last change is `applied`.
    pub(super) fn begin<'a>(
        &mut self,
        place: (ShardId, usize),
        directory: &Arc<dyn Directory>,
        log: &Log,
        applied: Seq,
        parts: impl Iterator<Item = &'a Part> + Clone,
    ) {
        self.logged_bytes = 0;
        let holds_bytes = parts.clone().map(Part::hot_bytes).sum();
        let Ok(shares) = parts.map(share).collect::<Result<Vec<_>>>() else {
            return;
        };
        let given_up = Arc::new(AtomicBool::new(false));
        let (directory, log, stop) = (Arc::clone(directory), log.clone(), Arc::clone(&given_up));
        let thread = Builder::new()
            .name(format!("snapshot-{}", place.0.0))
            .spawn(move || {
                let named = write(place, &*directory, &log, applied, &shares, &stop)?;
                // A failure leaves files that the next open removes; a poisoned log says so to the next write.
                let _longer = log.truncate(applied);
                Ok(named)
            });
        self.running = thread.ok().map(|thread| Running {
            thread: Some(thread),
            holds_bytes,
            given_up,
        });
    }
}

fn share(part: &Part) -> Result<Share> {
    let collection = &part.collection;
    let mut open = Vec::new();
    if let Some(block) = part.arena.open() {
        each_item(collection.id, collection.spec.dimension, block, &mut |item| {
            open.push(item);
            Ok(())
        })?;
    }
    Ok(Share {
        collection: collection.id,
        dimension: collection.spec.dimension,
        sealed: part.arena.sealed().cloned().collect(),
        open,
    })
}

fn write(
    (shard, shards): (ShardId, usize),
    directory: &dyn Directory,
    log: &Log,
    applied: Seq,
    shares: &[Share],
    given_up: &AtomicBool,
) -> Result<HashSet<u64>> {
    let mut named = HashSet::new();
    file::write(directory, FILE, applied, |sink| {
        sink.put(&head(shard, shards))?;
        for share in shares {
            for item in &share.open {
                sink.put(item)?;
            }
            for block in &share.sealed {
                if given_up.load(Relaxed) {
                    return Err(VectorError::GivenUp.into());
                }
                if let Some(reference) = Reference::of(share.collection, block) {
                    // The file of a block without a point need not be there.
                    if reference.live.iter().any(|bits| *bits != 0) {
                        named.insert(reference.number);
                        sink.put(&reference.encode())?;
                    }
                    continue;
                }
                each_item(share.collection, share.dimension, block, &mut |item| {
                    sink.put(&item)
                })?;
            }
        }
        if !named.is_empty() {
            // The files were synced when they were written; their names are before the snapshot that needs them.
            directory.sync()?;
        }
        // What was found gone must be gone in the log, too.
        log.sync().map(|_| ())
    })?;
    Ok(named)
}

/// The points of a block as changes that store them.
fn each_item(
    collection: u64,
    dimension: usize,
    block: &Block,
    take: &mut dyn FnMut(Vec<u8>) -> Result<()>,
) -> Result<()> {
    let mut rows = (0..block.used_rows()).filter_map(|row| Some((row, block.row(row)?)));
    loop {
        let (mut count, mut bytes) = (0, Vec::new());
        for (row, data) in rows.by_ref() {
            let mut point = Writer::upsert(0, 0, 0);
            let head_bytes = point.len();
            point.point(&data.id, &block.vector(row)[..dimension], data.payload.as_deref())?;
            bytes.extend_from_slice(&point.finish()[head_bytes..]);
            count += 1;
            if bytes.len() >= ITEM_BYTES {
                break;
            }
        }
        if count == 0 {
            return Ok(());
        }
        let mut item = Writer::upsert(collection, dimension, count).finish();
        item.extend_from_slice(&bytes);
        take(item)?;
    }
}
