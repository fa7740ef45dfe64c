//! Filling a store on disk, and what must be true of it then: every point counted, found, and there again after reopening.

use super::{COLLECTION, K, credits, data::Set, open, spec};
use anyhow::{Result, ensure};
use quintet_shard::vector::{Directories, PointId, Search, With};
use std::{path::Path, time::Instant};

const BATCH: usize = 1000;

pub(super) const NAMES: [&str; 5] = [
    "points inserted/s",
    "bytes a point, in memory",
    "bytes a point, on disk",
    "reopening, ms",
    "recall at 10",
];

pub(super) fn measure(set: &Set, dir: &Path) -> Result<Vec<(&'static str, f64)>> {
    let rows = set.rows();
    let shards = std::num::NonZeroUsize::MIN.saturating_add(1);
    let on_disk = || -> Result<_> {
        let directories = Directories::on_disk(dir, shards)?;
        open(shards.get(), None, |_| directories)
    };
    let store = on_disk()?;
    let mut client = store.client(credits())?;
    client.create(COLLECTION, spec(set.dimension))?;
    let from = Instant::now();
    for first in (0..rows).step_by(BATCH) {
        client.upsert(COLLECTION, set.points(first..(first + BATCH).min(rows)))?;
    }
    let inserted_per_s = rows as f64 / from.elapsed().as_secs_f64();
    let info = client.info(COLLECTION)?;
    store.close()?;
    drop((client, store));
    let disk_bytes = bytes_under(dir)?;
    let from = Instant::now();
    let store = on_disk()?;
    let reopened_ms = from.elapsed().as_secs_f64() * 1e3;
    let mut client = store.client(credits())?;
    let count = client.count(COLLECTION, None)?;
    ensure!(
        count == rows as u64 && info.count == count,
        "{rows} inserted, {} then {count} counted",
        info.count
    );
    for first in (0..rows).step_by(BATCH) {
        let ids = (first..(first + BATCH).min(rows))
            .map(|n| PointId::Number(n as u64))
            .collect();
        let found = client.get(COLLECTION, ids, With::default())?;
        ensure!(
            found.iter().all(Option::is_some),
            "a point after {first} is missing"
        );
    }
    let queries: Vec<Vec<f32>> = (0..set.neighbors.len()).map(|n| set.query(n)).collect();
    let found = client.search_many(COLLECTION, Search::many(queries, K).exact())?;
    let right: usize = found
        .iter()
        .zip(&set.neighbors)
        .map(|(hits, wanted)| {
            let wanted = &wanted[..K.min(wanted.len())];
            hits.iter()
                .filter(|hit| wanted.iter().any(|n| hit.id == PointId::Number(*n)))
                .count()
        })
        .sum();
    let recall = right as f64 / (K.min(rows) * found.len()) as f64;
    ensure!(recall > 0.999, "exact search has recall {recall}");
    let figures = [
        inserted_per_s,
        info.bytes as f64 / rows as f64,
        disk_bytes as f64 / rows as f64,
        reopened_ms,
        recall,
    ];
    Ok(NAMES.into_iter().zip(figures).collect())
}

fn bytes_under(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() {
            bytes_under(&entry.path())?
        } else {
            meta.len()
        };
    }
    Ok(bytes)
}
