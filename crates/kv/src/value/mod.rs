//! What a key holds. Scalars are immutable and shared; containers are persistent structures, so that a clone costs one
//! reference count and shares everything with the original, which may go on changing.

mod bytes;
mod containers;
mod json;

pub use bytes::Bytes;
#[cfg(feature = "port")]
pub(crate) use containers::Score;
use containers::container_bytes;
pub use containers::{Hash, List, Object, Set, SortedSet};
pub(crate) use json::{bytes as bytes_of, text};
pub use json::{from_json, to_json};

use std::sync::Arc;

/// A value. Cloning never copies deep.
#[derive(Clone, Debug)]
pub enum Value {
    /// Present, and nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number; never NaN.
    Float(f64),
    /// Text.
    String(Arc<str>),
    /// Any bytes.
    Bytes(Bytes),
    /// A sequence, O(1) at both ends.
    List(Arc<List>),
    /// Named fields, ordered by name.
    Object(Arc<Object>),
    /// Byte strings under byte strings, unordered.
    Hash(Arc<Hash>),
    /// Byte strings, each once.
    Set(Arc<Set>),
    /// Byte strings, each once, ordered by a score.
    SortedSet(Arc<SortedSet>),
}

impl Value {
    /// The value's kind in a word, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::String(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
            Self::Hash(_) => "a hash",
            Self::Set(_) => "a set",
            Self::SortedSet(_) => "a sorted set",
        }
    }

    /// A list of the items.
    #[must_use]
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(Arc::new(items.into_iter().collect()))
    }

    /// An object of the fields.
    #[must_use]
    pub fn object<K: Into<Arc<str>>>(fields: impl IntoIterator<Item = (K, Self)>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value));
        Self::Object(Arc::new(fields.collect()))
    }

    /// How many items or bytes: what `wait` compares; `None` for what has no length.
    #[must_use]
    pub fn len(&self) -> Option<usize> {
        match self {
            Self::String(text) => Some(text.len()),
            Self::Bytes(bytes) => Some(bytes.len()),
            Self::List(list) => Some(list.items.len()),
            Self::Object(object) => Some(object.fields.len()),
            Self::Hash(hash) => Some(hash.fields.len()),
            Self::Set(set) => Some(set.members.len()),
            Self::SortedSet(set) => Some(set.scores.len()),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => None,
        }
    }

    /// Whether it has a length and that is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// What it takes in memory, roughly, in bytes. O(1).
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let inner = match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => 0,
            Self::String(text) => 16 + text.len(),
            Self::Bytes(bytes) => bytes.heap_bytes(),
            other => container_bytes(other),
        };
        size_of::<Self>() + inner
    }
}

/// Deep and exact: containers by content, floats by value, and a number equals the same number of the other kind.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Int(a), Self::Float(b)) | (Self::Float(b), Self::Int(a)) => {
                *a as f64 == *b && *b as i128 == i128::from(*a)
            }
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => Arc::ptr_eq(a, b) || a.items == b.items,
            (Self::Object(a), Self::Object(b)) => Arc::ptr_eq(a, b) || a.fields == b.fields,
            (Self::Hash(a), Self::Hash(b)) => Arc::ptr_eq(a, b) || a.fields == b.fields,
            (Self::Set(a), Self::Set(b)) => Arc::ptr_eq(a, b) || a.members == b.members,
            (Self::SortedSet(a), Self::SortedSet(b)) => Arc::ptr_eq(a, b) || a.scores == b.scores,
            _ => false,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    /// NaN, which equals nothing and orders nowhere, becomes null.
    fn from(value: f64) -> Self {
        if value.is_nan() {
            Self::Null
        } else {
            Self::Float(value)
        }
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.into())
    }
}
