//! A growable set of small integers that finds its lowest member in a handful of word reads.
//!
//! Level 0 holds one bit per number; a bit of level n + 1 says that the word below it is not zero. Sixty-four-fold
//! fan-out: one billion numbers are five levels. The summaries cost 1/63 of the bits they summarise. Used by
//! [`Buddy`](super::Buddy) as the free list of each class.

const WORD_BITS: u64 = u64::BITS as u64;

/// A set of the numbers `0..len`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bitmap {
    /// Lowest level first; the last level has at most one word.
    levels: Vec<Vec<u64>>,
    len: u64,
    members: u64,
}

impl Bitmap {
    /// Makes room for the numbers `0..len`; never shrinks. New numbers are not in the set.
    pub(super) fn grow(&mut self, len: u64) {
        self.len = self.len.max(len);
        let mut words = self.len.div_ceil(WORD_BITS);
        let mut level = 0;
        while words > 0 {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
                self.summarise(level);
            }
            self.levels[level].resize(words as usize, 0);
            if words == 1 {
                break;
            }
            words = words.div_ceil(WORD_BITS);
            level += 1;
        }
    }

    /// Fills a new level from the one below it, which was the highest so far and had one word.
    fn summarise(&mut self, level: usize) {
        let occupied = level > 0 && self.levels[level - 1].first().is_some_and(|word| *word != 0);
        self.levels[level].push(u64::from(occupied));
    }

    /// How many numbers are in the set.
    pub(super) const fn members(&self) -> u64 {
        self.members
    }

    /// Whether `number` is in the set; `false` beyond its end.
    pub(super) fn contains(&self, number: u64) -> bool {
        number < self.len && self.levels[0][(number / WORD_BITS) as usize] >> (number % WORD_BITS) & 1 == 1
    }

    /// The lowest number in the set.
    pub(super) fn first(&self) -> Option<u64> {
        let mut index = 0;
        for level in self.levels.iter().rev() {
            let word = level[index as usize];
            if word == 0 {
                return None;
            }
            index = index * WORD_BITS + u64::from(word.trailing_zeros());
        }
        (!self.levels.is_empty()).then_some(index)
    }

    /// The highest number in the set.
    pub(super) fn last(&self) -> Option<u64> {
        let mut index = 0;
        for level in self.levels.iter().rev() {
            let word = level[index as usize];
            if word == 0 {
                return None;
            }
            index = index * WORD_BITS + u64::from(word.ilog2());
        }
        (!self.levels.is_empty()).then_some(index)
    }

    /// Forgets the numbers from `len` on, members or not.
    pub(super) fn shrink(&mut self, len: u64) {
        while let Some(number) = self.last().filter(|last| *last >= len) {
            self.remove(number);
        }
        self.len = self.len.min(len);
        let mut words = self.len.div_ceil(WORD_BITS);
        for at in 0..self.levels.len() {
            self.levels[at].truncate(words as usize);
            if words <= 1 {
                self.levels.truncate(at + words as usize);
                break;
            }
            words = words.div_ceil(WORD_BITS);
        }
    }

    /// Puts `number` in; `false` when it was in already or is beyond the end.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        if number >= self.len || self.contains(number) {
            return false;
        }
        self.members += 1;
        let mut index = number;
        for level in &mut self.levels {
            let word = &mut level[(index / WORD_BITS) as usize];
            let was_empty = *word == 0;
            *word |= 1 << (index % WORD_BITS);
            if !was_empty {
                break;
            }
            index /= WORD_BITS;
        }
        true
    }

    /// Takes `number` out; `false` when it was not in.
    pub(super) fn remove(&mut self, number: u64) -> bool {
        if !self.contains(number) {
            return false;
        }
        self.members -= 1;
        let mut index = number;
        for level in &mut self.levels {
            let word = &mut level[(index / WORD_BITS) as usize];
            *word &= !(1 << (index % WORD_BITS));
            if *word != 0 {
                break;
            }
            index /= WORD_BITS;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Bitmap;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_empty_set_has_no_first_number_and_takes_none() {
        let mut set = Bitmap::default();
        assert_eq!(set.first(), None);
        assert!(!set.insert(0));
        assert!(!set.remove(0));
    }

    proptest! {
        #[test]
        fn agrees_with_a_btree_set(
            operations in prop::collection::vec((0_u8..6, 0_u64..300_000), 1..400)
        ) {
            let (mut set, mut oracle, mut len) = (Bitmap::default(), BTreeSet::new(), 0);
            for (kind, number) in operations {
                match kind {
                    0 => { set.grow(number); len = len.max(number); }
                    1 | 2 => prop_assert_eq!(set.insert(number), number < len && oracle.insert(number)),
                    5 => {
                        set.shrink(number);
                        oracle.retain(|member| *member < number);
                        len = len.min(number);
                    }
                    3 => prop_assert_eq!(set.remove(number), oracle.remove(&number)),
                    _ => {
                        let lowest = oracle.first().copied();
                        prop_assert_eq!(lowest.is_some_and(|lowest| set.remove(lowest)), lowest.is_some());
                        oracle.pop_first();
                    }
                }
                prop_assert_eq!(set.first(), oracle.first().copied());
                prop_assert_eq!(set.last(), oracle.last().copied());
                prop_assert_eq!(set.members(), oracle.len() as u64);
                prop_assert_eq!(set.contains(number), oracle.contains(&number));
            }
        }
    }
}
