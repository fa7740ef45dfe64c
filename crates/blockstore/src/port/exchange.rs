//! The state of one request between its head and its answer.

use super::buffers::Lease;
use crate::{Digest, Put};

/// Where a request stands. What it holds goes back on drop: a put's block to its pool, a lease to its shelf.
pub(crate) enum Exchange {
    /// A body of known length, paused until there is a block for it.
    Hungry {
        /// The announced length.
        len_bytes: u64,
    },
    /// A body of known length on its way into its block.
    Writing(Put),
    /// A chunked body, whose length is known at its end.
    Gathering(Lease),
    /// A whole chunked body that waits for its turn or for a block.
    Gathered(Lease),
    /// A whole body in its block that waits to be named: for its turn, or for a credit.
    Written(Put),
    /// A look-up that waits for its turn or for a credit.
    Look(Look),
    /// A deletion that waits for its turn or for a credit.
    Delete(Digest),
    /// Sent to the controller; the outcome comes under its ticket.
    Sent,
}

/// What a GET or HEAD asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) digest: Digest,
    pub(crate) head_only: bool,
}
