//! Where a store keeps its files, and the lock that keeps other processes out of them.
//!
//! `LOCK` is held (flock) from before the first file is opened until the store has closed its last one; the kernel lets
//! go of it when the process ends, however it ends.

use crate::vector::VectorError;
use quintet_core::{Error, Result};
use quintet_log::{Directory, MemDirectory, OsDirectory};
use std::{
    fs::{File, TryLockError},
    io,
    num::NonZeroUsize,
    path::Path,
    sync::Arc,
};

/// Where a store keeps its files: one directory for the manifest, one for each shard.
pub struct Directories {
    /// The manifest's.
    pub root: Arc<dyn Directory>,
    /// Each shard's own.
    pub shards: Vec<Arc<dyn Directory>>,
    /// Held as long as they are in use; nobody else can have those in memory.
    pub(super) lock: Option<Lock>,
}

/// Keeps other stores out until it is dropped.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Not left to the closing: a process that is being started in between has a copy of the handle for a moment.
        let _closed_anyway = self.0.unlock();
    }
}

impl Directories {
    /// Folders on disk: `path` and `path/shard-0000` and so on, made when missing. One store at a time may have them, in
    /// this process or any other.
    ///
    /// # Errors
    /// [`VectorError::Locked`] while another store has them; what the system answers.
    pub fn on_disk(path: &Path, shards: NonZeroUsize) -> Result<Self> {
        let root = Arc::new(open_folder(path)?);
        let lock = Some(lock(path)?);
        let shard = |n: usize| -> Result<Arc<dyn Directory>> {
            Ok(Arc::new(open_folder(&path.join(format!("shard-{n:04}")))?))
        };
        let shards = (0..shards.get()).map(shard).collect::<Result<_>>()?;
        Ok(Self { root, shards, lock })
    }

    /// In memory, for tests and caches: nothing outlives the directories.
    #[must_use]
    pub fn in_memory(shards: NonZeroUsize) -> Self {
        let shard = |_| Arc::new(MemDirectory::new()) as Arc<dyn Directory>;
        Self::over(
            Arc::new(MemDirectory::new()),
            (0..shards.get()).map(shard).collect(),
        )
    }

    /// Any directories, such as ones that fail; the caller sees to it that nobody else has them.
    #[must_use]
    pub fn over(root: Arc<dyn Directory>, shards: Vec<Arc<dyn Directory>>) -> Self {
        let lock = None;
        Self { root, shards, lock }
    }
}

fn open_folder(path: &Path) -> Result<OsDirectory> {
    std::fs::create_dir_all(path).map_err(|error| failed(path, error))?;
    // A folder that a power cut takes away again would take acknowledged points with it.
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        OsDirectory::open(parent)?.sync()?;
    }
    OsDirectory::open(path)
}

fn lock(path: &Path) -> Result<Lock> {
    let path = path.join("LOCK");
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(&path).map_err(|error| failed(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(VectorError::Locked { path }.into()),
        Err(TryLockError::Error(error)) => Err(failed(&path, error)),
    }
}

fn failed(path: &Path, error: io::Error) -> Error {
    let kind = Error::from(io::Error::from(error.kind())).kind();
    Error::new(kind, format!("{}: {error}", path.display())).with_source(error)
}
