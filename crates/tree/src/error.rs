//! What can go wrong in the tree, with the numbers that say how. Converts into [`quintet_core::Error`], which is what
//! crosses the traits; the typed error stays reachable there as the source.

use crate::Path;
use quintet_core::{Error, ErrorKind};
use std::{io, path::PathBuf};

/// The tree's error.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A name that this tree does not take.
    #[error("the name {name:?} {fault}")]
    Name {
        /// Its beginning.
        name: String,
        /// What is wrong with it.
        fault: String,
    },
    /// A path, or a document at its path, has too many levels.
    #[error("{depth} levels are more than the limit of {max}")]
    TooDeep {
        /// How many levels.
        depth: usize,
        /// The limit.
        max: usize,
    },
    /// A document, text or answer is larger than its limit.
    #[error("{what} of {len} is larger than the limit of {max}")]
    TooLarge {
        /// What was too large, with its unit.
        what: &'static str,
        /// How large.
        len: u64,
        /// The limit, which is configuration.
        max: u64,
    },
    /// Text that is not JSON, or a number that cannot be kept exactly.
    #[error("{fault} at line {line} column {column}")]
    Json {
        /// What is wrong.
        fault: String,
        /// Where, from 1 on.
        line: usize,
        /// Where in the line, in bytes from 1 on.
        column: usize,
    },
    /// A document that cannot be stored.
    #[error("the value at {path}: {fault}")]
    Value {
        /// Where in the tree.
        path: Path,
        /// What is wrong with it.
        fault: String,
    },
    /// One update changes a place and something below it.
    #[error("the update changes {path} and {below}, which is within it")]
    Overlap {
        /// The upper place.
        path: Path,
        /// The lower one.
        below: Path,
    },
    /// A query that makes no sense.
    #[error("the query {fault}")]
    Query {
        /// What is wrong with it.
        fault: String,
    },
    /// A guard refused.
    #[error("{reason}")]
    Denied {
        /// Its reason.
        reason: String,
    },
    /// A query without an index met more rows than it may scan.
    #[error(
        "the query scanned {scanned_rows} rows of {path} without an index on {index_on}, the limit; declare the index"
    )]
    Unindexed {
        /// What was queried.
        path: Path,
        /// What an index would have to be declared on.
        index_on: String,
        /// How many rows were looked at.
        scanned_rows: u64,
    },
    /// Not now: something bounded is in use to its bound.
    #[error("{what}, try again")]
    Busy {
        /// What is in use.
        what: &'static str,
    },
    /// The deadline passed before the request's turn came.
    #[error("the deadline passed {late_ms} ms before the request's turn came")]
    Deadline {
        /// By how much.
        late_ms: u64,
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
    #[error("{} is held by another process or another open tree", path.display())]
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
        /// Which row or file.
        place: String,
        /// What is wrong with it.
        fault: String,
    },
    /// A commit failed: the durable state is unknown and writes are refused until the tree is reopened.
    #[error("an earlier commit failed, writes are refused until the tree is reopened")]
    Poisoned,
    /// The tree is closed.
    #[error("the tree is closed")]
    Closed,
    /// The operating system refused an operation.
    #[error("{operation}: {source}")]
    Io {
        /// What was attempted, on what.
        operation: String,
        /// What the system said.
        source: io::Error,
    },
    /// LMDB refused an operation.
    #[error("LMDB: {fault}")]
    Lmdb {
        /// Whether it is for lack of space, in the map or on the disk.
        full: bool,
        /// What it said.
        fault: String,
    },
    /// An error that came through a trait.
    #[error(transparent)]
    Core(#[from] Error),
}

impl TreeError {
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
            Self::Name { .. }
            | Self::TooDeep { .. }
            | Self::Json { .. }
            | Self::Value { .. }
            | Self::Overlap { .. }
            | Self::Query { .. }
            | Self::Unindexed { .. }
            | Self::Config { .. } => ErrorKind::InvalidInput,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Denied { .. } => ErrorKind::PermissionDenied,
            Self::Busy { .. } | Self::Locked { .. } => ErrorKind::Unavailable,
            Self::Deadline { .. } => ErrorKind::TimedOut,
            Self::Version { .. } => ErrorKind::Unsupported,
            Self::Corrupted { .. } => ErrorKind::Corrupted,
            Self::Poisoned => ErrorKind::Poisoned,
            Self::Closed => ErrorKind::Closed,
            Self::Io { source, .. } => io_kind(source),
            Self::Lmdb { full: true, .. } => ErrorKind::Full,
            Self::Lmdb { full: false, .. } => ErrorKind::Io,
            Self::Core(error) => error.kind(),
        }
    }
}

pub(crate) fn io_kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorKind::Full
        }
        _ => ErrorKind::Io,
    }
}

impl From<heed::Error> for TreeError {
    fn from(error: heed::Error) -> Self {
        use heed::MdbError;
        let full = match &error {
            heed::Error::Mdb(MdbError::ReadersFull) => {
                return Self::Busy {
                    what: "every reader slot is in use",
                };
            }
            heed::Error::Mdb(MdbError::MapFull) => true,
            heed::Error::Io(error) => io_kind(error) == ErrorKind::Full,
            _ => false,
        };
        Self::Lmdb {
            full,
            fault: error.to_string(),
        }
    }
}

impl From<TreeError> for Error {
    /// Keeps the typed error as the source, for those who need its fields.
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Core(error) => error,
            other => Self::new(other.kind(), other.to_string()).with_source(other),
        }
    }
}
