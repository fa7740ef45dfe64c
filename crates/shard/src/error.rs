//! What can go wrong in this crate, with named fields. Converts into [`quintet_core::Error`]; the typed error stays its
//! source.

use crate::ShardId;
use quintet_core::{Error, ErrorKind};

/// An error of the engine itself. What a handler answers passes through unchanged.
#[non_exhaustive]
#[derive(Clone, Debug, thiserror::Error)]
pub enum ShardError {
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
    /// A router or a caller named a shard that is not there.
    #[error("there is no {shard}, the engine has {shards}")]
    NoSuchShard {
        /// The shard that was named.
        shard: ShardId,
        /// How many there are.
        shards: usize,
    },
    /// A handler panicked. Its shard stands still until it is restarted; the others go on.
    #[error("the handler of {shard} panicked: {message}")]
    Panicked {
        /// Whose handler.
        shard: ShardId,
        /// What the panic said.
        message: String,
    },
    /// The shard does not run; nothing was sent to it. Restart it.
    #[error("{shard} does not run ({cause}); restart it")]
    Down {
        /// Which one.
        shard: ShardId,
        /// Why it ended.
        #[source]
        cause: Error,
    },
    /// The shard ended while the request was in flight: whether it took effect is unknown.
    #[error("{shard} ended while the request was in flight; its outcome is unknown")]
    Lost {
        /// Which one.
        shard: ShardId,
    },
    /// The shard is being restarted by another thread.
    #[error("{shard} is being restarted already")]
    Restarting {
        /// Which one.
        shard: ShardId,
    },
    /// The engine was shut down.
    #[error("the engine was shut down")]
    Stopped,
    /// No answer came in time; the outcome is unknown.
    #[error("{shard} did not answer within {timeout_ms} ms; the outcome is unknown")]
    TimedOut {
        /// Which one.
        shard: ShardId,
        /// How long the caller waited.
        timeout_ms: u128,
    },
    /// The map would outgrow its budget.
    #[error("{needed_bytes} bytes are needed, the map holds {used_bytes} of {limit_bytes}")]
    MapFull {
        /// What the write would add.
        needed_bytes: usize,
        /// What is stored.
        used_bytes: usize,
        /// The configured limit.
        limit_bytes: usize,
    },
}

impl ShardError {
    /// What to act on.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. } | Self::NoSuchShard { .. } => ErrorKind::InvalidInput,
            Self::Panicked { .. } | Self::Down { .. } => ErrorKind::Poisoned,
            Self::Lost { .. } | Self::Stopped => ErrorKind::Closed,
            Self::Restarting { .. } => ErrorKind::Conflict,
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::MapFull { .. } => ErrorKind::Full,
        }
    }
}

impl From<ShardError> for Error {
    fn from(error: ShardError) -> Self {
        Self::new(error.kind(), error.to_string()).with_source(error)
    }
}
