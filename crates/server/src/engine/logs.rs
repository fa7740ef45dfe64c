//! Checking an engine's folders without opening the engine: every snapshot and every log record against its checksum.
//!
//! For engines that keep all they have in `quintet-log`'s files. Nothing is written. Only the bytes are checked; what they
//! mean is checked by the engine when it opens them.

use crate::{failure::Failure, fsck::Findings};
use quintet_core::{ErrorKind, Seq};
use quintet_log::{Directory, OsDirectory, snapshot};
use std::path::{Path, PathBuf};

/// Checks folders of logs and snapshots. `what` names them in the summary.
///
/// # Errors
/// A folder that cannot be read.
pub(crate) fn check(what: &str, folders: &[PathBuf]) -> Result<Findings, Failure> {
    let (mut items, mut records, mut faults) = (0_u64, 0_u64, Vec::new());
    for folder in folders {
        let fault = look(folder, &mut items, &mut records);
        match fault {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Corrupted => {
                faults.push(format!("{}: {}", folder.display(), error.context()));
            }
            Err(error) => {
                return Err(Failure::new(format!(
                    "cannot check {}: {error}",
                    folder.display()
                )));
            }
        }
    }
    let summary = format!(
        "{} {what}, {items} items of snapshots and {records} records after them",
        folders.len()
    );
    Ok(Findings {
        summary,
        fault_count: faults.len() as u64,
        faults,
    })
}

fn look(folder: &Path, items: &mut u64, records: &mut u64) -> Result<(), quintet_core::Error> {
    let directory = OsDirectory::open(folder)?;
    let mut after = Seq::ZERO;
    for name in directory.list()? {
        if name == "manifest" || name.ends_with(".snapshot") {
            let mut count = |_item: &[u8]| {
                *items += 1;
                Ok(())
            };
            let watermark = snapshot::read(&directory, &name, &mut count)?;
            after = after.max(watermark.unwrap_or(Seq::ZERO));
        }
    }
    let contents = quintet_log::read(&directory, after, &mut |_, _| Ok(()))?;
    *records += contents.records;
    Ok(())
}
