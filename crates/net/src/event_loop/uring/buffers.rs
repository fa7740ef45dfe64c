//! The buffers that multishot receives fill: a ring shared with the kernel, which takes from it as data comes.
//!
//! Invariant: each buffer is owned by exactly one side, and `ours` says which. The kernel owns what lies in the ring; a
//! buffer named by a completion is ours until [`give`](ReceiveBuffers::give) puts it back. Only ours are ever read.
#![expect(unsafe_code, reason = "the ring is written for the kernel to read")]

use super::pages::Pages;
use io_uring::types::BufRingEntry;
use quintet_core::Result;
use std::{
    ptr::NonNull,
    sync::atomic::{AtomicU16, Ordering},
};

#[derive(Debug)]
pub(super) struct ReceiveBuffers {
    /// `count` entries of 16 bytes; the tail lies in the first one's spare field.
    ring: Pages,
    data: Pages,
    count: u16,
    /// Entries written since the start; those up to the published tail are the kernel's.
    tail: u16,
    ours: Vec<bool>,
}

impl ReceiveBuffers {
    /// Each buffer begins on a page boundary.
    pub(super) const BUFFER_BYTES: usize = 16 * 1024;
    /// As many are read as one at most: 64 KiB, what the other backend reads at a time.
    pub(super) const MOST_JOINED: u16 = 4;

    /// All buffers in the ring, not yet registered. `count` is a power of two, at most 32768.
    ///
    /// # Errors
    /// When there is no memory.
    pub(super) fn new(count: u16) -> Result<Self> {
        let mut buffers = Self {
            ring: Pages::zeroed(usize::from(count) * size_of::<BufRingEntry>())?,
            data: Pages::zeroed(usize::from(count) * Self::BUFFER_BYTES)?,
            count,
            tail: 0,
            ours: vec![true; usize::from(count)],
        };
        for buffer in 0..count {
            buffers.give(buffer);
        }
        buffers.publish();
        Ok(buffers)
    }

    pub(super) fn count(&self) -> u16 {
        self.count
    }

    /// The address to register.
    pub(super) fn ring_address(&self) -> u64 {
        self.ring.start().as_ptr().expose_provenance() as u64
    }

    /// Notes that completions named so many buffers from this one on.
    pub(super) fn took(&mut self, first: u16, count: u16) {
        let first = usize::from(first);
        if let Some(ours) = self.ours.get_mut(first..first + usize::from(count)) {
            ours.fill(true);
        }
    }

    /// The first `len` bytes of so many buffers from this one on, if all of them are ours; else nothing.
    pub(super) fn bytes(&self, first: u16, count: u16, len: usize) -> &[u8] {
        let (first, count) = (usize::from(first), usize::from(count));
        let ours = self.ours.get(first..first + count);
        if !ours.is_some_and(|ours| ours.iter().all(|ours| *ours)) {
            return &[];
        }
        let len = len.min(count * Self::BUFFER_BYTES);
        // SAFETY: `ours` has an entry for each of them, so the range lies in `data`, where they follow each other. They are
        // ours, so the kernel does not write them, and `give` needs `&mut self`, so they stay ours while the slice lives.
        // The memory was zeroed at first, so every byte is initialised.
        unsafe {
            let start = self.data.start().add(first * Self::BUFFER_BYTES);
            std::slice::from_raw_parts(start.as_ptr(), len)
        }
    }

    /// Puts a buffer of ours back; the kernel sees it after [`publish`](Self::publish).
    pub(super) fn give(&mut self, buffer: u16) {
        let Some(ours) = self.ours.get_mut(usize::from(buffer)).filter(|ours| **ours) else {
            return;
        };
        *ours = false;
        let at = usize::from(self.tail & (self.count - 1));
        let entries: NonNull<BufRingEntry> = self.ring.start().cast();
        // SAFETY: `at < count` and `buffer < count`, so both addresses lie in their pages, which are aligned for entries.
        // The entry is not published, and there are no more buffers than entries, so the kernel does not look at it.
        // Its fields are written one by one, which leaves the tail in the first entry alone.
        unsafe {
            let address = self.data.start().add(usize::from(buffer) * Self::BUFFER_BYTES);
            let entry = entries.add(at).as_mut();
            entry.set_addr(address.as_ptr().expose_provenance() as u64);
            entry.set_len(Self::BUFFER_BYTES as u32);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see what was given.
    pub(super) fn publish(&mut self) {
        // SAFETY: the pointer is to the first entry of a live ring; its tail field is 2-aligned and only ever accessed
        // atomically by both sides.
        let tail = unsafe {
            let field = BufRingEntry::tail(self.ring.start().cast().as_ptr());
            AtomicU16::from_ptr(field.cast_mut())
        };
        tail.store(self.tail, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_buffer_of_ours_is_read_or_given() {
        let mut buffers = ReceiveBuffers::new(4).unwrap();
        assert_eq!(buffers.tail, 4);
        for foreign in [0, 3, 4, u16::MAX] {
            assert!(buffers.bytes(foreign, 1, 10).is_empty(), "{foreign}");
            buffers.give(foreign);
        }
        assert_eq!(buffers.tail, 4, "nothing was ours to give");
        buffers.took(2, 1);
        buffers.took(4, 1);
        buffers.took(3, 2);
        assert!(buffers.bytes(2, 2, 10).is_empty(), "the second is the kernel's");
        assert!(buffers.bytes(2, 3, 10).is_empty(), "there are four");
        let bytes = buffers.bytes(2, 1, usize::MAX);
        assert_eq!(bytes.len(), ReceiveBuffers::BUFFER_BYTES);
        assert_eq!(bytes.as_ptr().addr() % 4096, 0);
        buffers.give(2);
        buffers.give(2);
        assert_eq!(buffers.tail, 5, "given once");
        buffers.took(0, 4);
        let bytes = buffers.bytes(1, 3, 2 * ReceiveBuffers::BUFFER_BYTES + 1);
        assert_eq!(bytes.len(), 2 * ReceiveBuffers::BUFFER_BYTES + 1);
    }
}
