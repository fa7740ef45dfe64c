//! Where a shard's points of one collection lie: sealed blocks, and an open one that takes new points.
//!
//! Slots of the open block are used again at once. A sealed block keeps its dead rows until few enough points are left to
//! move them, see [`Arena::sparse`]; one without any point is given back. Used by the shard's own thread alone.

use crate::vector::block::{Block, Row, Shape};
use std::{collections::VecDeque, sync::Arc};

#[derive(Debug)]
pub(crate) struct Arena {
    pub(crate) shape: Shape,
    shard: usize,
    run: u64,
    blocks: Vec<Option<Arc<Block>>>,
    /// How many points each block has.
    counts: Vec<usize>,
    /// The open block, and the number it will have when it is sealed.
    open: Option<(usize, Block)>,
    /// Its rows that can be used again.
    free: Vec<usize>,
    /// Numbers without a block.
    unused: Vec<usize>,
    /// Blocks that were sealed and not yet taken by [`next_sealed`](Self::next_sealed).
    sealed: VecDeque<usize>,
    /// Sealed blocks in which half or more is dead.
    sparse: VecDeque<usize>,
    /// A sealed block was given back; whoever sees to that takes the mark away.
    pub(crate) gave_back: bool,
}

impl Arena {
    pub(crate) fn new(shape: Shape, shard: usize, run: u64) -> Self {
        Self {
            shape,
            shard,
            run,
            blocks: Vec::new(),
            counts: Vec::new(),
            open: None,
            free: Vec::new(),
            unused: Vec::new(),
            sealed: VecDeque::new(),
            sparse: VecDeque::new(),
            gave_back: false,
        }
    }

    /// Stores a point and answers its slot.
    pub(crate) fn insert(&mut self, vector: &[f32], scale: f32, data: Row) -> usize {
        let is_full = |(_, block): &(usize, Block)| block.used_rows() == self.shape.rows();
        if self.free.is_empty() && self.open.as_ref().is_some_and(is_full) {
            self.seal();
        }
        let (number, block) = self.open.get_or_insert_with(|| {
            let number = self.unused.pop().unwrap_or_else(|| {
                self.blocks.push(None);
                self.counts.push(0);
                self.blocks.len() - 1
            });
            (number, Block::new(self.shape, self.shard, self.run))
        });
        let row = self.free.pop().unwrap_or(block.used_rows());
        block.put(row, vector, scale, data);
        self.counts[*number] += 1;
        self.shape.slot(*number, row)
    }

    fn seal(&mut self) {
        if let Some((number, block)) = self.open.take() {
            self.blocks[number] = Some(Arc::new(block));
            self.sealed.push_back(number);
            self.free.clear();
        }
    }

    /// Takes the point in a slot out.
    pub(crate) fn remove(&mut self, slot: usize) {
        let (number, row) = self.shape.place(slot);
        self.counts[number] -= 1;
        if let Some((_, block)) = self.open.as_mut().filter(|(open, _)| *open == number) {
            block.take(row);
            self.free.push(row);
            return;
        }
        let Some(block) = &self.blocks[number] else { return };
        block.kill(row);
        if self.counts[number] == 0 {
            self.give_back(number);
        } else if self.counts[number] == self.shape.rows() / 2 {
            self.sparse.push_back(number);
        }
    }

    fn give_back(&mut self, number: usize) {
        self.blocks[number] = None;
        self.gave_back = true;
        self.unused.push(number);
        self.sealed.retain(|sealed| *sealed != number);
        self.sparse.retain(|sparse| *sparse != number);
    }

    /// A sealed block that is worth emptying: its points are to be inserted again, each then removed from here.
    pub(crate) fn sparse(&self) -> Option<&Arc<Block>> {
        let number = *self.sparse.front()?;
        self.blocks[number].as_ref()
    }

    /// The oldest sealed block that was not asked for yet.
    pub(crate) fn next_sealed(&mut self) -> Option<Arc<Block>> {
        let number = self.sealed.pop_front()?;
        self.blocks[number].clone()
    }

    /// The block and the row of a slot.
    pub(crate) fn place(&self, slot: usize) -> Option<(&Block, usize)> {
        let (number, row) = self.shape.place(slot);
        let open = self.open.as_ref().filter(|(open, _)| *open == number);
        let block = open.map(|(_, block)| block).or(self.blocks[number].as_deref())?;
        Some((block, row))
    }

    /// Every block; the last one may be open.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.sealed().map(|block| &**block).chain(self.open())
    }

    pub(crate) fn sealed(&self) -> impl Iterator<Item = &Arc<Block>> {
        self.blocks.iter().flatten()
    }

    pub(crate) fn open(&self) -> Option<&Block> {
        self.open.as_ref().map(|(_, block)| block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(arena: &mut Arena, n: usize) -> usize {
        let data = Row {
            id: (n as u64).into(),
            payload: None,
            payload_bytes: 0,
        };
        arena.insert(&[n as f32; 17], 1.0, data)
    }

    #[test]
    fn rows_are_aligned_padded_and_used_again() {
        let mut arena = Arena::new(Shape::new(17, 32 << 10), 0, 0);
        let slots: Vec<usize> = (0..1000).map(|n| put(&mut arena, n)).collect();
        assert_eq!(arena.shape.rows(), 256);
        for (n, slot) in slots.iter().enumerate() {
            let (block, row) = arena.place(*slot).unwrap();
            let vector = block.vector(row);
            assert_eq!(vector.as_ptr() as usize % 64, 0);
            assert_eq!(vector[..17], [n as f32; 17]);
            assert_eq!(vector[17..], [0.0; 15]);
            assert_eq!(block.data(row).unwrap().id, (n as u64).into());
        }
        // 1000 = 3 * 256 + 232: the fourth block is open.
        arena.remove(slots[999]);
        arena.remove(slots[900]);
        assert_eq!((put(&mut arena, 1), put(&mut arena, 2)), (slots[900], slots[999]));
        let sealed: Vec<_> = std::iter::from_fn(|| arena.next_sealed()).collect();
        assert_eq!(sealed.len(), 3);
    }

    #[test]
    fn a_sealed_block_is_sparse_when_half_is_dead_and_goes_with_its_last_point() {
        let mut arena = Arena::new(Shape::new(17, 4 << 10), 0, 0);
        let slots: Vec<usize> = (0..40).map(|n| put(&mut arena, n)).collect();
        for slot in &slots[..15] {
            arena.remove(*slot);
        }
        assert!(arena.sparse().is_none());
        let (block, row) = arena.place(slots[3]).unwrap();
        assert!(block.data(row).is_none() && !block.is_live(row));
        arena.remove(slots[15]);
        assert_eq!(arena.sparse().unwrap().live_rows(), 16);
        for slot in &slots[16..32] {
            arena.remove(*slot);
        }
        assert!(arena.sparse().is_none() && arena.place(slots[0]).is_none());
        assert_eq!(arena.blocks().count(), 1);
        assert_eq!(put(&mut arena, 0), slots[39] + 1);
    }
}
