//! The flags of `quintet completions`.

use clap::Args;
use clap_complete::Shell;

/// For which shell.
#[derive(Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}
