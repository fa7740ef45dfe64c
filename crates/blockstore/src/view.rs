//! The data file, mapped for reading: blocks are sent from the page cache where they lie, without a buffer between.
//!
//! Invariants: nothing is written through the map, and bytes are borrowed only by who holds a pin on their block, during
//! which nobody writes them. The map covers the file's full capacity, so it stays when the file grows. [`Extent`] hands
//! the bytes out; the port passes them to the kernel and never looks at them itself, so a disk error is an error of the
//! send, not a signal.
//!
//! [`Extent`]: crate::Extent
#![expect(
    unsafe_code,
    reason = "memory that is mapped from a file is reached by pointer"
)]

use memmap2::{Advice, MmapOptions, MmapRaw};
use quintet_log::File;
use std::io;
#[cfg(feature = "port")]
use {
    crate::{Extent, buddy::UNIT_BYTES},
    std::ops::Range,
};

/// A mapped data file. Costs address space only.
pub(crate) struct View {
    map: MmapRaw,
}

impl View {
    /// Maps `capacity_bytes` of the file; the file may be shorter. `None` = it has no handle, or the system refuses so
    /// large a map: then blocks are copied out with [`File::read_at`].
    pub(crate) fn of(file: &dyn File, capacity_bytes: u64) -> Option<Self> {
        let len = usize::try_from(capacity_bytes).ok()?;
        let map = MmapOptions::new()
            .len(len)
            .map_raw_read_only(file.handle()?)
            .ok()?;
        Some(Self { map })
    }

    /// Where a range begins in the map, if all of it is there.
    fn within(&self, offset_bytes: u64, len: usize) -> Option<usize> {
        let start = usize::try_from(offset_bytes).ok()?;
        let end = start.checked_add(len)?;
        (end <= self.map.len()).then_some(start)
    }

    /// Brings a range into the page cache and into the map. Blocks for the disk when it is not there.
    ///
    /// # Errors
    /// When the disk cannot read it, or the file ends before it.
    pub(crate) fn load(&self, offset_bytes: u64, len: usize) -> io::Result<()> {
        let Some(start) = self.within(offset_bytes, len) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        match self.map.advise_range(Advice::PopulateRead, start, len) {
            // Older than Linux 5.14.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            loaded => loaded,
        }
    }

    /// The bytes of a range; empty when it is not within the capacity.
    ///
    /// # Safety
    /// Nobody writes these bytes of the file while the slice lives, and the file does not become shorter than their end.
    pub(crate) unsafe fn bytes(&self, offset_bytes: u64, len: usize) -> &[u8] {
        let Some(start) = self.within(offset_bytes, len) else {
            return &[];
        };
        // SAFETY: the range lies in the map, which lives as long as `self`; its bytes come from the file, so they are
        // initialised, and the caller vouches that they stay as they are.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(start), len) }
    }
}

/// Ranges that were loaded lately, so that a block which is asked for again costs no system call for it. A guess: the page
/// cache may have dropped such a range since; then the send reads it again, and an error of the disk cuts the connection.
#[cfg(feature = "port")]
pub(crate) struct Loaded {
    /// Offset and length by a hash of the offset; a length of 0 is nothing.
    ranges: Box<[(u64, usize)]>,
}

#[cfg(feature = "port")]
impl Loaded {
    const BITS: u32 = 13;
    /// 128 KiB of memory.
    const RANGES: usize = 1 << Self::BITS;

    /// Fibonacci hashing: blocks of every size are spread over all places, neighbours over different ones.
    fn slot(offset_bytes: u64) -> usize {
        let hash = (offset_bytes / UNIT_BYTES).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> (u64::BITS - Self::BITS)) as usize
    }

    fn has(&self, offset_bytes: u64, len: usize) -> bool {
        self.ranges[Self::slot(offset_bytes)] == (offset_bytes, len)
    }

    fn note(&mut self, offset_bytes: u64, len: usize) {
        self.ranges[Self::slot(offset_bytes)] = (offset_bytes, len);
    }
}

#[cfg(feature = "port")]
impl Default for Loaded {
    fn default() -> Self {
        Self {
            ranges: vec![(0, 0); Self::RANGES].into(),
        }
    }
}

/// A part of a block's content where it lies in the page cache, pinned. For the kernel's eyes: a program that looks at
/// these bytes itself dies of a signal when the disk fails.
#[cfg(feature = "port")]
pub(crate) struct MappedPart {
    extent: Extent,
    part: Range<u64>,
}

#[cfg(feature = "port")]
impl MappedPart {
    /// Brings the part into memory; blocks for the disk when it is not there. The extent comes back when the file is not
    /// mapped or the part cannot be read: [`Extent::read_at`] says why. What `loaded` remembers is not loaded again.
    pub(crate) fn load(extent: Extent, part: Range<u64>, loaded: &mut Loaded) -> Result<Self, Extent> {
        let len = usize::try_from(part.end.saturating_sub(part.start));
        match (extent.place(&part), len) {
            (Some((view, offset_bytes)), Ok(len))
                if loaded.has(offset_bytes, len) || view.load(offset_bytes, len).is_ok() =>
            {
                loaded.note(offset_bytes, len);
                Ok(Self { extent, part })
            }
            _ => Err(extent),
        }
    }
}

#[cfg(feature = "port")]
impl AsRef<[u8]> for MappedPart {
    fn as_ref(&self) -> &[u8] {
        let len = usize::try_from(self.part.end - self.part.start).unwrap_or_default();
        match self.extent.place(&self.part) {
            // SAFETY: the extent pins its block while it lives, and a pinned block is neither written nor cut off.
            Some((view, offset_bytes)) => unsafe { view.bytes(offset_bytes, len) },
            None => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quintet_log::{Directory, MemDirectory, OpenMode, OsDirectory};

    #[cfg(feature = "port")]
    #[test]
    fn what_was_loaded_lately_is_remembered_for_blocks_of_every_size() {
        for (len, blocks) in [(4096_usize, 2048_u64), (64 << 10, 2048), (512 << 10, 2048)] {
            let mut loaded = Loaded::default();
            (0..blocks).for_each(|at| loaded.note(at * len as u64, len));
            let known = (0..blocks).filter(|at| loaded.has(at * len as u64, len)).count() as u64;
            assert!(
                known >= blocks * 3 / 4,
                "{known} of {blocks} blocks of {len} bytes"
            );
            assert!(!loaded.has(0, len + 1) && !loaded.has(blocks * len as u64, len));
        }
    }

    #[test]
    fn a_map_shows_what_is_written_after_it_was_made_and_a_file_without_handle_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = OsDirectory::open(dir.path())
            .unwrap()
            .open("data", OpenMode::Create)
            .unwrap();
        let view = View::of(&*file, 1 << 30).expect("mapped");
        assert!(view.load(8192, 4096).is_err(), "the file is empty");
        file.write_at(b"hello", 8192).unwrap();
        view.load(8192, 5).unwrap();
        // SAFETY: this test alone has the file, and writes no more.
        assert_eq!(unsafe { view.bytes(8192, 5) }, b"hello");
        // SAFETY: nothing is there.
        assert!(unsafe { view.bytes(u64::MAX, 5) }.is_empty());
        let memory = MemDirectory::default().open("data", OpenMode::Create).unwrap();
        assert!(View::of(&*memory, 1 << 20).is_none());
    }
}
