//! The command line: subcommands, and one file for the flags of each.
//!
//! A bare `quintet` serves, so the flags of `serve` are accepted with and without the word. Parsing only; what the values
//! mean together is decided in [`config`](crate::config).

mod auth;
mod backup;
mod completions;
mod config;
mod fsck;
mod log;
mod prove;
mod rules;
mod serve;
mod tree;
mod upkeep;
#[cfg(feature = "stm")]
mod workflow;

pub use auth::{AuthArgs, SECRETS};
pub use backup::{BackupArgs, RestoreArgs};
pub use completions::CompletionsArgs;
pub use config::{ConfigAction, ConfigArgs};
pub use fsck::FsckArgs;
pub use log::{LogArgs, LogFormat, LogLevel};
pub use prove::{ProveArgs, Proven};
pub use rules::{RulesArgs, RulesCommand};
pub use serve::{CheckedReads, EngineName, IoBackend, Kept, ServeArgs};
pub use tree::TreeArgs;
pub use upkeep::{CompactArgs, ScrubArgs};
#[cfg(feature = "stm")]
pub use workflow::{FileArgs, RunArgs, WorkflowArgs, WorkflowCommand};

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  quintet                                            serve from ./data on the default ports
  quintet serve --data-dir /srv/q --blocks-capacity 10GiB
  quintet serve --http-addr 127.0.0.1:0              a free port, named at start-up
  quintet serve --without kv,stm                     leave engines out
  QUINTET_DURABILITY=interval quintet                flags as environment variables
  quintet fsck --data-dir /srv/q                     check a stopped server's data
  quintet config show --origin                       every setting and where it comes from
  quintet backup /srv/backups/monday                 copy everything, while the server goes on
  quintet restore /srv/backups/monday --data-dir /srv/q2
  quintet prove kv --seconds 60                      lose nothing on this disk, or say what
  quintet scrub --data-dir /srv/q --rate 50MiB       hash every block of it

Exit codes: 0 success, 1 failure (fsck, scrub: faults found, prove: a loss), 2 wrong usage, 78 wrong configuration file.";

/// What `quintet` was asked to do.
#[derive(Debug, Parser)]
#[command(
    name = "quintet",
    version,
    long_version = crate::features::long_version(),
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

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the engines and their ports, until SIGTERM or SIGINT (the default)
    #[command(after_help = EXAMPLES)]
    Serve(Box<ServeArgs>),
    /// Check a data directory that no server uses; exit 0 when it is clean, 1 with a line per fault
    Fsck(FsckArgs),
    /// Copy every engine into a new directory, consistently, while the server goes on or when none runs
    Backup(BackupArgs),
    /// Make a data directory out of a backup, and check all of it
    Restore(RestoreArgs),
    /// Read every block of a data directory that no server uses, and check it against its name
    Scrub(ScrubArgs),
    /// Make the block file of a data directory that no server uses as short as its blocks allow
    Compact(CompactArgs),
    /// Check, show or run a workflow file
    #[cfg(feature = "stm")]
    Workflow(WorkflowArgs),
    /// Print or check the settings
    Config(ConfigArgs),
    /// Kill a server under load on your own disk, again and again, and check every acknowledgement
    Prove(ProveArgs),
    /// Print a script that completes commands and flags in a shell
    Completions(CompletionsArgs),
    /// Check and try the tree's security rules
    #[cfg(feature = "tree")]
    Rules(RulesArgs),
}
