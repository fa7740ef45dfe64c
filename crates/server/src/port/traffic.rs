//! [`Traffic`]: how many requests each engine's routes answered, how, and how long it took.
//!
//! Counters on cache lines of their own per engine; adding one is three relaxed additions. The tree's own port counts with
//! [`Answers`] too.

use super::metrics::{Exposition, Label};
use crate::engine::vitals::Times;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Whose routes; the last is for the port's own.
const GROUPS: [&str; 4] = ["kv", "vectors", "stm", "port"];
/// Classes of status: 2xx to 5xx.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// Upper bounds of the histogram, in microseconds: a percentile read from it is at most 2.5 times the truth.
const BOUNDS_US: [u64; 18] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000, 10_000_000, 60_000_000,
];

/// The answers of one group of routes.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Answers {
    by_class: [AtomicU64; CLASSES.len()],
    by_bound: [AtomicU64; BOUNDS_US.len() + 1],
    total_us: AtomicU64,
}

/// A group's samples for a histogram: its label, its buckets, what is beyond them, the sum in seconds.
type Samples<'a> = ([Label<'a>; 1], Vec<(f64, u64)>, u64, f64);

impl Answers {
    /// Counts one answer.
    pub(crate) fn count(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(2, 5) - 2;
        self.by_class[class].fetch_add(1, Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS_US.partition_point(|bound| *bound < us);
        self.by_bound[at].fetch_add(1, Relaxed);
        self.total_us.fetch_add(us, Relaxed);
    }

    /// How many there were.
    pub(crate) fn total(&self) -> u64 {
        self.by_class.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// How long they took.
    pub(crate) fn times(&self) -> Times {
        Times {
            bounds_us: BOUNDS_US.to_vec(),
            counts: self.by_bound.iter().map(|count| count.load(Relaxed)).collect(),
        }
    }

    fn classes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = ([Label<'a>; 2], u64)> {
        let counts = CLASSES.iter().zip(&self.by_class);
        counts.map(move |(class, count)| ([("engine", name), ("status", *class)], count.load(Relaxed)))
    }

    fn samples<'a>(&'a self, name: &'a str) -> Samples<'a> {
        let counts = self.times().counts;
        let beyond = counts.last().copied().unwrap_or(0);
        let bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6);
        let total_s = self.total_us.load(Relaxed) as f64 / 1e6;
        ([("engine", name)], bounds.zip(counts).collect(), beyond, total_s)
    }
}

/// The figures of all groups.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    groups: [Answers; GROUPS.len()],
}

/// The group of a path.
pub(crate) fn group_of(path: &str) -> usize {
    let engine = path.strip_prefix("/v1/").and_then(|rest| rest.split('/').next());
    // Workflows are transactions.
    let engine = engine.map(|engine| if engine == "workflows" { "stm" } else { engine });
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
        if let Some(group) = self.groups.get(group) {
            group.count(status, took);
        }
    }

    /// The answers of an engine's routes, if it has any here.
    pub(crate) fn of(&self, engine: &str) -> Option<&Answers> {
        let at = GROUPS.iter().position(|name| *name == engine)?;
        self.groups.get(at)
    }

    /// Writes the figures.
    pub(crate) fn metrics(&self, page: &mut Exposition) {
        let named = || GROUPS.iter().zip(&self.groups);
        page.counters(
            "quintet_api_handled_requests",
            "Requests answered, by engine and class of status.",
            named().flat_map(|(name, group)| group.classes(name)),
        );
        page.histograms(
            "quintet_api_answer_seconds",
            "From the head of a request to the head of its answer.",
            named().map(|(name, group)| group.samples(name)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_for_the_engine_of_their_path() {
        let traffic = Traffic::default();
        for (path, engine) in [
            ("/v1/kv/0/a", "kv"),
            ("/v1/workflows/7/events", "stm"),
            ("/v1/stm", "stm"),
            ("/v1/other", "port"),
            ("/stats", "port"),
        ] {
            let before = traffic.of(engine).map(Answers::total);
            traffic.count(group_of(path), 200, Duration::from_micros(150));
            let after = traffic.of(engine).map(Answers::total);
            assert_eq!(after, before.map(|count| count + 1), "{path}");
        }
        let times = traffic.of("kv").map(Answers::times).expect("there");
        assert_eq!((times.bounds_us[2], times.counts[2]), (200, 1));
        assert_eq!(times.counts.len(), times.bounds_us.len() + 1);
        assert!(traffic.of("blocks").is_none());
    }
}
