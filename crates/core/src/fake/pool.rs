//! [`FakePool`]: a stack of blocks with a capacity and a target.

use crate::{Block, BlockPool, SizeClass};
use std::num::NonZeroUsize;

/// An in-memory [`BlockPool`]. Fill it with [`release`](BlockPool::release), as a worker does with granted blocks.
#[derive(Debug)]
pub struct FakePool {
    class: SizeClass,
    capacity_blocks: usize,
    target_blocks: usize,
    free: Vec<Block>,
}

impl FakePool {
    /// An empty pool whose target is its capacity. Allocates once, here.
    #[must_use]
    pub fn new(class: SizeClass, capacity_blocks: NonZeroUsize) -> Self {
        Self {
            class,
            capacity_blocks: capacity_blocks.get(),
            target_blocks: capacity_blocks.get(),
            free: Vec::with_capacity(capacity_blocks.get()),
        }
    }

    /// Sets how many blocks the pool asks for; more than its capacity is its capacity.
    #[must_use]
    pub fn with_target(mut self, target_blocks: usize) -> Self {
        self.target_blocks = target_blocks.min(self.capacity_blocks);
        self
    }
}

impl BlockPool for FakePool {
    fn class(&self) -> SizeClass {
        self.class
    }

    fn acquire(&mut self) -> Option<Block> {
        self.free.pop()
    }

    fn release(&mut self, block: Block) -> Result<(), Block> {
        if block.address().class != self.class || self.free.len() == self.capacity_blocks {
            return Err(block);
        }
        self.free.push(block);
        Ok(())
    }

    fn available(&self) -> usize {
        self.free.len()
    }

    fn deficit(&self) -> usize {
        self.target_blocks.saturating_sub(self.free.len())
    }
}
