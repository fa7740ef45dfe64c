//! The clauses of [`BlockPool`]. The factory makes an empty pool of one class that holds at most so many blocks.
//!
//! The suite fills the pool itself, through [`BlockPool::release`]: that is how granted blocks come in, too.

use super::{
    claim::{Claim, Clause},
    random::Random,
};
use crate::{Block, BlockAddress, BlockPool, SizeClass};
use std::{collections::HashSet, num::NonZeroUsize};

/// Calls a macro with the names of all clauses of this suite.
#[doc(hidden)]
#[macro_export]
macro_rules! pool_clauses {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            empty_gives_none never_hands_a_block_out_twice respects_its_class refuses_what_does_not_fit
            keeps_every_block deficit_leads_to_the_target
        }
    };
}

/// One `#[test]` per clause of [`BlockPool`](crate::BlockPool): `pool_suite!(name_of_module, factory)`, where the factory
/// is called with the class and the capacity in blocks, and makes an empty pool.
#[macro_export]
macro_rules! pool_suite {
    ($name:ident, $make:expr) => {
        $crate::pool_clauses! { clause_tests_of_factory (pool, $name, $make) }
    };
}

/// All clauses, for a runner of one's own.
#[must_use]
pub fn clauses<P: BlockPool + 'static>(
    make: impl Fn(SizeClass, NonZeroUsize) -> P + Clone + 'static,
) -> Vec<Clause> {
    pool_clauses! { clause_list_of_factory (pool, make) }
}

const CAPACITY: NonZeroUsize = NonZeroUsize::new(6).expect("a positive constant");
const CLASS: SizeClass = SizeClass::SMALLEST;

const fn address(number: u64) -> BlockAddress {
    BlockAddress { class: CLASS, number }
}

fn filled<P: BlockPool>(claim: Claim, make: impl Fn(SizeClass, NonZeroUsize) -> P, blocks: u64) -> P {
    let mut pool = make(CLASS, CAPACITY);
    for number in 0..blocks {
        claim.ok(
            "release of a granted block",
            pool.release(Block::granted(address(number))),
        );
    }
    pool
}

/// A pool without blocks answers `None`, at first and when it has been emptied.
pub fn empty_gives_none<P: BlockPool>(make: impl Fn(SizeClass, NonZeroUsize) -> P) {
    let claim = Claim("pool::empty_gives_none");
    let mut pool = make(CLASS, CAPACITY);
    claim.same("available in a new pool", 0, pool.available());
    claim.same("acquire from a new pool", None, pool.acquire());
    claim.ok("release", pool.release(Block::granted(address(1))));
    claim.same("acquire", Some(Block::granted(address(1))), pool.acquire());
    claim.same("acquire from an emptied pool", None, pool.acquire());
}

/// Blocks that are out are distinct, and none comes that was not put in.
pub fn never_hands_a_block_out_twice<P: BlockPool>(make: impl Fn(SizeClass, NonZeroUsize) -> P) {
    let claim = Claim("pool::never_hands_a_block_out_twice");
    let mut pool = filled(claim, make, CAPACITY.get() as u64);
    let mut out: Vec<Block> = Vec::new();
    for _ in 0..CAPACITY.get() {
        let Some(block) = pool.acquire() else {
            claim.fail(format_args!(
                "{} blocks went in, {} came out",
                CAPACITY,
                out.len()
            ));
        };
        claim.holds(
            !out.contains(&block),
            format_args!("{} was handed out twice", block.address()),
        );
        claim.holds(
            block.address().number < CAPACITY.get() as u64,
            format_args!("{} was never put in", block.address()),
        );
        out.push(block);
    }
    claim.same("acquire when all are out", None, pool.acquire());
}

/// The pool's class is the one it was made with; a block of another is handed back.
pub fn respects_its_class<P: BlockPool>(make: impl Fn(SizeClass, NonZeroUsize) -> P) {
    let claim = Claim("pool::respects_its_class");
    for class in SizeClass::ALL {
        let mut pool = make(class, CAPACITY);
        claim.same("class", class, pool.class());
        for other in SizeClass::ALL.into_iter().filter(|other| *other != class) {
            let foreign = BlockAddress {
                class: other,
                number: 3,
            };
            let refused = pool.release(Block::granted(foreign));
            claim.same("release of another class", Err(Block::granted(foreign)), refused);
        }
        claim.same("available after refusals", 0, pool.available());
    }
}

/// A full pool hands the block back and keeps what it has.
pub fn refuses_what_does_not_fit<P: BlockPool>(make: impl Fn(SizeClass, NonZeroUsize) -> P) {
    let claim = Claim("pool::refuses_what_does_not_fit");
    let mut pool = filled(claim, make, CAPACITY.get() as u64);
    let late = Block::granted(address(77));
    claim.same(
        "release into a full pool",
        Err(Block::granted(address(77))),
        pool.release(late),
    );
    claim.same("available", CAPACITY.get(), pool.available());
    let Some(block) = pool.acquire() else {
        claim.fail(format_args!("a full pool gave nothing"));
    };
    claim.holds(
        block.address().number != 77,
        format_args!("the refused block was kept as well"),
    );
    claim.same("release of what came out", Ok(()), pool.release(block));
}

/// Available and outstanding blocks always add up to those put in, over random operations.
pub fn keeps_every_block<P: BlockPool>(make: impl Fn(SizeClass, NonZeroUsize) -> P) {
    let claim = Claim("pool::keeps_every_block");
    for seed in 0..32 {
        let mut random = Random::new(seed);
        let mut pool = make(CLASS, CAPACITY);
        let mut outside: Vec<Block> = (0..10).map(|number| Block::granted(address(number))).collect();
        for step in 0..200 {
            let (inside, at) = (pool.available(), random.below(outside.len()));
            claim.same("blocks in all", 10, inside + outside.len());
            if random.one_in(2) && !outside.is_empty() {
                let fits = inside < CAPACITY.get();
                match pool.release(outside.swap_remove(at)) {
                    Ok(()) => claim.holds(
                        fits,
                        format_args!("seed {seed} step {step}: a full pool took a block"),
                    ),
                    Err(back) => {
                        claim.holds(
                            !fits,
                            format_args!("seed {seed} step {step}: refused with {inside} inside"),
                        );
                        outside.push(back);
                    }
                }
            } else {
                let block = pool.acquire();
                claim.same("whether a block came out", inside > 0, block.is_some());
                outside.extend(block);
            }
            let distinct: HashSet<_> = outside.iter().map(Block::address).collect();
            claim.holds(
                distinct.len() == outside.len(),
                format_args!("seed {seed} step {step}: a block is out twice"),
            );
        }
    }
}

/// A pool that is empty asks for blocks, the number fits, and after so many it asks for none.
pub fn deficit_leads_to_the_target<P: BlockPool>(make: impl Fn(SizeClass, NonZeroUsize) -> P) {
    let claim = Claim("pool::deficit_leads_to_the_target");
    let mut pool = make(CLASS, CAPACITY);
    let wanted = pool.deficit();
    claim.holds(
        (1..=CAPACITY.get()).contains(&wanted),
        format_args!("an empty pool that holds {CAPACITY} blocks asks for {wanted}"),
    );
    for number in 0..wanted {
        claim.same("deficit on the way", wanted - number, pool.deficit());
        claim.ok(
            "release of a granted block",
            pool.release(Block::granted(address(number as u64))),
        );
    }
    claim.same("deficit at the target", 0, pool.deficit());
}
