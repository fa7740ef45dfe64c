//! A block of points: vectors at 64-byte boundaries, and beside them what else is kept of each point.
//!
//! While a block is open its shard alone has it and fills it. Sealed, everything in it stays as it is but for one bit a
//! point, which the shard clears when the point is deleted or replaced and never sets again. So any thread may read a
//! sealed block: a snapshot, a search in the index, or whoever builds that.

use crate::vector::{Payload, PointId};
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

/// What is kept of a point beside its vector.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: PointId,
    pub(crate) payload: Option<Arc<Payload>>,
    pub(crate) payload_bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) shard: usize,
    /// Which opening of the shard made it: what an earlier one made is no longer true.
    pub(crate) run: u64,
    shape: Shape,
    floats: Vec<f32>,
    /// Where the first aligned row begins. The floats are never resized, so it stays there.
    start: usize,
    /// By which a row's comparison is multiplied: 1 over the vector's length for the cosine, else 1.
    scales: Vec<f32>,
    rows: Vec<Option<Row>>,
    /// One bit a row: whether there is a point.
    live: Box<[AtomicU64]>,
    /// The first generation of the index that has these points.
    covered: AtomicU64,
}

impl Block {
    pub(crate) fn new(shape: Shape, shard: usize, run: u64) -> Self {
        let floats = vec![0.0; shape.stride * shape.rows() + LINE];
        // Falls back to an unaligned start if the platform cannot tell: slower, not wrong.
        let start = floats.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        Self {
            shard,
            run,
            shape,
            floats,
            start,
            scales: Vec::new(),
            rows: Vec::new(),
            live: (0..shape.rows().div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect(),
            covered: AtomicU64::new(UNCOVERED),
        }
    }

    /// Puts a point into a row that is free, at most the first that was never used.
    pub(crate) fn put(&mut self, row: usize, vector: &[f32], scale: f32, data: Row) {
        let from = self.start + row * self.shape.stride;
        let floats = &mut self.floats[from..from + self.shape.stride];
        floats[..vector.len()].copy_from_slice(vector);
        floats[vector.len()..].fill(0.0);
        if row == self.rows.len() {
            self.rows.push(None);
            self.scales.push(scale);
        }
        self.scales[row] = scale;
        self.rows[row] = Some(data);
        *self.live[row / 64].get_mut() |= 1 << (row % 64);
    }

    /// Takes a point out so that its row can be used again.
    pub(crate) fn take(&mut self, row: usize) -> Option<Row> {
        *self.live[row / 64].get_mut() &= !(1 << (row % 64));
        self.rows[row].take()
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

    /// The first row that has a point.
    pub(crate) fn first_live(&self) -> Option<usize> {
        let words = self.live.iter().map(|bits| bits.load(Relaxed)).enumerate();
        let mut found = words.filter(|(_, bits)| *bits != 0);
        found
            .next()
            .map(|(word, bits)| 64 * word + bits.trailing_zeros() as usize)
    }

    /// How many points there are.
    pub(crate) fn live_rows(&self) -> usize {
        self.live
            .iter()
            .map(|bits| bits.load(Relaxed).count_ones() as usize)
            .sum()
    }

    /// Rows that were ever used; those above never were.
    pub(crate) fn used_rows(&self) -> usize {
        self.rows.len()
    }

    /// What is kept of the point in a row, if there is one.
    pub(crate) fn data(&self, row: usize) -> Option<&Row> {
        self.rows[row].as_ref().filter(|_| self.is_live(row))
    }

    /// What is kept of the point that is or was in a row.
    pub(crate) fn data_of_any(&self, row: usize) -> Option<&Row> {
        self.rows[row].as_ref()
    }

    /// The padded vector in a row.
    pub(crate) fn vector(&self, row: usize) -> &[f32] {
        &self.floats[self.start + row * self.shape.stride..][..self.shape.stride]
    }

    /// The used rows from `first` on, at most a chunk of them, one after another. Rows without a point are among them.
    pub(crate) fn chunk(&self, first: usize) -> &[f32] {
        let rows = CHUNK_ROWS.min(self.rows.len() - first);
        &self.floats[self.start + first * self.shape.stride..][..rows * self.shape.stride]
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
