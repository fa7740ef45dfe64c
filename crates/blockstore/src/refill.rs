//! When one pool asks for more blocks, and for how many.
//!
//! Demand-driven: a class that was never used asks for nothing. A class in use asks when half its target is gone, and at
//! once when a put found nothing; one request is under way at a time.

use crate::message::BlockMessage;
use quintet_core::{Block, BlockAddress, BlockPool, Error, Result};

/// A pool and what is known about its supply.
pub(crate) struct Refill {
    pool: Box<dyn BlockPool + Send>,
    in_use: bool,
    /// Puts that found no block since the last answer.
    missed: usize,
    asked: bool,
    /// The last request gave nothing: only a put that needs a block asks again.
    starved: bool,
    /// Why, for the puts that waited for it: they are begun again before the next poll.
    refused: Option<Error>,
}

impl Refill {
    pub(crate) fn new(pool: Box<dyn BlockPool + Send>) -> Self {
        Self {
            pool,
            in_use: false,
            missed: 0,
            asked: false,
            starved: false,
            refused: None,
        }
    }

    /// Takes a block for a put. `Ok(None)` = wait for the answer.
    pub(crate) fn take(&mut self) -> Result<Option<Block>> {
        self.in_use = true;
        if let Some(block) = self.pool.acquire() {
            return Ok(Some(block));
        }
        if let Some(error) = &self.refused {
            return Err(error.clone());
        }
        self.missed += 1;
        Ok(None)
    }

    /// How many blocks to ask for now.
    pub(crate) fn wants(&self) -> Option<u32> {
        let deficit = self.pool.deficit();
        let low = deficit > self.pool.available();
        let due = self.missed > 0 || (self.in_use && low && !self.starved);
        if self.asked || !due {
            return None;
        }
        let count = u32::try_from(deficit + self.missed).unwrap_or(u32::MAX);
        Some(count.clamp(1, BlockMessage::MAX_COUNT))
    }

    pub(crate) fn asked(&mut self) {
        self.asked = true;
    }

    /// Takes the answer in; the granted blocks are for [`put_back`](Self::put_back).
    pub(crate) fn answered(&mut self, result: Result<Vec<BlockAddress>>) -> Vec<BlockAddress> {
        self.asked = false;
        self.starved = result.is_err();
        let waited = std::mem::take(&mut self.missed) > 0;
        result.unwrap_or_else(|error| {
            // Nobody waited: a put that comes later asks for itself.
            self.refused = waited.then_some(error);
            Vec::new()
        })
    }

    /// The puts that waited have been begun again.
    pub(crate) fn forget_refusal(&mut self) {
        self.refused = None;
    }

    pub(crate) fn put_back(&mut self, block: Block) -> Result<(), Block> {
        self.pool.release(block)
    }

    pub(crate) fn available(&self) -> usize {
        self.pool.available()
    }

    /// Empties the pool.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Block> {
        std::iter::from_fn(|| self.pool.acquire())
    }
}
