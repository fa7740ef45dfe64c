//! One shard's part of a collection: ids, payloads, vectors, and the exact scan over them.
//!
//! Used by the shard's own thread alone. Holds applied changes only: what is not yet durable waits in the handler.

use crate::{
    distance::{Kernel, Measure},
    vector::{
        Filter, Hit, Metric, Payload, Point, PointId, With,
        arena::{Arena, BLOCK_ROWS},
        catalogue::Collection,
        message::{Prepared, Query},
        record::Change,
        topk::{Candidate, TopK},
    },
};
use std::{collections::BTreeMap, ops::Bound, sync::Arc};

/// What a point costs beside its row, payload and name: table entries, in round figures.
const POINT_OVERHEAD_BYTES: u64 = 160;

#[derive(Debug)]
struct Row {
    id: PointId,
    payload: Option<Arc<Payload>>,
    payload_bytes: usize,
}

/// What is kept of a collection on one shard.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) collection: Arc<Collection>,
    kernel: Kernel,
    measure: Measure,
    ids: BTreeMap<PointId, usize>,
    rows: Vec<Option<Row>>,
    /// By which a row's comparison is multiplied: 1 over the vector's length for the cosine, else 1. Not a number where
    /// there is no point, so that a scan passes by without looking at anything else.
    scales: Vec<f32>,
    arena: Arena,
    used_bytes: u64,
    shard: usize,
}

/// The bytes of a collection's budget that a point takes.
pub(crate) fn cost_bytes(id: &PointId, payload_bytes: usize, dimension: usize) -> u64 {
    let row_bytes = dimension.next_multiple_of(crate::distance::LANES) * size_of::<f32>();
    // A payload is held as a tree of nodes: about twice its text. A name is held by the row and by the table.
    POINT_OVERHEAD_BYTES + (row_bytes + 2 * payload_bytes + id.name_bytes()) as u64
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

impl Part {
    pub(crate) fn new(collection: Arc<Collection>, shard: usize) -> Self {
        let measure = match collection.spec.metric {
            Metric::L2 => Measure::SquaredL2,
            Metric::InnerProduct | Metric::Cosine => Measure::Dot,
        };
        Self {
            kernel: Kernel::detect(),
            measure,
            ids: BTreeMap::new(),
            rows: Vec::new(),
            scales: Vec::new(),
            arena: Arena::new(collection.spec.dimension),
            used_bytes: 0,
            shard,
            collection,
        }
    }

    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Upsert(points) => points.into_iter().for_each(|point| self.upsert(point)),
            Change::Delete(ids) => ids.iter().for_each(|id| self.delete(id)),
        }
        self.collection.set_stored(self.shard, self.used_bytes);
    }

    fn upsert(&mut self, point: Point) {
        self.delete(&point.id);
        let slot = self.arena.insert(&point.vector);
        let payload_bytes = point.payload.as_deref().map_or(0, payload_len);
        self.used_bytes += cost_bytes(&point.id, payload_bytes, self.collection.spec.dimension);
        let scale = scale_of(self.collection.spec.metric, &point.vector);
        let row = Row {
            payload: point.payload,
            payload_bytes,
            id: point.id.clone(),
        };
        if slot == self.rows.len() {
            self.rows.push(None);
            self.scales.push(f32::NAN);
        }
        self.rows[slot] = Some(row);
        self.scales[slot] = scale;
        self.ids.insert(point.id, slot);
    }

    fn delete(&mut self, id: &PointId) {
        let Some(slot) = self.ids.remove(id) else { return };
        if let Some(row) = self.rows[slot].take() {
            self.used_bytes -= cost_bytes(&row.id, row.payload_bytes, self.collection.spec.dimension);
        }
        self.scales[slot] = f32::NAN;
        self.arena.remove(slot);
    }

    pub(crate) fn contains(&self, id: &PointId) -> bool {
        self.ids.contains_key(id)
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    pub(crate) fn count(&self, filter: Option<&Filter>) -> u64 {
        let Some(filter) = filter else {
            return self.ids.len() as u64;
        };
        let rows = self.rows.iter().flatten();
        rows.filter(|row| filter.matches(row.payload.as_deref())).count() as u64
    }

    pub(crate) fn get(&self, id: &PointId, with: With) -> Option<Point> {
        let slot = *self.ids.get(id)?;
        let row = self.rows[slot].as_ref()?;
        Some(Point {
            id: row.id.clone(),
            vector: if with.vector {
                self.vector(slot)
            } else {
                Vec::new()
            },
            payload: row.payload.clone().filter(|_| with.payload),
        })
    }

    /// Points in the order of their ids.
    pub(crate) fn scroll(&self, after: Option<&PointId>, limit: usize, with: With) -> Vec<Option<Point>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ids = self.ids.range((from, Bound::Unbounded)).take(limit);
        ids.map(|(id, _)| self.get(id, with)).collect()
    }

    /// Every point, for a snapshot.
    pub(crate) fn points(&self) -> impl Iterator<Item = (&PointId, &[f32], Option<&Payload>)> {
        let dimension = self.collection.spec.dimension;
        self.rows.iter().enumerate().filter_map(move |(slot, row)| {
            let row = row.as_ref()?;
            Some((
                &row.id,
                &self.arena.row(slot)[..dimension],
                row.payload.as_deref(),
            ))
        })
    }

    fn vector(&self, slot: usize) -> Vec<f32> {
        self.arena.row(slot)[..self.collection.spec.dimension].to_vec()
    }

    /// The nearest of this shard for each query: an exact scan, a block of rows against four queries at a time.
    pub(crate) fn search(&self, search: &Prepared) -> Vec<Vec<Hit>> {
        let mut nearest: Vec<TopK<usize>> = search.queries.iter().map(|_| TopK::new(search.k)).collect();
        for first in (0..self.arena.rows()).step_by(BLOCK_ROWS) {
            for (group, nearest) in search.queries.chunks(4).zip(nearest.chunks_mut(4)) {
                if let [a, b, c, d] = group {
                    self.scan(first, [a, b, c, d], nearest, search);
                } else {
                    for (query, nearest) in group.iter().zip(nearest) {
                        self.scan(first, [query], std::slice::from_mut(nearest), search);
                    }
                }
            }
        }
        let hits = |nearest: TopK<usize>| {
            nearest
                .into_sorted()
                .into_iter()
                .map(|found| self.hit(found, search.with))
        };
        nearest
            .into_iter()
            .map(|nearest| hits(nearest).collect())
            .collect()
    }

    /// Compares one block of rows with N queries, and offers what is near enough.
    fn scan<const N: usize>(
        &self,
        first: usize,
        queries: [&Query; N],
        nearest: &mut [TopK<usize>],
        search: &Prepared,
    ) {
        let rows = self.arena.block(first);
        let mut found = [[0.0; N]; BLOCK_ROWS];
        let padded = queries.map(|query| &*query.padded);
        self.kernel
            .rows(self.measure, rows, self.arena.stride(), padded, &mut found);
        for ((slot, scale), found) in (first..).zip(&self.scales[first..]).zip(found) {
            for n in 0..N {
                let key = self.key(found[n], scale * queries[n].scale);
                if nearest[n].may_enter(key)
                    && let Some(row) = &self.rows[slot]
                    && self.passes(search, row)
                {
                    let (id, rest) = (row.id.clone(), slot);
                    nearest[n].offer(Candidate { key, id, rest });
                }
            }
        }
    }

    fn passes(&self, search: &Prepared, row: &Row) -> bool {
        let filter = search.filter.as_ref();
        filter.is_none_or(|filter| filter.matches(row.payload.as_deref()))
    }

    fn key(&self, found: f32, scale: f32) -> f32 {
        match self.measure {
            // Times 1, or not a number.
            Measure::SquaredL2 => found * scale,
            Measure::Dot => -(found * scale),
        }
    }

    fn hit(&self, found: Candidate<usize>, with: With) -> Hit {
        let Candidate { key, id, rest: slot } = found;
        let payload = self.rows[slot].as_ref().and_then(|row| row.payload.clone());
        Hit {
            id,
            score: match self.measure {
                Measure::SquaredL2 => key.sqrt(),
                // Not -0.0, which would be shown as such.
                Measure::Dot => 0.0 - key,
            },
            payload: payload.filter(|_| with.payload),
            vector: with.vector.then(|| self.vector(slot)),
            key,
        }
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
