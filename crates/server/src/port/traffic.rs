//! [`Traffic`]: how many requests each engine's routes answered, how, and how long it took.
//!
//! Counters on cache lines of their own per engine; adding one is three relaxed additions.

use super::metrics::Exposition;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Whose routes; the last is for the port's own.
const GROUPS: [&str; 4] = ["kv", "vectors", "stm", "port"];
/// Classes of status: 2xx to 5xx.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// Upper bounds of the histogram, in microseconds.
const BOUNDS_US: [u64; 10] = [
    100, 250, 500, 1_000, 2_500, 10_000, 50_000, 250_000, 1_000_000, 10_000_000,
];

#[derive(Debug, Default)]
#[repr(align(128))]
struct Group {
    by_class: [AtomicU64; CLASSES.len()],
    by_bound: [AtomicU64; BOUNDS_US.len() + 1],
    total_us: AtomicU64,
}

/// The figures of all groups.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    groups: [Group; GROUPS.len()],
}

/// The group of a path.
pub(crate) fn group_of(path: &str) -> usize {
    let engine = path.strip_prefix("/v1/").and_then(|rest| rest.split('/').next());
    let port = GROUPS.len() - 1;
    engine.map_or(port, |engine| {
        GROUPS[..port]
            .iter()
            .position(|name| *name == engine)
            .unwrap_or(port)
    })
}

impl Traffic {
    /// Counts one answer.
    pub(crate) fn count(&self, group: usize, status: u16, took: Duration) {
        let Some(group) = self.groups.get(group) else {
            return;
        };
        let class = usize::from(status / 100).clamp(2, 5) - 2;
        group.by_class[class].fetch_add(1, Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS_US.partition_point(|bound| *bound < us);
        group.by_bound[at].fetch_add(1, Relaxed);
        group.total_us.fetch_add(us, Relaxed);
    }

    /// Writes the figures.
    pub(crate) fn metrics(&self, page: &mut Exposition) {
        let named = || GROUPS.iter().zip(&self.groups);
        page.counters(
            "quintet_api_handled_requests",
            "Requests answered, by engine and class of status.",
            named().flat_map(|(name, group)| {
                CLASSES
                    .iter()
                    .zip(&group.by_class)
                    .map(move |(class, count)| ([("engine", *name), ("status", *class)], count.load(Relaxed)))
            }),
        );
        page.histograms(
            "quintet_api_answer_seconds",
            "From the head of a request to the head of its answer.",
            named().map(|(name, group)| {
                let counts: Vec<u64> = group.by_bound.iter().map(|count| count.load(Relaxed)).collect();
                let bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6);
                let beyond = counts.last().copied().unwrap_or(0);
                let buckets = bounds.zip(counts).collect();
                (
                    [("engine", *name)],
                    buckets,
                    beyond,
                    group.total_us.load(Relaxed) as f64 / 1e6,
                )
            }),
        );
    }
}
