//! What a worker asks the controller, and in which order a batch is served.
//!
//! Order inside a batch, by rank: `GetAddress` (a pure read, answered at once), then `Release` and `Return`, which make
//! space, and `Unlock`, then `Allocate`, which takes it, then `Occupy`, which names blocks, and `Lock`. What changes
//! records waits for the commit; a grant of blocks is volatile by design, because unnamed blocks vanish in a crash.

use crate::{Digest, record::Record};
use quintet_core::{BlockAddress, Message, SizeClass};

/// A request to the block controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockMessage {
    /// Where is the block of this name? Answers [`BlockReply::Address`] or `NotFound`. The asker must hold an
    /// [epoch pin](crate::epoch) taken before this was sent, for as long as it reads.
    GetAddress {
        /// The block's name.
        digest: Digest,
    },
    /// Forget the name; its block becomes free when nothing can read it any more. Answers [`BlockReply::Released`],
    /// `NotFound`, or `Conflict` while the block is locked.
    Release {
        /// The block's name.
        digest: Digest,
    },
    /// Gives unnamed blocks back. Answers [`BlockReply::Returned`]; refused as a whole with `InvalidInput` when one
    /// address is not handed out.
    Return {
        /// The blocks.
        addresses: Vec<BlockAddress>,
    },
    /// Ends a lock. Answers [`BlockReply::Unlocked`] or `NotFound`.
    Unlock {
        /// The block's name.
        digest: Digest,
        /// The lock's holder.
        resource: Vec<u8>,
    },
    /// Cut the data file off behind its last taken block. Answers [`BlockReply::Trimmed`].
    Trim,
    /// Give the storage of free blocks back, from a 4 KiB block of the file on, a bounded number of them. Answers
    /// [`BlockReply::Punched`].
    Punch {
        /// Where to begin.
        from_block: u64,
    },
    /// Asks for at most `count` blocks. Answers [`BlockReply::Granted`] with at least one, or `Full`.
    Allocate {
        /// Of which size.
        class: SizeClass,
        /// How many, 1 to [`BlockMessage::MAX_COUNT`].
        count: u32,
    },
    /// Names a block that was handed out and whose bytes are written. Answers [`BlockReply::Occupied`].
    Occupy {
        /// The SHA-256 of the content.
        digest: Digest,
        /// The block that holds it.
        address: BlockAddress,
        /// The content's length.
        len_bytes: u32,
    },
    /// Locks a block, or replaces its holder's lock. Answers [`BlockReply::Locked`] or `NotFound`.
    Lock {
        /// The block's name.
        digest: Digest,
        /// The holder.
        resource: Vec<u8>,
        /// What the holder keeps with the lock.
        body: Vec<u8>,
    },
}

/// The answer to a [`BlockMessage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockReply {
    /// Where the block lies and how long its content is.
    Address(Record),
    /// The name is forgotten.
    Released,
    /// The blocks are free.
    Returned,
    /// These blocks may be written by the asker. At least one, perhaps fewer than asked for.
    Granted(Vec<BlockAddress>),
    /// The content has its name.
    Occupied {
        /// The offered block, when the content was stored already: it is still handed out to the asker.
        unused: Option<BlockAddress>,
    },
    /// The block is locked for the holder.
    Locked,
    /// The lock has ended.
    Unlocked,
    /// The data file ends behind its last taken block.
    Trimmed {
        /// Its length now.
        file_bytes: u64,
    },
    /// Storage of free blocks was given back.
    Punched {
        /// Where to go on; `None` = the file's end was reached.
        next_block: Option<u64>,
        /// The bytes of the free blocks that were met.
        bytes: u64,
    },
}

impl BlockMessage {
    /// The most blocks that one `Allocate` or `Return` may be about.
    pub const MAX_COUNT: u32 = 1024;
}

impl Message for BlockMessage {
    type Reply = BlockReply;

    fn rank(&self) -> u8 {
        match self {
            Self::GetAddress { .. } => 0,
            Self::Release { .. }
            | Self::Unlock { .. }
            | Self::Return { .. }
            | Self::Trim
            | Self::Punch { .. } => 1,
            Self::Allocate { .. } => 2,
            Self::Occupy { .. } | Self::Lock { .. } => 3,
        }
    }

    fn awaits_commit(&self) -> bool {
        !matches!(
            self,
            Self::GetAddress { .. }
                | Self::Return { .. }
                | Self::Trim
                | Self::Punch { .. }
                | Self::Allocate { .. }
        )
    }
}
