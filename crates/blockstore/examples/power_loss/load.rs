//! The load: a few threads put and delete blocks of their own, noting each step before and after the store answers.
//!
//! Small segments, a small growth step and frequent checkpoints, so that a short run crosses every boundary often. The
//! process ends without closing the store.

use crate::{
    Task,
    operation::{Operation, Random, Step, patiently},
};
use quintet_blockstore::{BlockStore, Config, Digest};
use quintet_core::ErrorKind;
use quintet_log::recording::note;
use std::{
    error::Error,
    fs::{File, OpenOptions},
    thread,
};

const THREADS: u64 = 3;
const OPERATIONS_PER_THREAD: usize = 160;

pub(crate) fn config(task: &Task) -> Config {
    Config {
        capacity_bytes: 16 << 20,
        growth_step_bytes: 512 << 10,
        durability: task.durability,
        log_segment_bytes: 64 << 10,
        checkpoint_entries: 24,
        map_bytes: 1 << 30,
        workers: THREADS as usize,
        pool_targets: [3, 2, 1, 1, 1, 1, 0, 0],
        ..Config::new(&task.dir)
    }
}

pub(crate) fn run(task: &Task) -> Result<(), Box<dyn Error>> {
    let recording = OpenOptions::new().append(true).open(&task.recording)?;
    let store = BlockStore::open(config(task))?;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (store, recording) = (&store, &recording);
                scope.spawn(move || {
                    let random = Random(task.seed.wrapping_mul(1000) + thread);
                    client(store, recording, random).map_err(|error| error.to_string())
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a client panicked".to_owned())?)
    })?;
    // Not closed: the recording ends in the middle of things.
    std::process::exit(0);
}

fn client(store: &BlockStore, recording: &File, mut random: Random) -> Result<(), Box<dyn Error>> {
    let tell = |step, digest| note(recording, &Operation { step, digest }.encode());
    let mut stored: Vec<(Digest, Vec<u8>)> = Vec::new();
    let mut deleted: Vec<(Digest, Vec<u8>)> = Vec::new();
    for _ in 0..OPERATIONS_PER_THREAD {
        let roll = random.below(10);
        if roll < 4 && !stored.is_empty() {
            let (digest, body) = stored.swap_remove(random.below(stored.len() as u64) as usize);
            tell(Step::DeleteBegun, digest)?;
            patiently(|| store.delete(&digest))?;
            tell(Step::DeleteAcknowledged, digest)?;
            deleted.push((digest, body));
            continue;
        }
        // Sometimes what was deleted comes back.
        let body = match deleted.pop() {
            Some((_, body)) if roll == 9 => body,
            _ => random.body(),
        };
        let digest = Digest::of(&body);
        tell(Step::PutBegun, digest)?;
        match patiently(|| store.put(&body)) {
            Ok(named) => assert_eq!(named, digest, "the store gave a body another name"),
            Err(error) if error.kind() == ErrorKind::Full => continue,
            Err(error) => return Err(error.into()),
        }
        tell(Step::PutAcknowledged, digest)?;
        stored.push((digest, body));
    }
    Ok(())
}
