//! `quintet scrub` and `quintet compact`: care for the blocks of a data directory that no server uses.
//!
//! Both open the block store as a server would, recovery included. A running server is looked after through the library:
//! `BlockStore::scrub` and `BlockStore::compact` work on a store that serves.

use crate::{
    bar::Bar,
    cli::{CompactArgs, ScrubArgs},
    console::say,
    engine::blocks,
    failure::Failure,
    lock::DataDir,
    size::ByteSize,
};
use quintet_blockstore::{BlockStore, CompactOptions, ScrubOptions};
use std::{ops::ControlFlow, path::Path};

/// Reads every block and checks that it hashes to its name; a line per fault.
///
/// # Errors
/// When the directory is in use or not Quintet's, the store does not open, or a block is damaged.
pub fn scrub(args: &ScrubArgs) -> Result<(), Failure> {
    let mut options = ScrubOptions::default();
    if let Some(rate) = args.rate {
        if rate.0 == 0 {
            return Err(Failure::usage("--rate 0: must be at least 1 byte a second"));
        }
        options.bytes_per_s = rate.0;
    }
    let dir = DataDir::open(&args.data_dir)?;
    let store = open(dir.path())?;
    let bar = Bar::blocks("scrubbing");
    let found = store.scrub(options, &mut |progress| {
        bar.show(progress);
        ControlFlow::Continue(())
    });
    drop(bar);
    let found = found.map_err(|error| failed("scrubbing", dir.path(), &error))?;
    close(&store, dir.path())?;
    for fault in &found.faults {
        say(format_args!("blocks: {fault}"));
    }
    say(format_args!(
        "blocks: {} blocks with {} read, {} faults",
        found.blocks,
        ByteSize(found.bytes),
        found.fault_count
    ));
    match found.fault_count {
        0 => Ok(()),
        count => Err(Failure::new(format!(
            "{count} damaged block(s) in {}",
            dir.path().display()
        ))),
    }
}

/// Cuts the block file off behind its last block, and on request gives the storage of free blocks back.
///
/// # Errors
/// When the directory is in use or not Quintet's, the store does not open, or the system refuses.
pub fn compact(args: &CompactArgs) -> Result<(), Failure> {
    let dir = DataDir::open(&args.data_dir)?;
    let store = open(dir.path())?;
    let mut options = CompactOptions::default();
    options.punch = args.punch;
    let bar = Bar::blocks("punching");
    let compacted = store.compact(options, &mut |progress| bar.show(progress));
    drop(bar);
    let compacted = compacted.map_err(|error| failed("compacting", dir.path(), &error))?;
    close(&store, dir.path())?;
    say(format_args!(
        "blocks: the file had {} and has {}; {} punched",
        ByteSize(compacted.before_bytes),
        ByteSize(compacted.file_bytes),
        ByteSize(compacted.punched_bytes)
    ));
    Ok(())
}

fn open(data_dir: &Path) -> Result<BlockStore, Failure> {
    let folder = data_dir.join("blocks");
    if !folder.join("VERSION").exists() {
        return Err(Failure::new(format!(
            "there are no blocks in {}",
            data_dir.display()
        )));
    }
    blocks::open(&folder)
}

fn close(store: &BlockStore, data_dir: &Path) -> Result<(), Failure> {
    store
        .close()
        .map_err(|error| failed("closing the blocks of", data_dir, &error))
}

fn failed(what: &str, data_dir: &Path, error: &quintet_core::Error) -> Failure {
    Failure::new(format!("{what} {}: {error}", data_dir.display()))
}
