//! Vector search: the store beside a plain loop and the memory it has to read, on real embeddings or synthetic ones.
//!
//! First the facts that must hold before anything is timed: every inserted point is counted and found, and recall is what
//! exact search promises. Then queries per second on one core, each beside its rivals, and latency with and without
//! writes at full rate.

mod data;
mod graph;
mod latency;
mod load;
mod rivals;
mod scan;

use crate::measure::{figures, table};
use quintet_core::{Durability, SystemClock};
use quintet_shard::vector::{Directories, IndexConfig, Metric, Spec, VectorConfig, VectorStore};
use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How many hits each query asks for.
const K: usize = 10;
const COLLECTION: &str = "bench";

/// What to measure, and how long.
pub struct Effort {
    repetitions: usize,
    points: usize,
    dimension: usize,
    queries: usize,
    data: Option<PathBuf>,
}

impl Effort {
    /// For figures. With `data`, a directory with `base.npy`, `queries.npy` and `neighbors.npy`, its points; else so many
    /// synthetic ones.
    #[must_use]
    pub fn full(repetitions: usize, points: usize, dimension: usize, data: Option<PathBuf>) -> Self {
        Self {
            repetitions,
            points,
            dimension,
            queries: 64,
            data,
        }
    }

    /// For the gate: a moment.
    #[must_use]
    pub fn smoke() -> Self {
        Self {
            repetitions: 1,
            points: 2_000,
            dimension: 24,
            queries: 64,
            data: None,
        }
    }
}

/// Loads, checks, measures, and renders the tables. `dir` is where the store's files are made, in a temporary directory.
///
/// # Errors
/// When the data cannot be read, the store fails, or it does not find what it must.
pub fn run(effort: &Effort, dir: &Path) -> anyhow::Result<String> {
    let set = match &effort.data {
        Some(data) => data::read(data)?,
        None => data::synthetic(effort.points, effort.dimension, effort.queries),
    };
    let folder = tempfile::Builder::new().prefix("vectors-").tempdir_in(dir)?;
    let loaded = load::measure(&set, folder.path())?;
    let scans = scan::measure(&set, effort)?;
    let (facts, walks) = graph::measure(&set, effort)?;
    let facts: Vec<(&str, f64)> = facts
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let waits = latency::measure(&set, effort)?;
    let title = format!(
        "{}: {} points of {} dimensions",
        set.name,
        set.rows(),
        set.dimension
    );
    Ok([
        figures(&format!("{title}, two shards, durability interval"), &loaded),
        table(&format!("exact search, k = {K}, one core"), "queries/s", &scans),
        figures(
            &format!(
                "graphs: {} links, {} candidates while building",
                graph::LINKS,
                graph::BUILD_EF
            ),
            &facts,
        ),
        table(
            &format!("by graph, k = {K}, ef = {}, one shard", graph::SEARCH_EF),
            "queries/s",
            &walks,
        ),
        figures("one exact query at a time, two shards", &waits),
        rivals::missing(),
    ]
    .join("\n\n"))
}

/// That the report names every subject.
///
/// # Errors
/// Names the row that is missing.
pub fn expect_every_row(report: &str) -> anyhow::Result<()> {
    for name in load::NAMES
        .iter()
        .chain(&scan::NAMES)
        .chain(&graph::NAMES)
        .chain(&latency::NAMES)
    {
        anyhow::ensure!(report.contains(name), "the vector report has no row `{name}`");
    }
    Ok(())
}

/// With a graph and blocks of so many bytes, or without.
fn config(shards: usize, index: Option<(IndexConfig, usize)>) -> anyhow::Result<VectorConfig> {
    let mut config = VectorConfig::default();
    if let Some((_, block_bytes)) = &index {
        config.block_bytes = *block_bytes;
    }
    config.index = index.map(|(index, _)| index);
    config.engine.shards = NonZeroUsize::new(shards).ok_or_else(|| anyhow::anyhow!("no shard"))?;
    config.log.durability = Durability::Interval;
    Ok(config)
}

fn open(
    shards: usize,
    index: Option<(IndexConfig, usize)>,
    directories: impl FnOnce(NonZeroUsize) -> Directories,
) -> anyhow::Result<VectorStore> {
    let config = config(shards, index)?;
    let directories = directories(config.shards());
    Ok(VectorStore::open(config, directories, Arc::new(SystemClock))?)
}

fn spec(dimension: usize) -> Spec {
    Spec {
        dimension,
        metric: Metric::Cosine,
        budget_bytes: 64 << 30,
    }
}

fn credits() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(15)
}
