//! Where a shard's points of one collection lie: sealed blocks, and an open one that takes new points.
//!
//! Slots of the open block are used again at once. A sealed block keeps its dead rows until few enough points are left to
//! move them, see [`Arena::sparse`]; one without any point is given back. Used by the shard's own thread alone.

use crate::vector::{
    block::{Block, Row, Shape},
    meter::Meter,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

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
    /// Sealed blocks in memory, oldest first.
    hot: VecDeque<usize>,
    /// Blocks that were given back while somebody, such as the graph, still had them in memory.
    ghosts: VecDeque<Weak<Block>>,
    meter: Meter,
    /// A sealed block was given back; whoever sees to that takes the mark away.
    pub(crate) gave_back: bool,
}

impl Arena {
    /// `meter` counts the memory of its blocks. `ghosts`: what an earlier run left, see [`left`](Self::left).
    pub(crate) fn new(
        shape: Shape,
        shard: usize,
        run: u64,
        meter: Meter,
        ghosts: VecDeque<Weak<Block>>,
    ) -> Self {
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
            hot: VecDeque::new(),
            ghosts,
            meter,
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
            let number = number_for(&mut self.unused, &mut self.blocks, &mut self.counts);
            (number, Block::new(self.shape, self.shard, self.run, &self.meter))
        });
        let row = self.free.pop().unwrap_or(block.used_rows());
        block.put(row, vector, scale, data);
        self.counts[*number] += 1;
        self.shape.slot(*number, row)
    }

    fn seal(&mut self) {
        if let Some((number, block)) = self.open.take() {
            self.blocks[number] = Some(Arc::new(block.seal()));
            self.sealed.push_back(number);
            self.hot.push_back(number);
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

    /// Takes in a sealed block of this shape that lies in a file, and answers the slot of its first row.
    pub(crate) fn adopt(&mut self, block: Block) -> usize {
        let number = number_for(&mut self.unused, &mut self.blocks, &mut self.counts);
        self.counts[number] = block.live_rows();
        if self.counts[number] <= self.shape.rows() / 2 {
            self.sparse.push_back(number);
        }
        self.blocks[number] = Some(Arc::new(block));
        self.sealed.push_back(number);
        self.shape.slot(number, 0)
    }

    /// The block that has been in memory longest. One that has no point left comes first: `false` then.
    pub(crate) fn coolest(&mut self) -> Option<(Arc<Block>, bool)> {
        while let Some(ghost) = self.ghosts.front() {
            if let Some(block) = ghost.upgrade() {
                return Some((block, false));
            }
            self.ghosts.pop_front();
        }
        let number = *self.hot.front()?;
        Some((self.blocks[number].clone()?, true))
    }

    /// What [`coolest`](Self::coolest) answered is not in memory any more.
    pub(crate) fn cooled(&mut self) {
        if self.ghosts.pop_front().is_none() {
            self.hot.pop_front();
        }
    }

    /// The blocks in memory that somebody else has, too.
    pub(crate) fn left(&mut self) -> VecDeque<Weak<Block>> {
        let mut left = std::mem::take(&mut self.ghosts);
        let hot = self.hot.iter().filter_map(|number| self.blocks[*number].as_ref());
        left.extend(
            hot.filter(|block| Arc::strong_count(block) > 1)
                .map(Arc::downgrade),
        );
        left
    }

    fn give_back(&mut self, number: usize) {
        if let Some(block) = self.blocks[number].take()
            && block.file().is_none()
            && Arc::strong_count(&block) > 1
        {
            self.ghosts.push_back(Arc::downgrade(&block));
        }
        self.ghosts.retain(|ghost| ghost.strong_count() > 0);
        self.hot.retain(|hot| *hot != number);
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

/// A number for one more block.
fn number_for(
    unused: &mut Vec<usize>,
    blocks: &mut Vec<Option<Arc<Block>>>,
    counts: &mut Vec<usize>,
) -> usize {
    unused.pop().unwrap_or_else(|| {
        blocks.push(None);
        counts.push(0);
        blocks.len() - 1
    })
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
        let mut arena = Arena::new(Shape::new(17, 32 << 10), 0, 0, Meter::default(), VecDeque::new());
        let slots: Vec<usize> = (0..1000).map(|n| put(&mut arena, n)).collect();
        assert_eq!(arena.shape.rows(), 256);
        for (n, slot) in slots.iter().enumerate() {
            let (block, row) = arena.place(*slot).unwrap();
            let vector = block.vector(row);
            assert_eq!(vector.as_ptr() as usize % 64, 0);
            assert_eq!(vector[..17], [n as f32; 17]);
            assert_eq!(vector[17..], [0.0; 15]);
            assert_eq!(block.row(row).unwrap().id, (n as u64).into());
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
        let mut arena = Arena::new(Shape::new(17, 4 << 10), 0, 0, Meter::default(), VecDeque::new());
        let slots: Vec<usize> = (0..40).map(|n| put(&mut arena, n)).collect();
        for slot in &slots[..15] {
            arena.remove(*slot);
        }
        assert!(arena.sparse().is_none());
        let (block, row) = arena.place(slots[3]).unwrap();
        assert!(block.row(row).is_none() && !block.is_live(row));
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
