//! The aligned buffers that one loop keeps for its streams.

use quintet_core::AlignedBuffer;

/// Aligned buffers of one size, kept for reuse by the streams of one loop.
#[derive(Debug)]
pub(crate) struct BufferPool {
    free: Vec<AlignedBuffer>,
    keep: usize,
}

impl BufferPool {
    /// The length of every buffer of a pool, and of a loop's read buffer.
    pub(crate) const BUFFER_BYTES: usize = 64 * 1024;

    /// A pool that keeps at most `keep` unused buffers.
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            free: Vec::new(),
            keep,
        }
    }

    pub(crate) fn take(&mut self) -> AlignedBuffer {
        self.free
            .pop()
            .unwrap_or_else(|| AlignedBuffer::zeroed(Self::BUFFER_BYTES))
    }

    pub(crate) fn give(&mut self, buffer: AlignedBuffer) {
        if self.free.len() < self.keep {
            self.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pool_keeps_no_more_than_told() {
        let mut pool = BufferPool::new(1);
        let (first, second) = (pool.take(), pool.take());
        pool.give(first);
        pool.give(second);
        assert_eq!(pool.free.len(), 1);
    }
}
