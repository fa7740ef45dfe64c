//! Pools with one fault each, over the fake one.

use super::{covers_every_clause, fails_exactly};
use quintet_core::{Block, BlockAddress, BlockPool, SizeClass, conformance::pool::clauses, fake::FakePool};
use std::num::NonZeroUsize;

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    InventsABlock,
    HandsOutTwice,
    TakesAnyClass,
    KeepsAndRefuses,
    LosesNow,
    AsksForTooFew,
}

struct BrokenPool {
    inner: FakePool,
    capacity: usize,
    fault: Fault,
    moves: usize,
}

impl BlockPool for BrokenPool {
    fn class(&self) -> SizeClass {
        self.inner.class()
    }
    fn acquire(&mut self) -> Option<Block> {
        self.moves += 1;
        let block = self.inner.acquire();
        match (self.fault, block) {
            (Fault::InventsABlock, None) => Some(Block::granted(BlockAddress {
                class: self.class(),
                number: 1 << 40,
            })),
            (Fault::HandsOutTwice, Some(block))
                if self.moves == self.capacity + 1 && self.inner.available() == self.capacity - 1 =>
            {
                let _same = self.inner.release(Block::granted(block.address()));
                Some(block)
            }
            (_, block) => block,
        }
    }
    fn release(&mut self, block: Block) -> Result<(), Block> {
        self.moves += 1;
        let foreign = block.address().class != self.class();
        if self.fault == Fault::TakesAnyClass && foreign {
            let _kept = block.into_address();
            return Ok(());
        }
        let full = self.inner.available() == self.capacity;
        if self.fault == Fault::KeepsAndRefuses && full && block.address().number == 77 {
            let _first = self.inner.acquire();
            let _kept = self.inner.release(Block::granted(block.address()));
            return Err(block);
        }
        if self.fault == Fault::LosesNow && self.moves == 60 {
            let _lost = block.into_address();
            return Ok(());
        }
        self.inner.release(block)
    }
    fn available(&self) -> usize {
        self.inner.available()
    }
    fn deficit(&self) -> usize {
        let half = usize::from(self.fault == Fault::AsksForTooFew && self.inner.available() > 2);
        self.inner.deficit() * (1 - half)
    }
}

fn broken(fault: Fault) -> impl Fn(SizeClass, NonZeroUsize) -> BrokenPool + Clone + 'static {
    move |class, capacity| BrokenPool {
        inner: FakePool::new(class, capacity),
        capacity: capacity.get(),
        fault,
        moves: 0,
    }
}

const CASES: &[(Fault, &str, &[&str])] = &[
    (
        Fault::InventsABlock,
        "invents a block",
        &[
            "empty_gives_none",
            "never_hands_a_block_out_twice",
            "keeps_every_block",
        ],
    ),
    (
        Fault::HandsOutTwice,
        "hands a block out twice",
        &["never_hands_a_block_out_twice", "keeps_every_block"],
    ),
    (Fault::TakesAnyClass, "takes any class", &["respects_its_class"]),
    (
        Fault::KeepsAndRefuses,
        "keeps what it refuses",
        &["refuses_what_does_not_fit"],
    ),
    (Fault::LosesNow, "loses a block", &["keeps_every_block"]),
    (
        Fault::AsksForTooFew,
        "asks for too few",
        &["deficit_leads_to_the_target"],
    ),
];

#[test]
fn each_fault_is_caught_by_its_clause() {
    for (fault, what, expected) in CASES {
        fails_exactly("pool", what, clauses(broken(*fault)), expected);
    }
    let cases: Vec<_> = CASES.iter().map(|(_, _, expected)| *expected).collect();
    covers_every_clause(clauses(FakePool::new), &cases);
}
