//! The load: a few threads put and delete blocks of their own, noting each step before and after the store answers.
//!
//! Small segments, a small growth step and frequent checkpoints, so that a short run crosses every boundary often. The
//! process ends without closing the store. On a disk that the recorder makes fail, a client stops at the first error, after
//! it has seen that reads go on.

use crate::{
    Task,
    operation::{HOLDER, Operation, Random, Step, lock_body, patiently},
};
use quintet_blockstore::{BlockStore, Config, Digest};
use quintet_core::ErrorKind;
use quintet_log::recording::note;
use std::{
    collections::HashSet,
    error::Error,
    fs::{File, OpenOptions},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// What the load prints when the failing disk was noticed.
const FAULT_MET: &str = "fault met";

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
    let failing_disk = std::env::var_os("QUINTET_FAIL_NTH").is_some();
    let store = match BlockStore::open(config(task)) {
        Err(error) if failing_disk => return told(&format!("the store did not open: {error}")),
        opened => opened?,
    };
    let failed = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (store, recording, failed) = (&store, &recording, &failed);
                scope.spawn(move || {
                    let random = Random(task.seed.wrapping_mul(1000) + thread);
                    let mut client = Client {
                        store,
                        recording,
                        random,
                        stored: Vec::new(),
                        deleted: Vec::new(),
                        locked: HashSet::new(),
                        refused: false,
                    };
                    let outcome = client.run();
                    failed.fetch_or(client.refused, Ordering::Relaxed);
                    match outcome {
                        Err(error) if failing_disk => {
                            failed.store(true, Ordering::Relaxed);
                            client.expect_reads(&*error)
                        }
                        other => other.map_err(|error| error.to_string()),
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a client panicked".to_owned())?)
    })?;
    if failing_disk && failed.into_inner() {
        told("a client met the fault")?;
    }
    // Not closed: the recording ends in the middle of things.
    std::process::exit(0);
}

fn told(what: &str) -> Result<(), Box<dyn Error>> {
    println!("{FAULT_MET}: {what}");
    Ok(())
}

/// One thread's blocks.
struct Client<'a> {
    store: &'a BlockStore,
    recording: &'a File,
    random: Random,
    stored: Vec<(Digest, Vec<u8>)>,
    deleted: Vec<(Digest, Vec<u8>)>,
    locked: HashSet<Digest>,
    /// The store said that it is full.
    refused: bool,
}

impl Client<'_> {
    fn tell(&self, step: Step, digest: Digest) -> std::io::Result<()> {
        note(self.recording, &Operation { step, digest }.encode())
    }

    fn run(&mut self) -> Result<(), Box<dyn Error>> {
        for _ in 0..OPERATIONS_PER_THREAD {
            let roll = self.random.below(10);
            if roll < 4 && !self.stored.is_empty() {
                self.delete()?;
                continue;
            }
            if roll == 4 && !self.stored.is_empty() {
                self.lock()?;
                continue;
            }
            // Sometimes what was deleted comes back.
            let body = match self.deleted.pop() {
                Some((_, body)) if roll == 9 => body,
                _ => self.random.body(),
            };
            self.put(body)?;
        }
        Ok(())
    }

    fn lock(&mut self) -> Result<(), Box<dyn Error>> {
        let chosen = self.random.below(self.stored.len() as u64) as usize;
        let digest = self.stored[chosen].0;
        self.tell(Step::LockBegun, digest)?;
        patiently(|| self.store.lock(&digest, HOLDER, &lock_body(&digest)))?;
        self.locked.insert(digest);
        Ok(self.tell(Step::LockAcknowledged, digest)?)
    }

    fn unlock(&mut self, digest: Digest) -> Result<(), Box<dyn Error>> {
        let refused = self.store.delete(&digest).map_err(|error| error.kind());
        if refused.is_ok() {
            return Err("a locked block was deleted".into());
        }
        self.tell(Step::UnlockBegun, digest)?;
        patiently(|| self.store.unlock(&digest, HOLDER))?;
        self.locked.remove(&digest);
        Ok(self.tell(Step::UnlockAcknowledged, digest)?)
    }

    fn delete(&mut self) -> Result<(), Box<dyn Error>> {
        let victim = self.random.below(self.stored.len() as u64) as usize;
        let digest = self.stored[victim].0;
        if self.locked.contains(&digest) {
            self.unlock(digest)?;
        }
        let (digest, body) = self.stored.swap_remove(victim);
        self.tell(Step::DeleteBegun, digest)?;
        patiently(|| self.store.delete(&digest))?;
        self.tell(Step::DeleteAcknowledged, digest)?;
        self.deleted.push((digest, body));
        Ok(())
    }

    fn put(&mut self, body: Vec<u8>) -> Result<(), Box<dyn Error>> {
        let digest = Digest::of(&body);
        self.tell(Step::PutBegun, digest)?;
        match patiently(|| self.store.put(&body)) {
            Ok(named) => assert_eq!(named, digest, "the store gave a body another name"),
            Err(error) if error.kind() == ErrorKind::Full => {
                self.refused = true;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        self.tell(Step::PutAcknowledged, digest)?;
        self.stored.push((digest, body));
        Ok(())
    }

    /// After a failed write: everything that was acknowledged still reads back.
    fn expect_reads(&self, error: &dyn Error) -> Result<(), String> {
        for (digest, body) in &self.stored {
            let read = self
                .store
                .get(digest)
                .map_err(|read| format!("after `{error}` reads fail: {read}"))?;
            if read.as_ref() != Some(body) {
                return Err(format!("after `{error}` {digest} does not read back"));
            }
        }
        Ok(())
    }
}
