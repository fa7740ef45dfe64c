//! The exact scan of a shard's part: blocks of rows against several queries at a time, the nearest kept without a heap per
//! row. What the index has already is left to it.

use crate::{
    distance::Measure,
    vector::{
        Hit, VectorError, With,
        block::{Block, CHUNK_ROWS, Row},
        collection::Part,
        message::{Prepared, Query},
        room::Room,
        topk::{Candidate, TopK},
    },
};

/// Where a candidate was found.
pub(crate) type Place<'a> = (&'a Block, usize);

impl Part {
    /// The nearest of this shard for each query, but for what `covered` says the index has.
    pub(crate) fn scan(
        &self,
        search: &Prepared,
        covered: impl Fn(&Block) -> bool,
        room: &mut Room,
    ) -> Result<Vec<Vec<Hit>>, VectorError> {
        let mut nearest: Vec<TopK<Place<'_>>> = search.queries.iter().map(|_| TopK::new(search.k)).collect();
        for block in self.arena.blocks().filter(|block| !covered(block)) {
            for first in (0..block.used_rows()).step_by(CHUNK_ROWS) {
                for (group, nearest) in search.queries.chunks(4).zip(nearest.chunks_mut(4)) {
                    if let [a, b, c, d] = group {
                        self.scan_chunk(block, first, [a, b, c, d], nearest, search);
                    } else {
                        for (query, nearest) in group.iter().zip(nearest) {
                            self.scan_chunk(block, first, [query], std::slice::from_mut(nearest), search);
                        }
                    }
                }
            }
        }
        let dimension = self.collection.spec.dimension;
        let mut hits = |nearest: TopK<Place<'_>>| {
            let sorted = nearest.into_sorted().into_iter();
            let hits =
                sorted.filter_map(|found| hit(found, self.measure, dimension, search.with, room).transpose());
            hits.collect()
        };
        nearest.into_iter().map(&mut hits).collect()
    }

    /// Compares one chunk of rows with N queries, and offers what is near enough.
    fn scan_chunk<'a, const N: usize>(
        &self,
        block: &'a Block,
        first: usize,
        queries: [&Query; N],
        nearest: &mut [TopK<Place<'a>>],
        search: &Prepared,
    ) {
        let rows = block.chunk(first);
        let mut found = [[0.0; N]; CHUNK_ROWS];
        let padded = queries.map(|query| &*query.padded);
        let stride = self.arena.shape.stride;
        self.kernel.rows(self.measure, rows, stride, padded, &mut found);
        for ((row, scale), found) in (first..).zip(&block.scales()[first..]).zip(found) {
            for n in 0..N {
                let key = key_of(self.measure, found[n], scale * queries[n].scale);
                // Dead rows are met here too; few are near enough to be looked at.
                if nearest[n].may_enter(key)
                    && let Some(data) = block.row(row)
                    && passes(search, &data)
                {
                    let (id, rest) = (data.id, (block, row));
                    nearest[n].offer(Candidate { key, id, rest });
                }
            }
        }
    }
}

fn passes(search: &Prepared, row: &Row) -> bool {
    let filter = search.filter.as_ref();
    filter.is_none_or(|filter| filter.matches(row.payload.as_deref()))
}

/// By which candidates are ranked: smaller is nearer.
pub(crate) fn key_of(measure: Measure, found: f32, scale: f32) -> f32 {
    match measure {
        Measure::SquaredL2 => found * scale,
        Measure::Dot => -(found * scale),
    }
}

/// What is answered of a candidate, if it is kept and there is room.
pub(crate) fn hit(
    found: Candidate<Place<'_>>,
    measure: Measure,
    dimension: usize,
    with: With,
    room: &mut Room,
) -> Result<Option<Hit>, VectorError> {
    let Candidate { key, id, rest } = found;
    let (block, row) = rest;
    let (mut payload, mut payload_bytes) = (None, 0);
    if with.payload {
        // A block keeps what it had, also when the point was deleted this moment.
        let Some(kept) = block.row_of_any(row) else {
            return Ok(None);
        };
        (payload, payload_bytes) = (kept.payload, kept.payload_bytes);
    }
    let numbers = if with.vector { dimension } else { 0 };
    room.take(id.name_bytes() + size_of::<f32>() * numbers + payload_bytes)?;
    Ok(Some(Hit {
        id,
        score: match measure {
            Measure::SquaredL2 => key.sqrt(),
            // Not -0.0, which would be shown as such.
            Measure::Dot => 0.0 - key,
        },
        payload,
        vector: with.vector.then(|| block.vector(row)[..dimension].to_vec()),
        key,
        is_from_index: false,
    }))
}
