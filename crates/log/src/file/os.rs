//! The seam over the operating system: pread, pwrite, fdatasync, fallocate. What production uses.

use super::{Claim, ClaimGuard, Directory, File, OpenMode, check_name, io_error, write_zeros};
use quintet_core::{Error, ErrorKind, Result};
use rustix::{
    fs::{FallocateFlags, SeekFrom},
    io::Errno,
};
use std::{
    fs,
    io::ErrorKind as Os,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The file that claims are made on. It stays, empty.
const LOCK: &str = "LOCK";

/// A directory of the file system.
#[derive(Debug)]
pub struct OsDirectory {
    path: PathBuf,
    /// Held open for fsync.
    handle: fs::File,
}

impl OsDirectory {
    /// Opens a directory, creating it and its parents if needed. A created directory's own entry is synced in its
    /// parent. Blocks.
    ///
    /// # Errors
    /// What the system answers.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let named = |error| io_error(error, format_args!("{}", path.display()));
        // The entries of what is created here must be as durable as what is stored in it.
        let missing = path
            .ancestors()
            .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.is_dir());
        let parents: Vec<PathBuf> = missing.map(|created| created.join("..")).collect();
        if !parents.is_empty() {
            fs::create_dir_all(&path).map_err(named)?;
        }
        for parent in parents {
            fs::File::open(parent)
                .and_then(|handle| handle.sync_all())
                .map_err(named)?;
        }
        let handle = fs::File::open(&path).map_err(named)?;
        Ok(Self { path, handle })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Directory for OsDirectory {
    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn File>> {
        check_name(name)?;
        let mut options = fs::OpenOptions::new();
        options.read(true).write(mode != OpenMode::Read);
        match mode {
            OpenMode::Read | OpenMode::Write => {}
            OpenMode::Create => {
                options.create(true);
            }
            OpenMode::CreateNew => {
                options.create_new(true);
            }
        }
        let path = self.path.join(name);
        let file = options
            .open(&path)
            .map_err(|error| io_error(error, format_args!("open {}", path.display())))?;
        let name = path.display().to_string();
        Ok(Arc::new(OsFile { file, name }))
    }

    fn remove(&self, name: &str) -> Result<()> {
        check_name(name)?;
        let path = self.path.join(name);
        fs::remove_file(&path).map_err(|error| io_error(error, format_args!("remove {}", path.display())))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        check_name(from)?;
        check_name(to)?;
        let from = self.path.join(from);
        fs::rename(&from, self.path.join(to))
            .map_err(|error| io_error(error, format_args!("rename {} to {to}", from.display())))
    }

    fn list(&self) -> Result<Vec<String>> {
        let named = |error| io_error(error, format_args!("list {}", self.path.display()));
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(named)? {
            let entry = entry.map_err(named)?;
            // A name that is not UTF-8 is none of ours.
            if entry.file_type().map_err(named)?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync(&self) -> Result<()> {
        self.handle
            .sync_all()
            .map_err(|error| io_error(error, format_args!("sync directory {}", self.path.display())))
    }

    fn claim(&self, claim: Claim) -> Result<ClaimGuard> {
        let path = self.path.join(LOCK);
        let named = |error| io_error(error, format_args!("lock {}", path.display()));
        let mut options = fs::OpenOptions::new();
        options.read(true);
        if claim == Claim::Alone {
            options.write(true).create(true).truncate(false);
        }
        let file = match options.open(&path) {
            Err(error) if claim == Claim::Readers && error.kind() == Os::NotFound => {
                return Ok(ClaimGuard(None));
            }
            opened => opened.map_err(named)?,
        };
        let locked = match claim {
            Claim::Alone => file.try_lock(),
            Claim::Readers => file.try_lock_shared(),
        };
        match locked {
            Ok(()) => Ok(ClaimGuard(Some(file))),
            Err(fs::TryLockError::WouldBlock) => {
                let what = format!(
                    "directory {} is in use by another store or process",
                    self.path.display()
                );
                Err(Error::new(ErrorKind::Unavailable, what))
            }
            Err(fs::TryLockError::Error(error)) => Err(named(error)),
        }
    }
}

struct OsFile {
    file: fs::File,
    name: String,
}

impl OsFile {
    fn failed(&self, what: &str, offset: u64) -> impl FnOnce(std::io::Error) -> quintet_core::Error {
        move |error| io_error(error, format_args!("{what} {} at byte {offset}", self.name))
    }

    /// fallocate, or `false` where the file system has none.
    fn fallocate(&self, flags: FallocateFlags, what: &str, offset: u64, len: u64) -> Result<bool> {
        match rustix::fs::fallocate(&self.file, flags, offset, len) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            Err(errno) => Err(self.failed(what, offset)(errno.into())),
        }
    }
}

impl File for OsFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            match self.file.read_at(&mut buf[done..], at) {
                Ok(0) => break,
                Ok(got) => done += got,
                Err(error) if error.kind() == Os::Interrupted => {}
                Err(error) => return Err(self.failed("read", at)(error)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(self.failed("write", offset))
    }

    fn sync_data(&self) -> Result<()> {
        self.file.sync_data().map_err(self.failed("sync", 0))
    }

    fn len(&self) -> Result<u64> {
        let metadata = self.file.metadata().map_err(self.failed("stat", 0))?;
        Ok(metadata.len())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(self.failed("set length of", len))
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        if len == 0 || self.fallocate(FallocateFlags::empty(), "allocate", offset, len)? {
            return Ok(());
        }
        if self.len()? < offset + len {
            self.set_len(offset + len)?;
        }
        Ok(())
    }

    fn punch_hole(&self, offset: u64, len: u64) -> Result<()> {
        // Never past the end: the fallback must not extend the file.
        let len = len.min(self.len()?.saturating_sub(offset));
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if len == 0 || self.fallocate(flags, "punch hole in", offset, len)? {
            return Ok(());
        }
        write_zeros(self, offset, len)
    }

    fn next_data(&self, offset: u64) -> Result<Option<u64>> {
        // Moves the handle's own position, which nothing here goes by.
        match rustix::fs::seek(&self.file, SeekFrom::Data(offset)) {
            Ok(data) => Ok(Some(data)),
            Err(Errno::NXIO) => Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok((offset < self.len()?).then_some(offset)),
            Err(errno) => Err(self.failed("look for data in", offset)(errno.into())),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn handle(&self) -> Option<&fs::File> {
        Some(&self.file)
    }
}
