//! The allocator against a naive oracle: one owner per 4 KiB unit.

use proptest::prelude::*;
use quintet_blockstore::buddy::{Buddy, BuddyError};
use quintet_core::{BlockAddress, SizeClass};

/// Every unit knows the block that owns it; `None` = free.
#[derive(Default)]
struct Oracle {
    units: Vec<Option<BlockAddress>>,
}

fn units(address: BlockAddress) -> std::ops::Range<usize> {
    let size = 1_usize << address.class.index();
    let first = address.number as usize * size;
    first..first + size
}

impl Oracle {
    fn is_free(&self, address: BlockAddress) -> bool {
        self.units
            .get(units(address))
            .is_some_and(|units| units.iter().all(Option::is_none))
    }

    fn set(&mut self, address: BlockAddress, owner: Option<BlockAddress>) {
        self.units[units(address)].fill(owner);
    }

    fn owns(&self, address: BlockAddress) -> bool {
        self.units
            .get(units(address))
            .is_some_and(|units| units.iter().all(|unit| *unit == Some(address)))
    }

    fn free_units(&self) -> u64 {
        self.units.iter().filter(|unit| unit.is_none()).count() as u64
    }

    /// The largest class of which an aligned block is wholly free: with full merging, the allocator has it in one piece.
    fn largest_free(&self) -> Option<SizeClass> {
        SizeClass::ALL.into_iter().rev().find(|class| {
            let blocks = self.units.len() >> class.index();
            (0..blocks as u64).any(|number| {
                self.is_free(BlockAddress {
                    class: *class,
                    number,
                })
            })
        })
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Grow(u64),
    Allocate(SizeClass),
    FreeHeld(prop::sample::Index),
    Free(BlockAddress),
    Occupy(BlockAddress),
}

fn class() -> impl Strategy<Value = SizeClass> {
    (0..SizeClass::COUNT).prop_map(|index| SizeClass::ALL[index])
}

fn address() -> impl Strategy<Value = BlockAddress> {
    (class(), 0_u64..700).prop_map(|(class, unit)| BlockAddress {
        class,
        number: unit >> class.index(),
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        1 => (0_u64..700).prop_map(Operation::Grow),
        6 => class().prop_map(Operation::Allocate),
        4 => any::<prop::sample::Index>().prop_map(Operation::FreeHeld),
        2 => address().prop_map(Operation::Free),
        2 => address().prop_map(Operation::Occupy),
    ]
}

fn check(buddy: &Buddy, oracle: &Oracle, held: &[BlockAddress]) -> Result<(), TestCaseError> {
    prop_assert_eq!(buddy.capacity_blocks(), oracle.units.len() as u64);
    prop_assert_eq!(buddy.free_blocks(), oracle.free_units());
    prop_assert_eq!(buddy.largest_free(), oracle.largest_free());
    let classes = buddy.classes();
    let taken: u64 = classes
        .iter()
        .enumerate()
        .map(|(class, used)| used.taken << class)
        .sum();
    let free: u64 = classes
        .iter()
        .enumerate()
        .map(|(class, used)| used.free << class)
        .sum();
    prop_assert_eq!(free, buddy.free_blocks());
    prop_assert_eq!(taken + free, buddy.capacity_blocks(), "free + taken is constant");
    prop_assert!(held.iter().all(|address| buddy.is_taken(*address)));
    Ok(())
}

proptest! {
    #[test]
    fn agrees_with_one_owner_per_unit(operations in prop::collection::vec(operation(), 1..200)) {
        let (mut buddy, mut oracle, mut held) = (Buddy::default(), Oracle::default(), Vec::new());
        for operation in operations {
            match operation {
                Operation::Grow(capacity) => {
                    buddy.grow(capacity);
                    let len = oracle.units.len().max(capacity as usize);
                    oracle.units.resize(len, None);
                }
                Operation::Allocate(class) => {
                    let possible = oracle.largest_free().is_some_and(|largest| largest >= class);
                    let got = buddy.allocate(class);
                    prop_assert_eq!(got.is_some(), possible);
                    if let Some(address) = got {
                        prop_assert_eq!(address.class, class);
                        prop_assert!(oracle.is_free(address), "{} overlaps", address);
                        oracle.set(address, Some(address));
                        held.push(address);
                    }
                }
                Operation::FreeHeld(index) => if !held.is_empty() {
                    let address = held.swap_remove(index.index(held.len()));
                    prop_assert_eq!(buddy.free(address), Ok(()));
                    oracle.set(address, None);
                }
                Operation::Free(address) => {
                    let before = buddy.clone();
                    let got = buddy.free(address);
                    prop_assert_eq!(got.is_ok(), oracle.owns(address), "{}: {:?}", address, got);
                    if got.is_ok() {
                        oracle.set(address, None);
                        held.retain(|other| *other != address);
                    } else {
                        prop_assert_eq!(&buddy, &before, "a refused free changes nothing");
                    }
                }
                Operation::Occupy(address) => {
                    let before = buddy.clone();
                    let got = buddy.occupy(address);
                    prop_assert_eq!(got.is_ok(), oracle.is_free(address), "{}: {:?}", address, got);
                    if got.is_ok() {
                        oracle.set(address, Some(address));
                        held.push(address);
                    } else {
                        prop_assert_eq!(&buddy, &before, "a refused occupy changes nothing");
                    }
                }
            }
            check(&buddy, &oracle, &held)?;
        }
        for address in held.drain(..) {
            prop_assert_eq!(buddy.free(address), Ok(()));
        }
        let mut fresh = Buddy::default();
        fresh.grow(buddy.capacity_blocks());
        prop_assert_eq!(buddy.classes(), fresh.classes(), "with everything freed all is merged");
    }
}

#[test]
fn a_double_free_and_a_foreign_address_are_refused() {
    let mut buddy = Buddy::default();
    buddy.grow(128);
    let pair = buddy.allocate(SizeClass::ALL[1]).unwrap();
    let half = BlockAddress {
        class: SizeClass::SMALLEST,
        number: pair.number * 2,
    };
    assert_eq!(
        buddy.free(half),
        Err(BuddyError::NotTaken { address: half }),
        "half of a taken block"
    );
    assert_eq!(buddy.free(pair), Ok(()));
    assert_eq!(
        buddy.free(pair),
        Err(BuddyError::NotTaken { address: pair }),
        "twice"
    );
    let outside = BlockAddress {
        class: SizeClass::LARGEST,
        number: 1,
    };
    assert_eq!(
        buddy.free(outside),
        Err(BuddyError::Outside {
            address: outside,
            capacity_blocks: 128
        })
    );
    let absurd = BlockAddress {
        class: SizeClass::LARGEST,
        number: u64::MAX,
    };
    assert_eq!(
        buddy.occupy(absurd),
        Err(BuddyError::Outside {
            address: absurd,
            capacity_blocks: 128
        })
    );
}

#[test]
fn the_lowest_block_goes_first_so_that_the_tail_empties() {
    let mut buddy = Buddy::default();
    buddy.grow(4 * 128);
    let blocks: Vec<_> = (0..4)
        .map(|_| buddy.allocate(SizeClass::LARGEST).unwrap())
        .collect();
    assert_eq!(buddy.allocate(SizeClass::SMALLEST), None);
    buddy.free(blocks[3]).unwrap();
    buddy.free(blocks[1]).unwrap();
    assert_eq!(buddy.allocate(SizeClass::LARGEST), Some(blocks[1]));
}
