//! Output on loan: segments moved out of an [`Outbox`](super::Outbox) for a send that the kernel completes later.
//!
//! Whoever holds the batch owns its bytes, also when the connection and its outbox are gone. They keep their place in
//! memory until [`clear`](Batch::clear): advancing only moves an index. The outbox counts them as pending until it is
//! told that they were sent.

use super::{GATHER_BYTES, MAX_SLICES, Outbox, Payload, Segment};
use crate::buffer::BufferPool;

/// Up to [`MAX_SLICES`] runs of bytes, sent in order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    runs: Vec<Run>,
    /// Runs that are sent whole.
    done: usize,
}

#[derive(Debug)]
struct Run {
    payload: Payload,
    sent: usize,
    /// The payload's buffer belongs to the loop's pool.
    pooled: bool,
}

impl Batch {
    /// Whether all of it was sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.done == self.runs.len()
    }

    fn push(&mut self, payload: Payload, sent: usize, pooled: bool) {
        self.runs.push(Run {
            payload,
            sent,
            pooled,
        });
    }

    /// What is left to send; no slice is empty.
    pub(crate) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.runs[self.done..]
            .iter()
            .map(|run| &run.payload.held()[run.sent..])
    }

    /// The first `count` bytes of what was left are sent.
    pub(crate) fn advance(&mut self, mut count: usize) {
        while let Some(run) = self.runs.get_mut(self.done) {
            let step = count.min(run.payload.held().len() - run.sent);
            run.sent += step;
            count -= step;
            if run.sent < run.payload.held().len() {
                return;
            }
            self.done += 1;
        }
    }

    /// Drops what it holds and gives buffers back. Returns a gathered buffer that is worth filling again.
    pub(crate) fn clear(&mut self, pool: &mut BufferPool) -> Option<Vec<u8>> {
        let mut spare = None;
        for run in self.runs.drain(..) {
            match run.payload {
                Payload::Aligned(buffer, _) if run.pooled => pool.give(buffer),
                Payload::Bytes(mut bytes) if bytes.capacity() <= 2 * GATHER_BYTES => {
                    bytes.clear();
                    spare = Some(bytes);
                }
                _ => {}
            }
        }
        self.done = 0;
        spare
    }
}

impl Outbox {
    /// Moves what can be sent now into `batch`, which is empty. Call [`prepare`](Self::prepare) first. One batch is on
    /// loan at a time, so that the order stays.
    pub(crate) fn lend(&mut self, batch: &mut Batch) {
        if self.lent {
            return;
        }
        while batch.runs.len() < MAX_SLICES {
            match self.segments.pop_front() {
                Some(Segment::Held { payload, sent }) => batch.push(payload, sent, false),
                Some(Segment::Stream(mut stream)) => {
                    if !stream.window.is_empty()
                        && let Some(buffer) = stream.buffer.take()
                    {
                        let window = std::mem::take(&mut stream.window);
                        batch.push(Payload::Aligned(buffer, window), 0, true);
                    }
                    if stream.unread_bytes > 0 {
                        self.segments.push_front(Segment::Stream(stream));
                        break;
                    }
                }
                None => break,
            }
        }
        self.lent = !batch.is_empty();
    }

    /// Whether a batch is on loan.
    pub(crate) fn is_lent(&self) -> bool {
        self.lent
    }

    /// The kernel took this many bytes of the batch.
    pub(crate) fn sent(&mut self, count: usize) {
        self.pending_bytes = self.pending_bytes.saturating_sub(count as u64);
    }

    /// The batch is sent whole; `spare` is a buffer to gather into.
    pub(crate) fn repaid(&mut self, spare: Option<Vec<u8>>) {
        self.lent = false;
        if let Some(spare) = spare {
            self.spare = spare;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::BodySource;
    use std::io;

    struct Count(u8);

    impl BodySource for Count {
        fn fill(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let count = buf.len().min(10_000);
            buf[..count].fill(self.0);
            self.0 += 1;
            Ok(count)
        }
    }

    /// What the epoll backend's way out of an outbox gives is the oracle for what a batch gives.
    #[test]
    fn a_batch_sends_what_a_vectored_write_would() {
        let fill = || {
            let mut out = Outbox::default();
            out.gather(|bytes| bytes.extend_from_slice(b"head"));
            out.push(Payload::Bytes(vec![7; 9000]));
            out.push(Payload::Stream {
                length_bytes: 150_000,
                source: Box::new(Count(1)),
            });
            out.gather(|bytes| bytes.extend_from_slice(b"tail"));
            out
        };
        let mut pool = BufferPool::new(4);
        for step in [1, 4, 999, 65_536, usize::MAX] {
            let (mut out, mut expected) = (fill(), Vec::new());
            while !out.is_empty() {
                out.prepare(&mut pool).unwrap();
                let mut slices = [io::IoSlice::new(&[]); MAX_SLICES];
                let count = out.slices(&mut slices);
                slices[..count]
                    .iter()
                    .for_each(|slice| expected.extend_from_slice(slice));
                out.advance(slices[..count].iter().map(|slice| slice.len()).sum(), &mut pool);
            }
            let (mut out, mut sent, mut batch) = (fill(), Vec::new(), Batch::default());
            while !out.is_empty() {
                out.prepare(&mut pool).unwrap();
                out.lend(&mut batch);
                let pending = out.pending_bytes();
                out.lend(&mut Batch::default());
                assert_eq!(out.pending_bytes(), pending, "a second loan takes nothing");
                while !batch.is_empty() {
                    let slice = batch.slices().next().unwrap_or_default().to_vec();
                    let count = slice.len().min(step);
                    sent.extend_from_slice(&slice[..count]);
                    batch.advance(count);
                    out.sent(count);
                }
                out.repaid(batch.clear(&mut pool));
            }
            assert_eq!(sent.len(), expected.len(), "{step}");
            assert!(sent == expected, "{step}");
            assert_eq!(out.pending_bytes(), 0);
        }
    }
}
