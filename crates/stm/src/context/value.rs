//! [`Value`]: JSON's model plus bytes. Cloning is O(1): text, bytes, lists and maps are shared.

use std::{collections::BTreeMap, sync::Arc};

/// What a path holds.
///
/// ```
/// use quintet_stm::Value;
/// let frame = Value::from(vec![0_u8; 1 << 20]);
/// let same = frame.clone(); // shares the megabyte
/// assert_eq!(frame, same);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Nothing, as a value.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// Bytes, shared, never copied.
    Bytes(Arc<Vec<u8>>),
    /// A list.
    List(Arc<Vec<Value>>),
    /// A map.
    Map(Arc<BTreeMap<String, Value>>),
}

impl Value {
    /// How deep lists and maps may nest.
    pub const MAX_DEPTH: usize = 64;

    /// The kind's name, for errors and schemas.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }

    /// The whole number, if it is one.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if it is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, if it is bytes.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&Arc<Vec<u8>>> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The list, if it is one.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// Roughly how many bytes it takes, or `None` if it nests too deep. O(size) for lists and maps, O(1) otherwise.
    #[must_use]
    pub fn size_bytes(&self) -> Option<usize> {
        self.measure(0)
    }

    fn measure(&self, depth: usize) -> Option<usize> {
        if depth > Self::MAX_DEPTH {
            return None;
        }
        Some(match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => 16,
            Self::Str(text) => 16 + text.len(),
            Self::Bytes(bytes) => 16 + bytes.len(),
            Self::List(list) => list.iter().try_fold(16_usize, |sum, item| {
                Some(sum.saturating_add(item.measure(depth + 1)?))
            })?,
            Self::Map(map) => map.iter().try_fold(16_usize, |sum, (name, item)| {
                Some(
                    sum.saturating_add(16 + name.len())
                        .saturating_add(item.measure(depth + 1)?),
                )
            })?,
        })
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
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(Arc::from(value))
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Arc::new(value))
    }
}

impl From<Arc<Vec<u8>>> for Value {
    fn from(value: Arc<Vec<u8>>) -> Self {
        Self::Bytes(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Self {
        Self::List(Arc::new(value))
    }
}

impl From<BTreeMap<String, Value>> for Value {
    fn from(value: BTreeMap<String, Value>) -> Self {
        Self::Map(Arc::new(value))
    }
}
