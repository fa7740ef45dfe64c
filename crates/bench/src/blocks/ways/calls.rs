//! One system call a block, and one for a flush: what the block store does today.
//!
//! From and to one page-aligned buffer, so that the kernel's copies run at their full speed. Called by `ways` alone.

use super::{Job, Way};
use quintet_core::AlignedBuffer;
use std::{fs::File, io, os::unix::fs::FileExt};

/// `pwrite`, `pread` and `fdatasync`, from and to an aligned buffer.
pub(super) struct Calls {
    file: File,
    buffer: AlignedBuffer,
}

impl Calls {
    pub(super) fn new(file: File, buffer_bytes: usize) -> Self {
        let buffer = AlignedBuffer::zeroed(buffer_bytes);
        Self { file, buffer }
    }
}

impl Way for Calls {
    fn go(&mut self, job: Job, len: usize, offsets: &[u64]) -> io::Result<()> {
        for (block, offset) in self.buffer.chunks_exact_mut(len).zip(offsets) {
            match job {
                Job::Write | Job::Flush => self.file.write_all_at(block, *offset)?,
                Job::Read => self.file.read_exact_at(block, *offset)?,
            }
        }
        if job == Job::Flush {
            self.file.sync_data()?;
        }
        Ok(())
    }
}
