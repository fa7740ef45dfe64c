//! When one pool asks for more blocks, and for how many.
//!
//! Demand-driven: a class that was never used asks for nothing. A class in use keeps its target, or what some rounds take
//! when one took more than the target of late, so that a crowd of puts need not wait; it asks when half of that is gone, and
//! at once when a put found nothing; one request is under way at a time. When space is short it asks for what puts wait for,
//! no more.

use crate::message::BlockMessage;
use quintet_core::{Block, BlockAddress, BlockPool, Error, Result};

/// How many of the busiest rounds the stock is for: more blocks come some rounds after they were asked for.
const ROUNDS: usize = 4;

/// A quieter round makes the next ones count by this part less.
const FADING: usize = 16;

/// A pool and what is known about its supply.
pub(crate) struct Refill {
    pool: Box<dyn BlockPool + Send>,
    in_use: bool,
    /// Blocks taken since the last poll.
    taken: usize,
    /// The most that were taken between two polls of late.
    busiest: usize,
    /// What the pool can hold, as far as is known.
    most: usize,
    /// Puts that found no block since they were last told to begin again.
    missed: usize,
    /// Blocks that such puts were granted and have not taken yet: they are not idle.
    promised: usize,
    asked: bool,
    /// The last request gave nothing: only a put that needs a block asks again.
    starved: bool,
    /// Why, and for how many puts that waited for it: they are begun again before the next poll. One that comes later asks
    /// for itself, because there may be room by then.
    refused: Option<(Error, usize)>,
}

impl Refill {
    pub(crate) fn new(pool: Box<dyn BlockPool + Send>) -> Self {
        Self {
            pool,
            in_use: false,
            taken: 0,
            busiest: 0,
            most: usize::MAX,
            missed: 0,
            promised: 0,
            asked: false,
            starved: false,
            refused: None,
        }
    }

    /// Takes a block for a put. `Ok(None)` = wait for the answer.
    pub(crate) fn take(&mut self) -> Result<Option<Block>> {
        self.in_use = true;
        if let Some(block) = self.pool.acquire() {
            self.promised = self.promised.saturating_sub(1);
            self.taken += 1;
            return Ok(Some(block));
        }
        if let Some((error, puts)) = self.refused.take() {
            if puts > 1 {
                self.refused = Some((error.clone(), puts - 1));
            }
            return Err(error);
        }
        self.missed += 1;
        Ok(None)
    }

    /// How many blocks to ask for now; `pressed`: space is short, so only what a put waits for.
    pub(crate) fn wants(&self, pressed: bool) -> Option<u32> {
        let available = self.pool.available();
        let mut deficit = self.pool.deficit();
        if self.busiest > deficit + available {
            deficit = (self.busiest * ROUNDS).min(self.most).saturating_sub(available);
        }
        if pressed {
            deficit = 0;
        }
        let low = deficit > available;
        let due = self.missed > 0 || (self.in_use && low && !self.starved);
        if self.asked || !due {
            return None;
        }
        let count = u32::try_from(deficit + self.missed).unwrap_or(u32::MAX);
        Some(count.clamp(1, BlockMessage::MAX_COUNT))
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked
    }

    pub(crate) fn set_asked(&mut self, asked: bool) {
        self.asked = asked;
    }

    /// Takes the answer in; the granted blocks are for [`put_back`](Self::put_back).
    pub(crate) fn answered(&mut self, result: Result<Vec<BlockAddress>>) -> Vec<BlockAddress> {
        self.asked = false;
        self.starved = result.is_err();
        let waited = std::mem::take(&mut self.missed);
        match result {
            Ok(addresses) => {
                self.promised += waited.min(addresses.len());
                addresses
            }
            Err(error) => {
                self.refused = (waited > 0).then_some((error, waited));
                Vec::new()
            }
        }
    }

    /// Every put that waits for any block is about to begin again, and will be counted again if it finds none.
    pub(crate) fn forget_missed(&mut self) {
        self.missed = 0;
    }

    /// The puts that waited have been begun again: a round is over.
    pub(crate) fn begun_again(&mut self) {
        self.refused = None;
        self.promised = 0;
        let taken = std::mem::take(&mut self.taken);
        if taken > 0 {
            self.busiest = taken.max(self.busiest - self.busiest.div_ceil(FADING));
        }
    }

    /// Keeps a block for later; one of a class that is not in use is handed back.
    pub(crate) fn put_back(&mut self, block: Block) -> Result<(), Block> {
        if self.in_use || self.promised > self.pool.available() {
            let released = self.pool.release(block);
            if released.is_err() {
                self.most = self.pool.available();
            }
            return released;
        }
        Err(block)
    }

    pub(crate) fn available(&self) -> usize {
        self.pool.available()
    }

    /// Takes out what no put was promised. The class counts as unused until a put needs it again.
    pub(crate) fn recall(&mut self) -> impl Iterator<Item = Block> {
        self.in_use = false;
        self.busiest = 0;
        let idle = self.pool.available().saturating_sub(self.promised);
        (0..idle).map_while(|_| self.pool.acquire())
    }

    /// Empties the pool.
    pub(crate) fn empty(&mut self) -> impl Iterator<Item = Block> {
        std::iter::from_fn(|| self.pool.acquire())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StackPool;
    use quintet_core::{ErrorKind, SizeClass};

    fn refill() -> Refill {
        Refill::new(Box::new(StackPool::new(SizeClass::SMALLEST, 2, 4)))
    }

    fn addresses(numbers: std::ops::Range<u64>) -> Vec<BlockAddress> {
        let class = SizeClass::SMALLEST;
        numbers.map(|number| BlockAddress { class, number }).collect()
    }

    fn answer(refill: &mut Refill, numbers: std::ops::Range<u64>) -> usize {
        let granted = refill.answered(Ok(addresses(numbers)));
        let kept = granted
            .into_iter()
            .filter_map(|address| refill.put_back(Block::granted(address)).err());
        kept.map(Block::into_address).collect::<Vec<_>>().len()
    }

    #[test]
    fn a_put_that_waits_long_is_counted_once() {
        let mut refill = refill();
        for _ in 0..5 {
            assert!(refill.take().unwrap().is_none());
            assert_eq!(refill.wants(false), Some(3), "one for the put, two for the stock");
            // Another class's answer came, so every put is begun again.
            refill.forget_missed();
        }
        assert!(refill.take().unwrap().is_none());
        assert!(refill.take().unwrap().is_none(), "a second put");
        assert_eq!(refill.wants(false), Some(4));
        assert_eq!(refill.wants(true), Some(2), "no stock while space is short");
    }

    fn write(block: Block) {
        let _address = block.into_address();
    }

    #[test]
    fn a_crowd_of_puts_waits_once_and_then_finds_as_many_blocks_as_it_is() {
        let mut refill = Refill::new(Box::new(StackPool::new(SizeClass::SMALLEST, 2, 100)));
        let mut next = 0..;
        let mut supply = |refill: &mut Refill| {
            let Some(count) = refill.wants(false) else { return };
            refill.set_asked(true);
            let first = next.nth(count as usize - 1).unwrap() + 1 - u64::from(count);
            assert_eq!(answer(refill, first..first + u64::from(count)), 0, "{count}");
        };
        for waiting in [12, 0, 0] {
            let took: Vec<_> = (0..12).map(|_| refill.take().unwrap()).collect();
            assert_eq!(took.iter().filter(|block| block.is_none()).count(), waiting);
            took.into_iter().flatten().for_each(write);
            supply(&mut refill);
            (0..waiting).for_each(|_| write(refill.take().unwrap().unwrap()));
            refill.begun_again();
            supply(&mut refill);
            assert!((12..=12 * ROUNDS).contains(&refill.available()));
        }
        for _ in 0..60 {
            write(refill.take().unwrap().unwrap());
            refill.begun_again();
            supply(&mut refill);
        }
        assert!(refill.available() <= ROUNDS, "the crowd is forgotten");
    }

    #[test]
    fn a_pool_is_not_asked_to_hold_more_than_it_can() {
        let mut refill = refill();
        let granted = (0..9)
            .map(|_| refill.take().unwrap())
            .filter(Option::is_none)
            .count();
        refill.set_asked(true);
        assert_eq!((granted, answer(&mut refill, 0..9)), (9, 5), "four fit");
        refill.taken = 9;
        refill.begun_again();
        assert_eq!(refill.wants(false), None, "it is full");
    }

    #[test]
    fn a_recall_leaves_what_a_put_was_promised_and_what_comes_later_goes_back() {
        let mut refill = refill();
        assert!(refill.take().unwrap().is_none());
        refill.set_asked(true);
        assert_eq!(refill.recall().count(), 0);
        assert_eq!(
            answer(&mut refill, 0..3),
            2,
            "nobody uses the class now, but one put waits"
        );
        assert_eq!(refill.recall().count(), 0, "it was promised");
        let block = refill.take().unwrap().unwrap();
        assert_eq!(refill.wants(false), Some(2), "in use again");
        refill.set_asked(true);
        assert_eq!(answer(&mut refill, 3..5), 0);
        assert_eq!(refill.recall().map(Block::into_address).count(), 2);
        assert_eq!(refill.wants(false), None, "idle");
        assert_eq!(refill.put_back(block).unwrap_err().into_address().number, 0);
        refill.set_asked(true);
        assert!(refill.take().unwrap().is_none());
        assert!(refill.answered(Err(ErrorKind::Full.into())).is_empty());
        assert_eq!(refill.take().unwrap_err().kind(), ErrorKind::Full);
        assert!(refill.take().unwrap().is_none(), "a later put asks for itself");
    }
}
