//! Blocks: eight sizes, an address that is plain data, and a token that is the right to write.

use std::fmt;

/// One of the eight block sizes, 4 KiB to 512 KiB, each twice the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SizeClass(u8);

impl SizeClass {
    /// How many classes there are.
    pub const COUNT: usize = 8;
    /// 4 KiB.
    pub const SMALLEST: Self = Self(0);
    /// 512 KiB.
    pub const LARGEST: Self = Self(Self::COUNT as u8 - 1);
    /// Every class, smallest first.
    pub const ALL: [Self; Self::COUNT] = [
        Self(0),
        Self(1),
        Self(2),
        Self(3),
        Self(4),
        Self(5),
        Self(6),
        Self(7),
    ];

    /// The class with this number, 0 to 7; `None` for any other.
    #[must_use]
    pub const fn from_index(index: u8) -> Option<Self> {
        if index < Self::COUNT as u8 {
            Some(Self(index))
        } else {
            None
        }
    }

    /// The smallest class that holds `len_bytes`; `None` for an empty body or one over 512 KiB.
    ///
    /// ```
    /// use quintet_core::SizeClass;
    /// assert_eq!(SizeClass::for_len(4096), Some(SizeClass::SMALLEST));
    /// assert_eq!(SizeClass::for_len(4097).unwrap().size_bytes(), 8192);
    /// assert_eq!(SizeClass::for_len(524_289), None);
    /// ```
    #[must_use]
    pub fn for_len(len_bytes: u64) -> Option<Self> {
        if len_bytes == 0 {
            return None;
        }
        Self::ALL
            .into_iter()
            .find(|class| len_bytes <= class.size_bytes())
    }

    /// 0 for the smallest to 7 for the largest.
    #[must_use]
    pub const fn index(self) -> u8 {
        self.0
    }

    /// The size of a block of this class.
    #[must_use]
    pub const fn size_bytes(self) -> u64 {
        4096 << self.0
    }
}

impl fmt::Display for SizeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB", self.size_bytes() / 1024)
    }
}

/// Where a block lies: plain data, safe to copy, store and send. Holding one is no right to write there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockAddress {
    /// The block's size.
    pub class: SizeClass,
    /// Its number among the blocks of that size: the block begins at `number × size` bytes.
    pub number: u64,
}

impl BlockAddress {
    /// The offset of the block's first byte in the data file.
    #[must_use]
    pub const fn offset_bytes(self) -> u64 {
        self.number * self.class.size_bytes()
    }
}

impl fmt::Display for BlockAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} of {}", self.number, self.class)
    }
}

/// The right to write one block's bytes. Neither `Clone` nor `Copy`: there is one holder at a time.
#[must_use = "a dropped block is lost until the store reopens: release it to its pool or send its address back"]
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    address: BlockAddress,
}

impl Block {
    /// Turns a granted address into the right to write there. For allocators, and for pools on the addresses that a
    /// controller granted them; called on anything else it forges the right.
    pub const fn granted(address: BlockAddress) -> Self {
        Self { address }
    }

    /// Where the block lies.
    #[must_use]
    pub const fn address(&self) -> BlockAddress {
        self.address
    }

    /// Gives up the right to write, for example because the block has a name now, or because it is sent back.
    #[must_use]
    pub const fn into_address(self) -> BlockAddress {
        self.address
    }
}
