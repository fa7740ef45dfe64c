//! The message that all five engines answer: get, put, add and delete on byte keys. It is what makes them comparable.

use crate::{Error, ErrorKind, Message, Result};

/// One operation on one key. Keys and values are bytes.
///
/// A counter is a value of exactly 8 bytes, a little-endian `i64`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Keyed {
    /// Answers [`KeyedReply::Value`], from committed state.
    Get {
        /// Which key.
        key: Vec<u8>,
    },
    /// Sets the value, whatever was there. Answers [`KeyedReply::Stored`].
    Put {
        /// Which key.
        key: Vec<u8>,
        /// Its new value.
        value: Vec<u8>,
    },
    /// Adds to a counter; a missing key counts from 0. Answers [`KeyedReply::Sum`], or
    /// [`ErrorKind::InvalidInput`] when the value is not a counter or the sum leaves `i64`.
    Add {
        /// Which key.
        key: Vec<u8>,
        /// What to add; may be negative.
        delta: i64,
    },
    /// Removes the key. Answers [`KeyedReply::Deleted`].
    Delete {
        /// Which key.
        key: Vec<u8>,
    },
}

/// The answer to a [`Keyed`] message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyedReply {
    /// The value, or `None` for a missing key.
    Value(Option<Vec<u8>>),
    /// The value is set.
    Stored,
    /// The counter's new value.
    Sum(i64),
    /// Whether there was something to remove.
    Deleted(bool),
}

impl Message for Keyed {
    type Reply = KeyedReply;

    fn rank(&self) -> u8 {
        match self {
            Self::Get { .. } => 0,
            Self::Put { .. } | Self::Add { .. } | Self::Delete { .. } => 1,
        }
    }
}

impl Keyed {
    /// The key that the operation is about.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Get { key } | Self::Put { key, .. } | Self::Add { key, .. } | Self::Delete { key } => key,
        }
    }

    /// What [`Keyed::Add`] does to a stored value, for every engine alike: the new sum.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when `current` is not 8 bytes long or the sum leaves `i64`.
    pub fn add_to(current: Option<&[u8]>, delta: i64) -> Result<i64> {
        let old = match current {
            None => 0,
            Some(bytes) => i64::from_le_bytes(bytes.try_into().map_err(|_| {
                let len = bytes.len();
                Error::new(
                    ErrorKind::InvalidInput,
                    format!("the value is {len} bytes long, a counter is 8"),
                )
            })?),
        };
        old.checked_add(delta).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("{old} plus {delta} is beyond a 64-bit counter"),
            )
        })
    }
}
