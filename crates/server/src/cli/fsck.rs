//! The flags of `quintet fsck`.

use clap::Args;
use std::path::PathBuf;

/// The flags of `fsck`.
#[derive(Args, Clone, Debug)]
pub struct FsckArgs {
    /// The data directory to check
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./data",
        env = "QUINTET_DATA_DIR",
        hide_env_values = true
    )]
    pub data_dir: PathBuf,
}
