//! How an engine is set up. Nothing is clamped silently.

use crate::ShardError;
use quintet_core::{BatchConfig, Parker, Result};
use std::{num::NonZeroUsize, thread};

/// The most shards an engine runs: each is a thread.
const MAX_SHARDS: usize = 1024;

/// Which CPUs the shards' threads may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pinning {
    /// Whatever the scheduler decides.
    #[default]
    Free,
    /// Shard `i` runs on the CPU `cpus[i % cpus.len()]` only.
    Cpus(Vec<usize>),
}

/// The settings of a [`ShardEngine`](crate::ShardEngine).
///
/// Memory: each port costs two rings of its credits for every shard.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// How many shards, each on its own thread. Default: one per CPU. 1 to 1024. A durable store keeps the number it was
    /// made with.
    pub shards: NonZeroUsize,
    /// How each shard paces itself.
    pub batch: BatchConfig,
    /// How often an idle shard looks for work before it sleeps. Default [`Parker::DEFAULT_SPINS`].
    pub spins: u32,
    /// Default: free.
    pub pinning: Pinning,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            shards: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            batch: BatchConfig::default(),
            spins: Parker::DEFAULT_SPINS,
            pinning: Pinning::Free,
        }
    }
}

impl EngineConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput) that names the field, its value and the bound.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field, value: String, bound: String| -> Result<()> {
            Err(ShardError::Config { field, value, bound }.into())
        };
        if self.shards.get() > MAX_SHARDS {
            return refuse("shards", self.shards.to_string(), format!("1 to {MAX_SHARDS}"));
        }
        if let Pinning::Cpus(cpus) = &self.pinning {
            let limit = rustix::thread::CpuSet::MAX_CPU;
            if let Some(cpu) = cpus.iter().find(|cpu| **cpu >= limit) {
                return refuse("pinning", cpu.to_string(), format!("a CPU below {limit}"));
            }
            if cpus.is_empty() {
                return refuse("pinning", "no CPU".to_owned(), "at least one CPU".to_owned());
            }
        }
        Ok(())
    }
}
