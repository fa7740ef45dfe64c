//! The tree's directory: one holder at a time, and one format.
//!
//! `LOCK` is locked while a tree is open; the kernel lets go of it when the process ends, however it ends. `VERSION` names
//! the format in a line of text. Called by the tree's opening and by `fsck`.

use crate::TreeError;
use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

const VERSION: &str = "quintet-tree 1";

/// A directory that is held.
pub(crate) struct Home {
    dir: PathBuf,
    _lock: File,
}

impl Home {
    /// Takes the directory, which is created if need be.
    pub(crate) fn take(dir: &Path) -> Result<Self, TreeError> {
        fs::create_dir_all(dir)
            .map_err(|error| TreeError::io(format!("creating {}", dir.display()), error))?;
        Self::take_existing(dir, true)
    }

    /// Takes a directory that is there. Unless it may be `new`, it must hold a tree.
    pub(crate) fn take_existing(dir: &Path, new: bool) -> Result<Self, TreeError> {
        let version = dir.join("VERSION");
        if !new {
            fs::metadata(&version)
                .map_err(|error| TreeError::io(format!("looking for {}", version.display()), error))?;
        }
        let home = Self {
            dir: dir.to_owned(),
            _lock: lock(dir)?,
        };
        match fs::read_to_string(&version) {
            Ok(found) if found.trim_end() == VERSION => {}
            Ok(found) => {
                let found = found
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .take(80)
                    .collect();
                return Err(TreeError::Version {
                    path: version,
                    found,
                    expected: VERSION,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => home
                .write_version(&version)
                .map_err(|error| TreeError::io(format!("writing {}", version.display()), error))?,
            Err(error) => return Err(TreeError::io(format!("reading {}", version.display()), error)),
        }
        Ok(home)
    }

    /// Under another name until it is whole on the disk: a power cut must not leave half a version.
    fn write_version(&self, path: &Path) -> io::Result<()> {
        let unfinished = self.dir.join("VERSION.new");
        let mut file = File::create(&unfinished)?;
        writeln!(file, "{VERSION}")?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(&self.dir)?.sync_all()
    }
}

fn lock(dir: &Path) -> Result<File, TreeError> {
    let path = dir.join("LOCK");
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| TreeError::io(format!("opening {}", path.display()), error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TreeError::Locked { path }),
        Err(TryLockError::Error(error)) => Err(TreeError::io(format!("locking {}", path.display()), error)),
    }
}
