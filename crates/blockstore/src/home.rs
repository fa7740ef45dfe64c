//! The store's directory: one holder at a time, and one format.
//!
//! `LOCK` is held (flock) while a store is open; the kernel lets go of it when the process ends, however it ends.
//! `VERSION` names the format in a line of text.

use crate::{BlockError, engine::DATA_FILE};
use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

const VERSION: &str = "quintet-blocks 1";

/// A directory that is held by this store.
pub(crate) struct Home {
    dir: PathBuf,
    /// Held until it is dropped.
    _lock: File,
}

impl Home {
    /// Creates the directory if need be and takes it.
    pub(crate) fn take(dir: &Path) -> Result<Self, BlockError> {
        let attempt = |what: &str| format!("{what} {}", dir.display());
        fs::create_dir_all(dir.join("meta")).map_err(|error| BlockError::io(attempt("creating"), error))?;
        let home = Self {
            dir: dir.to_owned(),
            _lock: lock(dir)?,
        };
        home.check_version()?;
        Ok(home)
    }

    /// Takes a directory that must be a store already, and creates nothing in it but the lock.
    pub(crate) fn take_existing(dir: &Path) -> Result<Self, BlockError> {
        let version = dir.join("VERSION");
        if let Err(error) = fs::metadata(&version) {
            refuse_data_without_version(dir, &version)?;
            return Err(BlockError::io(
                format!("looking for {}", version.display()),
                error,
            ));
        }
        let home = Self {
            dir: dir.to_owned(),
            _lock: lock(dir)?,
        };
        home.check_version()?;
        Ok(home)
    }

    /// Where the checkpoint lives.
    pub(crate) fn meta_dir(&self) -> PathBuf {
        self.dir.join("meta")
    }

    fn check_version(&self) -> Result<(), BlockError> {
        let path = self.dir.join("VERSION");
        let attempt = |what: &str| format!("{what} {}", path.display());
        match fs::read_to_string(&path) {
            Ok(found) if found.trim_end() == VERSION => Ok(()),
            Ok(found) => {
                let found = found
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .take(80)
                    .collect();
                Err(BlockError::Version {
                    path,
                    found,
                    expected: VERSION,
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                refuse_data_without_version(&self.dir, &path)?;
                self.write_version(&path)
            }
            Err(error) => Err(BlockError::io(attempt("reading"), error)),
        }
    }

    fn write_version(&self, path: &Path) -> Result<(), BlockError> {
        // Under another name until it is whole on the disk: a power cut must not leave half a version.
        let write = || -> io::Result<()> {
            let unfinished = self.dir.join("VERSION.new");
            let mut file = File::create(&unfinished)?;
            writeln!(file, "{VERSION}")?;
            file.sync_all()?;
            fs::rename(&unfinished, path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|error| BlockError::io(format!("writing {}", path.display()), error))
    }
}

/// The version is on the disk before anything else is made. So where there is data without one, it was lost, and the data
/// may be of any format.
fn refuse_data_without_version(dir: &Path, version: &Path) -> Result<(), BlockError> {
    let attempt = |error| BlockError::io(format!("listing {}", dir.display()), error);
    if dir.join("meta/data.mdb").exists() {
        return Err(lost(version, "meta/data.mdb"));
    }
    for entry in fs::read_dir(dir).map_err(attempt)? {
        let name = entry.map_err(attempt)?.file_name();
        let name = name.to_string_lossy();
        if name == DATA_FILE || name.starts_with("segment-") {
            return Err(lost(version, &name));
        }
    }
    Ok(())
}

fn lost(version: &Path, data: &str) -> BlockError {
    let fault = format!("it is missing, and there is data beside it: {data}");
    BlockError::corrupted(version.display().to_string(), fault)
}

fn lock(dir: &Path) -> Result<File, BlockError> {
    let path = dir.join("LOCK");
    let open = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let file = open.map_err(|error| BlockError::io(format!("opening {}", path.display()), error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BlockError::Locked { path }),
        Err(TryLockError::Error(error)) => Err(BlockError::io(format!("locking {}", path.display()), error)),
    }
}
