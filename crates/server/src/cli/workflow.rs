//! The flags of `quintet workflow`.

use clap::{Args, Subcommand};
use std::{num::NonZeroUsize, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  quintet workflow check order.yaml                   what is wrong with it, with line and column
  quintet workflow plan order.yaml                    its steps, and what each waits for
  quintet workflow run order.yaml --set order.total=250
  quintet workflow run order.yaml --data-dir ./data --context shop

Exit codes: 0 every step has committed, 1 a step failed or the run was cancelled, 2 the file is refused.";

/// The subcommands of `workflow`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct WorkflowArgs {
    /// What to do
    #[command(subcommand)]
    pub command: WorkflowCommand,
}

/// What to do with a workflow.
#[derive(Clone, Debug, Subcommand)]
pub enum WorkflowCommand {
    /// Say what is wrong with a file, or nothing
    Check(FileArgs),
    /// Print its steps and what each waits for
    Plan(FileArgs),
    /// Run it, and print what it changed
    #[command(after_help = EXAMPLES)]
    Run(RunArgs),
}

/// Which file.
#[derive(Args, Clone, Debug)]
pub struct FileArgs {
    /// The workflow, in YAML
    pub file: PathBuf,
}

/// The flags of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// The workflow, in YAML
    pub file: PathBuf,

    /// Data directory of the context, used by one process at a time [default: a context in memory]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// The context in the data directory; made if missing
    #[arg(long, value_name = "NAME", default_value = "default", requires = "data_dir")]
    pub context: String,

    /// Set a value before the first step, as JSON or else as text; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = assignment)]
    pub values: Vec<(String, String)>,

    /// Threads for steps that run in parallel, 1 to 256 [default: the number of CPUs, at least 2]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Say nothing of single steps
    #[arg(long)]
    pub quiet: bool,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (path, value) = text.split_once('=').ok_or("expected PATH=VALUE")?;
    Ok((path.to_owned(), value.to_owned()))
}
