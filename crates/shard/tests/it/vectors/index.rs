//! Searches that follow the graph: what they answer is there and has exactly its score, whatever happened before; how much
//! of the nearest they find is bounded from below; what is asked for exactly stays exact.

use super::{config, open, spec};
use crate::engine::count;
use proptest::prelude::*;
use quintet_core::{Durability, ErrorKind};
use quintet_shard::{
    ShardId,
    vector::{
        Directories, Hit, IndexConfig, Metric, Point, PointId, Search, VectorClient, VectorConfig,
        VectorError, VectorStore, With,
    },
};
use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

/// A graph from `min_points` on, blocks of 16 points or a little more.
pub(super) fn with_index(shards: usize, min_points: usize) -> VectorConfig {
    let mut config = config(shards, Durability::Relaxed).with_segment_bytes(4 << 20);
    config.log.zero_fill = false;
    config.snapshot_log_bytes = 1 << 20;
    config.index = Some(IndexConfig {
        min_points,
        build_ef: 40,
        search_ef: 64,
        ..IndexConfig::default()
    });
    config
}

/// Waits until the graph has so many points.
pub(super) fn wait_for_index(client: &mut VectorClient, points: u64) {
    let give_up = Instant::now() + Duration::from_secs(60);
    while client.info("c").unwrap().indexed < points {
        assert!(
            Instant::now() < give_up,
            "{:?} of {points}",
            client.info("c").unwrap()
        );
        thread::yield_now();
    }
}

/// splitmix64, as numbers from -1 to 1.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn vector(&mut self, dimension: usize) -> Vec<f32> {
        (0..dimension).map(|_| self.next()).collect()
    }
}

/// Points around a few centres: near ones are much nearer than the others, and whole clusters lie far apart.
pub(super) fn clustered(points: usize, dimension: usize, clusters: usize) -> Vec<Vec<f32>> {
    let mut numbers = Numbers(7);
    let centres: Vec<Vec<f32>> = (0..clusters).map(|_| numbers.vector(dimension)).collect();
    let mut point = |n: usize| -> Vec<f32> {
        let centre = &centres[n % clusters];
        centre.iter().map(|x| x + 0.1 * numbers.next()).collect()
    };
    (0..points).map(&mut point).collect()
}

pub(super) fn recall(found: &[Vec<Hit>], wanted: &[Vec<Hit>]) -> f64 {
    let (mut right, mut all) = (0, 0);
    for (found, wanted) in found.iter().zip(wanted) {
        all += wanted.len();
        right += wanted
            .iter()
            .filter(|wanted| found.iter().any(|found| found.id == wanted.id))
            .count();
    }
    right as f64 / all as f64
}

/// Every hit is one that a plain scan knows, with the same score, and they come in order.
pub(super) fn check_hits(client: &mut VectorClient, queries: &[Vec<f32>], found: &[Vec<Hit>]) {
    let all = client.info("c").unwrap().count as usize;
    let exact = Search::many(queries.to_vec(), all).exact();
    for (found, all) in found.iter().zip(client.search_many("c", exact).unwrap()) {
        let scores: BTreeMap<&PointId, u32> = all.iter().map(|hit| (&hit.id, hit.score.to_bits())).collect();
        let mut places = Vec::new();
        for hit in found {
            assert_eq!(scores.get(&hit.id), Some(&hit.score.to_bits()), "{hit:?}");
            places.push(all.iter().position(|other| other.id == hit.id));
        }
        assert!(places.windows(2).all(|two| two[0] < two[1]), "{places:?}");
    }
}

pub(super) fn fill(client: &mut VectorClient, vectors: &[Vec<f32>]) {
    for (n, chunk) in (0..).zip(vectors.chunks(500)) {
        let points = (500 * n..)
            .zip(chunk)
            .map(|(n, vector)| Point::new(n, vector.clone()));
        client.upsert("c", points.collect()).unwrap();
    }
}

#[test]
fn clustered_points_are_found_with_any_metric_and_any_number_of_shards() {
    const POINTS: usize = 1500;
    let mut vectors = clustered(POINTS + 40, 16, 25);
    let queries = vectors.split_off(POINTS);
    for (metric, shards) in METRICS.into_iter().zip([1, 2, 8]) {
        let store = open(with_index(shards, 200), Directories::in_memory(count(shards)));
        let mut client = store.client(count(4)).unwrap();
        client.create("c", spec(16, metric)).unwrap();
        fill(&mut client, &vectors);
        wait_for_index(&mut client, (POINTS - shards * 16) as u64);
        let search = Search::many(queries.clone(), 10);
        let wanted = client.search_many("c", search.clone().exact()).unwrap();
        let found = client.search_many("c", search.clone()).unwrap();
        let share = recall(&found, &wanted);
        assert!(share >= 0.95, "{metric:?}: recall {share}");
        check_hits(&mut client, &queries, &found);
        let wide = client.search_many("c", search.ef(400)).unwrap();
        assert!(recall(&wide, &wanted) >= 0.99, "{metric:?}: with ef 800");
        // More than the graph would find on its way: all there are.
        let all = client
            .search("c", Search::new(queries[0].clone(), POINTS + 1))
            .unwrap();
        assert_eq!(all.len(), POINTS);
        store.close().unwrap();
    }
}

#[test]
fn what_is_deleted_or_replaced_is_never_found_again_and_a_worn_graph_is_built_anew() {
    const POINTS: u64 = 2400;
    let vectors = clustered(POINTS as usize, 16, 10);
    let store = open(with_index(2, 100), Directories::in_memory(count(2)));
    let mut client = store.client(count(4)).unwrap();
    client.create("c", spec(16, Metric::L2)).unwrap();
    fill(&mut client, &vectors);
    wait_for_index(&mut client, POINTS - 64);
    // Point n moves to where point n + 1 was.
    for n in (0..1000_usize).step_by(2) {
        let moved = Point::new(n as u64, vectors[n + 1].clone());
        client.upsert("c", vec![moved]).unwrap();
        let hits = client.search("c", Search::new(vectors[n].clone(), 5)).unwrap();
        assert!(
            hits.iter()
                .all(|hit| hit.id != (n as u64).into() || hit.score > 0.0),
            "{hits:?}"
        );
    }
    for ids in (1000..2000_u64).collect::<Vec<_>>().chunks(100) {
        let ids: Vec<PointId> = ids.iter().map(|n| (*n).into()).collect();
        client.delete("c", ids.clone()).unwrap();
        let near = vectors[ids.len()].clone();
        let hits = client.search("c", Search::new(near, 50).ef(200)).unwrap();
        assert!(hits.iter().all(|hit| !ids.contains(&hit.id)));
    }
    // Built anew, at the latest when three in ten are dead: however often that was on the way, no more than that is left.
    let most = (POINTS - 1000) * 10 / 7;
    let give_up = Instant::now() + Duration::from_secs(60);
    while client.info("c").unwrap().indexed > most {
        assert!(Instant::now() < give_up, "{:?}", client.info("c").unwrap());
        thread::yield_now();
    }
    let queries: Vec<Vec<f32>> = (0..2400).step_by(47).map(|n| vectors[n].clone()).collect();
    let search = Search::many(queries.clone(), 10);
    let wanted = client.search_many("c", search.clone().exact()).unwrap();
    let found = client.search_many("c", search).unwrap();
    let share = recall(&found, &wanted);
    assert!(share >= 0.95, "recall {share}");
    check_hits(&mut client, &queries, &found);
}

#[test]
fn writes_wait_for_an_index_that_is_behind_and_go_on_when_it_is_not() {
    let mut config = with_index(1, 100);
    if let Some(index) = &mut config.index {
        (index.build_ef, index.max_waiting_points) = (500, 400);
    }
    let store = open(config, Directories::in_memory(count(1)));
    let mut client = store.client(count(4)).unwrap();
    client.create("c", spec(64, Metric::L2)).unwrap();
    let mut numbers = Numbers(3);
    let (mut stored, mut refused) = (0, 0);
    let give_up = Instant::now() + Duration::from_secs(60);
    while refused < 3 || stored < 1000 {
        assert!(
            Instant::now() < give_up,
            "{stored} stored, refused {refused} times"
        );
        let points = (0..50).map(|n| Point::new(stored + n, numbers.vector(64)));
        match client.upsert("c", points.collect()) {
            Ok(count) => stored += count as u64,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
                assert!(matches!(
                    source,
                    Some(VectorError::IndexBehind {
                        limit_points: 400,
                        ..
                    })
                ));
                refused += 1;
                thread::yield_now();
            }
        }
        assert_eq!(client.count("c", None).unwrap(), stored);
    }
}

#[test]
fn a_collection_too_small_for_a_graph_may_be_written_for_ever() {
    let mut config = with_index(1, 500);
    if let Some(index) = &mut config.index {
        index.max_waiting_points = 1000;
    }
    let store = open(config, Directories::in_memory(count(1)));
    let mut client = store.client(count(4)).unwrap();
    client.create("c", spec(16, Metric::L2)).unwrap();
    let vectors = clustered(200, 16, 4);
    fill(&mut client, &vectors);
    // Half of the points never change, so their blocks stay; the others fill blocks and leave them.
    let give_up = Instant::now() + Duration::from_secs(60);
    for _ in 0..50 {
        for batch in (100..200_u64).collect::<Vec<_>>().chunks(50) {
            let points = || {
                batch
                    .iter()
                    .map(|n| Point::new(*n, vectors[*n as usize].clone()))
                    .collect()
            };
            // The shard looks now and then what has died: that may take a moment, not for ever.
            while client.upsert("c", points()).is_err() {
                assert!(Instant::now() < give_up, "refused for good");
            }
        }
    }
    assert_eq!(client.info("c").unwrap().count, 200);
    assert!(
        client.info("c").unwrap().bytes < 200 << 10,
        "{:?}",
        client.info("c").unwrap()
    );
}

#[derive(Clone, Debug)]
enum Step {
    Upsert(Vec<(u16, u64)>),
    Delete(std::ops::Range<u16>),
    Search(u64),
    Wait,
    Restart(usize),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ids = 0..300_u16;
    let step = prop_oneof![
        5 => prop::collection::vec((ids.clone(), any::<u64>()), 50..200).prop_map(Step::Upsert),
        2 => (ids, 1..60_u16).prop_map(|(from, count)| Step::Delete(from..from + count)),
        5 => any::<u64>().prop_map(Step::Search),
        2 => Just(Step::Wait),
        1 => (0..3_usize).prop_map(Step::Restart),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 5..40)
}

struct World {
    dir: tempfile::TempDir,
    store: VectorStore,
    client: VectorClient,
}

impl World {
    fn over(dir: tempfile::TempDir) -> Self {
        let directories = Directories::on_disk(dir.path(), count(3)).unwrap();
        let store = open(with_index(3, 60), directories);
        let client = store.client(count(4)).unwrap();
        Self { dir, store, client }
    }

    /// Lets the index take in most of what it can.
    fn wait(&mut self) {
        let points = self.client.info("c").unwrap().count;
        if points > 150 {
            wait_for_index(&mut self.client, points - 100);
        }
    }
}

fn history(steps: &[Step], metric: Metric) {
    let mut world = World::over(tempfile::tempdir().unwrap());
    world.client.create("c", spec(8, metric)).unwrap();
    let mut oracle: BTreeMap<PointId, Vec<f32>> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Upsert(points) => {
                let points: BTreeMap<u16, u64> = points.iter().copied().collect();
                let points = points
                    .into_iter()
                    .map(|(n, seed)| Point::new(u64::from(n), Numbers(seed).vector(8)));
                let points: Vec<Point> = points.collect();
                world.client.upsert("c", points.clone()).unwrap();
                oracle.extend(points.into_iter().map(|point| (point.id, point.vector)));
            }
            Step::Delete(ids) => {
                let ids: Vec<PointId> = ids.clone().map(|n| u64::from(n).into()).collect();
                oracle.retain(|id, _| !ids.contains(id));
                world.client.delete("c", ids).unwrap();
            }
            Step::Search(seed) => {
                let queries: Vec<Vec<f32>> = (0..3).map(|n| Numbers(seed ^ n).vector(8)).collect();
                let with = With {
                    payload: false,
                    vector: true,
                };
                let search = Search::many(queries.clone(), 7).with(with);
                let found = world.client.search_many("c", search).unwrap();
                for hits in &found {
                    assert_eq!(hits.len(), oracle.len().min(7));
                    for hit in hits {
                        assert_eq!(oracle.get(&hit.id), hit.vector.as_ref(), "{}", hit.id);
                    }
                }
                if !oracle.is_empty() {
                    check_hits(&mut world.client, &queries, &found);
                }
            }
            Step::Wait => world.wait(),
            Step::Restart(shard) => world.store.restart(ShardId(*shard)).unwrap(),
            Step::Reopen => {
                world.store.close().unwrap();
                world = World::over(world.dir);
            }
        }
        assert_eq!(world.client.count("c", None).unwrap(), oracle.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn every_hit_is_there_with_its_score_whatever_happened(steps in steps(), metric in 0..3_usize) {
        history(&steps, METRICS[metric]);
    }
}
