//! [`Bytes`]: a byte string that is shared, not copied; a short one is where its owner is, and needs no memory of its own.
//!
//! Keys, values and members are mostly short, so that most of them cost no allocation, no reference count, and no cache
//! miss. The type is as large as a pointer, a length and a tag need with their alignment.

use std::{borrow::Borrow, cmp::Ordering, fmt, hash, ops::Deref, sync::Arc};

/// The longest byte string that is kept in place.
const IN_PLACE: usize = 22;

#[derive(Clone)]
enum Form {
    InPlace { len: u8, bytes: [u8; IN_PLACE] },
    Shared(Arc<[u8]>),
}

/// An immutable byte string. Cloning never copies more than 24 bytes.
///
/// ```
/// use quintet_kv::Bytes;
/// let name = Bytes::from(&b"session:17"[..]);
/// assert_eq!(*name, *b"session:17");
/// assert_eq!(name, name.clone());
/// ```
#[derive(Clone)]
pub struct Bytes(Form);

impl Bytes {
    /// The two one after the other. Allocates when they are longer than 22 bytes together.
    #[must_use]
    pub fn joined(first: &[u8], second: &[u8]) -> Self {
        let len = first.len() + second.len();
        if len > IN_PLACE {
            return Self(Form::Shared([first, second].concat().into()));
        }
        let mut bytes = [0; IN_PLACE];
        bytes[..first.len()].copy_from_slice(first);
        bytes[first.len()..len].copy_from_slice(second);
        Self(Form::InPlace {
            len: len as u8,
            bytes,
        })
    }

    /// What it takes beside itself, in bytes: 0 for a short one.
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.0 {
            Form::InPlace { .. } => 0,
            Form::Shared(bytes) => 16 + bytes.len(),
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Form::InPlace { len, bytes } => &bytes[..usize::from(*len)],
            Form::Shared(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Borrow<[u8]> for Bytes {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Self::from(&[][..])
    }
}

impl From<&[u8]> for Bytes {
    #[inline]
    fn from(slice: &[u8]) -> Self {
        if slice.len() > IN_PLACE {
            return Self(Form::Shared(slice.into()));
        }
        let mut bytes = [0; IN_PLACE];
        bytes[..slice.len()].copy_from_slice(slice);
        Self(Form::InPlace {
            len: slice.len() as u8,
            bytes,
        })
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() > IN_PLACE {
            return Self(Form::Shared(bytes.into()));
        }
        Self::from(bytes.as_slice())
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl PartialEq for Bytes {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl PartialOrd for Bytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bytes {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

/// As the slice: a map of these is searched by slices.
impl hash::Hash for Bytes {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    #[test]
    fn short_and_long_ones_are_equal_to_their_slices() {
        for len in [0, 1, 21, 22, 23, 1000] {
            let slice: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let bytes = Bytes::from(&slice[..]);
            assert_eq!(*bytes, *slice);
            assert_eq!(bytes, Bytes::from(slice.clone()));
            let (a, b) = slice.split_at(len / 3);
            assert_eq!(bytes, Bytes::joined(a, b));
            assert_eq!(bytes.heap_bytes() == 0, len <= 22);
            assert!(bytes < Bytes::joined(&slice, b"\0"));
        }
    }

    /// The tag of a byte string is the tag of the value around it.
    #[test]
    fn a_value_is_no_larger_than_a_byte_string() {
        assert_eq!((size_of::<Bytes>(), size_of::<Value>()), (24, 24));
    }
}
