//! Memory in whole pages, whose place a file's pages can take while others read: so a block goes to disk and whoever holds
//! it, a search or the graph, never notices.
//!
//! Invariants: (owned) the range from `start` on is mapped or allocated for as long as the [`Pages`] live, and is theirs
//! alone; (same) a file that takes the place holds the same bytes; (fixed) a mapped file is never written or cut again: it
//! is written whole before, its length and checksum were seen, and the store's lock keeps others out. What remains is a disk
//! that fails under a mapped file: then the system ends the process. Made by blocks and by the cold tier.
#![expect(unsafe_code, reason = "pages of a file are reached by pointer")]

use quintet_log::File;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    io,
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// What lengths and offsets are multiples of.
pub(crate) const PAGE_BYTES: usize = 4096;

/// A range of memory that begins at a page.
#[derive(Debug)]
pub(crate) struct Pages {
    start: NonNull<u8>,
    len: usize,
    is_mapped: bool,
    /// Whether a file lies there, which must not be written.
    is_file: AtomicBool,
}

// SAFETY: by (owned) nobody else frees the range, and shared references only read it.
unsafe impl Send for Pages {}
// SAFETY: as above; a file takes the range's place with the same bytes, by (same).
unsafe impl Sync for Pages {}

/// Whether this machine can lay files in the place of memory as they are written: its pages and its order of bytes.
pub(crate) fn can_overlay() -> bool {
    cfg!(target_endian = "little") && rustix::param::page_size() == PAGE_BYTES
}

fn layout(len: usize) -> Layout {
    Layout::from_size_align(len, PAGE_BYTES).unwrap_or_else(|_| Layout::new::<u8>())
}

impl Pages {
    /// Zeros, at least so many bytes. Memory is taken as it is written.
    pub(crate) fn new(bytes: usize) -> Self {
        let len = bytes.max(1).next_multiple_of(PAGE_BYTES);
        // SAFETY: the system chooses where; nothing that exists is touched.
        let mapped = unsafe {
            mmap_anonymous(
                null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        };
        let (start, is_mapped) = match mapped.ok().and_then(|start| NonNull::new(start.cast())) {
            Some(start) => (start, true),
            // The system has a limit on the number of maps; the allocator has its own ways.
            None => {
                // SAFETY: the length is at least a page.
                let start = NonNull::new(unsafe { alloc_zeroed(layout(len)) });
                (start.unwrap_or_else(|| handle_alloc_error(layout(len))), false)
            }
        };
        Self {
            start,
            len,
            is_mapped,
            is_file: AtomicBool::new(false),
        }
    }

    /// A file's bytes from a page's beginning on; `None` = it has no handle, or the system refuses.
    pub(crate) fn of_file(file: &dyn File, offset: u64, len: usize) -> Option<Self> {
        let handle = file.handle().filter(|_| can_overlay() && len > 0)?;
        // SAFETY: the system chooses where. By (fixed) the bytes stay, so reading them is sound.
        let mapped = unsafe { mmap(null_mut(), len, ProtFlags::READ, MapFlags::SHARED, handle, offset) };
        let start = NonNull::new(mapped.ok()?.cast())?;
        Some(Self {
            start,
            len,
            is_mapped: true,
            is_file: AtomicBool::new(true),
        })
    }

    /// Lets the file's bytes from `offset` on, which are the same, take the place of the memory and gives that back.
    ///
    /// # Errors
    /// What the system answers; the memory then stays as it is.
    pub(crate) fn overlay(&self, file: &std::fs::File, offset: u64) -> io::Result<()> {
        if !self.is_mapped || !can_overlay() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let (start, flags) = (self.start.as_ptr().cast(), MapFlags::SHARED | MapFlags::FIXED);
        // SAFETY: by (owned) only these pages are replaced; by (same) and (fixed) readers see no change. The system
        // exchanges the pages in one step, and refuses before it takes any away.
        unsafe { mmap(start, self.len, ProtFlags::READ, flags, file, offset) }?;
        self.is_file.store(true, Relaxed);
        Ok(())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: by (owned) the range is readable and initialised: zeroed, or a file's.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub(crate) fn floats(&self) -> &[f32] {
        // SAFETY: as above; a page's beginning is aligned for floats, and any bits are one.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.len / size_of::<f32>()) }
    }

    /// Empty where a file lies.
    pub(crate) fn floats_mut(&mut self) -> &mut [f32] {
        if *self.is_file.get_mut() {
            return &mut [];
        }
        // SAFETY: as above, and borrowed by nobody else; it is writable memory of our own.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.len / size_of::<f32>()) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if self.is_mapped {
            // SAFETY: by (owned) nothing else lies in the range, and nobody borrows it any more.
            let _cannot_fail = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        } else {
            // SAFETY: it was allocated with this layout.
            unsafe { dealloc(self.start.as_ptr(), layout(self.len)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quintet_log::{Directory, MemDirectory, OpenMode, OsDirectory};

    #[test]
    fn a_file_takes_the_place_of_memory_and_readers_see_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let disk = OsDirectory::open(dir.path()).unwrap();
        let file = disk.open("pages", OpenMode::CreateNew).unwrap();
        let mut pages = Pages::new(5000);
        assert_eq!(pages.bytes().len(), 2 * PAGE_BYTES);
        pages.floats_mut()[1500] = 2.5;
        file.write_at(pages.bytes(), PAGE_BYTES as u64).unwrap();
        let before = pages.floats().as_ptr();
        pages.overlay(file.handle().unwrap(), PAGE_BYTES as u64).unwrap();
        assert_eq!((pages.floats()[1500], pages.floats()[0]), (2.5, 0.0));
        assert_eq!(pages.floats().as_ptr(), before);
        assert!(pages.floats_mut().is_empty());
        let again = Pages::of_file(&*file, PAGE_BYTES as u64, 2 * PAGE_BYTES).unwrap();
        assert_eq!(again.bytes(), pages.bytes());
        let memory = MemDirectory::new().open("pages", OpenMode::Create).unwrap();
        assert!(Pages::of_file(&*memory, 0, PAGE_BYTES).is_none());
    }
}
