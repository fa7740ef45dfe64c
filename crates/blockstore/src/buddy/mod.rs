//! The buddy allocator: which 4 KiB units of the data file are free, and in which blocks.
//!
//! Pure state, no I/O, one owner (the block handler). A block of class c is 2^c units and begins at a multiple of its
//! size; its *buddy* is the neighbour it was split from. Invariants: free and taken blocks partition the units; no two
//! buddies are both free (they would have been merged); free blocks are never larger than 512 KiB. The lowest suitable
//! block is always handed out first, so that the end of the file empties.
//!
//! Memory: about 4 bits per 4 KiB unit, half for the free lists and half to know each taken block's class, which is what
//! makes a double or foreign [`free`](Buddy::free) an error and not a corruption.

mod bitmap;

use bitmap::Bitmap;
use quintet_core::{BlockAddress, SizeClass};
use std::ops::Range;

/// The size of the smallest block: the unit that capacities are counted in.
pub const UNIT_BYTES: u64 = SizeClass::SMALLEST.size_bytes();

/// Why an address was refused. The allocator is unchanged.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuddyError {
    /// The block ends beyond the capacity.
    #[error("{address} ends beyond the capacity of {capacity_blocks} blocks of 4 KiB")]
    Outside {
        /// The refused address.
        address: BlockAddress,
        /// The current capacity, in 4 KiB units.
        capacity_blocks: u64,
    },
    /// The block to free is not taken: it is free already, or it was handed out as a block of another size.
    #[error("{address} is not taken, so it cannot be freed")]
    NotTaken {
        /// The refused address.
        address: BlockAddress,
    },
    /// The block to occupy overlaps one that is taken.
    #[error("{address} overlaps a block that is taken already")]
    Overlap {
        /// The refused address.
        address: BlockAddress,
    },
}

/// How one class stands: blocks, not bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassUse {
    /// Free blocks of exactly this class; a larger free block counts in its own class only.
    pub free: u64,
    /// Taken blocks.
    pub taken: u64,
}

/// The allocator. See the module for its invariants.
///
/// ```
/// use quintet_blockstore::buddy::Buddy;
/// use quintet_core::SizeClass;
///
/// let mut buddy = Buddy::default();
/// buddy.grow(128); // 512 KiB
/// let block = buddy.allocate(SizeClass::SMALLEST).unwrap();
/// assert_eq!(block.offset_bytes(), 0);
/// assert_eq!(buddy.largest_free(), SizeClass::from_index(6), "split down, the upper halves are free");
/// buddy.free(block).unwrap();
/// assert_eq!(buddy.largest_free(), Some(SizeClass::LARGEST), "merged again");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buddy {
    free: [Bitmap; SizeClass::COUNT],
    taken: [Bitmap; SizeClass::COUNT],
    capacity_blocks: u64,
    free_blocks: u64,
}

impl Buddy {
    /// Raises the capacity to `capacity_blocks` units of 4 KiB; the new units are free. A capacity at or below the
    /// present one changes nothing. Costs time and memory in proportion to what is added.
    pub fn grow(&mut self, capacity_blocks: u64) {
        if capacity_blocks <= self.capacity_blocks {
            return;
        }
        for (class, (free, taken)) in self.free.iter_mut().zip(&mut self.taken).enumerate() {
            free.grow(capacity_blocks >> class);
            taken.grow(capacity_blocks >> class);
        }
        let mut unit = self.capacity_blocks;
        self.capacity_blocks = capacity_blocks;
        while unit < capacity_blocks {
            let aligned = unit.trailing_zeros();
            let fits = (capacity_blocks - unit).ilog2();
            let class = class_of(aligned.min(fits));
            self.release(class, unit >> class.index());
            unit += 1 << class.index();
        }
    }

    /// Where the last taken block ends, in units, rounded up to a multiple of the largest block.
    #[must_use]
    pub fn end_blocks(&self) -> u64 {
        let ends = self.taken.iter().enumerate();
        let end = ends
            .filter_map(|(class, taken)| Some((taken.last()? + 1) << class))
            .max();
        end.unwrap_or(0).next_multiple_of(1 << (SizeClass::COUNT - 1))
    }

    /// Lowers the capacity to [`end_blocks`](Self::end_blocks), if that is lower. Costs time in proportion to the free blocks
    /// that go.
    pub fn shrink(&mut self) {
        let end = self.end_blocks();
        if end >= self.capacity_blocks {
            return;
        }
        for (class, (free, taken)) in self.free.iter_mut().zip(&mut self.taken).enumerate() {
            let before = free.members();
            free.shrink(end >> class);
            taken.shrink(end >> class);
            self.free_blocks -= (before - free.members()) << class;
        }
        self.capacity_blocks = end;
    }

    /// The free runs among the next `look` blocks, of any size, from unit `from` on, in units, and where to go on; `None` = that
    /// was the end. A start inside a block counts as the next one's.
    #[must_use]
    pub fn free_runs(&self, from: u64, look: usize) -> (Vec<Range<u64>>, Option<u64>) {
        let (mut runs, mut unit): (Vec<Range<u64>>, u64) = (Vec::new(), from);
        for _ in 0..look {
            if unit >= self.capacity_blocks {
                return (runs, None);
            }
            let begins = |class: &usize| unit.trailing_zeros() as usize >= *class || unit == 0;
            let is_in = |sets: &[Bitmap; SizeClass::COUNT], class: usize| sets[class].contains(unit >> class);
            let classes = (0..SizeClass::COUNT).filter(begins);
            let found = classes
                .map(|class| (class, is_in(&self.free, class), is_in(&self.taken, class)))
                .find(|(_, free, taken)| *free || *taken);
            let (class, is_free, _) = found.unwrap_or((0, false, false));
            let end = unit + (1 << class);
            match runs.last_mut() {
                Some(run) if is_free && run.end == unit => run.end = end,
                _ if is_free => runs.push(unit..end),
                _ => {}
            }
            unit = end;
        }
        (runs, (unit < self.capacity_blocks).then_some(unit))
    }

    /// Takes the lowest free block of the class, splitting a larger one if there is none. `None` = no free block is
    /// large enough. Constant time up to the 64-ary search for the lowest block.
    pub fn allocate(&mut self, class: SizeClass) -> Option<BlockAddress> {
        let (from, number) = SizeClass::ALL[usize::from(class.index())..]
            .iter()
            .find_map(|&from| Some((from, self.free_list(from).first()?)))?;
        self.split(from, number, class, number << (from.index() - class.index()));
        Some(BlockAddress {
            class,
            number: number << (from.index() - class.index()),
        })
    }

    /// Gives a taken block back and merges it with its buddies as far as they are free.
    ///
    /// # Errors
    /// [`BuddyError::Outside`] or [`BuddyError::NotTaken`]: a double free, or an address that was never handed out.
    pub fn free(&mut self, address: BlockAddress) -> Result<(), BuddyError> {
        self.check_inside(address)?;
        let BlockAddress { class, number } = address;
        if !self.taken[usize::from(class.index())].remove(number) {
            return Err(BuddyError::NotTaken { address });
        }
        self.release(class, number);
        Ok(())
    }

    /// Marks one given block as taken: how the state is rebuilt from records when a store opens.
    ///
    /// # Errors
    /// [`BuddyError::Outside`], or [`BuddyError::Overlap`] when any byte of it is taken.
    pub fn occupy(&mut self, address: BlockAddress) -> Result<(), BuddyError> {
        self.check_inside(address)?;
        let BlockAddress { class, number } = address;
        let from = SizeClass::ALL[usize::from(class.index())..]
            .iter()
            .copied()
            .find(|from| {
                self.free_list(*from)
                    .contains(number >> (from.index() - class.index()))
            })
            .ok_or(BuddyError::Overlap { address })?;
        self.split(from, number >> (from.index() - class.index()), class, number);
        Ok(())
    }

    /// Whether exactly this block is taken, as a block of this class.
    #[must_use]
    pub fn is_taken(&self, address: BlockAddress) -> bool {
        self.taken[usize::from(address.class.index())].contains(address.number)
    }

    /// All units, free and taken.
    #[must_use]
    pub const fn capacity_blocks(&self) -> u64 {
        self.capacity_blocks
    }

    /// Free units of 4 KiB, in blocks of any class.
    #[must_use]
    pub const fn free_blocks(&self) -> u64 {
        self.free_blocks
    }

    /// The class of the largest free block; `None` when nothing is free.
    #[must_use]
    pub fn largest_free(&self) -> Option<SizeClass> {
        SizeClass::ALL
            .into_iter()
            .rev()
            .find(|class| self.free_list(*class).members() > 0)
    }

    /// Free and taken blocks of each class, smallest class first.
    #[must_use]
    pub fn classes(&self) -> [ClassUse; SizeClass::COUNT] {
        std::array::from_fn(|class| ClassUse {
            free: self.free[class].members(),
            taken: self.taken[class].members(),
        })
    }

    fn free_list(&self, class: SizeClass) -> &Bitmap {
        &self.free[usize::from(class.index())]
    }

    fn check_inside(&self, address: BlockAddress) -> Result<(), BuddyError> {
        if address.number < self.capacity_blocks >> address.class.index() {
            return Ok(());
        }
        Err(BuddyError::Outside {
            address,
            capacity_blocks: self.capacity_blocks,
        })
    }

    /// Takes the block `number` of class `to` out of the free block `from_number` of class `from`, which holds it; the
    /// halves beside the way down become free.
    fn split(&mut self, from: SizeClass, from_number: u64, to: SizeClass, number: u64) {
        self.free[usize::from(from.index())].remove(from_number);
        for class in to.index()..from.index() {
            let sibling = (number >> (class - to.index())) ^ 1;
            self.free[usize::from(class)].insert(sibling);
        }
        self.taken[usize::from(to.index())].insert(number);
        self.free_blocks -= 1 << to.index();
    }

    /// Adds a free block and merges upwards while the buddy is free too.
    fn release(&mut self, class: SizeClass, mut number: u64) {
        self.free_blocks += 1 << class.index();
        let mut class = usize::from(class.index());
        while class < SizeClass::COUNT - 1 && self.free[class].remove(number ^ 1) {
            number >>= 1;
            class += 1;
        }
        self.free[class].insert(number);
    }
}

/// The class of blocks of 2^order units, at most the largest.
fn class_of(order: u32) -> SizeClass {
    SizeClass::ALL[(order as usize).min(SizeClass::COUNT - 1)]
}
