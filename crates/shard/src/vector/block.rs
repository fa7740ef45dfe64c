//! A block of points: vectors at 64-byte boundaries, and beside them what else is kept of each point.
//!
//! While a block is open its shard alone has it and fills it. Sealed, everything in it stays as it is but for one bit a
//! point, which the shard clears when the point is deleted or replaced and never sets again. So any thread may read a
//! sealed block: a snapshot, a search in the index, or whoever builds that. In memory at first, it can be moved to a file
//! (see `cold/`) while they do: they see the same.

use crate::vector::{
    Payload, PointId,
    cold::Cold,
    meter::{Charge, Meter},
    pages::Pages,
};
use arc_swap::ArcSwap;
use std::sync::{
    Arc,
    atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

/// Floats in a cache line.
const LINE: usize = 16;
/// Rows that a scan takes at a time.
pub(crate) const CHUNK_ROWS: usize = 16;
/// The fewest and the most rows of a block, as powers of two.
const ROW_BITS: std::ops::RangeInclusive<u32> = 4..=12;
/// A block that no index covers.
const UNCOVERED: u64 = u64::MAX;

/// How long rows are and how many a block has: the same for all blocks of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Floats from one row to the next: whole cache lines, so kernels run over rows without a tail.
    pub(crate) stride: usize,
    /// Rows of a block, as a power of two, so that finding one takes a shift and a mask.
    pub(crate) bits: u32,
}

impl Shape {
    /// Blocks of about so many bytes of vectors.
    pub(crate) fn new(dimension: usize, block_bytes: usize) -> Self {
        let stride = dimension.next_multiple_of(LINE);
        let rows = (block_bytes / (stride * size_of::<f32>())).max(1);
        let bits = rows.ilog2().clamp(*ROW_BITS.start(), *ROW_BITS.end());
        Self { stride, bits }
    }

    /// What the vectors of a block take.
    pub(crate) fn block_bytes(self) -> usize {
        self.stride * self.rows() * size_of::<f32>()
    }

    pub(crate) fn rows(self) -> usize {
        1 << self.bits
    }

    /// The block and the row of a slot.
    pub(crate) fn place(self, slot: usize) -> (usize, usize) {
        (slot >> self.bits, slot & (self.rows() - 1))
    }

    pub(crate) fn slot(self, block: usize, row: usize) -> usize {
        block << self.bits | row
    }
}

/// What a point costs in a block beside its vector and payload, in round figures.
const ROW_BYTES: u64 = 96;

/// The bytes that a point takes as long as its block is in memory.
pub(crate) fn hot_bytes(payload_bytes: usize, dimension: usize) -> u64 {
    // A payload is held as a tree of nodes: about twice its text.
    ROW_BYTES + (dimension.next_multiple_of(LINE) * size_of::<f32>() + 2 * payload_bytes) as u64
}

/// What is kept of a point beside its vector. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: PointId,
    pub(crate) payload: Option<Arc<Payload>>,
    pub(crate) payload_bytes: usize,
}

/// What is kept of all points of a block.
#[derive(Debug)]
enum Kept {
    Open(Hot),
    Sealed(ArcSwap<Details>),
}

#[derive(Debug)]
enum Details {
    Hot(Hot),
    Cold(Cold),
}

#[derive(Debug)]
struct Hot {
    rows: Vec<Option<Row>>,
    /// The memory of these and of the vectors.
    charge: Charge,
}

#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) shard: usize,
    /// Which opening of the shard made it: what an earlier one made is no longer true.
    pub(crate) run: u64,
    pub(crate) shape: Shape,
    vectors: Pages,
    /// By which a row's comparison is multiplied: 1 over the vector's length for the cosine, else 1.
    scales: Vec<f32>,
    kept: Kept,
    /// One bit a row: whether there is a point.
    live: Box<[AtomicU64]>,
    /// The first generation of the index that has these points.
    covered: AtomicU64,
}

impl Block {
    pub(crate) fn new(shape: Shape, shard: usize, run: u64, meter: &Meter) -> Self {
        let hot = Hot {
            rows: Vec::new(),
            charge: meter.charge(0),
        };
        Self {
            shard,
            run,
            shape,
            vectors: Pages::new(shape.block_bytes()),
            scales: Vec::new(),
            kept: Kept::Open(hot),
            live: (0..shape.rows().div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect(),
            covered: AtomicU64::new(UNCOVERED),
        }
    }

    /// A block as a file has it, with the points that are left of it.
    pub(crate) fn cold(
        (shape, shard, run): (Shape, usize, u64),
        vectors: Pages,
        scales: Vec<f32>,
        cold: Cold,
        live: impl Iterator<Item = u64>,
    ) -> Self {
        Self {
            shard,
            run,
            shape,
            vectors,
            scales,
            kept: Kept::Sealed(ArcSwap::from_pointee(Details::Cold(cold))),
            live: live.map(AtomicU64::new).collect(),
            covered: AtomicU64::new(UNCOVERED),
        }
    }

    /// Puts a point into a row that is free, at most the first that was never used. Sealed blocks take none.
    pub(crate) fn put(&mut self, row: usize, vector: &[f32], scale: f32, data: Row) {
        let Kept::Open(hot) = &mut self.kept else { return };
        let stride = self.shape.stride;
        let floats = &mut self.vectors.floats_mut()[row * stride..(row + 1) * stride];
        floats[..vector.len()].copy_from_slice(vector);
        floats[vector.len()..].fill(0.0);
        if row == hot.rows.len() {
            hot.rows.push(None);
            self.scales.push(scale);
        }
        self.scales[row] = scale;
        hot.charge.add(hot_bytes(data.payload_bytes, vector.len()));
        hot.rows[row] = Some(data);
        *self.live[row / 64].get_mut() |= 1 << (row % 64);
    }

    /// Takes a point out of an open block so that its row can be used again.
    pub(crate) fn take(&mut self, row: usize) {
        *self.live[row / 64].get_mut() &= !(1 << (row % 64));
        if let Kept::Open(hot) = &mut self.kept
            && let Some(data) = hot.rows[row].take()
        {
            hot.charge.take(hot_bytes(data.payload_bytes, self.shape.stride));
        }
    }

    /// Nothing comes to it any more.
    pub(crate) fn seal(mut self) -> Self {
        self.kept = match self.kept {
            Kept::Open(hot) => Kept::Sealed(ArcSwap::from_pointee(Details::Hot(hot))),
            sealed => sealed,
        };
        self
    }

    /// From now on it lies in a file, which has the same vectors at `offset` if it can be mapped. Its memory is given back
    /// when whoever reads it this moment has done so.
    ///
    /// # Errors
    /// What the system answers; nothing has changed then.
    pub(crate) fn cool(&self, file: Option<(&std::fs::File, u64)>, cold: Cold) -> std::io::Result<()> {
        if let Some((file, offset)) = file {
            self.vectors.overlay(file, offset)?;
        }
        if let Kept::Sealed(details) = &self.kept {
            details.store(Arc::new(Details::Cold(cold)));
        }
        Ok(())
    }

    /// Which file it lies in, if it does: its number and its checksum.
    pub(crate) fn file(&self) -> Option<(u64, u32)> {
        match &self.kept {
            Kept::Open(_) => None,
            Kept::Sealed(details) => match &**details.load() {
                Details::Hot(_) => None,
                Details::Cold(cold) => Some((cold.number, cold.checksum)),
            },
        }
    }

    /// The vectors of all rows, as they lie in memory.
    pub(crate) fn vectors(&self) -> &Pages {
        &self.vectors
    }

    /// The point in this row is no more. Called by the owner alone.
    pub(crate) fn kill(&self, row: usize) {
        let bits = self.live[row / 64].load(Relaxed) & !(1 << (row % 64));
        // Released, so that whoever hears of a deletion, by whatever way, sees it.
        self.live[row / 64].store(bits, Release);
    }

    pub(crate) fn is_live(&self, row: usize) -> bool {
        self.live[row / 64].load(Acquire) >> (row % 64) & 1 == 1
    }

    /// One bit a row, in words.
    pub(crate) fn live_words(&self) -> impl ExactSizeIterator<Item = u64> {
        self.live.iter().map(|bits| bits.load(Acquire))
    }

    /// The first row that has a point.
    pub(crate) fn first_live(&self) -> Option<usize> {
        let mut found = self.live_words().enumerate().filter(|(_, bits)| *bits != 0);
        found
            .next()
            .map(|(word, bits)| 64 * word + bits.trailing_zeros() as usize)
    }

    /// How many points there are.
    pub(crate) fn live_rows(&self) -> usize {
        self.live_words().map(|bits| bits.count_ones() as usize).sum()
    }

    /// Rows that were ever used; those above never were.
    pub(crate) fn used_rows(&self) -> usize {
        self.scales.len()
    }

    /// What is kept of the point in a row, if there is one.
    pub(crate) fn row(&self, row: usize) -> Option<Row> {
        self.row_of_any(row).filter(|_| self.is_live(row))
    }

    /// What is kept of the point that is or was in a row. Points that were dead when their block went cold are forgotten.
    pub(crate) fn row_of_any(&self, row: usize) -> Option<Row> {
        match &self.kept {
            Kept::Open(hot) => hot.rows[row].clone(),
            Kept::Sealed(details) => match &**details.load() {
                Details::Hot(hot) => hot.rows[row].clone(),
                Details::Cold(cold) => cold.row(row),
            },
        }
    }

    /// The padded vector in a row.
    pub(crate) fn vector(&self, row: usize) -> &[f32] {
        &self.vectors.floats()[row * self.shape.stride..][..self.shape.stride]
    }

    /// The used rows from `first` on, at most a chunk of them, one after another. Rows without a point are among them.
    pub(crate) fn chunk(&self, first: usize) -> &[f32] {
        let rows = CHUNK_ROWS.min(self.used_rows() - first);
        &self.vectors.floats()[first * self.shape.stride..][..rows * self.shape.stride]
    }

    pub(crate) fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// From this generation on the index has what is in here.
    pub(crate) fn cover(&self, generation: u64) {
        self.covered.store(generation, Release);
    }

    /// No index has it any more.
    pub(crate) fn uncover(&self) {
        self.cover(UNCOVERED);
    }

    /// Whether the index of this generation has what is in here.
    pub(crate) fn is_covered_by(&self, generation: u64) -> bool {
        self.covered.load(Acquire) <= generation
    }

    /// Whether any index has it.
    pub(crate) fn is_covered(&self) -> bool {
        self.covered.load(Acquire) != UNCOVERED
    }
}
