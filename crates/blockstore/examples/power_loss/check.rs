//! The check: cut the power at a random moment, open what is left, and hold it against what had been acknowledged.

use crate::{
    Task, load,
    operation::{HOLDER, Operation, Random, Step, lock_body, patiently},
};
use quintet_blockstore::{BlockStore, Config, Digest, FsckOptions, fsck};
use quintet_core::Durability;
use quintet_log::recording::Replay;
use std::{
    collections::HashMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

/// What must be true of a block after the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Present,
    Absent,
    /// An operation was in flight.
    Either,
}

/// The same of its lock.
#[derive(Clone, Copy, Debug)]
struct State {
    block: Expected,
    lock: Expected,
}

fn expected(replay: &Replay, moment: usize) -> HashMap<Digest, State> {
    let mut blocks = HashMap::new();
    for operation in replay.notes_before(moment).filter_map(Operation::decode) {
        let nothing = State {
            block: Expected::Absent,
            lock: Expected::Absent,
        };
        let state = blocks.entry(operation.digest).or_insert(nothing);
        match operation.step {
            Step::PutBegun | Step::DeleteBegun => state.block = Expected::Either,
            Step::PutAcknowledged => state.block = Expected::Present,
            Step::DeleteAcknowledged => state.block = Expected::Absent,
            Step::LockBegun | Step::UnlockBegun => state.lock = Expected::Either,
            Step::LockAcknowledged => state.lock = Expected::Present,
            Step::UnlockAcknowledged => state.lock = Expected::Absent,
        }
    }
    blocks
}

/// At level full what was acknowledged is true, whatever happened.
fn hold(what: &str, digest: &Digest, expected: Expected, is_there: bool) -> Result<(), String> {
    match (expected, is_there) {
        (Expected::Present, false) => Err(format!("the {what} {digest} was acknowledged and is lost")),
        (Expected::Absent, true) => Err(format!("the {what} {digest} was removed and is back")),
        _ => Ok(()),
    }
}

pub(crate) fn run(task: &Task, images: usize, liar: Option<&str>) -> Result<String, Box<dyn Error>> {
    let recording = fs::read(&task.recording)?;
    let replay = Replay::without_syncs_of(&recording, &task.dir, liar)?;
    let mut random = Random(task.seed);
    let (mut acknowledged, mut survivors) = (0_usize, 0_usize);
    for image in 0..images {
        // The first images end with the recording, in its best and its worst outcome.
        let moment = match image {
            0 | 1 => replay.moments(),
            _ => random.below(replay.moments() as u64 + 1) as usize,
        };
        let outcome = if image < 2 { image as u64 } else { random.next() };
        let dir = image_dir()?;
        replay.image(moment, outcome, dir.path())?;
        let expected = expected(&replay, moment);
        let found = verify(task, dir.path(), &expected).map_err(|fault| {
            let kept: PathBuf = dir.keep();
            format!(
                "seed {}, {}, cut after event {moment} with outcome {outcome}: {fault}\nthe image is kept in {}",
                task.seed,
                task.durability,
                kept.display()
            )
        })?;
        acknowledged += expected
            .values()
            .filter(|state| state.block == Expected::Present)
            .count();
        survivors += found;
    }
    Ok(format!(
        "{images} images of {} events, durability {}: {acknowledged} acknowledged blocks expected, {survivors} blocks found",
        replay.moments(),
        task.durability
    ))
}

/// Checks the directory that the load worked in.
pub(crate) fn store_as_it_is(task: &Task) -> Result<(), Box<dyn Error>> {
    let recording = fs::read(&task.recording)?;
    let replay = Replay::of(&recording, &task.dir)?;
    verify(task, &task.dir, &expected(&replay, replay.moments())).map(|_| ())
}

/// In memory where the system offers it: an image need not survive anything.
fn image_dir() -> Result<tempfile::TempDir, std::io::Error> {
    let shared_memory = Path::new("/dev/shm");
    if shared_memory.is_dir() {
        tempfile::tempdir_in(shared_memory)
    } else {
        tempfile::tempdir()
    }
}

/// Opens the image and returns how many blocks it holds; an error says what is wrong with it.
fn verify(task: &Task, dir: &Path, expected: &HashMap<Digest, State>) -> Result<usize, Box<dyn Error>> {
    let config = Config {
        dir: dir.to_owned(),
        ..load::config(task)
    };
    let store = BlockStore::open(config.clone()).map_err(|error| format!("it does not open: {error}"))?;
    let mut found = 0;
    for (digest, state) in expected {
        let body = store
            .get(digest)
            .map_err(|error| format!("{digest} cannot be read: {error}"))?;
        if let Some(body) = &body {
            found += 1;
            if Digest::of(body) != *digest {
                return Err(format!("{digest} names other bytes").into());
            }
        }
        let locks = store.locks(digest)?.unwrap_or_default();
        let is_locked = !locks.is_empty();
        if locks
            .iter()
            .any(|lock| lock.resource != HOLDER || lock.body != lock_body(digest))
        {
            return Err(format!("{digest} has locks that nobody set: {locks:?}").into());
        }
        // Below `full` a power cut may take the last moments; what is there must still be right.
        if task.durability == Durability::Full {
            hold("block", digest, state.block, body.is_some())?;
            hold("lock on", digest, state.lock, is_locked)?;
        }
    }
    // The store must not only open but go on.
    let fresh = patiently(|| store.put(b"after the power came back"))?;
    patiently(|| store.delete(&fresh))?;
    store.close()?;
    drop(store);
    let mut options = FsckOptions::default();
    options.contents = true;
    options.map_bytes = config.map_bytes;
    let report = fsck(dir, options)?;
    if !report.is_clean() {
        return Err(format!("fsck: {report}").into());
    }
    if report.blocks != found as u64 {
        return Err(format!(
            "{} blocks are stored, {found} of them were ever put",
            report.blocks
        )
        .into());
    }
    Ok(found)
}
