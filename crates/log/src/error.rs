//! What can go wrong in this crate, with named fields. Converts into [`quintet_core::Error`] at every public function;
//! the typed error stays its source.

use quintet_core::{Error, ErrorKind};

/// An error of the log, a snapshot or a file of the seam.
#[non_exhaustive]
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// A stored byte is not what was written, and not the torn end of the log either.
    #[error("{file} at byte {offset_bytes}: {reason}")]
    Damaged {
        /// The file's name.
        file: String,
        /// Where the first bad bytes lie.
        offset_bytes: u64,
        /// What was found.
        reason: String,
    },
    /// The log begins after the first record that was asked for.
    #[error("records from {wanted} on were asked for, the log begins at {first}")]
    Missing {
        /// The first record that the caller lacks.
        wanted: u64,
        /// The first record that there is.
        first: u64,
    },
    /// For a replay to answer: the record names bytes, in a companion file, that are not there. The log then ends before
    /// that record, unless the record is known to have been durable.
    #[error("record {seq} names bytes that are not there")]
    BytesMissing {
        /// The record.
        seq: u64,
    },
    /// A file was written by a version that this build does not read.
    #[error("{file} has format version {version}, this build reads up to {supported}")]
    Version {
        /// The file's name.
        file: String,
        /// The version found.
        version: u32,
        /// The newest version that can be read.
        supported: u32,
    },
    /// A record is over the limit.
    #[error("a record of {len_bytes} bytes is over the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The record's length.
        len_bytes: usize,
        /// The configured limit.
        limit_bytes: usize,
    },
    /// A setting is out of range.
    #[error("{field} = {value} is out of range: {bound}")]
    Config {
        /// The setting.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        bound: String,
    },
    /// An earlier write or flush failed; what was in flight may or may not be stored.
    #[error("an earlier write or flush failed ({cause}); reopen the log to learn what was stored")]
    Poisoned {
        /// The failure.
        #[source]
        cause: Error,
    },
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
    /// The deadline passed before the record was durable.
    #[error("record {seq} was not durable before the deadline")]
    TimedOut {
        /// The record that was waited for.
        seq: u64,
    },
    /// A wait for a record that was never appended.
    #[error("record {seq} was never appended, the last is {last}")]
    NotAppended {
        /// The record that was asked about.
        seq: u64,
        /// The last record there is.
        last: u64,
    },
    /// More wakers than the log keeps.
    #[error("the log keeps at most {limit} wakers")]
    TooManyWakers {
        /// The limit.
        limit: usize,
    },
}

impl LogError {
    pub(crate) fn damaged(file: &str, offset_bytes: u64, reason: impl Into<String>) -> Error {
        Self::Damaged {
            file: file.to_owned(),
            offset_bytes,
            reason: reason.into(),
        }
        .into()
    }

    /// Whether a replay answered [`LogError::BytesMissing`].
    pub(crate) fn is_bytes_missing(error: &Error) -> bool {
        let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
        matches!(source, Some(Self::BytesMissing { .. }))
    }

    /// What to act on.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Damaged { .. } | Self::Missing { .. } | Self::BytesMissing { .. } => ErrorKind::Corrupted,
            Self::Version { .. } => ErrorKind::Unsupported,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Config { .. } | Self::NotAppended { .. } => ErrorKind::InvalidInput,
            Self::Poisoned { .. } => ErrorKind::Poisoned,
            Self::Closed => ErrorKind::Closed,
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::TooManyWakers { .. } => ErrorKind::Unavailable,
        }
    }
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        Self::new(error.kind(), error.to_string()).with_source(error)
    }
}
