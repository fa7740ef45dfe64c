//! [`UnderWay`]: a worker's connection and what it was asked for over it.
//!
//! It outlives its worker when that is dropped with answers outstanding: then the [depot](crate::depot) reaps them, so that
//! blocks which were granted to nobody, or named in vain, are free again before the store is reopened.

use crate::{
    Digest,
    epoch::Pin,
    message::{BlockMessage, BlockReply},
};
use quintet_core::{Block, Closed, Completion, ErrorKind, PushError, RequestId, Result, SizeClass, Worker};
use std::collections::HashMap;

/// How many completions are taken at a time.
const REAP_MAX: usize = 1024;

/// What a request was for.
pub(crate) enum Asked {
    Blocks(SizeClass),
    Return,
    Name { digest: Digest, block: Block },
    Release,
    Lock,
    Unlock,
    Trim,
    Punch,
    Address { digest: Digest, pin: Pin },
}

/// A connection to the controller and its unanswered requests.
pub(crate) struct UnderWay {
    link: Box<dyn Worker<BlockMessage> + Send>,
    asked: HashMap<RequestId, Asked>,
    reaped: Vec<Completion<BlockMessage>>,
}

impl UnderWay {
    pub(crate) fn new(link: Box<dyn Worker<BlockMessage> + Send>) -> Self {
        Self {
            link,
            asked: HashMap::new(),
            reaped: Vec::new(),
        }
    }

    /// Sends a message whose answer will come out of [`reaped`](Self::reaped) with what it was for.
    pub(crate) fn submit(
        &mut self,
        message: BlockMessage,
        asked: Asked,
    ) -> Result<RequestId, Box<(PushError<BlockMessage>, Asked)>> {
        match self.link.submit(message) {
            Ok(id) => {
                self.asked.insert(id, asked);
                Ok(id)
            }
            Err(refused) => Err(Box::new((refused, asked))),
        }
    }

    pub(crate) fn flush(&mut self) -> Result<(), Closed> {
        self.link.flush()
    }

    /// Calls `each` on the answers that are there.
    pub(crate) fn take(
        &mut self,
        mut each: impl FnMut(RequestId, Asked, Result<BlockReply>),
    ) -> Result<(), Closed> {
        let result = self.link.reap(&mut self.reaped, REAP_MAX);
        for Completion { id, result } in self.reaped.drain(..) {
            if let Some(asked) = self.asked.remove(&id) {
                each(id, asked, result);
            }
        }
        result.map(|_| ())
    }

    /// Moves everything out, for whoever takes it over; this end is closed then.
    pub(crate) fn hand_over(&mut self) -> Self {
        std::mem::replace(self, Self::new(Box::new(Gone)))
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.link.in_flight()
    }

    /// Whether nothing is unanswered.
    pub(crate) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// For a connection whose worker is gone: takes the answers that are there, and appends the blocks that are nobody's
    /// now to `free`.
    pub(crate) fn reap(&mut self, free: &mut Vec<Block>) {
        let closed = self.take(|_, asked, result| match (asked, result) {
            (Asked::Blocks(_), Ok(BlockReply::Granted(addresses))) => {
                free.extend(addresses.into_iter().map(Block::granted));
            }
            (Asked::Name { block, .. }, result) => free.extend(unnamed(block, &result)),
            _ => {}
        });
        if closed.is_err() {
            self.asked.clear();
        }
    }
}

/// The end of a connection that somebody else took over.
struct Gone;

impl Worker<BlockMessage> for Gone {
    fn submit(&mut self, message: BlockMessage) -> Result<RequestId, PushError<BlockMessage>> {
        Err(PushError::Closed(message))
    }

    fn flush(&mut self) -> Result<(), Closed> {
        Err(Closed)
    }

    fn reap(&mut self, _: &mut Vec<Completion<BlockMessage>>, _: usize) -> Result<usize, Closed> {
        Err(Closed)
    }

    fn in_flight(&self) -> usize {
        0
    }
}

/// The block of an answered `Occupy`, if its bytes may be written again: only where the answer says that it got no name.
pub(crate) fn unnamed(block: Block, result: &Result<BlockReply>) -> Option<Block> {
    let free = match result {
        Ok(BlockReply::Occupied { unused }) => unused.is_some(),
        Ok(_) => false,
        Err(error) => matches!(
            error.kind(),
            ErrorKind::Full | ErrorKind::Unavailable | ErrorKind::Conflict
        ),
    };
    if free {
        return Some(block);
    }
    // The name owns the bytes now, or may own them.
    let _address = block.into_address();
    None
}
