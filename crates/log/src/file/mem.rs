//! The seam in memory: for tests, and for engines that are asked to keep nothing. Never fails for lack of hardware, has
//! the same semantics as the operating system's files, and is what a crash image is made of.

use super::{Directory, File, OpenMode, check_name};
use quintet_core::{Error, ErrorKind, Result};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// A directory in memory. Clones share the same files.
#[derive(Clone, Debug, Default)]
pub struct MemDirectory {
    files: Arc<Mutex<BTreeMap<String, Arc<MemFile>>>>,
}

impl MemDirectory {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Arc<MemFile>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a file with these bytes in, replacing one of the same name.
    pub fn insert(&self, name: &str, bytes: Vec<u8>) {
        let file = MemFile {
            name: name.to_owned(),
            bytes: RwLock::new(bytes),
        };
        self.files().insert(name.to_owned(), Arc::new(file));
    }

    /// A copy of a file's bytes, `None` when there is no such file.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.files().get(name).map(|file| file.read().clone())
    }

    /// An independent copy of every file.
    #[must_use]
    pub fn fork(&self) -> Self {
        let copy = Self::new();
        for (name, file) in self.files().iter() {
            copy.insert(name, file.read().clone());
        }
        copy
    }

    pub(super) fn open_file(&self, name: &str, mode: OpenMode) -> Result<Arc<MemFile>> {
        check_name(name)?;
        let mut files = self.files();
        match (files.get(name), mode) {
            (Some(_), OpenMode::CreateNew) => Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("open {name}: there is such a file"),
            )),
            (Some(file), _) => Ok(file.clone()),
            (None, OpenMode::Read | OpenMode::Write) => Err(missing("open", name)),
            (None, OpenMode::Create | OpenMode::CreateNew) => {
                let file = Arc::new(MemFile {
                    name: name.to_owned(),
                    bytes: RwLock::default(),
                });
                files.insert(name.to_owned(), file.clone());
                Ok(file)
            }
        }
    }
}

fn missing(what: &str, name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{what} {name}: no such file"))
}

impl Directory for MemDirectory {
    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn File>> {
        let file = self.open_file(name, mode)?;
        if mode == OpenMode::Read {
            return Ok(Arc::new(ReadOnly(file)));
        }
        Ok(file)
    }

    fn remove(&self, name: &str) -> Result<()> {
        check_name(name)?;
        let removed = self.files().remove(name);
        removed.map(drop).ok_or_else(|| missing("remove", name))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        check_name(from)?;
        check_name(to)?;
        let mut files = self.files();
        let file = files.remove(from).ok_or_else(|| missing("rename", from))?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn list(&self) -> Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

/// A file in memory; its name is the one it was created under.
#[derive(Debug, Default)]
pub(super) struct MemFile {
    name: String,
    bytes: RwLock<Vec<u8>>,
}

impl MemFile {
    fn read(&self) -> RwLockReadGuard<'_, Vec<u8>> {
        self.bytes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<u8>> {
        self.bytes.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A position that memory can index, or the error that a disk would give.
fn index(file: &MemFile, offset: u64, len: u64) -> Result<usize> {
    offset
        .checked_add(len)
        .filter(|&end| end <= isize::MAX as u64)
        .map(|_| offset as usize)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Full,
                format!(
                    "write {} at byte {offset}: beyond what memory can hold",
                    file.name
                ),
            )
        })
}

impl File for MemFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let bytes = self.read();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let got = buf.len().min(bytes.len() - from);
        buf[..got].copy_from_slice(&bytes[from..from + got]);
        Ok(got)
    }

    fn write_at(&self, new: &[u8], offset: u64) -> Result<()> {
        let from = index(self, offset, new.len() as u64)?;
        if new.is_empty() {
            return Ok(());
        }
        let mut bytes = self.write();
        if bytes.len() < from + new.len() {
            bytes.resize(from + new.len(), 0);
        }
        bytes[from..from + new.len()].copy_from_slice(new);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.read().len() as u64)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let len = index(self, len, 0)?;
        self.write().resize(len, 0);
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        let end = index(self, offset, len)? + len as usize;
        let mut bytes = self.write();
        if len > 0 && bytes.len() < end {
            bytes.resize(end, 0);
        }
        Ok(())
    }

    fn punch_hole(&self, offset: u64, len: u64) -> Result<()> {
        let mut bytes = self.write();
        let total = bytes.len();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(total);
        let to = usize::try_from(offset.saturating_add(len))
            .unwrap_or(usize::MAX)
            .min(total);
        bytes[from..to].fill(0);
        Ok(())
    }

    fn next_data(&self, offset: u64) -> Result<Option<u64>> {
        let bytes = self.read();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let data = bytes[from..].iter().position(|byte| *byte != 0);
        // As file systems answer: by pages.
        Ok(data.map(|data| ((from + data) as u64 & !4095).max(offset)))
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// A handle opened with [`OpenMode::Read`].
struct ReadOnly(Arc<MemFile>);

impl ReadOnly {
    fn refuse(&self) -> Result<()> {
        let name = &self.0.name;
        Err(Error::new(
            ErrorKind::Io,
            format!("{name} was opened for reading only"),
        ))
    }
}

impl File for ReadOnly {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, _: &[u8], _: u64) -> Result<()> {
        self.refuse()
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        self.0.len()
    }

    fn set_len(&self, _: u64) -> Result<()> {
        self.refuse()
    }

    fn allocate(&self, _: u64, _: u64) -> Result<()> {
        self.refuse()
    }

    fn punch_hole(&self, _: u64, _: u64) -> Result<()> {
        self.refuse()
    }

    fn next_data(&self, offset: u64) -> Result<Option<u64>> {
        self.0.next_data(offset)
    }

    fn name(&self) -> &str {
        self.0.name()
    }
}
