//! What can go wrong in this crate, with named fields. Converts into [`quintet_core::Error`]; code acts on its kind.

use quintet_core::{Error, ErrorKind};

/// An error of the datastore.
#[non_exhaustive]
#[derive(Clone, Debug, thiserror::Error)]
pub enum KvError {
    /// The value under the key is of another kind than the operation needs.
    #[error("{operation} needs {expected} at key `{key}`, there is {found}")]
    WrongType {
        /// Which operation.
        operation: &'static str,
        /// The key, with escapes.
        key: String,
        /// What it can work on.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// The operation needs a key that is not there.
    #[error("{operation}: key `{key}` does not exist")]
    Missing {
        /// Which operation.
        operation: &'static str,
        /// The key, with escapes.
        key: String,
    },
    /// The operation needs a name that is taken.
    #[error("{operation}: key `{key}` already exists")]
    Exists {
        /// Which operation.
        operation: &'static str,
        /// The key, with escapes.
        key: String,
    },
    /// A sum that no number can hold.
    #[error("{operation} on key `{key}` leaves the range of numbers")]
    Overflow {
        /// Which operation.
        operation: &'static str,
        /// The key, with escapes.
        key: String,
    },
    /// An argument that cannot be used.
    #[error("{operation}: {reason}")]
    Argument {
        /// Which operation.
        operation: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A value above the configured limit.
    #[error("a value of {len_bytes} bytes is over the limit of {limit_bytes} bytes (max_value_bytes)")]
    TooLarge {
        /// Its size.
        len_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The memory limit is reached.
    #[error("the store holds {used_bytes} bytes, {wanted_bytes} more are over its limit of {limit_bytes}")]
    OutOfMemory {
        /// What it holds.
        used_bytes: u64,
        /// What the operation would add.
        wanted_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// A change to a store that was opened read-only.
    #[error("{operation}: the store is read-only")]
    ReadOnly {
        /// Which operation.
        operation: &'static str,
    },
    /// The deadline came first.
    #[error("{operation}: the deadline passed for key `{key}`")]
    TimedOut {
        /// Which operation.
        operation: &'static str,
        /// The key, with escapes.
        key: String,
    },
    /// The wait was cancelled.
    #[error("{operation}: the wait was cancelled")]
    Cancelled {
        /// Which operation.
        operation: &'static str,
    },
    /// More waiters than configured.
    #[error("{limit} operations wait already (max_waiters)")]
    TooManyWaiters {
        /// The limit.
        limit: usize,
    },
    /// A setting is out of range.
    #[error("{field} = {value} is out of range: {bound}")]
    Config {
        /// The setting.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        bound: &'static str,
    },
    /// A namespace was configured before.
    #[error("namespace `{name}` is configured already; configure it in one place and open it elsewhere")]
    Configured {
        /// The namespace.
        name: String,
    },
    /// Another party changed what a batch was made for.
    #[error("key `{key}` was changed by another party before the commit")]
    Conflict {
        /// The key, with escapes.
        key: String,
    },
    /// Stored bytes are not what was written.
    #[error("{what}: {reason}")]
    Damaged {
        /// Which record or file.
        what: String,
        /// What was found.
        reason: String,
    },
}

impl KvError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::WrongType { .. } | Self::Overflow { .. } | Self::Argument { .. } | Self::Config { .. } => {
                ErrorKind::InvalidInput
            }
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::Exists { .. } | Self::Configured { .. } => ErrorKind::AlreadyExists,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::OutOfMemory { .. } => ErrorKind::Full,
            Self::ReadOnly { .. } => ErrorKind::PermissionDenied,
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::Cancelled { .. } => ErrorKind::Closed,
            Self::TooManyWaiters { .. } => ErrorKind::Unavailable,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Damaged { .. } => ErrorKind::Corrupted,
        }
    }
}

impl From<KvError> for Error {
    fn from(error: KvError) -> Self {
        Self::new(error.kind(), error.to_string()).with_source(error)
    }
}

/// A key as it stands in a message.
pub(crate) fn show(key: &[u8]) -> String {
    let mut text = key.escape_ascii().to_string();
    if text.len() > 80 {
        text.truncate(77);
        text.push_str("...");
    }
    text
}
