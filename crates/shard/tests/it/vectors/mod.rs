//! The vector store from outside: what it finds, keeps, refuses and survives.

mod backup;
mod cold;
mod crash;
mod embeddings;
mod index;
mod million;
mod refusals;
mod use_cases;

use quintet_core::{Durability, SystemClock};
use quintet_log::Directory;
use quintet_shard::vector::{Directories, Metric, Spec, VectorClient, VectorConfig, VectorStore};
use std::sync::Arc;

use crate::engine::count;

/// Small segments, so that opening is quick and snapshots are taken.
fn config(shards: usize, durability: Durability) -> VectorConfig {
    let mut config = VectorConfig::default().with_segment_bytes(64 << 10);
    config.engine.shards = count(shards);
    config.log.durability = durability;
    config.log.max_group_bytes = 8 << 10;
    config.log.zero_fill = false;
    config.snapshot_log_bytes = 4096;
    config.block_bytes = 1024;
    config
}

fn open(config: VectorConfig, directories: Directories) -> VectorStore {
    VectorStore::open(config, directories, Arc::new(SystemClock)).unwrap()
}

fn spec(dimension: usize, metric: Metric) -> Spec {
    Spec {
        dimension,
        metric,
        budget_bytes: 1 << 30,
    }
}

/// A store in memory with one collection, `c`.
fn with_collection(shards: usize, dimension: usize, metric: Metric) -> (VectorStore, VectorClient) {
    let mut config = config(shards, Durability::Relaxed);
    config = config.with_segment_bytes(4 << 20);
    let store = open(config, Directories::in_memory(count(shards)));
    let mut client = store.client(count(8)).unwrap();
    client.create("c", spec(dimension, metric)).unwrap();
    (store, client)
}

/// One directory as the root and as each shard's: for a store of one shard on a double.
fn in_one(directory: Arc<dyn Directory>) -> Directories {
    Directories::over(Arc::clone(&directory), vec![directory])
}
