//! The flags of `quintet rules`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What to do with rules.
#[derive(Args, Clone, Debug)]
pub struct RulesArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub command: RulesCommand,
}

/// The subcommands of `rules`.
#[derive(Clone, Debug, Subcommand)]
pub enum RulesCommand {
    /// Read a file of security rules; exit 0 when they are right, 1 with line, column and reason
    Check {
        /// The rules, as `--tree-rules` takes them
        file: PathBuf,
    },
    /// Ask rules about a table of cases; exit 0 when every answer is the expected one
    ///
    /// The table is {"data": {…}, "cases": [{"name": "…", "operation": "read|write|update|delete", "path": "/a/b", "auth":
    /// {"uid": "ada", "token": {}}, "new": …, "allowed": true}]}; `data` is the tree before, and a case may have its own.
    Test {
        /// The rules
        rules: PathBuf,
        /// The table of cases
        cases: PathBuf,
    },
}
