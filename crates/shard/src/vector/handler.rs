//! The owner of one shard's vectors: it logs changes, applies them when they are durable, and answers from what it has
//! applied.
//!
//! A change lives in `staged` until its commit, in `pending` until the log has reached it, and then in its collection's
//! part. So a read sees durable state only, whatever is on its way.

use crate::{
    ShardId,
    vector::{
        Hit, PointId, VectorConfig, VectorError, VectorMessage, VectorReply,
        block::Block,
        cold::Shelf,
        collection::Part,
        entry::Collection,
        index::{Offer, Port, Walk},
        message::{Ask, Prepared},
        record::{Change, Writer},
        recovery,
        room::Room,
        snapshot::Snapshots,
    },
};
use quintet_core::{Budget, Clock, Commit, Deadline, MessageHandler, Result, Seq};
use quintet_log::{Directory, Log, copy::Source};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    task::Waker,
    time::Duration,
};

/// How often a shard looks how far the indexer is, while something waits for it.
const INDEX_POLL: Duration = Duration::from_millis(20);

/// A change that was logged.
struct Staged {
    collection: Arc<Collection>,
    change: Change,
}

/// One shard's vectors. Lives on the shard's thread.
pub struct VectorHandler {
    shard: ShardId,
    shards: usize,
    block_bytes: usize,
    max_answer_bytes: usize,
    directory: Arc<dyn Directory>,
    log: Log,
    parts: HashMap<u64, Part>,
    /// Logged since the last commit.
    staged: Vec<Staged>,
    /// Committed, not yet durable; oldest first.
    pending: VecDeque<(Seq, Vec<Staged>)>,
    /// Whether an id that a staged or pending change names will be there, and how many such changes there are.
    coming: HashMap<(u64, PointId), (bool, usize)>,
    clock: Arc<dyn Clock>,
    /// Everything up to here is in `parts`.
    applied: Seq,
    /// What opening found, in items and records.
    pub(super) replayed: u64,
    snapshots: Snapshots,
    shelf: Shelf,
    indexer: Option<Port>,
    walk: Walk,
}

impl VectorHandler {
    /// Recovers a shard from its directory: its snapshot, then its log. Changes of collections that are not in
    /// `collections` belong to dropped ones and are left out. Blocks.
    pub(super) fn open(
        shard: ShardId,
        directory: Arc<dyn Directory>,
        config: &VectorConfig,
        collections: impl Iterator<Item = Arc<Collection>>,
        clock: Arc<dyn Clock>,
        waker: &Waker,
        indexer: Option<Port>,
    ) -> Result<Self> {
        let shards = config.shards().get();
        let opened = recovery::open(
            shard,
            &directory,
            config,
            collections,
            Arc::clone(&clock),
            indexer.as_ref(),
        )?;
        opened.log.on_progress(waker)?;
        Ok(Self {
            shard,
            shards,
            block_bytes: config.block_bytes,
            max_answer_bytes: config.max_answer_bytes,
            directory,
            clock,
            applied: opened.log.last(),
            log: opened.log,
            parts: opened.parts,
            staged: Vec::new(),
            pending: VecDeque::new(),
            coming: HashMap::new(),
            snapshots: opened.snapshots,
            shelf: opened.shelf,
            replayed: opened.replayed,
            indexer,
            walk: Walk::default(),
        })
    }

    /// What the shard's log is copied from.
    pub(super) fn log_source(&self) -> Source {
        self.log.source()
    }

    #[cfg(all(test, not(quintet_loom)))]
    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    #[cfg(all(test, not(quintet_loom)))]
    pub(super) fn is_writing_a_snapshot(&mut self) -> bool {
        self.snapshots.is_running()
    }

    fn upsert(&mut self, collection: Arc<Collection>, points: Vec<crate::vector::Point>) -> Result<usize> {
        collection.check()?;
        let mut record = Writer::upsert(collection.id, collection.spec.dimension, points.len());
        for point in &points {
            record.point(&point.id, &point.vector, point.payload.as_deref())?;
        }
        let count = points.len();
        self.stage(collection, &record.finish(), Change::Upsert(points))?;
        Ok(count)
    }

    fn delete(&mut self, collection: Arc<Collection>, ids: Vec<PointId>) -> Result<usize> {
        collection.check()?;
        let part = self.parts.get(&collection.id);
        let mut there: Vec<PointId> = ids
            .into_iter()
            .filter(|id| match self.coming.get(&(collection.id, id.clone())) {
                Some((present, _)) => *present,
                None => part.is_some_and(|part| part.contains(id)),
            })
            .collect();
        there.sort_unstable();
        there.dedup();
        let count = there.len();
        if count > 0 {
            let mut record = Writer::delete(collection.id, count);
            there.iter().for_each(|id| record.id(id));
            self.stage(collection, &record.finish(), Change::Delete(there))?;
        }
        Ok(count)
    }

    /// What this shard knows of the nearest: of its own points those that the graph does not have, and for its share of
    /// the queries those that it has, of all shards.
    fn search(
        &mut self,
        collection: &Collection,
        search: &Prepared,
        room: &mut Room,
    ) -> Result<Vec<Vec<Hit>>, VectorError> {
        let part = self.parts.get(&collection.id);
        let Some((graph, ef)) = &search.graph else {
            return part.map_or_else(|| Ok(search.no_hits()), |part| part.scan(search, |_| false, room));
        };
        let covered = |block: &Block| block.is_covered_by(graph.generation);
        let mut hits = match part {
            Some(part) => part.scan(search, covered, room)?,
            None => search.no_hits(),
        };
        for (n, (query, hits)) in search.queries.iter().zip(&mut hits).enumerate() {
            if (search.first + n) % self.shards == self.shard.0 {
                hits.extend(graph.hits(collection, query, *ef, search, &mut self.walk, room)?);
            }
        }
        Ok(hits)
    }

    fn stage(&mut self, collection: Arc<Collection>, record: &[u8], change: Change) -> Result<()> {
        self.log.append(record)?;
        self.snapshots.logged(record.len());
        each_id(&change, |id, present| {
            let coming = self
                .coming
                .entry((collection.id, id.clone()))
                .or_insert((present, 0));
            *coming = (present, coming.1 + 1);
        });
        self.staged.push(Staged { collection, change });
        Ok(())
    }

    /// These changes are no longer on their way.
    fn arrived(&mut self, staged: &Staged) {
        each_id(&staged.change, |id, _| {
            let key = (staged.collection.id, id.clone());
            if let Some((_, count)) = self.coming.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.coming.remove(&key);
                }
            }
        });
    }

    fn apply(&mut self, changes: Vec<Staged>) {
        let may_move = !self.snapshots.is_running();
        for staged in changes {
            self.arrived(&staged);
            let Staged { collection, change } = staged;
            if collection.is_dropped() {
                continue;
            }
            let (shard, block_bytes) = (self.shard.0, self.block_bytes);
            let part = self.parts.entry(collection.id);
            let part =
                part.or_insert_with(|| Part::new(collection, shard, block_bytes, self.indexer.clone()));
            part.apply(change, may_move);
            // If the disk does not take them they stay in memory, and the next write asks again and hears why.
            let _moved = part.cool(&mut self.shelf, 0);
        }
    }

    fn forget(&mut self, changes: Vec<Staged>) {
        changes.iter().for_each(|staged| self.arrived(staged));
    }
}

fn each_id(change: &Change, mut take: impl FnMut(&PointId, bool)) {
    match change {
        Change::Upsert(points) => points.iter().for_each(|point| take(&point.id, true)),
        Change::Delete(ids) => ids.iter().for_each(|id| take(id, false)),
    }
}

impl MessageHandler<VectorMessage> for VectorHandler {
    fn handle(&mut self, message: VectorMessage) -> Result<VectorReply> {
        let VectorMessage { collection, ask } = message;
        let part = self.parts.get(&collection.id);
        let mut room = Room::new(self.max_answer_bytes);
        Ok(match ask {
            Ask::Upsert(points) => VectorReply::Done(self.upsert(collection, points)?),
            Ask::Delete(ids) => VectorReply::Done(self.delete(collection, ids)?),
            Ask::Forget => {
                if let Some(part) = self.parts.remove(&collection.id) {
                    self.shelf.forget(part.files());
                }
                if let Some(indexer) = &self.indexer {
                    // It forgets what was dropped whenever it is told anything.
                    let _busy = indexer.offer(Offer::Look(collection));
                }
                VectorReply::Done(0)
            }
            Ask::Cool(needed_bytes) => {
                if let Some(part) = self.parts.get_mut(&collection.id) {
                    part.cool(&mut self.shelf, needed_bytes)?;
                }
                VectorReply::Done(0)
            }
            Ask::Get { ids, with } => {
                let get = |id| part.map_or(Ok(None), |part| part.get(id, with, &mut room));
                VectorReply::Points(ids.iter().map(get).collect::<Result<_, _>>()?)
            }
            Ask::Count(filter) => VectorReply::Count(part.map_or(0, |part| part.count(filter.as_deref()))),
            Ask::Scroll { after, limit, with } => VectorReply::Points(match part {
                Some(part) => part.scroll(after.as_ref(), limit, with, &mut room)?,
                None => Vec::new(),
            }),
            Ask::Search(search) => VectorReply::Hits(self.search(&collection, &search, &mut room)?),
        })
    }

    fn commit(&mut self) -> Result<Commit> {
        match self.log.commit() {
            Ok(Commit::Done) => {
                let last = self.log.last();
                for (_, changes) in std::mem::take(&mut self.pending) {
                    self.apply(changes);
                }
                let staged = std::mem::take(&mut self.staged);
                self.apply(staged);
                self.applied = last;
                Ok(Commit::Done)
            }
            Ok(Commit::Pending(seq)) => {
                if !self.staged.is_empty() {
                    self.pending.push_back((seq, std::mem::take(&mut self.staged)));
                }
                Ok(Commit::Pending(seq))
            }
            Err(error) => {
                let staged = std::mem::take(&mut self.staged);
                self.forget(staged);
                Err(error)
            }
        }
    }

    fn durable(&mut self) -> Result<Seq> {
        let durable = self.log.durable().inspect_err(|_| {
            // Whether these are stored shows at the next open; until then they are not there.
            for (_, changes) in std::mem::take(&mut self.pending) {
                self.forget(changes);
            }
        })?;
        while self.pending.front().is_some_and(|(seq, _)| *seq <= durable) {
            if let Some((seq, changes)) = self.pending.pop_front() {
                self.apply(changes);
                self.applied = seq;
            }
        }
        Ok(durable)
    }

    fn maintain(&mut self, budget: Budget) -> Option<Deadline> {
        // A shard that was down when a collection was dropped has not heard of it.
        let dropped = self.parts.extract_if(|_, part| part.collection.is_dropped());
        dropped.for_each(|(_, part)| self.shelf.forget(part.files()));
        for part in self.parts.values_mut() {
            // As after a write; here it is the graph that grew.
            let _moved = part.cool(&mut self.shelf, 0);
        }
        let mut more = false;
        if !self.snapshots.is_running() {
            if let Some(named) = self.snapshots.named() {
                self.shelf.named(named, self.parts.values().flat_map(Part::files));
            }
            for part in self.parts.values_mut() {
                more |= part.tidy_up(budget.items.get());
            }
            if self.snapshots.is_due() {
                let place = (self.shard, self.shards);
                let parts = self.parts.values();
                self.snapshots
                    .begin(place, &self.directory, &self.log, self.applied, parts);
            }
        }
        if more {
            return Some(Deadline(self.clock.now()));
        }
        let parts = self.parts.values_mut();
        let waits = parts.fold(false, |waits, part| part.tell_indexer() | waits);
        waits.then(|| Deadline::after(&*self.clock, INDEX_POLL))
    }
}
