//! Copies of a vector store that goes on: they open, and of each shard they have a prefix of its changes.

use super::{config, open, spec};
use crate::engine::count;
use quintet_core::{Durability, ErrorKind};
use quintet_shard::vector::{Directories, Metric, Point, PointId, Spec, VectorClient, check_cold_files};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const SHARDS: usize = 2;

fn put(client: &mut VectorClient, collection: &str, number: u64) {
    let point = Point {
        id: PointId::Number(number),
        vector: vec![number as f32, 1.0],
        payload: None,
    };
    assert_eq!(client.upsert(collection, vec![point]).unwrap(), 1);
}

#[test]
fn a_copy_made_under_load_has_a_prefix_of_each_shard_and_no_strangers() {
    let store = open(
        config(SHARDS, Durability::Interval),
        Directories::in_memory(count(SHARDS)),
    );
    let mut client = store.client(count(8)).unwrap();
    client.create("c", spec(2, Metric::L2)).unwrap();
    let (acknowledged, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1.. {
                put(&mut client, "c", number);
                acknowledged.store(number, Ordering::Release);
                if number % 100 == 0 {
                    // A collection that a copy may or may not know, and its point.
                    let name = format!("late{number}");
                    client.create(&name, spec(2, Metric::L2)).unwrap();
                    put(&mut client, &name, 1);
                }
                if over.load(Ordering::Acquire) {
                    break;
                }
            }
        });
        for _ in 0..10 {
            let before = acknowledged.load(Ordering::Acquire);
            let copy = Directories::in_memory(count(SHARDS));
            store.backup(&copy, &mut |_| Ok(())).unwrap();
            let copy = open(config(SHARDS, Durability::Interval), copy);
            let mut client = copy.client(count(8)).unwrap();
            let found = client.count("c", None).unwrap();
            assert!(found >= before, "{found} of {before}");
            // Whatever is made next is empty: no log holds points of a collection that the manifest had not heard of.
            client.create("next", spec(2, Metric::L2)).unwrap();
            assert_eq!(client.count("next", None).unwrap(), 0);
            copy.close().unwrap();
            while acknowledged.load(Ordering::Acquire) < before + 60 {
                std::thread::yield_now();
            }
        }
        over.store(true, Ordering::Release);
    });
    let refused = store.backup(&Directories::in_memory(count(1)), &mut |_| Ok(()));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn cold_blocks_are_copied_with_the_snapshot_that_names_them() {
    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folders = Directories::on_disk(dir.path(), count(1)).unwrap();
    let store = open(config(1, Durability::Interval), folders);
    let mut client = store.client(count(8)).unwrap();
    // Memory for what stays of 1500 points, about 70 bytes each, and little more: most points are in files.
    let small = Spec {
        budget_bytes: 200 << 10,
        ..spec(64, Metric::L2)
    };
    client.create("c", small).unwrap();
    let upsert = |client: &mut VectorClient, number: u64| {
        let point = Point {
            id: PointId::Number(number % 1500),
            vector: vec![number as f32; 64],
            payload: None,
        };
        client.upsert("c", vec![point]).unwrap();
    };
    (0..1500).for_each(|number| upsert(&mut client, number));
    let (over, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut most_cold = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Replaces points, so that blocks die and files come and go.
            for number in 1500_u64.. {
                upsert(&mut client, number);
                rounds.store(number, Ordering::Release);
                if over.load(Ordering::Acquire) {
                    break;
                }
            }
        });
        for round in 0..6_u64 {
            while rounds.load(Ordering::Acquire) < 1500 + 400 * (round + 1) {
                std::thread::yield_now();
            }
            let before = rounds.load(Ordering::Acquire);
            let folder = to.path().join(round.to_string());
            let copy = Directories::on_disk(&folder, count(1)).unwrap();
            store.backup(&copy, &mut |_| Ok(())).unwrap();
            most_cold = most_cold.max(check_cold_files(&*copy.shards[0]).unwrap());
            let copy = open(config(1, Durability::Interval), copy);
            let mut client = copy.client(count(8)).unwrap();
            assert_eq!(client.count("c", None).unwrap(), 1500);
            let ids = vec![PointId::Number(before % 1500)];
            let with = quintet_shard::vector::With {
                vector: true,
                payload: false,
            };
            let found = client.get("c", ids, with).unwrap().remove(0).unwrap();
            assert!(
                found.vector[0] >= before as f32,
                "{} of {before}",
                found.vector[0]
            );
            copy.close().unwrap();
        }
        over.store(true, Ordering::Release);
    });
    assert!(most_cold > 0, "nothing was in files");
}
