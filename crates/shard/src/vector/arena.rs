//! Where a shard's vectors lie: pages that never move, rows that begin at 64-byte boundaries, a free list.
//!
//! A row is padded with zeros to whole cache lines, so kernels run over whole lines without a tail. Used by the shard's
//! own thread alone.

/// Floats in a cache line.
const LINE: usize = 16;
/// Rows that a scan takes at a time; a block lies within one page.
pub(crate) const BLOCK_ROWS: usize = 16;
/// A page's size, at most, unless a block is larger.
const PAGE_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Arena {
    /// Floats from one row to the next.
    stride: usize,
    /// Rows of a page, as a power of two, so that finding one takes a shift and a mask.
    page_shift: u32,
    pages: Vec<Page>,
    /// Rows ever handed out; those above were never used.
    rows: usize,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Page {
    floats: Vec<f32>,
    /// Where the first aligned row begins. A page is never resized, so it stays there.
    start: usize,
}

impl Page {
    fn new(len: usize) -> Self {
        let floats = vec![0.0; len + LINE];
        // Falls back to an unaligned start if the platform cannot tell: slower, not wrong.
        let start = floats.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        Self { floats, start }
    }
}

impl Arena {
    pub(crate) fn new(dimension: usize) -> Self {
        let stride = dimension.next_multiple_of(LINE);
        Self {
            stride,
            page_shift: (PAGE_BYTES / (stride * size_of::<f32>())).max(BLOCK_ROWS).ilog2(),
            pages: Vec::new(),
            rows: 0,
            free: Vec::new(),
        }
    }

    /// Stores a vector and answers its slot. Slots of removed vectors are used again.
    pub(crate) fn insert(&mut self, vector: &[f32]) -> usize {
        let slot = self.free.pop().unwrap_or_else(|| {
            if self.rows == self.pages.len() << self.page_shift {
                self.pages.push(Page::new(self.stride << self.page_shift));
            }
            self.rows += 1;
            self.rows - 1
        });
        self.write(slot, vector);
        slot
    }

    fn write(&mut self, slot: usize, vector: &[f32]) {
        let from = self.offset(slot);
        let page = &mut self.pages[slot >> self.page_shift];
        let row = &mut page.floats[page.start + from..][..self.stride];
        row[..vector.len()].copy_from_slice(vector);
        row[vector.len()..].fill(0.0);
    }

    /// Where a slot's row begins, from its page's start.
    fn offset(&self, slot: usize) -> usize {
        (slot & ((1 << self.page_shift) - 1)) * self.stride
    }

    pub(crate) fn remove(&mut self, slot: usize) {
        self.free.push(slot);
    }

    /// The padded row in a slot.
    pub(crate) fn row(&self, slot: usize) -> &[f32] {
        let from = self.offset(slot);
        let page = &self.pages[slot >> self.page_shift];
        &page.floats[page.start + from..][..self.stride]
    }

    /// How many rows were ever used.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// How long a row is, padding included.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// The rows of the block that begins with slot `first`, a multiple of [`BLOCK_ROWS`], one after another. Rows of
    /// removed vectors are among them.
    pub(crate) fn block(&self, first: usize) -> &[f32] {
        let rows = BLOCK_ROWS.min(self.rows - first);
        let from = self.offset(first);
        let page = &self.pages[first >> self.page_shift];
        &page.floats[page.start + from..][..rows * self.stride]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_aligned_padded_and_used_again() {
        let mut arena = Arena::new(17);
        let slots: Vec<usize> = (0..20_000).map(|n| arena.insert(&[n as f32; 17])).collect();
        assert!(arena.pages.len() > 1, "the test must cross pages");
        for slot in &slots {
            let row = arena.row(*slot);
            assert_eq!(row.as_ptr() as usize % 64, 0);
            assert_eq!(row[..17], [*slot as f32; 17]);
            assert_eq!(row[17..], [0.0; 15]);
        }
        assert_eq!(arena.block(0).len(), BLOCK_ROWS * 32);
        assert_eq!(arena.block(4096)[5 * 32], 4101.0);
        arena.remove(3);
        arena.remove(11);
        assert_eq!((arena.insert(&[1.0; 17]), arena.insert(&[2.0; 17])), (11, 3));
        assert_eq!(arena.insert(&[3.0; 17]), 20_000);
        assert_eq!((arena.row(11)[0], arena.row(3)[0]), (1.0, 2.0));
    }
}
