//! What can go wrong with vectors: every refusal names the field, and the point when there are several.

use crate::vector::PointId;
use quintet_core::{Error, ErrorKind};
use std::path::PathBuf;

/// An error of the vector store.
#[non_exhaustive]
#[derive(Clone, Debug, thiserror::Error)]
pub enum VectorError {
    /// A field of a request is out of its range.
    #[error("{field}: {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it, and what is allowed.
        reason: String,
    },
    /// A point of a batch is unfit; nothing of the batch was stored.
    #[error("points[{index}] (id {id}): {field}: {reason}; nothing of the batch was stored")]
    Point {
        /// Its place in the batch, from 0.
        index: usize,
        /// Its id.
        id: PointId,
        /// The field of it.
        field: &'static str,
        /// What is wrong, and what is allowed.
        reason: String,
    },
    /// There is no such collection.
    #[error("there is no collection `{name}`")]
    NoCollection {
        /// The name that was asked for.
        name: String,
    },
    /// There is a collection of that name.
    #[error("there is a collection `{name}` already")]
    CollectionExists {
        /// The name.
        name: String,
    },
    /// The collection's budget does not allow for more: not for the batch at all, or, where points may go to files, not for
    /// what each takes in memory all the same.
    #[error("collection `{name}`: {needed_bytes} bytes are needed, {used_bytes} of {budget_bytes} are used")]
    OverBudget {
        /// The collection.
        name: String,
        /// What the batch needs.
        needed_bytes: u64,
        /// What is stored or on its way.
        used_bytes: u64,
        /// The collection's budget.
        budget_bytes: u64,
    },
    /// More points wait for the index than may; it takes them in all the while, so try again.
    #[error(
        "collection `{name}`: {waiting_points} points wait for the index, at most {limit_points} may; try again"
    )]
    IndexBehind {
        /// The collection.
        name: String,
        /// How many wait.
        waiting_points: u64,
        /// The configured limit.
        limit_points: usize,
    },
    /// Some shards did not do their part.
    #[error("{done} of {total} points were done, the outcome of the others: {cause}")]
    Partial {
        /// Points whose shards answered well.
        done: usize,
        /// Points of the batch.
        total: usize,
        /// The first shard's error.
        #[source]
        cause: Error,
    },
    /// The files were made with another number of shards.
    #[error("the store was made with {stored} shards, the configuration says {configured}")]
    ShardCount {
        /// In the manifest.
        stored: usize,
        /// In the configuration.
        configured: usize,
    },
    /// Another store, perhaps in another process, has the files.
    #[error("{} is locked: another store has these files", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The shard ended while its snapshot was being written; the one before stays.
    #[error("the snapshot was given up")]
    GivenUp,
    /// Stored bytes are not what was written.
    #[error("{what} is damaged: {reason}")]
    Damaged {
        /// Which item.
        what: &'static str,
        /// What was found.
        reason: String,
    },
    /// A file of the cold tier is not what was written.
    #[error("{file} is damaged: {reason}")]
    ColdFile {
        /// Its name, in its shard's folder.
        file: String,
        /// What was found.
        reason: String,
    },
    /// Points could not be moved to a file to make room.
    #[error("no room could be made by moving points to {file}: {cause}")]
    Cooling {
        /// Its name, in its shard's folder.
        file: String,
        /// The failure.
        #[source]
        cause: Error,
    },
    /// A change of the manifest failed; whether it is stored shows at the next open.
    #[error("the manifest could not be written ({cause}); reopen the store")]
    Manifest {
        /// The failure.
        #[source]
        cause: Error,
    },
}

impl VectorError {
    pub(crate) fn field(field: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Field { field, reason }
    }

    pub(crate) fn damaged(what: &'static str, reason: impl Into<String>) -> Error {
        let reason = reason.into();
        Self::Damaged { what, reason }.into()
    }

    pub(crate) fn cold_file(file: &str, reason: &str) -> Error {
        let (file, reason) = (file.to_owned(), reason.to_owned());
        Self::ColdFile { file, reason }.into()
    }

    /// What to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Field { .. } | Self::Point { .. } => ErrorKind::InvalidInput,
            Self::NoCollection { .. } => ErrorKind::NotFound,
            Self::CollectionExists { .. } => ErrorKind::AlreadyExists,
            Self::OverBudget { .. } => ErrorKind::Full,
            Self::Partial { cause, .. } | Self::Cooling { cause, .. } => cause.kind(),
            Self::ShardCount { .. } => ErrorKind::Conflict,
            Self::Locked { .. } | Self::IndexBehind { .. } => ErrorKind::Unavailable,
            Self::GivenUp => ErrorKind::Closed,
            Self::Damaged { .. } | Self::ColdFile { .. } => ErrorKind::Corrupted,
            Self::Manifest { .. } => ErrorKind::Poisoned,
        }
    }
}

impl From<VectorError> for Error {
    fn from(error: VectorError) -> Self {
        Self::new(error.kind(), error.to_string()).with_source(error)
    }
}
