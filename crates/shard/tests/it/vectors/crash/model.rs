//! Random histories against a plain sorted scan, with restarts, reopenings and power cuts as operations. Every answer
//! must be the same for one shard, two and eight.

use super::{cases, config, open, spec};
use crate::engine::count;
use proptest::prelude::*;
use quintet_core::Durability;
use quintet_log::CrashDirectory;
use quintet_shard::{
    ShardId,
    vector::{Directories, Filter, Metric, Point, PointId, Search, VectorClient, VectorStore, With},
};
use std::{collections::BTreeMap, sync::Arc};

const DIMENSION: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Upsert(Vec<(u8, [i8; DIMENSION], u8)>),
    Delete(Vec<u8>),
    Search([i8; DIMENSION], usize, Option<u8>),
    Restart(usize),
    Reopen,
    /// Everything that was not synced is lost, or kept, or torn, by this seed.
    PowerCut(u64),
}

fn vectors() -> impl Strategy<Value = [i8; DIMENSION]> {
    // Few values, so that ties are common; never all zero, so that the cosine is defined.
    [-2_i8..=2, -2_i8..=2, 1_i8..=2]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec((0..24_u8, vectors(), 0..4_u8), 1..12).prop_map(Step::Upsert),
        3 => prop::collection::vec(0..24_u8, 1..8).prop_map(Step::Delete),
        6 => (vectors(), 1..30_usize, prop::option::of(0..4_u8)).prop_map(|(q, k, f)| Step::Search(q, k, f)),
        1 => (0..8_usize).prop_map(Step::Restart),
        1 => Just(Step::Reopen),
        1 => any::<u64>().prop_map(Step::PowerCut),
    ];
    prop::collection::vec(step, 1..25)
}

/// Even ids are numbers, odd ones names.
fn id(n: u8) -> PointId {
    if n.is_multiple_of(2) {
        PointId::Number(n.into())
    } else {
        PointId::from(&*format!("name-{n:02}"))
    }
}

fn floats(vector: [i8; DIMENSION]) -> Vec<f32> {
    vector.map(f32::from).to_vec()
}

type Oracle = BTreeMap<PointId, ([i8; DIMENSION], u8)>;

/// Exact in doubles for these small integers, but for the cosine's square roots: there, equal directions must give equal
/// keys, so it compares signed squares of cosines as fractions would.
fn key(metric: Metric, a: [i8; DIMENSION], q: [i8; DIMENSION]) -> f64 {
    let sum = |f: &dyn Fn(f64, f64) -> f64| {
        a.iter()
            .zip(q)
            .map(|(a, q)| f(f64::from(*a), f64::from(q)))
            .sum::<f64>()
    };
    let dot = sum(&|a, q| a * q);
    match metric {
        Metric::L2 => sum(&|a, q| (a - q) * (a - q)),
        Metric::InnerProduct => -dot,
        Metric::Cosine => -dot / (sum(&|a, _| a * a) * sum(&|_, q| q * q)).sqrt(),
    }
}

fn expected(oracle: &Oracle, metric: Metric, q: [i8; DIMENSION], filter: Option<u8>) -> Vec<(PointId, f64)> {
    let mut all: Vec<_> = oracle
        .iter()
        .filter(|(_, (_, color))| filter.is_none_or(|wanted| wanted == *color))
        .map(|(id, (vector, _))| (id.clone(), key(metric, *vector, q)))
        .collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
    all
}

struct World {
    shards: usize,
    directories: Vec<CrashDirectory>,
    store: VectorStore,
    client: VectorClient,
}

impl World {
    fn over(shards: usize, directories: Vec<CrashDirectory>) -> Self {
        let arcs = |d: &CrashDirectory| Arc::new(d.clone()) as _;
        let given = Directories::over(
            arcs(&directories[shards]),
            directories[..shards].iter().map(arcs).collect(),
        );
        let store = open(config(shards, Durability::Full), given);
        let client = store.client(count(4)).unwrap();
        Self {
            shards,
            directories,
            store,
            client,
        }
    }

    fn new(shards: usize, metric: Metric) -> Self {
        let directories = (0..=shards).map(|_| CrashDirectory::new()).collect();
        let mut world = Self::over(shards, directories);
        world.client.create("c", spec(DIMENSION, metric)).unwrap();
        world
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Restart(shard) => self.store.restart(ShardId(shard % self.shards)).unwrap(),
            Step::Reopen => {
                self.store.close().unwrap();
                *self = Self::over(self.shards, std::mem::take(&mut self.directories));
            }
            Step::PowerCut(seed) => {
                let left = self
                    .directories
                    .iter()
                    .map(|directory| CrashDirectory::over(directory.image(directory.moments(), *seed)));
                let left = left.collect();
                *self = Self::over(self.shards, left);
            }
            _ => {}
        }
    }
}

fn check(
    world: &mut World,
    oracle: &Oracle,
    metric: Metric,
    search: ([i8; DIMENSION], usize, Option<u8>),
) -> Vec<(PointId, f32)> {
    let (q, k, color) = search;
    let mut ask = Search::new(floats(q), k).with(With {
        payload: true,
        vector: true,
    });
    if let Some(color) = color {
        ask = ask.filtered(Filter::Equal("color".into(), color.into()));
    }
    let hits = world.client.search("c", ask).unwrap();
    let all = expected(oracle, metric, q, color);
    assert_eq!(hits.len(), k.min(all.len()));
    for (hit, (_, wanted)) in hits.iter().zip(&all) {
        let (vector, color) = &oracle[&hit.id];
        assert_eq!(hit.vector.as_ref().unwrap(), &floats(*vector));
        assert_eq!(hit.payload.as_ref().unwrap()["color"], *color);
        let close = (key(metric, *vector, q) - wanted).abs() < 1e-5;
        assert!(close, "{} is not as near as the oracle's", hit.id);
    }
    if metric != Metric::Cosine {
        let wanted: Vec<&PointId> = all.iter().map(|(id, _)| id).take(k).collect();
        assert_eq!(hits.iter().map(|hit| &hit.id).collect::<Vec<_>>(), wanted);
    }
    hits.into_iter().map(|hit| (hit.id, hit.score)).collect()
}

fn history(steps: &[Step], metric: Metric) {
    let mut worlds = [1, 2, 8].map(|shards| World::new(shards, metric));
    let mut oracle = Oracle::new();
    for step in steps {
        match step {
            Step::Upsert(points) => {
                let points: BTreeMap<u8, _> = points.iter().map(|(n, v, color)| (*n, (*v, *color))).collect();
                for world in &mut worlds {
                    let batch = points.iter().map(|(n, (vector, color))| {
                        let payload = serde_json::json!({"color": color});
                        Point::new(id(*n), floats(*vector)).with_payload(payload.as_object().unwrap().clone())
                    });
                    let stored = world.client.upsert("c", batch.collect()).unwrap();
                    assert_eq!(stored, points.len());
                }
                oracle.extend(points.into_iter().map(|(n, point)| (id(n), point)));
            }
            Step::Delete(ids) => {
                let ids: Vec<PointId> = ids.iter().map(|n| id(*n)).collect();
                let before = oracle.len();
                oracle.retain(|id, _| !ids.contains(id));
                for world in &mut worlds {
                    let deleted = world.client.delete("c", ids.clone()).unwrap();
                    assert_eq!(deleted, before - oracle.len());
                }
            }
            Step::Search(q, k, color) => {
                let found = worlds
                    .each_mut()
                    .map(|world| check(world, &oracle, metric, (*q, *k, *color)));
                assert_eq!(found[0], found[1], "one shard and two");
                assert_eq!(found[0], found[2], "one shard and eight");
            }
            other => worlds.iter_mut().for_each(|world| world.run(other)),
        }
        for world in &mut worlds {
            assert_eq!(world.client.count("c", None).unwrap(), oracle.len() as u64);
        }
    }
    for world in &mut worlds {
        let ids: Vec<PointId> = oracle.keys().cloned().collect();
        let scrolled = world.client.scroll("c", None, 100, With::default()).unwrap();
        assert_eq!(
            scrolled.into_iter().map(|point| point.id).collect::<Vec<_>>(),
            ids
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(24).div_ceil(8).max(24), ..ProptestConfig::default() })]

    #[test]
    fn l2_equals_a_sorted_scan(steps in steps()) {
        history(&steps, Metric::L2);
    }

    #[test]
    fn inner_product_equals_a_sorted_scan(steps in steps()) {
        history(&steps, Metric::InnerProduct);
    }

    #[test]
    fn cosine_equals_a_sorted_scan(steps in steps()) {
        history(&steps, Metric::Cosine);
    }
}
