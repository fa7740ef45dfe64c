//! The file seam: everything that is acknowledged reaches storage through these two traits, so that a test can make any
//! I/O fail and can look at what a power cut would leave.
//!
//! Both traits are object-safe and all operations block. An error names the file and the offset.

#[cfg(feature = "testing")]
mod crash;
#[cfg(feature = "testing")]
mod fault;
mod mem;
mod os;
#[cfg(feature = "testing")]
pub mod recording;

#[cfg(feature = "testing")]
pub use crash::CrashDirectory;
#[cfg(feature = "testing")]
pub use fault::{Fault, FaultDirectory};
pub use mem::MemDirectory;
pub use os::OsDirectory;

use crate::LogError;
use quintet_core::{Error, ErrorKind, Result};
use std::sync::Arc;

/// How [`Directory::open`] treats a file that is or is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Read only; the file must exist.
    Read,
    /// Read and write; the file must exist.
    Write,
    /// Read and write; created empty when there is none.
    Create,
    /// Read and write; there must be no such file yet.
    CreateNew,
}

/// A flat directory of files. A name is one path component.
///
/// What [`open`](Self::open) with a creating mode, [`rename`](Self::rename) and [`remove`](Self::remove) change is on
/// stable storage only after [`sync`](Self::sync).
pub trait Directory: Send + Sync {
    /// Opens a file.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::AlreadyExists`], [`ErrorKind::InvalidInput`] for a name that is not one
    /// path component, or what the system answers.
    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn File>>;

    /// Removes a file. Handles that are open stay usable.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] or what the system answers.
    fn remove(&self, name: &str) -> Result<()>;

    /// Gives a file another name, atomically replacing the file that had it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] or what the system answers.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// The names of all files, sorted.
    ///
    /// # Errors
    /// What the system answers.
    fn list(&self) -> Result<Vec<String>>;

    /// Makes creations, renames and removals durable (fsync of the directory). Does not sync any file's bytes.
    ///
    /// # Errors
    /// What the system answers. After an error the state of unsynced changes is unknown; do not retry.
    fn sync(&self) -> Result<()>;

    /// Claims the directory for as long as the answer lives, against other processes and against others in this one. The
    /// claim ends with the process, however that ends. A directory that only one process can see needs none: the default.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when somebody else has a claim that excludes this one; what the system answers.
    fn claim(&self, _claim: Claim) -> Result<ClaimGuard> {
        Ok(ClaimGuard(None))
    }
}

/// What [`Directory::claim`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// To be alone: for whoever writes.
    Alone,
    /// That nobody is alone: for readers. Creates nothing; where nobody ever wrote there is nothing to claim.
    Readers,
}

/// A claim on a directory, given back when dropped.
#[derive(Debug)]
#[must_use = "dropping it gives the claim back"]
pub struct ClaimGuard(Option<std::fs::File>);

impl ClaimGuard {
    /// Whether there is a lock behind it that others see.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.is_some()
    }
}

/// An open file. Positioned I/O only, so one handle serves many threads. No operation buffers, copies or allocates.
pub trait File: Send + Sync {
    /// Reads into `buf` from `offset` until it is full or the file ends; returns how many bytes were read.
    ///
    /// # Errors
    /// What the system answers.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize>;

    /// Writes all of `bytes` at `offset`, extending the file if needed. In the kernel when it returns, not durable.
    ///
    /// # Errors
    /// What the system answers; any part of `bytes` may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()>;

    /// Makes the file's bytes and length durable (fdatasync). Its directory entry is the directory's matter.
    ///
    /// # Errors
    /// What the system answers. After an error the unsynced bytes may be lost although they can still be read: do not
    /// retry, treat the file as poisoned.
    fn sync_data(&self) -> Result<()>;

    /// The file's length in bytes.
    ///
    /// # Errors
    /// What the system answers.
    fn len(&self) -> Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// What the system answers.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends (with zeros) the file.
    ///
    /// # Errors
    /// What the system answers.
    fn set_len(&self, len: u64) -> Result<()>;

    /// Reserves storage for a range and extends the file over it; bytes that were not there read as zero. Where the
    /// file system cannot reserve, the file is extended only.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] when there is not enough space, or what the system answers.
    fn allocate(&self, offset: u64, len: u64) -> Result<()>;

    /// Gives a range's storage back; it reads as zero and the length stays. Where the file system cannot, zeros are
    /// written instead.
    ///
    /// # Errors
    /// What the system answers.
    fn punch_hole(&self, offset: u64, len: u64) -> Result<()>;

    /// Where the next stretch begins, at `offset` or after it, that may hold anything but zeros; `None` = all that follows, up
    /// to the end of the file, reads as zeros. So that what was reserved and never written need not be read. Any answer
    /// before that place is right too, as the default's: `offset` itself.
    ///
    /// # Errors
    /// What the system answers.
    fn next_data(&self, offset: u64) -> Result<Option<u64>> {
        Ok((offset < self.len()?).then_some(offset))
    }

    /// The file's name, for error messages.
    fn name(&self) -> &str;

    /// The system's handle of the file, for who wants to map it. `None` = there is none, or nothing may pass by this
    /// trait, as in a directory whose I/O a test makes fail.
    fn handle(&self) -> Option<&std::fs::File> {
        None
    }

    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupted`] when the file ends first, or what the system answers.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let got = self.read_at(buf, offset)?;
        if got < buf.len() {
            let reason = format!("the file ends after {got} of {} wanted bytes", buf.len());
            return Err(LogError::damaged(self.name(), offset, reason));
        }
        Ok(())
    }
}

/// Zeros for fallbacks and fills, written in pieces of this size.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Writes zeros over a range.
pub(crate) fn write_zeros(file: &dyn File, mut offset: u64, mut len: u64) -> Result<()> {
    while len > 0 {
        let piece = len.min(ZEROS.len() as u64);
        file.write_at(&ZEROS[..piece as usize], offset)?;
        offset += piece;
        len -= piece;
    }
    Ok(())
}

/// Turns the system's error into ours, keeping it as the source.
fn io_error(error: std::io::Error, what: std::fmt::Arguments<'_>) -> Error {
    use std::io::ErrorKind as Os;
    let kind = match error.kind() {
        Os::NotFound => ErrorKind::NotFound,
        Os::AlreadyExists => ErrorKind::AlreadyExists,
        Os::PermissionDenied => ErrorKind::PermissionDenied,
        Os::StorageFull | Os::QuotaExceeded | Os::FileTooLarge => ErrorKind::Full,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("{what}: {error}")).with_source(error)
}

/// Refuses a name that would leave the directory.
fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("`{}` is not a file name", name.escape_debug()),
        ));
    }
    Ok(())
}
