//! The flags of `quintet scrub` and `quintet compact`.

use crate::size::ByteSize;
use clap::Args;
use std::path::PathBuf;

/// The flags of `scrub`.
#[derive(Args, Clone, Debug)]
pub struct ScrubArgs {
    /// The data directory whose blocks are read
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./data",
        env = "QUINTET_DATA_DIR",
        hide_env_values = true
    )]
    pub data_dir: PathBuf,

    /// Read at most so many bytes a second, e.g. 50MiB [default: as fast as possible]
    #[arg(long, value_name = "BYTES")]
    pub rate: Option<ByteSize>,
}

/// The flags of `compact`.
#[derive(Args, Clone, Debug)]
pub struct CompactArgs {
    /// The data directory whose block file is made smaller
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./data",
        env = "QUINTET_DATA_DIR",
        hide_env_values = true
    )]
    pub data_dir: PathBuf,

    /// Give the storage of free blocks in the middle of the file back too; writing there again may meet a full disk
    #[arg(long)]
    pub punch: bool,
}
