//! How long one query takes, alone and while another thread replaces points as fast as it can.

use super::{COLLECTION, Effort, K, credits, data::Set, open, spec};
use anyhow::Result;
use hdrhistogram::Histogram;
use quintet_shard::vector::{Directories, Search, VectorClient};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

pub(super) const NAMES: [&str; 5] = [
    "p50, ms",
    "p99, ms",
    "p50 beside writes, ms",
    "p99 beside writes, ms",
    "points replaced/s meanwhile",
];

pub(super) fn measure(set: &Set, effort: &Effort) -> Result<Vec<(&'static str, f64)>> {
    let store = open(2, None, Directories::in_memory)?;
    let mut client = store.client(credits())?;
    client.create(COLLECTION, spec(set.dimension))?;
    for first in (0..set.rows()).step_by(1000) {
        client.upsert(COLLECTION, set.points(first..(first + 1000).min(set.rows())))?;
    }
    let queries = 200 * effort.repetitions;
    let alone = ask(set, &mut client, queries)?;
    let stop = AtomicBool::new(false);
    let mut writer = store.client(credits())?;
    let (beside, replaced_per_s) = thread::scope(|scope| -> Result<_> {
        let writing = scope.spawn(|| -> Result<f64> {
            let (from, mut replaced) = (Instant::now(), 0);
            while !stop.load(Ordering::Relaxed) {
                let first = replaced % set.rows();
                replaced += writer.upsert(COLLECTION, set.points(first..(first + 100).min(set.rows())))?;
            }
            Ok(replaced as f64 / from.elapsed().as_secs_f64())
        });
        let beside = ask(set, &mut client, queries);
        stop.store(true, Ordering::Relaxed);
        let replaced = writing
            .join()
            .map_err(|_| anyhow::anyhow!("the writer panicked"))??;
        Ok((beside?, replaced))
    })?;
    let figures = [alone.0, alone.1, beside.0, beside.1, replaced_per_s];
    Ok(NAMES.into_iter().zip(figures).collect())
}

/// p50 and p99 in milliseconds.
fn ask(set: &Set, client: &mut VectorClient, queries: usize) -> Result<(f64, f64)> {
    let mut nanoseconds = Histogram::<u64>::new(3)?;
    for n in 0..queries {
        let from = Instant::now();
        client.search(COLLECTION, Search::new(set.query(n), K).exact())?;
        nanoseconds.record(from.elapsed().as_nanos() as u64)?;
    }
    let ms = |quantile| nanoseconds.value_at_quantile(quantile) as f64 / 1e6;
    Ok((ms(0.5), ms(0.99)))
}
