//! [`Error`]: why a transaction or an operation on a context did not happen; converts into [`quintet_core::Error`].

use quintet_core::ErrorKind;
use std::{error::Error as StdError, fmt, sync::Arc};

/// Why nothing happened. Names the key and the reason; after any of these the state is as before, except that a raw
/// transaction keeps the writes it made before it failed.
#[non_exhaustive]
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Others were first, as often as this transaction was allowed to try.
    #[error("{} changed by {rival}, after {attempts} attempts", Keys(keys))]
    Conflict {
        /// What changed under the transaction in its last attempt.
        keys: Vec<String>,
        /// Who changed the first of them last, as far as known.
        rival: String,
        /// How often the body ran.
        attempts: u32,
    },
    /// The transaction's own body refused.
    #[error("the transaction's body failed: {0}")]
    Body(Arc<dyn StdError + Send + Sync>),
    /// A transaction was started inside another one on the same thread.
    #[error("a transaction cannot start inside another one on the same thread")]
    Nested,
    /// `retry` before anything was read: nothing could ever wake it.
    #[error("retry without having read anything would sleep for ever")]
    NothingToWaitFor,
    /// `retry` in a raw transaction that has written: running it again would write twice.
    #[error("a raw transaction cannot retry after it has written")]
    RawRetry,
    /// Nothing that was read changed in time.
    #[error("nothing that was read changed within {waited_ms} ms")]
    TimedOut {
        /// How long the transaction slept.
        waited_ms: u64,
    },
    /// A number left its range.
    #[error("{key}: {current} plus {delta} is beyond a 64-bit counter")]
    Overflow {
        /// Which variable.
        key: String,
        /// Its value.
        current: i64,
        /// What was to be added.
        delta: i64,
    },
    /// A limit of the configuration.
    #[error("{at}: {what} is {size}, the limit is {limit}")]
    TooLarge {
        /// Where: a path, or `transaction`.
        at: String,
        /// What is too large, with its unit.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The path is not one.
    #[error("path `{path}`: {reason}")]
    InvalidPath {
        /// As it was given, cut to a readable length.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The value is not of the kind that the operation or the schema needs.
    #[error("{path}: expected {expected}, found {found}")]
    TypeClash {
        /// Which path.
        path: String,
        /// The kind needed.
        expected: String,
        /// The kind found.
        found: String,
    },
    /// The zone of the path does not allow the operation.
    #[error("{path}: zone {zone} does not allow {capability}")]
    Forbidden {
        /// Which path.
        path: String,
        /// Its zone.
        zone: &'static str,
        /// What was tried.
        capability: &'static str,
    },
    /// The schema refuses the state that the transaction would leave.
    #[error("{path}: {reason}")]
    Schema {
        /// Which path.
        path: String,
        /// Which rule, and how it is broken.
        reason: String,
    },
    /// An operation, a schema or a configuration that cannot be understood.
    #[error("{at}: {reason}")]
    InvalidOperation {
        /// Where: an index, a field or a path.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// A process did what its contract does not name.
    #[error("process `{process}`: {what} `{path}`{}", Advice(advice))]
    Violation {
        /// Which process.
        process: String,
        /// What it did, as in `wrote`.
        what: &'static str,
        /// The path, topic or error.
        path: String,
        /// What would allow it; empty when nothing would.
        advice: &'static str,
    },
    /// A process ended with an error that its contract names.
    #[error("process `{process}` failed with {name}: {message}")]
    ProcessFailed {
        /// Which process.
        process: String,
        /// The error's name in the contract.
        name: String,
        /// What it said.
        message: String,
    },
    /// A process panicked. What it wrote is undone, except by a raw one.
    #[error("process `{process}` panicked: {message}")]
    Panicked {
        /// Which process.
        process: String,
        /// What it said.
        message: String,
    },
    /// A rule of the audit acted.
    #[error("process `{process}`: audit level {level}: {message}")]
    Audit {
        /// Which process.
        process: String,
        /// Which path.
        field: String,
        /// The rule's level.
        level: crate::Level,
        /// Which rule, and how it is broken.
        message: String,
    },
    /// It was cancelled before it could commit.
    #[error("cancelled")]
    Cancelled,
    /// It was not ready to commit in time.
    #[error("not done within {limit_ms} ms")]
    DeadlinePassed {
        /// How long it had.
        limit_ms: u64,
    },
    /// A version that is not kept any more, or not reached yet.
    #[error("version {version} is outside the kept history {oldest}..={newest}")]
    NoSuchVersion {
        /// What was asked for.
        version: u64,
        /// The oldest that can be rebuilt.
        oldest: u64,
        /// The newest.
        newest: u64,
    },
    /// The log refused, or an earlier failure of it makes the durable state unknown.
    #[error("the log refused: {0}")]
    Log(quintet_core::Error),
    /// A stored record is not what was written.
    #[error("record of version {version}: {reason}")]
    Corrupted {
        /// The version of the last good record.
        version: u64,
        /// What is wrong.
        reason: String,
    },
}

/// The result of operations in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

struct Keys<'a>(&'a [String]);

impl fmt::Display for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, key) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            f.write_str(key)?;
        }
        Ok(())
    }
}

struct Advice<'a>(&'a str);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, ", {}", self.0)
    }
}

impl Error {
    /// The kind that ports and callers act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Nested | Self::NothingToWaitFor | Self::RawRetry => ErrorKind::Unsupported,
            Self::TimedOut { .. } | Self::DeadlinePassed { .. } => ErrorKind::TimedOut,
            Self::Cancelled => ErrorKind::Closed,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Forbidden { .. } | Self::Violation { .. } => ErrorKind::PermissionDenied,
            Self::NoSuchVersion { .. } => ErrorKind::NotFound,
            Self::Log(error) => error.kind(),
            Self::Corrupted { .. } => ErrorKind::Corrupted,
            Self::Body(_)
            | Self::ProcessFailed { .. }
            | Self::Panicked { .. }
            | Self::Audit { .. }
            | Self::Overflow { .. }
            | Self::InvalidPath { .. }
            | Self::TypeClash { .. }
            | Self::Schema { .. }
            | Self::InvalidOperation { .. } => ErrorKind::InvalidInput,
        }
    }
}

impl From<Error> for quintet_core::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string()).with_source(error)
    }
}
