//! Searches that follow a graph, beside other libraries' graphs with the same settings: how fast they are built, how many
//! queries a second they answer on one core, and how much of the nearest they find.

use super::{COLLECTION, Effort, K, credits, data::Set, open, spec};
use crate::measure::{Samples, Subject, alternate};
use anyhow::{Result, ensure};
use quintet_shard::vector::{Directories, IndexConfig, PointId, Search, VectorClient, VectorStore};
use std::{
    cell::RefCell,
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

/// A graph that has not grown for so long will not: the slowest step takes seconds.
const STUCK: Duration = Duration::from_secs(60);

/// The settings of every graph here: links a point, candidates while building and searching.
pub(super) const LINKS: usize = 16;
pub(super) const BUILD_EF: usize = 128;
pub(super) const SEARCH_EF: usize = 96;

pub(super) const NAMES: [&str; 3] = [
    "store, graph, one query a search",
    "store, graph, 64 queries a search",
    "store, exact, one query a search",
];

/// What was found out once about each graph.
pub(super) type Facts = Vec<(String, f64)>;

/// Finds the rows nearest to a query.
type Find<'a> = dyn Fn(&[f32]) -> Vec<u64> + 'a;

/// A graph as the bench sees it.
pub(super) struct Rival<'a> {
    pub(super) name: &'static str,
    pub(super) built_per_s: f64,
    pub(super) search: Box<Find<'a>>,
}

pub(super) fn measure(set: &Set, effort: &Effort) -> Result<(Facts, Vec<Samples>)> {
    let (store, mut client, mut facts) = fill(set)?;
    for ef in [32, 64, SEARCH_EF, 200] {
        let share = recall(set, |query| {
            let hits = client.search(COLLECTION, Search::new(query.to_vec(), K).ef(ef));
            let ids = hits.into_iter().flatten().map(|hit| hit.id);
            ids.filter_map(|id| match id {
                PointId::Number(n) => Some(n),
                PointId::Name(_) => None,
            })
            .collect()
        });
        ensure!(share > 0.5, "the graph has recall {share} at ef {ef}");
        facts.push((format!("store, recall at {K} with ef {ef}"), share));
    }
    let rivals = super::rivals::all(set)?;
    for rival in &rivals {
        facts.push((format!("{}, points built/s", rival.name), rival.built_per_s));
        let share = recall(set, |query| (rival.search)(query));
        facts.push((
            format!("{}, recall at {K} with ef {SEARCH_EF}", rival.name),
            share,
        ));
    }
    let client = RefCell::new(client);
    let times = 10 * effort.queries;
    let mut subjects = vec![
        Subject::new(NAMES[0], || {
            per_second(set, times, |query| ask(&client, Search::new(query, K)))
        }),
        Subject::new(NAMES[1], || {
            let queries: Vec<Vec<f32>> = (0..64).map(|n| set.query(n)).collect();
            let from = Instant::now();
            for _ in 0..times / 64 + 1 {
                ask(&client, Search::many(queries.clone(), K));
            }
            (64 * (times / 64 + 1)) as f64 / from.elapsed().as_secs_f64()
        }),
        Subject::new(NAMES[2], || {
            per_second(set, times / 20 + 1, |query| {
                ask(&client, Search::new(query, K).exact())
            })
        }),
    ];
    for rival in &rivals {
        let search = &rival.search;
        subjects.push(Subject::new(rival.name, move || {
            per_second(set, times, |query| {
                black_box(search(&query));
            })
        }));
    }
    let samples = alternate(subjects, effort.repetitions);
    store.close()?;
    Ok((facts, samples))
}

/// A store of one shard whose graph has all it will have.
fn fill(set: &Set) -> Result<(VectorStore, VectorClient, Facts)> {
    let index = IndexConfig {
        min_points: 1000.min(set.rows() / 2),
        links: LINKS,
        build_ef: BUILD_EF,
        search_ef: SEARCH_EF,
        max_waiting_points: usize::MAX,
    };
    // Only sealed blocks come into the graph: a small set needs small ones.
    let block_bytes = (set.base.len() * size_of::<f32>() / 32).clamp(1 << 10, 512 << 10);
    let store = open(1, Some((index, block_bytes)), Directories::in_memory)?;
    let mut client = store.client(credits())?;
    client.create(COLLECTION, spec(set.dimension))?;
    let from = Instant::now();
    for first in (0..set.rows()).step_by(1000) {
        client.upsert(COLLECTION, set.points(first..(first + 1000).min(set.rows())))?;
    }
    // The open block stays out of the graph, and has at most this many points.
    let row_bytes = set.dimension.next_multiple_of(16) * size_of::<f32>();
    let open_points = (block_bytes / row_bytes).clamp(16, 4096) as u64;
    let (mut indexed, mut grew) = (0, Instant::now());
    while indexed + open_points < set.rows() as u64 {
        ensure!(grew.elapsed() < STUCK, "the graph stays at {indexed} points");
        thread::yield_now();
        let now = client.info(COLLECTION)?.indexed;
        if now > indexed {
            (indexed, grew) = (now, Instant::now());
        }
    }
    let seconds = (grew - from).as_secs_f64();
    let info = client.info(COLLECTION)?;
    let facts = vec![
        (
            "store, points stored and built/s".to_owned(),
            indexed as f64 / seconds,
        ),
        ("store, points in the graph".to_owned(), indexed as f64),
        (
            "store, bytes of links a point".to_owned(),
            info.index_bytes as f64 / indexed as f64,
        ),
    ];
    Ok((store, client, facts))
}

/// Which share of the nearest is found.
fn recall(set: &Set, mut search: impl FnMut(&[f32]) -> Vec<u64>) -> f64 {
    let (mut right, mut all) = (0, 0);
    for (n, wanted) in set.neighbors.iter().enumerate() {
        let found = search(&set.query(n));
        let wanted = &wanted[..K.min(wanted.len())];
        all += wanted.len();
        right += wanted.iter().filter(|n| found.contains(n)).count();
    }
    right as f64 / all as f64
}

fn ask(client: &RefCell<VectorClient>, search: Search) {
    // A failure would show as an absurd figure; the store was checked before.
    black_box(client.borrow_mut().search_many(COLLECTION, search).ok());
}

fn per_second(set: &Set, times: usize, mut work: impl FnMut(Vec<f32>)) -> f64 {
    let from = Instant::now();
    for n in 0..times {
        work(set.query(n));
    }
    times as f64 / from.elapsed().as_secs_f64()
}
