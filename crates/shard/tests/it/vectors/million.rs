//! So many inserts, and then exactly so many points, counted, paged through and found, before and after the store is opened
//! again; half of them in memory, half in files. `cargo xtask crash million` does it with a million.

use super::{config, crash::from_environment, open, spec};
use crate::engine::count;
use quintet_core::Durability;
use quintet_shard::vector::{Directories, Metric, Point, PointId, Search, Spec, VectorClient, With};

const BATCH: u64 = 1000;

/// Every tenth has a name.
fn id(n: u64) -> PointId {
    if n.is_multiple_of(10) {
        PointId::from(&*format!("point {n:07}"))
    } else {
        n.into()
    }
}

/// A vector of its own for each: whole numbers, exact in single precision.
fn vector(n: u64) -> Vec<f32> {
    vec![(n % 1000) as f32, (n / 1000) as f32]
}

fn check(client: &mut VectorClient, points: u64, is_there: impl Fn(u64) -> bool) {
    let there = (0..points).filter(|n| is_there(*n)).count() as u64;
    assert_eq!(client.count("c", None).unwrap(), there);
    assert_eq!(client.info("c").unwrap().count, there);
    let with = With {
        payload: false,
        vector: true,
    };
    for first in (0..points).step_by(BATCH as usize) {
        let ids = (first..first + BATCH).map(id).collect();
        for (n, found) in (first..).zip(client.get("c", ids, with).unwrap()) {
            assert_eq!(
                found.map(|point| point.vector),
                is_there(n).then(|| vector(n)),
                "point {n}"
            );
        }
    }
    let (mut paged, mut after) = (0, None);
    loop {
        let page = client
            .scroll("c", after.clone(), 10_000, With::default())
            .unwrap();
        let Some(last) = page.last() else { break };
        assert!(after < Some(page[0].id.clone()) && page.windows(2).all(|two| two[0].id < two[1].id));
        paged += page.len() as u64;
        after = Some(last.id.clone());
    }
    assert_eq!(paged, there);
    for n in (0..points).step_by((points as usize / 100) | 1) {
        let hits = client.search("c", Search::new(vector(n), 1).exact()).unwrap();
        assert_eq!(
            (hits[0].id == id(n), hits[0].score == 0.0),
            (is_there(n), is_there(n)),
            "{n}"
        );
    }
}

#[test]
fn so_many_inserts_are_as_many_points() {
    let points = u64::from(from_environment("CRASH_POINTS", 20_000)).next_multiple_of(BATCH);
    let dir = tempfile::tempdir().unwrap();
    let config = || {
        let mut config = config(2, Durability::Interval).with_segment_bytes(16 << 20);
        config.block_bytes = 64 << 10;
        config.snapshot_log_bytes = 32 << 20;
        config.index = None;
        config
    };
    let on_disk = || Directories::on_disk(dir.path(), count(2)).unwrap();
    let store = open(config(), on_disk());
    let mut client = store.client(count(4)).unwrap();
    let spec = Spec {
        // Of 224 bytes and names.
        budget_bytes: 150 * points,
        ..spec(2, Metric::L2)
    };
    client.create("c", spec).unwrap();
    for first in (0..points).step_by(BATCH as usize) {
        let batch = (first..first + BATCH).map(|n| Point::new(id(n), vector(n)));
        assert_eq!(client.upsert("c", batch.collect()).unwrap(), BATCH as usize);
    }
    let info = client.info("c").unwrap();
    assert!(
        info.cold_bytes > 20 * points && info.bytes <= 150 * points,
        "{info:?}"
    );
    check(&mut client, points, |_| true);
    store.close().unwrap();
    drop((client, store));
    let store = open(config(), on_disk());
    let mut client = store.client(count(4)).unwrap();
    check(&mut client, points, |_| true);
    // Replaced by themselves, and every seventh deleted.
    for first in (0..points / 5).step_by(BATCH as usize) {
        let batch = (first..first + BATCH).map(|n| Point::new(id(n), vector(n)));
        client.upsert("c", batch.collect()).unwrap();
    }
    let gone: Vec<PointId> = (0..points).step_by(7).map(id).collect();
    let deleted = gone
        .chunks(1000)
        .map(|ids| client.delete("c", ids.to_vec()).unwrap());
    assert_eq!(deleted.sum::<usize>(), gone.len());
    let is_left = |n: u64| !n.is_multiple_of(7);
    check(&mut client, points, is_left);
    store.close().unwrap();
    drop((client, store));
    let store = open(config(), on_disk());
    check(&mut store.client(count(4)).unwrap(), points, is_left);
}
