//! The flags of `quintet backup` and `quintet restore`.

use crate::listen::Listen;
use clap::Args;
use std::path::PathBuf;

/// The flags of `backup`.
#[derive(Args, Clone, Debug)]
pub struct BackupArgs {
    /// The directory to make: missing, or empty
    #[arg(value_name = "TO")]
    pub to: PathBuf,

    /// The data directory to copy
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./data",
        env = "QUINTET_DATA_DIR",
        hide_env_values = true
    )]
    pub data_dir: PathBuf,

    /// Where the API port of the server is that uses the data directory; not asked when none does
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8080",
        env = "QUINTET_HTTP_ADDR",
        hide_env_values = true
    )]
    pub http_addr: Listen,

    /// File with the token of administrators, for a server that asks for it; or QUINTET_AUTH_ADMIN_TOKEN
    #[arg(
        long,
        value_name = "FILE",
        env = "QUINTET_AUTH_ADMIN_TOKEN_FILE",
        hide_env_values = true
    )]
    pub auth_admin_token_file: Option<PathBuf>,
}

/// The flags of `restore`.
#[derive(Args, Clone, Debug)]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FROM")]
    pub from: PathBuf,

    /// The data directory to make: missing, or empty
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./data",
        env = "QUINTET_DATA_DIR",
        hide_env_values = true
    )]
    pub data_dir: PathBuf,
}
