//! One shard's part of a collection: its points, and where each lies. What searches them is in `scan.rs`.
//!
//! Used by the shard's own thread alone. Holds applied changes only: what is not yet durable waits in the handler.

use crate::{
    distance::{Kernel, Measure},
    vector::{
        Filter, Metric, Payload, Point, PointId, VectorError, With,
        arena::Arena,
        block::{Block, Row, Shape, hot_bytes},
        cold::Shelf,
        entry::Collection,
        index::{Offer, Port, Refused},
        meter::Charge,
        record::Change,
        room::Room,
    },
};
use quintet_core::Result;
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

/// What a point costs wherever its block is, beside its name: entries of tables, in round figures.
const POINT_BYTES: u64 = 64;

/// What is kept of a collection on one shard.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) collection: Arc<Collection>,
    pub(super) kernel: Kernel,
    pub(super) measure: Measure,
    ids: BTreeMap<PointId, usize>,
    pub(super) arena: Arena,
    /// What the points take wherever their blocks are.
    resident: Charge,
    shard: usize,
    indexer: Option<Port>,
    /// Sealed blocks that the indexer was not offered yet.
    offers: VecDeque<Arc<Block>>,
    /// Blocks that were sealed since the opening and that no graph has yet; oldest first.
    waiting: VecDeque<Arc<Block>>,
    /// Whether what is sealed was there before the opening.
    is_recovering: bool,
}

/// The bytes of a collection's budget that a point takes at first.
pub(crate) fn cost_bytes(id: &PointId, payload_bytes: usize, dimension: usize) -> u64 {
    resident_bytes(id) + hot_bytes(payload_bytes, dimension)
}

/// Those that it takes also when its block lies in a file.
fn resident_bytes(id: &PointId) -> u64 {
    POINT_BYTES + id.name_bytes() as u64
}

/// 1 over the length of a vector, which validation has seen to be positive.
pub(crate) fn scale_of(metric: Metric, vector: &[f32]) -> f32 {
    match metric {
        Metric::Cosine => {
            let square: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            square.sqrt().recip() as f32
        }
        Metric::L2 | Metric::InnerProduct => 1.0,
    }
}

impl Drop for Part {
    /// Tells the next run of the shard which blocks others, such as the graph, may still have in memory.
    fn drop(&mut self) {
        self.collection.leave(self.shard, self.arena.left());
    }
}

impl Part {
    pub(crate) fn new(
        collection: Arc<Collection>,
        shard: usize,
        block_bytes: usize,
        indexer: Option<Port>,
    ) -> Self {
        let shape = Shape::new(collection.spec.dimension, block_bytes);
        let run = collection.run_of(shard);
        let meter = collection.hot(shard).clone();
        Self {
            kernel: Kernel::detect(),
            measure: collection.spec.metric.measure(),
            ids: BTreeMap::new(),
            arena: Arena::new(shape, shard, run, meter, collection.take_left(shard)),
            resident: collection.resident(shard).charge(0),
            indexer,
            offers: VecDeque::new(),
            waiting: VecDeque::new(),
            is_recovering: false,
            shard,
            collection,
        }
    }

    /// Does what was logged. `may_move`: nobody relies on points staying where they are.
    pub(crate) fn apply(&mut self, change: Change, may_move: bool) {
        let count = match change {
            Change::Upsert(points) => {
                let count = points.len();
                points.into_iter().for_each(|point| self.upsert(point));
                count
            }
            Change::Delete(ids) => {
                ids.iter().for_each(|id| self.delete(id));
                ids.len()
            }
        };
        if may_move {
            // A block is emptied when half of it is dead, so one move makes room for one point: two keep up with writes,
            // and with what piled up while nothing might move.
            self.tidy_up(2 * count);
        }
        self.note_sealed();
        self.collection.set_waiting(self.shard, self.waiting_points());
    }

    /// From now on, or no longer, what is stored was there before.
    pub(crate) fn recovering(&mut self, is_recovering: bool) {
        self.is_recovering = is_recovering;
    }

    fn note_sealed(&mut self) {
        while let Some(block) = self.arena.next_sealed() {
            if self.indexer.is_none() {
                continue;
            }
            if !self.is_recovering {
                self.waiting.push_back(Arc::clone(&block));
            }
            self.offers.push_back(block);
        }
    }

    /// How many points were sealed since the opening and are in no graph.
    pub(crate) fn waiting_points(&self) -> u64 {
        (self.waiting.len() * self.arena.shape.rows()) as u64
    }

    /// Offers the indexer what it was not offered yet, and forgets what has arrived; answers whether something is left.
    pub(crate) fn tell_indexer(&mut self) -> bool {
        self.note_sealed();
        let Some(indexer) = self.indexer.clone() else {
            return false;
        };
        let mut answer = Ok(());
        while answer.is_ok()
            && let Some(block) = self.offers.pop_front()
        {
            answer = indexer.offer(Offer::Sealed(Arc::clone(&self.collection), block));
        }
        if answer.is_ok() && std::mem::take(&mut self.arena.gave_back) {
            answer = indexer.offer(Offer::Look(Arc::clone(&self.collection)));
        }
        match answer {
            Ok(()) => {}
            Err(Refused::Busy(Offer::Sealed(_, block))) => self.offers.push_front(block),
            Err(Refused::Busy(_)) => self.arena.gave_back = true,
            Err(Refused::Gone) => {
                self.indexer = None;
                self.offers.clear();
                self.waiting.clear();
            }
        }
        let is_done = |block: &Arc<Block>| block.is_covered() || block.live_rows() == 0;
        // Not from the front only: a block may stay there whose points never change, behind it many that came and went.
        self.waiting.retain(|block| !is_done(block));
        self.collection.set_waiting(self.shard, self.waiting_points());
        !self.waiting.is_empty() || !self.offers.is_empty()
    }

    fn upsert(&mut self, point: Point) {
        self.delete(&point.id);
        let payload_bytes = point.payload.as_deref().map_or(0, payload_len);
        self.resident.add(resident_bytes(&point.id));
        let scale = scale_of(self.collection.spec.metric, &point.vector);
        let row = Row {
            payload: point.payload,
            payload_bytes,
            id: point.id.clone(),
        };
        let slot = self.arena.insert(&point.vector, scale, row);
        self.ids.insert(point.id, slot);
    }

    fn delete(&mut self, id: &PointId) {
        let Some(slot) = self.ids.remove(id) else { return };
        self.resident.take(resident_bytes(id));
        self.arena.remove(slot);
    }

    /// Moves points out of blocks that are mostly dead, at most so many; answers whether there is more to do.
    pub(crate) fn tidy_up(&mut self, most: usize) -> bool {
        for _ in 0..most {
            let Some(block) = self.arena.sparse() else {
                return false;
            };
            let first = block.first_live();
            let Some((row, data)) = first.and_then(|row| Some((row, block.row(row)?))) else {
                return false;
            };
            let dimension = self.collection.spec.dimension;
            let (vector, scale) = (block.vector(row)[..dimension].to_vec(), block.scales()[row]);
            let id = data.id.clone();
            let slot = self.arena.insert(&vector, scale, data);
            if let Some(before) = self.ids.insert(id, slot) {
                self.arena.remove(before);
            }
        }
        self.arena.sparse().is_some()
    }

    pub(crate) fn contains(&self, id: &PointId) -> bool {
        self.ids.contains_key(id)
    }

    /// What its blocks take in memory, which is what a snapshot has to hold.
    pub(crate) fn hot_bytes(&self) -> u64 {
        self.collection.hot(self.shard).bytes()
    }

    /// The files that its blocks lie in.
    pub(crate) fn files(&self) -> impl Iterator<Item = u64> {
        self.arena.sealed().filter_map(|block| Some(block.file()?.0))
    }

    /// Moves the oldest blocks to files if the collection has no room for so many bytes more, until there is some to spare.
    /// Blocks for the disk.
    ///
    /// # Errors
    /// What the disk answers. What was moved before stays there.
    pub(crate) fn cool(&mut self, shelf: &mut Shelf, needed_bytes: u64) -> Result<()> {
        if !shelf.is_on() || !self.collection.is_short_of(needed_bytes) {
            return Ok(());
        }
        while self.collection.is_tight_for(needed_bytes)
            && let Some((block, is_kept)) = self.arena.coolest()
        {
            shelf.take(&self.collection, &block, is_kept)?;
            self.arena.cooled();
        }
        Ok(())
    }

    /// Takes in the points that are left of a block in a file.
    pub(crate) fn adopt(&mut self, block: Block) {
        if block.shape != self.arena.shape {
            // Blocks have another size by now: its points are put into new ones.
            let dimension = self.collection.spec.dimension;
            let rows = (0..block.used_rows()).filter_map(|n| Some((n, block.row(n)?)));
            rows.for_each(|(n, row)| {
                self.upsert(Point {
                    id: row.id,
                    vector: block.vector(n)[..dimension].to_vec(),
                    payload: row.payload,
                });
            });
            return;
        }
        let rows = (0..block.used_rows()).filter_map(|n| Some((n, block.row(n)?.id)));
        let ids: Vec<(usize, PointId)> = rows.collect();
        let first = self.arena.adopt(block);
        for (row, id) in ids {
            self.delete(&id);
            self.resident.add(resident_bytes(&id));
            self.ids.insert(id, first + row);
        }
        self.note_sealed();
    }

    pub(crate) fn count(&self, filter: Option<&Filter>) -> u64 {
        let Some(filter) = filter else {
            return self.ids.len() as u64;
        };
        let count = |block: &Block| {
            let rows = (0..block.used_rows()).filter_map(|row| block.row(row));
            rows.filter(|row| filter.matches(row.payload.as_deref())).count()
        };
        self.arena.blocks().map(count).sum::<usize>() as u64
    }

    pub(crate) fn get(
        &self,
        id: &PointId,
        with: With,
        room: &mut Room,
    ) -> Result<Option<Point>, VectorError> {
        let place = self.ids.get(id).and_then(|slot| self.arena.place(*slot));
        let Some((block, number, row)) =
            place.and_then(|(block, number)| Some((block, number, block.row(number)?)))
        else {
            return Ok(None);
        };
        let numbers = if with.vector {
            self.collection.spec.dimension
        } else {
            0
        };
        let payload_bytes = if with.payload { row.payload_bytes } else { 0 };
        room.take(row.id.name_bytes() + size_of::<f32>() * numbers + payload_bytes)?;
        Ok(Some(Point {
            id: row.id,
            vector: block.vector(number)[..numbers].to_vec(),
            payload: row.payload.filter(|_| with.payload),
        }))
    }

    /// Points in the order of their ids.
    pub(crate) fn scroll(
        &self,
        after: Option<&PointId>,
        limit: usize,
        with: With,
        room: &mut Room,
    ) -> Result<Vec<Option<Point>>, VectorError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ids = self.ids.range((from, Bound::Unbounded)).take(limit);
        ids.map(|(id, _)| self.get(id, with, room)).collect()
    }
}

/// The length of a payload as JSON text.
pub(crate) fn payload_len(payload: &Payload) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // A map of JSON values always has a text, and counting cannot fail.
    let _counted = serde_json::to_writer(&mut counter, payload);
    counter.0
}
