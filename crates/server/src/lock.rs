//! The data directory: one server at a time, and a layout version that an older or newer build refuses.
//!
//! `LOCK` is held by a file lock, which the kernel drops when the process ends however it ends; the process id in it is for
//! people only. `VERSION` names the layout of the directory; each engine's folder carries a version of its own format.

use crate::failure::Failure;
use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// The layout that this build reads and writes.
const LAYOUT: &str = "quintet data layout 1\n";
/// What may lie in a directory that is still called empty: our own lock, and what mkfs makes.
const IGNORED: [&str; 3] = ["LOCK", "lost+found", "VERSION.new"];

/// A locked data directory. The lock is released on drop.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    lock: File,
}

impl DataDir {
    /// Creates the directory if it is missing, locks it, and checks or writes its layout version.
    ///
    /// # Errors
    /// When it cannot be created or written, another process holds it, it is not empty and not Quintet's, or its layout is
    /// of another version.
    pub fn create_or_open(path: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(path).map_err(|error| cannot("create", path, &error))?;
        let dir = Self::lock(path)?;
        match fs::read_to_string(path.join("VERSION")) {
            Ok(found) => check_layout(path, &found)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                refuse_foreign(path)?;
                write_version(path).map_err(|error| cannot("write", &path.join("VERSION"), &error))?;
            }
            Err(error) => return Err(cannot("read", &path.join("VERSION"), &error)),
        }
        Ok(dir)
    }

    /// Locks a directory that must exist and have a layout version. Creates nothing but the lock file.
    ///
    /// # Errors
    /// As [`create_or_open`](Self::create_or_open), and when there is no data directory at `path`.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let found = fs::read_to_string(path.join("VERSION")).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                Failure::new(format!(
                    "{} is not a Quintet data directory: it has no VERSION file",
                    path.display()
                ))
                .hint("--data-dir with the directory that the server was started with")
            } else {
                cannot("read", &path.join("VERSION"), &error)
            }
        })?;
        check_layout(path, &found)?;
        Self::lock(path)
    }

    /// Creates the directory if it is missing and locks it; nothing may be in it. No server takes it before
    /// [`write_version`](Self::write_version).
    ///
    /// # Errors
    /// When it cannot be created, another process holds it, or something is in it.
    pub fn claim_empty(path: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(path).map_err(|error| cannot("create", path, &error))?;
        let dir = Self::lock(path)?;
        if let Some(found) = stranger(path)? {
            return Err(Failure::new(format!(
                "{} is not empty: it holds {}",
                path.display(),
                Path::new(&found).display()
            ))
            .hint("--data-dir with a missing or empty directory"));
        }
        Ok(dir)
    }

    /// Says, durably, that the directory is whole and which layout it has.
    ///
    /// # Errors
    /// What the system answers.
    pub fn write_version(&self) -> Result<(), Failure> {
        write_version(&self.path).map_err(|error| cannot("write", &self.path.join("VERSION"), &error))
    }

    /// Where it is, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock(path: &Path) -> Result<Self, Failure> {
        let name = path.join("LOCK");
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&name)
            .map_err(|error| cannot("open", &name, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(path, &mut lock)),
            Err(TryLockError::Error(error)) => return Err(cannot("lock", &name, &error)),
        }
        // For people, and so not worth failing over.
        let _unwritten = lock
            .set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()));
        Ok(Self {
            path: path.to_path_buf(),
            lock,
        })
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // A stale process id would mislead whoever reads it next.
        let _unwritten = self.lock.set_len(0);
    }
}

fn in_use(path: &Path, lock: &mut File) -> Failure {
    let mut text = String::new();
    let pid = lock
        .rewind()
        .and_then(|()| lock.take(32).read_to_string(&mut text))
        .ok()
        .and_then(|_| text.trim().parse::<u32>().ok());
    let holder = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    Failure::new(format!(
        "data directory {} is in use by another server{holder}",
        path.display()
    ))
    .hint("stop that server, or name another directory with --data-dir")
    .in_use()
}

fn check_layout(path: &Path, found: &str) -> Result<(), Failure> {
    if found == LAYOUT {
        return Ok(());
    }
    let shown: String = found.trim_end().chars().take(60).collect();
    Err(Failure::new(format!(
        "{} says {shown:?}, and this build knows only {:?}",
        path.join("VERSION").display(),
        LAYOUT.trim_end()
    ))
    .hint("the build that wrote the directory, or another --data-dir"))
}

fn refuse_foreign(path: &Path) -> Result<(), Failure> {
    let Some(name) = stranger(path)? else {
        return Ok(());
    };
    Err(Failure::new(format!(
        "{} is not empty (it holds {}) and is not a Quintet data directory: it has no VERSION file",
        path.display(),
        Path::new(&name).display()
    ))
    .hint("--data-dir with a new or empty directory"))
}

/// Something in the directory that is not ours and not mkfs's.
fn stranger(path: &Path) -> Result<Option<OsString>, Failure> {
    let entries = fs::read_dir(path).map_err(|error| cannot("read", path, &error))?;
    for entry in entries {
        let name = entry.map_err(|error| cannot("read", path, &error))?.file_name();
        if !IGNORED.iter().any(|ignored| name == *ignored) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Written beside, flushed and renamed, so that a crash leaves a whole file or none.
fn write_version(path: &Path) -> io::Result<()> {
    let new = path.join("VERSION.new");
    let mut file = File::create(&new)?;
    file.write_all(LAYOUT.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path.join("VERSION"))?;
    File::open(path)?.sync_all()
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(format!("cannot {what} {}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            failure.hint("--data-dir with a directory that this user may write")
        }
        _ => failure,
    }
}
