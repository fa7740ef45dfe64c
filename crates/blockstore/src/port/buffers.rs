//! Page-aligned buffers for answers, reused, and bounded in total: a crowd of slow readers gets 503 instead of memory.
//!
//! A block is read whole into one buffer, so that its pin can end before the client has taken the first byte. The buffer
//! comes back when the last byte has left.

use quintet_core::AlignedBuffer;
use quintet_core::SizeClass;
use std::{cell::RefCell, rc::Rc};

/// One worker's buffers. Clones share them; everything stays on the worker's thread.
#[derive(Clone)]
pub(crate) struct Buffers {
    shelf: Rc<RefCell<Shelf>>,
}

struct Shelf {
    /// Unused buffers by class.
    free: [Vec<AlignedBuffer>; SizeClass::COUNT],
    free_bytes: u64,
    lent_bytes: u64,
    keep_bytes: u64,
    most_bytes: u64,
}

impl Buffers {
    /// At most `most_bytes` lent at once, and at most `keep_bytes` kept unused.
    pub(crate) fn new(most_bytes: u64, keep_bytes: u64) -> Self {
        let shelf = Shelf {
            free: Default::default(),
            free_bytes: 0,
            lent_bytes: 0,
            keep_bytes,
            most_bytes,
        };
        Self {
            shelf: Rc::new(RefCell::new(shelf)),
        }
    }

    /// A buffer of the class's size, its content unspecified. `None` = as much as allowed is lent.
    pub(crate) fn take(&self, class: SizeClass) -> Option<Lease> {
        let mut shelf = self.shelf.borrow_mut();
        let size = class.size_bytes();
        if shelf.lent_bytes + size > shelf.most_bytes {
            return None;
        }
        shelf.lent_bytes += size;
        let kept = shelf.free[usize::from(class.index())].pop();
        if kept.is_some() {
            shelf.free_bytes -= size;
        }
        drop(shelf);
        let buffer = kept.unwrap_or_else(|| AlignedBuffer::zeroed(size as usize));
        Some(Lease {
            buffer: Some(buffer),
            len: 0,
            class,
            home: self.clone(),
        })
    }

    /// Bytes that are lent now.
    pub(crate) fn lent_bytes(&self) -> u64 {
        self.shelf.borrow().lent_bytes
    }
}

/// A buffer on loan, and how much of it counts. Comes back on drop.
pub(crate) struct Lease {
    /// `None` only while it is dropped.
    buffer: Option<AlignedBuffer>,
    len: usize,
    class: SizeClass,
    home: Buffers,
}

impl Lease {
    /// How many bytes count.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The first `len` bytes, which count from now on, to be filled. At most the class's size.
    pub(crate) fn fill(&mut self, len: usize) -> &mut [u8] {
        let buffer = self.buffer.as_deref_mut().unwrap_or_default();
        self.len = len.min(buffer.len());
        &mut buffer[..self.len]
    }

    /// Appends `bytes`, moving to a larger buffer when they do not fit. `false` = that is larger than the largest class,
    /// or more than may be lent; nothing was appended.
    #[must_use]
    pub(crate) fn append(&mut self, bytes: &[u8]) -> bool {
        let (old, len) = (self.len, self.len + bytes.len());
        let Some(class) = SizeClass::for_len(len as u64) else {
            return bytes.is_empty();
        };
        if class > self.class {
            let Some(mut larger) = self.home.take(class) else {
                return false;
            };
            larger.fill(old).copy_from_slice(self.as_ref());
            *self = larger;
        }
        self.fill(len)[old..].copy_from_slice(bytes);
        true
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_deref().map_or(&[], |buffer| &buffer[..self.len])
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut shelf = self.home.shelf.borrow_mut();
        let size = self.class.size_bytes();
        shelf.lent_bytes -= size;
        if shelf.free_bytes + size <= shelf.keep_bytes
            && let Some(buffer) = self.buffer.take()
        {
            shelf.free_bytes += size;
            shelf.free[usize::from(self.class.index())].push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lends_up_to_the_limit_and_reuses_what_comes_back() {
        let buffers = Buffers::new(2 * 4096, 4096);
        let mut first = buffers.take(SizeClass::SMALLEST).expect("within the limit");
        first.fill(3).copy_from_slice(b"abc");
        assert_eq!(first.as_ref(), b"abc");
        let second = buffers.take(SizeClass::SMALLEST).expect("within the limit");
        assert!(buffers.take(SizeClass::SMALLEST).is_none());
        let home = first.as_ref().as_ptr();
        drop(first);
        drop(second);
        assert_eq!(buffers.lent_bytes(), 0);
        assert_eq!(
            buffers.shelf.borrow().free_bytes,
            4096,
            "one is kept, the other freed"
        );
        let mut again = buffers.take(SizeClass::SMALLEST).expect("within the limit");
        assert_eq!(again.fill(1).as_ptr(), home);
        assert!(
            buffers.take(SizeClass::LARGEST).is_none(),
            "too large for what is left"
        );
    }

    #[test]
    fn appending_moves_to_larger_buffers_and_stops_at_the_largest_class() {
        let buffers = Buffers::new(2 << 20, 0);
        let mut lease = buffers.take(SizeClass::SMALLEST).expect("within the limit");
        let bytes: Vec<u8> = (0..524_288u32).map(|at| (at * 7 / 5) as u8).collect();
        for piece in bytes.chunks(30_001) {
            assert!(lease.append(piece));
        }
        assert!(lease.as_ref() == bytes);
        assert!(!lease.append(b"x"));
        assert_eq!(lease.len(), bytes.len());
        assert_eq!(buffers.lent_bytes(), 524_288, "the smaller ones came back");
        drop(lease);
        assert_eq!(buffers.lent_bytes(), 0);
    }
}
