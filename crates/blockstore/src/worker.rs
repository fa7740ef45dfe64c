//! [`BlockWorker`]: the non-blocking client of the block controller that every port and the embedded store drive.
//!
//! It owns a pool of granted blocks per size class, so that a put takes a block without a round trip, and asks for more
//! before they run out. Nothing here waits: a put that finds no block is tried again after [`BlockWorker::poll`] said so,
//! and outcomes come out of `poll` under the ticket that the call returned. One thread drives a worker; what it hands out
//! ([`Put`], [`Extent`]) may go to others.

mod compaction;
mod locks;

use crate::{
    BlockError, Digest, Record, Verify,
    depot::{Depot, Home, Shelf, one_message},
    epoch::{self, Epochs, Pin},
    extent::Extent,
    message::{BlockMessage, BlockReply},
    meta::TableReader,
    outcome::{Done, Get, Outcome, Polled, Refused, Ticket},
    put::Put,
    refill::Refill,
    under_way::{Asked, UnderWay, unnamed},
    view::View,
};
use quintet_core::{Block, BlockPool, Closed, Error, ErrorKind, PushError, Result, SizeClass, Worker};
use quintet_log::File;
use std::{cell::Cell, sync::Arc};

/// How a worker finds a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lookup {
    /// In the committed records, which the worker reads itself: no message.
    #[default]
    Index,
    /// By asking the controller.
    Controller,
}

/// What every worker of one store shares.
#[derive(Clone)]
pub(crate) struct Commons {
    pub(crate) file: Arc<dyn File>,
    /// The same file, mapped; `None` = it cannot be, or is not to be.
    pub(crate) view: Option<Arc<View>>,
    pub(crate) records: TableReader,
    pub(crate) epochs: Arc<Epochs>,
    pub(crate) lookup: Lookup,
    pub(crate) verify: Verify,
    pub(crate) depot: Arc<Depot>,
}

/// One thread's connection to the block controller.
pub struct BlockWorker {
    under_way: UnderWay,
    commons: Commons,
    reader: epoch::Reader,
    shelf: Arc<Shelf>,
    /// Blocks found so far.
    reads: Cell<u64>,
    answers: Vec<(Ticket, Asked, Result<BlockReply>)>,
    /// Blocks that no pool has room for, on their way back to the controller.
    surplus: Vec<Block>,
}

impl BlockWorker {
    /// A worker over `link`, with one pool per class, smallest first.
    pub(crate) fn new(
        link: Box<dyn Worker<BlockMessage> + Send>,
        pools: [Box<dyn BlockPool + Send>; SizeClass::COUNT],
        commons: Commons,
    ) -> Result<Self> {
        let reader = commons.epochs.register().ok_or(BlockError::Busy {
            what: "the table of workers",
        })?;
        let shelf = commons.depot.enter(pools.map(Refill::new));
        Ok(Self {
            under_way: UnderWay::new(link),
            commons,
            reader,
            shelf,
            reads: Cell::new(0),
            answers: Vec::new(),
            surplus: Vec::new(),
        })
    }

    /// Begins to store a body of exactly `len_bytes`. `None` = no block is at hand: more were asked for, begin again when
    /// [`poll`](Self::poll) answers `retry_puts`.
    ///
    /// # Errors
    /// `InvalidInput` for an empty body, `TooLarge` above 512 KiB; `Full` when the last
    /// [`poll`](Self::poll) brought the answer that there is no block to give.
    pub fn begin_put(&mut self, len_bytes: u64) -> Result<Option<Put>> {
        let max_bytes = SizeClass::LARGEST.size_bytes();
        let class = SizeClass::for_len(len_bytes).ok_or(match len_bytes {
            0 => BlockError::Empty,
            _ => BlockError::TooLarge {
                what: "a body",
                len_bytes,
                max_bytes,
            },
        })?;
        // `poll` asks for more, once for all the puts that were begun until then.
        let taken = self.shelf.with(|refills| refills[at(class)].take());
        let home = Home {
            shelf: Arc::clone(&self.shelf),
            depot: Arc::clone(&self.commons.depot),
        };
        let put = |block| Put::new(block, home, Arc::clone(&self.commons.file), len_bytes);
        taken.map(|block| block.map(put))
    }

    /// Names a body that is written whole. The outcome is [`Outcome::Stored`].
    ///
    /// # Errors
    /// The put comes back with `InvalidInput` when bytes are missing, `Unavailable` when no credit is left, `Closed`.
    pub fn finish_put(&mut self, put: Put) -> Result<Ticket, Box<Refused<Put>>> {
        let digest = put.digest();
        self.finish_put_as(put, digest)
    }

    /// The same for a body whose digest is known already.
    pub(crate) fn finish_put_as(
        &mut self,
        mut put: Put,
        digest: Digest,
    ) -> Result<Ticket, Box<Refused<Put>>> {
        if let Err(error) = put.check_complete() {
            return Err(Refused::new(put, error));
        }
        let Some((block, len_bytes)) = put.take_block() else {
            return Err(Refused::new(put, ErrorKind::InvalidInput.into()));
        };
        let message = BlockMessage::Occupy {
            digest,
            address: block.address(),
            len_bytes,
        };
        match self.under_way.submit(message, Asked::Name { digest, block }) {
            Ok(id) => Ok(Ticket(id)),
            Err(refused) => {
                let (refused, asked) = *refused;
                if let Asked::Name { block, .. } = asked {
                    put.put_block(block);
                }
                Err(Refused::new(put, refusal(&refused)))
            }
        }
    }

    /// Looks a block up. With [`Lookup::Index`] the answer is here at once; the block was durable when it was found.
    ///
    /// # Errors
    /// `Unavailable` when the controller must be asked and no credit is left; `Corrupted` for a damaged record.
    pub fn get(&mut self, digest: &Digest) -> Result<Get> {
        // Before the look-up: the pin protects what is found after it.
        let pin = self.reader.pin();
        if self.commons.lookup == Lookup::Controller {
            let message = BlockMessage::GetAddress { digest: *digest };
            let asked = Asked::Address { digest: *digest, pin };
            return self.send(message, asked).map(Get::Asked);
        }
        let Some(bytes) = self.commons.records.get(&digest.0)? else {
            return Ok(Get::Missing);
        };
        let record = Record::decode(digest, &bytes)?;
        Ok(Get::Found(self.extent(*digest, record, pin)))
    }

    /// Whether a block of this name is stored durably: one look-up, no message.
    ///
    /// # Errors
    /// What the record table answers.
    pub fn contains(&self, digest: &Digest) -> Result<bool> {
        Ok(self.commons.records.get(&digest.0)?.is_some())
    }

    /// Deletes a block. The outcome is [`Outcome::Deleted`] or `NotFound`.
    ///
    /// # Errors
    /// `Unavailable` when no credit is left, `Closed`.
    pub fn delete(&mut self, digest: &Digest) -> Result<Ticket> {
        self.send(BlockMessage::Release { digest: *digest }, Asked::Release)
    }

    fn send(&mut self, message: BlockMessage, asked: Asked) -> Result<Ticket> {
        match self.under_way.submit(message, asked) {
            Ok(id) => Ok(Ticket(id)),
            Err(refused) => Err(refusal(&refused.0)),
        }
    }

    /// Sends what was begun, asks for blocks where pools run low, and appends the outcomes that are there to `out`.
    /// Never blocks.
    ///
    /// # Errors
    /// [`Closed`] when the controller is gone and every operation has had its outcome.
    pub fn poll(&mut self, out: &mut Vec<Done>) -> Result<Polled, Closed> {
        self.shelf
            .with(|refills| refills.iter_mut().for_each(Refill::begun_again));
        self.ask_for_blocks();
        // A closed link still has outcomes to reap.
        let _closed = self.under_way.flush();
        let (before, mut retry_puts) = (out.len(), false);
        let mut answers = std::mem::take(&mut self.answers);
        let result = self
            .under_way
            .take(|id, asked, result| answers.push((Ticket(id), asked, result)));
        for (ticket, asked, result) in answers.drain(..) {
            retry_puts |= self.settle(ticket, asked, result, out);
        }
        self.answers = answers;
        if retry_puts {
            self.ask_for_blocks();
            let _closed = self.under_way.flush();
            self.shelf
                .with(|refills| refills.iter_mut().for_each(Refill::forget_missed));
        }
        result.map(|()| Polled {
            done: out.len() - before,
            retry_puts,
        })
    }

    /// Operations begun and not yet polled, requests for blocks included.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.under_way.in_flight()
    }

    /// Blocks of a class that can be written without asking.
    #[must_use]
    pub fn pooled(&self, class: SizeClass) -> usize {
        self.shelf.with(|refills| refills[at(class)].available())
    }

    /// Handles one answer; says whether puts that wait for a block should be tried again.
    fn settle(
        &mut self,
        ticket: Ticket,
        asked: Asked,
        result: Result<BlockReply>,
        out: &mut Vec<Done>,
    ) -> bool {
        let outcome = match (asked, result) {
            (Asked::Return, _) => return false,
            (Asked::Blocks(class), result) => {
                self.granted(class, result);
                return true;
            }
            (Asked::Name { digest, block }, result) => self.named(digest, block, result),
            (Asked::Address { digest, pin }, Ok(BlockReply::Address(record))) => {
                Ok(Outcome::Found(self.extent(digest, record, pin)))
            }
            (Asked::Release, Ok(BlockReply::Released)) => Ok(Outcome::Deleted),
            (Asked::Lock, Ok(BlockReply::Locked)) => Ok(Outcome::Locked),
            (Asked::Unlock, Ok(BlockReply::Unlocked)) => Ok(Outcome::Unlocked),
            (Asked::Trim, Ok(BlockReply::Trimmed { file_bytes })) => Ok(Outcome::Trimmed { file_bytes }),
            (Asked::Punch, Ok(BlockReply::Punched { next_block, bytes })) => {
                Ok(Outcome::Punched { next_block, bytes })
            }
            (_, Ok(other)) => Err(misfit(&other)),
            (_, Err(error)) => Err(error),
        };
        out.push(Done { ticket, outcome });
        false
    }

    fn named(&mut self, digest: Digest, block: Block, result: Result<BlockReply>) -> Result<Outcome> {
        if let Some(block) = unnamed(block, &result) {
            self.put_back(block);
        }
        match result? {
            BlockReply::Occupied { unused } => Ok(Outcome::Stored {
                digest,
                existed: unused.is_some(),
            }),
            other => Err(misfit(&other)),
        }
    }

    fn granted(&mut self, class: SizeClass, result: Result<BlockReply>) {
        let result = result.and_then(|reply| match reply {
            BlockReply::Granted(addresses) => Ok(addresses),
            other => Err(misfit(&other)),
        });
        let addresses = self.shelf.with(|refills| refills[at(class)].answered(result));
        // The pool is a stack, and the lowest block is to be written first.
        for address in addresses.into_iter().rev() {
            self.put_back(Block::granted(address));
        }
    }

    fn extent(&self, digest: Digest, record: Record, pin: Pin) -> Extent {
        let Commons {
            file, view, verify, ..
        } = &self.commons;
        let nth = self.reads.replace(self.reads.get() + 1);
        let to_be_checked = verify.applies(nth);
        Extent::new(digest, record, Arc::clone(file), view.clone(), to_be_checked, pin)
    }

    fn put_back(&mut self, block: Block) {
        if let Err(block) = self.shelf.put_back(block) {
            self.surplus.push(block);
        }
    }

    /// Stages requests for blocks where pools run low, and gives back what no pool has room for.
    fn ask_for_blocks(&mut self) {
        let pressed = self.commons.depot.is_pressed();
        let mut wanted = [None; SizeClass::COUNT];
        self.shelf.with(|refills| {
            for (count, refill) in wanted.iter_mut().zip(refills) {
                *count = refill.wants(pressed);
                refill.set_asked(refill.is_asked() || count.is_some());
            }
        });
        for (class, count) in SizeClass::ALL.into_iter().zip(wanted) {
            let Some(count) = count else {
                continue;
            };
            let message = BlockMessage::Allocate { class, count };
            if self.under_way.submit(message, Asked::Blocks(class)).is_err() {
                self.shelf.with(|refills| refills[at(class)].set_asked(false));
            }
        }
        self.give_back_surplus();
    }

    fn give_back_surplus(&mut self) {
        while !self.surplus.is_empty() {
            let count = one_message(self.surplus.len());
            let addresses = self.surplus[..count].iter().map(Block::address).collect();
            let message = BlockMessage::Return { addresses };
            if self.under_way.submit(message, Asked::Return).is_err() {
                return;
            }
            self.surplus.drain(..count).for_each(forget);
        }
    }
}

impl Drop for BlockWorker {
    /// Leaves every block to the controller: pooled ones now, others when their puts are dropped or their answers come.
    fn drop(&mut self) {
        self.surplus
            .drain(..)
            .for_each(|block| self.commons.depot.put_stray(block));
        let _closed = self.under_way.flush();
        let under_way = self.under_way.hand_over();
        self.commons.depot.leave(&self.shelf, under_way);
    }
}

/// Gives up the right to write the block.
fn forget(block: Block) {
    let _address = block.into_address();
}

fn at(class: SizeClass) -> usize {
    usize::from(class.index())
}

fn refusal(refused: &PushError<BlockMessage>) -> Error {
    match refused {
        PushError::Full(_) => BlockError::Busy {
            what: "the worker's queue of requests",
        }
        .into(),
        PushError::Closed(_) => BlockError::Closed.into(),
    }
}

/// A reply of another kind than the request asks for: a broken controller.
fn misfit(reply: &BlockReply) -> Error {
    Error::new(
        ErrorKind::Corrupted,
        format!("the controller answered {reply:?}, which was not asked for"),
    )
}
