//! The command line: flags, their environment names, and the help that explains them.
//!
//! A bare `quintet` serves, so the flags of `serve` are accepted with and without the word. Parsing only; what the values
//! mean together is decided in [`config`](crate::config).

use crate::{listen::Listen, size::ByteSize};
use clap::{Args, Parser, Subcommand, ValueEnum};
use quintet_core::Durability;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  quintet                                            serve from ./data on the default ports
  quintet serve --data-dir /srv/q --blocks-capacity 10GiB
  quintet serve --blocks-addr 0.0.0.0:0              a free port, named at start-up
  QUINTET_DURABILITY=interval quintet                flags as environment variables
  quintet fsck --data-dir /srv/q                     check a stopped server's data

Exit codes: 0 success, 1 failure (fsck: faults found), 2 wrong usage.";

/// What `quintet` was asked to do.
#[derive(Debug, Parser)]
#[command(
    name = "quintet",
    version,
    long_version = LONG_VERSION,
    about = "Five storage engines, five answers to one question: which thread may touch the data?",
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    max_term_width = 110
)]
pub struct Cli {
    /// The subcommand; none means `serve`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of a bare `quintet`.
    #[command(flatten)]
    pub serve: ServeArgs,
}

#[cfg(all(feature = "blockstore", feature = "uring", target_os = "linux"))]
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nengines: blockstore\ni/o backends: epoll, uring"
);
#[cfg(all(feature = "blockstore", not(all(feature = "uring", target_os = "linux"))))]
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nengines: blockstore\ni/o backends: epoll"
);
#[cfg(not(feature = "blockstore"))]
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nengines: none (built without blockstore)"
);

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the engines and their ports, until SIGTERM or SIGINT (the default)
    #[command(after_help = EXAMPLES)]
    Serve(ServeArgs),
    /// Check a data directory that no server uses; exit 0 when it is clean, 1 with a line per fault
    Fsck(FsckArgs),
}

/// The flags of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
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
}

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

/// Without the kind that [`quintet_core::Error`] prints first: clap names the flag and the value itself.
fn durability(text: &str) -> Result<Durability, String> {
    text.parse()
        .map_err(|error: quintet_core::Error| error.context().to_string())
}
