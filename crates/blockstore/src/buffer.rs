//! A byte buffer whose first byte lies on a page boundary: the kernel copies from its page cache into such a buffer several
//! times faster than into one at the allocator's usual offset.

use std::ops::{Deref, DerefMut};

const ALIGN_BYTES: usize = 4096;

/// A fixed number of zeroed bytes, aligned to 4 KiB. One allocation, no `unsafe`: the slack before the boundary is wasted.
///
/// ```
/// let buffer = quintet_blockstore::AlignedBuffer::new(8192);
/// assert_eq!((buffer.len(), buffer.as_ptr() as usize % 4096), (8192, 0));
/// ```
pub struct AlignedBuffer {
    bytes: Vec<u8>,
    from: usize,
    len_bytes: usize,
}

impl AlignedBuffer {
    /// A buffer of `len_bytes` zeros. The system gives large ones zeroed pages without writing them.
    #[must_use]
    pub fn new(len_bytes: usize) -> Self {
        let bytes = vec![0; len_bytes + ALIGN_BYTES];
        let from = bytes.as_ptr().align_offset(ALIGN_BYTES);
        Self {
            bytes,
            from,
            len_bytes,
        }
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.from..self.from + self.len_bytes]
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.from..self.from + self.len_bytes]
    }
}

impl std::fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlignedBuffer")
            .field("len_bytes", &self.len_bytes)
            .finish_non_exhaustive()
    }
}
