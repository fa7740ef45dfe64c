//! Making a backup: every engine copies itself into a folder, then every file is hashed and listed, then the directory gets
//! its name.
//!
//! Invariant: under its name a backup is whole and on stable storage. What fails or is ended takes its files away again;
//! what a crash leaves is called `….partial` and is refused by the next attempt and by `restore`.

use super::manifest::{FILE, Listed, Manifest};
use crate::engine::Each;
use quintet_core::{Error, ErrorKind};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Files that engines make where they run, and that belong to no copy.
const RUNNING: [&str; 2] = ["LOCK", "lock.mdb"];

/// One engine as something to copy.
pub(crate) struct Source {
    /// Its name, which is its folder's.
    pub(crate) name: &'static str,
    /// About how large the copy will be.
    pub(crate) bytes: u64,
    /// Makes the copy in a folder that does not exist yet; `false` = there is nothing to copy.
    pub(crate) copy: CopyInto,
}

type CopyInto = Box<dyn FnOnce(&Path, Each<'_>) -> Result<bool, Error> + Send>;

/// How far a backup is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// What is being done.
    pub(crate) doing: &'static str,
    /// Bytes copied, or hashed.
    pub(crate) done_bytes: u64,
    /// How many there are, about.
    pub(crate) total_bytes: u64,
}

/// What a backup has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) engines: Vec<String>,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// Makes a backup of `data_dir` in `to`. `watch` is told how far it is, and may end it with an error. Blocks.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] when `to` is there and not empty; [`ErrorKind::InvalidInput`] when it lies in the data
/// directory; what an engine, the system or `watch` answers.
pub(crate) fn make(
    data_dir: &Path,
    sources: Vec<Source>,
    to: &Path,
    watch: &mut dyn FnMut(Progress) -> Result<(), Error>,
) -> Result<Made, Error> {
    let partial = begin(data_dir, to)?;
    let made = fill(&partial, sources, watch).and_then(|made| finish(&partial, to).map(|()| made));
    if made.is_err() {
        // What is left is refused by its name.
        let _left = fs::remove_dir_all(&partial);
    }
    made
}

/// Makes the directory under its other name.
fn begin(data_dir: &Path, to: &Path) -> Result<PathBuf, Error> {
    let refused = |kind, why: &str| Err(Error::new(kind, format!("{}: {why}", to.display())));
    let (Some(parent), Some(name)) = (to.parent(), to.file_name()) else {
        return refused(ErrorKind::InvalidInput, "not the name of a directory to be made");
    };
    if !to.is_absolute() {
        return refused(ErrorKind::InvalidInput, "not an absolute path");
    }
    let is_free = match fs::read_dir(to) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if !is_free {
        return refused(
            ErrorKind::AlreadyExists,
            "there is something already; a backup is a directory of its own",
        );
    }
    fs::create_dir_all(parent).map_err(|error| named(parent, error))?;
    let inside = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if inside(parent).starts_with(inside(data_dir)) {
        return refused(ErrorKind::InvalidInput, "it lies in the data directory");
    }
    let mut partial = name.to_owned();
    partial.push(".partial");
    let partial = parent.join(partial);
    match fs::create_dir(&partial) {
        Ok(()) => Ok(partial),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let why = "a backup that was cut off left it, or one is being made; remove it if none is";
            Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("{}: {why}", partial.display()),
            ))
        }
        Err(error) => Err(named(&partial, error)),
    }
}

fn fill(
    partial: &Path,
    sources: Vec<Source>,
    watch: &mut dyn FnMut(Progress) -> Result<(), Error>,
) -> Result<Made, Error> {
    let mut progress = Progress {
        doing: "copying",
        done_bytes: 0,
        total_bytes: sources.iter().map(|source| source.bytes).sum(),
    };
    let mut engines = Vec::new();
    for source in sources {
        let copied = (source.copy)(&partial.join(source.name), &mut |bytes| {
            progress.done_bytes += bytes;
            watch(progress)
        });
        let copied = copied.map_err(|error| {
            let why = format!("{}: {}", source.name, error.context());
            Error::new(error.kind(), why).with_source(error)
        })?;
        if copied {
            engines.push(source.name.to_owned());
        }
    }
    progress.doing = "hashing";
    progress.total_bytes = progress.done_bytes;
    progress.done_bytes = 0;
    let mut files = Vec::new();
    list(partial, partial, &mut files, &mut |bytes| {
        progress.done_bytes += bytes;
        watch(progress)
    })?;
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let made = Made {
        engines: engines.clone(),
        files: files.len() as u64,
        bytes: files.iter().map(|file| file.bytes).sum(),
    };
    let manifest = Manifest::of(engines, files).to_text()?;
    let path = partial.join(FILE);
    fs::write(&path, manifest).map_err(|error| named(&path, error))?;
    sync(&path)?;
    sync(partial)?;
    Ok(made)
}

/// Hashes and syncs every file below a folder, and syncs the folders.
fn list(root: &Path, folder: &Path, files: &mut Vec<Listed>, each: Each<'_>) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(|error| named(folder, error))? {
        let path = entry.map_err(|error| named(folder, error))?.path();
        if path.is_dir() {
            list(root, &path, files, each)?;
        } else if path
            .file_name()
            .is_some_and(|name| RUNNING.iter().any(|other| name == *other))
        {
            fs::remove_file(&path).map_err(|error| named(&path, error))?;
        } else {
            files.push(Listed::of(root, &path, each)?);
            sync(&path)?;
        }
    }
    sync(folder)
}

fn finish(partial: &Path, to: &Path) -> Result<(), Error> {
    // Over an empty directory, if there is one.
    fs::rename(partial, to).map_err(|error| named(to, error))?;
    to.parent().map_or(Ok(()), sync)
}

/// Makes a file or a folder durable.
pub(super) fn sync(path: &Path) -> Result<(), Error> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|error| named(path, error))
}

pub(super) fn named(path: &Path, error: std::io::Error) -> Error {
    let kind = Error::from(std::io::Error::from(error.kind())).kind();
    Error::new(kind, format!("{}: {error}", path.display())).with_source(error)
}
