//! Your own `BlockPool` and `MessageHandler`, tested with the exported mocks and held to the exported suites.
//! `cargo test -p quintet-core --example own_pool` runs the tests, `cargo run` with the same features the example.

use quintet_core::{Block, BlockPool, Commit, Message, MessageHandler, Result, SizeClass};
use std::{collections::VecDeque, num::NonZeroUsize};

/// Hands blocks out in the order in which they came back, to spread wear.
struct WearPool(SizeClass, NonZeroUsize, VecDeque<Block>);

#[rustfmt::skip]
impl BlockPool for WearPool {
    fn class(&self) -> SizeClass { self.0 }
    fn acquire(&mut self) -> Option<Block> { self.2.pop_front() }
    fn available(&self) -> usize { self.2.len() }
    fn deficit(&self) -> usize { self.1.get() - self.2.len() }
    fn release(&mut self, block: Block) -> Result<(), Block> {
        if block.address().class != self.0 || self.deficit() == 0 { return Err(block); }
        self.2.push_back(block);
        Ok(())
    }
}

struct Refill;
impl Message for Refill {
    type Reply = usize; // how many blocks are missing
}

/// Answers how many blocks a pool lacks. It holds nothing, so there is nothing to commit.
struct Watcher<P>(P);
impl<P: BlockPool> MessageHandler<Refill> for Watcher<P> {
    fn handle(&mut self, _: Refill) -> Result<usize> {
        Ok(self.0.deficit())
    }
    fn commit(&mut self) -> Result<Commit> {
        Ok(Commit::Done)
    }
}

fn wear_pool(class: SizeClass, capacity_blocks: NonZeroUsize) -> WearPool {
    WearPool(class, capacity_blocks, VecDeque::new())
}

fn main() {
    let pool = wear_pool(SizeClass::SMALLEST, NonZeroUsize::MIN);
    assert_eq!(
        Watcher(pool).handle(Refill).ok(),
        Some(1),
        "an empty pool for one block lacks one"
    );
}

#[cfg(test)]
quintet_core::pool_suite!(wear_pool_keeps_the_contract, wear_pool);

#[test]
fn the_watcher_asks_the_pool_once() {
    let mut pool = quintet_core::mock::MockBlockPool::new();
    pool.expect_deficit().times(1).return_const(7_usize);
    assert_eq!(Watcher(pool).handle(Refill).unwrap(), 7);
}
