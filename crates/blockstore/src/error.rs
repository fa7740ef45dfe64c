//! What can go wrong in the block store, with the numbers that say how. Converts into [`quintet_core::Error`], which is
//! what crosses the traits; the typed error stays reachable there as the source.

use crate::Digest;
use crate::buddy::BuddyError;
use quintet_core::{BlockAddress, Error, ErrorKind};
use std::{io, path::PathBuf};

/// The block store's error.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// A body of no bytes has no block.
    #[error("an empty body cannot be stored")]
    Empty,
    /// The body, key or value is larger than the limit.
    #[error("{what} of {len_bytes} bytes is larger than the limit of {max_bytes} bytes")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// Its length.
        len_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// A key is empty.
    #[error("a key must have at least one byte")]
    EmptyKey,
    /// Fewer or more bytes were written than announced.
    #[error("{written_bytes} bytes were written of a body announced as {announced_bytes}")]
    WrongLength {
        /// What `begin_put` was told.
        announced_bytes: u64,
        /// What came.
        written_bytes: u64,
    },
    /// No block under this name.
    #[error("no block is named {digest}")]
    NotFound {
        /// The name that was asked for.
        digest: Digest,
    },
    /// The holder of a lock needs a name.
    #[error("the name of a resource must have at least one byte")]
    EmptyResource,
    /// The block may not be deleted.
    #[error("{digest} is locked {locks} times, it cannot be deleted")]
    LockedBlock {
        /// The block's name.
        digest: Digest,
        /// How many locks it has.
        locks: u32,
    },
    /// A block has as many locks as it may have.
    #[error("{digest} has {max} locks already, the most that it may have")]
    TooManyLocks {
        /// The block's name.
        digest: Digest,
        /// The limit.
        max: u32,
    },
    /// No lock of this holder on the block.
    #[error("{digest} is not locked for `{}`", resource.escape_ascii())]
    NoLock {
        /// The block's name.
        digest: Digest,
        /// The holder.
        resource: Vec<u8>,
    },
    /// No free block is large enough and the file may not grow.
    #[error("a block of {requested_bytes} bytes does not fit, {free_bytes} bytes are free")]
    NoSpace {
        /// The size of the block.
        requested_bytes: u64,
        /// All free bytes, in whatever pieces.
        free_bytes: u64,
    },
    /// A message asks for no block, or for too many at once.
    #[error("a message is about 1 to {max} blocks, this one about {count}")]
    BadCount {
        /// How many it is about.
        count: u64,
        /// The most it may be about.
        max: u32,
    },
    /// The address is not one that was handed out and is still unnamed.
    #[error("{address} is not handed out")]
    NotOutstanding {
        /// The refused address.
        address: BlockAddress,
    },
    /// The same name with another length: one of the two lengths is a lie.
    #[error("{digest} is stored with {stored_bytes} bytes, not {offered_bytes}")]
    LengthConflict {
        /// The block's name.
        digest: Digest,
        /// What its record says.
        stored_bytes: u32,
        /// What the message says.
        offered_bytes: u32,
    },
    /// The allocator refused an address.
    #[error(transparent)]
    Buddy(#[from] BuddyError),
    /// Not now: a bounded buffer is full until a checkpoint or a completion empties it.
    #[error("{what} is full, try again")]
    Busy {
        /// Which buffer.
        what: &'static str,
    },
    /// A field of the configuration is out of its range.
    #[error("configuration field `{field}` is {got}, it must be {bound}")]
    Config {
        /// The field's name.
        field: &'static str,
        /// The value given.
        got: String,
        /// The range it must be in.
        bound: String,
    },
    /// Another process has the directory open.
    #[error("{} is held by another process or another open store", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The directory was written by something else, or by another version.
    #[error("{} says `{found}`, this build reads `{expected}`", path.display())]
    Version {
        /// The version file.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// Stored bytes are not what was written.
    #[error("{place}: {fault}")]
    Corrupted {
        /// Which file, table or record.
        place: String,
        /// What is wrong with it.
        fault: String,
    },
    /// A flush or commit failed: the durable state is unknown and writes are refused until the store is reopened.
    #[error("an earlier write or flush failed, writes are refused until the store is reopened")]
    Poisoned,
    /// The store or its controller is closed.
    #[error("the store is closed")]
    Closed,
    /// The operating system refused an operation.
    #[error("{operation}: {source}")]
    Io {
        /// What was attempted, on what.
        operation: String,
        /// What the system said.
        source: io::Error,
    },
    /// The checkpoint store refused an operation.
    #[error("the checkpoint store: {fault}")]
    Lmdb {
        /// Whether it is for lack of space.
        full: bool,
        /// What it said.
        fault: String,
    },
    /// An error that came through a trait, from the log or the controller.
    #[error(transparent)]
    Core(#[from] Error),
}

impl BlockError {
    /// Wraps an operating system's error with what was attempted.
    pub(crate) fn io(operation: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            operation: operation.into(),
            source,
        }
    }

    /// Damage found at `place`.
    pub(crate) fn corrupted(place: impl Into<String>, fault: impl Into<String>) -> Self {
        Self::Corrupted {
            place: place.into(),
            fault: fault.into(),
        }
    }

    /// The kind to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Empty
            | Self::EmptyKey
            | Self::EmptyResource
            | Self::WrongLength { .. }
            | Self::BadCount { .. }
            | Self::NotOutstanding { .. }
            | Self::Buddy(_)
            | Self::Config { .. } => ErrorKind::InvalidInput,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::NotFound { .. } | Self::NoLock { .. } => ErrorKind::NotFound,
            Self::NoSpace { .. } | Self::Lmdb { full: true, .. } => ErrorKind::Full,
            Self::LengthConflict { .. } | Self::LockedBlock { .. } | Self::TooManyLocks { .. } => {
                ErrorKind::Conflict
            }
            Self::Busy { .. } | Self::Locked { .. } => ErrorKind::Unavailable,
            Self::Version { .. } => ErrorKind::Unsupported,
            Self::Corrupted { .. } => ErrorKind::Corrupted,
            Self::Poisoned => ErrorKind::Poisoned,
            Self::Closed => ErrorKind::Closed,
            Self::Io { source, .. } => io_kind(source),
            Self::Lmdb { full: false, .. } => ErrorKind::Io,
            Self::Core(error) => error.kind(),
        }
    }
}

fn io_kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorKind::Full
        }
        _ => ErrorKind::Io,
    }
}

impl From<BlockError> for Error {
    /// Keeps the typed error as the source, for those who need its fields.
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::Core(error) => error,
            other => Self::new(other.kind(), other.to_string()).with_source(other),
        }
    }
}
