//! The flags of `quintet prove`.

use clap::{Args, ValueEnum};
use quintet_core::Durability;
use std::path::PathBuf;

/// What to put under load and kill.
#[derive(Args, Clone, Debug)]
pub struct ProveArgs {
    /// The engine
    #[arg(value_enum)]
    pub engine: Proven,

    /// For how long, 2 to 86400
    #[arg(long, value_name = "S", default_value_t = 60)]
    pub seconds: u64,

    /// Clients that write at once, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub clients: usize,

    /// What the engine is asked to promise
    #[arg(long, value_name = "LEVEL", value_parser = super::serve::durability, default_value = "interval")]
    pub durability: Durability,

    /// An empty or missing directory on the disk in question; removed when nothing was lost
    #[arg(long, value_name = "DIR", default_value = "./quintet-prove")]
    pub data_dir: PathBuf,
}

/// The engines that can be put to the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Proven {
    /// Blocks, through their HTTP port
    Blocks,
    /// Keys, through the Redis port
    Kv,
    /// Vectors, through the API port
    Vectors,
    /// Transactions, through the API port
    Stm,
    /// The tree, through its port; every level syncs before it answers
    Tree,
}
