//! The state of one request between its head and its answer.

use super::{buffers::Lease, upload::Upload};
use crate::Digest;
use quintet_net::http1::{RangeSpec, RequestHead, none_match};
use std::{cell::Cell, rc::Rc};

/// Where a request stands. What it holds goes back on drop: a put's block to its pool, a lease to its shelf.
pub(crate) enum Exchange {
    /// A body of known length, paused until there is a block for it.
    Hungry {
        /// The announced length.
        len_bytes: u64,
        permit: Permit,
    },
    /// A body of known length on its way into its block.
    Writing(Upload, Permit),
    /// A chunked body, whose length is known at its end.
    Gathering(Lease),
    /// A whole chunked body that waits for its turn or for a block.
    Gathered(Lease),
    /// A whole body in its block that waits to be named: for its turn, its digest or a credit.
    Written(Upload),
    /// A look-up that waits for its turn or for a credit.
    Look(Look),
    /// A deletion that waits for its turn or for a credit.
    Delete(Digest),
    /// A lock to be set, with its body: being gathered, or waiting for its turn or for a credit.
    Lock(Locking, Lease),
    /// A lock to be ended that waits for its turn or for a credit.
    Unlock(Locking),
    /// A question about locks that waits for its turn.
    Locks(Locking),
    /// Sent to the controller; the outcome comes under its ticket.
    Sent,
}

/// The right to have one more upload open. Counted until it is dropped.
pub(crate) struct Permit {
    open: Rc<Cell<usize>>,
}

impl Permit {
    /// `None` = as many as allowed are open.
    pub(crate) fn take(open: &Rc<Cell<usize>>, most: usize) -> Option<Self> {
        if open.get() >= most {
            return None;
        }
        open.set(open.get() + 1);
        Some(Self {
            open: Rc::clone(open),
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.open.set(self.open.get() - 1);
    }
}

/// Which lock a request is about; without a resource, all of the block's.
pub(crate) struct Locking {
    pub(crate) digest: Digest,
    pub(crate) resource: Vec<u8>,
}

impl Locking {
    pub(crate) fn new(digest: Digest, resource: &str) -> Self {
        let resource = resource.as_bytes().to_vec();
        Self { digest, resource }
    }
}

/// What a GET or HEAD asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) digest: Digest,
    pub(crate) wants: Wants,
}

/// How much of a block a GET or HEAD is to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    /// Its length alone.
    pub(crate) head_only: bool,
    /// Nothing, because the client says that it has the block; only whether the store has it too.
    pub(crate) unchanged: bool,
    /// A part of it.
    pub(crate) range: RangeSpec,
}

impl Wants {
    /// Reads the fields that say so.
    pub(crate) fn of(head: &RequestHead<'_>, digest: &Digest) -> Self {
        let head_only = head.method() == "HEAD";
        // A range is asked of what the client has a part of already: of something else it needs the whole.
        let range = match head.header("if-range") {
            _ if head_only => RangeSpec::Whole,
            Some(validator) if validator.trim() != etag(digest) => RangeSpec::Whole,
            _ => RangeSpec::parse(head.header("range")),
        };
        Self {
            head_only,
            unchanged: head
                .header("if-none-match")
                .is_some_and(|tags| none_match(Some(tags), &etag(digest))),
            range,
        }
    }
}

/// A block's entity tag: its name in double quotes. Its content never changes, so the tag is a strong one.
pub(crate) fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}
