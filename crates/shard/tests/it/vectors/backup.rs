//! Copies of a vector store that goes on: they open, and of each shard they have a prefix of its changes.

use super::{config, open, spec};
use crate::engine::count;
use quintet_core::{Durability, ErrorKind};
use quintet_shard::vector::{Directories, Metric, Point, PointId, VectorClient};
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
