//! `quintet restore`: a backup becomes a data directory, every file of it checked on the way and every engine afterwards.
//!
//! The data directory gets its `VERSION` last: until then no server takes it for one, so a restore that is cut off leaves
//! nothing that could be served. What is refused is taken away again.

use super::{
    make::{named, sync},
    manifest::{FILE, Listed, Manifest, hash},
};
use crate::{
    bar::Bar, cli::RestoreArgs, console::say, failure::Failure, features, fsck, lock::DataDir, size::ByteSize,
};
use quintet_core::{Error, ErrorKind};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    path::Path,
};

/// Restores a backup into an empty directory.
///
/// # Errors
/// A directory that is not empty; a backup that is not whole, which names the file; faults that a check of the engines
/// finds afterwards: the data is there then, as it was backed up.
pub fn restore(args: &RestoreArgs) -> Result<(), Failure> {
    let failed = |error: Error| Failure::new(error.context().to_owned());
    let manifest = Manifest::read(&args.from).map_err(failed)?;
    check_engines(&manifest)?;
    check_names(&args.from, &manifest).map_err(failed)?;
    let dir = DataDir::claim_empty(&args.data_dir)?;
    if let Err(error) = copy(&manifest, &args.from, dir.path()) {
        for engine in &manifest.engines {
            // What is left has no VERSION, and no server takes it.
            let _left = fs::remove_dir_all(dir.path().join(engine));
        }
        return Err(failed(error).hint("nothing was restored; another backup"));
    }
    let faults = fsck::report(&dir)?;
    dir.write_version()?;
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    say(format_args!(
        "restored {}: {} files, {} in {}",
        manifest.engines.join(", "),
        manifest.files.len(),
        ByteSize(bytes),
        dir.path().display()
    ));
    if faults == 0 {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{faults} fault(s), as they were backed up: the data was damaged before"
    )))
}

fn check_engines(manifest: &Manifest) -> Result<(), Failure> {
    // The folder's name is not always the feature's.
    let feature = |engine: &str| match engine {
        "blocks" => "blockstore".to_owned(),
        "vectors" => "shard".to_owned(),
        other => other.to_owned(),
    };
    let missing = manifest
        .engines
        .iter()
        .find(|engine| !features::engines().contains(&&*feature(engine)));
    missing.map_or(Ok(()), |engine| {
        let why = format!("the backup has {engine}, which this build does not");
        Err(Failure::new(why).hint("a build with every engine"))
    })
}

/// The files that are there must be those of the list.
fn check_names(backup: &Path, manifest: &Manifest) -> Result<(), Error> {
    let mut found = BTreeSet::new();
    collect(backup, backup, &mut found)?;
    let listed: BTreeSet<String> = manifest.files.iter().map(|file| file.path.clone()).collect();
    let fault = |path: &str, why: &str| {
        let path = backup.join(path);
        Err(Error::new(
            ErrorKind::Corrupted,
            format!("{}: {why}", path.display()),
        ))
    };
    if let Some(path) = listed.difference(&found).next() {
        return fault(path, "it is missing");
    }
    if let Some(path) = found.difference(&listed).next() {
        return fault(path, "it is not of the backup");
    }
    Ok(())
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeSet<String>) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(|error| named(folder, error))? {
        let path = entry.map_err(|error| named(folder, error))?.path();
        if path.is_dir() {
            collect(root, &path, found)?;
        } else if path != root.join(FILE) {
            let inner = path.strip_prefix(root).unwrap_or(&path);
            found.insert(inner.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

fn copy(manifest: &Manifest, backup: &Path, data_dir: &Path) -> Result<(), Error> {
    let bar = Bar::bytes("restoring");
    let total: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let mut done = 0;
    for file in &manifest.files {
        copy_file(file, backup, data_dir, &mut |bytes| {
            done += bytes;
            bar.show_bytes(done, total);
        })?;
    }
    sync_folders(data_dir)
}

fn copy_file(
    listed: &Listed,
    backup: &Path,
    data_dir: &Path,
    each: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let (from, to) = (listed.below(backup), listed.below(data_dir));
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|error| named(folder, error))?;
    }
    let mut copy = File::create_new(&to).map_err(|error| named(&to, error))?;
    let (bytes, sha256) = hash(&from, &mut |piece| {
        copy.write_all(piece).map_err(|error| named(&to, error))?;
        each(piece.len() as u64);
        Ok(())
    })?;
    let fault = |why: String| {
        Err(Error::new(
            ErrorKind::Corrupted,
            format!("{}: {why}", from.display()),
        ))
    };
    if bytes != listed.bytes {
        return fault(format!(
            "it has {bytes} bytes, and {} were backed up",
            listed.bytes
        ));
    }
    if sha256 != listed.sha256 {
        return fault("its checksum does not match".into());
    }
    copy.sync_all().map_err(|error| named(&to, error))
}

fn sync_folders(folder: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(|error| named(folder, error))? {
        let path = entry.map_err(|error| named(folder, error))?.path();
        if path.is_dir() {
            sync_folders(&path)?;
        }
    }
    sync(folder)
}
