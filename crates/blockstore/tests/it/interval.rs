//! Level interval, held to its word: a power cut takes nothing that is older than the interval, by a clock that the test
//! moves, at any moment of the run.

use crate::store::{body, config};
use quintet_blockstore::{
    BlockHandler, BlockMessage, BlockWorker, Config, Digest, Engine, Get, Outcome, Ticket,
};
use quintet_core::{
    Clock, Completion, Durability, Inline, PushError, RequestId, SystemClock, Worker, fake::ManualClock,
};
use quintet_log::CrashDirectory;
use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

const INTERVAL: Duration = Duration::from_millis(40);
const STEP: Duration = Duration::from_millis(7);
const BLOCKS: u64 = 30;

/// An inline connection whose handler the test can look at.
#[derive(Clone)]
struct Link(Arc<Mutex<Inline<BlockMessage, BlockHandler>>>);

impl Worker<BlockMessage> for Link {
    fn submit(&mut self, message: BlockMessage) -> Result<RequestId, PushError<BlockMessage>> {
        self.0.lock().unwrap().submit(message)
    }

    fn flush(&mut self) -> Result<(), quintet_core::Closed> {
        self.0.lock().unwrap().flush()
    }

    fn reap(
        &mut self,
        out: &mut Vec<Completion<BlockMessage>>,
        max: usize,
    ) -> Result<usize, quintet_core::Closed> {
        self.0.lock().unwrap().reap(out, max)
    }

    fn in_flight(&self) -> usize {
        self.0.lock().unwrap().in_flight()
    }
}

fn open(disk: Arc<dyn quintet_log::Directory>, meta: &Path, clock: &ManualClock) -> (BlockWorker, Link) {
    let config = Config {
        durability: Durability::Interval,
        interval: INTERVAL,
        log_segment_bytes: 64 << 10,
        ..config(meta)
    };
    let Engine { handler, workers, .. } = Engine::open(disk, meta, &config, Arc::new(clock.clone())).unwrap();
    let link = Link(Arc::new(Mutex::new(Inline::new(
        handler,
        NonZeroUsize::new(64).unwrap(),
    ))));
    (workers.worker(Box::new(link.clone())).unwrap(), link)
}

fn finish(worker: &mut BlockWorker, ticket: Ticket) -> Outcome {
    let mut done = Vec::new();
    while done
        .iter()
        .all(|done: &quintet_blockstore::Done| done.ticket != ticket)
    {
        worker.poll(&mut done).unwrap();
    }
    let at = done.iter().position(|done| done.ticket == ticket).unwrap();
    done.swap_remove(at).outcome.unwrap()
}

fn content(seed: u64) -> Vec<u8> {
    body(seed, 5000)
}

fn put_and_lock(worker: &mut BlockWorker, seed: u64) {
    let content = content(seed);
    let mut put = loop {
        match worker.begin_put(content.len() as u64).unwrap() {
            Some(put) => break put,
            None => drop(worker.poll(&mut Vec::new()).unwrap()),
        }
    };
    put.write(&content).unwrap();
    let ticket = worker.finish_put(put).map_err(|refused| refused.error).unwrap();
    assert!(
        matches!(finish(worker, ticket), Outcome::Stored { existed: false, .. }),
        "stored"
    );
    let ticket = worker.lock(&Digest::of(&content), b"holder", b"why").unwrap();
    assert!(matches!(finish(worker, ticket), Outcome::Locked), "locked");
}

/// Lets the log's thread do what is due, as it would have long before so much real time had passed.
fn catch_up(link: &Link, syncs_before: u64) {
    let deadline = SystemClock.now() + Duration::from_secs(20);
    while link.0.lock().unwrap().handler().stats().log_syncs == syncs_before {
        assert!(SystemClock.now() < deadline, "the log's thread does not sync");
        thread::yield_now();
    }
}

#[test]
fn a_power_cut_takes_nothing_that_was_acknowledged_longer_ago_than_the_interval() {
    let (meta, disk, clock) = (
        tempfile::tempdir().unwrap(),
        CrashDirectory::new(),
        ManualClock::new(),
    );
    let begun = clock.now();
    let (mut worker, link) = open(Arc::new(disk.clone()), meta.path(), &clock);
    // When each block was acknowledged, and which time it was, at the latest, after so many operations of the disk.
    let (mut acknowledged, mut times) = (Vec::new(), Vec::new());
    let mut oldest_unsynced = None;
    for seed in 0..BLOCKS {
        put_and_lock(&mut worker, seed);
        acknowledged.push(clock.now() - begun);
        let syncs = link.0.lock().unwrap().handler().stats().log_syncs;
        let oldest = *oldest_unsynced.get_or_insert(clock.now());
        clock.advance(STEP);
        if clock.now() >= oldest + INTERVAL {
            catch_up(&link, syncs);
            oldest_unsynced = None;
        }
        times.push((disk.moments(), clock.now() - begun));
    }
    let (mut kept, mut lost) = (0, 0);
    for moment in (0..=disk.moments()).step_by(3) {
        let now = times
            .iter()
            .rev()
            .find(|(moments, _)| *moments <= moment)
            .map_or(Duration::ZERO, |(_, time)| *time);
        for cut in 1..4 {
            let fresh = tempfile::tempdir().unwrap();
            let (mut worker, _link) = open(
                Arc::new(disk.image(moment, cut)),
                fresh.path(),
                &ManualClock::new(),
            );
            for (seed, acknowledged) in (0..).zip(&acknowledged) {
                let name = Digest::of(&content(seed));
                let found = matches!(worker.get(&name).unwrap(), Get::Found(_));
                let locked = worker.locks(&name).unwrap().is_some_and(|locks| locks.len() == 1);
                if *acknowledged + INTERVAL <= now {
                    assert!(
                        found && locked,
                        "block {seed} of {acknowledged:?} is gone at {now:?}, moment {moment}"
                    );
                    kept += 1;
                } else if *acknowledged <= now && !found {
                    lost += 1;
                }
            }
        }
    }
    assert!(kept > 500, "{kept} blocks were old enough");
    assert!(
        lost > 50,
        "only {lost} younger ones were lost: the cuts cut nothing"
    );
}
