//! The flags of `quintet serve`, their environment names, and the help that explains them.

use crate::{listen::Listen, size::ByteSize};
use clap::{Args, ValueEnum};
use quintet_core::Durability;
use std::{path::PathBuf, str::FromStr};

/// The flags of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// TOML file of settings; the environment and flags win over it. `quintet config show` prints one
    #[arg(
        long,
        value_name = "FILE",
        env = "QUINTET_CONFIG",
        hide_env_values = true,
        help_heading = "General"
    )]
    pub config: Option<PathBuf>,

    /// Directory that holds all data; created if missing, used by one server at a time
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./data",
        env = "QUINTET_DATA_DIR",
        hide_env_values = true,
        help_heading = "General"
    )]
    pub data_dir: PathBuf,

    /// How sockets are served: `auto` picks the best that the build and the kernel allow
    #[arg(
        long,
        value_enum,
        value_name = "BACKEND",
        default_value_t = IoBackend::Auto,
        env = "QUINTET_IO_BACKEND",
        hide_env_values = true,
        help_heading = "General"
    )]
    pub io_backend: IoBackend,

    /// What an acknowledged write survives, for every engine [default: what each engine says below]
    ///
    /// full: on stable storage before the reply. interval: in the kernel before the reply, on stable storage within 100
    /// ms. relaxed: in the kernel before the reply, on stable storage at the next checkpoint. None loses an acknowledged
    /// write when the process is killed; full alone loses none in a power cut.
    #[arg(
        long,
        value_name = "LEVEL",
        value_parser = durability,
        env = "QUINTET_DURABILITY",
        hide_env_values = true,
        help_heading = "General"
    )]
    pub durability: Option<Durability>,

    /// Engines to leave out, separated by commas
    #[arg(
        long,
        value_enum,
        value_name = "ENGINE",
        value_delimiter = ',',
        env = "QUINTET_WITHOUT",
        hide_env_values = true,
        help_heading = "General"
    )]
    pub without: Vec<EngineName>,

    /// Serve addresses that other hosts can reach although the port has no authentication
    #[arg(
        long,
        env = "QUINTET_INSECURE",
        hide_env_values = true,
        help_heading = "General"
    )]
    pub insecure: bool,

    /// Where the API port listens; port 0 picks a free one, `off` leaves it out, and with it vectors and transactions
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8080",
        env = "QUINTET_HTTP_ADDR",
        hide_env_values = true,
        help_heading = "API (HTTP and JSON: keys, vectors, transactions, health, metrics)"
    )]
    pub http_addr: Listen,

    /// Connections that may be open at once on the API port, 1 to 65536; others wait in the system's queue
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1024,
        env = "QUINTET_HTTP_CONNECTIONS",
        hide_env_values = true,
        help_heading = "API (HTTP and JSON: keys, vectors, transactions, health, metrics)"
    )]
    pub http_connections: usize,

    /// Bytes of request bodies that may be in memory at once, 32MiB to 64GiB; beyond it 503
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "256MiB",
        env = "QUINTET_HTTP_BODY_MEMORY",
        hide_env_values = true,
        help_heading = "API (HTTP and JSON: keys, vectors, transactions, health, metrics)"
    )]
    pub http_body_memory: ByteSize,

    /// Where the Redis port listens; port 0 picks a free one, `off` leaves it out
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:6380",
        env = "QUINTET_RESP_ADDR",
        hide_env_values = true,
        help_heading = "Keys (RESP: the Redis protocol; also on the API port)"
    )]
    pub resp_addr: Listen,

    /// Threads that share the Redis port, 1 to 64 [default: the number of CPUs, at most 16]
    #[arg(
        long,
        value_name = "N",
        env = "QUINTET_KV_WORKERS",
        hide_env_values = true,
        help_heading = "Keys (RESP: the Redis protocol; also on the API port)"
    )]
    pub kv_workers: Option<usize>,

    /// `--durability` for the keys alone; `off` keeps them in memory only [default: interval]
    #[arg(
        long,
        value_name = "LEVEL",
        env = "QUINTET_KV_DURABILITY",
        hide_env_values = true,
        help_heading = "Keys (RESP: the Redis protocol; also on the API port)"
    )]
    pub kv_durability: Option<Kept>,

    /// Bytes that keys and values may take together; beyond it writes are refused; 0 = no limit
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "0",
        env = "QUINTET_KV_MEMORY",
        hide_env_values = true,
        help_heading = "Keys (RESP: the Redis protocol; also on the API port)"
    )]
    pub kv_memory: ByteSize,

    /// Threads that own the vectors, 1 to 1024; fixed when the data is made [default: the number of CPUs]
    #[arg(
        long,
        value_name = "N",
        env = "QUINTET_VECTORS_SHARDS",
        hide_env_values = true,
        help_heading = "Vectors (on the API port)"
    )]
    pub vectors_shards: Option<usize>,

    /// `--durability` for the vectors alone [default: interval]
    #[arg(
        long,
        value_name = "LEVEL",
        value_parser = durability,
        env = "QUINTET_VECTORS_DURABILITY",
        hide_env_values = true,
        help_heading = "Vectors (on the API port)"
    )]
    pub vectors_durability: Option<Durability>,

    /// `--durability` for the contexts alone [default: interval]
    #[arg(
        long,
        value_name = "LEVEL",
        value_parser = durability,
        env = "QUINTET_STM_DURABILITY",
        hide_env_values = true,
        help_heading = "Transactions (on the API port)"
    )]
    pub stm_durability: Option<Durability>,

    /// Where the block store's HTTP port listens; port 0 picks a free one, `off` leaves it out
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:10001",
        env = "QUINTET_BLOCKS_ADDR",
        hide_env_values = true,
        help_heading = "Blocks (HTTP: blocks of up to 512 KiB named by their SHA-256)"
    )]
    pub blocks_addr: Listen,

    /// I/O threads that share the port, 1 to 64 [default: the number of CPUs, at most 16]
    #[arg(
        long,
        value_name = "N",
        env = "QUINTET_BLOCKS_WORKERS",
        hide_env_values = true,
        help_heading = "Blocks (HTTP: blocks of up to 512 KiB named by their SHA-256)"
    )]
    pub blocks_workers: Option<usize>,

    /// The most bytes the block file may grow to, e.g. 64MiB or 10GiB [default: 80 % of the free disk space]
    #[arg(
        long,
        value_name = "BYTES",
        env = "QUINTET_BLOCKS_CAPACITY",
        hide_env_values = true,
        help_heading = "Blocks (HTTP: blocks of up to 512 KiB named by their SHA-256)"
    )]
    pub blocks_capacity: Option<ByteSize>,

    /// `--durability` for the block store alone; wins over it [default: full]
    #[arg(
        long,
        value_name = "LEVEL",
        value_parser = durability,
        env = "QUINTET_BLOCKS_DURABILITY",
        hide_env_values = true,
        help_heading = "Blocks (HTTP: blocks of up to 512 KiB named by their SHA-256)"
    )]
    pub blocks_durability: Option<Durability>,

    /// Which GETs are checked against the block's name before they are answered
    #[arg(
        long,
        value_enum,
        value_name = "POLICY",
        default_value_t = CheckedReads::Never,
        env = "QUINTET_BLOCKS_VERIFY",
        hide_env_values = true,
        help_heading = "Blocks (HTTP: blocks of up to 512 KiB named by their SHA-256)"
    )]
    pub blocks_verify: CheckedReads,

    /// Changes of the table of blocks that are kept in memory, some 250 bytes each, before they are written into it, 64 to
    /// 1048576; twice as many at most. After ten seconds they are written however few they are
    #[arg(
        long,
        value_name = "N",
        default_value_t = 65_536,
        env = "QUINTET_BLOCKS_CHECKPOINT",
        hide_env_values = true,
        help_heading = "Blocks (HTTP: blocks of up to 512 KiB named by their SHA-256)"
    )]
    pub blocks_checkpoint: usize,

    /// Give the storage of deleted blocks back at once; writing there again may meet a full disk
    #[arg(
        long,
        env = "QUINTET_BLOCKS_PUNCH",
        hide_env_values = true,
        help_heading = "Blocks (HTTP: blocks of up to 512 KiB named by their SHA-256)"
    )]
    pub blocks_punch: bool,

    /// The tree's.
    #[command(flatten)]
    pub tree: super::TreeArgs,

    /// Who may use the server.
    #[command(flatten)]
    pub auth: super::AuthArgs,

    /// What is logged.
    #[command(flatten)]
    pub log: super::LogArgs,
}

/// The value of `--blocks-verify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckedReads {
    /// None
    Never,
    /// One in 64
    Sample,
    /// All
    Always,
}

/// The value of `--io-backend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IoBackend {
    /// The best that works here
    Auto,
    /// io_uring, or no start at all
    Uring,
    /// Readiness by epoll; works everywhere
    Epoll,
}

/// An engine as `--without` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    /// The block store
    Blocks,
    /// The datastore
    Kv,
    /// Collections of vectors
    Vectors,
    /// Transactional contexts
    Stm,
    /// The tree
    Tree,
}

/// The value of `--kv-durability`: a level, or no file at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In memory only.
    Off,
    /// In files, at this level.
    At(Durability),
}

impl FromStr for Kept {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let level = text.parse().map(Self::At);
        level.map_err(|_| format!("`{text}` is not one of off, full, interval, relaxed"))
    }
}

/// Without the kind that [`quintet_core::Error`] prints first: clap names the flag and the value itself.
pub(super) fn durability(text: &str) -> Result<Durability, String> {
    text.parse()
        .map_err(|error: quintet_core::Error| error.context().to_string())
}
