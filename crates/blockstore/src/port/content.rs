//! What a GET or HEAD of a stored block is answered: all of it, a part, its length, or that the client has it.
//!
//! A block is sent from where it lies in the page cache, under its pin, which ends when the socket has taken the last byte
//! or the loop has cut a client that does not read. No memory is used for it (docs/adr/0015). Where the file is not mapped, a small block
//! is copied into a buffer, so that its pin can end at once, and a large one is read in pieces as the socket takes them.

use super::{
    answer,
    buffers::Lease,
    exchange::{Wants, etag},
    service::BlockService,
};
use crate::{Extent, view::MappedPart};
use quintet_core::SizeClass;
use quintet_net::{
    BodySource, Payload,
    http1::{RangeRequest, Response, content_range, unsatisfied_range},
};
use std::{io, ops::Range};

/// Up to this, what cannot be mapped is copied whole.
const COPIED_BYTES: u64 = 64 << 10;

impl BlockService {
    /// The answer for a block that was found.
    pub(super) fn content(&mut self, extent: Extent, wants: Wants) -> Response {
        let len_bytes = extent.len_bytes();
        let tag = etag(&extent.digest());
        let answer = |status| {
            Response::new(status)
                .header("ETag", &tag)
                .fixed_lines("Accept-Ranges: bytes\r\n")
        };
        if wants.unchanged {
            return answer(304);
        }
        let (response, part) = match wants.range.resolve(len_bytes) {
            RangeRequest::Whole => (answer(200), 0..len_bytes),
            RangeRequest::Part(part) => {
                let field = content_range(&part, len_bytes);
                (answer(206).header("Content-Range", field), part)
            }
            RangeRequest::Unsatisfiable => {
                let why = format_args!("the block has {len_bytes} bytes, and none of them is in the range");
                return Response::text(416, why).header("Content-Range", unsatisfied_range(len_bytes));
            }
        };
        let response = response.fixed_lines("Content-Type: application/octet-stream\r\n");
        if wants.head_only {
            return response.body(answer::length_only(len_bytes));
        }
        match self.payload(extent, part) {
            Ok(payload) => {
                self.gauges.count_get();
                response.body(payload)
            }
            Err(refusal) => refusal,
        }
    }

    fn payload(&mut self, extent: Extent, part: Range<u64>) -> Result<Payload, Response> {
        if extent.is_to_be_checked() {
            return self.checked(&extent, part);
        }
        let extent = match MappedPart::load(extent, part.clone(), &mut self.loaded) {
            Ok(mapped) => return Ok(Payload::Shared(Box::new(mapped))),
            Err(extent) => extent,
        };
        let len_bytes = part.end - part.start;
        if len_bytes > COPIED_BYTES {
            // A file that ends too early is found out before the answer begins.
            let last = extent.read_at(part.end - 1, &mut [0]);
            let source = Box::new(Pieces { extent, part });
            return match last {
                Ok(_) => Ok(Payload::Stream {
                    length_bytes: len_bytes,
                    source,
                }),
                Err(error) => Err(answer::failed(&error)),
            };
        }
        match self.copied(&extent, part) {
            Ok(lease) => Ok(Payload::Shared(Box::new(lease))),
            Err(refusal) => Err(refusal),
        }
    }

    /// A part of the block in a buffer.
    fn copied(&mut self, extent: &Extent, part: Range<u64>) -> Result<Lease, Response> {
        let len_bytes = part.end - part.start;
        let lease = SizeClass::for_len(len_bytes).and_then(|class| self.buffers.take(class));
        let Some(mut lease) = lease else {
            return Err(answer::busy("too many answers wait for their readers"));
        };
        let len = usize::try_from(len_bytes).unwrap_or(usize::MAX);
        match extent.read_at(part.start, lease.fill(len)) {
            Ok(_) => Ok(lease),
            Err(error) => Err(answer::failed(&error)),
        }
    }

    /// Reads the whole block and checks it before any of it is sent.
    fn checked(&mut self, extent: &Extent, part: Range<u64>) -> Result<Payload, Response> {
        let block = self.copied(extent, 0..extent.len_bytes())?;
        if let Err(error) = extent.verify(block.as_ref()) {
            return Err(answer::failed(&error));
        }
        let place = |at| usize::try_from(at).unwrap_or(usize::MAX);
        let part = place(part.start)..place(part.end);
        Ok(Payload::Shared(Box::new(CheckedPart { block, part })))
    }
}

/// A part of a block that was read whole and checked.
struct CheckedPart {
    block: Lease,
    part: Range<usize>,
}

impl AsRef<[u8]> for CheckedPart {
    fn as_ref(&self) -> &[u8] {
        self.block.as_ref().get(self.part.clone()).unwrap_or_default()
    }
}

/// A part of a block, read a piece at a time, pinned until the last.
struct Pieces {
    extent: Extent,
    part: Range<u64>,
}

impl BodySource for Pieces {
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.part.end - self.part.start).unwrap_or(usize::MAX);
        let len = left.min(buf.len());
        let count = self
            .extent
            .read_at(self.part.start, &mut buf[..len])
            .map_err(io::Error::other)?;
        self.part.start += count as u64;
        Ok(count)
    }
}
