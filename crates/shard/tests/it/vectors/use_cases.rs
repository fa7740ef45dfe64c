//! What people do with it: replace, delete, page through, drop and make again, from several threads at once.

use super::{config, open, spec, with_collection};
use crate::engine::count;
use quintet_core::Durability;
use quintet_shard::{
    ShardId,
    vector::{Directories, Metric, Point, PointId, Search, With},
};
use std::thread;

#[test]
fn an_upsert_replaces_and_a_deleted_point_never_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let on_disk = || Directories::on_disk(folder.path(), count(2)).unwrap();
    let store = open(config(2, Durability::Interval), on_disk());
    let mut client = store.client(count(4)).unwrap();
    client.create("c", spec(2, Metric::L2)).unwrap();
    let both = [PointId::from(7), PointId::from("seven")];
    for round in 0..200_u32 {
        for id in &both {
            let vector = vec![round as f32, 1.0];
            client
                .upsert(
                    "c",
                    vec![Point {
                        id: id.clone(),
                        vector,
                        payload: None,
                    }],
                )
                .unwrap();
        }
    }
    client.delete("c", vec![7.into()]).unwrap();
    assert_eq!(client.delete("c", vec![7.into()]).unwrap(), 0);
    store.close().unwrap();
    for _ in 0..2 {
        let store = open(config(2, Durability::Interval), on_disk());
        let mut client = store.client(count(4)).unwrap();
        let with = With {
            payload: true,
            vector: true,
        };
        let found = client.get("c", both.to_vec(), with).unwrap();
        assert_eq!(found, [None, Some(Point::new("seven", vec![199.0, 1.0]))]);
        let hits = client.search("c", Search::new(vec![0.0, 0.0], 10)).unwrap();
        assert_eq!(hits.iter().map(|hit| &hit.id).collect::<Vec<_>>(), [&both[1]]);
        store.restart(ShardId(0)).unwrap();
        store.restart(ShardId(1)).unwrap();
        assert_eq!(client.count("c", None).unwrap(), 1);
        store.close().unwrap();
    }
}

#[test]
fn ids_are_kept_as_given_and_paged_in_order() {
    let (_store, mut client) = with_collection(3, 1, Metric::InnerProduct);
    let mut ids: Vec<PointId> = (0..100).map(|n| PointId::Number(u64::MAX - n)).collect();
    ids.extend((0..100).map(|n| PointId::from(&*format!("{n} \u{e9}\u{1f600}"))));
    let points = ids.iter().map(|id| Point {
        id: id.clone(),
        vector: vec![1.0],
        payload: None,
    });
    assert_eq!(client.upsert("c", points.collect()).unwrap(), 200);
    ids.sort();
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = client.scroll("c", after.take(), 7, With::default()).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        paged.extend(page.into_iter().map(|point| point.id));
    }
    assert_eq!(paged, ids);
    // All scores tie: the order is that of the ids.
    let hits = client.search("c", Search::new(vec![2.0], 20)).unwrap();
    assert!(hits.iter().all(|hit| hit.score == 2.0));
    assert_eq!(hits.into_iter().map(|hit| hit.id).collect::<Vec<_>>(), ids[..20]);
}

#[test]
fn a_collection_made_again_is_empty() {
    let (_store, mut client) = with_collection(2, 2, Metric::L2);
    client
        .upsert("c", (0..50).map(|n| Point::new(n, vec![1.0, 1.0])).collect())
        .unwrap();
    client.drop_collection("c").unwrap();
    assert!(client.search("c", Search::new(vec![1.0, 1.0], 1)).is_err());
    client.create("c", spec(3, Metric::Cosine)).unwrap();
    let info = client.info("c").unwrap();
    assert_eq!((info.count, info.bytes, info.spec.dimension), (0, 0, 3));
}

#[test]
fn many_queries_at_once_answer_like_one_at_a_time() {
    let (_store, mut client) = with_collection(2, 37, Metric::Cosine);
    let vector = |seed: u64| {
        (0..37)
            .map(|i| ((seed * 31 + i * 17) % 101) as f32 - 50.0)
            .collect::<Vec<f32>>()
    };
    client
        .upsert("c", (0..500).map(|n| Point::new(n, vector(n))).collect())
        .unwrap();
    let queries: Vec<Vec<f32>> = (0..11).map(|n| vector(1000 + n)).collect();
    let together = client.search_many("c", Search::many(queries.clone(), 9)).unwrap();
    for (query, together) in queries.into_iter().zip(together) {
        let alone = client.search("c", Search::new(query, 9)).unwrap();
        assert_eq!(alone, together, "the same bits");
    }
}

#[test]
fn what_many_threads_insert_is_counted_and_found_to_the_last() {
    const EACH: u64 = 5_000;
    let (store, mut client) = with_collection(3, 2, Metric::L2);
    thread::scope(|scope| {
        for thread in 0..4 {
            let mut client = store.client(count(4)).unwrap();
            scope.spawn(move || {
                let ids: Vec<u64> = (thread * EACH..(thread + 1) * EACH).collect();
                for batch in ids.chunks(250) {
                    let points = batch
                        .iter()
                        .map(|n| Point::new(*n, vec![(n / 100) as f32, (n % 100) as f32]));
                    assert_eq!(client.upsert("c", points.collect()).unwrap(), batch.len());
                }
            });
        }
    });
    assert_eq!(client.count("c", None).unwrap(), 4 * EACH);
    for ids in (0..4 * EACH).collect::<Vec<_>>().chunks(1000) {
        let found = client
            .get("c", ids.iter().map(|n| (*n).into()).collect(), With::default())
            .unwrap();
        assert!(found.iter().all(Option::is_some));
    }
    for n in (0..4 * EACH).step_by(997) {
        let query = vec![(n / 100) as f32, (n % 100) as f32];
        let hits = client.search("c", Search::new(query, 1).exact()).unwrap();
        assert_eq!((&hits[0].id, hits[0].score), (&n.into(), 0.0));
    }
}
