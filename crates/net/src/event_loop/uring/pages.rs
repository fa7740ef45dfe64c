//! Zeroed memory that begins on a page boundary and is reached by raw pointer only.
//!
//! Invariant: the memory is never borrowed as a whole, so that the kernel may write one part while the program reads
//! another. Freed when dropped; whoever lent it to the kernel must have it back then.
#![expect(unsafe_code, reason = "the kernel shares this memory")]

use quintet_core::{Error, ErrorKind, Result};
use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    ptr::NonNull,
};

#[derive(Debug)]
pub(super) struct Pages {
    start: NonNull<u8>,
    layout: Layout,
}

impl Pages {
    const ALIGNMENT: usize = 4096;

    /// # Errors
    /// [`ErrorKind::Full`] when there is no memory, or `len` is 0 or absurd.
    pub(super) fn zeroed(len: usize) -> Result<Self> {
        let refused = || Error::new(ErrorKind::Full, format!("no memory for {len} bytes of buffers"));
        let layout = Layout::from_size_align(len, Self::ALIGNMENT)
            .ok()
            .filter(|layout| layout.size() > 0)
            .ok_or_else(refused)?;
        // SAFETY: the layout is not of size zero; that was just checked.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start).ok_or_else(refused)?;
        Ok(Self { start, layout })
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this very layout, and freed nowhere else.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}
