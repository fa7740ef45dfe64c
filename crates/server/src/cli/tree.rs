//! The flags of the tree and its port.

use crate::{listen::Listen, size::ByteSize};
use clap::Args;
use quintet_core::Durability;
use std::path::PathBuf;

const HEADING: &str = "Tree (HTTP: Firebase's REST protocol and live streams)";

/// The flags.
#[derive(Args, Clone, Debug)]
pub struct TreeArgs {
    /// Where the tree's port listens; port 0 picks a free one, `off` leaves the tree out
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9000", env = "QUINTET_TREE_ADDR", hide_env_values = true, help_heading = HEADING)]
    pub tree_addr: Listen,

    /// Connections that may be open at once on the tree's port, streams among them, 1 to 65536
    #[arg(long, value_name = "N", default_value_t = 8192, env = "QUINTET_TREE_CONNECTIONS", hide_env_values = true, help_heading = HEADING)]
    pub tree_connections: usize,

    /// Threads that read the tree, 1 to 64; four times as many while reads wait [default: one per core, at most 16]
    #[arg(long, value_name = "N", env = "QUINTET_TREE_WORKERS", hide_env_values = true, help_heading = HEADING)]
    pub tree_workers: Option<usize>,

    /// Most bytes that the tree may take, 1MiB to 1TiB: as much address space is reserved
    #[arg(long, value_name = "SIZE", default_value = "1TiB", env = "QUINTET_TREE_CAPACITY", hide_env_values = true, help_heading = HEADING)]
    pub tree_capacity: ByteSize,

    /// File with security rules [default: what was last put to /.settings/rules.json]
    #[arg(long, value_name = "FILE", env = "QUINTET_TREE_RULES", hide_env_values = true, help_heading = HEADING)]
    pub tree_rules: Option<PathBuf>,

    /// `--durability` for the tree alone; every level syncs before the reply [default: full]
    #[arg(long, value_name = "LEVEL", value_parser = super::serve::durability, env = "QUINTET_TREE_DURABILITY", hide_env_values = true, help_heading = HEADING)]
    pub tree_durability: Option<Durability>,
}
