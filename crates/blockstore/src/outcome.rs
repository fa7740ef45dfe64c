//! What a worker's operations come to.

use crate::{Digest, Extent};
use quintet_core::{Error, RequestId, Result};

/// Names one operation of one worker until its outcome is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) RequestId);

/// What an operation came to.
pub enum Outcome {
    /// The content is stored, as durably as configured.
    Stored {
        /// Its name.
        digest: Digest,
        /// Whether it was stored before.
        existed: bool,
    },
    /// The block is deleted, as durably as configured.
    Deleted,
    /// The block is locked for its holder, as durably as configured.
    Locked,
    /// The lock has ended, as durably as configured.
    Unlocked,
    /// The data file ends behind its last taken block.
    Trimmed {
        /// Its length now.
        file_bytes: u64,
    },
    /// Storage of free blocks was given back.
    Punched {
        /// Where to go on, in blocks of 4 KiB; `None` = the file's end was reached.
        next_block: Option<u64>,
        /// The bytes of the free blocks that were met.
        bytes: u64,
    },
    /// The block is found; read it now.
    Found(Extent),
}

/// One operation's end.
pub struct Done {
    /// Which operation.
    pub ticket: Ticket,
    /// How it ended.
    pub outcome: Result<Outcome>,
}

/// What [`BlockWorker::get`](crate::BlockWorker::get) found.
pub enum Get {
    /// The content.
    Found(Extent),
    /// No such block.
    Missing,
    /// The controller was asked; the answer comes out of [`BlockWorker::poll`](crate::BlockWorker::poll).
    Asked(Ticket),
}

/// What [`BlockWorker::poll`](crate::BlockWorker::poll) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// How many outcomes were appended.
    pub done: usize,
    /// A request for blocks was answered: puts that found no block should be begun again now.
    pub retry_puts: bool,
}

/// An operation that could not be sent, with what it was about.
pub struct Refused<T> {
    /// Handed back.
    pub item: T,
    /// Why: `Unavailable` = no credit left, poll first and send it again; else final.
    pub error: Error,
}

impl<T> Refused<T> {
    pub(crate) fn new(item: T, error: Error) -> Box<Self> {
        Box::new(Self { item, error })
    }
}
