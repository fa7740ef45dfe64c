//! Blocks that nobody uses come back: from idle pools, from workers that are gone, out of quarantine.

use crate::store::{body, config};
use quintet_blockstore::{
    BlockMessage, BlockReply, BlockStore, BlockWorker, Config, Digest, Engine, Put, Stats,
};
use quintet_core::{
    Budget, Clock, Commit, Deadline, Doorbell, Durability, ErrorKind, MessageHandler, SizeClass, SystemClock,
    fake::ManualClock,
};
use quintet_log::MemDirectory;
use std::{
    num::NonZeroUsize,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

const LARGEST: u64 = 524_288;

pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = SystemClock.now() + Duration::from_secs(20);
    while !condition() {
        assert!(SystemClock.now() < deadline, "waited for {what}");
        thread::yield_now();
    }
}

/// Begins a put of this length, whatever it takes.
fn begin(worker: &mut BlockWorker, len_bytes: u64) -> Put {
    let mut put = None;
    until("a block", || {
        put = worker.begin_put(len_bytes).unwrap();
        put.is_some() || worker.poll(&mut Vec::new()).is_err()
    });
    put.unwrap()
}

/// Stores bodies of the largest size until the store is full; answers how many there was room for.
fn fill(store: &BlockStore) -> u64 {
    for seed in 0.. {
        match store.put(&body(seed, LARGEST as usize)) {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                return seed;
            }
        }
    }
    0
}

fn is_one_run(stats: &Stats) -> bool {
    stats.free_bytes == stats.capacity_bytes
        && stats.pooled_blocks + stats.written_blocks + stats.quarantined_blocks == 0
        && stats.classes[7].free * LARGEST == stats.file_bytes
}

#[test]
fn idle_pools_give_their_blocks_back_before_a_put_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::open(config(dir.path())).unwrap();
    // Three workers with stock in every class, which nobody polls any more.
    let idle: Vec<BlockWorker> = (0..3)
        .map(|_| {
            let mut worker = store.connect(Doorbell::silent()).unwrap();
            for class in SizeClass::ALL.into_iter().take(5) {
                drop(begin(&mut worker, class.size_bytes()));
            }
            until("what was asked for", || {
                worker.poll(&mut Vec::new()).is_ok() && worker.in_flight() == 0
            });
            // Dropped where nobody polls the worker any more.
            drop(begin(&mut worker, 1));
            worker
        })
        .collect();
    until("the gauges", || store.stats().pooled_blocks > 0);
    let stats = store.stats();
    assert!(
        stats.free_bytes + stats.written_bytes == stats.capacity_bytes,
        "{stats:?}"
    );
    assert_eq!(fill(&store), 16, "8 MiB hold sixteen blocks of 512 KiB");
    assert_eq!(
        idle.iter()
            .map(|worker| worker.pooled(SizeClass::SMALLEST))
            .sum::<usize>(),
        0
    );
}

#[test]
fn two_workers_that_need_the_last_block_get_it_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::open(Config {
        capacity_bytes: LARGEST,
        growth_step_bytes: LARGEST,
        ..config(dir.path())
    })
    .unwrap();
    thread::scope(|scope| {
        for thread in 0..2 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..50 {
                    let mut worker = store.connect(Doorbell::silent()).unwrap();
                    let deadline = Instant::now() + Duration::from_secs(20);
                    loop {
                        match worker.begin_put(LARGEST) {
                            Ok(Some(_put)) => break,
                            Ok(None) => {}
                            Err(error) => assert_eq!(error.kind(), ErrorKind::Full),
                        }
                        assert!(worker.poll(&mut Vec::new()).is_ok());
                        assert!(
                            Instant::now() < deadline,
                            "thread {thread} starves in round {round}"
                        );
                    }
                }
            });
        }
    });
}

#[test]
fn deleting_everything_leaves_one_free_run_at_every_level() {
    for durability in Durability::ALL {
        let dir = tempfile::tempdir().unwrap();
        let store = BlockStore::open(Config {
            durability,
            ..config(dir.path())
        })
        .unwrap();
        let names: Vec<Digest> = (0..60)
            .map(|seed| store.put(&body(seed, 1000 << (seed % 8))).unwrap())
            .collect();
        until("a pool to fill", || store.stats().pooled_blocks > 0);
        for name in &names {
            store.delete(name).unwrap();
        }
        let mut last = Stats::default();
        until(&format!("one run at {durability}: {last:?}"), || {
            last = store.stats();
            is_one_run(&last)
        });
        let name = store.put(b"it goes on").unwrap();
        store.delete(&name).unwrap();
        until("one run again", || is_one_run(&store.stats()));
    }
}

#[test]
fn a_worker_that_is_dropped_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::open(Config {
        pool_targets: [4; 8],
        ..config(dir.path())
    })
    .unwrap();
    let mut late = Vec::new();
    for round in 0..40 {
        let mut worker = store.connect(Doorbell::silent()).unwrap();
        if round % 2 == 0 {
            // Asked for and not waited for.
            assert!(worker.begin_put(LARGEST).unwrap().is_none());
            assert!(worker.begin_put(100).unwrap().is_none());
            assert!(worker.poll(&mut Vec::new()).is_ok());
        } else {
            let mut put = begin(&mut worker, 3);
            put.write(&[round; 3]).unwrap();
            worker.finish_put(put).map_err(|refused| refused.error).unwrap();
            assert!(worker.poll(&mut Vec::new()).is_ok());
        }
        late.push(begin(&mut worker, 5000));
        drop(worker);
        if round % 4 == 3 {
            late.clear();
        }
    }
    drop(late);
    // What was sent before its worker was dropped is done; the names take one block of 512 KiB.
    until("the names", || store.stats().blocks == 20);
    assert_eq!(fill(&store), 15);
    assert_eq!(store.stats().blocks, 35);
}

#[test]
fn at_level_relaxed_a_released_block_waits_a_second_and_no_longer() {
    let meta = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new());
    let config = Config {
        durability: Durability::Relaxed,
        ..config(meta.path())
    };
    let disk = Arc::new(MemDirectory::new());
    let Engine { mut handler, .. } = Engine::open(disk, meta.path(), &config, clock.clone()).unwrap();
    let class = SizeClass::SMALLEST;
    let Ok(BlockReply::Granted(blocks)) = handler.handle(BlockMessage::Allocate { class, count: 2 }) else {
        panic!("no blocks");
    };
    for (byte, address) in (0..).zip(blocks) {
        let digest = Digest([byte; 32]);
        let len_bytes = 1;
        handler
            .handle(BlockMessage::Occupy {
                digest,
                address,
                len_bytes,
            })
            .unwrap();
    }
    handler
        .handle(BlockMessage::Release {
            digest: Digest([0; 32]),
        })
        .unwrap();
    assert_eq!(handler.commit().unwrap(), Commit::Done);
    let budget = || Budget {
        items: NonZeroUsize::MIN,
    };
    let due = handler.maintain(budget()).unwrap();
    assert_eq!(due.0, clock.now() + Duration::from_secs(1));
    clock.advance(Duration::from_millis(999));
    assert_eq!(handler.maintain(budget()), Some(due));
    assert_eq!(
        (handler.stats().quarantined_blocks, handler.stats().log_syncs),
        (1, 0)
    );
    clock.advance(Duration::from_millis(1));
    until("the block", || {
        handler.maintain(budget());
        handler.stats().quarantined_blocks == 0
    });
    let checkpoint = Deadline(due.0 + Duration::from_secs(9));
    assert_eq!(
        handler.maintain(budget()),
        Some(checkpoint),
        "only the checkpoint is due"
    );
}
