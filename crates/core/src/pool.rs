//! A worker's cache of blocks that were granted ahead of need, so that allocation is off the path of a request.

use crate::{Block, SizeClass};

/// Free blocks of one size class, owned by one worker.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait BlockPool {
    /// The class of every block in here.
    fn class(&self) -> SizeClass;

    /// Takes a block. `None` = ask the controller for more; this never blocks.
    fn acquire(&mut self) -> Option<Block>;

    /// Puts a block (back) in.
    ///
    /// # Errors
    /// A block of another class, or one that does not fit, is handed back: a block is never lost.
    fn release(&mut self, block: Block) -> Result<(), Block>;

    /// How many blocks can be acquired now.
    fn available(&self) -> usize;

    /// How many to ask for to reach the target; 0 = no refill needed.
    fn deficit(&self) -> usize;
}
