//! The flags of `quintet config`.

use super::ServeArgs;
use clap::{Args, Subcommand};

/// What to do with the settings.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// The subcommands of `quintet config`.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigAction {
    /// Print every setting as it would be used, as a TOML file that would set it
    Show {
        /// Say where each value comes from: flag, environment, file, default
        #[arg(long)]
        origin: bool,
        /// The flags of `serve`.
        #[command(flatten)]
        serve: Box<ServeArgs>,
    },
    /// Say whether the settings are valid; exit 0 if they are, 78 if the file is wrong, 2 if a flag is
    Check {
        /// The flags of `serve`.
        #[command(flatten)]
        serve: Box<ServeArgs>,
    },
}

impl ConfigArgs {
    /// The flags of `serve`, whatever the action.
    #[must_use]
    pub fn serve(&self) -> &ServeArgs {
        match &self.action {
            ConfigAction::Show { serve, .. } | ConfigAction::Check { serve } => serve,
        }
    }
}
