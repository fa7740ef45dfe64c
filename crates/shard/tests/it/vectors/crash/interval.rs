//! What durability `interval` promises about a power cut: it takes at most what was written within the last interval.

use super::{config, in_one, spec};
use crate::engine::count;
use quintet_core::{Clock, Durability, SystemClock, fake::ManualClock};
use quintet_log::{CrashDirectory, MemDirectory};
use quintet_shard::vector::{Metric, Point, VectorClient, VectorStore};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_millis(20);

fn open(directory: Arc<dyn quintet_log::Directory>, clock: Arc<dyn Clock>) -> (VectorStore, VectorClient) {
    let mut config = config(1, Durability::Interval);
    config.log.interval = INTERVAL;
    // A snapshot would sync the log by itself.
    config.snapshot_log_bytes = 1 << 30;
    let store = VectorStore::open(config, in_one(directory), clock).unwrap();
    let client = store.client(count(4)).unwrap();
    (store, client)
}

fn counted(image: MemDirectory) -> u64 {
    let (_store, mut client) = open(Arc::new(image), Arc::new(SystemClock));
    client.count("c", None).unwrap()
}

#[test]
fn a_power_cut_takes_at_most_the_last_interval() {
    let (disk, clock) = (CrashDirectory::new(), ManualClock::new());
    let (_store, mut client) = open(Arc::new(disk.clone()), Arc::new(clock.clone()));
    client.create("c", spec(2, Metric::L2)).unwrap();
    for round in 0..5_u64 {
        for n in 0..10 {
            client
                .upsert("c", vec![Point::new(10 * round + n, vec![1.0, 1.0])])
                .unwrap();
        }
        // Seed 1 loses everything that was not synced; no time has passed, so nothing of this round was.
        let before = counted(disk.image(disk.moments(), 1));
        assert_eq!(before, 10 * round, "what is older than the interval, and no more");
        clock.advance(INTERVAL);
        let give_up = Instant::now() + Duration::from_secs(20);
        while counted(disk.image(disk.moments(), 1)) < 10 * (round + 1) {
            assert!(
                Instant::now() < give_up,
                "the interval is over and nothing was synced"
            );
            thread::yield_now();
        }
    }
}
