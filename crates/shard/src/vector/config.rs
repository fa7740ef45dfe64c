//! How a vector store is set up. Every limit is here; nothing is clamped silently.

use crate::{
    EngineConfig,
    vector::{IndexConfig, VectorError},
};
use quintet_core::{Durability, Result};
use quintet_log::LogConfig;
use std::num::NonZeroUsize;

/// The settings of a [`VectorStore`](crate::vector::VectorStore).
#[derive(Clone, Debug)]
pub struct VectorConfig {
    /// The threads. The number of shards is kept by the files: a store is opened with the number it was made with.
    pub engine: EngineConfig,
    /// Each shard's log; its durability is the store's. Default level: interval. `max_record_bytes` must hold a batch.
    pub log: LogConfig,
    /// The largest batch of points, encoded. Default 40 MiB. Memory: a batch is held once in the request and once in the
    /// log's group.
    pub max_batch_bytes: usize,
    /// The largest payload of a point, as JSON text. Default 64 KiB.
    pub max_payload_bytes: usize,
    /// The most hits one query may ask for, the most points one page of a scroll has, and the most ids that may be asked for
    /// at once. Default 10 000.
    pub max_k: usize,
    /// The most queries in one search. Default 1024.
    pub max_queries: usize,
    /// The most hits one search may ask for, all its queries together: each shard holds as many. Default 1 000 000.
    pub max_hits: usize,
    /// The most bytes that one shard puts into one answer: names, vectors and payloads, as they lie in memory and as text.
    /// Default 64 MiB; 64 KiB to 1 GiB.
    pub max_answer_bytes: usize,
    /// The most collections. Default 1024.
    pub max_collections: usize,
    /// A shard writes a snapshot when its log has grown by this much and by as much as the snapshot before. Default
    /// 64 MiB. Less makes opening faster. A thread of its own writes it while the shard goes on.
    pub snapshot_log_bytes: u64,
    /// How many bytes of vectors a block holds, about. Default 512 KiB; 1 KiB to 64 MiB. A block has 16 to 4096 points,
    /// whatever this says. Memory: each collection has one open block a shard, of which only used parts are touched.
    pub block_bytes: usize,
    /// Whether points go to files, which are mapped, when their collection has no memory left in its budget. Otherwise writes
    /// are refused then. Default `true`. The system limits how many files are mapped (`vm.max_map_count`, 65 530): two a
    /// block, so 16 GiB with blocks of 512 KiB. Where files cannot be mapped, as in [`Directories::in_memory`], what goes
    /// there stays in memory.
    ///
    /// [`Directories::in_memory`]: crate::vector::Directories::in_memory
    pub cold_tier: bool,
    /// How large collections are searched unless `exact` is asked for; `None` = every search is exact. Default: a graph
    /// from 10 000 points on. It lies in memory, and is built again after each opening, in the background: until it has a
    /// point, that is scanned.
    pub index: Option<IndexConfig>,
}

impl Default for VectorConfig {
    fn default() -> Self {
        Self {
            engine: EngineConfig::default(),
            log: LogConfig {
                durability: Durability::Interval,
                max_record_bytes: 48 << 20,
                ..LogConfig::default()
            },
            max_batch_bytes: 40 << 20,
            max_payload_bytes: 64 << 10,
            max_k: 10_000,
            max_queries: 1024,
            max_hits: 1_000_000,
            max_answer_bytes: 64 << 20,
            max_collections: 1024,
            snapshot_log_bytes: 64 << 20,
            block_bytes: 512 << 10,
            cold_tier: true,
            index: Some(IndexConfig::default()),
        }
    }
}

impl VectorConfig {
    /// How many shards the engine is set up with.
    #[must_use]
    pub fn shards(&self) -> NonZeroUsize {
        self.engine.shards
    }

    /// The same with small log segments, and batches that fit them.
    #[must_use]
    pub fn with_segment_bytes(mut self, segment_bytes: u64) -> Self {
        let record_bytes = (segment_bytes / 2) as usize;
        self.log.segment_bytes = segment_bytes;
        self.log.max_record_bytes = record_bytes;
        self.log.max_group_bytes = record_bytes;
        self.max_batch_bytes = record_bytes;
        self.max_payload_bytes = self.max_payload_bytes.min(record_bytes);
        self
    }

    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput) that names the field and the bound.
    pub fn validate(&self) -> Result<()> {
        self.engine.validate()?;
        self.log.validate()?;
        let refuse = |field, reason: String| -> Result<()> { Err(VectorError::field(field, reason).into()) };
        if self.max_batch_bytes == 0 || self.max_batch_bytes > self.log.max_record_bytes {
            let reason = format!(
                "{}; 1 to log.max_record_bytes, {}",
                self.max_batch_bytes, self.log.max_record_bytes
            );
            return refuse("max_batch_bytes", reason);
        }
        if self.max_payload_bytes > self.max_batch_bytes {
            let reason = format!(
                "{}; at most max_batch_bytes, {}",
                self.max_payload_bytes, self.max_batch_bytes
            );
            return refuse("max_payload_bytes", reason);
        }
        let counts = [
            ("max_k", self.max_k, 1_000_000),
            ("max_queries", self.max_queries, 65_536),
            ("max_hits", self.max_hits, 16_000_000),
            ("max_collections", self.max_collections, 65_536),
        ];
        for (field, value, most) in counts {
            if value == 0 || value > most {
                return refuse(field, format!("{value}; 1 to {most}"));
            }
        }
        if let Some(index) = &self.index {
            index.validate()?;
        }
        if !(64 << 10..=1 << 30).contains(&self.max_answer_bytes) {
            let reason = format!("{}; 65536 to 1073741824", self.max_answer_bytes);
            return refuse("max_answer_bytes", reason);
        }
        if !(1 << 10..=64 << 20).contains(&self.block_bytes) {
            let reason = format!("{}; 1024 to 67108864", self.block_bytes);
            return refuse("block_bytes", reason);
        }
        if self.snapshot_log_bytes < 4096 {
            return refuse(
                "snapshot_log_bytes",
                format!("{}; at least 4096", self.snapshot_log_bytes),
            );
        }
        Ok(())
    }
}
