//! `quintet backup` and `quintet restore`: a consistent copy of every engine, of a server that runs or of one that does not,
//! and the way back.
//!
//! A backup is a directory: a folder per engine that opens like the original, and `MANIFEST` with the size and SHA-256 of
//! every file. It is made under another name and renamed when all of it is on stable storage, so that half a backup is
//! never taken for a whole one. Each engine's copy is of one moment of that engine, at or after the start of the backup.
//!
//! | file | role |
//! |---|---|
//! | `make` | the copying itself; called here for a stopped server, by the API port for a running one |
//! | `at_rest` | the engines of a data directory that no server has open |
//! | `manifest` | the list of files: written, read, compared |
//! | `remote` | asks the running server |
//! | `restore` | the way back, which checks everything |

mod at_rest;
pub(crate) mod make;
mod manifest;
mod remote;
mod restore;

pub use restore::restore;

use crate::{bar::Bar, cli::BackupArgs, console::say, failure::Failure, lock::DataDir, size::ByteSize};
use make::{Made, make};
use std::path::{Path, PathBuf};

/// Backs a data directory up: asks the server that uses it, or copies it here if none does.
///
/// # Errors
/// A destination that is not empty; a server that does not answer or refuses; what an engine or the system answers.
pub fn backup(args: &BackupArgs) -> Result<(), Failure> {
    let to = absolute(&args.to)?;
    let bar = Bar::bytes("copying");
    let made = match DataDir::open(&args.data_dir) {
        Ok(dir) => {
            let sources = at_rest::sources(dir.path(), &[])?;
            make(dir.path(), sources, &to, &mut |progress| {
                bar.show_bytes(progress.done_bytes, progress.total_bytes);
                Ok(())
            })
            .map_err(|error| Failure::new(error.to_string()))?
        }
        Err(failure) if failure.is_in_use() => {
            let from = absolute(&args.data_dir)?;
            remote::ask(args, &from, &to, &mut |done, total| bar.show_bytes(done, total))?
        }
        Err(failure) => return Err(failure),
    };
    drop(bar);
    let Made {
        engines,
        files,
        bytes,
    } = made;
    say(format_args!(
        "backup of {}: {files} files, {} in {}",
        engines.join(", "),
        ByteSize(bytes),
        to.display()
    ));
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

pub(crate) use at_rest::sources;
