//! One submission a batch, and one for its flush: an io_uring with a registered file and registered buffers, made like the port's.
//!
//! Invariant: `finish` returns only when every request has completed, so the kernel uses no buffer between two calls.
#![expect(unsafe_code, reason = "requests name memory that the kernel uses")]

use super::{Job, Way};
use anyhow::Context;
use io_uring::{IoUring, opcode, squeue::Entry, types};
use quintet_core::AlignedBuffer;
use std::{fs::File, io, os::fd::AsRawFd};

/// Requests that fit: a batch.
const ENTRIES: u32 = 128;
/// The registered file.
const FILE: types::Fixed = types::Fixed(0);

pub(super) struct Ring {
    // Dropped before what it was lent.
    ring: IoUring,
    buffer: AlignedBuffer,
    _file: File,
}

impl Ring {
    pub(super) fn new(file: File, buffer_bytes: usize) -> anyhow::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(ENTRIES)
            .context("setting a ring up")?;
        let mut buffer = AlignedBuffer::zeroed(buffer_bytes);
        let whole = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        // SAFETY: the buffer does not move when its owner does, and outlives the ring.
        unsafe { ring.submitter().register_buffers(&[whole]) }.context("registering a buffer")?;
        ring.submitter()
            .register_files(&[file.as_raw_fd()])
            .context("registering a file")?;
        let _file = file;
        Ok(Self { ring, buffer, _file })
    }

    fn blocks(&mut self, job: Job, len: usize, offsets: &[u64]) -> io::Result<Vec<Entry>> {
        let bytes = u32::try_from(len).map_err(io::Error::other)?;
        let blocks = self.buffer.chunks_exact_mut(len).zip(offsets);
        Ok(blocks
            .map(|(block, offset)| match job {
                Job::Write | Job::Flush => opcode::WriteFixed::new(FILE, block.as_ptr(), bytes, 0)
                    .offset(*offset)
                    .build(),
                Job::Read => opcode::ReadFixed::new(FILE, block.as_mut_ptr(), bytes, 0)
                    .offset(*offset)
                    .build(),
            })
            .collect())
    }

    /// Submits all at once and waits for all; each must answer `wanted`.
    fn finish(&mut self, requests: &[Entry], wanted: usize) -> io::Result<()> {
        // SAFETY: every request points into the registered buffer, which lives as long as the ring and is not touched until
        // all completions are here.
        unsafe { self.ring.submission().push_multiple(requests) }.map_err(io::Error::other)?;
        let (mut left, mut failure) = (requests.len(), None);
        while left > 0 {
            match self.ring.submit_and_wait(left) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for done in self.ring.completion() {
                left -= 1;
                match usize::try_from(done.result()) {
                    Ok(moved) if moved == wanted => {}
                    Ok(moved) => failure = Some(io::Error::other(format!("{moved} bytes of {wanted}"))),
                    Err(_) => failure = Some(io::Error::from_raw_os_error(-done.result())),
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

impl Way for Ring {
    fn go(&mut self, job: Job, len: usize, offsets: &[u64]) -> io::Result<()> {
        let blocks = self.blocks(job, len, offsets)?;
        self.finish(&blocks, len)?;
        if job == Job::Flush {
            // Submitted by itself: marked to drain behind the writes it never completes on Linux 6.18 with deferred task
            // work, and linked to them it would have them run one after the other.
            let flush = opcode::Fsync::new(FILE)
                .flags(types::FsyncFlags::DATASYNC)
                .build();
            self.finish(&[flush], 0)?;
        }
        Ok(())
    }
}
