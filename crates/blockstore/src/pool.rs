//! A worker's cache of granted blocks of one size: a stack, so that the block written last is reused first.

use quintet_core::{Block, BlockPool, SizeClass};

/// A [`BlockPool`] that asks for a refill up to `target` and never holds more than `cap` blocks.
///
/// ```
/// use quintet_blockstore::StackPool;
/// use quintet_core::{Block, BlockAddress, BlockPool, SizeClass};
///
/// let mut pool = StackPool::new(SizeClass::SMALLEST, 2, 4);
/// assert_eq!((pool.deficit(), pool.acquire()), (2, None));
/// let block = Block::granted(BlockAddress { class: SizeClass::SMALLEST, number: 7 });
/// pool.release(block).unwrap();
/// assert_eq!((pool.deficit(), pool.available()), (1, 1));
/// ```
#[derive(Debug)]
pub struct StackPool {
    class: SizeClass,
    target: usize,
    cap: usize,
    blocks: Vec<Block>,
}

impl StackPool {
    /// An empty pool for blocks of `class`. A `target` above `cap` asks for `cap`.
    #[must_use]
    pub fn new(class: SizeClass, target: usize, cap: usize) -> Self {
        Self {
            class,
            target: target.min(cap),
            cap,
            blocks: Vec::with_capacity(cap),
        }
    }
}

impl BlockPool for StackPool {
    fn class(&self) -> SizeClass {
        self.class
    }

    fn acquire(&mut self) -> Option<Block> {
        self.blocks.pop()
    }

    fn release(&mut self, block: Block) -> Result<(), Block> {
        if block.address().class != self.class || self.blocks.len() >= self.cap {
            return Err(block);
        }
        self.blocks.push(block);
        Ok(())
    }

    fn available(&self) -> usize {
        self.blocks.len()
    }

    fn deficit(&self) -> usize {
        self.target.saturating_sub(self.blocks.len())
    }
}
