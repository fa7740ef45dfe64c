//! [`Stamp`]: which write of a variable one has seen; [`Word`]: a stamp and the lock that guards it, in one `u64`.
//!
//! A stamp is a version (43 bits: the domain's clock at the commit, plus one) and a sub-version (10 bits) that tells
//! apart several writes of one variable between two ticks of the clock. A variable's stamps only grow, so equal stamps
//! mean an unchanged variable. All 53 bits fit a JSON number.

use std::fmt;

/// Which write of a variable one has seen. Grows with every write of that variable; equal means unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(u64);

impl Stamp {
    const SUB_BITS: u32 = 10;
    const MAX: u64 = (1 << 53) - 1;

    /// A variable that nobody has written since it was made.
    pub const ORIGIN: Self = Self(0);

    /// The first stamp of `version`.
    pub(crate) const fn first_of(version: u64) -> Self {
        Self(version << Self::SUB_BITS)
    }

    /// The number as it crosses an interface, or `None` if it is no stamp (53 bits).
    #[must_use]
    pub const fn from_u64(number: u64) -> Option<Self> {
        if number <= Self::MAX {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number as it crosses an interface.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The domain's version that the write belongs to.
    #[must_use]
    pub const fn version(self) -> u64 {
        self.0 >> Self::SUB_BITS
    }

    /// The stamp of the next write, made at `version`. A full sub-version carries into the next version.
    pub(crate) const fn next(self, version: u64) -> Self {
        if version > self.version() {
            Self::first_of(version)
        } else {
            Self(self.0 + 1)
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A variable's stamp with three flags.
///
/// *Sealed*: a commit is writing the variable; wait, it takes an instant. *Reserved*: an aged transaction has claimed
/// it; it may be read, not written. *Watched*: someone sleeps until it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    pub(crate) const SEALED: u64 = 1;
    pub(crate) const RESERVED: u64 = 2;
    pub(crate) const WATCHED: u64 = 4;
    const FLAG_BITS: u32 = 3;

    pub(crate) const fn new(stamp: Stamp) -> Self {
        Self(stamp.0 << Self::FLAG_BITS)
    }

    pub(crate) const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn as_u64(self) -> u64 {
        self.0
    }

    pub(crate) const fn stamp(self) -> Stamp {
        Stamp(self.0 >> Self::FLAG_BITS)
    }

    pub(crate) const fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }
}

#[cfg(all(test, not(quintet_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_later_version_starts_its_own_sub_versions() {
        let first = Stamp::ORIGIN.next(5);
        assert_eq!((first.version(), first), (5, Stamp::first_of(5)));
        let second = first.next(5);
        assert!(second > first && second.version() == 5);
        assert_eq!(second.next(6), Stamp::first_of(6));
    }

    #[test]
    fn a_full_sub_version_carries() {
        let mut stamp = Stamp::first_of(7);
        for _ in 0..1023 {
            stamp = stamp.next(7);
        }
        assert_eq!(stamp.version(), 7);
        assert_eq!(stamp.next(7), Stamp::first_of(8));
    }

    #[test]
    fn flags_leave_the_stamp_alone() {
        let stamp = Stamp::first_of(9).next(9);
        let word = Word::from_u64(Word::new(stamp).as_u64() | Word::SEALED | Word::WATCHED);
        assert_eq!(word.stamp(), stamp);
        assert!(word.has(Word::SEALED) && word.has(Word::WATCHED) && !word.has(Word::RESERVED));
    }

    #[test]
    fn a_number_beyond_53_bits_is_no_stamp() {
        assert_eq!(Stamp::from_u64(1 << 53), None);
        assert_eq!(Stamp::from_u64(42).map(Stamp::as_u64), Some(42));
    }
}
