//! [`BlockWorker`]: the non-blocking client of the block controller that every port and the embedded store drive.
//!
//! It owns a pool of granted blocks per size class, so that a put takes a block without a round trip, and asks for more
//! before they run out. Nothing here waits: a put that finds no block is tried again after [`BlockWorker::poll`] said so,
//! and outcomes come out of `poll` under the ticket that the call returned. One thread drives a worker; what it hands out
//! ([`Put`], [`Extent`]) may go to others.

use crate::{
    BlockError, Digest, Record,
    epoch::{self, Epochs, Pin},
    extent::Extent,
    message::{BlockMessage, BlockReply},
    meta::TableReader,
    outcome::{Done, Get, Outcome, Polled, Refused, Ticket},
    put::{Put, ReturnBin},
    refill::Refill,
    view::View,
};
use quintet_core::{
    Block, BlockPool, Closed, Completion, Error, ErrorKind, PushError, RequestId, Result, SizeClass, Worker,
};
use quintet_log::File;
use std::{collections::HashMap, sync::Arc};

/// How many completions one [`BlockWorker::poll`] takes at most.
const REAP_MAX: usize = 1024;

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
}

enum Asked {
    Blocks(SizeClass),
    Return,
    Name { digest: Digest, block: Block },
    Release,
    Address { digest: Digest, pin: Pin },
}

/// One thread's connection to the block controller.
pub struct BlockWorker {
    link: Box<dyn Worker<BlockMessage> + Send>,
    commons: Commons,
    reader: epoch::Reader,
    refills: [Refill; SizeClass::COUNT],
    asked: HashMap<RequestId, Asked>,
    reaped: Vec<Completion<BlockMessage>>,
    bin: ReturnBin,
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
        Ok(Self {
            link,
            commons,
            reader,
            refills: pools.map(Refill::new),
            asked: HashMap::new(),
            reaped: Vec::new(),
            bin: ReturnBin::default(),
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
        self.sweep();
        let taken = self.refill(class).take();
        self.ask_for_blocks();
        let put = |block| Put::new(block, self.bin.clone(), Arc::clone(&self.commons.file), len_bytes);
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
        match self.link.submit(message) {
            Ok(id) => {
                self.asked.insert(id, Asked::Name { digest, block });
                Ok(Ticket(id))
            }
            Err(refused) => {
                put.put_block(block);
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
            let id = self.link.submit(message).map_err(|refused| refusal(&refused))?;
            self.asked.insert(id, Asked::Address { digest: *digest, pin });
            return Ok(Get::Asked(Ticket(id)));
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
        let message = BlockMessage::Release { digest: *digest };
        let id = self.link.submit(message).map_err(|refused| refusal(&refused))?;
        self.asked.insert(id, Asked::Release);
        Ok(Ticket(id))
    }

    /// Sends what was begun, asks for blocks where pools run low, and appends the outcomes that are there to `out`.
    /// Never blocks.
    ///
    /// # Errors
    /// [`Closed`] when the controller is gone and every operation has had its outcome.
    pub fn poll(&mut self, out: &mut Vec<Done>) -> Result<Polled, Closed> {
        self.sweep();
        self.refills.iter_mut().for_each(Refill::forget_refusal);
        self.ask_for_blocks();
        // A closed link still has outcomes to reap.
        let _closed = self.link.flush();
        let mut reaped = std::mem::take(&mut self.reaped);
        let result = self.link.reap(&mut reaped, REAP_MAX);
        let (before, mut retry_puts) = (out.len(), false);
        for Completion { id, result } in reaped.drain(..) {
            retry_puts |= self.settle(id, result, out);
        }
        self.reaped = reaped;
        if retry_puts {
            self.ask_for_blocks();
            let _closed = self.link.flush();
        }
        result.map(|_| Polled {
            done: out.len() - before,
            retry_puts,
        })
    }

    /// Operations begun and not yet polled, requests for blocks included.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.link.in_flight()
    }

    /// Blocks of a class that can be written without asking.
    #[must_use]
    pub fn pooled(&self, class: SizeClass) -> usize {
        self.refills[usize::from(class.index())].available()
    }

    /// Handles one completion; answers whether puts that wait for a block should be tried again.
    fn settle(&mut self, id: RequestId, result: Result<BlockReply>, out: &mut Vec<Done>) -> bool {
        let Some(asked) = self.asked.remove(&id) else {
            return false;
        };
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
            (Asked::Address { .. } | Asked::Release, Ok(other)) => Err(misfit(&other)),
            (Asked::Address { .. } | Asked::Release, Err(error)) => Err(error),
        };
        out.push(Done {
            ticket: Ticket(id),
            outcome,
        });
        false
    }

    fn named(&mut self, digest: Digest, block: Block, result: Result<BlockReply>) -> Result<Outcome> {
        match result {
            Ok(BlockReply::Occupied { unused: None }) => {
                // The name owns the bytes now.
                forget(block);
                Ok(Outcome::Stored {
                    digest,
                    existed: false,
                })
            }
            Ok(BlockReply::Occupied { unused: Some(_) }) => {
                self.put_back(block);
                Ok(Outcome::Stored {
                    digest,
                    existed: true,
                })
            }
            Ok(other) => Err(misfit(&other)),
            Err(error) => {
                // Only where the error says that nothing happened may the bytes be written again.
                match error.kind() {
                    ErrorKind::Full | ErrorKind::Unavailable | ErrorKind::Conflict => self.put_back(block),
                    _ => forget(block),
                }
                Err(error)
            }
        }
    }

    fn granted(&mut self, class: SizeClass, result: Result<BlockReply>) {
        let result = result.and_then(|reply| match reply {
            BlockReply::Granted(addresses) => Ok(addresses),
            other => Err(misfit(&other)),
        });
        let addresses = self.refill(class).answered(result);
        // The pool is a stack, and the lowest block is to be written first.
        for address in addresses.into_iter().rev() {
            self.put_back(Block::granted(address));
        }
    }

    fn extent(&self, digest: Digest, record: Record, pin: Pin) -> Extent {
        let Commons { file, view, .. } = &self.commons;
        Extent::new(digest, record, Arc::clone(file), view.clone(), pin)
    }

    fn refill(&mut self, class: SizeClass) -> &mut Refill {
        &mut self.refills[usize::from(class.index())]
    }

    fn put_back(&mut self, block: Block) {
        if let Err(block) = self.refill(block.address().class).put_back(block) {
            self.surplus.push(block);
        }
    }

    /// Takes in the blocks of puts that were dropped.
    fn sweep(&mut self) {
        for block in self.bin.take() {
            self.put_back(block);
        }
    }

    /// Stages requests for blocks where pools run low, and gives back what no pool has room for.
    fn ask_for_blocks(&mut self) {
        for (class, refill) in SizeClass::ALL.into_iter().zip(&mut self.refills) {
            let Some(count) = refill.wants() else {
                continue;
            };
            if let Ok(id) = self.link.submit(BlockMessage::Allocate { class, count }) {
                refill.asked();
                self.asked.insert(id, Asked::Blocks(class));
            }
        }
        self.give_back_surplus();
    }

    fn give_back_surplus(&mut self) {
        while !self.surplus.is_empty() {
            let count = self.surplus.len().min(BlockMessage::MAX_COUNT as usize);
            let addresses = self.surplus[..count].iter().map(Block::address).collect();
            let Ok(id) = self.link.submit(BlockMessage::Return { addresses }) else {
                return;
            };
            self.surplus.drain(..count).for_each(forget);
            self.asked.insert(id, Asked::Return);
        }
    }
}

impl Drop for BlockWorker {
    /// Gives every pooled block back, if there is a credit for the message. Blocks whose naming is still in flight stay
    /// with the controller, which names them or keeps them until the store is reopened.
    fn drop(&mut self) {
        self.sweep();
        for refill in &mut self.refills {
            self.surplus.extend(refill.drain());
        }
        self.give_back_surplus();
        let _closed = self.link.flush();
    }
}

/// Gives up the right to write the block.
fn forget(block: Block) {
    let _address = block.into_address();
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
