//! Queries per second of one core: the store with one shard, a plain loop over the same rows, and reading as many bytes.

use super::{COLLECTION, Effort, K, credits, data::Set, open, spec};
use crate::measure::{Samples, Subject, alternate};
use anyhow::{Result, ensure};
use quintet_shard::vector::{Directories, Search, VectorClient};
use std::{cell::RefCell, hint::black_box, time::Instant};

pub(super) const NAMES: [&str; 4] = [
    "memory read of the rows",
    "store, one query a search",
    "store, 64 queries a search",
    "plain loop",
];

/// How many queries one run of the single-query subjects asks.
const SINGLE: usize = 40;

pub(super) fn measure(set: &Set, effort: &Effort) -> Result<Vec<Samples>> {
    let store = open(1, None, Directories::in_memory)?;
    let mut client = store.client(credits())?;
    client.create(COLLECTION, spec(set.dimension))?;
    for first in (0..set.rows()).step_by(1000) {
        client.upsert(COLLECTION, set.points(first..(first + 1000).min(set.rows())))?;
    }
    let lengths: Vec<f32> = (0..set.rows()).map(|n| length(set.row(n)).recip()).collect();
    let expected = plain(set, &lengths, &set.query(0));
    let found = client.search(COLLECTION, Search::new(set.query(0), K).exact())?;
    ensure!(
        found.first().map(|hit| hit.id.clone()) == expected.first().map(|(_, n)| (*n as u64).into()),
        "the nearest differ"
    );
    let client = RefCell::new(client);
    #[cfg_attr(
        not(feature = "simsimd"),
        expect(unused_mut, reason = "the rivals are optional")
    )]
    let mut subjects = vec![
        Subject::new(NAMES[0], || {
            per_second(SINGLE, || {
                black_box(read_all(&set.base));
            })
        }),
        Subject::new(NAMES[1], || {
            let mut n = 0;
            per_second(SINGLE, || {
                n += 1;
                ask(&client, Search::new(set.query(n), K).exact());
            })
        }),
        Subject::new(NAMES[2], || {
            let queries: Vec<Vec<f32>> = (0..64).map(|n| set.query(n)).collect();
            64.0 * per_second(1, || ask(&client, Search::many(queries.clone(), K).exact()))
        }),
        Subject::new(NAMES[3], || {
            let mut n = 0;
            per_second(SINGLE / 4, || {
                n += 1;
                black_box(plain(set, &lengths, &set.query(n)));
            })
        }),
    ];
    #[cfg(feature = "simsimd")]
    subjects.push(Subject::new("simsimd", || {
        let mut n = 0;
        per_second(SINGLE, || {
            n += 1;
            let query = set.query(n);
            let dot = |row: &[f32]| simsimd::SpatialSimilarity::dot(row, &query).unwrap_or_default() as f32;
            black_box(nearest(set, |n| -dot(set.row(n)) * lengths[n]));
        })
    }));
    Ok(alternate(subjects, effort.repetitions))
}

fn ask(client: &RefCell<VectorClient>, search: Search) {
    // A failure would show as an absurd figure; the store was checked before.
    black_box(client.borrow_mut().search_many(COLLECTION, search).ok());
}

fn per_second(times: usize, mut work: impl FnMut()) -> f64 {
    let from = Instant::now();
    for _ in 0..times {
        work();
    }
    times as f64 / from.elapsed().as_secs_f64()
}

/// As fast as one core takes in memory: eight independent sums, which the compiler keeps in vector registers.
fn read_all(floats: &[f32]) -> u32 {
    let mut sums = [0_u32; 64];
    for chunk in floats.chunks_exact(64) {
        for (sum, float) in sums.iter_mut().zip(chunk) {
            *sum ^= float.to_bits();
        }
    }
    sums.into_iter().fold(0, |all, sum| all ^ sum)
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>().sqrt()
}

/// What anybody would write first.
fn plain(set: &Set, lengths: &[f32], query: &[f32]) -> Vec<(f32, usize)> {
    let dot = |row: &[f32]| row.iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
    nearest(set, |n| -dot(set.row(n)) * lengths[n])
}

/// The K smallest keys, kept sorted by insertion.
fn nearest(set: &Set, key: impl Fn(usize) -> f32) -> Vec<(f32, usize)> {
    let mut nearest: Vec<(f32, usize)> = Vec::with_capacity(K + 1);
    for n in 0..set.rows() {
        let key = key(n);
        if nearest.len() < K || nearest.last().is_some_and(|(farthest, _)| key < *farthest) {
            let at = nearest.partition_point(|(other, _)| *other <= key);
            nearest.insert(at, (key, n));
            nearest.truncate(K);
        }
    }
    nearest
}
