//! [`AlignedBuffer`]: a byte buffer whose first byte lies on a page boundary.
//!
//! Copying between the page cache and a buffer that is 8 or 16 bytes off a 32-byte boundary, where `malloc` usually puts
//! it, runs several times slower than into an aligned one; O_DIRECT refuses it altogether. The buffer over-allocates a
//! `Vec` and uses the aligned part, so no `unsafe` is needed.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

/// A byte buffer of fixed length that begins on a 4 KiB boundary. Dereferences to its bytes. Moving it does not copy.
///
/// ```
/// let buffer = quintet_core::AlignedBuffer::zeroed(10_000);
/// assert_eq!(buffer.len(), 10_000);
/// assert_eq!(buffer.as_ptr().addr() % 4096, 0);
/// ```
pub struct AlignedBuffer {
    storage: Vec<u8>,
    offset: usize,
    len: usize,
}

impl AlignedBuffer {
    /// Where a buffer may begin, in bytes.
    pub const ALIGNMENT: usize = 4096;

    /// A buffer of `len` zero bytes. Allocates `len` + 4095 bytes.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let storage = vec![0; len + Self::ALIGNMENT - 1];
        let misaligned = storage.as_ptr().addr() % Self::ALIGNMENT;
        let offset = (Self::ALIGNMENT - misaligned) % Self::ALIGNMENT;
        Self { storage, offset, len }
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.storage[self.offset..self.offset + self.len]
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.offset..self.offset + self.len]
    }
}

impl AsRef<[u8]> for AlignedBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuffer")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_on_a_page_at_every_length() {
        for len in [0, 1, 4095, 4096, 4097, 65_536, 524_288] {
            let mut buffer = AlignedBuffer::zeroed(len);
            assert_eq!(buffer.as_ptr().addr() % AlignedBuffer::ALIGNMENT, 0, "{len}");
            assert_eq!(buffer.len(), len);
            buffer.fill(7);
            assert!(buffer.iter().all(|byte| *byte == 7));
        }
    }
}
