//! What the tree's pool of workers says of itself: for `/metrics` and `/stats`. Called by the tree's engine.

use crate::port::metrics::{Exposition, Label};
use quintet_tree::{PoolStats, Priority, PriorityStats, Spread};
use serde_json::{Value, json};

const fn name(priority: Priority) -> &'static str {
    match priority {
        Priority::Control => "control",
        Priority::Read => "read",
        Priority::Write => "write",
        Priority::Bulk => "bulk",
    }
}

fn each(stats: &PoolStats) -> impl Iterator<Item = ([Label<'static>; 1], &PriorityStats)> {
    let named = Priority::ALL.into_iter().zip(&stats.priorities);
    named.map(|(priority, of)| ([("priority", name(priority))], of))
}

/// Buckets by their upper bounds in seconds, what is beyond the last of them, and the sum.
fn buckets(spread: &Spread) -> (Vec<(f64, u64)>, u64, f64) {
    let (last, bounded) = spread.buckets.split_last().unwrap_or((&0, &[]));
    let bounds = (0..).map(|power| f64::from(1_u32 << power) / 1e6);
    let counts = bounds.zip(bounded.iter().copied()).collect();
    (counts, *last, spread.total.as_secs_f64())
}

/// Writes the figures.
pub(super) fn metrics(stats: &PoolStats, page: &mut Exposition) {
    page.gauge("quintet_tree_pool_workers", "Workers now.", stats.workers);
    page.gauge(
        "quintet_tree_pool_idle_workers",
        "Workers that wait for a job.",
        stats.idle,
    );
    page.gauge(
        "quintet_tree_pool_utilisation_ratio",
        "The share of the workers' time spent on jobs, since the start.",
        stats.utilisation,
    );
    page.gauges(
        "quintet_tree_pool_waiting_jobs",
        "Jobs that wait for a worker, by priority.",
        each(stats).map(|(label, of)| (label, of.waiting)),
    );
    let ended = each(stats).flat_map(|([label], of)| {
        [
            ("done", of.done),
            ("late", of.late),
            ("cancelled", of.cancelled),
            ("panicked", of.panicked),
            ("refused", of.refused),
        ]
        .map(|(how, count)| ([label, ("outcome", how)], count))
    });
    page.counters(
        "quintet_tree_pool_ended_jobs",
        "Jobs by priority and how they ended; late ones passed their deadline, cancelled ones lost their client.",
        ended,
    );
    for (family, help, spread) in [
        (
            "quintet_tree_pool_wait_seconds",
            "From being queued to being begun.",
            (|of| &of.wait) as fn(&PriorityStats) -> &Spread,
        ),
        (
            "quintet_tree_pool_run_seconds",
            "From being begun to being done.",
            |of| &of.run,
        ),
    ] {
        let samples = each(stats).map(|(label, of)| {
            let (counts, beyond, total_s) = buckets(spread(of));
            (label, counts, beyond, total_s)
        });
        page.histograms(family, help, samples);
    }
}

/// The same in short, times as upper bounds of the 99th percentiles.
pub(super) fn stats(stats: &PoolStats) -> Value {
    let us = |spread: &Spread| u64::try_from(spread.quantile(0.99).as_micros()).unwrap_or(u64::MAX);
    let priorities = each(stats).map(|([(_, name)], of)| {
        let of = json!({
            "waiting": of.waiting,
            "done": of.done,
            "late": of.late,
            "cancelled": of.cancelled,
            "refused": of.refused,
            "wait_p99_us": us(&of.wait),
            "run_p99_us": us(&of.run),
        });
        (name.to_owned(), of)
    });
    json!({
        "workers": stats.workers,
        "idle": stats.idle,
        "peak_workers": stats.peak_workers,
        "utilisation": stats.utilisation,
        "priorities": Value::Object(priorities.collect()),
    })
}
