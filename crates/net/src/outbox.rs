//! What a connection still has to send: a queue of byte runs and streams, written with vectored writes.
//!
//! Small writes are gathered into one buffer, large payloads keep their own memory, and a stream is pulled 64 KiB at a
//! time while the socket takes it, so that a large answer is never held whole. The protocol appends, the backend sends.

#[cfg(all(feature = "uring", target_os = "linux"))]
pub(crate) mod batch;

use crate::buffer::BufferPool;
use quintet_core::AlignedBuffer;
use std::{
    collections::VecDeque,
    fmt,
    io::{self, IoSlice},
    ops::Range,
};

/// How many slices one vectored write carries at most.
pub(crate) const MAX_SLICES: usize = 16;
/// Payloads up to this size, but for shared ones, are copied behind what was written before instead of taking a slice of
/// their own.
const GATHER_BYTES: usize = 4096;

/// Where a streamed payload comes from, pulled by the loop as fast as the peer takes it.
pub trait BodySource {
    /// Puts the next bytes into `buf` and returns how many; the loop asks until the stated length is reached. Called on
    /// the loop's thread, so it should not block for long. `buf` is page-aligned except after a short fill.
    ///
    /// # Errors
    /// `WouldBlock` = nothing yet: the loop asks again after the connection is resumed by
    /// [`Replies::resume`](crate::http1::Replies::resume) or touched through [`Links::get`](crate::Links::get). Any
    /// other error, and `Ok(0)` before the end, cut the connection, so that the peer cannot take the part for the whole.
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<usize>;
}

/// Bytes to send.
pub enum Payload {
    /// None.
    Empty,
    /// Bytes of the program.
    Static(&'static [u8]),
    /// Bytes that the payload owns.
    Bytes(Vec<u8>),
    /// A part of an aligned buffer. The range is cut at the buffer's end.
    Aligned(AlignedBuffer, Range<usize>),
    /// Bytes that live elsewhere, kept alive by their guard until sent: an `Arc<[u8]>`, a pinned extent. Every call of
    /// `as_ref` must give the same bytes. Only the kernel looks at them: they may be mapped from a file that fails.
    Shared(Box<dyn AsRef<[u8]>>),
    /// Exactly `length_bytes` pulled from a source.
    Stream {
        /// How many bytes the source will give.
        length_bytes: u64,
        /// Where they come from.
        source: Box<dyn BodySource>,
    },
}

impl Payload {
    /// How many bytes will be sent.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        match self {
            Self::Stream { length_bytes, .. } => *length_bytes,
            held => held.held().len() as u64,
        }
    }

    /// The bytes in memory; a stream has none.
    fn held(&self) -> &[u8] {
        match self {
            Self::Empty | Self::Stream { .. } => &[],
            Self::Static(bytes) => bytes,
            Self::Bytes(bytes) => bytes,
            Self::Aligned(buffer, range) => {
                let end = range.end.min(buffer.len());
                &buffer[range.start.min(end)..end]
            }
            Self::Shared(bytes) => (**bytes).as_ref(),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.len_bytes())
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&'static str> for Payload {
    fn from(text: &'static str) -> Self {
        Self::Static(text.as_bytes())
    }
}

#[derive(Debug)]
enum Segment {
    /// Bytes in memory, of which `sent` are gone.
    Held {
        payload: Payload,
        sent: usize,
    },
    Stream(Stream),
}

struct Stream {
    source: Box<dyn BodySource>,
    /// Not yet pulled.
    unread_bytes: u64,
    buffer: Option<AlignedBuffer>,
    window: Range<usize>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Stream({} bytes unread, {:?} pulled)",
            self.unread_bytes, self.window
        )
    }
}

impl Stream {
    /// Pulls until the window is full, the source has nothing now, or the payload is complete.
    fn pull(&mut self, pool: &mut BufferPool) -> io::Result<()> {
        if !self.window.is_empty() || self.unread_bytes == 0 {
            return Ok(());
        }
        let buffer = self.buffer.get_or_insert_with(|| pool.take());
        let target = usize::try_from(self.unread_bytes).map_or(buffer.len(), |left| left.min(buffer.len()));
        self.window = 0..0;
        while self.window.end < target {
            match self.source.fill(&mut buffer[self.window.end..target]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    let count = count.min(target - self.window.end);
                    self.window.end += count;
                    self.unread_bytes -= count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn pulled(&self) -> &[u8] {
        self.buffer
            .as_deref()
            .map_or(&[], |buffer| &buffer[self.window.clone()])
    }
}

/// The queue of one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    segments: VecDeque<Segment>,
    pending_bytes: u64,
    /// A batch of segments is with the backend, on its way to the kernel.
    lent: bool,
    /// The last gathered buffer, kept to be filled again.
    spare: Vec<u8>,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty() && !self.lent
    }

    /// Bytes not yet sent, streams counted whole.
    pub(crate) fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    /// Appends what `write` puts into the buffer it is given.
    pub(crate) fn gather(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !matches!(
            self.segments.back(),
            Some(Segment::Held {
                payload: Payload::Bytes(_),
                ..
            })
        ) {
            let payload = Payload::Bytes(std::mem::take(&mut self.spare));
            self.segments.push_back(Segment::Held { payload, sent: 0 });
        }
        if let Some(Segment::Held {
            payload: Payload::Bytes(bytes),
            ..
        }) = self.segments.back_mut()
        {
            let before = bytes.len();
            write(bytes);
            self.pending_bytes += bytes.len().saturating_sub(before) as u64;
            if bytes.is_empty() {
                self.segments.pop_back();
            }
        }
    }

    /// Appends a payload; a small one is copied, a large one keeps its memory.
    pub(crate) fn push(&mut self, payload: Payload) {
        let length_bytes = payload.len_bytes();
        match payload {
            _ if length_bytes == 0 => {}
            Payload::Stream { source, .. } => {
                let stream = Stream {
                    source,
                    unread_bytes: length_bytes,
                    buffer: None,
                    window: 0..0,
                };
                self.segments.push_back(Segment::Stream(stream));
                self.pending_bytes += length_bytes;
            }
            held if length_bytes <= GATHER_BYTES as u64 && !matches!(held, Payload::Shared(_)) => {
                self.gather(|bytes| bytes.extend_from_slice(held.held()));
            }
            held => {
                self.segments.push_back(Segment::Held {
                    payload: held,
                    sent: 0,
                });
                self.pending_bytes += length_bytes;
            }
        }
    }

    /// Pulls the first stream among the segments that the next write can carry.
    ///
    /// # Errors
    /// The source failed or ended early.
    pub(crate) fn prepare(&mut self, pool: &mut BufferPool) -> io::Result<()> {
        for segment in self.segments.iter_mut().take(MAX_SLICES) {
            if let Segment::Stream(stream) = segment {
                return stream.pull(pool);
            }
        }
        Ok(())
    }

    /// Puts what can be sent now into `slices` and returns how many there are.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let mut count = 0;
        for segment in self.segments.iter().take(MAX_SLICES) {
            let (bytes, whole) = match segment {
                Segment::Held { payload, sent } => (&payload.held()[*sent..], true),
                Segment::Stream(stream) => (stream.pulled(), stream.unread_bytes == 0),
            };
            if !bytes.is_empty() {
                slices[count] = IoSlice::new(bytes);
                count += 1;
            }
            if !whole {
                break;
            }
        }
        count
    }

    /// Forgets the first `count` bytes: they were sent.
    pub(crate) fn advance(&mut self, mut count: usize, pool: &mut BufferPool) {
        self.pending_bytes = self.pending_bytes.saturating_sub(count as u64);
        while let Some(segment) = self.segments.front_mut() {
            let left = match segment {
                Segment::Held { payload, sent } => {
                    let step = count.min(payload.held().len() - *sent);
                    *sent += step;
                    count -= step;
                    payload.held().len() - *sent
                }
                Segment::Stream(stream) => {
                    let step = count.min(stream.window.len());
                    stream.window.start += step;
                    count -= step;
                    stream.window.len().max(usize::from(stream.unread_bytes > 0))
                }
            };
            if left > 0 {
                return;
            }
            self.retire(pool);
        }
    }

    /// Removes the first segment and keeps its memory where that is worth it.
    fn retire(&mut self, pool: &mut BufferPool) {
        match self.segments.pop_front() {
            Some(Segment::Held {
                payload: Payload::Bytes(mut bytes),
                ..
            }) if bytes.capacity() <= 2 * GATHER_BYTES => {
                bytes.clear();
                self.spare = bytes;
            }
            Some(Segment::Stream(Stream {
                buffer: Some(buffer), ..
            })) => pool.give(buffer),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
