//! [`Extent`]: a stored block's content, held still while it is read.

use crate::{BlockError, Digest, Record, epoch::Pin, view::View};
use quintet_core::Result;
use quintet_log::File;
use std::sync::Arc;

/// The bytes of one stored block. While it lives they are not overwritten, even when the block is deleted meanwhile. May be
/// read and dropped on any thread.
///
/// So one that is kept keeps the space of **every** block that is deleted after it was found, however long: the store cannot
/// take it back, because it cannot know that its holder has read the last byte. The port's are bounded by its write time-out.
/// A program that takes extents itself bounds them itself: copy out what is needed later, and watch
/// [`Stats::held_by_readers_ms`](crate::Stats::held_by_readers_ms), which grows while one is forgotten.
pub struct Extent {
    digest: Digest,
    record: Record,
    file: Arc<dyn File>,
    #[cfg_attr(
        not(feature = "port"),
        expect(dead_code, reason = "the port alone sends from the map")
    )]
    view: Option<Arc<View>>,
    to_be_checked: bool,
    _pin: Pin,
}

impl Extent {
    pub(crate) fn new(
        digest: Digest,
        record: Record,
        file: Arc<dyn File>,
        view: Option<Arc<View>>,
        to_be_checked: bool,
        pin: Pin,
    ) -> Self {
        Self {
            digest,
            record,
            file,
            view,
            to_be_checked,
            _pin: pin,
        }
    }

    /// The content's name.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The content's length.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.record.len_bytes.into()
    }

    /// Reads content from `offset_bytes` until `buf` is full or the content ends; returns how many bytes were read.
    /// Blocks for the disk when the bytes are not in the page cache. An [`AlignedBuffer`](quintet_core::AlignedBuffer) is
    /// several times faster than an unaligned one.
    ///
    /// # Errors
    /// `Corrupted` when the file is shorter than the record says; what the system answers.
    pub fn read_at(&self, offset_bytes: u64, buf: &mut [u8]) -> Result<usize> {
        let left = self.len_bytes().saturating_sub(offset_bytes);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        if len > 0 {
            self.file
                .read_exact_at(&mut buf[..len], self.record.address.offset_bytes() + offset_bytes)?;
        }
        Ok(len)
    }

    /// Where a part of the content lies in the file, if all of it is content, and the file's map.
    #[cfg(feature = "port")]
    pub(crate) fn place(&self, part: &std::ops::Range<u64>) -> Option<(&View, u64)> {
        let view = self.view.as_deref()?;
        (part.end <= self.len_bytes()).then(|| (view, self.record.address.offset_bytes() + part.start))
    }

    /// Whether [`Verify`](crate::Verify) has this read checked.
    #[must_use]
    pub fn is_to_be_checked(&self) -> bool {
        self.to_be_checked
    }

    /// [Verifies](Self::verify) the whole content if this read [is to be checked](Self::is_to_be_checked).
    ///
    /// # Errors
    /// `Corrupted` when it is not what was stored.
    pub fn check(&self, content: &[u8]) -> Result<()> {
        if self.to_be_checked {
            return self.verify(content);
        }
        Ok(())
    }

    /// Checks bytes that were read against the name.
    ///
    /// # Errors
    /// `Corrupted` when they are not what was stored.
    pub fn verify(&self, content: &[u8]) -> Result<()> {
        if Digest::of(content) == self.digest {
            return Ok(());
        }
        let place = format!("{} ({})", self.digest, self.record.address);
        Err(BlockError::corrupted(place, "the content does not hash to its name").into())
    }
}
